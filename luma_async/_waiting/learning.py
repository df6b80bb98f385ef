"""Learns from a client's own tasks how long they stay in each state; running tasks count too."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import exp

from attrs import define, field, frozen

from luma_async._waiting.callbacks import CallbackRecord
from luma_async.models import State
from luma_async.statistics import StateStatistics, Statistics

_RATIO = 1.2
"""Ratio of the ends of neighbouring bins: durations differ by factors, from seconds to hours."""
_FINEST, _COARSEST = 0.001, 60.0
"""Lowest and highest end of the first bin, in seconds."""
_LONGEST = 24 * 3600.0
"""End of the last bin in seconds: gateways give up on a task then (contract section 5)."""
_INSTANT = 1e-6
"""Shortest time between two polls, in seconds."""
_ENOUGH = 5
"""Completed stays in a state that an estimate needs."""
_MEMORY = 256
"""Ended generations after which all earlier counts are halved: relays are slower at some hours."""
_PSEUDO_TASKS = 0.5
"""Weight, in watched tasks, of the assumption that a rate is the same as at the ages before."""
_BLUR = 30
"""Divided by the number of completed stays, this gives how often counts are averaged, at least once."""


@define(eq=False, weakref_slot=False)
class TimeInState:
    """One stay of a task in a state, as seen by the polls; times are on one clock, in seconds."""

    state: State
    since: float
    """When the task was first seen in it."""
    last: float
    """When it was last seen in it."""

    @property
    def age(self) -> float:
        """Seconds between the first and the last poll that saw the state."""
        return self.last - self.since


@frozen(eq=False, kw_only=True)
class Hazard:
    """The rates at which tasks leave one state, for each bin between two of *edges* (ages, in seconds)."""

    edges: Sequence[float]
    ends: Sequence[float]
    """Rate per second at which generations end."""
    leaves: Sequence[float]
    """Rate per second at which tasks leave the state, for any other state."""
    watched: Sequence[float]
    """Seconds that tasks were watched in all."""
    polls: int
    """Polls in all."""
    seen: int
    """Stays in all."""
    started: float
    """Stays; old ones weigh less."""
    left: float
    """Completed stays; old ones weigh less."""
    is_first: bool
    """Whether it is usually the state that the first poll of a task sees."""
    ends_are_known: bool
    """Whether enough generations ended from this state for an estimate."""

    def survival(self) -> list[float]:
        """Return the share that is still in the state at each edge."""
        shares = [1.0]
        for rate, (low, high) in zip(self.leaves, pairwise(self.edges), strict=True):
            shares.append(shares[-1] * exp(-rate * (high - low)))
        return shares


@define(eq=False)
class Learner:
    """Counts what polls see, in bins of age; its memory does not grow with the number of tasks."""

    shortest: float = 2.0
    """Shortest time between two polls, in seconds: much finer bins would be useless."""
    polls: int = 0
    failed_polls: int = 0
    callbacks: CallbackRecord = field(factory=CallbackRecord, init=False)
    _ended: dict[State, int] = field(factory=lambda: {State.COMPLETED: 0, State.FAILED: 0}, init=False)
    _records: dict[State, _Record] = field(factory=dict, init=False)
    _edges: tuple[float, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        edges = [0.0, min(max(self.shortest, _FINEST), _COARSEST)]
        while edges[-1] * _RATIO < _LONGEST:
            edges.append(edges[-1] * _RATIO)
        self._edges = (*edges, _LONGEST)

    def saw(self, stay: TimeInState | None, state: State, now: float) -> TimeInState:
        """Record that a task is in *state* at the time *now*; *stay* is the result of this call at the poll before.

        Returns:
            The current stay of the task, for this call at its next poll.
        """
        if stay is not None and stay.state is state:
            self.stayed(stay, now)
            return stay
        self.polls += 1
        if stay is not None and not stay.state.is_terminal:
            self._records[stay.state].was_left(stay.age, now - stay.since, ended=state.is_terminal)
        self._enter(state, is_first=stay is None)
        return TimeInState(state, now, now)

    def stayed(self, stay: TimeInState, now: float) -> None:
        """Record that the task of *stay* is in the same state at the time *now*."""
        self.polls += 1
        record = self._records.get(stay.state)
        if record is not None:
            record.stayed(stay.last - stay.since, now - stay.since)
        stay.last = now

    def missed(self) -> None:
        """Record a failed poll."""
        self.failed_polls += 1

    def hazards(self) -> dict[State, Hazard]:
        """Estimate the rates of each state with enough completed stays."""
        return {state: record.hazard() for state, record in self._records.items() if record.left >= _ENOUGH}

    def statistics(self, running: Mapping[State | None, int]) -> Statistics:
        """Return the statistics; *running* counts the ids with waiters now, by state (None: not known yet)."""
        return Statistics(
            waiting=sum(running.values()),
            completed=self._ended[State.COMPLETED],
            failed=self._ended[State.FAILED],
            polls=self.polls,
            failed_polls=self.failed_polls,
            states=tuple(
                self._records[state].statistics(state, running.get(state, 0))
                for state in State
                if state in self._records
            ),
        )

    def _enter(self, state: State, *, is_first: bool) -> None:
        if state.is_terminal:
            self._ended[state] += 1
            if sum(self._ended.values()) % _MEMORY == 0:
                for record in self._records.values():
                    record.fade()
            return
        if state not in self._records:
            self._records[state] = _Record(self._edges)
        self._records[state].start(is_first=is_first)


@define(eq=False)
class _Record:
    """All stays in one state: the events in each bin of age, and the seconds that tasks were watched in it."""

    edges: Sequence[float]
    seen: int = 0
    seen_first: int = 0
    seen_to_end: int = 0
    seen_to_move: int = 0
    started: float = 0.0
    polls: int = 0
    ends: list[float] = field(init=False)
    moves: list[float] = field(init=False)
    watched: list[float] = field(init=False)
    faded: list[float] = field(init=False)
    """What ``fade`` has taken from ``watched``."""
    _age: float = 0.0
    _until: float = 0.0
    _together: int = 0

    def __attrs_post_init__(self) -> None:
        self.ends, self.moves, self.watched, self.faded = ([0.0] * (len(self.edges) - 1) for _ in range(4))

    @property
    def left(self) -> float:
        """Completed stays; old ones weigh less."""
        return sum(self.ends) + sum(self.moves)

    def start(self, *, is_first: bool) -> None:
        """Count a new stay; the first poll of a task counts for this state, any other for the state before."""
        self.seen += 1
        self.seen_first += is_first
        self.started += 1
        self.polls += is_first

    def stayed(self, age: float, until: float) -> None:
        """Count the time between two polls that both saw the state."""
        self.polls += 1
        if age != self._age or until != self._until:
            self._settle()
            self._age, self._until = age, until
        self._together += 1

    def _settle(self) -> None:
        """Count the last such time for all its tasks: tasks in one batch often have the same age."""
        edges, watched, together = self.edges, self.watched, self._together
        age, until = self._age, min(self._until, edges[-1])
        bin_ = bisect_right(edges, age) - 1
        while age < until:
            high = min(edges[bin_ + 1], until)
            watched[bin_] += (high - age) * together
            age = high
            bin_ += 1
        self._together = 0

    def was_left(self, age: float, until: float, *, ended: bool) -> None:
        """Count an end, or a move to another state, spread evenly over the time between the two ages."""
        self.polls += 1
        self.seen_to_end += ended
        self.seen_to_move += not ended
        events = self.ends if ended else self.moves
        pieces = list(self._pieces(age, until))
        first, last = pieces[0][1], pieces[-1][2]
        for bin_, low, high in pieces:
            events[bin_] += (high - low) / (last - first)
            self.watched[bin_] += (high - low) * (last - (low + high) / 2) / (last - first)

    def fade(self) -> None:
        """Halve the weight of all earlier stays; the number of polls stays as it is."""
        self._settle()
        self.started /= 2
        self.faded = [lost + seconds / 2 for lost, seconds in zip(self.faded, self.watched, strict=True)]
        for counts in (self.ends, self.moves, self.watched):
            counts[:] = [count / 2 for count in counts]

    def hazard(self) -> Hazard:
        """Estimate the rates."""
        self._settle()
        left, watched = self.left, sum(self.watched)
        times = max(1, round(_BLUR / left))
        exposure = _blurred(self.watched, times)
        ends = self._rates(_blurred(self.ends, times), exposure, sum(self.ends) / watched)
        moves = self._rates(_blurred(self.moves, times), exposure, sum(self.moves) / watched)
        return Hazard(
            edges=self.edges,
            ends=ends,
            leaves=[end + move for end, move in zip(ends, moves, strict=True)],
            watched=[kept + lost for kept, lost in zip(self.watched, self.faded, strict=True)],
            polls=self.polls,
            seen=self.seen,
            started=self.started,
            left=left,
            is_first=self.seen_first * 2 > self.seen,
            ends_are_known=sum(self.ends) >= _ENOUGH,
        )

    def statistics(self, state: State, running: int) -> StateStatistics:
        """Return the statistics of *state*, the state of this record."""
        self._settle()
        p10, median, p90 = (self._quantile(share) for share in (0.1, 0.5, 0.9))
        return StateStatistics(
            state=state,
            running=running,
            seen=self.seen,
            ended=self.seen_to_end,
            moved=self.seen_to_move,
            p10=p10,
            median=median,
            p90=p90,
            is_learned=self.left >= _ENOUGH,
        )

    def _pieces(self, age: float, until: float) -> Iterator[tuple[int, float, float]]:
        """Cut the time between two ages at the edges."""
        edges = self.edges
        age = min(age, edges[-1] - _INSTANT)
        until = min(max(until, age + _INSTANT), edges[-1])
        bin_ = bisect_right(edges, age) - 1
        while edges[bin_ + 1] < until:
            yield bin_, age, edges[bin_ + 1]
            bin_ += 1
            age = edges[bin_]
        yield bin_, age, until

    def _rates(self, events: Sequence[float], exposure: Sequence[float], rate: float) -> list[float]:
        """Return the rate of each bin; with few tasks, that of the bin before it, or *rate* for the first one."""
        rates: list[float] = []
        for count, time, (low, high) in zip(events, exposure, pairwise(self.edges), strict=True):
            belief = _PSEUDO_TASKS * (high - low)
            rate = (count + belief * rate) / (time + belief)
            rates.append(rate)
        return rates

    def _quantile(self, share: float) -> float | None:
        """Return the age at which *share* of the tasks have left; None if no task was watched for that long."""
        if self.left < _ENOUGH:
            return None
        staying = 1.0
        bins = zip(self.ends, self.moves, self.watched, pairwise(self.edges), strict=True)
        for end, move, watched, (low, high) in bins:
            if not watched:
                return None
            rest = staying * exp(-(end + move) * (high - low) / watched)
            if rest <= 1 - share:
                return low + (high - low) * (staying - (1 - share)) / (staying - rest)
            staying = rest
        return None


def _blurred(counts: Sequence[float], times: int) -> Sequence[float]:
    """Average each count with its neighbours *times* times: rates at similar ages are similar."""
    for _ in range(times):
        around = [counts[0], *counts, counts[-1]]
        counts = [(a + 2 * b + c) / 4 for a, b, c in zip(around, around[1:], around[2:], strict=False)]
    return counts
