"""Turns a refusal, in the HTTP status or inside a 200, into one of our errors (contract section 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from attrs import evolve, frozen

from luma_async._relay.answer import Answer
from luma_async._relay.documents import NotJSONError, Reading, decode, opened
from luma_async._relay.not_found import ends_in_another_thing, first_of, says_no_such_task, says_nothing_but_not_found
from luma_async._text import shown, text_of_page, title_of, without_markup
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
_TASK_ADVICE = "check the task id, and that the key is the one that submitted it"
_CREDIT_ADVICE = "the account at the relay is out of credit"
_UPSTREAM_ADVICE = "the relay's own account at its upstream is refused, not your key: tell the relay's operator"
_UNCLEAR_ADVICE = "if it passes, the relay's own account at its upstream was refused"
_FIREWALL_ADVICE = "a firewall or CDN in front of the relay refused this request: it often lets the next one through"
_BY_STATUS = {
    401: Cause(AuthenticationError, Verdict.FINAL, _KEY_ADVICE),
    402: Cause(QuotaExceededError, Verdict.FINAL, _CREDIT_ADVICE),
    403: Cause(PermissionDeniedError, Verdict.FINAL, "the key may not do this at this relay"),
    404: Cause(NotFoundError, Verdict.UNCONFIRMED, f"{_TASK_ADVICE}; or base_url: there may be no Luma here"),
    408: Cause(APIError, Verdict.PASSING),
    409: Cause(APIError, Verdict.UNCONFIRMED),
    410: Cause(NotFoundError, Verdict.FINAL, "the relay has forgotten this task", names_task=True),
    413: Cause(APIError, Verdict.FINAL, "the request is too large for the relay"),
    425: Cause(APIError, Verdict.PASSING),
    429: Cause(RateLimitError, Verdict.SLOW_DOWN, "send fewer requests: Limits(requests_per_second=...)"),
    501: Cause(ServerError, Verdict.FINAL, _ADDRESS_ADVICE),
    505: Cause(ServerError, Verdict.FINAL, _ADDRESS_ADVICE),
}
_CLIENT_ERROR = Cause(APIError, Verdict.FINAL)
_SERVER_ERROR = Cause(ServerError, Verdict.PASSING, "the relay or its upstream is in trouble: try again later")
_SATURATED = Cause(RateLimitError, Verdict.SLOW_DOWN, "the relay's upstream is saturated: try again later")
_COME_BACK_ADVICE = "the relay asked for a retry later"
_UNAVAILABLE = 503
_TOO_MANY = 429
_NEVER_HINTED = frozenset({402, 404, 405, 410, 451})
"""Statuses 4xx that do not mean *slow down* with a usable ``Retry-After``; a 503 does too (architecture, rule 3)."""
_MAY_SAY_NOT_FOUND = frozenset({0, 400, 404, 422, 500})
"""With another status the same words are about a key, a user or a channel. 0 is a refusal inside a 200."""
_NO_SUCH_TASK = evolve(_BY_STATUS[404], advice=_TASK_ADVICE, names_task=True)
_WRONG_PATH = Cause(NotFoundError, Verdict.FINAL, _ADDRESS_ADVICE)
_QUOTA = Cause(QuotaExceededError, Verdict.FINAL, _CREDIT_ADVICE)
_BY_WORD = {
    "task_not_exist": _NO_SUCH_TASK,
    "task_not_found": _NO_SUCH_TASK,
    "quota_not_enough": _QUOTA,
    "insufficient_user_quota": _QUOTA,
    "insufficient_quota": _QUOTA,
    "pre_consume_token_quota_failed": _QUOTA,
    "too_many_requests": _BY_STATUS[429],
    "rate_limit": _BY_STATUS[429],
    "请求过于频繁": _BY_STATUS[429],
    "upstream_load_saturated": _SATURATED,
    "负载已饱和": _SATURATED,
}
"""Words that are more precise than the status, anywhere in a refusal: as its code, or in its text."""


def _cause_named(word: str) -> Cause | None:
    plain = _normalized(word)
    found = ((cause, plain.partition(name)[0]) for name, cause in _BY_WORD.items() if name in plain)
    return next((cause for cause, before in found if not ends_in_another_thing(before.replace("_", " "))), None)


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
    first = first_of(words)
    if status in _MAY_SAY_NOT_FOUND and any(map(says_no_such_task, first)):
        return _NO_SUCH_TASK
    if status in _MAY_SAY_NOT_FOUND and any(map(says_nothing_but_not_found, first)):
        return _BY_STATUS[404]
    if status == 404 and any("invalid_url" in _normalized(word) for word in words):  # noqa: PLR2004 - contract section 4
        return _WRONG_PATH
    cause = _BY_STATUS.get(status) or {4: _CLIENT_ERROR, 5: _SERVER_ERROR}.get(status // 100)
    may_be_hinted = status // 100 == 4 and status not in _NEVER_HINTED  # noqa: PLR2004 - as of HTTP
    if cause is not None and is_hinted and (may_be_hinted or status == _UNAVAILABLE):
        return evolve(cause, verdict=Verdict.SLOW_DOWN, advice=_COME_BACK_ADVICE)
    return cause


_WELL = frozenset(
    {"success", "succeed", "succeeded", "successful", "successfully", "ok", "submit_success", "成功", "提交成功"}
)
_TAKEN = _WELL | {"accepted", "created", "submitted"}
_NO_ERROR = _WELL | {"", "0", "200", "none", "null", "no_error", "n/a", "false"}
_FALSE = (False, 0, "0", "false", "no")


def is_success(document: Mapping[str, Any]) -> bool:
    """Whether an envelope reports a success, with its code as a word or a number, and no text as its error."""
    code = document.get("code")
    if document.get("success") in _FALSE or isinstance(code, float | list | dict):
        return False
    if _normalized((innermost_text(document.get("error")) or "").strip()) not in _NO_ERROR:
        return False
    plain = _normalized("" if code is None else str(code).strip())
    number = int(plain) if plain.isdecimal() and len(plain) < _LONG_CODE else None
    if number is not None and number != 0 and number // 100 != 2:  # noqa: PLR2004 - as of HTTP
        # To each gateway another number is a success, or an error: the text beside it says which.
        words = (_normalized(str(document.get(key) or "").strip(" .!")) for key in ("message", "msg"))
        return number // 100 not in (4, 5) and any(word in _TAKEN for word in words)
    return number is not None or plain in _TAKEN or plain in ("", "true")


_LONG_CODE = 20
"""Digits of a code that no gateway has."""


# --- a refusal by the relay, or by its upstream ---
def _is_from_upstream(words: list[str]) -> bool:
    """Whether a 401, 402 or 403 is about the account of the gateway at its upstream (contract section 6)."""
    plain = [_normalized(word.strip(" .!")) for word in words]
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
    status = _TOO_MANY if str(details.code) == str(_TOO_MANY) else answer.status
    cause = cause_of(status, details.words, is_hinted=hint is not None)
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
        cause = evolve(cause, advice=_ADDRESS_ADVICE)
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
    if not details.is_refusal:
        return ProtocolError("the relay's answer contains no task", verdict=Verdict.PASSING)
    cause = cause_of(0, details.words)
    if cause is None:
        cause = cause_of(_as_status(details.code), []) or _CLIENT_ERROR
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
        advice=_ADDRESS_ADVICE,
    )


def _as_status(code: str | int | None) -> int:
    """Return a code that is an HTTP status as a number; otherwise 0."""
    return int(code) if code is not None and re.fullmatch(r"[1-9][0-9]{2}", str(code)) else 0


# --- the texts and codes of a refusal ---
_TEXT_KEYS = ("message", "msg", "detail", "description", "error", "errors", "reason", "fail_reason")
_MARKS = ("code", "type", "success", *_TEXT_KEYS)
_DEEPEST = 8
_TITLE = "title"
_OTHER_CODE = re.compile(r"code|(?:err|error|fault|fail|failure)code|errno")
_STATUS_CODE = "statuscode"
_ABOUT_A_REFUSAL = r"(?:err|error|fail|failure|fault|status|resp|response|ret|return|result|display|developer)"
_OTHER_TEXT = re.compile(
    rf"{_ABOUT_A_REFUSAL}*(?:msg|message|reason|details?|desc|description|cause)|{_ABOUT_A_REFUSAL}+(?:text|string|info)"
    r"|err|errors?|exceptions?|failures?|fault"
)
_CONTAINER = re.compile(r"(?:base|common)?resp(?:onse)?(?:metadata|status|header)?|fault|status|result")
_MOST_OTHER_KEYS, _LONGEST_KEY = 100, 60


@lru_cache(maxsize=512)
def _usual_name(key: str) -> str | None:
    """Return the usual name for another spelling of a code or a text, in any case; None for any other key."""
    plain = key.casefold().replace("_", "").replace("-", "")
    if _OTHER_CODE.fullmatch(plain):
        return "code"
    if plain in (_TITLE, _STATUS_CODE):
        return plain
    return "message" if _OTHER_TEXT.fullmatch(plain) else "" if _CONTAINER.fullmatch(plain) else None


def _other_parts(value: Mapping[str, Any], *, is_outermost: bool) -> list[tuple[str, Any]]:
    """Return the texts, the codes and what is around them, at other keys than the usual ones."""
    found: list[tuple[str, Any]] = []
    for key in islice(value, _MOST_OTHER_KEYS):
        if key in _MARKS or (name := _usual_name(key[:_LONGEST_KEY])) is None:
            continue
        if name == _STATUS_CODE:
            if not is_outermost:  # there it repeats the HTTP status
                found.append(("code", value[key]))
        elif name or isinstance(value[key], Mapping):
            found.append((name or "message", value[key]))
    return found


@frozen
class _Entry:
    key: str
    value: str | int
    depth: int
    where: str = ""
    """The field that the text is about, such as ``body.user_prompt``."""
    is_usual: bool = True
    """Whether all keys on the way are the usual ones: what is at others counts where these have nothing."""

    @property
    def text(self) -> str | None:
        """The text for a person to read, or None."""
        if self.key not in (*_TEXT_KEYS, _TITLE) or not isinstance(self.value, str) or not self.value.strip():
            return None
        return f"{self.where}: {self.value}" if self.where else self.value

    @property
    def marks_refusal(self) -> bool:
        """Whether this marks a refusal: a task may have a ``type`` or a ``title`` too, but no other of these keys."""
        return self.key not in ("type", _TITLE) or self.depth > 1


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
    if depth < _DEEPEST and type(plain) is dict and (others := _other_parts(plain, is_outermost=not key)):
        further = [entry for name, part in others for entry in _entries(part, name, depth + 1, reading)]
        found += [evolve(entry, is_usual=False) for entry in further]
    if found and isinstance(plain, Mapping) and isinstance(where := plain.get("loc"), list):
        name = ".".join(str(part) for part in where[:_DEEPEST] if isinstance(part, str | int))[:_LONGEST_CODE]
        found = [evolve(entry, where=name) for entry in found]
    plain = plain if isinstance(plain, str | int) else value
    if found or not key or not isinstance(plain, str | int) or plain == "":
        return found
    return [_Entry(key, plain, depth)]


def _parts(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(name, value[name]) for name in _MARKS if name in value]
    return [(key, item) for item in value[:_MOST_ENTRIES]] if isinstance(value, list) else []


def innermost_text(value: Any, reading: Reading | None = None) -> str | None:
    """Return the text in *value* for a person to read: the deepest one, in full; None if there is none.

    Args:
        value: A text, or an object or list with texts in it.
        reading: Bounds the work; without it, 1000 values are looked at.
    """
    return _deepest_text(_entries(value, "message", reading=reading))


def code_in(value: Any, reading: Reading | None = None) -> str | int | None:
    """Return the most precise code in *value*; *reading* bounds the work."""
    return _code(_entries(value, "message", reading=reading))


def _deepest_text(entries: list[_Entry]) -> str | None:
    texts = [entry for entry in entries if entry.text]
    return max(texts, key=lambda entry: (entry.is_usual, entry.depth)).text if texts else None


_LONGEST_PRAISE = 80
_NOTHING_WRONG = re.compile(
    r"\b(?:0+|200)\b|\b(?:no|without) (?:errors?|failures?|problems?|issues?)\b|\berrors?: none\b"
    r"|(?:没有|无)(?:错误|异常)"
)
"""Also as a number of HTTP or of an envelope."""
_ALL_IS_WELL = re.compile(
    r"(?:.*(?:\b(?:success(?:ful(?:ly)?)?|succeed(?:ed)?|ok|okay|completed?|done|finished|all good)"
    r"|成功|完成|正常|성공|완료|успешно|éxito|sucesso))?|successfully\b.*|成功(?!率).*"
)
_BUT = re.compile(
    r"\b(?:not?|non|never|un\w+|cannot|without|before|but|only|partial\w*|must|please|retry|try|fail\w*|err\w*|low|too"
    r"|reject\w*|refus\w*|den(?:y|ied)|block\w*|violat\w*|cancel\w*|require[sd]?|needs?)\b|n['’]t\b"
    r"|[不未没沒无無非错錯拒但需]|失败|失敗|部分"
)
"""Words with which the same text denies it."""


def says_all_is_well(text: str) -> bool:
    """Whether a short *text* says that all is well, and nothing else (design, *Reading what relays say*)."""
    if len(text) > _LONGEST_PRAISE:
        return False
    plain = _NOTHING_WRONG.sub("", " ".join(text.casefold().replace("_", " ").split())).strip(" .,;!:()。，！")
    return _ALL_IS_WELL.fullmatch(plain) is not None and _BUT.search(plain) is None


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
        document, entries = next(
            filter(lambda found: found[1], ((document, _entries(document)) for document in documents)), (None, [])
        )
        words = [entry.value for entry in entries if isinstance(entry.value, str)]
        if not documents:
            words = [_plain_text(answer)]
        types = [entry.value for entry in entries if entry.key == "type"]
        message = _deepest_text(entries) or (str(types[-1]) if types else "" if documents else words[0])
        is_refusal = any(entry.marks_refusal for entry in entries)
        return cls(_code(entries), without_markup(message), words, is_refusal=is_refusal, document=document)

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
        """Return the id that gateways append to their texts, or give beside them."""
        found = (re.search(r"request id: ([\w-]+)", word) for word in reversed(self.words))
        named = self.document.get("request_id") if isinstance(self.document, Mapping) else None
        return next((match[1] for match in found if match), named if isinstance(named, str) else None)


_LONGEST_CODE = 500


def _code(entries: list[_Entry]) -> str | int | None:
    """Return the most precise code: one with a row in the table, otherwise the innermost."""
    found = [entry for entry in entries if entry.key == "code" and not isinstance(entry.value, bool)]
    codes = [entry.value for entry in sorted(found, key=lambda entry: entry.is_usual)]
    codes = [code for code in codes if not isinstance(code, str) or len(code) <= _LONGEST_CODE]
    named = [code for code in codes if code in _BY_WORD]
    return next(reversed(named or codes), None)


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
