"""Turns a refusal, in the HTTP status or inside a 200, into one of our errors (contract section 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from attrs import evolve, frozen

from luma_async._relay.answer import Answer
from luma_async._relay.causes import ADDRESS_ADVICE, CLIENT_ERROR, Cause, cause_of
from luma_async._relay.complaints import code_of, deepest_text, entries, further_texts, says_too_many, text_of_a_field
from luma_async._relay.documents import NotJSONError, decode, opened
from luma_async._relay.not_found import first_of, says_no_such_task
from luma_async._relay.success import is_success
from luma_async._text import as_code, shown, text_of_page, title_of, without_markup
from luma_async.errors import (
    APIError,
    AuthenticationError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    Verdict,
)

# --- a refusal by the relay, or by its upstream ---
_TOO_MANY = 429
_FIREWALL_ADVICE = "a firewall or CDN in front of the relay refused this request: it often lets the next one through"
_UNCLEAR_ADVICE = "if it passes, the relay's own account at its upstream was refused"
_UPSTREAM_ADVICE = "the relay's own account at its upstream is refused, not your key: tell the relay's operator"


def _is_from_upstream(words: list[str]) -> bool:
    """Whether a 401, 402 or 403 is about the account of the gateway at its upstream (contract section 6)."""
    plain = [as_code(word.strip(" .!")) for word in words]
    return "not_authenticated" in plain or any("fail_to_fetch_task" in word for word in plain)


def _has_a_message(document: Any) -> bool:
    """Whether a refusal of the key is in the relay's own words (architecture, rule 3)."""
    document = opened(document)
    if not isinstance(document, Mapping):
        return False
    error, detail = (opened(document.get(key)) for key in ("error", "detail"))
    texts = [document.get("message")]
    texts += [error.get("message")] if isinstance(error, Mapping) else []
    texts += [detail.get("reason")] if isinstance(detail, Mapping) else []
    return any(isinstance(text, str) and text.strip() for text in texts)


# --- the kinds of refusal ---
def refusal(answer: Answer) -> LumaError:
    """Return the error for an answer with a status other than 200 to 203."""
    details = _Details.of(answer, lenient_documents(answer))
    hint = _hint_of(answer)
    status = _TOO_MANY if says_too_many(details.document) else answer.status
    cause = cause_of(status, details.words, details.further, is_hinted=hint is not None)
    if cause is None:
        return ProtocolError(
            f"the relay answered HTTP {answer.status}, which is not a usable status", verdict=Verdict.PASSING
        )
    return details.error(answer, _adjusted(cause, answer, details), hint)


def _adjusted(cause: Cause, answer: Answer, details: _Details) -> Cause:
    """Return *cause*, changed where the answer comes from the relay's upstream or from a firewall in front of it."""
    if cause.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN):
        return cause
    if answer.is_challenge or (answer.is_html and answer.status == 403):  # noqa: PLR2004 - architecture, rule 3
        return evolve(cause, verdict=Verdict.PASSING, advice=_FIREWALL_ADVICE)
    if answer.is_html and answer.status not in _SAYS_WHY:
        cause = evolve(cause, advice=ADDRESS_ADVICE)
    if answer.status not in _ABOUT_AN_ACCOUNT or cause.error is NotFoundError:
        return cause
    from_upstream = _is_from_upstream(details.words)
    if from_upstream:
        cause = evolve(cause, advice=_UPSTREAM_ADVICE)
    is_doubtful = from_upstream or not _has_a_message(details.document)
    if is_doubtful and cause.error in (AuthenticationError, PermissionDeniedError):
        advice = cause.advice if from_upstream or answer.is_html else f"{cause.advice}; {_UNCLEAR_ADVICE}"
        return evolve(cause, verdict=Verdict.UNCONFIRMED, advice=advice)
    return cause


_ABOUT_ACCOUNTS = (AuthenticationError, PermissionDeniedError, QuotaExceededError)
_ABOUT_AN_ACCOUNT = frozenset({401, 402, 403})
_SAYS_WHY = frozenset({400, 413, 414, 422, 431})
"""Statuses with which a proxy refuses this request alone, whatever the address."""


def refusal_inside(answer: Answer, documents: list[Any]) -> LumaError:
    """Return the error inside a 200: passing, except for the causes that have a name (architecture, rule 3)."""
    details = _Details.of(answer, documents)
    is_too_much = says_too_many(details.document)
    if not (details.is_refusal or is_too_much):
        return ProtocolError("the relay's answer contains no task", verdict=Verdict.PASSING)
    is_praise = isinstance(details.document, Mapping) and is_success(details.document)
    cause = cause_of(0, details.words, [] if is_praise else details.further)
    if cause is None:
        cause = cause_of(_TOO_MANY if is_too_much else _as_status(details.code), []) or CLIENT_ERROR
        slow = cause.verdict is Verdict.SLOW_DOWN
        cause = evolve(cause, verdict=Verdict.SLOW_DOWN if slow else Verdict.PASSING)
    if cause.error in _ABOUT_ACCOUNTS and _is_from_upstream(details.words):
        cause = evolve(cause, advice=_UPSTREAM_ADVICE)
    return details.error(answer, cause, _hint_of(answer))


def not_a_relay(answer: Answer) -> ProtocolError:
    """Return the error for a web page instead of JSON."""
    title = shown(title_of(answer.body), 120)
    return ProtocolError(
        f"the relay answered with a web page instead of JSON{f' ({title})' if title else ''}",
        is_page=True,
        verdict=Verdict.PASSING,
        advice=ADDRESS_ADVICE,
    )


def _as_status(code: str | int | None) -> int:
    """Return a code that is an HTTP status as a number; otherwise 0."""
    return int(code) if code is not None and re.fullmatch(r"[1-9][0-9]{2}", str(code)) else 0


# --- the texts and codes of a refusal ---
@frozen
class _Details:
    """The code and the texts of a refusal, from anywhere in the answer."""

    code: str | int | None
    message: str
    """In full, but without markup."""
    words: list[str]
    is_refusal: bool

    document: Any
    """The one that has the cause."""

    @classmethod
    def of(cls, answer: Answer, documents: list[Any]) -> _Details:
        """Read *documents*: of several that run together, the first that says something has the cause.

        A further one is the gateway's stumble over it (contract section 6).
        """
        document, found = next(
            filter(lambda each: each[1], ((document, entries(document)) for document in documents)),
            (documents[0] if documents else None, []),
        )
        words = [entry.value for entry in found if isinstance(entry.value, str)]
        if not documents:
            words = [_plain_text(answer)]
        types = [entry.value for entry in found if entry.key == "type"]
        message = (
            deepest_text(found)
            or text_of_a_field(document)
            or (str(types[-1]) if types else "" if documents else words[0])
        )
        is_refusal = any(entry.marks_refusal for entry in found)
        return cls(code_of(found), without_markup(message), words, is_refusal=is_refusal, document=document)

    def error(self, answer: Answer, cause: Cause, hint: float | None) -> APIError:
        """Return the error of *cause* with this code and message."""
        what = f"HTTP {answer.status}{' without a task' if answer.status < 300 else ''}"  # noqa: PLR2004
        code = f", code {shown(self.code, 60)}" if self.code is not None else ""
        message = shown(self.message or self._no_such_task(cause))
        request_id = answer.request_id or self._request_id()
        error = cause.error(
            f"the relay answered {what}{code}{f': {message}' if message else ''}",
            status=answer.status,
            code=self.code,
            message=message,
            request_id=shown(request_id, 80) if request_id else None,
            retry_after=hint,
            advice=cause.advice,
            verdict=cause.verdict,
        )
        if isinstance(error, NotFoundError):
            error.names_task = cause.names_task
        return error

    @property
    def further(self) -> list[str]:
        """The texts under keys that do not name a refusal."""
        return further_texts(self.document)

    def _no_such_task(self, cause: Cause) -> str:
        """Return the text at another key that says so, if this is the cause."""
        texts = first_of(self.further) if cause.names_task else []
        return without_markup(next(filter(says_no_such_task, texts), ""))

    def _request_id(self) -> str | None:
        """Return the id that gateways append to their texts, or give beside them."""
        found = (re.search(r"request id: ([\w-]+)", word) for word in reversed(self.words))
        named = self.document.get("request_id") if isinstance(self.document, Mapping) else None
        return next((match[1] for match in found if match), named if isinstance(named, str) else None)


def lenient_documents(answer: Answer) -> list[Any]:
    """Return the JSON documents of a refusal; an HTML page or plain text has none."""
    try:
        return decode(answer.body)
    except NotJSONError:
        return []


def _plain_text(answer: Answer) -> str:
    text = answer.body.decode("utf-8", "replace")
    return text_of_page(text) if answer.is_html else text[:2000].strip()


# --- when to come back ---
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def _hint_of(answer: Answer) -> float | None:
    """Return the seconds of the relay's ``Retry-After``, or None. A date in it counts from the relay's clock."""
    sent = _moment(answer.date) if answer.date else None
    return retry_after(answer.retry_after, sent or datetime.now(UTC))


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for (RFC 9110 section 10.2.3), or None if it is unusable."""
    if value is None:
        return None
    if _SECONDS.fullmatch(digits := value.strip(" \t")):
        return float(digits)
    moment = _moment(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _moment(date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
