"""So many requests a second: each waits for its turn, and a turn that is not used is the next one's."""

from __future__ import annotations

import asyncio
from collections import deque

from attrs import define, field

_MOST_LATE = 0.1
"""Seconds that turns may lag behind and still catch up. Timers are late by less; what a blocked event loop has missed
is lost, or it would be a burst."""


@define(eq=False, repr=False)
class Rate:
    """Turns that are ``1 / per_second`` seconds apart, first come, first served. The clock is the event loop's."""

    per_second: float
    _next: float = field(default=0.0, init=False)
    """When the next turn comes; it does not depend on how many wait, so those who leave leave no hole."""
    _line: deque[asyncio.Future[None]] = field(factory=deque[asyncio.Future[None]], init=False)
    """Who waits; some have left."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    async def turn(self) -> None:
        """Wait for a turn, and take it. Cancelling leaves it to the next in line."""
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
        """Leave a turn that was taken, and for which no request goes out, to the next in line."""
        self._next = max(self._next - 1 / self.per_second, asyncio.get_running_loop().time())
        self._disarm()
        self._serve()

    def _serve(self, rung: float = 0.0) -> None:
        """Give the turns that have come, and wait for the next one; *rung* is the time of a timer that has rung."""
        now = max(rung, asyncio.get_running_loop().time())
        self._forget_leavers()
        while self._line and self._next <= now:
            self._line.popleft().set_result(None)
            self._next = max(self._next, now - _MOST_LATE) + 1 / self.per_second
            self._forget_leavers()
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

    def _forget_leavers(self) -> None:
        """Let somebody who still waits be the first in line."""
        while self._line and self._line[0].done():
            self._line.popleft()
