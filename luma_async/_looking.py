"""One look at one task: the request for it, and what its answer shows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from attrs import define, frozen
from tenacity import AsyncRetrying, retry_if_result

from luma_async import _wire
from luma_async._learning import Stay
from luma_async._transport import Request, Transport
from luma_async.errors import APIError, LumaError
from luma_async.models import Generation
from luma_async.outcomes import Outcome
from luma_async.pacing import PollPolicy, PollWait

if TYPE_CHECKING:
    from tenacity import Future, RetryCallState

_MOST_TRIES = 3
"""Of a single look, when passing trouble comes between."""


@frozen(eq=False)
class Sighting:
    """A generation, and the bytes that said so, to recognise the same answer again."""

    generation: Generation
    body: bytes


@frozen(eq=False, kw_only=True)
class Look:
    """What one look came to, and what the pause after it depends on."""

    sighting: Sighting | None = None
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


@define(eq=False, repr=False)
class Looker:
    """Asks for tasks one by one."""

    transport: Transport
    policy: PollPolicy

    async def look(
        self,
        task_id: str,
        *,
        last: Sighting | None = None,
        deadline: float | None = None,
        request: Request | None = None,
    ) -> Sighting:
        """Ask once; an answer with the same bytes as the *last* is that one again, and is not structured anew.

        Raises:
            LumaError: The relay said no, or no usable answer came.
        """

        def read(answer: _wire.Answer) -> Sighting:
            if last is not None and answer.body == last.body and answer.status == 200:  # noqa: PLR2004
                return last
            return Sighting(_wire.read_task(answer, task_id), answer.body)

        request = request or Request("GET", _wire.task_path(task_id))
        return await self.transport.exchange(request, read, deadline=deadline)

    async def look_patiently(self, task_id: str) -> Outcome:
        """Ask up to three times through passing trouble, for ``request_timeout`` seconds from the first slot on."""
        began = asyncio.get_running_loop().time()
        glance = _Glance(self, task_id)
        look: Look = await AsyncRetrying(
            retry=retry_if_result(go_on),
            wait=PollWait(self.policy),
            stop=glance.is_over,
            retry_error_callback=_outcome_of,
        )(glance.look)
        return Outcome(
            task_id=task_id,
            generation=None if look.sighting is None else look.sighting.generation,
            error=look.error and look.error.for_task(task_id),
            elapsed=asyncio.get_running_loop().time() - began,
            looks=glance.tries,
        )


@define(eq=False, repr=False)
class _Glance:
    """A single look as the user sees it: up to three tries with one allowance of time."""

    looker: Looker
    task_id: str
    _first: Request | None = None
    tries: int = 0
    _trouble: LumaError | None = None

    async def look(self) -> Look:
        self.tries += 1
        request = Request("GET", _wire.task_path(self.task_id))
        self._first = self._first or request
        try:
            async with asyncio.timeout_at(self._expires()):
                sighting = await self.looker.look(self.task_id, deadline=self._expires(), request=request)
        except LumaError as error:
            self._trouble = error
        except TimeoutError:
            return Look(error=self._trouble, is_last=True)
        else:
            return Look(sighting=sighting, good=1, is_last=True)
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
        return self._first.admitted_at + self.looker.transport.settings.limits.request_timeout


def _outcome_of(retry_state: RetryCallState) -> Look:
    look: Look = cast("Future", retry_state.outcome).result()
    return look
