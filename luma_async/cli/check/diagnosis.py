"""What answers about made-up tasks say of an address and a key; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from statistics import median

from attrs import asdict, evolve, frozen

from luma_async import errors
from luma_async._network.redirects import REDIRECTED_POST
from luma_async._relay.documents import encoded
from luma_async.cli.check.evidence import Evidence, Reply
from luma_async.cli.output import in_option_names
from luma_async.errors import LumaError, Verdict


class Result(StrEnum):
    """The result of one check."""

    OK = "ok"
    NOTE = "note"
    """It works, and could work better."""
    UNSURE = "unsure"
    BAD = "bad"


@frozen
class CheckResult:
    """One row of what ``check`` shows."""

    check: str
    result: Result
    found: str
    advice: str | None = None
    seconds: float | None = None
    """How long a poll took."""
    request_id: str | None = None
    """The relay's support asks for it."""

    @property
    def is_good(self) -> bool:
        """Whether there is nothing to do."""
        return self.result in (Result.OK, Result.NOTE)

    def line(self) -> str:
        """Return it as a line of ASCII JSON."""
        return encoded(asdict(self)).decode("ascii")


# --- each cause is one row ---


@frozen
class _Diagnosis:
    """What one kind of answer means for the address, and the advice; it decides where comparing does not."""

    fits: Callable[[Reply], bool]
    address: Result
    advice: str


def _is(*kinds: type[LumaError]) -> Callable[[Reply], bool]:
    return lambda reply: isinstance(reply.error, kinds)


def _is_secure_connection_refused(reply: Reply) -> bool:
    return isinstance(reply.error, errors.TransportError) and not reply.error.retryable


def _is_wrong_path(reply: Reply) -> bool:
    error = reply.error
    return isinstance(error, errors.NotFoundError | errors.ServerError) and error.verdict is Verdict.FINAL


def _is_refused_redirect(reply: Reply) -> bool:
    return isinstance(reply.error, errors.ProtocolError) and reply.answer is None and not reply.error.retryable


_OTHER_ADDRESS = "look up the API's address in the relay's documentation: another host, or no path such as /v1"
_LATER = "check again in a few minutes; if nothing changes, ask the relay's support"
_GET_ONE = "poll a task that exists: luma-async get ID. If that is not found either, the address is wrong"

_DIAGNOSES = (
    _Diagnosis(
        _is_secure_connection_refused,
        Result.BAD,
        "check host and port; the certificate must be valid for that name, and the port must speak https",
    ),
    _Diagnosis(
        _is(errors.TransportError),
        Result.BAD,
        "check the address for typing errors, and whether this machine reaches it: DNS, firewall, VPN",
    ),
    _Diagnosis(_is_refused_redirect, Result.BAD, "give the address it redirects to, if you trust it"),
    _Diagnosis(
        lambda reply: reply.is_firewall,
        Result.UNSURE,
        "a firewall in front of the relay refuses this machine: try another network",
    ),
    _Diagnosis(_is(errors.RateLimitError), Result.UNSURE, "too many requests: check again in a minute"),
    _Diagnosis(_is_wrong_path, Result.BAD, f"a gateway without Luma here: {_OTHER_ADDRESS}"),
    _Diagnosis(_is(errors.ServerError), Result.UNSURE, _LATER),
    _Diagnosis(lambda reply: reply.is_page, Result.BAD, _OTHER_ADDRESS),
    _Diagnosis(_is(errors.NotFoundError), Result.UNSURE, _GET_ONE),
    _Diagnosis(lambda _: True, Result.UNSURE, _OTHER_ADDRESS),
)
"""The first row that fits decides."""

_CHECK_KEY = "check the key: copied whole, not expired, of this relay (LUMA_API_KEY, LUMA_API_KEY_FILE or --key-file)"
_MAYBE_NOT_THE_KEY = "; if it is right, the relay's own session may have expired: check again later"
_KEY_ADVICE: tuple[tuple[type[LumaError], str], ...] = (
    (errors.QuotaExceededError, "the account is out of credit: top it up"),
    (
        errors.PermissionDeniedError,
        "allow Luma for this key at the relay: its group, its models, the allowed client addresses",
    ),
    (errors.LumaError, _CHECK_KEY),
)


def diagnose(evidence: Evidence, times: list[float]) -> list[CheckResult]:
    """Return all rows, by the *evidence* and the seconds of answered polls."""
    key = _key(evidence)
    return [
        _address(evidence, key.result),
        key,
        _batch(evidence, key),
        _latency(times) if times else _unsure("latency"),
    ]


def without_repeated_path(rows: list[CheckResult], base_url: str, task_path: str) -> list[CheckResult]:
    """Return *rows* with the advice to remove the end of *base_url* that *task_path* starts with."""
    repeated = f"/{task_path.split('/')[1]}"
    if not base_url.endswith(repeated) or "{" in repeated:
        return rows
    advice = f"remove {repeated} from the end of the address: each request adds it"
    is_bad = [row.check == "address" and not row.is_good for row in rows]
    return [evolve(row, advice=advice) if bad else row for row, bad in zip(rows, is_bad, strict=True)]


def _address(evidence: Evidence, key: Result) -> CheckResult:
    poll = evidence.poll
    if evidence.has_path:
        return CheckResult("address", Result.OK, "a relay with Luma answers")
    if evidence.has_path is False:
        return _complaint("address", Result.BAD, poll, f"it answers like a path that cannot exist: {_OTHER_ADDRESS}")
    if key is Result.BAD:
        found = "it answers; only a good key can show whether it has Luma"
        return CheckResult("address", Result.UNSURE, found, advice="fix the key first")
    diagnosis = next(diagnosis for diagnosis in _DIAGNOSES if diagnosis.fits(poll))
    is_unreached = isinstance(poll.error, errors.TransportError) and poll.error.retryable
    is_late = isinstance(poll.error, errors.RequestTimeoutError)
    advice = poll.error.advice if poll.error is not None and is_unreached and not is_late else ""  # about a proxy
    return _complaint("address", diagnosis.address, poll, in_option_names(advice) or diagnosis.advice)


def _key(evidence: Evidence) -> CheckResult:
    if evidence.ignores_key and evidence.has_path:
        found = "not checked: this relay answers polls with a wrong key in the same way"
        return CheckResult("key", Result.NOTE, found, advice="only a submit can show whether the key is good")
    if evidence.accepts_key:
        return CheckResult("key", Result.OK, "accepted")
    if evidence.accepts_key is False:
        return _complaint("key", Result.BAD, evidence.poll, _advice_on_key(evidence))
    if evidence.poll.refuses and not evidence.poll.is_page:
        return _complaint("key", Result.UNSURE, evidence.poll, _OWN_SESSION)
    return _unsure("key")


def _advice_on_key(evidence: Evidence) -> str:
    """Return what to do about a bad key: what any wrong key gets is not about the rights of this one."""
    error = evidence.poll.error
    if evidence.wrong_key is None or not evidence.poll.is_like(evidence.wrong_key):
        return next(advice for kind, advice in _KEY_ADVICE if isinstance(error, kind))
    is_open = error is not None and error.verdict is not Verdict.FINAL
    return f"{_CHECK_KEY}{_MAYBE_NOT_THE_KEY if is_open else ''}"


_OWN_SESSION = "a wrong key is refused in other words, so the relay's own session may have expired: check again later"


def _batch(evidence: Evidence, key: CheckResult) -> CheckResult:
    batch = evidence.batch
    if not evidence.may_batch:
        found = "not in this dialect: each id is polled alone"
        return CheckResult("batch query", Result.NOTE, found, _FOR_MANY)
    if batch is None or not key.is_good:
        return _unsure("batch query")
    if batch.error is None:
        return CheckResult("batch query", Result.OK, "supported: many ids share one request")
    if batch.answer is not None and batch.answer.status in _NO_SUCH_QUERY:
        return CheckResult("batch query", Result.NOTE, "not supported: each id is polled alone", _FOR_MANY)
    if batch.error.summary.startswith(REDIRECTED_POST):
        return _complaint("batch query", Result.NOTE, batch, in_option_names(batch.error.advice))
    return _complaint("batch query", Result.UNSURE, batch, _LATER)


_FOR_MANY = "with many ids, --requests-per-second helps"
_NO_SUCH_QUERY = frozenset({200, 201, 202, 203, 400, 403, 404, 405, 413, 422, 501})
"""A good status: the path gives something else than tasks, such as a web page."""
_SLOW = 2.0
"""Seconds."""


def _latency(times: list[float]) -> CheckResult:
    seconds = round(median(times), 4)
    more = f", the median of {len(times)} polls; the first took {1000 * times[0]:.0f} ms" if times[1:] else ""
    found = f"{1000 * seconds:.0f} ms{more}"
    if seconds < _SLOW:
        return CheckResult("latency", Result.OK, found, seconds=seconds)
    advice = "nothing to fix: the relay is far away or busy, and each poll takes that long"
    return CheckResult("latency", Result.NOTE, found, advice=advice, seconds=seconds)


def _complaint(check: str, result: Result, reply: Reply, advice: str) -> CheckResult:
    found = in_option_names(reply.error.summary) if reply.error else ""
    request_id = reply.answer.request_id if reply.answer else None
    return CheckResult(check, result, found, advice=advice, request_id=request_id)


def _unsure(check: str) -> CheckResult:
    return CheckResult(check, Result.UNSURE, "not checked", "fix the rows above first")
