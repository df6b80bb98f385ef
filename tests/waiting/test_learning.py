"""What the tasks seen so far show of how long states last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async import GenerationFailedError, LumaClient, PollPolicy, State
from luma_async._waiting.learning import Hazard, Learner, TimeInState
from luma_async.statistics import StateStatistics
from luma_async.testing import Fault, Script, SimulatedRelay

PENDING, PROCESSING, COMPLETED, FAILED = State.PENDING, State.PROCESSING, State.COMPLETED, State.FAILED


def follow(learner: Learner, *polls: tuple[float, State]) -> TimeInState:
    """Let *learner* see one task at these times in these states."""
    stay: TimeInState | None = None
    for time, state in polls:
        stay = learner.saw(stay, state, time)
    assert stay is not None
    return stay


def follow_until(learner: Learner, end: float, step: float = 1.0) -> None:
    """Let *learner* see one task process for *end* seconds, looking every *step*."""
    times = [number * step for number in range(int(end / step) + 1)]
    follow(learner, *[(time, PROCESSING) for time in times], (times[-1] + step, COMPLETED))


def learned(lengths: Sequence[float]) -> Learner:
    """Return who has seen tasks process for so long."""
    learner = Learner()
    for length in lengths:
        follow_until(learner, length)
    return learner


def of_processing(learner: Learner, running: int = 0) -> StateStatistics:
    """Return what *learner* tells of the state."""
    (states,) = [s for s in learner.statistics({PROCESSING: running}).states if s.state is PROCESSING]
    return states


def rate_at(age: float, hazard: Hazard, rates: Sequence[float]) -> float:
    """Return the one of *rates* that holds at *age*."""
    bins = zip(rates, pairwise(hazard.edges), strict=True)
    return next(rate for rate, (low, high) in bins if low <= age < high)


# --- stays ---


def test_a_stay_begins_when_a_state_is_first_seen() -> None:
    """Its age is the time from there to the last look that showed the state."""
    learner = Learner()

    first = follow(learner, (100.0, PENDING), (103.0, PENDING))
    second = learner.saw(first, PROCESSING, 110.0)
    third = learner.saw(second, PROCESSING, 118.0)

    assert (first.state, first.since, first.last, first.age) == (PENDING, 100.0, 103.0, 3.0)
    assert (third.state, third.since, third.age) == (PROCESSING, 110.0, 8.0)


def test_a_stay_holds_three_things() -> None:
    """There may be a hundred thousand of them."""
    assert TimeInState.__slots__ == ("state", "since", "last")


# --- what is counted ---


def test_ends_and_moves_are_counted_apart() -> None:
    """What follows pending is either; both leave it."""
    learner = Learner()
    follow(learner, (0.0, PENDING), (9.0, PROCESSING), (20.0, COMPLETED))
    follow(learner, (0.0, PENDING), (9.0, FAILED))

    statistics = learner.statistics({PENDING: 2, PROCESSING: 1, None: 4})

    pending, processing = statistics.states
    assert (pending.seen, pending.moved, pending.ended, pending.running) == (2, 1, 1, 2)
    assert (processing.seen, processing.moved, processing.ended, processing.running) == (1, 0, 1, 1)
    assert (statistics.waiting, statistics.completed, statistics.failed) == (7, 1, 1)
    assert (statistics.polls, statistics.failed_polls) == (5, 0)


def test_failed_looks_are_counted_apart() -> None:
    """They say nothing about states."""
    learner = Learner()
    learner.missed()

    statistics = learner.statistics({})

    assert (statistics.polls, statistics.failed_polls, statistics.states) == (0, 1, ())


def test_a_task_that_is_done_at_the_first_look_teaches_no_duration() -> None:
    """It counts as completed, and no more, however often it is seen again without its link."""
    learner = Learner()
    follow(learner, (0.0, COMPLETED), (5.0, COMPLETED))

    statistics = learner.statistics({COMPLETED: 1})

    assert (statistics.completed, statistics.waiting, statistics.states) == (1, 1, ())


def test_a_state_that_comes_back_is_a_new_stay() -> None:
    """Relays put tasks back into the queue."""
    learner = Learner()

    stay = follow(learner, (0.0, PENDING), (5.0, PROCESSING), (9.0, PENDING), (12.0, PENDING))

    assert stay.age == 3.0
    assert learner.statistics({}).states[0].seen == 2


# --- rates ---


def test_a_handful_of_ends_is_needed() -> None:
    """Four teach nothing, five do."""
    assert learned([20] * 4).hazards() == {}
    assert not of_processing(learned([20] * 4)).is_learned
    assert learned([20] * 5).hazards()[PROCESSING].ends_are_known
    assert of_processing(learned([20] * 5)).is_learned


def test_moves_alone_make_a_state_known_but_not_its_ends() -> None:
    """A queue that nothing ends in is known to be one."""
    learner = Learner()
    for _ in range(9):
        follow(learner, (0.0, PENDING), (10.0, PENDING), (20.0, PROCESSING))

    hazard = learner.hazards()[PENDING]

    assert not hazard.ends_are_known
    assert max(hazard.ends) == 0
    assert rate_at(15, hazard, hazard.leaves) > 0.02


def test_the_rate_of_a_memoryless_process_is_found() -> None:
    """Ends at every age alike are one in thirty seconds at every age."""
    learner = learned([30 * number / 100 for number in range(100) for _ in range(3)])
    hazard = learner.hazards()[PROCESSING]

    assert hazard.survival()[0] == 1.0
    assert rate_at(3, hazard, hazard.ends) == pytest.approx(1 / 28.5, rel=0.15)
    assert rate_at(15, hazard, hazard.ends) == pytest.approx(1 / 15, rel=0.2)


def test_tasks_still_running_lower_the_rate() -> None:
    """A hundred more that were watched for as long and did not end are evidence."""
    few, many = learned([20] * 10), learned([20] * 10)
    for _ in range(90):
        follow(many, *[(float(time), PROCESSING) for time in range(25)])

    alone, among = (learner.hazards()[PROCESSING] for learner in (few, many))

    assert rate_at(20, among, among.ends) < rate_at(20, alone, alone.ends) / 5


def test_what_was_seen_last_counts_at_once() -> None:
    """For the next schedule, and for all whose stretch of time it was; asking twice changes nothing."""
    learner = learned([10.0] * 5)
    before = sum(learner.hazards()[PROCESSING].watched)

    for _ in range(3):
        follow(learner, (0.0, PROCESSING), (7.0, PROCESSING))

    assert sum(learner.hazards()[PROCESSING].watched) == pytest.approx(before + 3 * 7.0)
    assert sum(learner.hazards()[PROCESSING].watched) == pytest.approx(before + 3 * 7.0)


def test_an_end_lies_somewhere_between_two_looks() -> None:
    """After a pause of ten seconds each of them is as likely."""
    learner = Learner()
    for _ in range(500):
        follow(learner, (0.0, PROCESSING), (20.0, PROCESSING), (30.0, COMPLETED))

    statistics = of_processing(learner)

    assert statistics.p10 == pytest.approx(21, abs=1.5)
    assert statistics.median == pytest.approx(25, abs=1.5)
    assert statistics.p90 == pytest.approx(29, abs=1.5)


def test_an_age_that_nobody_has_reached_takes_the_rate_before_it() -> None:
    """What has begun to end goes on to end."""
    hazard = learned([20, 21, 22, 23, 24, 25] * 5).hazards()[PROCESSING]

    assert rate_at(3600, hazard, hazard.ends) == pytest.approx(rate_at(600, hazard, hazard.ends), rel=0.01)
    assert rate_at(3600, hazard, hazard.ends) > 0.05
    assert rate_at(8, hazard, hazard.ends) < 0.001


def test_few_ends_are_blurred_more_than_many() -> None:
    """Five at one age do not mean that all end there."""
    few, many = (learned([60] * count).hazards()[PROCESSING] for count in (5, 200))

    assert rate_at(42, few, few.ends) > 0.2 * rate_at(60, few, few.ends)
    assert rate_at(42, many, many.ends) < 0.01 * rate_at(60, many, many.ends)


def test_old_tasks_weigh_less() -> None:
    """After a thousand at a new pace the old one is forgotten, and the totals are not."""
    learner = learned([10] * 256)
    before = learner.hazards()[PROCESSING].left
    for _ in range(1024):
        follow_until(learner, 60.0, step=4.0)

    hazard, statistics = learner.hazards()[PROCESSING], of_processing(learner)

    assert before == pytest.approx(128)
    assert hazard.left < 512
    assert (statistics.seen, statistics.ended) == (1280, 1280)
    assert statistics.median == pytest.approx(62, abs=2)


@pytest.mark.parametrize("shortest", [1e-9, 0.01, 2.0, 60.0, 1e6])
def test_memory_does_not_grow_with_tasks(shortest: float) -> None:
    """There is a fixed number of bins, for any interval."""
    learner = Learner(shortest)
    for start in range(50):
        follow(learner, (start, PROCESSING), (start + 1e5, PROCESSING), (start + 1e6, COMPLETED))

    hazard = learner.hazards()[PROCESSING]

    assert len(hazard.edges) < 105
    assert hazard.edges[0] == 0.0
    assert hazard.edges[-1] == 86_400.0
    assert list(hazard.edges) == sorted(set(hazard.edges))


def test_an_age_beyond_a_day_counts_as_one_day() -> None:
    """Gateways give up by then; a task that was seen to end there is still an end."""
    learner = Learner()
    for _ in range(5):
        follow(learner, (0.0, PROCESSING), (90_000.0, PROCESSING), (100_000.0, COMPLETED))

    assert learner.hazards()[PROCESSING].left == pytest.approx(5)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, State]]:
    """Draw what one task shows at some times, if need be all at once."""
    pauses = draw(st.lists(st.floats(0, 1e5), min_size=1, max_size=8))
    states = draw(st.lists(st.sampled_from([PENDING, PROCESSING, State.UNKNOWN]), min_size=8, max_size=8))
    times = [sum(pauses[: number + 1]) for number in range(len(pauses))]
    return [*zip(times[:-1], states, strict=False), (times[-1], draw(st.sampled_from(State)))]


@given(st.lists(histories(), max_size=12))
def test_nothing_seen_is_lost_or_counted_twice(tasks: list[list[tuple[float, State]]]) -> None:
    """Whatever order of states and times: looks, stays, ends and moves add up, and no rate is negative."""
    learner = Learner()
    last = [follow(learner, *polls) for polls in tasks]

    statistics = learner.statistics({})

    assert statistics.polls == sum(map(len, tasks))
    assert sum(s.seen - s.moved - s.ended for s in statistics.states) == sum(not s.state.is_terminal for s in last)
    assert statistics.completed + statistics.failed == sum(s.state.is_terminal for s in last)
    for hazard in learner.hazards().values():
        assert min(*hazard.ends, *hazard.watched) >= 0
        assert all(earlier >= later >= 0 for earlier, later in pairwise(hazard.survival()))


# --- to be read ---


def quantiles(learner: Learner) -> Iterator[float | None]:
    """Yield the three."""
    statistics = of_processing(learner)
    yield from (statistics.p10, statistics.median, statistics.p90)


def test_a_quantile_that_too_few_have_reached_is_unknown() -> None:
    """Of a hundred tasks twenty have ended: a tenth left within ten seconds, and half of them nobody knows."""
    learner = learned([10] * 20)
    for _ in range(80):
        follow(learner, *[(float(time), PROCESSING) for time in range(15)])

    p10, median, p90 = quantiles(learner)

    assert p10 == pytest.approx(10.5, abs=1)
    assert (median, p90) == (None, None)
    assert list(quantiles(learned([10] * 4))) == [None, None, None]


def test_statistics_can_be_shown() -> None:
    """One line for the client and one for each state, in words."""
    learner = learned([30] * 300)
    follow(learner, (0.0, PENDING), (1.0, FAILED))
    learner.missed()

    head, pending, processing = str(learner.statistics({PROCESSING: 3, None: 1})).splitlines()

    assert head == "4 waiting, 300 completed, 1 failed; 9602 polls, 1 more failed"
    assert pending == "pending: 0 running, 1 seen, 0 moved on, 1 ended; 10 / 50 / 90 % leave within ? / ? / ?"
    assert processing.startswith("processing: 3 running, 300 seen, 0 moved on, 300 ended; 10 / 50 / 90 % leave within ")
    assert "/ 30 s /" in processing


# --- in a client ---

_FAST = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.1)


async def test_a_client_learns_from_all_its_waits() -> None:
    """Who waits for the same id is one; ends, moves, failed looks and those still running are told."""
    async with SimulatedRelay(speed=20) as relay, LumaClient(relay.base_url, relay.api_key, polling=_FAST) as luma:
        ids = [relay.add(script=Script.completes(pending=4.0, processing=10.0)) for _ in range(6)]
        stuck = relay.add(script=Script.of("processing"))
        waiting = asyncio.create_task(luma.wait_until_done(stuck))
        assert (luma.statistics.waiting, luma.statistics.states) == (0, ())

        await luma.wait_all([*ids, *ids])
        statistics = luma.statistics
        waiting.cancel()
        await asyncio.wait([waiting])

        assert (statistics.waiting, statistics.completed, statistics.failed) == (1, 6, 0)
        pending, processing = statistics.states
        assert (pending.state, pending.running, pending.seen, pending.moved) == (PENDING, 0, 6, 6)
        assert (processing.state, processing.running, processing.seen, processing.ended) == (PROCESSING, 1, 7, 6)
        assert pending.is_learned
        assert processing.median is not None
        assert luma.statistics.waiting == 0


async def test_a_client_counts_failed_generations_and_failed_looks() -> None:
    """The one is an end like any other, the other no look at all."""
    async with SimulatedRelay(speed=20) as relay, LumaClient(relay.base_url, relay.api_key, polling=_FAST) as luma:
        task_id = relay.add(script=Script.fails(reason="moderated", after=1.0))
        relay.trouble(Fault.http(502), times=2)

        with pytest.raises(GenerationFailedError):
            await luma.wait_until_done(task_id)

        assert (luma.statistics.failed, luma.statistics.failed_polls) == (1, 2)


async def test_a_single_look_teaches_nothing() -> None:
    """It has no before and no after."""
    async with SimulatedRelay() as relay, LumaClient(relay.base_url, relay.api_key) as luma:
        await luma.get_generation(relay.add(script=Script.of("processing")))

        assert luma.statistics.polls == 0
