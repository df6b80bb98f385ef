"""The statistics of a client about its tasks."""

from __future__ import annotations

from attrs import frozen

from luma_async.models import State


@frozen(kw_only=True)
class StateStatistics:
    """The statistics of one state.

    Times are seconds from the first poll that saw a task in the state until the task left it, with an error of about a
    tenth. Tasks that are still in the state count too.
    """

    state: State
    running: int
    """Ids with waiters now that were in this state at their last good poll."""
    seen: int
    """Number of stays: tasks that came into this state, or were in it at their first poll."""
    ended: int
    """Number of stays that ended with a completed or failed generation."""
    moved: int
    """Number of stays that ended with a move to another running state."""
    p10: float | None
    """Seconds after which a tenth of the tasks have left the state; None if there is too little data."""
    median: float | None
    """Seconds after which half of the tasks have left the state, or None."""
    p90: float | None
    """Seconds after which nine tenths of the tasks have left the state, or None."""
    is_learned: bool
    """Whether there is enough data to plan polls by it, as ``PollPolicy.adaptive`` does."""

    def __str__(self) -> str:
        quantiles = " / ".join("?" if time is None else f"{time:.0f} s" for time in (self.p10, self.median, self.p90))
        counts = f"{self.running} running, {self.seen} seen, {self.moved} moved on, {self.ended} ended"
        return f"{self.state}: {counts}; 10 / 50 / 90 % leave within {quantiles}"


@frozen(kw_only=True)
class Statistics:
    """The statistics of all waits of a client: polls, their results, and how long states last.

    Single polls, as of ``get_generation``, count only in ``requests``. ``str`` gives a few lines to show.
    """

    waiting: int
    """Ids with waiters now."""
    completed: int
    """Generations that have completed."""
    failed: int
    """Generations that have failed."""
    polls: int
    """Polls that were answered with a state."""
    failed_polls: int
    """Polls that failed."""
    states: tuple[StateStatistics, ...]
    """One entry for each running state so far, in the order of ``State``."""
    requests: int = 0
    """Requests to the relay, including single polls, but not requests for media."""

    def __str__(self) -> str:
        ids = f"{self.waiting} waiting, {self.completed} completed, {self.failed} failed"
        return "\n".join([f"{ids}; {self.polls} polls, {self.failed_polls} more failed", *map(str, self.states)])
