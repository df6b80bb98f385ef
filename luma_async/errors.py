"""All errors that luma_async raises.

LumaError                          .retryable
├─ ConfigurationError            before any request: address, key, task id, option (also a ValueError)
├─ ClientClosedError             the client was closed, or belongs to another event loop
├─ TransportError                no complete answer came (or TLS failed: then not retryable)
│  └─ RequestTimeoutError        (also a TimeoutError)
├─ APIError                      the relay refused: .status .code .message .request_id .retry_after
│  ├─ AuthenticationError        401
│  ├─ PermissionDeniedError      403
│  ├─ QuotaExceededError         402, or the quota codes
│  ├─ NotFoundError              404, 410, task_not_exist
│  ├─ RateLimitError             429, saturation
│  └─ ServerError                5xx
├─ ProtocolError                 unusable answer: invalid HTTP, not JSON, no task, another task, too large
├─ UncertainSubmitError          .trouble .body .candidates: a submit that the relay may have accepted and charged
├─ GenerationFailedError         .generation .reason
├─ WaitTimeoutError              .task_id .last .last_error .waited (also a TimeoutError)
├─ DownloadError                 .url .reason .generation
└─ JournalError                  .path
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack

from luma_async._text import sense_of, shown, without_markup
from luma_async.models import Generation


class Verdict(Enum):
    """What one error means for a wait."""

    FINAL = "another poll changes nothing"
    UNCONFIRMED = "final if it comes three times in a row, and lasts if it contradicts a good answer"
    PASSING = "not done yet: poll again"
    SLOW_DOWN = "passing, never a reason to give up, and pauses all ids (only this one if others get good answers)"


class Common(TypedDict, total=False):
    """Keyword arguments that every error takes."""

    task_id: str | None
    advice: str
    verdict: Verdict


class LumaError(Exception):
    """Base of all errors of this library. They can be pickled, and never hold the key or the headers of a request."""

    def __init__(
        self, summary: str, *, task_id: str | None = None, advice: str = "", verdict: Verdict = Verdict.FINAL
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        """What happened, in one line."""
        self.task_id = task_id
        """The task that the error is about, or None."""
        self.advice = advice
        """What to do about the error; may be empty."""
        self.verdict = verdict

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN)

    def for_task(self, task_id: str) -> Self:
        """Return a copy for *task_id*, so that each of several waiters can raise its own error object."""
        fresh: Self = _rebuild(type(self), {**vars(self), "task_id": task_id}, self.args)
        fresh.__cause__ = self.__cause__
        fresh.__suppress_context__ = True
        return fresh

    def __str__(self) -> str:
        """Return the task, what happened, and the advice."""
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
    """An address, key, task id or option is unusable; raised before any request."""


class ClientClosedError(LumaError):
    """The client was closed, or belongs to another event loop."""


class TransportError(LumaError):
    """No complete answer came. Retryable, unless TLS failed."""


class RequestTimeoutError(TransportError, TimeoutError):
    """One request took longer than ``Limits.request_timeout`` seconds."""


class APIError(LumaError):
    """The relay refused a request."""

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
        """The HTTP status; 200 if the error was inside a successful answer."""
        self.code = code
        """The relay's own code, unchanged."""
        self.message = message
        """The relay's text, shortened, without HTML, with control characters made visible."""
        self.request_id = request_id
        """The relay's id of the request, from a header such as ``X-Oneapi-Request-Id``: its support asks for it."""
        self.retry_after = retry_after
        """Seconds of the relay's ``Retry-After``, or None."""


class AuthenticationError(APIError):
    """401: the key is missing, wrong, expired, disabled or used up."""


class PermissionDeniedError(APIError):
    """403: the key's group, its models or this client's address are not allowed."""


class QuotaExceededError(APIError):
    """402, or one of the quota codes: the account is out of credit."""


class NotFoundError(APIError):
    """404, 410 or ``task_not_exist``: the task does not exist for this key, or the path does not exist."""

    names_task: bool = False
    """Whether the relay says that it does not know the task. A 404 that does not say so may mean a wrong address."""


class RateLimitError(APIError):
    """429, or a saturated upstream: too many requests for now."""


class ServerError(APIError):
    """5xx: the relay or its upstream is in trouble."""


class ProtocolError(LumaError):
    """The answer is unusable: invalid HTTP, not JSON, no task, another task, too large, or a refused redirect."""

    def __init__(
        self,
        summary: str,
        *,
        foreign: bool = False,
        too_large: bool = False,
        is_page: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(summary, **common)
        self.foreign = foreign
        """Whether the answer was about another task, so that its connection cannot be trusted any more."""
        self.too_large = too_large
        """Whether the answer was larger than ``Limits.max_answer_bytes``."""
        self.is_page = is_page
        """Whether the answer was a web page instead of JSON, as of an address that is not a relay's."""


_LONGEST_CANDIDATE = 300
_CANDIDATES_SHOWN = 10


class UncertainSubmitError(LumaError):
    """The relay may have accepted a submit, and charged for it: its answer is lost or unclear.

    It is never retryable, and the client never retries it: check the relay's own log first.
    """

    def __init__(self, trouble: LumaError, *, body: str = "", candidates: tuple[str, ...] = ()) -> None:
        ids = ", ".join(shown(candidate, _LONGEST_CANDIDATE) for candidate in candidates[:_CANDIDATES_SHOWN])
        said = shown(without_markup(body), 500)
        super().__init__(
            f"it is not known whether the relay accepted the submit: {trouble.summary}"
            f"{f'; possible task ids: {ids}' if ids else ''}{f'; the answer: {said}' if said else ''}",
            task_id=trouble.task_id,
            advice="check the relay's log before you submit again: the relay may have accepted and charged it",
        )
        self.trouble = trouble
        """The error of the submit; an APIError has a ``request_id`` to search for in the relay's log."""
        self.body = body
        """All that came of the relay's answer, as text, with the key redacted; empty if no answer came."""
        self.candidates = candidates
        """Texts in the answer under keys that name an id: one of them may be the task id."""


class GenerationFailedError(LumaError):
    """The relay says that the generation failed."""

    def __init__(self, generation: Generation) -> None:
        reason = shown(sense_of(generation.failure_reason) or "") or None
        super().__init__(f"the generation failed: {reason or 'the relay gave no reason'}", task_id=generation.id)
        self.generation = generation
        """The relay's answer."""
        self.reason = reason
        """The relay's reason, shortened, without HTML, with control characters made visible; None if it gave none."""
        self.code = generation.failure_code
        """The relay's code for the failure, such as ``content_moderated``; None if it gave none."""

    @property
    def may_retry(self) -> bool | None:
        """Whether the same submit may succeed another time; None if nothing says so (contract section 6).

        The code says it; of one that is not known, a code or a reason that speaks of moderation means no.
        """
        known = _MAY_RETRY.get(str(self.code).lower())
        return False if known is None and _MODERATED.search(f"{self.code or ''} {self.reason or ''}") else known


_MODERATED = re.compile(
    r"moderat|sensitive|nsfw|polic(?:y|ies)|violat|prohibited|inappropriate|copyright|unsafe|safety"
    r"|content[ _.-]?filter|guideline|敏感|违规|审核",
    re.IGNORECASE,
)
_MAY_RETRY = {
    **dict.fromkeys(("generation_failed", "output_not_found"), True),
    **dict.fromkeys(("content_moderated", "budget_exhausted", "invalid_request", "rate_limited"), False),
    **dict.fromkeys(("image_too_large", "unsupported_format", "corrupt_input"), False),
}


class WaitTimeoutError(LumaError, TimeoutError):
    """A wait reached its deadline. The generation goes on at the relay: wait again for the same id."""

    def __init__(self, task_id: str, *, waited: float, last: Generation | None, last_error: LumaError | None) -> None:
        seen = f"last state '{shown(last.state_text, 60)}'" if last else "no answer yet"
        trouble = f"; last error: {last_error.summary}" if last_error else ""
        super().__init__(
            f"not done after {waited:.1f} s, {seen}{trouble}",
            task_id=task_id,
            advice=f"{'the generation goes on at the relay: ' if last else ''}wait again for the same id",
            verdict=Verdict.PASSING,
        )
        self.waited = waited
        """Seconds."""
        self.last = last
        """The last answer, or None if there was none. Of an answer over 4 KiB it has the fields that fit into 4 KiB."""
        self.last_error = last_error
        """The error of the last poll, or None if it was a good one."""


DownloadReason = Literal[
    "no-link", "refused", "expired", "needs-key", "status", "truncated", "not-media", "too-large", "exists", "disk"
]


class DownloadError(LumaError):
    """A finished medium could not be stored. The generation at the relay is not affected."""

    def __init__(
        self,
        summary: str,
        *,
        reason: DownloadReason,
        url: str | None = None,
        generation: Generation | None = None,
        path: Path | None = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(summary, **common)
        self.reason: DownloadReason = reason
        """The kind of the error, for programs."""
        self.url = url
        """The link without its query, which may be a signature; None where there was no link."""
        self.generation = generation
        """The generation whose medium it is; None where nothing was submitted yet."""
        self.path = path
        """The file that exists already; None for every other reason than ``exists``."""


class JournalError(LumaError):
    """An outcome or a receipt could not be recorded, as on a full disk. The caller still has the outcome."""

    def __init__(self, summary: str, *, path: str, **common: Unpack[Common]) -> None:
        super().__init__(summary, **common)
        self.path = path
        """The file."""
