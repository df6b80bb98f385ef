"""Chooses the pause before the next poll, as a tenacity strategy.

If it is known how long tasks take, the density of polls is proportional to the square root of the rate at which tasks
end. No other schedule sees an end as early with the same number of polls (J. B. Keller, Optimum checking schedules,
1974).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from inspect import isawaitable
from itertools import pairwise
from math import log, sqrt
from operator import mul
from random import random
from typing import Any, cast

from attrs import evolve, frozen
from tenacity import RetryCallState
from tenacity.wait import wait_base, wait_exception

from luma_async._listeners import awaited, raise_presentable
from luma_async._network.backoff import JITTER, Backoff, spread
from luma_async._waiting.learning import Hazard, Learner
from luma_async._waiting.progress import Progress
from luma_async.errors import APIError
from luma_async.models import State
from luma_async.settings import PollPolicy

_STRATEGY = "PollPolicy(wait=...)"
_LITTLE_JITTER = 0.1
"""Jitter of learned pauses, as a share of the pause: they are more precise than those of plain backoff."""
_UNSURE = 0.69
"""Share of ``max_interval`` to which pauses grow before anything is learned: longer pauses need a known quiet time."""
_THRIFT = 4
"""Power of the ratio of plain backoff's polls to the polls so far: an excess is saved later."""
_SURVIVORS = 0.02
"""Share of stays that a schedule ignores: otherwise one task that hangs would take polls from all others."""
_FIRST_POLLS = 1.5
"""Polls of each task that no schedule saves: the one at age 0, and on average half of the one after its end."""
_STEPS = 9
_HIGHEST = 1000
"""Halvings of the range in which the best density is searched, and the end of this range in shortest pauses."""
_FULL_PRICE, _CHEAPEST = 52.0, 2.0
"""Polls per request above which a poll counts as cheap, and the largest divisor of the pauses of cheap polls."""
_RELEARN_AFTER, _RELEARN_SHARE, _RELEARN_MOST = 16, 8, 1024
"""Polls between two schedules: an eighth of all polls so far, between 16 and 1024, so that planning costs little."""


class PollWait(wait_base):
    """The pause after a poll: learned, exponential, or from the user's strategy; never below the relay's hint.

    It is a tenacity strategy like any other, so it fits any ``AsyncRetrying(wait=PollWait())``. There, pauses grow with
    the number of attempts, and the ``Retry-After`` of an APIError is a lower bound. In a wait of ``LumaClient`` it
    knows more: which polls failed, how long the task has been in its state, and how long such tasks take.

    After a failed poll the pause is longer than after a good one: an outage must not increase the load.

    Args:
        policy: The bounds.
        randomness: Draws the jitter, from 0 to 1.
        learner: What the client's tasks have shown; without a learner, or with ``adaptive`` off, pauses only grow.
        polls_per_request: Returns the recent mean number of polls per request. With many polls per request a poll is
            cheap, and learned pauses are shorter: from 52 on in proportion, down to half.
    """

    def __init__(
        self,
        policy: PollPolicy = PollPolicy(),  # noqa: B008 - a frozen value
        randomness: Callable[[], float] = random,
        learner: Learner | None = None,
        polls_per_request: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._policy = self._pace = self._densest = policy
        self._backoff = self._pace_backoff = Backoff(policy, randomness)
        self._polls_per_request = polls_per_request
        self._randomness = randomness
        self._learner = learner if policy.adaptive else None
        self._timetables: dict[State, Timetable] = {}
        self._asked: Timetable | None = None
        """The timetable and age of the last call, for its cached result: ids of one batch often have the same age."""
        self._at = -1.0
        self._shortest_and_longest = 0.0, 0.0
        self._relearn_at = _RELEARN_AFTER
        self.needs_outcome = policy.wait is not None
        """Whether the policy has a strategy of the user's, which may look at the outcome of the last poll."""
        self._own_at_results = policy.wait is not None and _needs_exception(policy.wait)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the pause in seconds, or an awaitable of it if the policy has an async strategy."""
        progress = retry_state.args[0] if retry_state.args else None
        if not isinstance(progress, Progress):
            return self._for_others(retry_state)
        if self._policy.wait is not None and (progress.failures or not self._own_at_results):
            return self._users(retry_state, progress.hint)
        if not progress.failures:
            return self._good_pace(progress)  # within the bounds already, and a good answer has no hint
        longer = self._good_pace(progress) * self._policy.multiplier if progress.good else 0.0
        pause = max(min(longer, self._policy.max_interval), self._backoff.pause(progress.failures))
        return self._bounded(pause, progress.hint)

    def _bounded(self, pause: float, hint: float | None) -> float:
        return max(self._policy.shortest_interval, pause, hint or 0.0)

    async def _bounded_later(self, pause: Awaitable[float], hint: float | None) -> float:
        return self._bounded(await awaited(lambda: pause, _STRATEGY), hint)

    def _for_others(self, retry_state: RetryCallState) -> float:
        """Return the pause in a retry loop that is not a wait of a client."""
        error = None if retry_state.outcome is None else retry_state.outcome.exception()
        hint = error.retry_after if isinstance(error, APIError) else None
        if self._policy.wait is not None and (error is not None or not self._own_at_results):
            return self._users(retry_state, hint)
        return self._bounded(self._backoff.pause(retry_state.attempt_number), hint)

    def _users(self, retry_state: RetryCallState, hint: float | None) -> float:
        """Return the pause of the user's strategy."""
        pause = _asked(cast("Callable[[RetryCallState], Any]", self._policy.wait), retry_state)
        if isawaitable(pause):
            return cast("float", self._bounded_later(pause, hint))
        return self._bounded(pause, hint)

    def _good_pace(self, progress: Progress) -> float:
        if self._learner is None:
            return self._backoff.pause(max(progress.good, 1))
        if self._learner.polls >= self._relearn_at:
            self._relearn(self._learner)
        if self._learner.callbacks.is_reliable:
            shortest, longest = spread(self._policy, self._policy.max_interval, _LITTLE_JITTER)
            return shortest + (longest - shortest) * self._randomness()
        time_in_state = progress.time_in_state
        timetable = None if time_in_state is None else self._timetables.get(time_in_state.state)
        at = progress.good if time_in_state is None or timetable is None else time_in_state.age
        if timetable is not self._asked or at != self._at:
            self._asked, self._at = timetable, at
            self._shortest_and_longest = self._range(timetable, at)
        shortest, longest = self._shortest_and_longest
        return shortest + (longest - shortest) * self._randomness()

    def _range(self, timetable: Timetable | None, at: float) -> tuple[float, float]:
        """Return the shortest and longest pause; *at* is an age in seconds; without *timetable*, a number of polls."""
        pace = self._pace
        if timetable is None:
            grown = self._pace_backoff.grown(max(int(at), 1))
            return spread(pace, min(grown, _UNSURE * pace.max_interval), JITTER)
        return spread(pace, timetable.pause(at), _LITTLE_JITTER)

    def _relearn(self, learner: Learner) -> None:
        """Plan new schedules from what is known now."""
        self._pace = self._at_price(self._polls_per_request())
        self._pace_backoff = Backoff(self._pace, self._randomness)
        self._densest = min(self._densest, self._pace, key=lambda pace: pace.max_interval)
        self._timetables = timetables(learner.hazards(), self._pace, self._densest)
        self._at = -1.0
        pause = max(_RELEARN_AFTER, min(learner.polls // _RELEARN_SHARE, _RELEARN_MOST))
        self._relearn_at = learner.polls + pause

    def _at_price(self, polls_per_request: float) -> PollPolicy:
        """Return the policy, with a lower ``max_interval`` if many polls share a request."""
        cheapness = min(max(polls_per_request / _FULL_PRICE, 1.0), _CHEAPEST)
        longest = max(self._policy.initial_interval, self._policy.max_interval / cheapness)
        return evolve(self._policy, max_interval=longest)


def _asked(strategy: Callable[[RetryCallState], Any], retry_state: RetryCallState) -> Any:
    """Call the user's *strategy*. Its failure must not look like a cancellation of the waiters."""
    try:
        return strategy(retry_state)
    except BaseException as raised:
        raise_presentable(raised, _STRATEGY)
        raise


def _needs_exception(strategy: object) -> bool:
    """Whether *strategy* is tenacity's ``wait_exception``, or combines one with others."""
    parts = [*getattr(strategy, "wait_funcs", ()), *getattr(strategy, "strategies", ())]
    return isinstance(strategy, wait_exception) or any(map(_needs_exception, parts))


@frozen(eq=False)
class Timetable:
    """The number of polls that are due up to each age in a state, in seconds; linear between the edges."""

    edges: Sequence[float]
    due: Sequence[float]
    slowest: float
    """Seconds between two polls beyond the last edge."""

    def pause(self, age: float) -> float:
        """Return the seconds until the next poll is due."""
        if age >= self.edges[-1]:
            return self.slowest
        following = _interpolated(age, self.edges, self.due) + 1
        if following >= self.due[-1]:
            return self.slowest
        return _interpolated(following, self.due, self.edges) - age


def timetables(
    hazards: Mapping[State, Hazard], policy: PollPolicy, densest: PollPolicy | None = None
) -> dict[State, Timetable]:
    """Plan the polls of all states together: as many as plain backoff makes, at the ages where tasks end.

    A state from which generations do not end gets few polls.

    Args:
        hazards: The rates of each state.
        policy: The bounds.
        densest: The bounds when polls were cheapest: polls made under them do not count as an excess now.
    """
    factor = 0.0
    if any(hazard.ends_are_known for hazard in hazards.values()):
        factor = _Prospect.of(hazards.values(), policy, densest or policy).factor()
    tables: dict[State, Timetable] = {}
    for state, hazard in hazards.items():
        if factor * sqrt(max(hazard.ends)) <= 1 / policy.max_interval:
            tables[state] = Timetable([0.0], [0.0], policy.max_interval)
            continue
        due = [0.0]
        for rate, (low, high) in zip(hazard.ends, pairwise(hazard.edges), strict=True):
            density = min(max(factor * sqrt(rate), 1 / policy.max_interval), 1 / policy.shortest_interval)
            due.append(due[-1] + density * (high - low))
        tables[state] = Timetable(hazard.edges, due, policy.max_interval)
    return tables


@frozen(eq=False, kw_only=True)
class _Prospect:
    """The expected tasks, and the number of polls for them."""

    cells: Sequence[tuple[float, float]]
    """For each bin of each state: the seconds that tasks spend in it, and the square root of the rate of ends."""
    budget: float
    """Polls, without the first ones of each task, which no schedule saves."""
    slowest: float
    """Fewest polls per second, jitter included."""
    fastest: float
    """Most polls per second, jitter included."""

    @classmethod
    def of(cls, hazards: Collection[Hazard], policy: PollPolicy, densest: PollPolicy) -> _Prospect:
        """Build the expectation from the tasks seen so far."""
        cells: list[tuple[float, float]] = []
        first_polls = polls = made = plain_so_far = 0.0
        for hazard in hazards:
            for rate, time, density in zip(hazard.ends, _times(hazard), _plain(hazard, policy), strict=False):
                cells.append((time, sqrt(rate)))
                polls += time * density
            made += hazard.polls
            plain_so_far += sum(map(mul, hazard.watched, _plain(hazard, densest)))
            if hazard.is_first:
                first_polls += _FIRST_POLLS * _tasks(hazard)
                plain_so_far += _FIRST_POLLS * hazard.seen
        thrift = min(1.0, plain_so_far / made) ** _THRIFT
        return cls(
            cells=cells,
            budget=(first_polls + polls) * thrift - first_polls,
            slowest=1 / (policy.max_interval * (1 - _LITTLE_JITTER / 2)),
            fastest=1 / (policy.shortest_interval * (1 + _LITTLE_JITTER / 2)),
        )

    def factor(self) -> float:
        """Find the factor from the square roots to polls per second that use up the budget."""
        steepest = max(root for _, root in self.cells)
        low, high = self.slowest / steepest / 2, self.fastest / steepest * _HIGHEST
        for _ in range(_STEPS):
            middle = sqrt(low * high)
            polls = sum(time * min(max(middle * root, self.slowest), self.fastest) for time, root in self.cells)
            if polls > self.budget:
                high = middle
            else:
                low = middle
        return low


def _times(hazard: Hazard) -> Iterator[float]:
    """Yield the seconds that tasks spend in each bin, up to the last bin that enough tasks reach."""
    for (low, high), (before, after) in zip(pairwise(hazard.edges), pairwise(hazard.survival()), strict=True):
        if before < _SURVIVORS:
            return
        yield _tasks(hazard) * (before + after) / 2 * (high - low)


def _tasks(hazard: Hazard) -> float:
    """Return the number of tasks in the state so far; for the first state, only those that have left it."""
    return hazard.left if hazard.is_first else hazard.started


def _plain(hazard: Hazard, policy: PollPolicy) -> Sequence[float]:
    """Return the polls per second of plain backoff in each bin; its pauses grow from the first poll of a task on."""
    most = max(_UNSURE * policy.max_interval, policy.shortest_interval)
    if not hazard.is_first:
        return [1 / most] * len(hazard.ends)
    growth = policy.multiplier - 1
    polls_per_pause = growth / log(policy.multiplier) if growth else 1.0
    middles = [(low + high) / 2 for low, high in pairwise(hazard.edges)]
    pauses = [(policy.initial_interval + growth * age) / polls_per_pause for age in middles]
    return [1 / min(max(pause, policy.shortest_interval), most) for pause in pauses]


def _interpolated(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return y at *x*, between the first and the last of the growing *xs*."""
    after = bisect_right(xs, x)
    share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1] + share * (ys[after] - ys[after - 1])
