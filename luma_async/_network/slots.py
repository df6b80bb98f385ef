"""The places of requests under way: polls that hang hold at most half of them while others wait."""

from __future__ import annotations

import asyncio
from itertools import islice

from attrs import define, field

from luma_async._network.deadlines import Deadline
from luma_async._network.request import Pace, Request

_TIMES_USUAL, _SHORTEST = 3.0, 0.5
"""A poll is slow after this many times the usual time, and at least after these seconds."""
_ANSWERED, _ABANDONED = 0.1, 0.002
"""Weights of the newest poll in the usual time. One that was abandoned would have taken longer, but by how much?"""


@define(eq=False, repr=False)
class _Place:
    """A request in the queue."""

    request: Request
    is_free: asyncio.Future[None]


@define(eq=False, repr=False)
class Slots:
    """At most *limit* requests at a time, in the order of arrival; times are the event loop's, in seconds.

    Polls that hang must not keep healthy ids waiting. While requests wait for a slot, and slow polls hold more than
    half of the slots, the oldest of them are abandoned. A poll that was abandoned, or that timed out, counts as slow
    from then on: such polls together get at most half of the slots, and are not abandoned again.
    """

    limit: int
    usual: float
    """Usual seconds of a poll, the newest ones first in weight; a guess at first."""
    _answered: int = field(default=0, init=False)
    free: int = field(init=False)
    _slow: int = 0
    """Slots that polls of slow ids hold."""
    _latest_is_slow: bool = field(default=False, init=False)
    """Whether the latest slot went to a poll of a slow id: of an only slot, the other polls have every second turn."""
    _queue: dict[_Place, None] = field(factory=dict, init=False)
    """Requests that wait, in the order of arrival."""
    _slow_queue: dict[_Place, None] = field(factory=dict, init=False)
    """The same for polls of slow ids."""
    _running: dict[Deadline, float] = field(factory=dict, init=False)
    """When each poll that may be abandoned got its slot, the oldest first."""
    _abandoned: set[Deadline] = field(factory=set, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.free = self.limit

    def take(self, request: Request) -> bool:
        """Take a slot if one is free and no request waits for it; return whether it is taken."""
        return not (self._slow_queue if request.pace is Pace.SLOW else self._queue) and self._try(request)

    async def acquire(self, request: Request) -> None:
        """Wait for a slot. If this is cancelled, the slot goes to the next request."""
        if self.take(request):
            return
        queue = self._slow_queue if request.pace is Pace.SLOW else self._queue
        place = _Place(request, asyncio.get_running_loop().create_future())
        queue[place] = None
        self._watch()
        try:
            await place.is_free
        except asyncio.CancelledError:
            queue.pop(place, None)
            if not place.is_free.cancelled():
                self.release(request)
            raise

    def release(self, request: Request) -> None:
        """Give the slot of *request* to the next request in the queue; its pace must be the same as at ``acquire``."""
        self.free += 1
        if request.pace is Pace.SLOW:
            self._slow -= 1
        while (self._queue or self._slow_queue) and (place := self._next()) is not None:
            place.is_free.set_result(None)

    def started(self, request: Request, limit: Deadline, now: float) -> None:
        """Record that *request* is sent *now*; it is abandoned by its *limit*."""
        if request.pace is Pace.USUAL:
            self._running[limit] = now
            if self._queue:
                self._watch()

    def ended(self, limit: Deadline) -> bool:
        """Record the end of a request; return whether it was abandoned."""
        self._running.pop(limit, None)
        is_abandoned = limit in self._abandoned
        self._abandoned.discard(limit)
        return is_abandoned

    def answered(self, request: Request, seconds: float) -> Pace:
        """Record that *request* was answered after *seconds*; return the pace of its next poll."""
        if request.pace is Pace.EXEMPT:
            return Pace.EXEMPT
        is_slow = request.pace is Pace.SLOW and seconds > self._slow_after
        self._answered += 1
        self.usual += max(_ANSWERED, 1 / self._answered) * (seconds - self.usual)
        return Pace.SLOW if is_slow else Pace.USUAL

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self, request: Request) -> bool:
        """Take a slot if there is room for *request*."""
        is_slow = request.pace is Pace.SLOW
        if self.free <= 0 or (is_slow and self._slow >= max(self.limit // 2, 1)):
            return False
        self.free -= 1
        self._slow += is_slow
        self._latest_is_slow = is_slow
        return True

    def _next(self) -> _Place | None:
        """Take a slot for the next place in the queue that can have one; remove and return the place."""
        takes_turns = self.limit == 1 and self._latest_is_slow
        for queue in (self._queue, self._slow_queue) if takes_turns else (self._slow_queue, self._queue):
            while queue and next(iter(queue)).is_free.cancelled():
                del queue[next(iter(queue))]
            for place in tuple(islice(queue, 1)):
                if self._try(place.request):
                    del queue[place]
                    return place
        return None

    # --- slow polls ---

    @property
    def _slow_after(self) -> float:
        return max(_TIMES_USUAL * self.usual, _SHORTEST)

    def _watch(self) -> None:
        """Look at the polls under way when the next of them becomes slow, if requests wait for a slot."""
        if self._timer is None and self._queue and self._running:
            clock = asyncio.get_running_loop()
            due = next(iter(self._running.values())) + self._slow_after
            self._timer = clock.call_at(max(due, clock.time() + _SHORTEST / 5), self._abandon)

    def _abandon(self) -> None:
        """Abandon the oldest slow polls beyond half of the slots."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        slow = [limit for limit, start in self._running.items() if now - start >= self._slow_after]
        beyond = len(slow) + self._slow - self.limit // 2 if self._queue else 0
        for limit in slow[: max(beyond, 0)]:
            self.usual += _ABANDONED * (now - self._running.pop(limit) - self.usual)
            self._abandoned.add(limit)
            limit.expire()
        self._watch()
