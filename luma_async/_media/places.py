"""Which download may run: never too many at once, none of them at the cost of a healthy one. No I/O."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from attrs import define, field

_SLOW = 2**16
"""Bytes per second: a video of 10 MB, the usual size, would take more than two minutes."""
_WINDOW = 2.0
"""Seconds that a download is watched before it counts as slow: connections are made in less."""
_REVIEW = 0.5
"""Seconds between two reviews while downloads wait for a place."""


class GivenUpError(Exception):
    """A slow download has given its place up."""


@define(eq=False)
class Place:
    """The right of one download to run."""

    host: str = ""
    is_slow: bool = False
    """Whether it brought less than ``_SLOW`` bytes per second when it was last watched."""
    since: float = 0.0
    """The start of its window, in seconds of the event loop."""
    _stored: int = 0
    _total: int = 0
    _stored_at_start: int = 0
    _is_kept: bool = True
    """Whether it cannot be given up: before its block, and while the file gets its name."""
    _scope: asyncio.Timeout = field(factory=lambda: asyncio.Timeout(None), init=False)

    def note(self, stored: int, total: int) -> None:
        """Note the bytes of the file so far, and those of the whole file; 0 where that is unknown."""
        self._stored, self._total = stored, total

    @contextmanager
    def kept(self) -> Generator[None]:
        """Keep the place in this block, which gives the file its name."""
        self._is_kept = True
        if self.has_given_up:  # in this turn of the event loop
            self._scope.reschedule(None)
        try:
            yield
        finally:
            self._is_kept = False

    def watch(self, now: float) -> None:
        """At the end of a window, judge the download by its bytes, and start the next window."""
        if now - self.since >= _WINDOW:
            self.is_slow = self._stored - self._stored_at_start < _SLOW * (now - self.since)
            self.since, self._stored_at_start = now, self._stored

    @property
    def has_given_up(self) -> bool:
        """Whether its block is about to end."""
        return self._scope.when() is not None

    @property
    def loss(self) -> int | None:
        """The bytes that giving up would cost; None where it may not: past its half it ends sooner than it started."""
        return None if self._is_kept or 0 < self._total < 2 * self._stored else self._stored

    def give_up(self) -> None:
        """End the block that has this place."""
        self._scope.reschedule(self.since)

    @asynccontextmanager
    async def in_use(self) -> AsyncGenerator[None]:
        """Run a block that ``give_up`` ends with GivenUpError."""
        try:
            async with self._scope:
                self._is_kept = False
                yield
        except TimeoutError:
            if self._scope.expired():
                raise GivenUpError from None
            raise


@define(eq=False)
class Places:
    """The places of one client's downloads.

    A free place goes to the host that has the fewest. Where all places are taken and others wait, slow downloads keep
    at most half of them: the others give up, start again later, and leave the other half to newcomers from then on.
    """

    limit: int
    _taken: set[Place] = field(factory=set, init=False)
    _per_host: Counter[str] = field(factory=Counter, init=False)
    _waiting: dict[str, deque[tuple[Place, asyncio.Future[None]]]] = field(factory=dict, init=False)
    """By host; none is empty."""
    _slow: deque[tuple[Place, asyncio.Future[None]]] = field(factory=deque, init=False)
    """Those that gave up once."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    @asynccontextmanager
    async def taken(self, host: str, *, is_slow: bool = False) -> AsyncGenerator[Place]:
        """Wait for a place, and have it in the block.

        Args:
            host: Where the medium comes from.
            is_slow: Whether the download has given up a place before.

        Raises:
            GivenUpError: In the block: the download was slow, and another one needs the place.
        """
        place = Place(host, is_slow)
        await self._granted(place)
        try:
            async with place.in_use():
                yield place
        finally:
            self._release(place)

    async def _granted(self, place: Place) -> None:
        waiter = place, asyncio.get_running_loop().create_future()
        queue = self._slow if place.is_slow else self._waiting.setdefault(place.host, deque())
        queue.append(waiter)
        self._grant()
        try:
            await waiter[1]
        except asyncio.CancelledError:
            if place in self._taken:
                self._release(place)
            elif waiter in queue:
                queue.remove(waiter)
                self._forget_if_empty(place.host)
            raise

    def _release(self, place: Place) -> None:
        self._taken.remove(place)
        self._per_host[place.host] -= 1
        if not self._per_host[place.host]:
            del self._per_host[place.host]
        self._grant()

    def _grant(self) -> None:
        """Give the free places to those that wait."""
        loop = asyncio.get_running_loop()
        while len(self._taken) < self.limit and (queue := self._next()):
            place, waiter = queue.popleft()
            self._forget_if_empty(place.host)
            if not waiter.done():  # cancelled in this turn of the event loop
                place.since = loop.time()
                self._taken.add(place)
                self._per_host[place.host] += 1
                waiter.set_result(None)
        if self._waiting and self._timer is None:
            self._timer = loop.call_later(_REVIEW, self._review, loop)

    def _next(self) -> deque[tuple[Place, asyncio.Future[None]]] | None:
        """Return the queue that is served next; slow downloads have half of the places, and one before all others."""
        slow = sum(place.is_slow for place in self._taken)
        if self._slow and (not slow or (not self._waiting and slow < self._most_slow)):
            return self._slow
        if not self._waiting:
            return None
        fewest = next((host for host in self._waiting if host not in self._per_host), None)
        return self._waiting[min(self._waiting, key=self._per_host.__getitem__) if fewest is None else fewest]

    def _forget_if_empty(self, host: str) -> None:
        if not self._waiting.get(host, True):
            del self._waiting[host]

    @property
    def _most_slow(self) -> int:
        return max(1, self.limit // 2)

    def _review(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let slow downloads beyond their half give up for those that wait, the ones with the smallest loss first."""
        self._timer = None
        now = loop.time()
        for place in self._taken:
            place.watch(now)
        slow = [place for place in self._taken if place.is_slow and not place.has_given_up]
        losses = sorted(((place.loss, place) for place in slow if place.loss is not None), key=lambda pair: pair[0])
        wanted = min(len(slow) - self._most_slow, sum(map(len, self._waiting.values())))
        for _, place in losses[: max(0, wanted)]:
            place.give_up()
        if self._waiting:
            self._timer = loop.call_later(_REVIEW, self._review, loop)
