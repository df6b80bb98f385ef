"""The rules of waiting, in virtual time against a looker that answers from a script."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any, cast

import pytest
from attrs import define, field, frozen
from tenacity import RetryCallState, wait_fixed

from luma_async._relay.answer import Answer
from luma_async._relay.tasks import LastAnswer, Observation, read_poll
from luma_async._waiting.batching import Batcher
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.polls import PollLoops
from luma_async._waiting.scheduler import Scheduler, Wakeup
from luma_async.errors import (
    AuthenticationError,
    ClientClosedError,
    GenerationFailedError,
    LumaError,
    NotFoundError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    Verdict,
    WaitTimeoutError,
)
from luma_async.events import Event, StateChanged
from luma_async.models import State
from luma_async.outcomes import Outcome
from luma_async.settings import PollPolicy
from tests.kit import answer
from tests.lookers import Looker
from tests.virtual_time import run, stand_still

ID = "9d4b7516-77e5-481a-b015-48313946f33b"
VIDEO = "https://cdn.example/v.mp4"
NO_JITTER = 0.5
POLICY = PollPolicy()
TICK = 1e-6


@frozen
class Told:
    """What a relay says about whatever task it is asked for."""

    state: str
    link: str | None = VIDEO
    reason: str | None = None

    def about(self, task_id: str) -> Answer:
        """Return the answer."""
        link = self.link if self.state in ("completed", "wrapped up") else None
        return answer({"id": task_id, "state": self.state, "failure_reason": self.reason, "video": {"url": link}})


def bad(
    kind: type[ServerError | RateLimitError | NotFoundError | AuthenticationError], verdict: Verdict, **more: Any
) -> LumaError:
    """Return an error of the relay's."""
    return kind("no", status=500, verdict=verdict, **more)


def outage() -> LumaError:
    """Return a failure that passes."""
    return bad(ServerError, Verdict.PASSING)


PENDING, PROCESSING, COMPLETED = Told("pending"), Told("processing"), Told("completed")
FAILED = Told("failed", reason="moderated")


@define(eq=False)
class Script(Looker):
    """Stands where the Batcher stands: each look takes *takes* seconds and gives the next answer, the last for ever."""

    answers: Sequence[Told | LumaError]
    takes: float = 0.0
    at: list[float] = field(factory=list)
    gathers: bool = False
    cut_at: list[float] = field(factory=list)

    async def look(self, task_id: str, *, last_answer: LastAnswer | None, deadline: float) -> Observation:
        """Give the next answer, or raise it; a deadline cuts the look."""
        loop = asyncio.get_running_loop()
        self.at.append(round(loop.time(), 3))
        self.cut_at.append(deadline)
        told = self.answers[min(len(self.at), len(self.answers)) - 1]
        try:
            async with asyncio.timeout_at(deadline if deadline < math.inf else None):
                await asyncio.sleep(self.takes)
        except TimeoutError:
            raise RequestTimeoutError("too slow", verdict=Verdict.PASSING) from None
        if isinstance(told, LumaError):
            raise told
        return read_poll(told.about(task_id), task_id, last_answer)


def loops_of(script: Script, policy: PollPolicy = POLICY, strategy: PollWait | None = None) -> PollLoops:
    """Return a room whose looks come from *script*."""
    return PollLoops(cast("Batcher", script), policy, strategy or PollWait(policy, lambda: NO_JITTER))


def wait_for(script: Script, timeout: float | None = None, policy: PollPolicy = POLICY) -> Outcome:
    """Wait for one id in virtual time."""
    return run(loops_of(script, policy).wait(ID, timeout))


def together(script: Script, *timeouts: float | None) -> list[Outcome]:
    """Wait for one id several times at once in virtual time."""

    async def main() -> list[Outcome]:
        room = loops_of(script)
        return await asyncio.gather(*(room.wait(ID, timeout) for timeout in timeouts))

    return run(main())


def error_of(outcome: Outcome) -> LumaError:
    """Return the error that the outcome must have."""
    assert outcome.error is not None
    return outcome.error


@pytest.mark.usefixtures("small_heap")
@pytest.mark.parametrize("policy", [POLICY, PollPolicy(wait=wait_fixed(2.0))], ids=["ours", "the user's strategy"])
@pytest.mark.parametrize(
    ("script", "timeout"),
    [
        (Script([PENDING, COMPLETED]), None),
        (Script([PENDING, FAILED]), 60.0),
        (Script([PROCESSING]), 10.0),
        (Script([bad(AuthenticationError, Verdict.FINAL)]), None),
    ],
    ids=["completed", "failed", "timeout", "refused"],
)
def test_ended_waits_leave_nothing_to_the_garbage_collector(
    script: Script, timeout: float | None, policy: PollPolicy
) -> None:
    """What refers to itself in a circle lives on until a full collection, which stops everybody in the process."""

    async def main() -> set[str]:
        room = loops_of(script, policy)
        await room.wait(ID, timeout)
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await room.wait(ID, timeout)
            gc.collect()
        finally:
            gc.set_debug(0)
        left = {type(thing) for thing in gc.garbage}
        gc.garbage.clear()
        return {kind.__qualname__ for kind in left if kind.__module__.startswith(("luma_async", "tenacity"))}

    is_on = gc.isenabled()
    gc.disable()
    try:
        assert run(main()) == set()
    finally:
        if is_on:
            gc.enable()


# --- rule 1: look first, then sleep; a deadline belongs to the one who waits ---


def test_looks_at_once_then_at_growing_pauses() -> None:
    """The first look comes without a pause, and the pauses after it follow the policy up to its maximum."""
    script = Script([PENDING] * 7 + [COMPLETED])

    outcome = wait_for(script)

    pauses = [round(b - a, 2) for a, b in zip(script.at, script.at[1:], strict=False)]
    assert script.at[0] == 0.0
    assert pauses == [2.2, 3.0, 4.5, 6.75, 10.12, 13.5, 13.5]
    assert outcome.ok
    assert outcome.polls == 8
    assert outcome.elapsed == pytest.approx(script.at[-1])


def test_deadline_ends_the_wait_after_a_last_look_just_before_it() -> None:
    """A wait ends at its deadline, with the last state, and a look less than a second before."""
    script = Script([PROCESSING])

    outcome = wait_for(script, 60.0)

    error = error_of(outcome)
    assert isinstance(error, WaitTimeoutError)
    assert outcome.elapsed == pytest.approx(60.0)
    assert 59.0 <= script.at[-1] < 60.0
    assert error.last is not None
    assert (error.last.state, error.last_error, error.task_id) == (State.PROCESSING, None, ID)
    assert error.waited == pytest.approx(60.0)


def test_completion_just_before_the_deadline_is_caught_by_the_last_look() -> None:
    """What completes between the last regular look and the deadline is found."""
    regular = Script([PENDING])
    wait_for(regular, 14.0)
    script = Script([PENDING] * (len(regular.at) - 1) + [COMPLETED])

    outcome = wait_for(script, 14.0)

    assert outcome.ok
    assert outcome.elapsed < 14.0


def test_a_last_look_that_is_cut_does_not_hide_what_was_wrong() -> None:
    """The relay said *slow down* all the time; that the deadline came during one more look is no news of it."""
    script = Script([RateLimitError("slow", status=429, verdict=Verdict.SLOW_DOWN)], takes=1.5)

    error = wait_for(script, timeout=4.5).error

    assert script.at[-1] + 1.5 > 4.5
    assert isinstance(error, WaitTimeoutError)
    assert isinstance(error.last_error, RateLimitError)


@pytest.mark.parametrize(
    "policy",
    [POLICY, PollPolicy(min_interval=0.001, initial_interval=0.001, max_interval=0.001)],
    ids=["usual", "dense"],
)
def test_a_relay_that_never_answers_is_polled_once(policy: PollPolicy) -> None:
    """A poll that hangs is cut at the deadline, is the last, and the wait says what the trouble was."""
    script = Script([PENDING], takes=1e9)

    outcome = wait_for(script, 5.0, policy)

    error = error_of(outcome)
    assert isinstance(error, WaitTimeoutError)
    assert 5.0 <= outcome.elapsed < 6.0
    assert isinstance(error.last_error, RequestTimeoutError)
    assert script.at == [0.0]
    assert outcome.polls == 1


@pytest.mark.parametrize("takes", [0.0, 0.2, 0.45])
def test_a_loop_that_was_blocked_over_the_deadline_makes_the_last_poll(takes: float) -> None:
    """One request, which has the same time as if it had started before the deadline."""
    script = Script([PENDING, PENDING, COMPLETED], takes=takes)

    async def main() -> Outcome:
        asyncio.get_running_loop().call_at(5.0, stand_still, 100.0)
        return await loops_of(script).wait(ID, 20.0)

    outcome = run(main())

    assert outcome.ok
    assert len(script.at) == 3
    assert 105.0 <= script.at[-1] < 105.0 + TICK
    assert outcome.elapsed < 106.0


@pytest.mark.parametrize("second_block", [None, 102.3])
@pytest.mark.parametrize("is_done", [True, False])
def test_a_poll_that_a_blocked_loop_held_up_is_not_the_last(second_block: float | None, *, is_done: bool) -> None:
    """Its answer is from before the block; one more poll is made, and not two, even if the loop is blocked again."""
    script = Script([PENDING, COMPLETED if is_done else PENDING, PENDING], takes=0.2)

    async def main() -> Outcome:
        running = asyncio.get_running_loop()
        running.call_at(0.1, stand_still, 100.0)
        if second_block is not None:
            running.call_at(second_block, stand_still, 100.0)
        return await loops_of(script).wait(ID, 20.0)

    outcome = run(main())

    assert outcome.ok is is_done
    assert script.at == pytest.approx([0.0, 100.1 + POLICY.shortest_interval], abs=0.1)
    assert outcome.elapsed < 103.0 + (100 if second_block else 0)


@pytest.mark.parametrize(("timeout", "cut_at"), [(20.0, 20.0), (None, math.inf)], ids=["a deadline", "no deadline"])
def test_a_poll_is_cut_at_the_latest_of_the_deadlines(timeout: float | None, cut_at: float) -> None:
    """A poll for several waiters may last as long as the most patient one waits, without a deadline forever."""
    script = Script([PENDING, COMPLETED])

    together(script, 5.0, timeout)

    assert script.cut_at == pytest.approx([cut_at, cut_at])


def test_loop_lives_on_for_those_with_later_deadlines() -> None:
    """One who leaves at his deadline takes nothing from the other."""
    script = Script([PENDING] * 6 + [COMPLETED])

    hasty, patient = together(script, 3.0, None)

    assert isinstance(hasty.error, WaitTimeoutError)
    assert hasty.elapsed == pytest.approx(3.0)
    assert patient.ok


def test_newcomer_gets_a_look_at_once() -> None:
    """He who joins a loop in the middle of a long pause does not sit it out, and his time counts from then."""
    script = Script([PENDING] * 6 + [COMPLETED])

    async def main() -> tuple[Outcome, Outcome]:
        room = loops_of(script)
        first = asyncio.create_task(room.wait(ID, None))
        await asyncio.sleep(25.0)
        return await asyncio.gather(first, room.wait(ID, None))

    first, newcomer = run(main())

    assert 25.0 in script.at
    assert newcomer.elapsed == pytest.approx(first.elapsed - 25.0)
    assert newcomer.polls < first.polls


def test_newcomers_cannot_make_looks_denser_than_the_interval() -> None:
    """Ten who join one after the other within a second cost one more look, not ten."""
    script = Script([PENDING] * 3 + [COMPLETED])

    async def main() -> None:
        room = loops_of(script)
        waits = []
        for _ in range(10):
            waits.append(asyncio.create_task(room.wait(ID, None)))
            await asyncio.sleep(0.1)
        await asyncio.gather(*waits)

    run(main())

    assert all(b - a >= POLICY.shortest_interval - TICK for a, b in zip(script.at, script.at[1:], strict=False))


def test_there_is_one_last_look_not_many() -> None:
    """Even a tiny interval does not turn the moment before the deadline into a burst."""
    script = Script([PENDING])

    wait_for(script, 10.0, PollPolicy(min_interval=0.001, initial_interval=4.0, max_interval=4.0))

    assert len([at for at in script.at if at > 9.5]) == 1


def test_deadline_shorter_than_the_interval_keeps_the_interval() -> None:
    """A wait of one second asks once: the relay knows nothing new before the interval is over."""
    script = Script([PENDING])

    wait_for(script, 1.0)

    assert script.at == [0.0]


# --- many ids, one request: who may wait for whom ---


def joined(times: Sequence[float], script: Script, policy: PollPolicy = POLICY) -> list[float]:
    """Return when the looks come of ids that are joined at *times*, each waited for until it ends."""

    async def wait(room: PollLoops, number: int, at: float) -> None:
        await asyncio.sleep(at)
        await room.wait(f"task-{number}", None)

    async def main() -> None:
        room = loops_of(script, policy)
        await asyncio.gather(*(wait(room, number, at) for number, at in enumerate(times)))

    run(main())
    return script.at


def test_ids_that_are_due_a_little_apart_wake_together() -> None:
    """Two that begin a little apart soon look at the same moments; without a batch query they never do."""
    together = joined([0.0, 0.2], Script([PENDING] * 10 + [COMPLETED], gathers=True))
    apart = joined([0.0, 0.2], Script([PENDING] * 10 + [COMPLETED]))

    assert together[-6::2] == together[-5::2]
    assert len(set(apart)) == len(apart)


def test_nobody_waits_for_others_longer_than_a_tenth_of_his_pause_or_half_a_second() -> None:
    """Two who rest alike wait as long as they may, for a third who could come."""
    plain = joined([0.0], Script([PENDING] * 7 + [COMPLETED]))
    patient = joined([0.0, 0.0], Script([PENDING] * 14 + [COMPLETED], gathers=True))[::2]

    pauses = [b - a for a, b in pairwise(plain)]
    shifts = [(b - a) - pause for (a, b), pause in zip(pairwise(patient), pauses, strict=True)]
    assert shifts == pytest.approx([min(0.1 * pause, 0.5) for pause in pauses], abs=0.01)


def test_who_goes_along_with_others_comes_at_most_a_quarter_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of his pause, and five quarters of a second; in trouble a whole quarter, and he waits for nobody."""
    windows: list[tuple[float, float]] = []
    rest = Scheduler.rest

    def noted(scheduler: Scheduler, earliest: float, latest: float, on_turn: Callable[[float], object]) -> Wakeup:
        now = asyncio.get_running_loop().time()
        windows.append((round(earliest - now, 2), round(latest - now, 2)))
        return rest(scheduler, earliest, latest, on_turn)

    monkeypatch.setattr(Scheduler, "rest", noted)
    joined([0.0, 0.0], Script([*[PENDING] * 12, outage(), outage(), COMPLETED], gathers=True))

    pauses = [2.2, 3.0, 4.5, 6.75, 10.125, 13.5]
    healthy = [(max(p - 2.5 * min(0.1 * p, 0.5), 2.0), p + min(0.1 * p, 0.5)) for p in pauses]
    in_trouble = (0.75 * 15.0, 15.0)
    assert windows[::2] == [pytest.approx(window, abs=0.01) for window in [*healthy, in_trouble]]


def test_one_who_is_alone_waits_for_nobody() -> None:
    """A client that waits for a single id asks at the same times with a batch query as without."""
    script = Script([PENDING] * 7 + [COMPLETED], gathers=True)

    assert joined([0.0], script) == joined([0.0], Script([PENDING] * 7 + [COMPLETED]))


def test_a_pause_that_the_user_set_is_never_shortened_for_others() -> None:
    """With a strategy of his own, nobody wakes before his time."""
    polls = joined([0.0, 0.0], Script([PENDING] * 6 + [COMPLETED], gathers=True), PollPolicy(wait=wait_fixed(4.0)))

    assert [round(b - a, 1) for a, b in pairwise(polls[::2])] == [4.4, 4.4, 4.4]


def test_one_who_joins_again_and_again_leaves_nothing_behind() -> None:
    """A hundred who join an id that rests disturb its rest once."""
    script = Script([RateLimitError("slow", status=429, retry_after=50.0), COMPLETED], gathers=True)

    async def main() -> int:
        room = loops_of(script)
        first = asyncio.create_task(room.wait(ID, None))
        await asyncio.sleep(1.0)
        others = []
        for _ in range(100):
            others.append(asyncio.create_task(room.wait(ID, None)))
            await asyncio.sleep(0.01)
        rests = len(room.scheduler._by_latest)
        await asyncio.gather(first, *others)
        return rests

    assert run(main()) <= 2


# --- rules 2 and 3: what passes and what is final ---


GONE = bad(NotFoundError, Verdict.UNCONFIRMED)
SLOW_DOWN = bad(RateLimitError, Verdict.SLOW_DOWN)
DENSE = PollPolicy(
    min_interval=0.1, initial_interval=0.1, max_interval=0.2, max_consecutive_failures=3, max_outage=50.0
)


@pytest.mark.parametrize(
    ("policy", "answers"),
    [
        pytest.param(POLICY, [PENDING, outage(), PROCESSING], id="one failed poll"),
        pytest.param(DENSE, [outage()] * 40, id="many failures in a short outage"),
        pytest.param(
            PollPolicy(max_outage=0.001, max_consecutive_failures=10), [outage()] * 9, id="few failures in a long time"
        ),
        pytest.param(
            PollPolicy(max_outage=0.001, max_consecutive_failures=3),
            [outage(), outage(), PENDING, outage(), outage(), PENDING],
            id="a good poll resets the count",
        ),
        pytest.param(
            PollPolicy(max_outage=20.0, max_consecutive_failures=3),
            [*[outage()] * 3, *[SLOW_DOWN] * 5],
            id="slowing down after long trouble",
        ),
        pytest.param(POLICY, [GONE, GONE, outage(), GONE, GONE, PENDING, GONE, GONE], id="not found, but not in a row"),
    ],
)
def test_this_trouble_does_not_end_the_wait(policy: PollPolicy, answers: list[Told | LumaError]) -> None:
    """The wait ends with the generation, at the first poll that finds it completed."""
    outcome = wait_for(Script([*answers, COMPLETED]), policy=policy)

    assert outcome.ok
    assert outcome.polls == len(answers) + 1


@pytest.mark.parametrize(
    ("answers", "first", "expected"),
    [
        ([PENDING, outage(), outage(), outage(), PENDING, outage()], 0, [2.2, 3.3, 3.3, 4.5, 3.0, 4.5]),
        ([*[PENDING] * 8, outage(), outage()], 8, [15.0, 15.0]),
    ],
    ids=["they grow by the count of failures", "they are longer than the healthy ones before"],
)
def test_pauses_after_failures(answers: list[Told | LumaError], first: int, expected: list[float]) -> None:
    """Pauses after failures have a count of their own, and an outage never makes polls denser."""
    script = Script([*answers, COMPLETED])

    wait_for(script)

    assert [round(b - a, 2) for a, b in pairwise(script.at)][first:] == expected


def test_outage_ends_the_wait_only_when_long_and_dense_enough() -> None:
    """Ten failures in a row and 120 seconds of trouble are both needed to give up."""
    script = Script([outage()])

    outcome = wait_for(script)

    assert isinstance(error_of(outcome), ServerError)
    assert outcome.polls >= POLICY.max_consecutive_failures
    assert POLICY.max_outage <= outcome.elapsed < POLICY.max_outage + 2 * POLICY.max_interval


def test_being_told_to_slow_down_never_counts() -> None:
    """A relay that says 429 for an hour does not end a wait."""
    outcome = wait_for(Script([*[SLOW_DOWN] * 300, COMPLETED]))

    assert outcome.ok
    assert outcome.elapsed > 3600


def test_final_errors_end_the_wait_after_one_look() -> None:
    """A wrong key is not asked with twice."""
    script = Script([bad(AuthenticationError, Verdict.FINAL)])

    outcome = wait_for(script)

    assert isinstance(error_of(outcome), AuthenticationError)
    assert error_of(outcome).task_id == ID
    assert outcome.polls == 1


@pytest.mark.parametrize(("times", "ok"), [(1, True), (2, True), (3, False)])
def test_not_found_is_final_at_the_third_in_a_row(times: int, ok: bool) -> None:  # noqa: FBT001
    """Right after a submit a relay may not know its own task yet."""
    outcome = wait_for(Script([*[GONE] * times, COMPLETED]))

    assert outcome.ok is ok
    assert isinstance(outcome.error, NotFoundError) is not ok


# --- rule 4: hints ---


def own(strategy: Callable[[RetryCallState], float], **more: Any) -> PollPolicy:
    """Return a policy with a strategy of the user's."""
    return PollPolicy(wait=strategy, **more)


@pytest.mark.parametrize(
    ("answers", "policy", "at"),
    [
        ([bad(RateLimitError, Verdict.SLOW_DOWN, retry_after=100.0)], POLICY, [0.0, 100.0]),
        ([PENDING] * 3, own(wait_fixed(7)), [0.0, 7.0, 14.0, 21.0]),
        ([PENDING] * 3, own(wait_fixed(0)), [0.0, 2.0, 4.0, 6.0]),
    ],
    ids=["the relay's hint is a lower bound", "a user's strategy replaces ours", "but not the shortest interval"],
)
def test_polls_come_when_hints_and_strategies_say(
    answers: list[Told | LumaError], policy: PollPolicy, at: list[float]
) -> None:
    """The polls come at exactly these seconds."""
    script = Script([*answers, COMPLETED])

    wait_for(script, policy=policy)

    assert script.at == at


def test_hint_of_zero_does_not_hurry() -> None:
    """Retry-After: 0, twenty times, is never faster than our own backoff."""
    script = Script([*[bad(RateLimitError, Verdict.SLOW_DOWN, retry_after=0.0)] * 20, COMPLETED])

    wait_for(script)

    assert min(b - a for a, b in zip(script.at, script.at[1:], strict=False)) >= POLICY.shortest_interval


def test_hint_beyond_the_deadline_ends_the_wait_at_the_deadline() -> None:
    """An hour's hint does not make a wait of ten seconds longer, nor is the relay asked before its time."""
    script = Script([bad(RateLimitError, Verdict.SLOW_DOWN, retry_after=3600.0)])

    outcome = wait_for(script, 10.0)

    assert isinstance(error_of(outcome), WaitTimeoutError)
    assert outcome.elapsed == pytest.approx(10.0)
    assert script.at == [0.0]


def test_newcomer_keeps_the_relays_hint() -> None:
    """He who joins gets a look at once, but not against the relay's word."""
    script = Script([bad(RateLimitError, Verdict.SLOW_DOWN, retry_after=50.0), COMPLETED])

    async def main() -> None:
        room = loops_of(script)
        first = asyncio.create_task(room.wait(ID, None))
        await asyncio.sleep(10.0)
        await asyncio.gather(first, room.wait(ID, None))

    run(main())

    assert script.at == [0.0, 50.0]


# --- rule 5: unknown states, completed without a link ---


def test_a_log_that_raises_ends_no_wait(capsys: pytest.CaptureFixture[str]) -> None:
    """A handler's own trouble is shown, and the wait goes on."""

    class Broken(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            raise asyncio.CancelledError

    handler, logger = Broken(), logging.getLogger("luma_async")
    logger.addHandler(handler)
    try:
        outcome = wait_for(Script([Told("dozing"), COMPLETED]))
    finally:
        logger.removeHandler(handler)

    assert outcome.ok
    assert "--- Logging error ---" in capsys.readouterr().err


def test_unknown_states_keep_polling_and_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody's word means still running, and the log says so one time for each word."""
    script = Script([Told("dozing")] * 3 + [Told("stretching\x1b[2J")] * 2 + [COMPLETED])

    with caplog.at_level(logging.WARNING, "luma_async"):
        outcome = wait_for(script)

    assert outcome.ok
    assert outcome.polls == 6
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "'dozing'" in caplog.text
    assert "\x1b" not in caplog.text


def test_digits_in_an_unknown_state_are_one_warning_and_one_event(caplog: pytest.LogCaptureFixture) -> None:
    """A percentage goes on for an hour; each other word is reported."""
    words = [*(f"generating {n}%" for n in range(50)), "upscaling 1%", "upscaling 2%"]
    room, events = loops_of(Script([*map(Told, words), COMPLETED])), list[Event]()
    room.listeners.active.append(events.append)

    with caplog.at_level(logging.WARNING, "luma_async"):
        run(room.wait(ID, None))

    changes = [event.state_text for event in events if isinstance(event, StateChanged)]
    assert changes == ["generating 0%", "upscaling 1%", "completed"]
    assert len(caplog.records) == 2


def test_an_unknown_state_with_a_video_link_is_reported_each_minute(caplog: pytest.LogCaptureFixture) -> None:
    """It may be the end; without a link, or after another state, nothing is repeated."""
    room, events = (
        loops_of(Script([Told("dozing")] * 50 + [Told("wrapped up")] * 50 + [Told("dozing")] * 50)),
        list[Event](),
    )
    room.listeners.active.append(events.append)

    with caplog.at_level(logging.WARNING, "luma_async"):
        run(room.wait(ID, 1500.0))

    seen = [(event.before, event.state_text) for event in events if isinstance(event, StateChanged)]
    repeated = [words for words in seen if words[0] == words[1]]
    assert seen[:3] == [(None, "dozing"), ("dozing", "wrapped up"), ("wrapped up", "wrapped up")]
    assert set(repeated) == {("wrapped up", "wrapped up")}
    assert 5 <= len(repeated) <= 13
    assert sum("name the word in a Dialect" in record.getMessage() for record in caplog.records) == len(repeated)


def test_the_kinds_of_unknown_states_that_are_remembered_have_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    """The last warning says so."""
    words = ["x" * n for n in range(1, 200)]
    room = loops_of(Script([*map(Told, words), COMPLETED]))

    with caplog.at_level(logging.WARNING, "luma_async"):
        run(room.wait(ID, None))

    assert len(caplog.records) == 101
    assert "no further ones are reported" in caplog.records[-1].getMessage()


def test_many_waiters_that_reach_their_deadlines_share_the_last_generation() -> None:
    """It is structured once; the exceptions are each waiter's own."""
    errors = [error_of(outcome) for outcome in together(Script([PENDING]), *[20.0] * 50)]

    assert len({id(error) for error in errors}) == 50
    assert len({id(error.last) for error in errors if isinstance(error, WaitTimeoutError)}) == 1


@pytest.mark.parametrize(
    ("word", "state"),
    [("queued", State.PENDING), ("dreaming", State.PROCESSING), ("COMPLETED_PARTIALLY", State.UNKNOWN)],
)
def test_an_open_state_is_the_last_state_of_the_time_out(word: str, state: State) -> None:
    """It keeps the wait going, and the relay's own word is not lost at the deadline."""
    outcome = wait_for(Script([Told(word)]), 20.0)

    error = error_of(outcome)
    assert outcome.polls >= 2
    assert isinstance(error, WaitTimeoutError)
    assert error.last is not None
    assert (error.last.state_text, error.last.state) == (word, state)
    assert word in str(error)


@pytest.mark.parametrize(
    ("late", "link", "polls"), [(1, VIDEO, 2), (3, VIDEO, 4), (9, None, 4)], ids=["soon", "just in time", "never"]
)
def test_completed_without_a_link_is_polled_three_times_more(late: int, link: str | None, polls: int) -> None:
    """The link often comes a moment after the word; the wait does not go on forever for its sake."""
    outcome = wait_for(Script([Told("completed", link=None)] * late + [COMPLETED]))

    assert outcome.unwrap().video_url == link
    assert outcome.polls == polls


def test_completed_without_a_link_at_the_deadline_is_completed() -> None:
    """Waiting for the link must not turn a finished generation into a time-out."""
    outcome = wait_for(Script([Told("completed", link=None)]), 3.0)

    assert outcome.unwrap().state is State.COMPLETED


# --- rule 7: shared loops ---


def test_all_who_wait_for_one_id_share_one_loop() -> None:
    """Fifty waiters cost the looks of one, and each gets the same generation."""
    script = Script([PENDING, PROCESSING, COMPLETED])

    outcomes = together(script, *[None] * 50)

    assert len(script.at) == 3
    assert len({id(outcome.unwrap()) for outcome in outcomes}) == 1


@pytest.mark.parametrize(
    "told", [FAILED, bad(AuthenticationError, Verdict.FINAL), PENDING], ids=["failed", "final", "late"]
)
def test_each_waiter_gets_his_own_exception(told: Told | LumaError) -> None:
    """Two who raise the same object would write into each other's tracebacks."""
    one, two = together(Script([told]), 30.0, 30.0)

    assert type(one.error) is type(two.error) is not type(None)
    assert one.error is not two.error


def test_failed_is_an_error_that_carries_the_generation() -> None:
    """A failed generation is never a result."""
    error = error_of(wait_for(Script([PENDING, FAILED])))

    assert isinstance(error, GenerationFailedError)
    assert (error.generation.state, error.reason) == (State.FAILED, "moderated")


def test_one_cancelled_leaves_the_others_alone() -> None:
    """The loop goes on for the one who still waits."""
    script = Script([PENDING] * 4 + [COMPLETED])

    async def main() -> Outcome:
        room = loops_of(script)
        quitter, stayer = (asyncio.create_task(room.wait(ID, None)) for _ in range(2))
        await asyncio.sleep(3.0)
        quitter.cancel()
        outcome = await stayer
        assert quitter.cancelled()
        return outcome

    assert run(main()).ok


@pytest.mark.parametrize("takes", [0.0, 5.0], ids=["resting", "looking"])
def test_the_last_to_go_ends_the_loop(takes: float) -> None:
    """Nothing is asked any more when nobody waits, whether the loop was at rest or in a look."""
    script = Script([PENDING], takes=takes)

    async def main() -> None:
        waits = [asyncio.create_task(loops_of(script).wait(ID, None)) for _ in range(2)]
        await asyncio.sleep(3.0)
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        await asyncio.sleep(100.0)

    run(main())

    assert max(script.at) <= 3.0


@pytest.mark.parametrize("timeout", [None, 3.0], ids=["after its end", "after a time-out"])
def test_an_id_can_be_waited_for_again(timeout: float | None) -> None:
    """A loop that ended is forgotten, and the next wait polls anew and gets the generation."""
    script = Script([PENDING] * 3 + [COMPLETED])

    async def main() -> tuple[Outcome, Outcome]:
        room = loops_of(script)
        return await room.wait(ID, timeout), await room.wait(ID, None)

    first, second = run(main())

    assert first.ok if timeout is None else isinstance(first.error, WaitTimeoutError)
    assert second.ok
    assert len(script.at) == first.polls + second.polls


# --- rule 8 and closing ---


def test_closing_ends_every_wait_with_an_error() -> None:
    """Nobody hangs on a client that is gone."""

    async def main() -> list[Outcome]:
        room = loops_of(Script([PENDING], takes=1.0))
        waits = [asyncio.create_task(room.wait(task_id, None)) for task_id in ("a", "b", "b")]
        await asyncio.sleep(4.5)
        await room.aclose()
        return await asyncio.gather(*waits)

    outcomes = run(main())

    assert [type(outcome.error) for outcome in outcomes] == [ClientClosedError] * 3
    assert outcomes[1].error is not outcomes[2].error


def test_a_wait_at_rest_has_no_task_that_somebody_could_cancel() -> None:
    """Who cancels every task he finds ends the looks that are under way, and no wait between two looks."""
    script = Script([PENDING, COMPLETED])

    async def main() -> Outcome:
        wait = asyncio.create_task(loops_of(script).wait(ID, None))
        await asyncio.sleep(1.0)
        assert asyncio.all_tasks() == {asyncio.current_task(), wait}
        return await wait

    assert run(main()).ok


@pytest.mark.parametrize("step", range(40))
def test_cancelling_at_any_moment_leaves_nothing(step: int) -> None:
    """Wherever a wait is when it is cancelled, it ends at once, and run() finds no task left behind."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        wait = asyncio.create_task(loops_of(Script([PENDING, outage(), PENDING], takes=0.3)).wait(ID, 8.0))
        await asyncio.sleep(step * 0.21)
        before = loop.time()
        wait.cancel()
        await asyncio.wait([wait])
        assert loop.time() == before
        await asyncio.sleep(0)
        return wait.cancelled() or wait.done()

    assert run(main())


# --- rule 9 and strategies of the user's own ---


def attempts(state: RetryCallState) -> int:
    """Return tenacity's own count."""
    return state.attempt_number


def kept_in_statistics(state: RetryCallState) -> int:
    """Return one that a strategy keeps in its controller."""
    statistics = state.retry_object.statistics
    statistics["pauses"] = statistics.get("pauses", 0) + 1
    return int(statistics["pauses"])


@pytest.mark.parametrize("count", [attempts, kept_in_statistics])
def test_strategies_of_two_ids_do_not_mix(count: Callable[[RetryCallState], int]) -> None:
    """Each loop has a controller of its own: what is counted for one id does not count for another."""
    numbers: list[int] = []

    def counting(state: RetryCallState) -> float:
        numbers.append(count(state))
        return 3.0

    async def main() -> None:
        room = loops_of(Script([PENDING] * 4 + [COMPLETED]), own(counting), PollWait(own(counting)))
        await asyncio.gather(room.wait("a", None), room.wait("b", None))

    run(main())

    assert numbers == [1, 1, 2, 2]


def test_a_strategy_that_raises_reaches_everyone_who_waits() -> None:
    """A defect in a user's strategy is his own exception, not a wait without end."""

    def broken(_: RetryCallState) -> float:
        raise ZeroDivisionError

    async def main() -> tuple[object, object]:
        room = loops_of(Script([PENDING]), own(broken), PollWait(own(broken)))
        return await asyncio.gather(room.wait(ID, None), room.wait(ID, None), return_exceptions=True)

    assert [type(result) for result in run(main())] == [ZeroDivisionError, ZeroDivisionError]


def test_coroutines_are_awaited_to_their_end() -> None:
    """The virtual clock itself: an hour's sleep takes no time and moves the clock by an hour."""

    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    sleeping: Coroutine[Any, Any, float] = main()

    assert run(sleeping) == pytest.approx(3600)


def test_a_completed_generation_without_a_link_is_not_undone_by_later_trouble() -> None:
    """It is what the relay said last about the task, and no refusal takes it back."""
    outcome = wait_for(Script([Told("completed", link=None), GONE]))

    assert outcome.ok
    assert outcome.unwrap().state is State.COMPLETED
