"""Single calls: one poll, a submit, a clean link; tenacity retries them after passing errors."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar, cast
from uuid import uuid4

from attrs import define
from tenacity import RetryCallState

from luma_async._network.backoff import repeated
from luma_async._network.request import Pace, Request
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async._relay.refusals import not_a_relay
from luma_async._relay.requests import clean_url_path, list_path, submit_body, submit_path, task_path
from luma_async._relay.submissions import read_clean_url, read_submitted, uncertain
from luma_async._relay.tasks import Observation, read_list, read_task
from luma_async._waiting.batching import Batcher
from luma_async._waiting.pacing import PollWait
from luma_async.errors import APIError, LumaError, ProtocolError, UncertainSubmitError, Verdict
from luma_async.events import TryFailed
from luma_async.models import Generation
from luma_async.options import SubmitRecord
from luma_async.outcomes import Outcome
from luma_async.settings import PollPolicy

T = TypeVar("T")

_MOST_TRIES = 3
_NOT_FOUND, _UNAVAILABLE = 404, 503


@define(eq=False)
class _Allowance:
    """The time for all tries of a call together; it starts with the first slot, so it does not include the queue."""

    seconds: float
    expires: float = math.inf
    """When no further try starts, in seconds on the event loop's clock."""

    def start(self, request: Request) -> None:
        """Start the time when *request* got its slot, unless an earlier request has started it."""
        if self.expires == math.inf and request.admitted_at is not None:
            self.expires = request.admitted_at + self.seconds

    def is_over(self, retry_state: RetryCallState) -> bool:
        """Whether all tries are used, or the next pause would be longer than the time left."""
        return (
            retry_state.attempt_number >= _MOST_TRIES
            or asyncio.get_running_loop().time() + retry_state.upcoming_sleep >= self.expires
        )


def _pause(policy: PollPolicy) -> Callable[[RetryCallState], Awaitable[float]]:
    """Return the strategy for the pauses between tries; a user's own strategy may be async."""

    async def pause(retry_state: RetryCallState) -> float:
        seconds: Any = PollWait(policy)(retry_state)
        return float(await seconds if isawaitable(seconds) else seconds)

    return pause


def _failure(retry_state: RetryCallState) -> LumaError:
    """Return the error of a try that is repeated."""
    error = None if retry_state.outcome is None else retry_state.outcome.exception()
    return cast("LumaError", error)


def _tell(transport: Transport, retry_state: RetryCallState) -> None:
    """Report a failed try that is repeated."""
    if transport.listeners.active:
        transport.listeners.tell(TryFailed(error=_failure(retry_state), seconds=retry_state.upcoming_sleep))


# --- a single poll ---


async def poll_once(batcher: Batcher, policy: PollPolicy, task_id: str) -> Outcome:
    """Poll up to three times after passing errors, within ``request_timeout`` seconds from the first slot on."""
    started = asyncio.get_running_loop().time()
    poll = _SinglePoll(batcher, task_id, _Allowance(batcher.transport.settings.limits.request_timeout))
    generation = error = None
    try:
        last_answer, answer = await repeated(
            poll.attempt,
            poll.may_repeat,
            stop=poll.allowance.is_over,
            wait=_pause(policy),
            sleep=batcher.transport.pause,
            before_sleep=partial(_tell, batcher.transport),
        )
        generation = (
            last_answer.recall(task_id, batcher.transport.settings.dialect) if answer is None else answer.generation()
        )
    except LumaError as trouble:
        error = trouble.for_task(task_id)
    finally:
        batcher.forget(task_id)
    elapsed = asyncio.get_running_loop().time() - started
    return Outcome(task_id=task_id, generation=generation, error=error, elapsed=elapsed, polls=poll.tries)


@define(eq=False, repr=False)
class _SinglePoll:
    """One poll with its retries."""

    batcher: Batcher
    task_id: str
    allowance: _Allowance
    tries: int = 0
    _trouble: LumaError | None = None
    _is_out_of_time: bool = False

    async def attempt(self) -> Observation:
        """Poll; if the time ends before an answer comes, raise the error of the try before."""
        self.tries += 1
        try:
            return await self._observation()
        except LumaError as error:
            self._trouble = error
            raise
        except TimeoutError:
            self._is_out_of_time = True
            if self._trouble is None:
                raise
            trouble = self._trouble
        raise trouble

    def may_repeat(self, error: LumaError) -> bool:
        """Whether *error* is passing, and there is time left."""
        return error.retryable and not self._is_out_of_time

    async def _observation(self) -> Observation:
        """Poll once; the wait for the first slot has no limit."""
        expires = self.allowance.expires
        if expires == math.inf:
            request = Request("GET", task_path(self.batcher.transport.settings.dialect, self.task_id), pace=Pace.USUAL)
            try:
                return await self.batcher.poll(self.task_id, request=request)
            finally:
                self.allowance.start(request)
        async with asyncio.timeout_at(expires):
            return await self.batcher.poll(self.task_id, deadline=expires)


# --- a submit, and a clean link ---


@define(eq=False, repr=False)
class _Tries:
    """The tries of one submit."""

    transport: Transport
    new_request: Callable[..., Request]
    read: Callable[[Answer], str]
    allowance: _Allowance
    record: SubmitRecord | None

    async def attempt(self) -> str:
        """Submit once; raises an UncertainSubmitError unless it is certain that the relay has not accepted it."""
        request = self.new_request(before_sending=None if self.record is None else self.record.before_sending)
        try:
            return await self.transport.exchange(request, self.read)
        except LumaError as error:
            trouble = _certain(self.transport, request, error)
        finally:
            self.allowance.start(request)
        raise trouble

    async def before_sleep(self, retry_state: RetryCallState) -> None:
        """Report the error of the latest try, and record it."""
        _tell(self.transport, retry_state)
        if self.record is not None:
            await self.record.before_pause(_failure(retry_state), retry_state.upcoming_sleep)


async def submit(
    transport: Transport,
    policy: PollPolicy,
    fields: Mapping[str, Any],
    extended: str | None = None,
    record: SubmitRecord | None = None,
) -> str:
    """Submit *fields*, as an extension of the task *extended* if it is given, and return the new task's id.

    It is retried only if the relay has certainly not accepted it (contract section 3). After a web page as the answer,
    a free poll of a made-up id shows whether there is a relay at all.

    Raises:
        ProtocolError: The poll got a page too, so nothing was accepted.
        UncertainSubmitError: It is not known whether the relay accepted it.
        LumaError: The relay has certainly not accepted it.
    """
    dialect = transport.settings.dialect
    path, body = submit_path(dialect, extended), submit_body(dialect, fields)
    allowance = _Allowance(transport.settings.limits.request_timeout)

    def read(answer: Answer) -> str:
        return read_submitted(answer, transport.redact, dialect, extends=extended is not None)

    tries = _Tries(transport, partial(Request, "POST", path, body), read, allowance, record)
    try:
        return await repeated(
            tries.attempt,
            _may_submit_again,
            stop=allowance.is_over,
            wait=_pause(policy),
            sleep=transport.pause,
            before_sleep=tries.before_sleep,
        )
    except UncertainSubmitError as error:
        trouble = await _no_relay(transport, error) or error
    raise trouble


async def _no_relay(transport: Transport, error: UncertainSubmitError) -> ProtocolError | None:
    """Return the error of a submit to an address where a poll gets a page as well; None if there may be a relay."""
    if not (isinstance(error.trouble, ProtocolError) and error.trouble.is_page) or error.candidates:
        return None
    made_up = str(uuid4())
    path = task_path(transport.settings.dialect, made_up)

    def read(answer: Answer) -> None:
        if answer.is_html and answer.status == _NOT_FOUND:
            raise not_a_relay(answer)
        read_task(answer, made_up)

    try:
        await transport.exchange(Request("GET", path), read)
    except ProtocolError as trouble:
        if trouble.is_page:
            return ProtocolError(
                f"base_url is not a relay: {trouble.summary}, to a poll too, so nothing was submitted",
                is_page=True,
                advice=trouble.advice,
            )
    except LumaError:
        """A relay, or no answer that would tell."""
    return None


async def clean_url(transport: Transport, policy: PollPolicy, task_id: str) -> str:
    """Return the link without a watermark.

    Raises:
        LumaError: There is no such link, or no usable answer came.
    """
    dialect = transport.settings.dialect
    path = clean_url_path(dialect, task_id)
    return await _asked(transport, policy, path, lambda answer: read_clean_url(answer, task_id, dialect))


_MOST_IN_A_LIST = 100
"""Tasks that one request for a list asks for."""


async def recent(transport: Transport, policy: PollPolicy, limit: int) -> list[Generation]:
    """Return the *limit* newest generations of the key; APIs that give fewer at once are asked for more pages.

    Raises:
        LumaError: The API has no list, or no usable answer came.
    """
    dialect = transport.settings.dialect
    found: dict[str, Generation] = {}
    while len(found) < limit:
        path = list_path(dialect, min(limit - len(found), _MOST_IN_A_LIST), len(found))
        page = await _asked(transport, policy, path, lambda answer: read_list(answer, dialect))
        known = len(found)
        found |= {generation.id: generation for generation in page}
        if len(found) == known:  # the end, or an API without pages
            break
    return list(found.values())[:limit]


async def _asked(transport: Transport, policy: PollPolicy, path: str, read: Callable[[Answer], T]) -> T:
    """Return what *read* makes of the answer to a GET; passing errors are retried."""
    allowance = _Allowance(transport.settings.limits.request_timeout)

    async def attempt() -> T:
        request = Request("GET", path)
        try:
            return await transport.exchange(request, read)
        finally:
            allowance.start(request)

    return await repeated(
        attempt,
        lambda error: error.retryable,
        stop=allowance.is_over,
        wait=_pause(policy),
        sleep=transport.pause,
        before_sleep=partial(_tell, transport),
    )


def _certain(transport: Transport, request: Request, error: LumaError) -> LumaError:
    """Return *error* if the relay has certainly created no task; otherwise an UncertainSubmitError.

    It is certain after a refusal, after a refused redirect, and if the request was never sent.
    """
    is_answered = isinstance(error, APIError | UncertainSubmitError)
    is_redirected = isinstance(error, ProtocolError) and error.verdict is Verdict.FINAL
    if is_answered or is_redirected or not request.sent:
        return error
    return uncertain(error, request.partial_answer, transport.redact)


def _may_submit_again(error: LumaError) -> bool:
    """Whether *error* is a temporary refusal (contract section 3), or a connection that was never made."""
    if isinstance(error, APIError):
        refused_for_now = error.verdict is Verdict.SLOW_DOWN or error.status == _UNAVAILABLE
        return refused_for_now and error.status >= 400  # noqa: PLR2004 - HTTP; others refuse inside a 200
    return error.retryable
