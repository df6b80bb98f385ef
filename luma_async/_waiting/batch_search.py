"""Finds out which ids make a batch fail, or how many ids a relay answers at once; no event loop, no clock."""

from __future__ import annotations

from attrs import define, field

from luma_async.errors import LumaError, ProtocolError, Verdict

_SURE = 3
"""Failures of larger batches beside successes of smaller ones that show a limit of size, after trouble that passes."""


@define(eq=False, repr=False)
class Search:
    """Finds out which ids make a batch fail: both halves are sent, and then the halves of a half that fails.

    One such id costs two requests for each halving.
    """

    ids: int
    """Ids in the failed batch."""
    error: LumaError
    most_failures: int
    """Failures without a success that show that no batch works."""
    relay_works: bool
    """Whether it is certain that the relay answers other requests."""
    failures: int = 1
    """Failed batches so far."""
    found: list[str] = field(factory=list)
    """The ids that fail in a batch of their own."""
    _smallest_failure: int = field(init=False)
    _largest_success: int = 0

    def __attrs_post_init__(self) -> None:
        self._smallest_failure = self.ids

    def answered(self, ids: int) -> None:
        """Record an answered batch, also one of other ids: it shows that batches of this size work."""
        self._largest_success = max(self._largest_success, ids)

    def failed(self, task_ids: list[str]) -> None:
        """Record that a part of the batch failed."""
        self.failures += 1
        self._smallest_failure = min(self._smallest_failure, len(task_ids))
        if len(task_ids) == 1:
            self.found += task_ids

    @property
    def is_about_this_batch(self) -> bool:
        """Whether the error is an answer to just this batch, and not trouble that passes."""
        return _is_too_large(self.error) or self.error.verdict not in (Verdict.PASSING, Verdict.SLOW_DOWN)

    @property
    def _only_larger_slow_down(self) -> bool:
        """Whether *slow down* is said of batches while a single poll gets an answer, after the same pause."""
        return self.error.verdict is Verdict.SLOW_DOWN and self.relay_works

    @property
    def looks_deeper_first(self) -> bool:
        """Whether to split a half that failed before the other half is sent: then a limit of size is found sooner."""
        return (self.is_about_this_batch or self._only_larger_slow_down) and not self._largest_success

    @property
    def needs_scout(self) -> bool:
        """Whether a single poll has to show that the relay works, before two halves that failed are halved again."""
        return not self.relay_works and self.error.verdict is Verdict.PASSING and not self._largest_success

    @property
    def goes_on(self) -> bool:
        """Whether to look into two halves that have both failed."""
        if self.error.verdict is Verdict.SLOW_DOWN and not self._only_larger_slow_down:
            return False
        return (self.relay_works or self._largest_success > 0) and not self.is_over

    @property
    def is_over(self) -> bool:
        """Whether so many batches have failed without a success that no further one is sent."""
        return not self._largest_success and self.failures > self.most_failures

    @property
    def only_batches_fail(self) -> bool:
        """At the end: whether the relay works, but has answered no batch."""
        return self.relay_works and not self._largest_success

    @property
    def spoilers(self) -> list[str]:
        """At the end: the ids that make batches fail; none if every batch failed."""
        return self.found if self._largest_success else []

    @property
    def size(self) -> int | None:
        """At the end: the most ids that the relay answers in one batch, if there seems to be a limit."""
        is_limit = 0 < self._largest_success < self._smallest_failure and not self.found
        return self._largest_success if is_limit and (self.is_about_this_batch or self.failures >= _SURE) else None


def _is_too_large(error: LumaError) -> bool:
    return isinstance(error, ProtocolError) and error.too_large
