"""Fast time for tests: an event loop that jumps to its next timer, so that half an hour takes milliseconds."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from attrs import define, field

_GRACE = 0.003
"""Real seconds in which bytes on loopback can still arrive before time jumps."""


@define(eq=False)
class FastTime:
    """Makes the running event loop jump to its next timer when there is nothing else to do.

    A context manager for use inside the loop. Everything that waits on the loop's clock is fast: ``asyncio.sleep``,
    ``asyncio.timeout``, the client, and a ``SimulatedRelay(clock=fast_time.clock)`` in the same loop. Time does not
    jump while work is under way in the loop's threads (files, ``asyncio.to_thread``). It does jump while another
    process or a ``RelayThread`` works, so do not use them with fast time.

    After the block, the clock goes on in real seconds.

    Raises:
        RuntimeError: At the start: the loop is not one of asyncio's. Inside: more than ``most`` seconds have passed.
    """

    most: float = 172_800.0
    """Seconds after which fast time stops with an error, because the test waits for an event that never comes."""
    _started: float = field(default=0.0, init=False)
    _clock: Any = field(default=None, init=False, repr=False)
    _loop: Any = field(default=None, init=False, repr=False)
    _selector: Any = field(default=None, init=False, repr=False)
    """The loop's own selector."""
    _run: Any = field(default=None, init=False, repr=False)
    """The loop's own ``run_in_executor``."""
    _under_way: set[Future[Any]] = field(factory=set[Future[Any]], init=False, repr=False)
    """The work of the loop's threads."""

    def clock(self) -> float:
        """Return the time of the loop's clock, in seconds; any thread may call this."""
        return float(self._loop.time())

    @property
    def elapsed(self) -> float:
        """Seconds of fast time since the start of the block."""
        return self.clock() - self._started

    def __enter__(self) -> Self:
        """Start fast time."""
        loop: Any = asyncio.get_running_loop()
        if not hasattr(loop, "_selector"):
            kind = f"{type(loop).__module__}.{type(loop).__name__}"
            raise RuntimeError(
                f"time can only jump in an event loop of asyncio's own, not in {kind}: run this test with asyncio's"
            )
        self._loop, self._selector, self._run, self._started = loop, loop._selector, loop.run_in_executor, loop.time()
        if not isinstance(loop.time, _Clock):
            loop.time = _Clock(loop.time)
        self._clock = loop.time
        loop.run_in_executor = self._run_in_executor
        loop._selector = _Jumping(self._selector, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop fast time: timers take real time again."""
        self._loop._selector, self._loop.run_in_executor = self._selector, self._run

    def _run_in_executor(self, *call: Any) -> Future[Any]:
        future: Future[Any] = self._run(*call)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def select(self, timeout: float | None) -> list[Any]:
        """Wait for *timeout* seconds or for an event; the wait is real only while a thread works."""
        events = self._selector.select(0)
        if events or timeout == 0:
            return list(events)
        if timeout is None or self._under_way:
            return list(self._selector.select(timeout))
        has_sockets = len(self._selector.get_map()) > 1  # the loop's own pipe is always there
        events = self._selector.select(min(timeout, _GRACE if has_sockets else 0.0))
        if not events:
            self._clock.jumped += timeout
            if self.elapsed > self.most:
                self.__exit__(None, None, None)
                raise RuntimeError(f"{self.most:.0f} seconds of fast time are over: does the test wait for something?")
        return list(events)


@define(eq=False)
class _Clock:
    """Replaces the loop's clock for good: one for all blocks in the loop, and no block turns it back."""

    _real: Callable[[], float]
    jumped: float = 0.0
    """Seconds."""

    def __call__(self) -> float:
        return self._real() + self.jumped


@define(eq=False)
class _Jumping:
    """Replaces the selector of the loop."""

    _selector: Any
    _time: FastTime

    def select(self, timeout: float | None = None) -> list[Any]:
        """Wait, or jump."""
        return self._time.select(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)
