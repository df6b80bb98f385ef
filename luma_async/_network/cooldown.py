"""The pause that all ids of a client share after the relay said *slow down* (architecture, rule 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import random

from attrs import define, field

from luma_async._network.backoff import Backoff
from luma_async.settings import PollPolicy

_RELEASED_PER_SECOND = 20
"""How fast those who waited go out again: more at once would be the burst that the relay complained about."""
_RELEASED_WITHIN = 1 / 3
"""Share of the policy's ``maximum`` that is theirs to go out in: our own backoff leaves it free, so that after any
pause of our own choice everything is as before within that maximum."""
_HEAD_START = 1.0
"""Seconds for which everybody waits for the very first answer: a relay that says *slow down* says it once, then."""


@define(eq=False, repr=False)
class Cooldown:
    """Open until the relay complains; then shut for a while, then one probe goes first, as does the first of all.

    The clock is the running event loop's, in seconds.
    """

    policy: PollPolicy
    randomness: Callable[[], float] = random
    is_open: bool = False
    _backoff: Backoff = field(init=False)
    _until: float = 0.0
    _complaints: int = 0
    _since: float = 0.0
    """When the first of them came."""
    _complained: bool = False
    """Ever."""
    _probing: bool = False
    _waiting: int = 0
    _turned: asyncio.Event = field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self._backoff = Backoff(self.policy, self.randomness)

    async def passage(self) -> bool:
        """Wait until a request may go out; return whether it is the probe, which must call ``probe_ended``."""
        while not self.is_open:
            if not self._probing:
                await self._rest()
                return True
            await self._queue()
        return False

    def slow_down(self, hint: float | None, *, probing: bool) -> float | None:
        """Shut for *hint* seconds, or for our own backoff, but at most for the policy's ``maximum``.

        Returns:
            The seconds; None for one more complaint from those who were under way when another was heard.
        """
        now = asyncio.get_running_loop().time()
        begins = self.is_open or probing
        if begins:
            self._since = self._since if self._complaints else now
            self._complaints += 1
            self._until = 0.0
        longest = (1 - _RELEASED_WITHIN) * self.policy.max_interval
        pause = hint or min(self._backoff.pause(self._complaints), longest)
        pause = min(max(pause, self.policy.shortest_interval), self.policy.max_interval)
        self._until = max(self._until, now + pause)
        self.is_open = False
        self._complained = True
        return pause if begins else None

    def probe_ended(self, *, welcome: bool) -> float | None:
        """Open if the probe was *welcome*; else let the next one rest and probe. Those who wait look up.

        Returns:
            How many seconds the pause was that is over now; None where none is over.
        """
        self._probing = False
        lasted = None
        if welcome:
            lasted = asyncio.get_running_loop().time() - self._since if self._complaints else None
            self.is_open = True
            self._complaints = 0
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()
        return lasted

    async def _rest(self) -> None:
        """Be the probe: sleep until the pause is over, even if it is prolonged. Cancelling leaves it to another."""
        self._probing = True
        loop = asyncio.get_running_loop()
        try:
            while (left := self._until - loop.time()) > 0:  # noqa: ASYNC110 - a later complaint moves the end
                await asyncio.sleep(left)
        except asyncio.CancelledError:
            self.probe_ended(welcome=False)
            raise

    async def _queue(self) -> None:
        """Wait for the probe's end, then a random share of the time that all who wait need to go out evenly."""
        if not self._complained:
            await self._begin()
            return
        self._waiting += 1
        try:
            await self._turned.wait()
            if self.is_open:
                spread = min(_RELEASED_WITHIN * self.policy.max_interval, self._waiting / _RELEASED_PER_SECOND)
                await asyncio.sleep(spread * self.randomness())
        finally:
            self._waiting -= 1

    async def _begin(self) -> None:
        """Let the first of all have its head start; nobody waits longer for one that gets no answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_START):
                await self._turned.wait()
        if not self._complained:
            self.is_open = True
