"""What one look comes to; and the single look of a user, patient with passing trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from attrs import define, frozen
from tenacity import AsyncRetrying, DoAttempt, DoSleep, retry_if_result

from luma_async._batching import Batcher
from luma_async._learning import Stay
from luma_async._transport import Request
from luma_async._wire import task_path
from luma_async.errors import APIError, LumaError
from luma_async.models import Generation
from luma_async.outcomes import Outcome
from luma_async.pacing import PollPolicy, PollWait

if TYPE_CHECKING:
    from tenacity import Future, RetryCallState

_MOST_TRIES = 3
"""Of a single look, when passing trouble comes between."""


@frozen(eq=False, kw_only=True)
class Look:
    """What one look came to, and what the pause after it depends on."""

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

    @property
    def hint(self) -> float | None:
        """Seconds the relay asked to be left alone, or None."""
        return self.error.retry_after if isinstance(self.error, APIError) else None


def go_on(look: Look) -> bool:
    """Whether tenacity is to ask again."""
    return not look.is_last


class Wheel(AsyncRetrying):
    """tenacity's own loop and state, turned without the hooks that nobody has hung on it: a fifth of its time.

    One for each loop, as any controller: one that is shared mixes up its users' states.
    """

    def __init__(self, wait: PollWait, sleep: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(wait=wait, sleep=sleep)

    async def iter(self, retry_state: RetryCallState) -> DoAttempt | DoSleep | Look:
        """Decide what comes next: a look, a rest, or the end."""
        if retry_state.outcome is None:
            return DoAttempt()
        look: Look = retry_state.outcome.result()
        if look.is_last:
            return look
        retry_state.upcoming_sleep = self.wait(retry_state)
        retry_state.idle_for += retry_state.upcoming_sleep
        return DoSleep(retry_state.upcoming_sleep)


async def look_patiently(batcher: Batcher, policy: PollPolicy, task_id: str) -> Outcome:
    """Ask up to three times through passing trouble, for ``request_timeout`` seconds from the first slot on."""
    began = asyncio.get_running_loop().time()
    glance = _Glance(batcher, task_id)
    look: Look = await AsyncRetrying(
        retry=retry_if_result(go_on),
        wait=PollWait(policy),
        stop=glance.is_over,
        retry_error_callback=_outcome_of,
    )(glance.look)
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
        request = Request("GET", task_path(self.task_id))
        self._first = self._first or request
        expires = self._expires()
        try:
            async with asyncio.timeout_at(expires):
                _, generation = await self.batcher.look(self.task_id, deadline=expires, request=request)
        except LumaError as error:
            self._trouble = error
        except TimeoutError:
            return Look(error=self._trouble, is_last=True)
        else:
            return Look(generation=generation, good=1, is_last=True)
        return Look(error=self._trouble, failures=self.tries, is_last=not self._trouble.retryable)

    def is_over(self, retry_state: RetryCallState) -> bool:
        """Tell tenacity to stop: enough tries, or the pause would outlast the allowance."""
        expires = self._expires()
        resumes = asyncio.get_running_loop().time() + retry_state.upcoming_sleep
        return self.tries >= _MOST_TRIES or (expires is not None and resumes >= expires)

    def _expires(self) -> float | None:
        """Return when the allowance ends; it begins with the first slot, so that queueing costs nothing."""
        if self._first is None or self._first.admitted_at is None:
            return None
        return self._first.admitted_at + self.batcher.transport.settings.limits.request_timeout


def _outcome_of(retry_state: RetryCallState) -> Look:
    look: Look = cast("Future", retry_state.outcome).result()
    return look
