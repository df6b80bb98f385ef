"""Time that jumps: an event loop that does not wait for its timers, so that half an hour is over in milliseconds."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

from attrs import define, field

_GRACE = 0.001
"""Real seconds for bytes on their way through loopback, and for other processes' threads to hand something over."""


@define(eq=False)
class FastTime:
    """Makes the running event loop jump to its next timer whenever nothing else is to be done.

    A context manager for use inside the loop. Everything that waits by the loop's clock is fast: ``asyncio.sleep``,
    ``asyncio.timeout``, the client, and a ``SimulatedRelay(clock=fast_time.clock)`` that lives in the same loop. Time
    does not jump while work is under way in the loop's threads (files, ``asyncio.to_thread``). Another process, and a
    ``RelayThread``, are not waited for: talk to none while time jumps.

    On leaving the clock goes on from where it is, in real seconds.

    Raises:
        RuntimeError: On entering: the loop is none of asyncio's own. Inside: more than ``most`` seconds have passed.
    """

    most: float = 172_800.0
    """Seconds after which the test is taken to wait for something that never comes; two days."""
    _jumped: float = field(default=0.0, init=False)
    _began: float = field(default=0.0, init=False)
    _loop: Any = field(default=None, init=False, repr=False)
    _selector: Any = field(default=None, init=False, repr=False)
    """The loop's own."""
    _run: Any = field(default=None, init=False, repr=False)
    """How the loop hands work to its threads."""
    _under_way: set[Future[Any]] = field(factory=set[Future[Any]], init=False, repr=False)
    """What the loop's threads do."""

    def clock(self) -> float:
        """Return the time as the loop has it, in seconds; also from other threads."""
        return float(self._loop.time())

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning, most of which never passed."""
        return self.clock() - self._began

    def __enter__(self) -> Self:
        """Begin."""
        loop: Any = asyncio.get_running_loop()
        if not hasattr(loop, "_selector"):
            kind = type(loop)
            raise RuntimeError(
                f"time can only jump in an event loop of asyncio's own, not in {kind.__module__}.{kind.__name__}:"
                " run this test with asyncio's"
            )
        self._loop, self._selector, self._run, self._began = loop, loop._selector, loop.run_in_executor, loop.time()
        loop.time = partial(self._time, loop.time)
        loop.run_in_executor = self._run_in_executor
        loop._selector = _Jumping(self._selector, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End: timers come in real time again."""
        self._loop._selector, self._loop.run_in_executor = self._selector, self._run

    def _time(self, real: Callable[[], float]) -> float:
        return real() + self._jumped

    def _run_in_executor(self, *call: Any) -> Future[Any]:
        future: Future[Any] = self._run(*call)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def select(self, timeout: float | None) -> list[Any]:
        """Wait for *timeout* seconds or for something to do, but really wait only where another thread works."""
        events = self._selector.select(0)
        if events or timeout == 0:
            return list(events)
        if timeout is None or self._under_way:
            return list(self._selector.select(timeout))
        events = self._selector.select(min(timeout, _GRACE))
        if not events:
            self._jump(timeout)
        return list(events)

    def _jump(self, seconds: float) -> None:
        self._jumped += seconds
        if self.elapsed > self.most:
            self.__exit__(None, None, None)
            raise RuntimeError(f"{self.most:.0f} seconds of fast time are over: does the test wait for something?")


@define(eq=False)
class _Jumping:
    """Stands where the loop has its selector."""

    _selector: Any
    _time: FastTime

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait, or let time jump."""
        return self._time.select(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)
