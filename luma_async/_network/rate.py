"""What each request waits for: its turn by the rate limit, then the gate that the user shares with others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from attrs import define, field

from luma_async._listeners import raise_if_exit
from luma_async._text import shown
from luma_async.errors import TransportError, Verdict

Gate = Callable[[], Awaitable[object]]

_MOST_LATE = 0.1
"""Seconds that turns may be late and still catch up.

Timers are late by less. Turns that a blocked event loop missed are lost: catching up with them would be a burst.
"""


@define(eq=False, repr=False)
class Rate:
    """Turns that are ``1 / per_second`` seconds apart, in the order of arrival. The clock is the event loop's."""

    per_second: float
    _next: float = field(default=0.0, init=False)
    """When the next turn comes. It does not depend on the number of waiting requests, so a cancelled one costs none."""
    _line: deque[asyncio.Future[None]] = field(factory=deque[asyncio.Future[None]], init=False)
    """The waiting requests; some may be cancelled."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    async def turn(self) -> None:
        """Wait for a turn, and take it. If this is cancelled, the turn goes to the next request."""
        loop = asyncio.get_running_loop()
        if not self._line:
            self._next = max(self._next, loop.time())
        turn = loop.create_future()
        self._line.append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._serve()
            else:
                self.give_back()
            raise

    def give_back(self) -> None:
        """Return a turn that was taken, but not used for a request; it goes to the next request."""
        self._next = max(self._next - 1 / self.per_second, asyncio.get_running_loop().time())
        self._disarm()
        self._serve()

    def _serve(self, rung: float = 0.0) -> None:
        """Give the turns that are due, and set the timer for the next one; *rung* is the time of a timer that ended."""
        now = max(rung, asyncio.get_running_loop().time())
        self._drop_cancelled()
        while self._line and self._next <= now:
            self._line.popleft().set_result(None)
            self._next = max(self._next, now - _MOST_LATE) + 1 / self.per_second
            self._drop_cancelled()
        if not self._line:
            self._disarm()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._next, self._ring, self._next)

    def _ring(self, at: float) -> None:
        self._timer = None
        self._serve(at)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop_cancelled(self) -> None:
        """Drop cancelled requests from the front of the line."""
        while self._line and self._line[0].done():
            self._line.popleft()


@define(eq=False, repr=False)
class Turns:
    """Lets each request through in its turn."""

    rate: Rate | None
    gate: Gate | None = None

    async def turn(self) -> None:
        """Wait for the rate limit, then for the gate. A turn that the gate keeps from a request goes to the next one.

        Raises:
            TransportError: The gate raised an exception. It passes: a limiter that is away must end no wait at once.
        """
        if self.rate is not None:
            await self.rate.turn()
        if self.gate is None:
            return
        try:
            await self.gate()
        except asyncio.CancelledError:
            self.give_back()
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raised: BaseException = asyncio.CancelledError("it was cancelled")
        except BaseException as error:  # noqa: BLE001 - it goes to the waiters
            raise_if_exit(error)
            self.give_back()
            raised = error
        else:
            return
        what = f"{type(raised).__name__}: {shown(str(raised), 200)}"
        raise TransportError(f"the gate raised {what}", verdict=Verdict.PASSING, advice="see gate=") from raised

    def give_back(self) -> None:
        """Return a turn that was not used."""
        if self.rate is not None:
            self.rate.give_back()
