"""Everything luma_async raises.

LumaError                          .retryable
├─ ConfigurationError            before any request: address, key, task id, option (also a ValueError)
├─ ClientClosedError             the client was closed, or belongs to another event loop
├─ TransportError                no whole answer came (or TLS failed: then not retryable)
│  └─ RequestTimeoutError        (also a TimeoutError)
├─ APIError                      the relay said no: .status .code .message .request_id .retry_after
│  ├─ AuthenticationError        401
│  ├─ PermissionDeniedError      403
│  ├─ QuotaExceededError         402, or the quota codes
│  ├─ NotFoundError              404, 410, task_not_exist
│  ├─ RateLimitError             429, saturation
│  └─ ServerError                5xx
├─ ProtocolError                 what came is no answer: garbled HTTP, not JSON, no task, another task, too large
├─ UncertainSubmitError          .trouble .body .candidates: a submit that the relay may have taken, and charged
├─ GenerationFailedError         .generation .reason
├─ WaitTimeoutError              .task_id .last .last_error .waited (also a TimeoutError)
├─ DownloadError                 .url .reason .generation
└─ JournalError                  .path
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, Self, TypedDict, Unpack

from luma_async._text import shown
from luma_async.models import Generation


class Verdict(Enum):
    """How much one trouble means for a wait."""

    FINAL = "asking again changes nothing"
    UNCONFIRMED = "final when it comes three times in a row: right after a submit it can be transient"
    PASSING = "not done yet: ask again"
    SLOW_DOWN = "passing, counts for nothing, and pauses all ids of the client"


class Common(TypedDict, total=False):
    """What every error can be told."""

    task_id: str | None
    advice: str
    verdict: Verdict


class LumaError(Exception):
    """Base of everything this library raises on purpose. It pickles, and never holds the key or a request's headers."""

    def __init__(
        self, summary: str, *, task_id: str | None = None, advice: str = "", verdict: Verdict = Verdict.FINAL
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        """What happened, in one line."""
        self.task_id = task_id
        """The task it happened to, or None."""
        self.advice = advice
        """What to do about it; may be empty."""
        self.verdict = verdict

    @property
    def retryable(self) -> bool:
        """Whether the same call may do better later."""
        return self.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN)

    def for_task(self, task_id: str) -> Self:
        """Return a fresh copy that names *task_id*, so that each of several waiters can raise his own."""
        fresh: Self = _rebuild(type(self), {**vars(self), "task_id": task_id}, self.args)
        fresh.__cause__ = self.__cause__
        fresh.__suppress_context__ = True
        return fresh

    def __str__(self) -> str:
        """Name the task, what happened, and the way out."""
        where = f"task {shown(self.task_id, 128)}: " if self.task_id is not None else ""
        advice = f" ({self.advice})" if self.advice else ""
        return f"{where}{self.summary}{advice}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from attributes: an exception with keyword arguments does not pickle by itself."""
        return _rebuild, (type(self), vars(self), self.args)


def _rebuild(kind: type[LumaError], attributes: dict[str, Any], args: tuple[Any, ...]) -> Any:
    error = kind.__new__(kind)
    error.__dict__.update(attributes)
    error.args = args
    return error


class ConfigurationError(LumaError, ValueError):
    """An address, key, task id or option that cannot work; raised before any request."""


class ClientClosedError(LumaError):
    """The client was closed, or belongs to another event loop."""


class TransportError(LumaError):
    """No whole answer came. Retryable, unless TLS failed."""


class RequestTimeoutError(TransportError, TimeoutError):
    """One request took longer than ``Limits.request_timeout`` seconds."""


class APIError(LumaError):
    """The relay said no."""

    def __init__(  # noqa: PLR0913 - what support asks for, each by its name
        self,
        summary: str,
        *,
        status: int,
        code: str | int | None = None,
        message: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(summary, **common)
        self.status = status
        """The HTTP status; 200 where the error stood inside a successful answer."""
        self.code = code
        """The relay's own code, as it sent it."""
        self.message = message
        """The relay's text, shortened, control characters made visible."""
        self.request_id = request_id
        """What the relay's support asks for (``X-Oneapi-Request-Id``)."""
        self.retry_after = retry_after
        """Seconds the relay asked us to stay away, or None."""


class AuthenticationError(APIError):
    """401: the key is missing, wrong, expired, disabled or used up."""


class PermissionDeniedError(APIError):
    """403: the key's group, its models or this client's address are not allowed."""


class QuotaExceededError(APIError):
    """402, or one of the quota codes: the account is out of credit."""


class NotFoundError(APIError):
    """404, 410 or ``task_not_exist``: no such task for this key, or no such path at this address."""

    names_task: bool = False
    """Whether the relay says that it does not know the task. A 404 that does not say so may mean a wrong address."""


class RateLimitError(APIError):
    """429, or a saturated upstream: too many requests for now."""


class ServerError(APIError):
    """5xx: the relay or its upstream is in trouble."""


class ProtocolError(LumaError):
    """What came is no answer: garbled HTTP, not JSON, no task, another task, too large, a refused redirect."""

    def __init__(self, summary: str, *, foreign: bool = False, **common: Unpack[Common]) -> None:
        super().__init__(summary, **common)
        self.foreign = foreign
        """Whether it was an answer about another task, so that its connection cannot be trusted any more."""


_LONGEST_CANDIDATE = 300
_CANDIDATES_SHOWN = 10


class UncertainSubmitError(LumaError):
    """It is unknown whether the relay took a new generation, and charged it: its answer is lost, or leaves that open.

    Never retryable, and never repeated by us: look at the relay's own log first.
    """

    def __init__(self, trouble: LumaError, *, body: str = "", candidates: tuple[str, ...] = ()) -> None:
        ids = ", ".join(shown(candidate, _LONGEST_CANDIDATE) for candidate in candidates[:_CANDIDATES_SHOWN])
        super().__init__(
            f"it is unknown whether the relay took it: {trouble.summary}"
            f"{f'; what may be its id: {ids}' if ids else ''}{f'; the answer: {shown(body, 500)}' if body else ''}",
            task_id=trouble.task_id,
            advice="look at the relay's log before you submit again: it may have been taken, and charged",
        )
        self.trouble = trouble
        """What left it open; an APIError among them has a ``request_id`` to look for in the log."""
        self.body = body
        """All that came of the relay's answer, as text, without the key; empty where no answer came."""
        self.candidates = candidates
        """Texts in it under keys that name an id: one of them may be the task's."""


class GenerationFailedError(LumaError):
    """The relay says that the generation failed."""

    def __init__(self, generation: Generation) -> None:
        reason = shown(generation.failure_reason) if generation.failure_reason else None
        super().__init__(f"the generation failed: {reason or 'the relay gave no reason'}", task_id=generation.id)
        self.generation = generation
        """The answer that said so."""
        self.reason = reason
        """Why, shortened, control characters made visible; None where the relay gave none."""


class WaitTimeoutError(LumaError, TimeoutError):
    """A wait reached its deadline. The work at the relay goes on: ask again with the same id."""

    def __init__(self, task_id: str, *, waited: float, last: Generation | None, last_error: LumaError | None) -> None:
        told = f"last state '{shown(last.state_text, 60)}'" if last else "no answer yet"
        trouble = f"; last trouble: {last_error.summary}" if last_error else ""
        super().__init__(
            f"not done after {waited:.1f} s, {told}{trouble}",
            task_id=task_id,
            advice=f"{'the generation goes on at the relay: ' if last else ''}wait again for the same id",
            verdict=Verdict.PASSING,
        )
        self.waited = waited
        """Seconds."""
        self.last = last
        """The last answer, or None if there was none."""
        self.last_error = last_error
        """What went wrong at the last look, or None if it went well."""


DownloadReason = Literal[
    "no-link", "refused", "expired", "status", "truncated", "not-media", "too-large", "exists", "disk"
]


class DownloadError(LumaError):
    """A finished medium could not be stored. The generation itself is unharmed."""

    def __init__(
        self,
        summary: str,
        *,
        reason: DownloadReason,
        url: str | None = None,
        generation: Generation | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(summary, **common)
        self.reason: DownloadReason = reason
        """One word for programs."""
        self.url = url
        """The link without its query, which may be a signature; None where there was no link."""
        self.generation = generation
        """The generation whose medium it is; None where nothing was submitted yet."""


class JournalError(LumaError):
    """An outcome could not be recorded: the disk is full, say. The relay still has it, and so has who recorded it."""

    def __init__(self, summary: str, *, path: str, **common: Unpack[Common]) -> None:
        super().__init__(summary, **common)
        self.path = path
        """The journal's file."""
