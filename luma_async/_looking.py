"""What one look comes to; and the single look of a user, patient with passing trouble."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property
from time import monotonic
from typing import Any, ClassVar, cast

from attrs import define
from tenacity import AsyncRetrying, RetryCallState

from luma_async._batching import Batcher
from luma_async._learning import Stay
from luma_async._transport import Request
from luma_async._wire import Sighting, task_path
from luma_async.errors import APIError, LumaError
from luma_async.models import Generation
from luma_async.outcomes import Outcome
from luma_async.pacing import PollPolicy, PollWait

_MOST_TRIES = 3
"""Of a single look, when passing trouble comes between."""


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


async def look_patiently(batcher: Batcher, policy: PollPolicy, task_id: str) -> Outcome:
    """Ask up to three times through passing trouble, for ``request_timeout`` seconds from the first slot on."""
    began = asyncio.get_running_loop().time()
    glance = _Glance(batcher, task_id)
    try:
        look = await Wheel(wait=PollWait(policy), stop=glance.is_over).turn(glance.look)
    finally:
        batcher.forget(task_id)
    return Outcome(
        task_id=task_id,
        generation=look.generation,
        error=look.error and look.error.for_task(task_id),
        elapsed=asyncio.get_running_loop().time() - began,
        looks=glance.tries,
    )


@define(eq=False, repr=False)
class _Glance:
    """A single look as the user sees it: up to three tries with one allowance of time."""

    batcher: Batcher
    task_id: str
    tries: int = 0
    _first: Request | None = None
    _trouble: LumaError | None = None

    async def look(self) -> Look:
        """Try once; where time is over before anything comes, the trouble before is the end."""
        self.tries += 1
        try:
            known, news = await self._sight()
        except LumaError as error:
            self._trouble = error
        except TimeoutError:
            return Look(error=self._trouble, is_last=True)
        else:
            generation = known.recall(self.task_id) if news is None else news.generation()
            return Look(generation=generation, good=1, is_last=True)
        return Look(error=self._trouble, failures=self.tries, is_last=not self._trouble.retryable)

    async def _sight(self) -> Sighting:
        """Ask once; the first time, waiting for a slot may take as long as it takes."""
        if self._first is None:
            self._first = Request("GET", task_path(self.task_id))
            return await self.batcher.look(self.task_id, request=self._first)
        expires = self._expires()
        async with asyncio.timeout_at(expires if expires < math.inf else None):
            return await self.batcher.look(self.task_id, deadline=expires)

    def is_over(self, retry_state: RetryCallState) -> bool:
        """Tell tenacity to stop: enough tries, or the pause would outlast the allowance."""
        expires = self._expires()
        resumes = asyncio.get_running_loop().time() + retry_state.upcoming_sleep
        return self.tries >= _MOST_TRIES or resumes >= expires

    def _expires(self) -> float:
        """Return when the allowance ends; it begins with the first slot, so that queueing costs nothing."""
        if self._first is None or self._first.admitted_at is None:
            return math.inf
        return self._first.admitted_at + self.batcher.transport.settings.limits.request_timeout
