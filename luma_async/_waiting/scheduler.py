"""Ends the pauses of all ids with one timer, and wakes ids together that can share a request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from heapq import heappop, heappush

from attrs import define, field

from luma_async._waiting.turns import TurnShare

_Window = tuple[float, float]
"""The earliest and the latest end of a pause."""
_Queue = list[tuple[float, _Window]]
"""A heap of windows, ordered by one of these times."""

_REQUESTS_IN_A_TURN = 5
"""Full requests whose ids wake in one turn of the event loop, at most."""


@define(eq=False, repr=False)
class Wakeup:
    """A pause that ends within a time window; times are on the event loop's clock, in seconds."""

    earliest: float
    latest: float
    on_turn: Callable[[float], object]
    """Called once with the time, unless ``leave`` was called before."""
    is_over: bool = False

    def leave(self) -> None:
        """Cancel the wakeup. Its entry stays in the scheduler for a while, but refers to nothing else."""
        self.is_over = True
        self.on_turn = _do_nothing


def _do_nothing(_: float) -> None:
    """Replace the callback of a cancelled wakeup."""


@define(eq=False, repr=False)
class Scheduler:
    """All wakeups, grouped by their window: ids of one answer often have the same window.

    When the latest time of a wakeup has come, all wakeups whose earliest time has come end too, so that their ids can
    share a request. A request has room for *most* ids: wakeups that would only start another request stay, if possible.
    """

    most: int
    share: TurnShare = field(factory=TurnShare)
    _resting: dict[_Window, list[Wakeup]] = field(factory=dict)
    _by_earliest: _Queue = field(factory=list)
    _by_latest: _Queue = field(factory=list)
    _timer: asyncio.TimerHandle | None = None
    _armed_for: float = math.inf
    """The time of the timer; only the handles of asyncio's own loop have it as an attribute."""

    def rest(self, earliest: float, latest: float, on_turn: Callable[[float], object]) -> Wakeup:
        """Start a pause, and return its wakeup."""
        resting = Wakeup(earliest, latest, on_turn)
        if self._place(resting):
            heappush(self._by_latest, (latest, (earliest, latest)))
            if latest < self._armed_for:
                self._arm(latest)
        return resting

    def close(self) -> None:
        """Drop all wakeups."""
        self._disarm()
        self._resting.clear()
        self._by_earliest.clear()
        self._by_latest.clear()

    def _place(self, resting: Wakeup) -> bool:
        """Add *resting* to its window; return whether the window is new."""
        window = resting.earliest, resting.latest
        together = self._resting.get(window)
        if together is not None:
            together.append(resting)
            return False
        self._resting[window] = [resting]
        if resting.earliest < resting.latest:
            heappush(self._by_earliest, (resting.earliest, window))
        return True

    def _arm(self, at: float) -> None:
        self._disarm()
        self._armed_for = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring, at)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_for = None, math.inf

    def _ring(self, at: float) -> None:
        self._timer, self._armed_for = None, math.inf
        now = max(at, asyncio.get_running_loop().time())
        must = self._taken(self._by_latest, now)
        woken = must + self._companions(len(must), now) if must else []
        following = self._next(self._by_latest)
        if following < math.inf:
            self._arm(following)
        self._wake(woken, now)

    def _wake(self, woken: list[Wakeup], now: float) -> None:
        """End these wakeups, a few full requests in each turn of the event loop: others must not wait for thousands."""
        ended = 0
        while ended < min(len(woken), _REQUESTS_IN_A_TURN * self.most) and not self.share.is_used_up():
            for resting in woken[ended : ended + self.most]:
                resting.on_turn(now)
            ended += self.most
        if ended < len(woken):
            asyncio.get_running_loop().call_soon(self._wake, woken[ended:], now)

    def _companions(self, must: int, now: float) -> list[Wakeup]:
        """Remove and return the wakeups that can join the *must* wakeups that are due.

        If the last request would not be full, the wakeups with the latest times stay.
        """
        may = self._taken(self._by_earliest, now)
        full = (must + len(may)) // self.most * self.most
        if full < must:
            return may
        may.sort(key=lambda resting: resting.latest)
        for resting in may[full - must :]:
            self._place(resting)
        return may[: full - must]

    def _taken(self, queue: _Queue, now: float) -> list[Wakeup]:
        """Remove and return the wakeups whose time in *queue* has come, except those that the other queue removed."""
        taken: list[Wakeup] = []
        while queue and queue[0][0] <= now:
            taken += self._resting.pop(heappop(queue)[1], ())
        return [resting for resting in taken if not resting.is_over]

    def _next(self, queue: _Queue) -> float:
        """Return the first time in *queue* with a wakeup that is not over; infinite if there is none."""
        while queue:
            at, window = queue[0]
            if any(not resting.is_over for resting in self._resting.get(window, ())):
                return at
            heappop(queue)
            self._resting.pop(window, None)
        return math.inf
