"""The relay's language without I/O: what to ask, and what an answer means (contract sections 1, 2 and 4)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from attrs import frozen

from luma_async import _structure
from luma_async._text import shown
from luma_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    Verdict,
)
from luma_async.models import Generation, Link, State

# --- what to ask ---

_TASK_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


def check_task_id(task_id: object) -> str:
    """Return *task_id* if it can stand in a path as it is (RFC 3986, unreserved characters).

    Raises:
        ConfigurationError: Anything else; nothing has been sent then.
    """
    if isinstance(task_id, str) and _TASK_ID.fullmatch(task_id) and task_id not in (".", ".."):
        return task_id
    raise ConfigurationError(
        f"{shown(repr(task_id), 80)} is no task id",
        advice="a task id is a string of 1 to 128 letters, digits, '-', '_', '.' or '~', as the submit call returned it",
    )


def task_path(task_id: str) -> str:
    """Return where a checked *task_id* is asked for (contract section 1)."""
    return f"/luma/generations/{task_id}"


@frozen
class Answer:
    """One whole HTTP answer, as far as it matters."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: str | None = None
    request_id: str | None = None

    @property
    def is_html(self) -> bool:
        """Whether a page came where JSON belongs."""
        return "html" in self.content_type.lower() or self.body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


# --- the words for a state (contract section 1) ---

_WORDS = {
    State.PENDING: "pending queued not_start not_started submitted",
    State.PROCESSING: "processing dreaming in_progress running",
    State.COMPLETED: "completed succeeded success",
    State.FAILED: "failed failure error expired cancelled canceled",
}
_STATES = {word: state for state, words in _WORDS.items() for word in words.split()}


def state_of(word: str) -> State:
    """Map the relay's *word*, in any case; a word that nobody knows means *still running*."""
    return _STATES.get(word.strip().casefold().replace(" ", "_").replace("-", "_"), State.UNKNOWN)


# --- reading one task ---


def read_task(answer: Answer, task_id: str) -> Generation:
    """Return what *answer* says about *task_id*.

    Raises:
        APIError: The relay said no, in the status or inside a 200.
        ProtocolError: It is no answer, or one about another task (then ``.foreign``).
    """
    documents = read_documents(answer)
    strangers = False
    for document in documents:
        for task in tasks_in(document):
            if identity(task) == task_id:
                return generation_of(task, task_id, raw=document if isinstance(document, Mapping) else task)
            strangers = True
    if strangers:
        raise ProtocolError("the relay answered about another task", foreign=True, verdict=Verdict.PASSING)
    raise _complaint_inside(answer, documents)


def read_documents(answer: Answer) -> list[Any]:
    """Return the JSON documents of a good answer.

    Raises:
        APIError: The status says no.
        ProtocolError: The status is none for an answer, or the body is no JSON.
    """
    if not 200 <= answer.status <= 203:  # noqa: PLR2004 - the successes that carry a body, RFC 9110 section 15.3
        raise refusal(answer)
    if answer.is_html:
        raise _not_a_relay(answer)
    try:
        return _structure.decode(answer.body)
    except _structure.NotJSONError as error:
        raise ProtocolError(f"the relay's answer is {error}", verdict=Verdict.PASSING) from None


_WRAPPERS = ("data", "result", "task", "generation")


def tasks_in(value: Any, depth: int = 4) -> Iterator[Mapping[str, Any]]:
    """Yield each object in *value* that has an identity and a state, unwrapping envelopes (contract, *Wrapped answers*)."""
    value = _structure.opened(value)
    if isinstance(value, list):
        for item in value:
            yield from tasks_in(item, depth)
    elif isinstance(value, Mapping):
        is_task = identity(value) is not None and _word(value) is not None
        if is_task:
            yield value
        if depth and not (is_task and _filled(value.get("task_id"))):
            for wrapper in _WRAPPERS:
                yield from tasks_in(value.get(wrapper), depth - 1)


def identity(task: Mapping[str, Any]) -> str | None:
    """Return whose answer it is: a row's ``task_id``; its integer ``id`` is a database key."""
    return _filled(task.get("task_id")) or _filled(task.get("id"))


def _word(task: Mapping[str, Any]) -> str | None:
    """Return the relay's word for the state; a row's outer ``status`` wins over a stale inner ``state``."""
    outer = ("status", "state") if "task_id" in task else ("state", "status")
    words = [*(task.get(key) for key in outer), *(_inner(task).get(key) for key in ("state", "status"))]
    return next((word for word in words if _filled(word)), None)


def _inner(row: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = _structure.opened(row.get("data"))
    return inner if isinstance(inner, Mapping) else {}


def _filled(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def generation_of(task: Mapping[str, Any], task_id: str, raw: Mapping[str, Any]) -> Generation:
    """Structure *task*, a bare generation or a row around one."""
    inner = _inner(task)
    word = _word(task) or ""
    state = state_of(word)
    told = inner or task
    request = told.get("request")
    return _structure.generation(
        {
            **told,
            "id": task_id,
            "state": state,
            "state_text": word,
            "created_at": told.get("created_at") or task.get("created_at") or task.get("submit_time"),
            "prompt": told.get("prompt") or (request.get("prompt") if isinstance(request, Mapping) else None),
            "failure_reason": _reason(task, inner) if state is State.FAILED else told.get("failure_reason"),
            "result_url": _result_url(task, inner) if state is State.COMPLETED else None,
            "problems": (),
            "raw": raw,
        }
    )


def _reason(task: Mapping[str, Any], inner: Mapping[str, Any]) -> str | None:
    """Return why it failed: the first text in the places of contract section 1; links are not reasons."""
    keys = ("failure_reason", "fail_reason", "error", "message", "result_url")
    for value in (source.get(key) for key in keys for source in (inner, task)):
        text = _innermost_text(value)
        if text and _structure.link_or_none(text) is None:
            return text
    return None


def _result_url(task: Mapping[str, Any], inner: Mapping[str, Any]) -> Link | None:
    """Return a row's own link; on success ``fail_reason`` may hold it (contract, *Wrapped answers*)."""
    values = (source.get(key) for source in (task, inner) for key in ("url", "result_url", "video_url", "fail_reason"))
    return next(filter(None, map(_structure.link_or_none, values)), None)


# --- errors: each cause is one row (contract section 4) ---


@frozen
class Cause:
    """What one cause becomes."""

    error: type[APIError]
    verdict: Verdict
    advice: str = ""


_KEY_ADVICE = "check the key: LUMA_API_KEY, LUMA_API_KEY_FILE or api_key="
_ADDRESS_ADVICE = "check base_url: this address may be no relay with Luma"
_CREDIT_ADVICE = "the account at the relay is out of credit"

_BY_STATUS = {
    400: Cause(APIError, Verdict.FINAL),
    401: Cause(AuthenticationError, Verdict.FINAL, _KEY_ADVICE),
    402: Cause(QuotaExceededError, Verdict.FINAL, _CREDIT_ADVICE),
    403: Cause(PermissionDeniedError, Verdict.FINAL, "the key may not do this at this relay"),
    404: Cause(NotFoundError, Verdict.UNCONFIRMED, "check the task id, and that the key is the one that submitted it"),
    408: Cause(APIError, Verdict.PASSING),
    410: Cause(NotFoundError, Verdict.FINAL, "the relay has forgotten this task"),
    425: Cause(APIError, Verdict.PASSING),
    429: Cause(RateLimitError, Verdict.SLOW_DOWN, "ask less often: Limits(requests_per_second=...)"),
    501: Cause(ServerError, Verdict.FINAL, _ADDRESS_ADVICE),
    505: Cause(ServerError, Verdict.FINAL, _ADDRESS_ADVICE),
}
_CLIENT_ERROR = Cause(APIError, Verdict.FINAL)
_SERVER_ERROR = Cause(ServerError, Verdict.PASSING, "the relay or its upstream is in trouble: ask again later")
_SATURATED = Cause(RateLimitError, Verdict.SLOW_DOWN, "the relay's upstream is saturated: ask again later")
_HINTED = Cause(ServerError, Verdict.SLOW_DOWN, "the relay asked us to come back later")
_WRONG_PATH = Cause(NotFoundError, Verdict.FINAL, _ADDRESS_ADVICE)

_QUOTA = Cause(QuotaExceededError, Verdict.FINAL, _CREDIT_ADVICE)
_BY_NAME = {
    **dict.fromkeys(("task_not_exist", "task_not_exists", "task_not_found"), _BY_STATUS[404]),
    **dict.fromkeys(("quota_not_enough", "insufficient_user_quota", "insufficient_quota"), _QUOTA),
    "pre_consume_token_quota_failed": _QUOTA,
    "upstream_load_saturated": _SATURATED,
}
_BY_PHRASE = {"upstream_load_saturated": _SATURATED, "负载已饱和": _SATURATED}


def cause_of(status: int, words: list[str], *, hinted: bool = False) -> Cause | None:
    """Return the row for an answer with *status* that uses *words*; None where no row fits (no answer at all)."""
    named = next((_BY_NAME[word] for word in words if word in _BY_NAME), None)
    phrased = next((cause for phrase, cause in _BY_PHRASE.items() for word in words if phrase in word), None)
    if status == 404 and any("invalid url" in word.lower() for word in words):  # noqa: PLR2004
        return _WRONG_PATH
    if status == 503 and hinted:  # noqa: PLR2004
        return named or phrased or _HINTED
    general = {4: _CLIENT_ERROR, 5: _SERVER_ERROR}.get(status // 100)
    return named or phrased or _BY_STATUS.get(status) or general


def refusal(answer: Answer) -> LumaError:
    """Return the error that an answer with a status other than 200 to 203 is."""
    complaint = _Complaint.of(answer)
    hint = retry_after(answer.retry_after, datetime.now(UTC))
    cause = cause_of(answer.status, complaint.words, hinted=hint is not None)
    if cause is None:
        return ProtocolError(f"the relay answered HTTP {answer.status}, which is no answer", verdict=Verdict.PASSING)
    return complaint.error(answer, cause, hint)


def _complaint_inside(answer: Answer, documents: list[Any]) -> LumaError:
    """Return the error inside a 200: passing, but for the causes that have a name (DESIGN: rule 3)."""
    complaint = _Complaint.of(answer, documents)
    if not complaint.is_one:
        return ProtocolError("the relay's answer has no task in it", verdict=Verdict.PASSING)
    status = int(complaint.code) if str(complaint.code).isdecimal() and len(str(complaint.code)) == 3 else 0  # noqa: PLR2004
    named = cause_of(0, complaint.words)
    general = cause_of(status, complaint.words) or _CLIENT_ERROR
    passing = Verdict.SLOW_DOWN if general.verdict is Verdict.SLOW_DOWN else Verdict.PASSING
    cause = named or Cause(general.error, passing, general.advice)
    return complaint.error(answer, cause, retry_after(answer.retry_after, datetime.now(UTC)))


def _not_a_relay(answer: Answer) -> ProtocolError:
    title = _title(answer.body)
    return ProtocolError(
        f"a web page came where JSON belongs{f' ({title})' if title else ''}",
        verdict=Verdict.PASSING,
        advice=_ADDRESS_ADVICE,
    )


@frozen
class _Complaint:
    """What an unhappy answer says, wherever it says it."""

    code: str | int | None
    message: str
    words: list[str]
    is_one: bool

    @classmethod
    def of(cls, answer: Answer, documents: list[Any] | None = None) -> _Complaint:
        if documents is None:
            documents = _lenient_documents(answer)
        said = [pair for document in documents for pair in _said(document)]
        codes = [value for key, value in said if key == "code" and value != ""]
        texts = [value for key, value in said if key in _TEXT_KEYS and isinstance(value, str) and value.strip()]
        words = [value for _, value in said if isinstance(value, str)]
        named = next((code for code in reversed(codes) if code in _BY_NAME), None)
        innermost = texts[-1] if texts else _plain(answer) if not documents else ""
        return cls(named or (codes[-1] if codes else None), shown(innermost), words, is_one=bool(said))

    def error(self, answer: Answer, cause: Cause, hint: float | None) -> APIError:
        status = f"HTTP {answer.status}" + (f", code {shown(self.code, 60)}" if self.code not in (None, "") else "")
        request_id = answer.request_id or self._request_id()
        told = f": {self.message}" if self.message else ""
        return cause.error(
            f"the relay answered {status}{told}",
            status=answer.status,
            code=self.code,
            message=self.message,
            request_id=shown(request_id, 80) if request_id else None,
            retry_after=hint,
            advice=cause.advice,
            verdict=cause.verdict,
        )

    def _request_id(self) -> str | None:
        found = re.search(r"request id: ([\w-]+)", self.message)
        return found and found[1]


_TEXT_KEYS = ("message", "msg", "detail", "error", "reason", "fail_reason")
_MARKS = ("code", "type", "success", *_TEXT_KEYS)


def _said(value: Any, key: str = "", depth: int = 8) -> Iterator[tuple[str, Any]]:
    """Yield each key that can carry a complaint with what it says, the outermost first, opening JSON inside strings."""
    opened = _structure.opened(value)
    if isinstance(opened, Mapping) and depth:
        for name in _MARKS:
            if opened.get(name) is not None:
                yield from _said(opened[name], name, depth - 1)
    elif key and isinstance(opened, str | int):
        yield key, opened


def _innermost_text(value: Any) -> str | None:
    texts = [text for key, text in _said({"message": value}) if key in _TEXT_KEYS and _filled(text)]
    return texts[-1] if texts else None


def _lenient_documents(answer: Answer) -> list[Any]:
    """Return the JSON of an answer that says no anyway; an HTML page or plain text has none."""
    try:
        return _structure.decode(answer.body)
    except _structure.NotJSONError:
        return []


def _plain(answer: Answer) -> str:
    return _title(answer.body) if answer.is_html else answer.body[:2000].decode("utf-8", "replace").strip()


def _title(page: bytes) -> str:
    found = re.search(rb"<title[^>]*>(.{1,500}?)</title>", page[:20_000], re.IGNORECASE | re.DOTALL)
    return shown(html.unescape(found[1].decode("utf-8", "replace")).strip(), 120) if found else ""


_DIGITS = re.compile(r"[0-9]{1,9}")


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for (RFC 9110 section 10.2.3), or None if it says nothing usable."""
    if value is None:
        return None
    if _DIGITS.fullmatch(value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
