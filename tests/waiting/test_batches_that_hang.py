"""An id whose rows a relay never writes makes each batch with it hang: what that costs the ids beside it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from math import log2
from typing import Any, cast

import pytest
from attrs import define, field

from luma_async._network.cooldown import Cooldown
from luma_async._network.request import Request
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async._relay.tasks import LastAnswer, TaskAnswer
from luma_async._waiting.batch_size import BatchTime
from luma_async._waiting.batch_support import BatchSupport, Remedy
from luma_async._waiting.batching import Batcher
from luma_async._waiting.pending import Poller
from luma_async.errors import LumaError, RequestTimeoutError, ServerError, Verdict
from luma_async.settings import Batch, Limits, PollPolicy, Settings
from tests.kit import answer
from tests.virtual_time import run

HANG = RequestTimeoutError("did not answer in time", verdict=Verdict.PASSING)
IDS = [str(number) for number in range(100)]
QUICK = 0.1


@define(eq=False)
class Asks(Poller):
    """Wants one poll, and notes when it has a result."""

    result: str = ""
    at: float = math.inf

    def deadline(self) -> float:
        """None."""
        return math.inf

    def on_answer(self, _: LastAnswer, __: TaskAnswer | None, at: float, /) -> None:
        """Note it."""
        self.result, self.at = "answer", at

    def on_error(self, _: LumaError) -> None:
        """Note it."""
        self.result, self.at = "error", asyncio.get_running_loop().time()

    def on_defect(self, defect: BaseException) -> None:
        """There is none."""
        raise defect


@define(eq=False, slots=False)
class Hanging:
    """Stands where the Transport stands: a request with one of the *bad* ids is never answered."""

    bad: frozenset[str]
    in_batches_only: bool = False
    """Whether single polls of these ids are answered."""
    is_down: bool = False
    panics: frozenset[str] = frozenset()
    """A request with one of these ids, and none that hangs, is answered by an error."""
    settings: Settings = field(
        factory=lambda: Settings.load("https://r.example", "sk-0123456789", Limits(), environ={})
    )
    cooldown: Cooldown = field(factory=lambda: Cooldown(PollPolicy(), is_open=True))
    asked: list[tuple[str, list[str]]] = field(factory=list)

    async def exchange(self, request: Request, read: Callable[[Answer], Any], *, deadline: Callable[[], float]) -> Any:
        """Answer after a tenth of a second, or never."""
        clock = asyncio.get_running_loop()
        now = request.admitted_at = clock.time()
        ids = json.loads(request.body or b"{}").get("ids", [request.path.rpartition("/")[2]])
        self.asked.append((request.method, ids))
        spares = self.in_batches_only and request.method == "GET"
        if self.is_down or (self.bad & {*ids} and not spares):
            await asyncio.sleep(min(deadline(), now + self.settings.limits.request_timeout) - now)
            raise RequestTimeoutError("did not answer in time", verdict=Verdict.PASSING)
        await asyncio.sleep(QUICK)
        if self.panics & {*ids}:
            raise ServerError("panic", status=500, verdict=Verdict.PASSING)
        request.answered_at = clock.time()
        found = [{"id": task_id, "state": "pending"} for task_id in ids]
        return read(answer(found if request.method == "POST" else found[0]))


def polled(relay: Hanging, batches: list[list[str]], mode: Batch = "auto") -> dict[str, Asks]:
    """Poll these batches at the same time, with a relay that has answered others before."""
    pollers = {task_id: Asks(task_id) for batch in batches for task_id in batch}

    async def main() -> None:
        batcher = Batcher(cast("Transport", relay), mode)
        batcher.support.answered(["another", "one"], QUICK, 0.0)
        await asyncio.sleep(1.0)
        for batch in batches:
            for task_id in batch:
                batcher.ask(pollers[task_id])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(20.0)
        await batcher.aclose()

    run(main())
    return pollers


@pytest.mark.parametrize("bad", ["0", "42", "99"])
def test_the_ids_beside_one_that_hangs_get_their_answers_within_seconds(bad: str) -> None:
    """The batch is given up after a quarter of ``request_timeout``; most ids come with the first parts of it."""
    relay = Hanging(frozenset({bad}))

    pollers = polled(relay, [IDS])

    after = sorted(poller.at - 1.0 for task_id, poller in pollers.items() if task_id != bad)
    assert after[len(after) // 2] <= 7.5 + QUICK
    assert after[-1] <= 7.5 + 4 * 1.0 + QUICK
    assert len(relay.asked) - 1 <= 2 * log2(100) + 2


def test_several_ids_that_hang_cost_no_more_time_than_one() -> None:
    """The parts go at the same time, so that none waits for one that hangs."""
    bad = frozenset({"3", "41", "77", "78", "90"})

    pollers = polled(Hanging(bad), [IDS])

    assert max(poller.at for task_id, poller in pollers.items() if task_id not in bad) <= 1.0 + 7.5 + 4 * 1.0 + QUICK


def test_batches_that_hang_at_the_same_time_end_in_no_error() -> None:
    """The first one's parts show that the relay works, and the others wait for that."""
    ids = [f"task-{number}" for number in range(300)]
    bad = frozenset({"task-50", "task-150", "task-250"})
    relay = Hanging(bad, in_batches_only=True)

    pollers = polled(relay, [ids[:100], ids[100:200], ids[200:]])

    assert {poller.result for poller in pollers.values()} == {"answer"}
    assert sum(method == "GET" for method, _ in relay.asked) == len(bad)


def test_a_part_with_other_trouble_is_not_split_further() -> None:
    """At a relay in trouble, four parts of each part would be more and more requests: its ids are polled again."""
    relay = Hanging(frozenset({"0"}), panics=frozenset({"1"}))

    pollers = polled(relay, [IDS])

    assert [len(asked) for _, asked in relay.asked if "1" in asked] == [100, 25]
    assert {task_id for task_id, poller in pollers.items() if poller.result == "error"} == {"0", *IDS[1::4]}


def test_where_each_part_has_an_id_that_hangs_a_single_poll_shows_that_the_relay_works() -> None:
    """Then the search goes on."""
    bad = frozenset({"0", "1", "2", "3"})

    pollers = polled(Hanging(bad, in_batches_only=True), [IDS])

    assert {poller.result for poller in pollers.values()} == {"answer"}


def test_a_relay_that_is_down_gets_one_search() -> None:
    """All ids get the error, after four parts and one single poll."""
    ids = [f"task-{number}" for number in range(300)]
    relay = Hanging(frozenset(), is_down=True)

    pollers = polled(relay, [ids[:100], ids[100:200], ids[200:]])

    assert {poller.result for poller in pollers.values()} == {"error"}
    assert [len(asked) for _, asked in relay.asked] == [100, 100, 100, 25, 25, 25, 25, 1]


@pytest.mark.parametrize(("relay_works", "mode", "count", "remedy"), [
    (True, "auto", 100, Remedy.SPLIT),
    (True, "always", 100, Remedy.SPLIT),
    (False, "auto", 100, Remedy.SPLIT),
    (False, "auto", 2, Remedy.SPLIT),
    (False, "auto", 1, Remedy.REFUSE),
    (False, "always", 100, Remedy.REFUSE),
])  # fmt: skip
def test_what_the_first_batch_that_hangs_means(*, relay_works: bool, mode: Batch, count: int, remedy: Remedy) -> None:
    """Its parts show whether the relay works at all, if no answer to others has."""
    support = BatchSupport(mode)
    support.answered(["another", "one"], QUICK, 0.0)

    assert support.failed(HANG, IDS[:count], 1.0, relay_works=relay_works) is remedy


def test_a_batch_is_given_up_early_only_where_others_are_quick() -> None:
    """Neither before one was answered, nor after a failure: then the relay itself may have become slow."""
    support = BatchSupport("auto")
    at_first = support.patience(30.0)
    support.answered(["a", "b"], QUICK, 0.0)
    where_others_are_quick = support.patience(30.0)
    support.failed(HANG, ["a", "b"], 1.0)
    after_a_failure = support.patience(30.0)
    support.answered(["a", "b"], 6.0, 2.0)

    assert (at_first, where_others_are_quick, after_a_failure) == (math.inf, 7.5, math.inf)
    assert support.patience(30.0) == pytest.approx(12.8)


@pytest.mark.parametrize(("usual", "longest", "whole", "part"), [
    (0.0, 30.0, math.inf, 7.5),
    (0.1, 30.0, 7.5, 1.0),
    (0.1, 2.0, 1.0, 1.0),
    (2.0, 30.0, 20.0, 6.0),
])  # fmt: skip
def test_the_time_for_a_batch_and_for_a_part_of_it(usual: float, longest: float, whole: float, part: float) -> None:
    """A multiple of the usual time, and never less than a second."""
    times = BatchTime(usual)

    assert (times.patience(longest), times.patience_for_a_part(longest)) == (whole, part)


def test_an_id_that_made_batches_hang_is_tried_again_in_a_batch_of_its_own() -> None:
    """There it can harm nobody; if that fails, it is polled alone, and its next trial is later."""
    relay = Hanging(frozenset({"bad"}), in_batches_only=True)
    support_after: list[bool] = []

    async def main() -> None:
        batcher = Batcher(cast("Transport", relay), "auto")
        clock = asyncio.get_running_loop()
        batcher.support.failed(HANG, ["bad"], 0.0)
        batcher.support._spoils("bad", 0.0)
        batcher.support.answered(["another"], QUICK, 0.0)
        batcher.support.answered_alone("bad", 0.0)
        await asyncio.sleep(61.0)
        for task_id in ("bad", "good", "better"):
            batcher.ask(Asks(task_id))
        await asyncio.sleep(40.0)
        support_after.append(batcher.support.takes("bad", clock.time() + 60.0))
        support_after.append(batcher.support.takes("bad", clock.time() + 120.0))
        await batcher.aclose()

    run(main())
    assert sorted(relay.asked) == [("GET", ["bad"]), ("POST", ["bad"]), ("POST", ["good", "better"])]
    assert support_after == [False, True]
