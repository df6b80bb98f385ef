"""Learns how many ids a relay answers in one batch, and how long that takes; no event loop, no clock."""

from __future__ import annotations

import math

from attrs import define, field

_TRIAL = 30.0
"""Seconds after which a trial counts as lost: its poll may have been cancelled before it was sent."""
_LARGER_AGAIN = 30.0, 3600.0
"""Seconds until a larger batch is tried again, at first and at the most."""
_PROOF_FOR, _NO_GLITCH = 60.0, 1.0
"""Seconds for which a larger batch that was answered proves that a failure had another reason than its size; and
those after which the same failure is no glitch."""

_NEWEST = 0.2
"""Weight of the newest batch in the usual time."""
_SLOW, _PART_IS_SLOW = 10.0, 3.0
"""A batch hangs after this many times the usual time, where others are quick; a part of one that hung, after this."""
_SHARE, _SHORTEST = 0.25, 1.0
"""The least time for a batch, as a share of ``request_timeout``; and for any part of it, in seconds."""


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
    _doubt: tuple[int, float] | None = None
    """The bits of a size that seemed to be the limit in spite of that, and when; none as large was answered since."""

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
        if self._doubt is not None and ids.bit_length() > self._doubt[0]:
            self._doubt = None
        if ids > self._most:
            self._most = min(ids, self.limit)
            self._larger = Again(*_LARGER_AGAIN, at=now)

    def limit_to(self, ids: int, now: float) -> None:
        """Record that the relay seems to answer at most this number of *ids*.

        Larger batches of late are a proof of the contrary; but not if the same is seen again, a second later.
        """
        bits = ids.bit_length()
        if all(at < now - _PROOF_FOR for larger, at in self._answered_at.items() if larger > bits):
            self._most = max(min(ids, self._most), 1)
            self._larger.failed(now)
        elif self._doubt is None:
            self._doubt = bits, now
        elif now - self._doubt[1] >= _NO_GLITCH:
            self._answered_at.clear()
            self.limit_to(ids, now)


@define(eq=False, repr=False)
class BatchTime:
    """How long a batch usually takes, and when one hangs; in seconds."""

    usual: float = 0.0
    """The newest batches first in weight; 0 before the first."""

    def answered(self, seconds: float) -> None:
        """Record a batch that was answered after *seconds*."""
        self.usual += (_NEWEST if self.usual else 1.0) * (seconds - self.usual)

    def patience(self, longest: float) -> float:
        """Return the time for a batch that may take *longest*: where others are quick, one that hangs ends sooner."""
        return max(_SLOW * self.usual, _SHARE * longest, _SHORTEST) if self.usual else math.inf

    def patience_for_a_part(self, longest: float) -> float:
        """Return the time for a part of a batch that hung: not each part may take the time that the batch took."""
        return max(_PART_IS_SLOW * self.usual, _SHORTEST) if self.usual else _SHARE * longest
