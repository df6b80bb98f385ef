"""Runs the coroutine of a command to its exit status: signals, a closed output, errors that end the command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import FrameType
from typing import Any

from attrs import define

from luma_async.cli.exit import Status
from luma_async.cli.output import OutputLostError, report_error
from luma_async.errors import LumaError

_GRACE_PERIOD = 1.5
"""Seconds from a signal to the end, even if a write or a DNS look-up hangs."""

_stops: ContextVar[_Stop] = ContextVar("stop")


@contextmanager
def grace_period(seconds: float) -> Generator[None]:
    """Allow *seconds* from a signal in this block to the end; a second signal shortens them."""
    stop = _stops.get(None) or _Stop()
    before = stop.grace_period
    stop.grace_period = max(before, seconds)
    try:
        yield
    finally:
        stop.grace_period = before


def is_stopping() -> bool:
    """Whether a signal ends the command."""
    stop = _stops.get(None)
    return stop is not None and stop.status is not None


_SIGNALS: dict[int, Status] = {signal.SIGINT: Status.INTERRUPTED, signal.SIGTERM: Status.TERMINATED}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _SIGNALS[signal.SIGHUP] = Status.HUNG_UP


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes an event loop of uvloop, where the extra ``speed`` is installed; None for asyncio's own.

    libuv aborts a process whose standard streams are closed.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        return None
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(command: Coroutine[Any, Any, Status]) -> Status:
    """Run *command* in a new event loop and return the exit status; the first signal cancels it."""
    stop = _Stop()
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        try:
            return runner.run(concluded(command, stop))
        except asyncio.CancelledError:
            if stop.status is None:
                raise
            return stop.status


async def concluded(command: Coroutine[Any, Any, Status], stop: _Stop | None = None) -> Status:
    """Run *command* in this event loop and return the exit status; the first signal cancels it."""
    status, stop = Status.DONE, stop or _Stop()
    with stop.listening():
        try:
            status = await command
        except* OutputLostError as lost:
            status = _first(lost).status()
        except* LumaError as trouble:
            status = report_error(_first(trouble))
    return stop.status or status


@define(eq=False)
class _Stop:
    """Ends the command at the first signal; a second one only shortens the grace period."""

    status: Status | None = None
    grace_period: float = _GRACE_PERIOD

    @contextmanager
    def listening(self) -> Generator[None]:
        """Cancel the current task at the first signal.

        A signal that is ignored at the start stays ignored, as with ``nohup`` and background jobs of a shell.
        """
        _stops.set(self)
        task = asyncio.current_task()
        if task is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        on_signal = partial(self._end, task)
        heeded = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        before = {number: signal.signal(number, on_signal) for number in heeded}
        try:
            yield
        finally:
            # Once the status is decided, nothing changes it: at its exit, the interpreter would restore the default
            # handlers, and a second signal would end the process with another status.
            for number, handler in before.items():
                signal.signal(number, handler if self.status is None else signal.SIG_IGN)

    def _end(self, task: asyncio.Task[Any], number: int, _: FrameType | None) -> None:
        """Ask the loop to cancel, and set an alarm: a handler also runs while a write blocks."""
        if self.status is None:
            self.status = _SIGNALS[number]
        elif self.grace_period > _GRACE_PERIOD:
            self.grace_period = _GRACE_PERIOD
        else:
            return
        alarm = threading.Timer(self.grace_period, os._exit, (int(self.status),))
        alarm.daemon = True
        alarm.start()
        task.get_loop().call_soon_threadsafe(task.cancel)


def _first(group: BaseExceptionGroup[Any]) -> Any:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
