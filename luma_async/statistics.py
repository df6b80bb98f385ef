"""Statistics: what a client has seen of its tasks."""

from __future__ import annotations

from attrs import frozen

from luma_async.models import State


@frozen(kw_only=True)
class StateStatistics:
    """What a client has seen of one state.

    Times are seconds from when a task was first seen in it to its leaving, right to about a tenth; tasks that are
    still in it count.
    """

    state: State
    running: int
    """Ids waited for now that were in it at their last good look."""
    seen: int
    """How often a task was seen to come into it, or to be in it at the first look."""
    ended: int
    """How often a generation was seen to complete or fail out of it."""
    moved: int
    """How often a task was seen to go on from it to another running state."""
    p10: float | None
    """Seconds after which a tenth have left it; None where too little was seen."""
    median: float | None
    """Seconds after which half have left it, or None."""
    p90: float | None
    """Seconds after which nine tenths have left it, or None."""
    is_learned: bool
    """Whether enough was seen to set the pace by it, as ``PollPolicy.adaptive`` does."""

    def __str__(self) -> str:
        quantiles = " / ".join("?" if time is None else f"{time:.0f} s" for time in (self.p10, self.median, self.p90))
        counts = f"{self.running} running, {self.seen} seen, {self.moved} moved on, {self.ended} ended"
        return f"{self.state}: {counts}; 10 / 50 / 90 % leave within {quantiles}"


@frozen(kw_only=True)
class Statistics:
    """What a client has seen while waiting: how often it looked, what came of it, and how long states last.

    Single looks, such as ``get_generation`` makes, count among the requests alone. ``str`` gives a few lines to show.
    """

    waiting: int
    """Ids that are waited for now."""
    completed: int
    """Generations seen to have completed."""
    failed: int
    """Generations seen to have failed."""
    polls: int
    """Looks that were answered with a state."""
    failed_polls: int
    """Looks that came to nothing."""
    states: tuple[StateStatistics, ...]
    """One for each running state that was seen, in the order of ``State``."""
    requests: int = 0
    """Requests made to the relay, those of single looks included; media are not counted."""

    def __str__(self) -> str:
        ids = f"{self.waiting} waiting, {self.completed} completed, {self.failed} failed"
        return "\n".join([f"{ids}; {self.polls} looks, {self.failed_polls} more failed", *map(str, self.states)])
