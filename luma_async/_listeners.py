"""Passes events to listeners and to the log; without listeners, no event is created."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, field

from luma_async._text import shown, spelled
from luma_async.errors import ConfigurationError, LumaError
from luma_async.events import Event

T = TypeVar("T")
Listener = Callable[[Event], object]

logger = logging.getLogger("luma_async")


@define(eq=False, repr=False)
class Listeners:
    """The listeners of a client. Code that reports an event creates it only if there are ``active`` listeners."""

    active: list[Listener] = field(factory=list[Listener])

    @classmethod
    def to(cls, on_event: object) -> Listeners:
        """Build the listeners: the log, if its level is DEBUG, and the user's function, if there is one.

        Raises:
            ConfigurationError: *on_event* cannot be called, or would have to be awaited.
        """
        listeners = cls([_log] if log_is_curious() else [])
        if callable(on_event) and not inspect.iscoroutinefunction(on_event):
            listeners.active.append(on_event)
        elif on_event is not None:
            raise ConfigurationError(
                f"on_event={shown(spelled(on_event), 40)} cannot be called without awaiting it",
                advice="give a plain function of one event; to await something, iterate over client.events()",
            )
        return listeners

    def tell(self, event: Event) -> None:
        """Call all listeners, in their order; what one raises is logged, unless it ends the program."""
        for listener in tuple(self.active):
            call_safely(listener, event, "a listener")


def call_safely(function: Callable[[T], object], value: T, what: str) -> None:
    """Call *function* with *value*; what it raises is logged under the name *what*, unless it ends the program."""
    try:
        function(value)
    except BaseException as raised:  # noqa: BLE001 - such as the CancelledError of a future that it uses
        raise_if_exit(raised)
        log(logging.ERROR, "%s raised an exception for %s", what, type(value).__name__, error=raised)


def log_is_curious() -> bool:
    """Whether each event and answer goes to the log."""
    return logger.isEnabledFor(logging.DEBUG)


def log(level: int, text: str, *args: object, error: BaseException | None = None, **extra: object) -> None:
    """Write to the log; what a user's handler raises is shown by ``logging``, unless it ends the program.

    *extra* are attributes of the record, for handlers that tell kinds of records apart.
    """
    try:
        logger.log(level, text, *args, exc_info=error, stacklevel=2, extra=extra)
    except BaseException as raised:  # noqa: BLE001 - logging lets a handler decide what it catches
        raise_if_exit(raised)
        logging.Handler().handleError(logger.makeRecord(logger.name, level, __file__, 0, text, args, None))


def _log(event: Event) -> None:
    log(logging.DEBUG, "%s", event)


def raise_if_exit(raised: BaseException) -> None:
    """Raise a KeyboardInterrupt or SystemExit again, also from inside a group: asyncio would only log a group."""
    if isinstance(raised, BaseExceptionGroup):
        for part in raised.exceptions:
            raise_if_exit(part)
    if isinstance(raised, KeyboardInterrupt | SystemExit):
        raise raised


def presentable(raised: BaseException, what: str) -> Exception:
    """Return what a waiter gets for *raised*: an Exception as it is, anything else as our error.

    A CancelledError as it is would look as if the waiting task had been cancelled, and end it without a word; a
    StopIteration cannot go through a future. *what* is the code that raised it, as the user knows it. What ends the
    program (``raise_if_exit``) is raised.
    """
    raise_if_exit(raised)
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = LumaError(f"{what} raised {type(raised).__name__}", advice="let it raise an Exception of its own")
    error.__cause__ = raised
    return error


def raise_presentable(raised: BaseException, what: str) -> None:
    """Raise what ``presentable`` makes of *raised*; return where that is *raised* itself."""
    if (error := presentable(raised, what)) is not raised:
        raise error from raised


async def awaited(call: Callable[[], Awaitable[T]], what: str) -> T:
    """Return what comes of the user's function *call*; raises what it raises, made ``presentable``.

    Only a CancelledError that means the running task goes through as it is.
    """
    try:
        return await call()
    except BaseException as raised:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise_presentable(raised, what)
        raise
