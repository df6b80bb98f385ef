"""Whose turn it is when: one timer for all who rest, and those who may wait for each other wake together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from heapq import heappop, heappush

from attrs import define, field

_Window = tuple[float, float]
"""The earliest and the latest end of a rest."""
_Queue = list[tuple[float, _Window]]
"""A heap of windows, by one of these."""


@define(eq=False, repr=False)
class Wakeup:
    """One who rests, until some time within a window; times are the event loop's, in seconds."""

    earliest: float
    latest: float
    on_turn: Callable[[float], object]
    """Called once with the time, unless he leaves before."""
    is_over: bool = False

    def leave(self) -> None:
        """End the rest before its time, unnoticed; the place in the agenda stays for a while, and holds nobody."""
        self.is_over = True
        self.on_turn = _nobody


def _nobody(_: float) -> None:
    """Stand in for one who has left."""


@define(eq=False, repr=False)
class Scheduler:
    """All who rest, those with the same window in one place: ids of one answer often have the same.

    When somebody can wait no longer, all whose time may have come wake with him, so that they can share a request. A
    request takes *most* of them: what is more than fills requests goes on resting while it may.
    """

    most: int
    _resting: dict[_Window, list[Wakeup]] = field(factory=dict)
    _by_earliest: _Queue = field(factory=list)
    _by_latest: _Queue = field(factory=list)
    _timer: asyncio.TimerHandle | None = None
    _armed_for: float = math.inf
    """When the timer rings: only asyncio's own loop has handles that tell it."""

    def rest(self, earliest: float, latest: float, on_turn: Callable[[float], object]) -> Wakeup:
        """Begin a rest, and return it, to leave it by."""
        resting = Wakeup(earliest, latest, on_turn)
        if self._place(resting):
            heappush(self._by_latest, (latest, (earliest, latest)))
            if latest < self._armed_for:
                self._arm(latest)
        return resting

    def close(self) -> None:
        """Watch over nobody any more."""
        self._disarm()
        self._resting.clear()
        self._by_earliest.clear()
        self._by_latest.clear()

    def _place(self, resting: Wakeup) -> bool:
        """Put *resting* among those with the same window; return whether there were none."""
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
        for resting in woken:
            resting.on_turn(now)

    def _companions(self, must: int, now: float) -> list[Wakeup]:
        """Take those whose time may have come, along with the *must* whose time it is.

        Those with most patience are spared if they would go in a request that is not full.
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
        """Take those who rest out of *queue* whose time in it has come; some have gone by the other one already."""
        taken: list[Wakeup] = []
        while queue and queue[0][0] <= now:
            taken += self._resting.pop(heappop(queue)[1], ())
        return [resting for resting in taken if not resting.is_over]

    def _next(self, queue: _Queue) -> float:
        """Return the first time in *queue* at which somebody still rests; infinite without one."""
        while queue:
            at, window = queue[0]
            if any(not resting.is_over for resting in self._resting.get(window, ())):
                return at
            heappop(queue)
            self._resting.pop(window, None)
        return math.inf
