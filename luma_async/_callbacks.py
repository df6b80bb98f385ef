"""What the user's own code raises when we call it, and how much of that goes on."""

from __future__ import annotations

from luma_async.errors import LumaError


def heed_the_end(raised: BaseException) -> None:
    """Let *raised* end the program where it means that, also from inside a group: asyncio would only log a group.

    Raises:
        KeyboardInterrupt, SystemExit: *raised* is one, or has one in it.
    """
    if isinstance(raised, BaseExceptionGroup):
        for part in raised.exceptions:
            heed_the_end(part)
    if isinstance(raised, KeyboardInterrupt | SystemExit):
        raise raised


def presentable(raised: BaseException, what: str) -> Exception:
    """Return what may come out of *raised* where somebody waits: an Exception as it is, anything else as our error.

    A CancelledError as it is would look as if the waiting task had been cancelled, and end it without a word; a
    StopIteration can go through no future.

    Args:
        raised: What the user's code has raised.
        what: The code, as the user knows it.

    Raises:
        KeyboardInterrupt, SystemExit: *raised* ends the program.
    """
    heed_the_end(raised)
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = LumaError(f"{what} raised {type(raised).__name__}", advice="let it raise an Exception of its own")
    error.__cause__ = raised
    return error
