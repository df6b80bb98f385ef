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
"""How fast waiting requests are released after a pause: more at once would be the burst that caused it."""
_RELEASED_WITHIN = 1 / 3
"""Share of the policy's ``max_interval`` in which all waiting requests are released.

Our own backoff uses at most the other two thirds, so pause and release together take at most one ``max_interval``.
"""
_HEAD_START = 1.0
"""Seconds for which all other requests wait for the first answer, so that an early *slow down* comes only once."""


@define(eq=False, repr=False)
class Cooldown:
    """A gate for all requests: open, until the relay says *slow down*.

    Then it is closed for a pause. After the pause one request goes first, the probe; if the relay does not slow it
    down, the gate opens for the others. The first request of a client is a probe too. The clock is the running event
    loop's, in seconds.
    """

    policy: PollPolicy
    randomness: Callable[[], float] = random
    is_open: bool = False
    _backoff: Backoff = field(init=False)
    _until: float = 0.0
    _complaints: int = 0
    """*Slow down* answers in a row, without those to requests that were under way together."""
    _since: float = 0.0
    """When the first of them came."""
    _complained: bool = False
    """Whether the relay has ever said *slow down*."""
    _probing: bool = False
    _waiting: int = 0
    _probed: asyncio.Event = field(factory=asyncio.Event)
    """Set at the end of the current probe."""

    def __attrs_post_init__(self) -> None:
        self._backoff = Backoff(self.policy, self.randomness)

    async def enter(self) -> bool:
        """Wait until a request may go out; return whether it is the probe, which must call ``probe_ended``."""
        while not self.is_open:
            if not self._probing:
                await self._rest()
                return True
            await self._queue()
        return False

    def slow_down(self, hint: float | None, *, probing: bool) -> float | None:
        """Close the gate for *hint* seconds, or for our own backoff, but at most for the policy's ``max_interval``.

        Returns:
            The seconds; None if the gate was closed already while this request was under way.
        """
        now = asyncio.get_running_loop().time()
        is_new = self.is_open or probing
        if is_new:
            self._since = self._since if self._complaints else now
            self._complaints += 1
            self._until = 0.0
        longest = (1 - _RELEASED_WITHIN) * self.policy.max_interval
        pause = hint or min(self._backoff.pause(self._complaints), longest)
        pause = min(max(pause, self.policy.shortest_interval), self.policy.max_interval)
        self._until = max(self._until, now + pause)
        self.is_open = False
        self._complained = True
        return pause if is_new else None

    def probe_ended(self, *, accepted: bool) -> float | None:
        """Open the gate if the relay *accepted* the probe; otherwise another request rests and probes.

        Returns:
            The seconds of the pause that ends now; None if no pause ends.
        """
        self._probing = False
        lasted = None
        now = asyncio.get_running_loop().time()
        if accepted and self._until <= now:  # else the relay has complained about another request meanwhile
            lasted = now - self._since if self._complaints else None
            self.is_open = True
            self._complaints = 0
        probed, self._probed = self._probed, asyncio.Event()
        probed.set()
        return lasted

    async def _rest(self) -> None:
        """Become the probe: sleep until the pause is over, even if it gets longer.

        If this is cancelled, another request becomes the probe.
        """
        self._probing = True
        loop = asyncio.get_running_loop()
        try:
            while (left := self._until - loop.time()) > 0:  # noqa: ASYNC110 - a later complaint moves the end
                await asyncio.sleep(left)
        except asyncio.CancelledError:
            self.probe_ended(accepted=False)
            raise

    async def _queue(self) -> None:
        """Wait for the probe's end, then for a random share of the time in which all waiting requests are released."""
        if not self._complained:
            await self._await_first_answer()
            return
        self._waiting += 1
        try:
            await self._probed.wait()
            if self.is_open:
                spread = min(_RELEASED_WITHIN * self.policy.max_interval, self._waiting / _RELEASED_PER_SECOND)
                await asyncio.sleep(spread * self.randomness())
        finally:
            self._waiting -= 1

    async def _await_first_answer(self) -> None:
        """Give the first request its head start; after that, the other requests go out without its answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_START):
                await self._probed.wait()
        if not self._complained:
            self.is_open = True
