"""tenacity's controller of one poll loop: it asks the strategy for each pause."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property
from time import monotonic
from typing import Any, ClassVar, cast

from attrs import define
from tenacity import AsyncRetrying, RetryCallState

from luma_async._waiting.learning import Stay
from luma_async.errors import APIError, LumaError
from luma_async.models import Generation


@define(eq=False, kw_only=True)
class Look:
    """What one look came to, and what the pause after it depends on.

    It is tenacity's outcome too: tenacity's own kind has locks for threads, and costs as much as all else after a look.
    """

    generation: Generation | None = None
    """Set where the look is the last one and a good one."""
    error: LumaError | None = None
    good: int = 0
    """Good looks so far, this one included."""
    failures: int = 0
    """Failed looks in a row, this one included."""
    is_last: bool = False
    """Whether nothing better can come of another look."""
    stay: Stay | None = None
    """The task's stay in the state that it was last seen in, where that is followed."""
    attempt_number: int = 1
    """tenacity's: good looks and failed ones alike."""
    failed: ClassVar[bool] = False
    """tenacity's: a failed look is a result too, and no error is raised to go on."""

    @property
    def hint(self) -> float | None:
        """Seconds the relay asked to be left alone, or None."""
        return self.error.retry_after if isinstance(self.error, APIError) else None

    def result(self) -> Look:
        """Return the look, to tenacity's strategies."""
        return self

    def exception(self) -> None:
        """Tell them that there is none."""


class Wheel(AsyncRetrying):
    """tenacity's controller, turned by looks that say themselves whether they are the last.

    Its state and strategies are tenacity's; its loop is not, since hooks that nobody has hung on it and locks that no
    thread contends for are two thirds of its time. One for each loop: one that is shared mixes up its users' states.
    """

    def __init__(self, **strategies: Any) -> None:
        super().__init__(**strategies)
        with suppress(AttributeError):
            del self._local  # tenacity makes one at once
        self._state = RetryCallState(retry_object=self, fn=None, args=(), kwargs={})

    @cached_property
    def _local(self) -> threading.local:  # type: ignore[override] # a cached property can be set
        """What tenacity keeps for each thread, such as statistics: five objects, for the few who ask for it."""
        return threading.local()

    def pause_after(self, look: Look) -> float | None:
        """Return the seconds to pause after *look*; None where it is the last, or the strategy for stopping says so."""
        if look.is_last:
            return None
        state = self._state
        look.attempt_number = state.attempt_number
        state.outcome = look  # type: ignore[assignment] # as far as strategies look
        state.outcome_timestamp = monotonic()
        state.upcoming_sleep = pause = self.wait(state)
        if self.stop(state):
            return None
        state.idle_for += pause
        state.prepare_for_next_attempt()
        return pause

    async def turn(self, look: Callable[[], Awaitable[Look]]) -> Look:
        """Look and rest until there is no pause any more, and return the last look."""
        sleep = cast("Callable[[float], Awaitable[None]]", self.sleep)
        while (pause := self.pause_after(seen := await look())) is not None:
            await sleep(pause)
        return seen
