"""Whose turn it is when: one timer for all who rest, and those who may wait for each other wake together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from attrs import define, field


@define(eq=False, repr=False)
class Rest:
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


_Queue = list[tuple[float, int, Rest]]


@define(eq=False, repr=False)
class Agenda:
    """All who rest.

    When somebody can wait no longer, all whose time may have come wake with him, so that they can share a request. A
    request takes *most* of them: what is more than fills requests goes on resting while it may.
    """

    most: int
    _by_earliest: _Queue = field(factory=list)
    _by_latest: _Queue = field(factory=list)
    _numbers: count[int] = field(factory=count)
    _timer: asyncio.TimerHandle | None = None

    def rest(self, earliest: float, latest: float, on_turn: Callable[[float], object]) -> Rest:
        """Begin a rest, and return it, to leave it by."""
        resting = Rest(earliest, latest, on_turn)
        number = next(self._numbers)
        heappush(self._by_latest, (latest, number, resting))
        if earliest < latest:
            heappush(self._by_earliest, (earliest, number, resting))
        if self._timer is None or latest < self._timer.when():
            self._arm(latest)
        return resting

    def close(self) -> None:
        """Watch over nobody any more."""
        self._disarm()
        self._by_earliest.clear()
        self._by_latest.clear()

    def _arm(self, at: float) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_at(at, self._ring, at)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, at: float) -> None:
        self._timer = None
        now = max(at, asyncio.get_running_loop().time())
        must = _taken(self._by_latest, now)
        woken = must + self._companions(len(must), now) if must else []
        for resting in woken:
            resting.is_over = True  # before the timer is set again: it would ring once more for those who go along
        following = _next(self._by_latest)
        if following < math.inf:
            self._arm(following)
        for resting in woken:
            resting.on_turn(now)

    def _companions(self, must: int, now: float) -> list[Rest]:
        """Take those whose time may have come, along with the *must* whose time it is.

        Those with most patience are spared if they would go in a request that is not full.
        """
        if _next(self._by_earliest) > now:
            return []
        may = [resting for resting in _taken(self._by_earliest, now) if resting.latest > now]
        full = (must + len(may)) // self.most * self.most
        if full < must:
            return may
        may.sort(key=lambda resting: resting.latest)
        for resting in may[full - must :]:
            heappush(self._by_earliest, (resting.earliest, next(self._numbers), resting))
        return may[: full - must]


def _taken(queue: _Queue, now: float) -> list[Rest]:
    """Take those who rest out of *queue* whose time in it has come."""
    taken: list[Rest] = []
    while queue and queue[0][0] <= now:
        resting = heappop(queue)[2]
        if not resting.is_over:
            taken.append(resting)
    return taken


def _next(queue: _Queue) -> float:
    """Return the first time in *queue* of one who still rests; infinite without one."""
    while queue and queue[0][2].is_over:
        heappop(queue)
    return queue[0][0] if queue else math.inf
