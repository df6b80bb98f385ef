"""When an id is polled next: a window, in which it may wait for others. Pure: no event loop, no clock of its own."""

from __future__ import annotations

import math

from attrs import define

_SHARE_OF_PAUSE, _LONGEST_PATIENCE = 0.1, 0.5
"""How long an id that is due may wait for others, so that they can share a request: of its pause, and in seconds.

In trouble the share alone counts: pauses are longer then, and the ids that are due have to gather into fewer requests.
"""
_EAGERNESS = 2.5
"""How many times as long before its time it may go along with others."""
_SHORTEST_LEAD, _LONGEST_LEAD = 0.1, 1.0
"""Seconds before a deadline at which the last poll starts: twice what the poll before took, within these."""


@define(eq=False, repr=False, weakref_slot=False)
class NextPoll:
    """The next poll of one id. All times are the caller's, in seconds."""

    min_interval: float
    not_before: float = 0.0
    """Bounds the poll below, whoever wants it earlier: the interval, and the relay's hint."""
    due: float = 0.0
    """From when on it may go along with others."""
    latest: float = 0.0
    """When it goes at the latest."""
    took: float = 0.0
    """How long the last poll took."""

    def hurry(self, now: float) -> None:
        """Let the poll be due *now*, as far as ``not_before`` allows."""
        self.due = self.latest = now

    def ended(self, started: float, now: float, hint: float | None) -> None:
        """Take note that a poll that *started* then is over *now*; *hint* is the relay's, in seconds."""
        self.took = now - started
        self.not_before = now + max(self.min_interval, hint or 0.0)

    def rest(self, seconds: float, now: float, *, is_ours: bool, is_failing: bool) -> None:
        """Rest for *seconds*, and share a request with others that are due at about the same time.

        An id may wait for others a tenth of its pause, at most half a second. Where the pause is our own choice it may
        go along with others a quarter before its time, at most five quarters of a second; in trouble that is all, so
        that few requests go out and all ids are back in time.

        Args:
            seconds: The pause.
            now: When it starts.
            is_ours: Whether our own strategy chose it.
            is_failing: Whether the last poll failed.
        """
        self.due = self.latest = now + seconds
        patience = _SHARE_OF_PAUSE * seconds
        if patience > _LONGEST_PATIENCE and not is_failing:
            patience = _LONGEST_PATIENCE
        if is_ours:
            self.due -= _EAGERNESS * patience
        if not is_ours or not is_failing:
            self.latest += patience

    def rest_alone(self, seconds: float, now: float) -> None:
        """Rest for *seconds* sharp."""
        self.due = self.latest = now + seconds

    def window(self, wanted: float) -> tuple[float, float]:
        """Return from when and until when the poll goes; *wanted* is when a last poll before a deadline starts."""
        at, latest = self.due, self.latest
        if not self.not_before <= at <= latest:
            at = max(at, self.not_before)
            latest = max(at, latest)
        if wanted <= latest:
            at = latest = max(self.not_before, min(self.due, wanted))
        return at, latest

    def at_the_earliest(self, wanted: float) -> float:
        """Return when the poll may go."""
        return max(self.not_before, min(self.due, wanted))

    @property
    def lead(self) -> float:
        """Seconds before a deadline at which the last poll starts."""
        return min(max(2 * self.took, _SHORTEST_LEAD), _LONGEST_LEAD)

    def last_poll_before(self, deadline: float) -> float:
        """Return when the last poll before *deadline* starts; infinite without a deadline."""
        return deadline - self.lead if deadline < math.inf else math.inf
