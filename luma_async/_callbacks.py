"""Handles exceptions from the user's code: which ones end the program, and what the caller gets for the others."""

from __future__ import annotations

from luma_async.errors import LumaError


def raise_if_exit(raised: BaseException) -> None:
    """Raise *raised* if it ends the program, also from inside a group: asyncio would only log a group.

    Raises:
        KeyboardInterrupt, SystemExit: *raised* is one, or contains one.
    """
    if isinstance(raised, BaseExceptionGroup):
        for part in raised.exceptions:
            raise_if_exit(part)
    if isinstance(raised, KeyboardInterrupt | SystemExit):
        raise raised


def presentable(raised: BaseException, what: str) -> Exception:
    """Return the exception that a waiting caller gets for *raised*: an Exception unchanged, anything else as our error.

    A CancelledError would look as if the caller's task had been cancelled, and would end it silently. A StopIteration
    cannot be the exception of a future.

    Args:
        raised: The exception of the user's code.
        what: A name for this code that the user knows.

    Raises:
        KeyboardInterrupt, SystemExit: *raised* ends the program.
    """
    raise_if_exit(raised)
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = LumaError(f"{what} raised {type(raised).__name__}", advice="let it raise an Exception of its own")
    error.__cause__ = raised
    return error
