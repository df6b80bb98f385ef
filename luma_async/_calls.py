"""Calls that are made once: a single poll, a submit, a clean link; passing trouble is tried again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define, field
from tenacity import RetryCallState

from luma_async._network.transport import Request, Transport
from luma_async._relay.answer import Answer
from luma_async._relay.requests import clean_url_path, order_body, task_path
from luma_async._relay.submissions import read_clean_url, read_submitted, uncertain
from luma_async._relay.tasks import Sighting
from luma_async._waiting.batching import Batcher
from luma_async._waiting.controller import Look, Wheel
from luma_async._waiting.pacing import PollWait
from luma_async.errors import APIError, LumaError, ProtocolError, UncertainSubmitError, Verdict
from luma_async.outcomes import Outcome
from luma_async.settings import PollPolicy

_MOST_TRIES = 3
"""Of a single look, when passing trouble comes between."""


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


T = TypeVar("T")


async def submit(transport: Transport, policy: PollPolicy, path: str, order: Mapping[str, Any]) -> str:
    """Hand *order* in and return the new task's id.

    Up to three times, as long as the relay has certainly not taken it (contract section 3).

    Raises:
        UncertainSubmitError: It is unknown whether the relay took it.
        LumaError: It certainly did not.
    """
    body = order_body(order)
    return await _Question(
        transport,
        lambda: Request("POST", path, body),
        lambda answer: read_submitted(answer, transport.discreet),
        partial(_certain, transport),
        _may_submit_again,
    ).answered(policy)


async def clean_url(transport: Transport, policy: PollPolicy, task_id: str) -> str:
    """Ask for the link without a watermark, up to three times through passing trouble.

    Raises:
        LumaError: There is none, or no answer came.
    """
    path = clean_url_path(task_id)
    return await _Question(
        transport,
        lambda: Request("GET", path),
        lambda answer: read_clean_url(answer, task_id),
        lambda _, error: error,
        lambda error: error.retryable,
    ).answered(policy)


def _certain(transport: Transport, request: Request, error: LumaError) -> LumaError:
    """Return *error* where it says that nothing was taken: an answer says so itself, and what was never sent is not."""
    told = isinstance(error, APIError | UncertainSubmitError)
    turned_away = isinstance(error, ProtocolError) and error.verdict is Verdict.FINAL  # a redirect that leads elsewhere
    if told or turned_away or not request.sent:
        return error
    return uncertain(error, request.heard, transport.discreet)


def _may_submit_again(error: LumaError) -> bool:
    """Whether *error* is a refusal for now (contract section 3), or a connection that never came about."""
    if isinstance(error, APIError):
        refused_for_now = error.verdict is Verdict.SLOW_DOWN or error.status == _UNAVAILABLE
        return refused_for_now and error.status >= 400  # noqa: PLR2004 - HTTP; others refuse inside a 200
    return error.retryable


_UNAVAILABLE = 503


@define(eq=False, repr=False)
class _Question(Generic[T]):
    """One question, asked up to three times within one request's time."""

    transport: Transport
    request: Callable[[], Request]
    read: Callable[[Answer], T]
    meaning: Callable[[Request, LumaError], LumaError]
    may_repeat: Callable[[LumaError], bool]
    _results: list[T] = field(factory=list, init=False)
    _tries: int = field(default=0, init=False)
    _expires: float | None = field(default=None, init=False)
    """The event loop's time at which no further try begins; set by the first slot, so that queueing costs nothing."""

    async def answered(self, policy: PollPolicy) -> T:
        """Ask, and return what *read* makes of the answer.

        Raises:
            LumaError: The last try's.
        """
        end = await Wheel(wait=PollWait(policy), stop=self._is_over).turn(self._ask)
        if end.error is not None:
            raise end.error
        return self._results[0]

    async def _ask(self) -> Look:
        self._tries += 1
        request = self.request()
        try:
            self._results.append(await self.transport.exchange(request, self.read))
        except LumaError as trouble:
            error = self.meaning(request, trouble)
        else:
            return Look(good=1, is_last=True)
        if self._expires is None and request.admitted_at is not None:
            self._expires = request.admitted_at + self.transport.settings.limits.request_timeout
        return Look(error=error, failures=self._tries, is_last=not self.may_repeat(error))

    def _is_over(self, retry_state: RetryCallState) -> bool:
        resumes = asyncio.get_running_loop().time() + retry_state.upcoming_sleep
        return self._tries >= _MOST_TRIES or (self._expires is not None and resumes >= self._expires)
