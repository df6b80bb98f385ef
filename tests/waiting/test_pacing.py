"""When to ask again."""

from __future__ import annotations

from functools import cache
from random import Random
from statistics import fmean
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from tenacity import AsyncRetrying, Future, RetryCallState
from tenacity.wait import wait_exponential, wait_fixed

from luma_async import ConfigurationError, PollPolicy, RateLimitError, State
from luma_async._network.backoff import Backoff
from luma_async._relay.health import Health
from luma_async._waiting.learning import Learner, TimeInState
from luma_async._waiting.pacing import PollWait, timetables
from luma_async._waiting.progress import Progress
from tests.quick import quick
from tests.simulated_pacing import (
    KINDS,
    Exponential,
    Fixed,
    Ours,
    Pace,
    drawn,
    lognormal,
    one_stage,
    rows,
    simulate,
    two_stages,
)

POLICY = PollPolicy()


def lowest() -> float:
    """Draw the smallest number there is."""
    return 0.0


def middle() -> float:
    """Draw without jitter."""
    return 0.5


def highest() -> float:
    """Draw the largest number there is, nearly."""
    return 1.0


@frozen
class Polled:
    """What a strategy needs to know of the polls of an id."""

    good: int = 0
    failures: int = 0
    hint: float | None = None
    time_in_state: TimeInState | None = None


def after(polled: Polled, attempt: int = 1) -> RetryCallState:
    """Return tenacity's state after the last of these polls."""
    progress = Progress(POLICY, Health(), polled.good, polled.failures, time_in_state=polled.time_in_state)
    state = RetryCallState(AsyncRetrying(), None, (progress,), {})
    state.attempt_number = attempt
    if polled.failures:
        progress.error = RateLimitError("no", status=429, retry_after=polled.hint)
        state.outcome = Future.construct(attempt, progress.error, has_exception=True)
    else:
        state.outcome = Future.construct(attempt, "still running", has_exception=False)
    return state


# --- the policy ---


_NUMBERS = ["initial_interval", "max_interval", "multiplier", "max_consecutive_failures", "max_outage"]


@pytest.mark.parametrize("name", _NUMBERS)
@pytest.mark.parametrize(
    "value", [0, -1, float("nan"), float("inf"), 10**400, "5", True, None, [1]], ids=lambda value: repr(value)[:8]
)
def test_a_field_that_is_no_positive_number_is_refused(name: str, value: Any) -> None:
    """The text names the field."""
    with pytest.raises(ConfigurationError, match=name):
        PollPolicy(**{name: value})


_NO_INTERVALS: list[Any] = [0, -1, float("nan"), "5", True, [1]]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"min_interval": 3.0}, "out of order"),
        ({"initial_interval": 1.0, "min_interval": 2.0}, "out of order"),
        ({"initial_interval": 16.0}, "out of order"),
        ({"max_interval": 1.0}, "out of order"),
        ({"min_interval": 5.0, "initial_interval": 4.0, "max_interval": 6.0}, "out of order"),
        *(({"multiplier": value}, r"multiplier=.* is out of range") for value in (0.5, 0.999, 100.1, 1e300)),
        *(({"min_interval": value}, "min_interval") for value in _NO_INTERVALS),
        ({"max_consecutive_failures": 2.5}, "max_consecutive_failures"),
        ({"adaptive": 1}, "adaptive"),
        ({"adaptive": "no"}, "adaptive"),
        ({"adaptive": None}, "adaptive"),
        ({"wait": 5}, "wait_fixed"),
        ({"wait": "5"}, "wait_fixed"),
        ({"wait": {}}, "wait_fixed"),
    ],
    ids=repr,
)
def test_a_policy_that_makes_no_sense_is_refused(fields: dict[str, Any], told: str) -> None:
    """The text names the field and what is wrong, and for a strategy shows what one looks like."""
    with pytest.raises(ConfigurationError, match=told):
        PollPolicy(**fields)


def test_the_bounds_themselves_are_fine() -> None:
    """All equal, a constant pause, and the steepest growth."""
    narrow = PollPolicy(min_interval=0.1, initial_interval=0.1, max_interval=0.1)

    assert Backoff(narrow, highest).pause(9) == pytest.approx(0.1)
    assert Backoff(PollPolicy(multiplier=1), middle).pause(9) == Backoff(PollPolicy(multiplier=1), middle).pause(1)
    assert Backoff(PollPolicy(multiplier=100), highest).pause(10**9) == 15.0
    assert PollPolicy(max_consecutive_failures=1).max_consecutive_failures == 1


@pytest.mark.parametrize(
    ("fields", "shortest"), [({}, 2.0), ({"initial_interval": 0.5}, 0.5), ({"min_interval": 1}, 1)]
)
def test_the_least_interval_is_two_seconds_or_the_first_pause(fields: dict[str, float], shortest: float) -> None:
    """Who asks for shorter pauses need not say so twice."""
    assert PollPolicy(**fields).shortest_interval == shortest  # type: ignore[arg-type]


# --- backoff ---


def test_the_pauses_grow_to_the_maximum() -> None:
    """Without jitter: 2, 3, 4.5, 6.75, 10.125, and then close to 15."""
    pauses = [Backoff(POLICY, middle).pause(step) for step in range(1, 9)]

    assert pauses[1:5] == pytest.approx([3.0, 4.5, 6.75, 10.125])
    assert pauses[0] == pytest.approx(2.2)
    assert pauses[5:] == pytest.approx([13.5, 13.5, 13.5])


def test_jitter_spreads_by_a_fifth_to_either_side() -> None:
    """Within the bounds: at the least interval upwards only, at the maximum downwards only."""
    assert (Backoff(POLICY, lowest).jittered(5), Backoff(POLICY, highest).jittered(5)) == pytest.approx((4, 6))
    assert (Backoff(POLICY, lowest).jittered(2), Backoff(POLICY, highest).jittered(2)) == pytest.approx((2, 2.4))
    assert (Backoff(POLICY, lowest).jittered(15), Backoff(POLICY, highest).jittered(15)) == pytest.approx((12, 15))
    assert (Backoff(POLICY, lowest).jittered(0.1), Backoff(POLICY, highest).jittered(0.1)) == pytest.approx((2, 2))
    assert (Backoff(POLICY, lowest).jittered(99), Backoff(POLICY, highest).jittered(99)) == pytest.approx((15, 15))


def test_ids_that_start_together_drift_apart() -> None:
    """By default the pauses are random."""
    assert len({Backoff(POLICY).pause(5) for _ in range(50)}) > 40


@st.composite
def policies(draw: st.DrawFn) -> PollPolicy:
    """Draw any policy that can be made."""
    intervals = sorted(draw(st.tuples(*[st.floats(0.001, 1e6)] * 3)))
    return PollPolicy(
        min_interval=intervals[0],
        initial_interval=intervals[1],
        max_interval=intervals[2],
        multiplier=draw(st.floats(1, 100)),
    )


@given(policies(), st.integers(1, 10**6), st.floats(0, 1))
def test_a_pause_keeps_to_the_bounds(policy: PollPolicy, step: int, drawn: float) -> None:
    """Never below ``min_interval``, never above ``maximum``, and never shorter than the one before."""
    slack = 1 + 1e-9
    pause, following = (Backoff(policy, lambda: drawn).pause(n) for n in (step, step + 1))

    assert policy.shortest_interval <= pause * slack
    assert pause <= policy.max_interval * slack
    assert pause <= following * slack


# --- the strategy ---


@pytest.mark.parametrize(
    ("polled", "pause"),
    [
        (Polled(good=1), 2.2),
        (Polled(good=2), 3.0),
        (Polled(good=4), 6.75),
        (Polled(good=400), 13.5),
        (Polled(failures=1), 2.2),
        (Polled(failures=3), 4.5),
        (Polled(good=1, failures=1), 3.3),
        (Polled(good=1, failures=3), 4.5),
        (Polled(good=4, failures=1), 10.125),
        (Polled(good=9, failures=1), 15.0),
        (Polled(), 2.2),
        (Polled(failures=2, hint=0.0), 3.0),
        (Polled(failures=2, hint=1.0), 3.0),
        (Polled(failures=2, hint=7.5), 7.5),
        (Polled(failures=2, hint=3600.0), 3600.0),
    ],
)
def test_the_pause_follows_from_the_look(polled: Polled, pause: float) -> None:
    """Failures count on their own and make looks less dense; a hint is a lower bound without an upper one."""
    assert PollWait(POLICY, middle)(after(polled, attempt=50)) == pytest.approx(pause)


def test_a_fast_policy_is_not_slowed_by_a_missing_hint() -> None:
    """Against a relay of one's own, a tenth of a second is fine."""
    fast = PollPolicy(min_interval=0.1, initial_interval=0.1)

    assert PollWait(fast, lowest)(after(Polled(good=1))) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("strategy", "attempt", "pause"),
    [
        (wait_fixed(5), 1, 5.0),
        (wait_fixed(0), 1, 2.0),
        (wait_fixed(1) + wait_fixed(2), 1, 3.0),
        (wait_exponential(multiplier=1, max=60), 5, 16.0),
        (lambda state: state.attempt_number * 10, 7, 70.0),
        (lambda _: float("nan"), 1, 2.0),
        (lambda _: -1.0, 1, 2.0),
    ],
)
def test_a_users_strategy_takes_the_place_of_ours(strategy: Any, attempt: int, pause: float) -> None:
    """It sees tenacity's own state; ``min_interval`` still holds, and so do hints."""
    wait = PollWait(evolve(POLICY, wait=strategy), middle)

    assert wait(after(Polled(good=9), attempt)) == pause
    assert wait(after(Polled(failures=1, hint=900.0), attempt)) == 900.0


def test_a_strategy_is_one_for_tenacity() -> None:
    """It adds up with others like any."""
    both = PollWait(POLICY, middle) + wait_fixed(1)

    assert both(after(Polled(good=2))) == 4.0


# --- what was learned ---

PROCESSING, PENDING = State.PROCESSING, State.PENDING


def at(age: float, state: State = PROCESSING, good: int = 1) -> RetryCallState:
    """Return tenacity's state after a good look at a task that has been in *state* for *age* seconds."""
    return after(Polled(good=good, time_in_state=TimeInState(state, 1000.0, 1000.0 + age)))


@cache
def experienced(kind: str = "two stages: 40 s wide, 30 s narrow", policy: PollPolicy = POLICY) -> Learner:
    """Return who has seen 300 tasks of that kind."""
    ours = Ours(policy)
    simulate(ours, drawn(KINDS[kind], 300, within=2000))
    return ours.learner


def strategy(learner: Learner, policy: PollPolicy = POLICY) -> PollWait:
    """Return a strategy that has not asked its learner yet."""
    return PollWait(policy, middle, learner)


def test_ids_of_one_age_in_two_states_pause_for_different_times() -> None:
    """What was worked out for one state is not taken for the other."""
    wait = strategy(experienced())

    pending, processing, again = wait(at(25, PENDING)), wait(at(25)), wait(at(25, PENDING))

    assert pending == again == pytest.approx(14.25)
    assert processing < 10.0


def test_pauses_only_grow_until_enough_is_known() -> None:
    """They stop at two thirds of the maximum: the longest are for times that are known to be quiet."""
    wait = strategy(Learner())

    pauses = [wait(at(age=30, good=good)) for good in (1, 2, 4, 9, 99)]

    assert pauses == pytest.approx([2.2, 3.0, 6.75, 10.35, 10.35])


def test_a_queue_that_nothing_ends_in_is_looked_at_rarely() -> None:
    """At any age, and whatever the number of looks: about every maximum."""
    wait = strategy(experienced())

    assert [wait(at(age, PENDING)) for age in (0, 20, 60, 600)] == pytest.approx([14.25] * 4)


def test_looks_come_when_ends_do() -> None:
    """Few before the first end, many around the usual time."""
    wait = strategy(experienced())

    early, usual = wait(at(age=0)), wait(at(age=25))

    assert 8 < early < 15
    assert usual < 3.0


def test_what_lasts_longer_than_a_day_is_looked_at_rarely() -> None:
    """Nothing is known of it."""
    wait = strategy(experienced())

    assert wait(at(age=86_400.0)) == wait(at(age=1e9)) == pytest.approx(14.25)
    assert 2.0 <= wait(at(age=86_399.0)) <= 15.0


def test_a_state_nobody_has_seen_before_is_backed_off_from() -> None:
    """What was learned of others says nothing about it; the same where nothing was seen of the task."""
    wait = strategy(experienced())

    assert wait(at(5, State.UNKNOWN, good=3)) == pytest.approx(4.5)
    assert wait(after(Polled(good=3))) == pytest.approx(4.5)


def test_failures_hints_and_bounds_hold_for_what_was_learned() -> None:
    """Failed looks are further apart than good ones, and back off as ever; a hint is a lower bound."""
    wait = strategy(experienced())
    stay = TimeInState(PROCESSING, 0.0, 25.0)

    assert wait(after(Polled(good=9, failures=1, time_in_state=stay))) == pytest.approx(1.5 * wait(at(25)))
    assert wait(after(Polled(failures=3, time_in_state=stay))) == pytest.approx(4.5)
    assert wait(after(Polled(failures=99, time_in_state=stay))) == pytest.approx(13.5)
    assert wait(after(Polled(good=9, failures=1, time_in_state=stay, hint=60.0))) == 60.0


@pytest.mark.parametrize(("polls", "shorter"), [(1.0, 1.0), (52.0, 1.0), (78.0, 1.5), (104.0, 2.0), (1000.0, 2.0)])
def test_pauses_are_shorter_where_many_looks_share_a_request(polls: float, shorter: float) -> None:
    """In quiet times, and for tasks of which nothing is known; never below the interval."""
    wait = PollWait(POLICY, middle, experienced(), polls_per_request=lambda: polls)

    assert wait(at(0, PENDING)) == pytest.approx(0.95 * 15.0 / shorter)
    assert wait(at(5, State.UNKNOWN, good=99)) == pytest.approx(0.69 * 15.0 / shorter)
    assert wait(at(35)) >= POLICY.shortest_interval


def test_a_new_plan_holds_at_once() -> None:
    """Also for a look like the one before it."""
    polls, learner = 1.0, Learner()
    wait = PollWait(POLICY, middle, learner, polls_per_request=lambda: polls)
    before = wait(after(Polled(good=99)))

    polls, learner.polls = 1000.0, 100

    assert (before, wait(after(Polled(good=99)))) == pytest.approx((10.35, 0.69 * 7.5))


def test_cheap_looks_never_go_below_the_users_first_pause() -> None:
    """A policy whose pauses do not grow keeps them, whatever a look costs."""
    policy = PollPolicy(initial_interval=10.0, max_interval=12.0)
    wait = PollWait(policy, middle, experienced(), polls_per_request=lambda: 100.0)

    assert wait(at(0, PENDING)) == pytest.approx(9.5)


def test_learning_can_be_switched_off() -> None:
    """By the option, or by a strategy of the user's own."""
    learner = experienced()

    assert strategy(learner, PollPolicy(adaptive=False))(at(25, good=9)) == pytest.approx(13.5)
    assert strategy(learner, PollPolicy(wait=wait_fixed(7)))(at(25, good=9)) == 7.0


def test_a_learned_pause_has_jitter_too() -> None:
    """A tenth to either side."""
    learner = experienced()
    pauses = [PollWait(POLICY, draw, learner)(at(0)) for draw in (lowest, middle, highest)]

    assert pauses[0] / pauses[1] == pytest.approx(0.9)
    assert pauses[2] / pauses[1] == pytest.approx(1.1)


def test_the_same_randomness_gives_the_same_looks() -> None:
    """Nothing else goes into a pause than what was seen."""
    tasks = drawn(KINDS["60 s, sigma 0.5"], 50, within=300)
    first, second, other = (simulate(Ours(seed=seed), tasks) for seed in (1, 1, 2))

    assert first == second
    assert first != other


def test_a_schedule_is_made_anew_only_now_and_then() -> None:
    """A learner that has seen nothing more is not asked again: the pauses stay the same objects' work."""
    learner = experienced()
    wait = strategy(learner)
    wait(at(0))
    before = wait._timetables
    wait(at(10))

    assert wait._timetables is before


@given(policies(), st.floats(0, 2e5), st.floats(0, 1), st.sampled_from(sorted(KINDS)[2:5]))
def test_a_learned_pause_keeps_to_the_bounds(policy: PollPolicy, age: float, drawn_number: float, kind: str) -> None:
    """Whatever was learned, and whatever the policy: never below ``min_interval``, never above ``maximum``."""
    wait = PollWait(policy, lambda: drawn_number, experienced(kind))

    pause = wait(at(age))

    assert policy.shortest_interval * (1 - 1e-9) <= pause <= policy.max_interval * (1 + 1e-9)


def test_where_no_ends_are_known_nothing_is_planned_for_them() -> None:
    """A relay whose queue has moved while nothing has ended yet: the queue is looked at rarely, the rest backed off."""
    learner = Learner()
    for _ in range(9):
        learner.saw(learner.saw(None, PENDING, 0.0), PROCESSING, 10.0)

    tables = timetables(learner.hazards(), POLICY)

    assert set(tables) == {PENDING}
    assert tables[PENDING].pause(5.0) == pytest.approx(15.0)


def test_nothing_learned_is_no_schedule() -> None:
    """An empty experience plans nothing."""
    assert timetables({}, POLICY) == {}


# --- simulated: against one second, doubled up to ten ---

_MANY = 500


def compared(kind: str, *, count: int, within: float, seeds: int = 3) -> tuple[float, float]:
    """Return the ratios of requests and mean latency, ours to exponential backoff's, over a few seeds."""
    requests, delays = [0.0, 0.0], [0.0, 0.0]
    for seed in range(seeds):
        tasks = drawn(KINDS[kind], count, within=within, seed=seed)
        paces: tuple[Pace, Pace] = (Ours(seed=seed), Exponential())
        for side, pace in enumerate(paces):
            result = simulate(pace, tasks)
            requests[side] += result.requests
            delays[side] += result.delay
    return requests[0] / requests[1], delays[0] / delays[1]


_STREAM = {"count": _MANY, "within": 3000}
_LONG = {"count": 100, "within": 30_000, "seeds": 2}
_AT_ONCE = {"count": _MANY, "within": 0}
_FASTER_THAN_THE_QUEUE = {"count": _MANY, "within": 300}


@pytest.mark.parametrize(
    ("kind", "tasks", "most_requests", "latency"),
    [
        *quick(
            [
                ("two stages: 40 s wide, 30 s narrow", _STREAM, 0.99, 0.33),
                ("two stages: 40 s very wide, 30 s narrow", _STREAM, 0.99, 0.33),
                ("two stages, 5 % refused at 3 s", _STREAM, 0.99, 0.45),
                ("60 s, sigma 0.5", _STREAM, 0.99, 0.65),
                ("60 s, sigma 0.2", _STREAM, 0.99, 0.5),
                ("60 s, sigma 1.0", _STREAM, 0.99, 0.95),
                ("memoryless, mean 60 s", _STREAM, 0.99, 0.95),
                ("Pareto, 20 s and more", _STREAM, 0.99, 0.7),
                ("bimodal, 15 s and 150 s", _STREAM, 0.99, 0.6),
                ("15 s, sigma 0.5", _STREAM, 0.99, 0.45),
                ("15 s, sigma 0.2", _STREAM, 0.99, 0.32),
            ],
            3,
        ),
        # Hardly anything can be saved in an hour, and nothing is lost.
        ("1 h, sigma 0.5", _LONG, 1.0, 1.05),
        ("1 h, sigma 0.2", _LONG, 1.0, 0.9),
        # Tasks still running count, so that the first ends do not set the pace for all.
        *quick([(kind, _AT_ONCE, 1.12, 1.05) for kind in KINDS if "1 h" not in kind], 2),
        # The polls that the queue will save are not spent before.
        ("two stages: 40 s very wide, 30 s narrow", _FASTER_THAN_THE_QUEUE, 0.955, 0.33),
    ],
)
def test_ends_are_noticed_earlier_with_fewer_requests(
    kind: str, tasks: dict[str, int], most_requests: float, latency: float
) -> None:
    """As shares of what exponential backoff needs: fewer requests, and less latency."""
    requests, delay = compared(kind, **tasks)

    assert requests <= most_requests
    assert delay < latency


def test_the_last_of_many_that_start_at_once_are_noticed_like_the_others() -> None:
    """What the queue has saved counts when its tasks are processed, however many have ended between."""
    tasks = sorted(drawn(two_stages(lognormal(40, 0.5), lognormal(30, 0.2)), 1000, within=0), key=lambda task: task.end)

    result, reference = simulate(Ours(), tasks), simulate(Exponential(), tasks)

    assert result.requests < 1.05 * reference.requests
    assert result.delay < 0.5 * reference.delay
    assert fmean(result.delays[750:]) < 0.7 * fmean(reference.delays[750:])


def test_looks_that_were_cheap_are_not_paid_for_later() -> None:
    """When a crowd has dwindled, and a request answers few looks again, those left are looked at as ever."""
    polls_per_request = 120.0
    ours = Ours(polls_per_request=lambda: polls_per_request)
    kind = KINDS["60 s, sigma 0.2"]
    crowd = simulate(ours, drawn(kind, 500, within=2000))

    polls_per_request = 1.0
    few = drawn(kind, 200, within=2000, seed=1)
    result, reference = simulate(ours, few), simulate(Exponential(), few)

    assert crowd.requests > 1.3 * reference.requests
    assert result.requests < 1.05 * reference.requests
    assert result.delay < 0.5 * reference.delay


@pytest.mark.parametrize("within", [0.0, 600.0])
@pytest.mark.parametrize("kind", quick([kind for kind in KINDS if "1 h" not in kind], 3))
def test_the_first_ten_tasks_fare_no_worse(kind: str, within: float) -> None:
    """A fresh client is at most a tenth worse than exponential backoff, in requests and in latency."""
    requests, delay = compared(kind, count=10, within=within, seeds=80)

    assert requests <= 1.1
    assert delay <= 1.1


def test_a_relay_that_becomes_slower_is_followed() -> None:
    """After a thousand tasks at the new pace, the old one costs next to nothing any more."""
    ours = Ours()
    simulate(ours, drawn(one_stage(lognormal(15, 0.2)), 500, within=3000))
    simulate(ours, drawn(one_stage(lognormal(90, 0.2)), 1000, within=6000, seed=1))
    tasks = drawn(one_stage(lognormal(90, 0.2)), 300, within=3000, seed=2)

    late, reference = simulate(ours, tasks), simulate(Exponential(), tasks)

    assert late.requests < reference.requests
    assert late.delay < 0.6 * reference.delay


def test_a_task_that_hangs_does_not_pay_for_the_others() -> None:
    """One of a hundred that never ends is looked at rarely, and the others as if it were not there."""
    ours = Ours()
    lengths = Random(3)  # noqa: S311 - a simulation
    tasks = drawn(lambda r: [(PROCESSING, 80_000.0 if lengths.random() < 0.01 else r.gauss(60, 10))], 300, within=2000)
    simulate(ours, tasks)
    healthy = drawn(one_stage(lambda random: random.gauss(60, 10)), 300, within=2000, seed=5)

    result, reference = simulate(ours, healthy), simulate(Exponential(), healthy)

    assert result.requests < reference.requests
    assert ours.wait(at(40_000.0)) > 12


def test_the_simulation_counts_right() -> None:
    """Every ten seconds, a task of 25 seconds takes four looks and is noticed five late."""
    tasks = drawn(one_stage(lambda _: 25.0), 3, within=0)
    result = simulate(Fixed(10), tasks)

    assert (list(result.polls), list(result.delays)) == ([4, 4, 4], [5.0, 5.0, 5.0])
    assert (result.requests, result.delay, result.p95) == (4.0, 5.0, 5.0)
    assert list(simulate(Exponential(), tasks).polls) == [6, 6, 6]


def test_the_table_has_a_row_for_each_policy_and_kind() -> None:
    """The first ones are the policy that most scripts have."""
    kind, policy, result, reference = next(rows())

    assert (kind, policy) == ("two stages: 40 s wide, 30 s narrow, streaming", "fixed 3 s")
    assert result.requests > 1.5 * reference.requests
