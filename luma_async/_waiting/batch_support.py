"""Whether a relay has the batch query, and what a failed batch means for its ids. Pure: no event loop, no clock."""

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
    """Each id's own; None: each is polled alone."""
    needs_scout: bool = False
    """Whether one id is to be polled alone, to see whether only batches fail."""


_EACH_ALONE = Failure(None)


@define(eq=False, repr=False)
class BatchSupport:
    """What a relay has shown of its batch query."""

    mode: Batch = "never"
    works: bool | None = field(init=False)
    """Whether the relay has it; None until that is known."""
    _failures: int = 0
    """Of batches, in a row."""
    _scout_at: int = _TRIALS
    """Failures in a row at which one id goes alone; rarer and rarer, since in an outage each adds to the load."""
    _found: int = 0
    """Scouts that came back with an answer, since a batch did."""
    _alone: set[str] = field(factory=set)
    """Ids that the relay left out of an answer, or that it refused to answer with others."""

    def __attrs_post_init__(self) -> None:
        self.works = {"auto": None, "never": False, "always": True}[self.mode]

    def takes(self, task_id: str) -> bool:
        """Whether *task_id* goes with others."""
        return self.works is not False and task_id not in self._alone

    @property
    def is_possible(self) -> bool:
        """Whether the relay has the query, or may have it."""
        return self.works is not False

    def part(self, task_ids: Iterable[str]) -> None:
        """Let these be polled alone from now on."""
        self._alone.update(task_ids)

    def forget(self, task_id: str) -> None:
        """Drop what was learned about an id that nobody waits for any more."""
        self._alone.discard(task_id)

    def answered(self) -> None:
        """Take note that a batch was answered."""
        self.works, self._failures, self._found, self._scout_at = True, 0, 0, _TRIALS

    def failed(self, error: LumaError, task_ids: Iterable[str]) -> Failure:
        """Take note of what a batch of *task_ids* came to, and return what it means for them.

        A refusal of the request is never an id's fate (architecture, *Many ids, one request*).
        """
        if isinstance(error, AuthenticationError | TransportError | ClientClosedError):
            return self._count(error)
        status = error.status if isinstance(error, APIError) else 0
        is_passing = error.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN)
        if status in _NO_SUCH_QUERY or (isinstance(error, ProtocolError) and not is_passing):
            return self._has_none(error)
        if not is_passing:
            self.part(task_ids)
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
        """Take note that a poll works where batches fail; the second time, this relay has no batch query any more.

        Once is no proof: an outage can end between a batch and the poll after it.
        """
        self._found += 1
        if self._failures and self._found >= _TRIALS:
            self.works = False

    def _has_none(self, error: LumaError) -> Failure:
        if self.mode == "always":
            return Failure(ProtocolError(f"no batch query: {error.summary}", advice='give batch="auto" or "never"'))
        self.works = False
        return _EACH_ALONE
