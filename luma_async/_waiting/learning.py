"""What a client's own tasks have shown of the time they spend in each state; those still running count too."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import exp

from attrs import define, field, frozen

from luma_async.models import State
from luma_async.statistics import StateStatistics, Statistics

_RATIO = 1.2
"""Of the ends of neighbouring bins: durations differ by factors, from seconds to hours."""
_FINEST, _COARSEST = 0.001, 60.0
"""Seconds between which the first bin ends."""
_LONGEST = 24 * 3600.0
"""Seconds at which the last bin ends: gateways give up on a task then (contract section 5)."""
_INSTANT = 1e-6
"""Seconds that pass between two looks at least."""
_ENOUGH = 5
"""Stays that were seen to be over: fewer teach nothing."""
_MEMORY = 256
"""Ended generations after which all that was before counts half: relays are slower at some hours."""
_PSEUDO_TASKS = 0.5
"""Weight, in tasks watched, of the belief that a rate stays what it was at the ages before."""
_BLUR = 30
"""Divided by the stays that are over: how often counts are averaged with their neighbours', once at least."""


@define(eq=False, weakref_slot=False)
class TimeInState:
    """One task in one state, as far as it was seen; times are of one clock, in seconds."""

    state: State
    since: float
    """When the task was first seen in it."""
    last: float
    """When it was last seen in it."""

    @property
    def age(self) -> float:
        """Seconds in the state, as far as was seen."""
        return self.last - self.since


@frozen(eq=False, kw_only=True)
class Hazard:
    """How one state is left. There is one number for each bin between two of *edges* (ages, in seconds)."""

    edges: Sequence[float]
    ends: Sequence[float]
    """Rate per second at which generations end."""
    leaves: Sequence[float]
    """Rate per second at which the state is left, for whatever comes next."""
    watched: Sequence[float]
    """Seconds that tasks were watched, ever."""
    polls: int
    """Ever."""
    seen: int
    """Stays, ever."""
    began: float
    """Stays; old ones weigh less."""
    left: float
    """Stays that are over; old ones weigh less."""
    is_first: bool
    """Whether it is mostly the state of the first look."""
    ends_are_known: bool
    """Whether generations ended out of it often enough."""

    def survival(self) -> list[float]:
        """Return the share that is still in the state at each edge."""
        shares = [1.0]
        for rate, (low, high) in zip(self.leaves, pairwise(self.edges), strict=True):
            shares.append(shares[-1] * exp(-rate * (high - low)))
        return shares


@define(eq=False)
class Learner:
    """Counts what looks show, in bins of age; its memory does not grow with the number of tasks."""

    shortest: float = 2.0
    """Seconds between two looks at least: what is much shorter needs no bins."""
    polls: int = 0
    failed_polls: int = 0
    _ended: dict[State, int] = field(factory=lambda: {State.COMPLETED: 0, State.FAILED: 0}, init=False)
    _records: dict[State, _Record] = field(factory=dict, init=False)
    _edges: tuple[float, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        edges = [0.0, min(max(self.shortest, _FINEST), _COARSEST)]
        while edges[-1] * _RATIO < _LONGEST:
            edges.append(edges[-1] * _RATIO)
        self._edges = (*edges, _LONGEST)

    def saw(self, stay: TimeInState | None, state: State, now: float) -> TimeInState:
        """Take in that a task is in *state* at the time *now*; *stay* is what the look before returned.

        Returns:
            The task's stay now, to be given at its next look.
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
        """Take in that the task of *stay* is in the same state at the time *now*."""
        self.polls += 1
        record = self._records.get(stay.state)
        if record is not None:
            record.stayed(stay.last - stay.since, now - stay.since)
        stay.last = now

    def missed(self) -> None:
        """Take in that a look failed."""
        self.failed_polls += 1

    def hazards(self) -> dict[State, Hazard]:
        """Estimate the rates of each state that was left often enough."""
        return {state: record.hazard() for state, record in self._records.items() if record.left >= _ENOUGH}

    def statistics(self, running: Mapping[State | None, int]) -> Statistics:
        """Return what was seen; *running* counts the ids that are waited for now by state (None: not known yet)."""
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
        self._records[state].begin(is_first=is_first)


@define(eq=False)
class _Record:
    """All stays in one state: what happened in each bin of age, and for how many seconds it was watched."""

    edges: Sequence[float]
    seen: int = 0
    seen_first: int = 0
    seen_to_end: int = 0
    seen_to_move: int = 0
    began: float = 0.0
    polls: int = 0
    ends: list[float] = field(init=False)
    moves: list[float] = field(init=False)
    watched: list[float] = field(init=False)
    faded: list[float] = field(init=False)
    """What ``watched`` has lost."""
    _age: float = 0.0
    _until: float = 0.0
    _together: int = 0

    def __attrs_post_init__(self) -> None:
        self.ends, self.moves, self.watched, self.faded = ([0.0] * (len(self.edges) - 1) for _ in range(4))

    @property
    def left(self) -> float:
        """Stays that are over; old ones weigh less."""
        return sum(self.ends) + sum(self.moves)

    def begin(self, *, is_first: bool) -> None:
        """Count a stay that begins; where the task was not seen before, the look is this state's."""
        self.seen += 1
        self.seen_first += is_first
        self.began += 1
        self.polls += is_first

    def stayed(self, age: float, until: float) -> None:
        """Count the time between two looks that both showed the state."""
        self.polls += 1
        if age != self._age or until != self._until:
            self._settle()
            self._age, self._until = age, until
        self._together += 1

    def _settle(self) -> None:
        """Count the last such time for all whose it was: tasks that are seen together are often of one age."""
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
        """Count an end, or a move to another state: it came at some time between the two ages, each as likely."""
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
        """Let all that was so far weigh half; what it has cost is still known."""
        self._settle()
        self.began /= 2
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
            began=self.began,
            left=left,
            is_first=self.seen_first * 2 > self.seen,
            ends_are_known=sum(self.ends) >= _ENOUGH,
        )

    def statistics(self, state: State, running: int) -> StateStatistics:
        """Return what was seen of *state*, whose record this is."""
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
        """Divide; an age that few have reached takes its rate from the ages before it, the first one from *rate*."""
        rates: list[float] = []
        for count, time, (low, high) in zip(events, exposure, pairwise(self.edges), strict=True):
            belief = _PSEUDO_TASKS * (high - low)
            rate = (count + belief * rate) / (time + belief)
            rates.append(rate)
        return rates

    def _quantile(self, share: float) -> float | None:
        """Return the age at which *share* have left, unless nobody was watched for that long."""
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
    """Average each count with its neighbours: near in age is near in rate, the more so the less was seen."""
    for _ in range(times):
        around = [counts[0], *counts, counts[-1]]
        counts = [(a + 2 * b + c) / 4 for a, b, c in zip(around, around[1:], around[2:], strict=False)]
    return counts
