"""What a user asks for once: a new generation, never twice where it may have been taken, and a clean link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define, field
from tenacity import RetryCallState

from luma_async import _wire
from luma_async._looking import Look, Wheel
from luma_async._transport import Request, Transport
from luma_async.errors import APIError, LumaError, ProtocolError, UncertainSubmitError, Verdict
from luma_async.pacing import PollPolicy, PollWait

T = TypeVar("T")

_MOST_TRIES = 3


async def submit(transport: Transport, policy: PollPolicy, path: str, order: Mapping[str, Any]) -> str:
    """Hand *order* in and return the new task's id.

    Up to three times, as long as the relay has certainly not taken it (contract section 3).

    Raises:
        UncertainSubmitError: It is unknown whether the relay took it.
        LumaError: It certainly did not.
    """
    body = _wire.order_body(order)
    return await _Question(
        transport,
        lambda: Request("POST", path, body),
        lambda answer: _wire.read_submitted(answer, transport.discreet),
        partial(_certain, transport),
        _may_submit_again,
    ).answered(policy)


async def clean_url(transport: Transport, policy: PollPolicy, task_id: str) -> str:
    """Ask for the link without a watermark, up to three times through passing trouble.

    Raises:
        LumaError: There is none, or no answer came.
    """
    path = _wire.clean_url_path(task_id)
    return await _Question(
        transport,
        lambda: Request("GET", path),
        lambda answer: _wire.read_clean_url(answer, task_id),
        lambda _, error: error,
        lambda error: error.retryable,
    ).answered(policy)


def _certain(transport: Transport, request: Request, error: LumaError) -> LumaError:
    """Return *error* where it says that nothing was taken: an answer says so itself, and what was never sent is not."""
    told = isinstance(error, APIError | UncertainSubmitError)
    turned_away = isinstance(error, ProtocolError) and error.verdict is Verdict.FINAL  # a redirect that leads elsewhere
    if told or turned_away or not request.sent:
        return error
    return _wire.uncertain(error, request.heard, transport.discreet)


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
    read: Callable[[_wire.Answer], T]
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
