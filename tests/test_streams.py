"""Outcomes and snapshots as they come, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from attrs import define, field

from luma_async._relay.tasks import LastAnswer, Observation, read_poll
from luma_async._streams import Outcomes, Snapshots
from luma_async._waiting.batching import Batcher
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.pending import PendingPoll, Poller
from luma_async._waiting.polls import PollLoops
from luma_async.errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    LumaError,
    NotFoundError,
    ServerError,
    Verdict,
    WaitTimeoutError,
)
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome
from luma_async.settings import PollPolicy
from tests.kit import answer
from tests.lookers import Looker
from tests.virtual_time import run


@define(eq=False)
class Relay(Looker):
    """Stands where the Batcher stands: task ``N-word`` says *word* after N seconds, and ``pending`` before."""

    polls: list[str] = field(factory=list)

    async def look(self, task_id: str, *, last_answer: LastAnswer | None, **__: object) -> Observation:
        """Answer at once."""
        self.polls.append(str(task_id))
        seconds, _, word = task_id.partition("-")
        if word == "gone":
            raise NotFoundError("gone", status=404)
        state = State(word.partition("-")[0]) if asyncio.get_running_loop().time() >= float(seconds) else State.PENDING
        return read_poll(
            answer({"id": task_id, "state": state.value, "url": "https://cdn.example/v"}), task_id, last_answer
        )


def room(relay: Relay | None = None) -> PollLoops:
    """Return a room that looks at *relay* every two seconds."""
    policy = PollPolicy(max_interval=2.0)
    return PollLoops(cast("Batcher", relay or Relay()), policy, PollWait(policy))


def outcomes_of(
    ids: Any, timeout: float | None = None, most: int | None = None, relay: Relay | None = None
) -> list[Outcome]:
    """Collect all outcomes."""

    async def main() -> list[Outcome]:
        async with Outcomes.of(room(relay), ids, timeout, None) as outcomes:
            return [outcome async for outcome in outcomes]

    return run(main())


def test_outcomes_come_in_the_order_of_their_ends() -> None:
    """The id that ends first is handed out first, whatever the order asked."""
    ids = ["9-completed", "1-completed", "5-failed"]

    outcomes = outcomes_of(ids)

    assert [outcome.task_id for outcome in outcomes] == ["1-completed", "5-failed", "9-completed"]
    assert isinstance(outcomes[1].error, GenerationFailedError)


def test_one_bad_id_never_raises() -> None:
    """An unknown, an impossible and a late id are outcomes with errors; the good one is not harmed."""
    outcomes = outcomes_of(["1-completed", "0-gone", "../x", "99-completed"], timeout=10.0)

    by_id = {outcome.task_id: type(outcome.error) for outcome in outcomes}
    assert by_id == {
        "1-completed": type(None),
        "0-gone": NotFoundError,
        "../x": ConfigurationError,
        "99-completed": WaitTimeoutError,
    }


def test_an_id_asked_for_twice_is_one_outcome() -> None:
    """Duplicates cost nothing and come once, good or bad, even after the first has ended."""

    async def ids() -> AsyncIterator[Any]:
        yield "1-completed"
        yield None
        await asyncio.sleep(20.0)
        yield "1-completed"
        yield None

    outcomes = outcomes_of(ids())

    assert [outcome.task_id for outcome in outcomes] == [None, "1-completed"]


@pytest.mark.usefixtures("small_heap")
def test_ids_of_a_stream_never_stand_in_memory_at_once() -> None:
    """Of two hundred ids, no more are alive than are waited for, and one that comes again is known all the same."""

    class Id(str):
        """An id whose life can be followed."""

        __slots__ = ("__weakref__",)

    born: list[weakref.ref[Id]] = []
    alive: list[int] = []

    async def ids() -> AsyncIterator[str]:
        for number in range(200):
            task_id = Id(f"{number % 150}-completed")
            born.append(weakref.ref(task_id))
            gc.collect()
            alive.append(sum(reference() is not None for reference in born))
            yield task_id

    async def main() -> int:
        async with Outcomes.of(room(), ids(), None, 8) as outcomes:
            return len([outcome.polls async for outcome in outcomes])

    assert run(main()) == 150
    assert max(alive) < 20


@pytest.mark.parametrize("room", [1, 2])
def test_a_strategy_that_raises_frees_its_place(room: int) -> None:
    """With few places the stream still ends, with what was raised."""

    def strategy(_: object) -> float:
        raise KeyError("no idea")

    async def main() -> None:
        policy = PollPolicy(wait=strategy)
        loops = PollLoops(cast("Batcher", Words(["pending"])), policy, PollWait(policy))
        async with Outcomes.of(loops, ["a", "b", "c", "d"], 5.0, room) as outcomes:
            assert [outcome async for outcome in outcomes] == []

    with pytest.raises(KeyError):
        run(main())


def test_an_id_that_ends_while_it_is_taken_up_ends_once() -> None:
    """As with an eager task factory and a relay that answers at once: its outcome comes, and the stream ends."""

    class AtOnce(Words):
        """Answers in the call."""

        def ask(self, poller: Poller, *, is_patient: bool = False) -> PendingPoll:  # noqa: ARG002
            pending = PendingPoll(poller)
            said = answer({"id": poller.task_id, "state": "completed", "url": "https://cdn.example/v"})
            pending.answer(read_poll(said, poller.task_id, None), 0.0)
            return pending

    async def main() -> list[bool]:
        loops = PollLoops(cast("Batcher", AtOnce([])), PollPolicy(), PollWait(PollPolicy()))
        async with Outcomes.of(loops, ["a", "b"], 5.0, None) as outcomes:
            return [outcome.ok async for outcome in outcomes]

    assert run(main()) == [True, True]


def test_no_ids_are_no_outcomes() -> None:
    """An empty list ends at once."""
    assert outcomes_of([]) == []


def test_timeout_counts_from_when_an_id_is_taken_up() -> None:
    """An id that comes late has its whole time."""

    async def ids() -> AsyncIterator[str]:
        yield "5-completed"
        await asyncio.sleep(100.0)
        yield "105-completed"

    outcomes = outcomes_of(ids(), timeout=10.0)

    assert [outcome.ok for outcome in outcomes] == [True, True]


def test_a_generator_is_pulled_only_as_fast_as_outcomes_are_taken() -> None:
    """With five in flight, a sixth id is taken from its source only when an outcome has been handed out."""
    pulled = 0

    def ids() -> Iterator[str]:
        nonlocal pulled
        for number in range(100):
            pulled += 1
            yield f"1-completed-{number}"

    async def main() -> list[int]:
        seen = []
        async with Outcomes.of(room(), ids(), None, 5) as outcomes:
            await asyncio.sleep(50.0)
            seen.append(pulled)
            async for _ in outcomes:
                seen.append(pulled)  # noqa: PERF401 - the count at each step
        return seen

    seen = run(main())

    assert seen[0] == 5
    assert len(seen) == 101
    assert all(count <= taken + 6 for taken, count in enumerate(seen))


def test_an_endless_source_is_bounded_without_being_told() -> None:
    """An iterator without max_in_flight does not fill the memory."""
    pulled = 0

    def ids() -> Iterator[str]:
        nonlocal pulled
        while True:
            pulled += 1
            yield f"1e9-pending-{pulled}"

    async def main() -> None:
        async with Outcomes.of(room(), ids(), None, None):
            await asyncio.sleep(1.0)

    run(main())

    assert pulled == 1000


async def cancelled() -> None:
    """Wait for a task that somebody has cancelled."""
    task = asyncio.create_task(asyncio.sleep(9.0))
    task.cancel()
    await task


async def in_a_group() -> None:
    """Break off for several reasons."""
    raise BaseExceptionGroup("several", [asyncio.CancelledError(), KeyError()])


async def exit_generator() -> None:
    """Break off as a generator that is closed."""
    raise GeneratorExit


BREAKS = {"CancelledError": cancelled, "BaseExceptionGroup": in_a_group, "GeneratorExit": exit_generator}


async def until_the_end(outcomes: Outcomes) -> tuple[list[str], BaseException | None, int]:
    """Return whose outcomes came, what came after them, and how many requests to cancel the consumer there were."""
    consumer = asyncio.current_task()
    assert consumer is not None
    seen = []
    try:
        async for outcome in outcomes:
            seen.append(outcome.task_id)  # noqa: PERF401 - what came before the error counts
    except BaseException as error:  # noqa: BLE001 - it must be no cancellation
        return seen, error, consumer.cancelling()
    return seen, None, consumer.cancelling()


@pytest.mark.parametrize("kind", BREAKS)
def test_a_source_that_breaks_off_is_no_quiet_end(kind: str) -> None:
    """All outcomes come, then an error of ours with the reason as its cause: nobody has cancelled the consumer."""

    async def ids() -> AsyncIterator[str]:
        yield "5-completed"
        yield "1-completed"
        await BREAKS[kind]()
        yield "2-completed"

    async def main() -> tuple[list[str], BaseException | None, int, list[Outcome]]:
        async with Outcomes.of(room(), ids(), None, None) as outcomes:
            return *await until_the_end(outcomes), [outcome async for outcome in outcomes]

    seen, error, cancelling, rest = run(main())

    assert seen == ["1-completed", "5-completed"]
    assert type(error) is LumaError
    assert error.summary == f"the source of task ids raised {kind}"
    assert type(error.__cause__).__name__ == kind
    assert (cancelling, rest) == (0, [])


async def one_and_no_more() -> AsyncIterator[str]:
    """Yield one id, and keep its taker waiting for the next."""
    yield "1-completed"
    await asyncio.sleep(1000.0)


def test_our_own_cancelling_is_no_error_of_the_source() -> None:
    """Who has left a block finds the end of it; who goes on when the client has closed is told that."""

    async def main() -> list[BaseException | None]:
        loops_of = room()
        left = Outcomes.of(loops_of, one_and_no_more(), None, None)
        async with left, Outcomes.of(loops_of, one_and_no_more(), None, None) as stays:
            await anext(left)
            await left.aclose()
            await loops_of.aclose()
            return [(await until_the_end(stream))[1] for stream in (left, stays)]

    left, stays = run(main())

    assert left is None
    assert isinstance(stays, ClientClosedError)


@pytest.mark.parametrize(
    "broken", [asyncio.CancelledError(), GeneratorExit(), BaseExceptionGroup("", [GeneratorExit()])]
)
def test_a_collection_that_breaks_off_is_no_quiet_end(broken: BaseException) -> None:
    """A plain iterator, too, may ask a future that was cancelled; it may do so at its very beginning."""

    class Ids:
        def __init__(self, most: int) -> None:
            self.left = most

        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            if not self.left:
                raise broken
            self.left -= 1
            return f"{self.left}-completed"

    async def main(most: int) -> tuple[list[str], BaseException | None, int]:
        async with Outcomes.of(room(), Ids(most), None, None) as outcomes:
            return await until_the_end(outcomes)

    for most in range(3):
        seen, error, _ = run(main(most))
        assert len(seen) == most
        assert type(error) is LumaError
        assert error.__cause__ is broken


def test_a_source_may_end_the_program() -> None:
    """From inside a group, too."""

    async def ids() -> AsyncIterator[str]:
        yield "1-completed"
        raise BaseExceptionGroup("several", [KeyError(), KeyboardInterrupt()])

    async def main() -> None:
        async with Outcomes.of(room(), ids(), None, None) as outcomes:
            await until_the_end(outcomes)

    with pytest.raises(KeyboardInterrupt):
        run(main())


def test_who_cancels_every_task_ends_no_stream_quietly() -> None:
    """The ids that were to come are missed."""

    async def main() -> tuple[list[str], BaseException | None, int]:
        async with Outcomes.of(room(), one_and_no_more(), None, None) as outcomes:
            consumer = asyncio.create_task(until_the_end(outcomes))
            await asyncio.sleep(10.0)
            for task in asyncio.all_tasks() - {asyncio.current_task(), consumer}:
                task.cancel()
            return await consumer

    seen, error, _ = run(main())

    assert seen == ["1-completed"]
    assert type(error) is LumaError


def test_leaving_early_stops_the_waiting() -> None:
    """After a break nothing is asked any more, and run() finds no task left."""
    relay = Relay()

    async def main() -> None:
        async with Outcomes.of(room(relay), ["1-completed", "50-completed", "60-completed"], None, None) as outcomes:
            async for _ in outcomes:
                break
        relay.polls.clear()
        await asyncio.sleep(100.0)

    run(main())

    assert relay.polls == []


def test_leaving_early_leaves_the_source_behind() -> None:
    """When the block has been left, nothing waits for the source's next id any more."""

    async def main() -> set[str]:
        async with Outcomes.of(room(), one_and_no_more(), None, None) as outcomes:
            await anext(outcomes)
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert "luma_async ids" not in run(main())


def test_an_exception_of_the_consumers_comes_out_and_stops_the_waiting() -> None:
    """What the body of the loop raises is not swallowed and leaves no task."""

    async def main() -> None:
        async with Outcomes.of(room(), ["1-completed", "50-completed"], None, None) as outcomes:
            async for _ in outcomes:
                raise KeyError

    async def guarded() -> bool:
        try:
            await main()
        except KeyError:
            return True
        return False

    assert run(guarded())


def test_after_the_end_there_is_only_the_end() -> None:
    """An exhausted stream stays exhausted, however often it is asked."""

    async def main() -> list[Outcome]:
        outcomes = Outcomes.of(room(), ["1-completed"], None, None)
        got = [outcome async for outcome in outcomes]
        return [*got, *[outcome async for outcome in outcomes]]

    assert len(run(main())) == 1


@pytest.mark.parametrize("step", range(25))
def test_cancelling_a_batch_at_any_moment_leaves_nothing(step: int) -> None:
    """Wherever a batch is when it is cancelled, no task is left."""

    async def batch() -> None:
        ids = (f"{number}-completed" for number in range(10))
        async with Outcomes.of(room(), ids, 7.0, 3) as outcomes:
            async for _ in outcomes:
                await asyncio.sleep(0.5)

    async def main() -> None:
        task = asyncio.create_task(batch())
        await asyncio.sleep(step * 0.37)
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()

    run(main())


# --- snapshots ---


@define(eq=False)
class Words(Looker):
    """Stands where the Batcher stands: says the next word each time; an error is raised."""

    words: list[str | LumaError]

    async def look(self, task_id: str, *, last_answer: LastAnswer | None, **__: object) -> Observation:
        """Answer at once."""
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        if isinstance(word, LumaError):
            raise word
        return read_poll(answer({"id": task_id, "state": word, "url": "https://cdn.example/v"}), task_id, last_answer)


@define(eq=False)
class Progressing(Looker):
    """Stands where the Batcher stands: says the next word and percentage each time."""

    answers: list[tuple[str, int | None]]

    async def look(self, task_id: str, *, last_answer: LastAnswer | None, **__: object) -> Observation:
        """Answer at once."""
        word, percent = self.answers.pop(0)
        body = {"id": task_id, "state": word, "progress": f"{percent}%", "url": "https://cdn.example/v"}
        return read_poll(answer(body), task_id, last_answer)


def watch(words: list[str | LumaError], timeout: float | None = None) -> list[str]:
    """Collect the words of all snapshots; an error at the end is the last entry's class."""
    policy = PollPolicy(max_interval=2.0)
    loops_of = PollLoops(cast("Batcher", Words(words)), policy, PollWait(policy))

    async def main() -> list[str]:
        seen = []
        snapshots = Snapshots(lambda end, change: loops_of.join("a", timeout, end, change))
        try:
            async with snapshots:
                async for snapshot in snapshots:
                    seen.append(snapshot.state_text)  # noqa: PERF401 - what came before an error counts
        except LumaError as error:
            seen.append(type(error).__name__)
        return seen

    return run(main())


@pytest.mark.parametrize(
    ("words", "timeout", "seen"),
    [
        (
            ["queued", "pending", "pending", "dreaming", "dreaming", "dreaming", "completed"],
            None,
            ["queued", "pending", "dreaming", "completed"],
        ),
        (["pending", "failed"], None, ["pending", "failed"]),
        (
            ["pending", ServerError("no", status=502, verdict=Verdict.PASSING), "pending", "completed"],
            None,
            ["pending", "completed"],
        ),
        (["pending", AuthenticationError("no", status=401)], None, ["pending", "AuthenticationError"]),
        (["pending", "processing"], 9.0, ["pending", "processing", "WaitTimeoutError"]),
    ],
    ids=["each change", "failed is no error", "a failed poll is no change", "final trouble is raised", "the deadline"],
)
def test_each_change_of_state_is_one_snapshot(
    words: list[str | LumaError], timeout: float | None, seen: list[str]
) -> None:
    """The terminal state comes last, and an error ends the snapshots after what was seen."""
    assert watch(words, timeout) == seen


def test_each_change_of_state_or_progress_is_one_update(caplog: pytest.LogCaptureFixture) -> None:
    """An update comes for each, the end included; what the callback raises is logged and ends nothing."""
    answers = [("pending", None), ("processing", 10), ("processing", 10), ("processing", 80), ("completed", 100)]
    policy = PollPolicy(max_interval=2.0)
    loops_of = PollLoops(cast("Batcher", Progressing(list(answers))), policy, PollWait(policy))
    seen: list[tuple[str, float | None]] = []

    def update(generation: Generation) -> None:
        seen.append((generation.state_text, generation.progress))
        raise asyncio.CancelledError

    outcome = run(loops_of.wait("a", None, update))

    assert outcome.ok
    assert seen == [("pending", None), ("processing", 0.1), ("processing", 0.8), ("completed", 1.0)]
    assert [record.message for record in caplog.records] == ["on_update raised an exception for Generation"] * 4


def test_leaving_a_watch_stops_the_looks() -> None:
    """One who has seen enough costs the relay nothing more, and run() finds no task left."""
    policy = PollPolicy(max_interval=2.0)
    relay = Relay()
    loops_of = PollLoops(cast("Batcher", relay), policy, PollWait(policy))

    async def main() -> None:
        async with Snapshots(lambda end, change: loops_of.join("99-completed", None, end, change)) as snapshots:
            await anext(snapshots)
        await asyncio.sleep(50.0)

    run(main())

    assert relay.polls == ["99-completed"]


def test_two_who_watch_the_same_task_both_see_everything() -> None:
    """He who joins later still gets the state as it is, as his first snapshot."""
    policy = PollPolicy(max_interval=2.0)
    words: list[str | LumaError] = ["pending", "pending", "processing", "processing", "processing", "completed"]
    loops_of = PollLoops(cast("Batcher", Words(words)), policy, PollWait(policy))

    async def follow(delay: float) -> list[str]:
        await asyncio.sleep(delay)
        snapshots = Snapshots(lambda end, change: loops_of.join("a", None, end, change))
        return [snapshot.state_text async for snapshot in snapshots]

    async def main() -> tuple[list[str], list[str]]:
        return await asyncio.gather(follow(0.0), follow(5.0))

    early, late = run(main())

    assert early == ["pending", "processing", "completed"]
    assert late == ["processing", "completed"]


def test_thousands_of_ready_outcomes_leave_others_their_turns() -> None:
    """Who only reads outcomes that are there gives way after each hundred."""

    async def main() -> int:
        stream = Outcomes.of(room(), [f"not an id {number}" for number in range(1000)], None, None)
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with stream:
            await asyncio.sleep(1.0)
            counting = asyncio.create_task(count_turns())
            outcomes = [outcome async for outcome in stream]
            counting.cancel()
        assert len(outcomes) == 1000
        return turns

    assert run(main()) >= 9
