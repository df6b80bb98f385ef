"""Turns a refusal, in the HTTP status or inside a 200, into one of our errors (contract section 4)."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from attrs import evolve, frozen

from luma_async._relay.answer import Answer
from luma_async._relay.documents import NotJSONError, Reading, decode, opened
from luma_async._text import shown
from luma_async.errors import (
    APIError,
    AuthenticationError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    Verdict,
)


# --- each cause is one row ---
@frozen
class Cause:
    """The error that one cause results in."""

    error: type[APIError]
    verdict: Verdict
    advice: str = ""
    names_task: bool = False
    """Whether the relay speaks of the task, and not only of something that is not there."""


_KEY_ADVICE = "check the key: LUMA_API_KEY, LUMA_API_KEY_FILE or api_key="
_ADDRESS_ADVICE = "check base_url: this address may not be a relay with Luma"
_CREDIT_ADVICE = "the account at the relay is out of credit"
_FIREWALL_ADVICE = "a firewall or CDN in front of the relay refused this request: it often lets the next one through"
_BY_STATUS = {
    401: Cause(AuthenticationError, Verdict.FINAL, _KEY_ADVICE),
    402: Cause(QuotaExceededError, Verdict.FINAL, _CREDIT_ADVICE),
    403: Cause(PermissionDeniedError, Verdict.FINAL, "the key may not do this at this relay"),
    404: Cause(NotFoundError, Verdict.UNCONFIRMED, "check the task id, and that the key is the one that submitted it"),
    408: Cause(APIError, Verdict.PASSING),
    409: Cause(APIError, Verdict.UNCONFIRMED),
    410: Cause(NotFoundError, Verdict.FINAL, "the relay has forgotten this task", names_task=True),
    425: Cause(APIError, Verdict.PASSING),
    429: Cause(RateLimitError, Verdict.SLOW_DOWN, "send fewer requests: Limits(requests_per_second=...)"),
    501: Cause(ServerError, Verdict.FINAL, _ADDRESS_ADVICE),
    505: Cause(ServerError, Verdict.FINAL, _ADDRESS_ADVICE),
}
_CLIENT_ERROR = Cause(APIError, Verdict.FINAL)
_SERVER_ERROR = Cause(ServerError, Verdict.PASSING, "the relay or its upstream is in trouble: try again later")
_SATURATED = Cause(RateLimitError, Verdict.SLOW_DOWN, "the relay's upstream is saturated: try again later")
_COME_BACK_ADVICE = "the relay asked for a retry later"
_MAY_BE_HINTED = frozenset({400, 401, 403, 409, 422, 503})
"""Statuses that mean *slow down* if they come with a usable ``Retry-After`` (architecture, rule 3)."""
_NO_SUCH_TASK = evolve(_BY_STATUS[404], names_task=True)
_WRONG_PATH = Cause(NotFoundError, Verdict.FINAL, _ADDRESS_ADVICE)
_QUOTA = Cause(QuotaExceededError, Verdict.FINAL, _CREDIT_ADVICE)
_BY_WORD = {
    "task_not_exist": _NO_SUCH_TASK,
    "task_not_found": _NO_SUCH_TASK,
    "quota_not_enough": _QUOTA,
    "insufficient_user_quota": _QUOTA,
    "insufficient_quota": _QUOTA,
    "pre_consume_token_quota_failed": _QUOTA,
    "upstream_load_saturated": _SATURATED,
    "负载已饱和": _SATURATED,
}
"""Words that are more precise than the status, anywhere in a refusal: as its code, or in its text."""


def _cause_named(word: str) -> Cause | None:
    plain = _normalized(word)
    return next((cause for name, cause in _BY_WORD.items() if name in plain), None)


def _normalized(word: str) -> str:
    """Return one spelling for a code and for the same code written as words."""
    return word.casefold().replace(" ", "_").replace("-", "_")


def cause_of(status: int, words: list[str], *, is_hinted: bool = False) -> Cause | None:
    """Return the row for an answer with *status* and *words*; None if no row fits.

    Args:
        status: The HTTP status, or the status inside a 200; 0 for none.
        words: All texts in the answer.
        is_hinted: Whether the answer has a usable ``Retry-After``.
    """
    named = next(filter(None, map(_cause_named, reversed(words))), None)
    if named is not None:
        return named
    first = _first(words)
    if status in _MAY_SAY_NOT_FOUND and any(map(_says_no_such_task, first)):
        return _NO_SUCH_TASK
    if status in _MAY_SAY_NOT_FOUND and any(map(_says_nothing_but_not_found, first)):
        return _BY_STATUS[404]
    if status == 404 and any("invalid_url" in _normalized(word) for word in words):  # noqa: PLR2004 - contract section 4
        return _WRONG_PATH
    cause = _BY_STATUS.get(status) or {4: _CLIENT_ERROR, 5: _SERVER_ERROR}.get(status // 100)
    if cause is not None and is_hinted and status in _MAY_BE_HINTED:
        return evolve(cause, verdict=Verdict.SLOW_DOWN, advice=_COME_BACK_ADVICE)
    return cause


_SUCCESS = frozenset({"success", "succeed", "succeeded", "ok", "0", "200", "201", ""})


def is_success(document: Mapping[str, Any]) -> bool:
    """Whether an envelope reports a success, with its code as a word or a number."""
    code = document.get("code")
    if document.get("success") is False or isinstance(code, bool | float | list | dict):
        return False
    return code is None or _normalized(str(code).strip()) in _SUCCESS


# --- an unknown task, in any wording ---
_MAY_SAY_NOT_FOUND = frozenset({0, 400, 404, 422, 500})
"""With another status the same words are about a key, a user or a channel. 0 is a refusal inside a 200."""
_TASK = (
    r"(?:task|generation|job|record|video|creation|任务|任務|作业|作業|记录|記錄|作品|视频|タスク|ジョブ|생성|작업"
    r"|tarea|tarefa|tâche|aufgabe|задач|задани|генераци)"
)
_ABSENT = (
    r"(?:not[ _-]?(?:be[ _-])?(?:found|exist)|do(?:es)?[ _-]?n['’o]t[ _-]exist|no longer exist|unknown"
    r"|不存在|未找到|没有找到|沒有找到|找不到|無效|无效|存在しません|見つかりません|없습니다|존재하지"
    r"|no existe|no encontrad|não existe|não encontrad|introuvable|existe pas|non trouvée?"
    r"|nicht gefunden|existiert nicht|не найден|не существует)"
)
_NO_SUCH = (
    r"(?:no such|unknown|invalid|non-?existent|(?:can ?not|can't|could not|couldn't|unable to) find"
    r"|找不到|未找到|未能找到|没有找到|沒有找到|无此|無此)"
)
_GAP = r"[^.!?。！？]"
_NOT_FOUND = re.compile(rf"{_TASK}{_GAP}{{0,80}}?{_ABSENT}|{_NO_SUCH}{_GAP}{{0,20}}?{_TASK}")
_ANOTHER_THING = re.compile(r"channel|model|user|token|\bkey\b|account|url|path|渠道|通道|模型|令牌|用户|用戶|账号")
_NOTHING_ELSE = re.compile(r"not[ _]found|不存在|does not exist")


_LONGEST_READ = 5000
"""Characters of all texts together that are searched for a wording."""


def _first(words: list[str]) -> list[str]:
    """Return the first of *words*, cut to the length of a wording, until they are long enough together."""
    first: list[str] = []
    left = _LONGEST_READ
    for word in words:
        if left <= 0:
            break
        first.append(word[:_LONGEST_WORDING])
        left -= len(first[-1]) + 1
    return first


def _says_no_such_task(word: str) -> bool:
    """Whether a complaint's text says that there is no such task."""
    plain = _wording(word)
    found = filter(None, map(_NOT_FOUND.search, (plain, re.sub("[_-]", "", plain))))
    return any(not _ANOTHER_THING.search(match[0]) for match in found)


def _says_nothing_but_not_found(word: str) -> bool:
    """Whether a complaint's text does not say what is not found."""
    return _NOTHING_ELSE.fullmatch(_wording(word)) is not None


def _wording(text: str) -> str:
    return text[:_LONGEST_WORDING].casefold().strip(" .!。！")


_LONGEST_WORDING = 500


# --- a refusal by the relay, or by its upstream ---
def _is_from_the_relay(documents: list[Any], words: list[str]) -> bool:
    """Whether a 401 or 403 is about the user's key, and not about the key of the gateway (contract section 6)."""
    if any(_normalized(word) in _UPSTREAMS_WORDS for word in words):
        return False
    return any(_has_a_message(opened(document)) for document in documents)


_UPSTREAMS_WORDS = frozenset({"fail_to_fetch_task", "not_authenticated"})


def _has_a_message(document: Any) -> bool:
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
    documents = lenient_documents(answer)
    details = _Details.of(answer, documents)
    hint = _hint_of(answer)
    cause = cause_of(answer.status, details.words, is_hinted=hint is not None)
    if cause is None:
        return ProtocolError(
            f"the relay answered HTTP {answer.status}, which is not a usable status", verdict=Verdict.PASSING
        )
    return details.error(answer, _adjusted(cause, answer, documents, details.words), hint)


def _adjusted(cause: Cause, answer: Answer, documents: list[Any], words: list[str]) -> Cause:
    """Return *cause*, changed where the answer comes from the relay's upstream or from a firewall in front of it."""
    if cause.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN):
        return cause
    if answer.is_challenge or (answer.is_html and answer.status == 403):  # noqa: PLR2004 - architecture, rule 3
        return evolve(cause, verdict=Verdict.PASSING, advice=_FIREWALL_ADVICE)
    if answer.is_html:
        cause = evolve(cause, advice=_ADDRESS_ADVICE)
    about_the_key = answer.status in (401, 403) and cause.error in (AuthenticationError, PermissionDeniedError)
    if about_the_key and (answer.is_html or not _is_from_the_relay(documents, words)):
        return evolve(cause, verdict=Verdict.UNCONFIRMED)
    return cause


def refusal_inside(answer: Answer, documents: list[Any]) -> LumaError:
    """Return the error inside a 200: passing, except for the causes that have a name (architecture, rule 3)."""
    details = _Details.of(answer, documents)
    if not details.is_refusal:
        return ProtocolError("the relay's answer contains no task", verdict=Verdict.PASSING)
    cause = cause_of(0, details.words)
    if cause is None:
        cause = cause_of(_as_status(details.code), []) or _CLIENT_ERROR
        slow = cause.verdict is Verdict.SLOW_DOWN
        cause = evolve(cause, verdict=Verdict.SLOW_DOWN if slow else Verdict.PASSING)
    return details.error(answer, cause, _hint_of(answer))


def not_a_relay(answer: Answer) -> ProtocolError:
    """Return the error for a web page instead of JSON."""
    title = _title(answer.body)
    return ProtocolError(
        f"the relay answered with a web page instead of JSON{f' ({title})' if title else ''}",
        verdict=Verdict.PASSING,
        advice=_ADDRESS_ADVICE,
    )


def _as_status(code: str | int | None) -> int:
    """Return a code that is an HTTP status as a number; otherwise 0."""
    return int(code) if code is not None and re.fullmatch(r"[1-9][0-9]{2}", str(code)) else 0


# --- the texts and codes of a refusal ---
_TEXT_KEYS = ("message", "msg", "detail", "description", "error", "errors", "reason", "fail_reason")
_MARKS = ("code", "type", "success", *_TEXT_KEYS)
_DEEPEST = 8


@frozen
class _Entry:
    key: str
    value: str | int
    depth: int

    @property
    def text(self) -> str | None:
        """The text for a person to read, or None."""
        return self.value if self.key in _TEXT_KEYS and isinstance(self.value, str) and self.value.strip() else None

    @property
    def marks_refusal(self) -> bool:
        """Whether this marks a refusal: a task may have a ``type`` too, but no other of these keys."""
        return self.key != "type" or self.depth > 1


_MOST_ENTRIES = 1000
"""Values of a refusal that are looked at."""


def _entries(value: Any, key: str = "", depth: int = 0, reading: Reading | None = None) -> list[_Entry]:
    """Return each text or code of a refusal, the outermost first, with JSON inside strings opened."""
    reading = reading or Reading(_MOST_ENTRIES)
    if not reading.visit():
        return []
    plain = reading.opened(value)
    inside = _parts(plain, key) if depth < _DEEPEST else []
    found = [entry for name, part in inside for entry in _entries(part, name, depth + 1, reading)]
    plain = plain if isinstance(plain, str | int) else value
    if found or not key or not isinstance(plain, str | int) or plain == "":
        return found
    return [_Entry(key, plain, depth)]


def _parts(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(name, value[name]) for name in _MARKS if name in value]
    return [(key, item) for item in value[:_MOST_ENTRIES]] if isinstance(value, list) else []


def innermost_text(value: Any) -> str | None:
    """Return the text in *value* for a person to read: the deepest one, in full; None if there is none."""
    return _deepest_text(_entries(value, "message"))


def _deepest_text(entries: list[_Entry]) -> str | None:
    texts = [entry for entry in entries if entry.text]
    return max(texts, key=lambda entry: entry.depth).text if texts else None


@frozen
class _Details:
    """The code and the texts of a refusal, from anywhere in the answer."""

    code: str | int | None
    message: str
    """In full, and unchanged."""
    words: list[str]
    is_refusal: bool

    @classmethod
    def of(cls, answer: Answer, documents: list[Any]) -> _Details:
        entries = [entry for document in documents for entry in _entries(document)]
        words = [entry.value for entry in entries if isinstance(entry.value, str)]
        if not documents:
            words = [_plain_text(answer)]
        types = [entry.value for entry in entries if entry.key == "type"]
        message = _deepest_text(entries) or (str(types[-1]) if types else "" if documents else words[0])
        return cls(_code(entries), message, words, is_refusal=any(entry.marks_refusal for entry in entries))

    def error(self, answer: Answer, cause: Cause, hint: float | None) -> APIError:
        """Return the error of *cause* with this code and message."""
        what = f"HTTP {answer.status}{' without a task' if answer.status < 300 else ''}"  # noqa: PLR2004
        code = f", code {shown(self.code, 60)}" if self.code is not None else ""
        message = shown(self.message)
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

    def _request_id(self) -> str | None:
        """Return the id that gateways append to their texts."""
        found = (re.search(r"request id: ([\w-]+)", word) for word in reversed(self.words))
        return next((match[1] for match in found if match), None)


def _code(entries: list[_Entry]) -> str | int | None:
    """Return the most precise code: one with a row in the table, otherwise the innermost."""
    codes = [entry.value for entry in entries if entry.key == "code" and not isinstance(entry.value, bool)]
    codes = [code for code in codes if not isinstance(code, str) or len(code) <= _LONGEST_WORDING]
    named = [code for code in codes if code in _BY_WORD]
    return next(reversed(named or codes), None)


def lenient_documents(answer: Answer) -> list[Any]:
    """Return the JSON documents of a refusal; an HTML page or plain text has none."""
    try:
        return decode(answer.body)
    except NotJSONError:
        return []


def _plain_text(answer: Answer) -> str:
    return _title(answer.body) if answer.is_html else answer.body[:2000].decode("utf-8", "replace").strip()


_TITLE = re.compile(rb"<(title|h1)\b[^>]{0,200}>(.{1,500}?)</\1>", re.IGNORECASE | re.DOTALL)


def _title(page: bytes) -> str:
    found = _TITLE.search(page[:20_000])
    return shown(html.unescape(found[2].decode("utf-8", "replace")).strip(), 120) if found else ""


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
