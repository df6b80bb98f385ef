"""Learns what batches a relay answers, and what a failed batch means for its ids; no event loop, no clock.

No conclusion is final (architecture, rule 11): each has a time after which it is tried again.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import Enum

from attrs import define, field

from luma_async._waiting.batch_search import Search
from luma_async._waiting.batch_size import Again, BatchSize, BatchTime
from luma_async.errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RequestTimeoutError,
    Verdict,
)
from luma_async.settings import Batch

_NO_SUCH_QUERY = frozenset({405, 501})
_TRIALS = 2
"""Failures in a row after which a relay that never answered a batch is no longer given the benefit of the doubt."""
_OK = 200
_NOT_FOUND = 404
_AGAIN_IF_IT_WORKED = 1.0, 30.0
_AGAIN_IF_IT_NEVER_DID = 60.0, 3600.0
_REJOIN = 60.0, 3600.0
"""Seconds until the next trial of a batch, and of an id that made batches fail; see ``Again``."""
_MOST_POLLS_ALONE = 16
"""Good polls alone after which an id that batches leave out is asked for in a batch again, at the most."""
FEW = 10
"""Ids of a batch that shows whether one with more of them was too large for the relay."""
_BAD_LUCK = 4
"""Failed batches without a success that are not enough to switch batches off."""


class Remedy(Enum):
    """What a failed batch means for its ids."""

    REFUSE = "each id gets the error"
    ALONE = "each id is polled alone"
    SPLIT = "the ids go in smaller batches, to find those that make it fail"
    NO_QUERY = "each id gets an error: the user wants batches always, and the relay has no such query"
    FEWER = (
        "a batch of few ids shows whether the relay has the query: then as SPLIT; otherwise as that one's error says"
    )
    SCOUT = "as SPLIT, if one id polled alone gets an answer; otherwise as REFUSE"

    @property
    def searches(self) -> bool:
        """Whether more requests show what it means."""
        return self in (Remedy.SPLIT, Remedy.SCOUT)


@define(eq=False, repr=False)
class _Apart:
    """Why an id is polled alone."""

    times: int = 0
    """Batches in a row that left it out."""
    polls_left: int = 0
    """Good polls alone before it may join a batch again."""
    again: Again = field(factory=lambda: Again(*_REJOIN, at=-math.inf))
    """When an id that made batches fail may join one again."""


@define(eq=False, repr=False)
class _IdsApart:
    """The ids that are polled alone, for a while."""

    _ids: dict[str, _Apart] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._ids)

    def may_join(self, task_id: str, now: float) -> bool:
        """Whether *task_id* can be part of a batch."""
        apart = self._ids.get(task_id)
        return apart is None or (apart.polls_left <= 0 and now >= apart.again.at)

    def has_spoiled(self, task_id: str) -> bool:
        """Whether batches have failed because of *task_id*."""
        apart = self._ids.get(task_id)
        return apart is not None and apart.again.at > -math.inf

    def left_out(self, task_ids: Collection[str]) -> None:
        """Record ids without a row: each rejoins after its next good poll, or later each time."""
        for task_id in task_ids:
            apart = self._ids.setdefault(task_id, _Apart())
            apart.times += 1
            apart.polls_left = min(2 ** (apart.times - 1), _MOST_POLLS_ALONE)

    def spoils(self, task_id: str, now: float) -> None:
        """Record that batches fail because of *task_id*: it may join one after a while, and a good poll alone."""
        apart = self._ids.setdefault(task_id, _Apart())
        apart.again.failed(now)
        apart.polls_left = 1

    def polled(self, task_id: str) -> None:
        """Record a good poll of one id."""
        if (apart := self._ids.get(task_id)) is not None:
            apart.polls_left -= 1

    def rejoin(self, task_id: str) -> None:
        """Record that a batch had a row for *task_id*, or that nobody waits for it any more."""
        self._ids.pop(task_id, None)


@define(eq=False, repr=False)
class BatchSupport:
    """What is known about the batch query of a relay. The caller passes all times, in seconds."""

    mode: Batch = "never"
    size: BatchSize = field(factory=BatchSize)
    works: bool | None = field(init=False)
    """Whether the relay has the batch query; None: not known yet."""
    time: BatchTime = field(factory=BatchTime)
    _has_worked: bool = False
    _again: Again = field(factory=lambda: Again(*_AGAIN_IF_IT_NEVER_DID))
    """When a switched-off batch query is tried again."""
    _searches: list[Search] = field(factory=list)
    """Searches under way."""
    _failures: int = 0
    """Failed batches since the last good one."""
    _unanswered: int = 0
    """Failed batches in searches since the last good one."""
    _scout_at: int = _TRIALS
    """Failures at which one id is polled alone; less and less often, since this adds load in an outage."""
    _good_at: float = -math.inf
    """When the last batch was answered."""
    _relay_good_at: float = -math.inf
    """When the last batch or single poll was answered."""
    _suspects: dict[str, float] = field(factory=dict)
    """The ids of failed batches, without those answered since, and when the first failure was."""
    _apart: _IdsApart = field(factory=_IdsApart)

    def __attrs_post_init__(self) -> None:
        self.works = {"auto": None, "never": False, "always": True}[self.mode]

    # --- before a request ---

    @property
    def is_possible(self) -> bool:
        """Whether the relay has the batch query, or may have it."""
        return self.works is not False

    def takes(self, task_id: str, now: float) -> bool:
        """Whether *task_id* can be part of a batch; one id alone is enough for the trial of a switched-off query."""
        if self.works is False:
            return self._again.is_due(now)
        return self._apart.may_join(task_id, now)

    def spoiled(self, task_id: str) -> bool:
        """Whether batches have failed because of *task_id*: its next one has no other id, whom it could harm."""
        return self._apart.has_spoiled(task_id)

    def patience(self, longest: float) -> float:
        """Return the seconds for a batch that may take *longest*; the next one after a failure has all of it."""
        return math.inf if self._failures else self.time.patience(longest)

    def relay_worked_since(self, at: float) -> bool:
        """Whether a request was answered at *at* or later."""
        return self._relay_good_at >= at

    # --- after a request ---

    def answered(self, task_ids: Collection[str], seconds: float, now: float) -> None:
        """Record an answer after *seconds* with rows for *task_ids*."""
        if self.works is not True or not self._has_worked:
            self.works = self._has_worked = True
            self._again = Again(*_AGAIN_IF_IT_WORKED)
        self._failures, self._unanswered, self._scout_at = 0, 0, _TRIALS
        self._good_at = self._relay_good_at = now
        self.time.answered(seconds)
        for search in self._searches:
            search.answered(len(task_ids))
        self.size.answered(len(task_ids), now)
        if self._suspects or self._apart:
            for task_id in task_ids:
                self.forget(task_id)

    def left_out(self, task_ids: Collection[str]) -> None:
        """Record ids without a row: each is polled alone for a while."""
        self._apart.left_out(task_ids)

    def _spoils(self, task_id: str, now: float) -> None:
        """Record that batches fail because of *task_id*: it is polled alone for a while."""
        if self._suspects.pop(task_id, None) is not None:  # else no one waits for it any more
            self._apart.spoils(task_id, now)

    def answered_alone(self, task_id: str, now: float) -> None:
        """Record a good poll of one id."""
        self._relay_good_at = now
        self._apart.polled(task_id)

    def forget(self, task_id: str) -> None:
        """Drop what was learned about an id: a batch had a row for it, or it has no waiter any more."""
        self._apart.rejoin(task_id)
        self._suspects.pop(task_id, None)

    def failed(self, error: LumaError, task_ids: Collection[str], now: float, *, relay_works: bool = False) -> Remedy:
        """Record the *error* of a batch of *task_ids*, and return what it means for them.

        A refusal of the batch never ends the wait for an id (architecture, *Many ids, one request*). *relay_works*:
        whether another request was answered while the batch was under way.
        """
        firsts = [self._suspects.get(task_id) for task_id in task_ids]
        since = None if not firsts or None in firsts else min(first for first in firsts if first is not None)
        for task_id in task_ids:
            self._suspects.setdefault(task_id, now)
        if len(task_ids) == 1 and all(map(self.spoiled, task_ids)):
            for task_id in task_ids:
                self._spoils(task_id, now)
            return Remedy.REFUSE if self._is_final_for_all(error) else self._alone
        self._failures += 1
        if self.works is False:  # the trial of a query that was switched off
            return self._without_query(error, now)
        if isinstance(error, ClientClosedError) or self._is_final_for_all(error):
            return Remedy.REFUSE
        if self._has_no_query(error):
            if len(task_ids) > FEW and isinstance(error, APIError) and error.status not in _NO_SUCH_QUERY:
                self._failures -= 1  # the batch of few counts
                return Remedy.FEWER
            return self._without_query(error, now)
        return self._remedy(error, task_ids, since, relay_works=relay_works)

    def _remedy(self, error: LumaError, task_ids: Collection[str], since: float | None, *, relay_works: bool) -> Remedy:
        """Return what *error* means; *since*: when all ids were in failed batches for the first time, or None."""
        hangs = isinstance(error, RequestTimeoutError)
        if error.verdict is Verdict.SLOW_DOWN:
            if since is None or len(task_ids) == 1:
                return Remedy.REFUSE
            return Remedy.SCOUT if self._failures > _TRIALS and self._may_scout() else Remedy.SPLIT
        is_refusal = error.verdict is not Verdict.PASSING
        if is_refusal and isinstance(error, AuthenticationError | PermissionDeniedError):
            return Remedy.SCOUT if self.mode == "auto" else Remedy.REFUSE
        is_answer = is_refusal or (isinstance(error, ProtocolError) and error.too_large)
        if is_answer or (hangs and relay_works) or (since is not None and self._good_at >= since):
            return Remedy.SPLIT if len(task_ids) > 1 else self._alone
        if (len(task_ids) == 1 and self._has_worked) or not self._may_scout(hangs=hangs):
            return Remedy.REFUSE
        return Remedy.SPLIT if hangs and len(task_ids) > 1 else Remedy.SCOUT

    def _may_scout(self, *, hangs: bool = False) -> bool:
        """Whether further requests may show what fails, a single poll or parts of a batch: more and more rarely."""
        is_early = hangs and self._scout_at == _TRIALS
        if self.mode != "auto" or (self._failures < self._scout_at and not is_early):
            return False
        self._scout_at = 2 * self._failures + 1
        return True

    @property
    def _alone(self) -> Remedy:
        return Remedy.ALONE if self.mode == "auto" else Remedy.REFUSE

    @staticmethod
    def _is_final_for_all(error: LumaError) -> bool:
        """Whether no request can work, such as with a certificate that is not accepted."""
        return error.verdict is Verdict.FINAL and not isinstance(error, APIError | ProtocolError)

    def _has_no_query(self, error: LumaError) -> bool:
        """Whether *error* says that there is no batch query; before the first good batch, odd answers do, too."""
        status = error.status if isinstance(error, APIError) else 0
        if status in _NO_SUCH_QUERY or (isinstance(error, ProtocolError) and error.verdict is not Verdict.PASSING):
            return True
        if status == _NOT_FOUND:
            return not (isinstance(error, NotFoundError) and error.names_task) and not self._has_worked
        is_odd = status == _OK or (isinstance(error, ProtocolError) and not error.too_large)
        return is_odd and not self._has_worked

    def _without_query(self, error: LumaError, now: float) -> Remedy:
        """Poll each id alone; a passing answer may have been a glitch, and needs further ones."""
        may_pass = error.verdict is Verdict.PASSING
        if self.mode == "always":
            return Remedy.REFUSE if may_pass and self._failures <= _BAD_LUCK else Remedy.NO_QUERY
        if self.works is False or not may_pass or self._failures >= _TRIALS:
            self._switch_off(now)
        return Remedy.ALONE

    def _switch_off(self, now: float) -> None:
        self.works = False
        self._again.failed(now)

    # --- a search ---

    def search(self, task_ids: Collection[str], error: LumaError, *, relay_works: bool) -> Search:
        """Start to search a failed batch; *relay_works*: whether another request has just been answered."""
        halvings = math.ceil(math.log2(max(len(task_ids), 2)))
        most_failures = (2 if self._has_worked else 1) * halvings + 1
        search = Search(len(task_ids), error, most_failures, relay_works=relay_works)
        search.relay_works = relay_works or search.is_about_this_batch
        self._searches.append(search)
        return search

    def searched(self, search: Search, now: float) -> Remedy:
        """Record the end of *search*; return what its error means for the ids that are left."""
        self._searches.remove(search)
        for task_id in search.spoilers:
            self._spoils(task_id, now)
        self._unanswered += search.failures
        if search.only_batches_fail and self.mode == "auto":
            if self._unanswered > _BAD_LUCK:
                self._switch_off(now)
            return Remedy.ALONE
        if search.size is not None:
            self.size.limit_to(search.size, now)
        return self._alone if search.is_about_this_batch else Remedy.REFUSE
