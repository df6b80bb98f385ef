"""Learns whether a relay has the batch query, and what a failed batch means for its ids; no event loop, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import define, field, frozen

from luma_async.errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    LumaError,
    ProtocolError,
    TransportError,
    Verdict,
)

Batch = Literal["auto", "never", "always"]

_NO_SUCH_QUERY = frozenset({404, 405, 501})
_TRIALS = 2
"""Failures in a row after which a relay that never answered a batch counts as having no batch query."""
_OK = 200


@frozen
class Failure:
    """What a failed batch means for its ids."""

    error: LumaError | None
    """The error of each id; None: poll each id alone."""
    needs_scout: bool = False
    """Whether to poll one id alone, to see whether only batches fail."""


_EACH_ALONE = Failure(None)


@define(eq=False, repr=False)
class BatchSupport:
    """What is known about the batch query of a relay."""

    mode: Batch = "never"
    works: bool | None = field(init=False)
    """Whether the relay has the batch query; None: not known yet."""
    _failures: int = 0
    """Failed batches in a row."""
    _scout_at: int = _TRIALS
    """Failures in a row after which one id is polled alone; less and less often, since this adds load in an outage."""
    _found: int = 0
    """Successful scouts since the last successful batch."""
    _alone: set[str] = field(factory=set)
    """Ids that were missing in an answer, or in a batch that the relay refused."""

    def __attrs_post_init__(self) -> None:
        self.works = {"auto": None, "never": False, "always": True}[self.mode]

    def takes(self, task_id: str) -> bool:
        """Whether *task_id* can be part of a batch."""
        return self.works is not False and task_id not in self._alone

    @property
    def is_possible(self) -> bool:
        """Whether the relay has the batch query, or may have it."""
        return self.works is not False

    def exclude(self, task_ids: Iterable[str]) -> None:
        """Poll these ids alone from now on."""
        self._alone.update(task_ids)

    def forget(self, task_id: str) -> None:
        """Drop what was learned about an id that has no waiter any more."""
        self._alone.discard(task_id)

    def answered(self) -> None:
        """Record a successful batch."""
        self.works, self._failures, self._found, self._scout_at = True, 0, 0, _TRIALS

    def failed(self, error: LumaError, task_ids: Iterable[str]) -> Failure:
        """Record the *error* of a batch of *task_ids*, and return what it means for them.

        A refusal of the batch never ends the wait for an id (architecture, *Many ids, one request*).
        """
        if isinstance(error, AuthenticationError | TransportError | ClientClosedError):
            return self._count(error)
        status = error.status if isinstance(error, APIError) else 0
        is_passing = error.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN)
        if status in _NO_SUCH_QUERY or (isinstance(error, ProtocolError) and not is_passing):
            return self._has_none(error)
        if not is_passing:
            self.exclude(task_ids)
            return _EACH_ALONE
        if self.works is None and (isinstance(error, ProtocolError) or status == _OK):
            return self._has_none(error)
        return self._count(error)

    def _count(self, error: LumaError) -> Failure:
        self._failures += 1
        if error.verdict is not Verdict.PASSING:
            return Failure(error)
        if self.works is None and self._failures >= _TRIALS:
            return self._has_none(error)
        needs_scout = self.mode == "auto" and self._failures >= self._scout_at
        if needs_scout:
            self._scout_at = 2 * self._failures + 1
        return Failure(error, needs_scout)

    def scout_returned(self) -> None:
        """Record that a single poll works while batches fail; after the second one, batches are switched off.

        One is not a proof: an outage can end between a batch and the poll after it.
        """
        self._found += 1
        if self._failures and self._found >= _TRIALS:
            self.works = False

    def _has_none(self, error: LumaError) -> Failure:
        if self.mode == "always":
            return Failure(ProtocolError(f"no batch query: {error.summary}", advice='give batch="auto" or "never"'))
        self.works = False
        return _EACH_ALONE
