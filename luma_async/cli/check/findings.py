"""What an answer about a made-up task shows of an address and a key, as ``luma-async check`` tells it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from statistics import median

from attrs import asdict, frozen

from luma_async._relay.answer import Answer
from luma_async._relay.documents import encoded
from luma_async.cli.output import spoken
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
    TransportError,
    Verdict,
)


class Result(StrEnum):
    """How one check came out."""

    OK = "ok"
    NOTE = "note"
    """Works, and could be better."""
    UNSURE = "unsure"
    BAD = "bad"


@frozen(kw_only=True)
class Finding:
    """One row of what ``check`` shows."""

    check: str
    result: Result
    found: str
    advice: str | None = None
    seconds: float | None = None
    """How long a look took."""
    request_id: str | None = None
    """What the relay's support asks for."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is to be done."""
        return self.result in (Result.OK, Result.NOTE)

    def line(self) -> str:
        """Return it as a line of ASCII JSON."""
        return encoded(asdict(self)).decode("ascii")


@frozen
class Reply:
    """What came of one request."""

    answer: Answer | None
    """None where no whole answer came."""
    error: LumaError | None
    seconds: float

    @property
    def is_page(self) -> bool:
        """Whether a web page came where JSON belongs."""
        return self.answer is not None and self.answer.is_html

    @property
    def proves(self) -> bool:
        """Whether only a relay with Luma that takes the key answers so."""
        if self.error is None:
            return True
        is_unknown = isinstance(self.error, NotFoundError) and self.error.verdict is Verdict.UNCONFIRMED
        return is_unknown and not self.is_page and _speaks_of_a_task(self.error)

    @property
    def is_final(self) -> bool:
        """Whether another look would show the same."""
        return self.error is not None and not self.proves and not self.error.retryable


def _speaks_of_a_task(error: LumaError) -> bool:
    """Whether a *not found* is about the task, and not about the path: web frameworks say just ``Not Found``."""
    said = f"{error.code} {error.message}".casefold() if isinstance(error, APIError) else ""
    return any(word in said for word in ("task", "任务"))


# --- each cause is one row ---


@frozen
class _Ruling:
    """What one kind of answer says: about the address, about the key, and what to do."""

    fits: Callable[[Reply], bool]
    address: Result
    key: Result
    advice: str


def _is(*kinds: type[LumaError]) -> Callable[[Reply], bool]:
    return lambda reply: isinstance(reply.error, kinds)


def _is_secure_connection_refused(reply: Reply) -> bool:
    return isinstance(reply.error, TransportError) and not reply.error.retryable


def _is_wrong_path(reply: Reply) -> bool:
    error = reply.error
    return isinstance(error, NotFoundError | ServerError) and error.verdict is Verdict.FINAL


def _is_refused_redirect(reply: Reply) -> bool:
    return isinstance(reply.error, ProtocolError) and reply.answer is None and not reply.error.retryable


def _is_said_inside_200(reply: Reply) -> bool:
    return isinstance(reply.error, APIError) and reply.error.status == 200  # noqa: PLR2004 - HTTP


_OTHER_ADDRESS = "look the API's address up in the relay's documentation: another host, or no path such as /v1"
_LATER = "check again in some minutes; if it stays so, the relay's support can tell more"

_RULINGS = (
    _Ruling(lambda reply: reply.proves, Result.OK, Result.OK, ""),
    _Ruling(
        _is_secure_connection_refused,
        Result.BAD,
        Result.UNSURE,
        "check host and port; the certificate must be valid for that name, and the port must speak https",
    ),
    _Ruling(
        _is(TransportError),
        Result.BAD,
        Result.UNSURE,
        "check the address for slips, and that this machine reaches it: name service, firewall, VPN",
    ),
    _Ruling(_is_refused_redirect, Result.BAD, Result.UNSURE, "give the address that it leads to, if you trust it"),
    _Ruling(lambda reply: reply.is_page, Result.BAD, Result.UNSURE, _OTHER_ADDRESS),
    _Ruling(_is_wrong_path, Result.BAD, Result.UNSURE, f"a gateway without Luma here: {_OTHER_ADDRESS}"),
    _Ruling(
        _is(AuthenticationError),
        Result.UNSURE,
        Result.BAD,
        "check the key: copied whole, not expired, of this relay (LUMA_API_KEY, LUMA_API_KEY_FILE or --key-file)",
    ),
    _Ruling(
        _is(PermissionDeniedError),
        Result.UNSURE,
        Result.BAD,
        "allow Luma for this key at the relay: its group, its models, the addresses it may come from",
    ),
    _Ruling(_is(QuotaExceededError), Result.UNSURE, Result.BAD, "the account is out of credit: top it up"),
    _Ruling(_is(RateLimitError), Result.UNSURE, Result.UNSURE, "too many requests: check again in a minute"),
    _Ruling(_is(ServerError), Result.UNSURE, Result.UNSURE, _LATER),
    _Ruling(
        _is(NotFoundError),
        Result.UNSURE,
        Result.UNSURE,
        "look at a task that is there: luma-async get ID. If that is not found either, the address is wrong",
    ),
    _Ruling(_is_said_inside_200, Result.OK, Result.OK, ""),
    _Ruling(lambda _: True, Result.UNSURE, Result.UNSURE, _OTHER_ADDRESS),
)
"""The first that fits is taken."""
_UNTOLD = "not to be told yet"
_FIRST = "see to the rows above first"


def findings(look: Reply, batch: Reply | None, times: list[float]) -> list[Finding]:
    """Return all rows.

    Args:
        look: What came of the looks at made-up tasks: the one that tells most.
        batch: What came of a batch query, or None if none was made.
        times: Seconds that the answered looks took, in order; the first made the connection.
    """
    is_proven = batch is not None and batch.error is None
    ruling = _RULINGS[0] if is_proven else next(ruling for ruling in _RULINGS if ruling.fits(look))
    works = ruling.key is Result.OK
    return [
        _address(look, ruling),
        _key(look, ruling),
        _batch(batch) if batch is not None and works else _unsure("batch query"),
        _latency(times) if times else _unsure("latency"),
    ]


def _address(look: Reply, ruling: _Ruling) -> Finding:
    if ruling.address is Result.OK:
        return Finding(check="address", result=Result.OK, found="a relay with Luma answers")
    if ruling.key is Result.BAD:
        found = "it answers; whether it has Luma shows with a good key"
        return Finding(check="address", result=ruling.address, found=found, advice="see to the key first")
    return _complaint("address", ruling.address, look, ruling.advice)


def _key(look: Reply, ruling: _Ruling) -> Finding:
    if ruling.key is Result.OK:
        return Finding(check="key", result=Result.OK, found="accepted")
    return _complaint("key", Result.BAD, look, ruling.advice) if ruling.key is Result.BAD else _unsure("key")


def _batch(batch: Reply) -> Finding:
    if batch.error is None:
        return Finding(check="batch query", result=Result.OK, found="known: many ids share one request")
    if batch.answer is not None and batch.answer.status in _NO_SUCH_QUERY | _GOOD:
        found, advice = "not known: each id is asked for alone", "nothing; with many ids, --requests-per-second helps"
        return Finding(check="batch query", result=Result.NOTE, found=found, advice=advice)
    return _complaint("batch query", Result.UNSURE, batch, _LATER)


_NO_SUCH_QUERY = frozenset({400, 403, 404, 405, 413, 422, 501})
_GOOD = frozenset(range(200, 204))
"""With something else than tasks under that path, such as a web page."""
_SLOW = 2.0
"""Seconds."""


def _latency(times: list[float]) -> Finding:
    seconds = round(median(times), 4)
    more = f", the median of {len(times)} looks; the first took {1000 * times[0]:.0f} ms" if times[1:] else ""
    found = f"{1000 * seconds:.0f} ms{more}"
    if seconds < _SLOW:
        return Finding(check="latency", result=Result.OK, found=found, seconds=seconds)
    advice = "nothing: far away or busy, so the end of a generation is told that much later"
    return Finding(check="latency", result=Result.NOTE, found=found, advice=advice, seconds=seconds)


def _complaint(check: str, result: Result, reply: Reply, advice: str) -> Finding:
    found = spoken(reply.error.summary) if reply.error else ""
    request_id = reply.answer.request_id if reply.answer else None
    return Finding(check=check, result=result, found=found, advice=advice, request_id=request_id)


def _unsure(check: str) -> Finding:
    return Finding(check=check, result=Result.UNSURE, found=_UNTOLD, advice=_FIRST)
