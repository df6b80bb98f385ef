"""What answers about made-up tasks say of an address and a key; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from statistics import median

from attrs import asdict, frozen

from luma_async import errors
from luma_async._relay.answer import Answer
from luma_async._relay.documents import encoded
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


@frozen
class Reply:
    """The answer to one request, or the error in its place."""

    answer: Answer | None
    """None where no complete answer arrived."""
    error: LumaError | None
    seconds: float

    @property
    def is_page(self) -> bool:
        """Whether the answer is a web page instead of JSON."""
        return self.answer is not None and self.answer.is_html

    @property
    def proves(self) -> bool:
        """Whether only a relay with Luma that accepts the key gives this answer."""
        if self.error is None:
            return True
        is_unknown = isinstance(self.error, errors.NotFoundError) and self.error.verdict is Verdict.UNCONFIRMED
        return is_unknown and not self.is_page and _speaks_of_a_task(self.error)

    @property
    def is_final(self) -> bool:
        """Whether another poll would give the same answer."""
        return self.error is not None and not self.proves and not self.error.retryable


def _speaks_of_a_task(error: LumaError) -> bool:
    """Whether *not found* is about the task, not the path: web frameworks only say ``Not Found``."""
    said = f"{error.code} {error.message}".casefold() if isinstance(error, errors.APIError) else ""
    return any(word in said for word in ("task", "任务"))


# --- each cause is one row ---


@frozen
class _Diagnosis:
    """What one kind of answer means for the address and for the key, and the advice."""

    fits: Callable[[Reply], bool]
    address: Result
    key: Result
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


def _is_said_inside_200(reply: Reply) -> bool:
    return isinstance(reply.error, errors.APIError) and reply.error.status == 200  # noqa: PLR2004 - HTTP


_OTHER_ADDRESS = "look up the API's address in the relay's documentation: another host, or no path such as /v1"
_LATER = "check again in a few minutes; if nothing changes, ask the relay's support"

_DIAGNOSES = (
    _Diagnosis(lambda reply: reply.proves, Result.OK, Result.OK, ""),
    _Diagnosis(
        _is_secure_connection_refused,
        Result.BAD,
        Result.UNSURE,
        "check host and port; the certificate must be valid for that name, and the port must speak https",
    ),
    _Diagnosis(
        _is(errors.TransportError),
        Result.BAD,
        Result.UNSURE,
        "check the address for typing errors, and whether this machine reaches it: DNS, firewall, VPN",
    ),
    _Diagnosis(_is_refused_redirect, Result.BAD, Result.UNSURE, "give the address it redirects to, if you trust it"),
    _Diagnosis(lambda reply: reply.is_page, Result.BAD, Result.UNSURE, _OTHER_ADDRESS),
    _Diagnosis(_is_wrong_path, Result.BAD, Result.UNSURE, f"a gateway without Luma here: {_OTHER_ADDRESS}"),
    _Diagnosis(
        _is(errors.AuthenticationError),
        Result.UNSURE,
        Result.BAD,
        "check the key: copied whole, not expired, of this relay (LUMA_API_KEY, LUMA_API_KEY_FILE or --key-file)",
    ),
    _Diagnosis(
        _is(errors.PermissionDeniedError),
        Result.UNSURE,
        Result.BAD,
        "allow Luma for this key at the relay: its group, its models, the allowed client addresses",
    ),
    _Diagnosis(_is(errors.QuotaExceededError), Result.UNSURE, Result.BAD, "the account is out of credit: top it up"),
    _Diagnosis(_is(errors.RateLimitError), Result.UNSURE, Result.UNSURE, "too many requests: check again in a minute"),
    _Diagnosis(_is(errors.ServerError), Result.UNSURE, Result.UNSURE, _LATER),
    _Diagnosis(
        _is(errors.NotFoundError),
        Result.UNSURE,
        Result.UNSURE,
        "poll a task that exists: luma-async get ID. If that is not found either, the address is wrong",
    ),
    _Diagnosis(_is_said_inside_200, Result.OK, Result.OK, ""),
    _Diagnosis(lambda _: True, Result.UNSURE, Result.UNSURE, _OTHER_ADDRESS),
)
"""The first row that fits decides."""


def diagnose(poll: Reply, batch: Reply | None, times: list[float]) -> list[CheckResult]:
    """Return all rows: by the best *poll*, the *batch* query if there was one, and the seconds of answered polls."""
    is_proven = batch is not None and batch.error is None
    diagnosis = _DIAGNOSES[0] if is_proven else next(diagnosis for diagnosis in _DIAGNOSES if diagnosis.fits(poll))
    works = diagnosis.key is Result.OK
    return [
        _address(poll, diagnosis),
        _key(poll, diagnosis),
        _batch(batch) if batch is not None and works else _unsure("batch query"),
        _latency(times) if times else _unsure("latency"),
    ]


def _address(poll: Reply, diagnosis: _Diagnosis) -> CheckResult:
    if diagnosis.address is Result.OK:
        return CheckResult("address", Result.OK, "a relay with Luma answers")
    if diagnosis.key is Result.BAD:
        found = "it answers; only a good key can show whether it has Luma"
        return CheckResult("address", diagnosis.address, found, advice="fix the key first")
    return _complaint("address", diagnosis.address, poll, diagnosis.advice)


def _key(poll: Reply, diagnosis: _Diagnosis) -> CheckResult:
    if diagnosis.key is Result.OK:
        return CheckResult("key", Result.OK, "accepted")
    return _complaint("key", Result.BAD, poll, diagnosis.advice) if diagnosis.key is Result.BAD else _unsure("key")


def _batch(batch: Reply) -> CheckResult:
    if batch.error is None:
        return CheckResult("batch query", Result.OK, "supported: many ids share one request")
    if batch.answer is not None and batch.answer.status in _NO_SUCH_QUERY:
        advice = "with many ids, --requests-per-second helps"
        return CheckResult("batch query", Result.NOTE, "not supported: each id is polled alone", advice)
    return _complaint("batch query", Result.UNSURE, batch, _LATER)


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
