"""The pauses of a batch of submits that the relay refuses for now."""

from __future__ import annotations

import asyncio

from attrs import define, field

from luma_async._network.backoff import Backoff
from luma_async.cli.output import say
from luma_async.errors import RateLimitError
from luma_async.settings import PollPolicy

_GROWTH = PollPolicy(initial_interval=2.0, max_interval=60.0, multiplier=2.0)


@define(eq=False)
class Pauses:
    """One pause at a time, shared by all submits of a batch; each is longer than the one before, up to a minute.

    A relay that has too many jobs takes the next one when a generation has ended (contract section 6).
    """

    _backoff: Backoff = field(factory=lambda: Backoff(_GROWTH))
    _ends: float = 0.0
    """In the event loop's seconds."""
    _in_a_row: int = 0

    def submitted(self) -> None:
        """Let the next pause be a short one: the relay has taken a submit."""
        self._in_a_row = 0

    async def after(self, refusal: RateLimitError) -> None:
        """Wait until another submit may be tried: the relay's ``Retry-After``, or a growing pause.

        A new pause is reported on standard error. Cancelling ends this at once.
        """
        clock = asyncio.get_running_loop()
        if clock.time() >= self._ends:
            self._in_a_row += 1
            seconds = refusal.retry_after or self._backoff.pause(self._in_a_row)
            say(f"not submitted for now: {refusal.summary}; the next try is in {seconds:.0f} s")
        else:
            seconds = refusal.retry_after or 0.0
        self._ends = max(self._ends, clock.time() + seconds)
        while (left := self._ends - clock.time()) > 0:  # noqa: ASYNC110 - a later refusal starts another pause
            await asyncio.sleep(left)
