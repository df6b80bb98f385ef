"""Learns how many ids a relay answers in one batch; no event loop, no clock."""

from __future__ import annotations

import math

from attrs import define, field

_TRIAL = 30.0
"""Seconds after which a trial counts as lost: its poll may have been cancelled before it was sent."""
_LARGER_AGAIN = 30.0, 3600.0
"""Seconds until a larger batch is tried again, at first and at the most."""
_PROOF_FOR = 60.0
"""Seconds for which a larger batch that was answered proves that a failure had another reason than its size."""


@define(eq=False, repr=False)
class Again:
    """When something is tried again; each failed trial doubles the delay."""

    shortest: float
    longest: float
    at: float = math.inf
    _delay: float = 0.0
    _is_on_trial: bool = False

    def is_due(self, now: float) -> bool:
        """Whether a trial may start; it is counted as started, and no other may for a while."""
        if now < self.at:
            return False
        self.at, self._is_on_trial = now + _TRIAL, True
        return True

    def failed(self, now: float) -> None:
        """Record a failure. Failures of requests that were under way together count once."""
        if self._is_on_trial or not now < self.at < math.inf:
            self._delay = min(2 * self._delay, self.longest) or self.shortest
            self.at, self._is_on_trial = now + self._delay, False


@define(eq=False, repr=False)
class BatchSize:
    """How many ids a batch may have. The caller passes all times, in seconds."""

    limit: int = 100
    """By the user's settings."""
    _most: int = field(init=False)
    """Most ids in a batch that the relay answers in full."""
    _larger: Again = field(factory=lambda: Again(*_LARGER_AGAIN))
    """When a larger batch is tried again."""
    _answered_at: dict[int, float] = field(factory=dict)
    """When a batch was last answered, by the bits of its number of ids."""

    def __attrs_post_init__(self) -> None:
        self._most = self.limit

    def most(self, now: float) -> int:
        """Return the most ids for the next batch; now and then a larger one than the relay last answered in full."""
        if self._most < self.limit and self._larger.is_due(now):
            return min(2 * self._most, self.limit)
        return self._most

    def answered(self, ids: int, now: float) -> None:
        """Record an answer with rows for this number of *ids*."""
        self._answered_at[ids.bit_length()] = now
        if ids > self._most:
            self._most = min(ids, self.limit)
            self._larger = Again(*_LARGER_AGAIN, at=now)

    def limit_to(self, ids: int, now: float) -> None:
        """Record that the relay seems to answer at most this number of *ids*; larger batches of late are a proof."""
        bits = ids.bit_length()
        if all(at < now - _PROOF_FOR for larger, at in self._answered_at.items() if larger > bits):
            self._most = max(min(ids, self._most), 1)
            self._larger.failed(now)
