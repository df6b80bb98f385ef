"""Each cause of a refusal is one row: the error, the verdict and the advice (architecture, rule 3)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from luma_async._relay.not_found import (
    ends_in_another_thing,
    first_of,
    says_no_such_task,
    says_not_yet,
    says_nothing_but_not_found,
)
from luma_async._relay.slow_down import says_slow_down
from luma_async._text import as_code
from luma_async.errors import (
    APIError,
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    Verdict,
)


@frozen
class Cause:
    """The error that one cause results in."""

    error: type[APIError]
    verdict: Verdict
    advice: str = ""
    names_task: bool = False
    """Whether the relay speaks of the task, and not only of something that is not there."""


_KEY_ADVICE = "check the key: LUMA_API_KEY, LUMA_API_KEY_FILE or api_key="
ADDRESS_ADVICE = "check base_url: this address may not be a relay with Luma"
_TASK_ADVICE = "check the task id, and that the key is the one that submitted it"
_CREDIT_ADVICE = "the account at the relay is out of credit"
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
    501: Cause(ServerError, Verdict.FINAL, ADDRESS_ADVICE),
    505: Cause(ServerError, Verdict.FINAL, ADDRESS_ADVICE),
}
CLIENT_ERROR = Cause(APIError, Verdict.FINAL)
_SERVER_ERROR = Cause(ServerError, Verdict.PASSING, "the relay or its upstream is in trouble: try again later")
_SATURATED = Cause(RateLimitError, Verdict.SLOW_DOWN, "the relay's upstream is saturated: try again later")
_COME_BACK_ADVICE = "the relay asked for a retry later"
_UNAVAILABLE = 503
_NEVER_HINTED = frozenset({402, 404, 405, 410, 451})
"""Statuses 4xx that do not mean *slow down* with a usable ``Retry-After``; a 503 does too (architecture, rule 3)."""
_MAY_SAY_NOT_FOUND = frozenset({0, 400, 404, 422, 500})
"""With another status the same words are about a key, a user or a channel. 0 is a refusal inside a 200."""
_MAY_SAY_NOT_YET = frozenset({400, 404, 409, 422})
_NO_SUCH_TASK = evolve(_BY_STATUS[404], advice=_TASK_ADVICE, names_task=True)
_WRONG_PATH = Cause(NotFoundError, Verdict.FINAL, ADDRESS_ADVICE)
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
    plain = as_code(word)
    found = ((cause, plain.partition(name)[0]) for name, cause in _BY_WORD.items() if name in plain)
    cause = next((cause for cause, before in found if not ends_in_another_thing(before.replace("_", " "))), None)
    return None if cause is _NO_SUCH_TASK and says_not_yet(word) else cause


def is_named(code: str | int) -> bool:
    """Whether *code* has a row of its own."""
    return code in _BY_WORD


def cause_of(status: int, words: list[str], further: Sequence[str] = (), *, is_hinted: bool = False) -> Cause | None:
    """Return the row for an answer with *status* and *words*; None if no row fits.

    Args:
        status: The HTTP status, or the status inside a 200; 0 for none.
        words: The texts of the refusal, under keys that name one.
        further: The texts under other keys, which count only if they say that there is no such task.
        is_hinted: Whether the answer has a usable ``Retry-After``.
    """
    named = next(filter(None, map(_cause_named, reversed(words))), None)
    if named is None and any(map(says_slow_down, first_of(words or list(further)))):
        named = _BY_STATUS[429]
    if named is not None:
        return named
    if status in _MAY_SAY_NOT_FOUND:
        if any(map(says_no_such_task, first_of([*words, *further]))):
            return _NO_SUCH_TASK
        if any(map(says_nothing_but_not_found, first_of(words or [*further]))):
            return _BY_STATUS[404]
    if status == 404 and any("invalid_url" in as_code(word) for word in words):  # noqa: PLR2004 - contract section 4
        return _WRONG_PATH
    cause = _BY_STATUS.get(status) or {4: CLIENT_ERROR, 5: _SERVER_ERROR}.get(status // 100)
    if cause is not None and status in _MAY_SAY_NOT_YET and any(map(says_not_yet, first_of(words))):
        cause = evolve(cause, verdict=Verdict.PASSING)
    may_be_hinted = status // 100 == 4 and status not in _NEVER_HINTED  # noqa: PLR2004 - as of HTTP
    if cause is not None and is_hinted and (may_be_hinted or status == _UNAVAILABLE):
        return evolve(cause, verdict=Verdict.SLOW_DOWN, advice=_COME_BACK_ADVICE)
    return cause
