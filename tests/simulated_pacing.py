"""Looks at made-up tasks in simulated time: how many each policy makes, and how late it notices ends.

``python -m tests.simulated_pacing`` prints the table.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from math import exp
from random import Random
from statistics import fmean, quantiles
from typing import Any, Protocol, cast

from attrs import field, frozen
from tenacity import RetryCallState

from luma_async import PollPolicy, State
from luma_async._relay.health import Health
from luma_async._waiting.learning import Learner, TimeInState
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.progress import Progress

Stages = Sequence[tuple[State, float]]
"""The states of one task, each with the seconds it lasts; ``completed`` follows."""
Kind = Callable[[Random], Stages]
"""Draws one task."""


@frozen
class Task:
    """One task, and when it is first looked at: at once."""

    arrival: float
    stages: Stages

    @property
    def end(self) -> float:
        """When it completes."""
        return self.arrival + sum(length for _, length in self.stages)

    def state_at(self, time: float) -> State:
        """Return what a look at *time* shows."""
        ends = accumulate((length for _, length in self.stages), initial=self.arrival)
        next(ends)
        return next((state for (state, _), end in zip(self.stages, ends, strict=True) if time < end), State.COMPLETED)


class Pace(Protocol):
    """What is compared."""

    def look(self, stay: TimeInState | None, state: State, now: float, number: int) -> tuple[TimeInState | None, float]:
        """Take in the look that is the *number*-th at its task; return the seconds until the next."""
        ...


@frozen
class Fixed:
    """The same pause always."""

    seconds: float

    def look(self, stay: TimeInState | None, state: State, now: float, number: int) -> tuple[TimeInState | None, float]:  # noqa: ARG002
        """Learn nothing."""
        return None, self.seconds


@frozen
class Exponential:
    """What scripts do: 1 second, doubled up to 10."""

    initial_interval: float = 1.0
    multiplier: float = 2.0
    max_interval: float = 10.0

    def look(self, stay: TimeInState | None, state: State, now: float, number: int) -> tuple[TimeInState | None, float]:  # noqa: ARG002
        """Learn nothing."""
        return None, min(self.max_interval, self.initial_interval * self.multiplier ** min(number - 1, 60))


_HEALTH = Health()


@frozen
class _Retry:
    """As much of tenacity's state as our strategy reads; building the whole of it takes longer than everything else."""

    args: tuple[Progress]


@frozen
class Ours:
    """The library's own strategy and its learner, with a seeded jitter."""

    policy: PollPolicy = field(factory=PollPolicy)
    seed: int = 0
    polls_per_request: Callable[[], float] = lambda: 1.0
    learner: Learner = field(init=False)
    wait: PollWait = field(init=False)

    def __attrs_post_init__(self) -> None:
        learner, chance = Learner(self.policy.shortest_interval), Random(self.seed).random  # noqa: S311 - a simulation
        object.__setattr__(self, "learner", learner)
        object.__setattr__(self, "wait", PollWait(self.policy, chance, learner, self.polls_per_request))

    def look(self, stay: TimeInState | None, state: State, now: float, number: int) -> tuple[TimeInState | None, float]:
        """Learn, and ask tenacity's strategy."""
        stay = self.learner.saw(stay, state, now)
        return stay, self.wait(
            cast("RetryCallState", _Retry((Progress(self.policy, _HEALTH, number, time_in_state=stay),)))
        )


@frozen
class Result:
    """What a policy cost and gained, one number for each task."""

    polls: Sequence[int]
    delays: Sequence[float]
    """Seconds from the end to the look that shows it."""

    @property
    def requests(self) -> float:
        """Looks per task."""
        return fmean(self.polls)

    @property
    def delay(self) -> float:
        """Mean seconds."""
        return fmean(self.delays)

    @property
    def p95(self) -> float:
        """Seconds that only one delay in twenty is above."""
        return quantiles(self.delays, n=20)[-1]


def simulate(pace: Pace, tasks: Sequence[Task]) -> Result:
    """Look at all *tasks* at the times that *pace* wants, in the order of time; answers take none."""
    polls, delays = [0] * len(tasks), [0.0] * len(tasks)
    due: list[tuple[float, int, Any]] = [(task.arrival, number, None) for number, task in enumerate(tasks)]
    heapq.heapify(due)
    while due:
        now, number, stay = heapq.heappop(due)
        polls[number] += 1
        state = tasks[number].state_at(now)
        stay, pause = pace.look(stay, state, now, polls[number])
        if state.is_terminal:
            delays[number] = now - tasks[number].end
        else:
            heapq.heappush(due, (now + pause, number, stay))
    return Result(polls, delays)


def lognormal(median: float, sigma: float) -> Callable[[Random], float]:
    """Return what draws durations in seconds."""
    return lambda random: median * exp(sigma * random.gauss(0, 1))


def one_stage(length: Callable[[Random], float], state: State = State.PROCESSING) -> Kind:
    """Return tasks that show *state* until they complete."""
    return lambda random: [(state, length(random))]


def two_stages(pending: Callable[[Random], float], processing: Callable[[Random], float]) -> Kind:
    """Return tasks that queue first."""
    return lambda random: [(State.PENDING, pending(random)), (State.PROCESSING, processing(random))]


def mixed(share: float, some: Kind, others: Kind) -> Kind:
    """Return tasks of two kinds."""
    return lambda random: (some if random.random() < share else others)(random)


QUEUED = two_stages(lognormal(40, 0.6), lognormal(30, 0.2))

KINDS: dict[str, Kind] = {
    "two stages: 40 s wide, 30 s narrow": QUEUED,
    "two stages: 40 s very wide, 30 s narrow": two_stages(lognormal(40, 1.0), lognormal(30, 0.2)),
    "60 s, sigma 0.5": one_stage(lognormal(60, 0.5)),
    "60 s, sigma 0.2": one_stage(lognormal(60, 0.2)),
    "60 s, sigma 1.0": one_stage(lognormal(60, 1.0)),
    "memoryless, mean 60 s": one_stage(lambda random: random.expovariate(1 / 60)),
    "Pareto, 20 s and more": one_stage(lambda random: 20 * random.paretovariate(1.5)),
    "bimodal, 15 s and 150 s": mixed(0.5, one_stage(lognormal(15, 0.2)), one_stage(lognormal(150, 0.2))),
    "two stages, 5 % refused at 3 s": mixed(0.05, one_stage(lambda _: 3.0, State.PENDING), QUEUED),
    "15 s, sigma 0.5": one_stage(lognormal(15, 0.5)),
    "15 s, sigma 0.2": one_stage(lognormal(15, 0.2)),
    "1 h, sigma 0.5": one_stage(lognormal(3600, 0.5)),
    "1 h, sigma 0.2": one_stage(lognormal(3600, 0.2)),
}
"""Durations like those that relays show (contract section 5), and some that are meant to mislead."""


def drawn(kind: Kind, count: int, *, within: float, seed: int = 0) -> list[Task]:
    """Return *count* tasks that arrive spread over *within* seconds; 0: all at once."""
    random = Random(seed)  # noqa: S311 - a simulation
    return [Task(random.uniform(0, within), kind(random)) for _ in range(count)]


def rows() -> Iterator[tuple[str, str, Result, Result]]:
    """Yield kind, policy, its result and exponential backoff's."""
    policies: dict[str, Callable[[], Pace]] = {
        "fixed 3 s": lambda: Fixed(3),
        "fixed 10 s": lambda: Fixed(10),
        "exponential 1 s x2, at most 10 s": Exponential,
        "PollPolicy(adaptive=False)": lambda: Ours(PollPolicy(adaptive=False)),
        "PollPolicy()": Ours,
    }
    for name, kind in KINDS.items():
        for within in (30_000.0 if name.startswith("1 h") else 3000.0, 0.0):
            tasks = drawn(kind, 500, within=within)
            reference = simulate(Exponential(), tasks)
            arriving = "streaming" if within else "all at once"
            for policy, pace in policies.items():
                yield f"{name}, {arriving}", policy, simulate(pace(), tasks), reference


def main() -> None:
    """Print the table."""
    print("| 500 tasks | policy | requests | mean latency | p95 | requests, ratio | latency, ratio |")  # noqa: T201
    print("|---|---|---|---|---|---|---|")  # noqa: T201
    for kind, policy, result, reference in rows():
        numbers = f"{result.requests:.1f} | {result.delay:.2f} s | {result.p95:.2f} s"
        ratios = f"{result.requests / reference.requests:.2f} | {result.delay / reference.delay:.2f}"
        print(f"| {kind} | {policy} | {numbers} | {ratios} |")  # noqa: T201


if __name__ == "__main__":
    main()
