"""The time window of the next poll of an id, in which it can share a batch; no event loop, no clock."""

from __future__ import annotations

import math

from attrs import define

_SHARE_OF_PAUSE, _LONGEST_PATIENCE = 0.1, 0.5
"""How long a due id may wait for others to share a request: as a share of its pause, and at most in seconds.

After a failed poll only the share counts: pauses are longer then, and the ids should need fewer requests.
"""
_EAGERNESS = 2.5
"""How early an id may join a batch, as a multiple of that time."""
_SLACK_SHARE, _MOST_SLACK = 0.02, 0.04
"""How early an id that is polled alone may go, so that polls that are due within this time leave in one turn of the
event loop: as a share of its pause, and at most in seconds."""
_SHORTEST_LEAD, _LONGEST_LEAD = 0.1, 1.0
"""Bounds of the time before a deadline at which the last poll starts, in seconds: twice the time of the poll before."""


@define(eq=False, repr=False, weakref_slot=False)
class NextPoll:
    """The next poll of one id. The caller passes all times, in seconds."""

    min_interval: float
    not_before: float = 0.0
    """Lower bound for the next poll, from the interval and the relay's hint; new waiters do not change it."""
    due: float = 0.0
    """From when on the poll may join a batch."""
    latest: float = 0.0
    """When the poll goes at the latest."""
    lead: float = _SHORTEST_LEAD
    """Seconds before a deadline at which the last poll starts."""
    is_called_back: bool = False
    """Whether a callback has caused this poll."""
    calls_again: bool = False
    """Whether a callback came during the poll: its answer may be older."""

    def hurry(self, now: float) -> None:
        """Make the poll due *now*, or at ``not_before`` if that is later."""
        self.due = self.latest = now

    def notice_callback(self, *, is_polling: bool) -> None:
        """Record that a callback came; during a poll, one more follows it."""
        self.is_called_back, self.calls_again = self.is_called_back or not is_polling, is_polling

    def ended(self, started: float, now: float, hint: float | None) -> None:
        """Record a poll from *started* to *now*; *hint* is the relay's ``Retry-After``, in seconds."""
        self.lead = min(max(2 * (now - started), _SHORTEST_LEAD), _LONGEST_LEAD)
        self.not_before = now + max(self.min_interval, hint or 0.0)
        self.is_called_back, self.calls_again = self.calls_again, False

    def rest(self, seconds: float, now: float, *, is_ours: bool, is_failing: bool) -> None:
        """Rest for *seconds*, and share a request with other ids that are due at about the same time.

        An id may wait for others for a tenth of its pause, at most half a second. If our own strategy chose the pause,
        the id may also join a batch early, by a quarter of its pause, at most 1.25 s. After a failed poll it may
        only join early, without the limits in seconds: few requests go out, and no id is late.

        Args:
            seconds: The pause.
            now: When the pause starts.
            is_ours: Whether our own strategy chose the pause.
            is_failing: Whether the last poll failed.
        """
        self.rest_alone(seconds, now, is_ours=False)
        if self.is_called_back:
            return
        patience = _SHARE_OF_PAUSE * seconds
        if patience > _LONGEST_PATIENCE and not is_failing:
            patience = _LONGEST_PATIENCE
        if is_ours:
            self.due -= _EAGERNESS * patience
        if not is_ours or not is_failing:
            self.latest += patience

    def rest_alone(self, seconds: float, now: float, *, is_ours: bool) -> None:
        """Rest for *seconds*; not at all if a callback came during the last poll.

        If our own strategy chose the pause, the id may go early by 2 % of it, at most 40 ms, together with others: the
        event loop then wakes less often, and the processor's caches stay warm.
        """
        self.due = self.latest = now if self.is_called_back else now + seconds
        if is_ours and not self.is_called_back:
            self.due -= min(_SLACK_SHARE * seconds, _MOST_SLACK)

    def window(self, wanted: float) -> tuple[float, float]:
        """Return the earliest and latest time of the poll; *wanted* is the start of a last poll before a deadline."""
        at, latest = self.due, self.latest
        if not self.not_before <= at <= latest:
            at = max(at, self.not_before)
            latest = max(at, latest)
        if wanted <= latest:
            at = latest = max(self.not_before, min(self.due, wanted))
        return at, latest

    def at_the_earliest(self, wanted: float) -> float:
        """Return the earliest time of the poll."""
        return max(self.not_before, min(self.due, wanted))

    def last_poll_before(self, deadline: float) -> float:
        """Return when the last poll before *deadline* starts; infinite without a deadline."""
        return deadline - self.lead if deadline < math.inf else math.inf
