"""Many due ids in one request: who goes with whom, and what an answer or a refusal means for each."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from math import log2
from typing import Any, cast

import pytest
from aiohttp import Payload
from aioresponses import CallbackResult, aioresponses
from attrs import define, field
from tenacity import RetryCallState, wait_fixed

from luma_async import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    Limits,
    LumaClient,
    LumaError,
    NotFoundError,
    Outcome,
    PollPolicy,
    ProtocolError,
    ServerError,
    State,
    WaitTimeoutError,
)
from luma_async._listeners import Listeners
from luma_async._network.cooldown import Cooldown
from luma_async._network.request import Request
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async._waiting.batching import Batcher
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.polls import PollLoops
from luma_async._waiting.turns import TurnShare
from luma_async.errors import Verdict
from luma_async.events import Event, StateChanged
from luma_async.settings import Batch, Settings
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay
from tests.kit import KEY, answer
from tests.quick import quick
from tests.raw_server import RawServer, http, task
from tests.virtual_time import now, run, stand_still

RELAY = "https://relay.example"
FAST = PollPolicy(
    min_interval=0.025, initial_interval=0.05, max_interval=0.1, max_consecutive_failures=3, max_outage=0.25
)
SPEED = 40.0
IDS = [f"task-{number}" for number in range(20)]


@pytest.fixture(params=[False, True], ids=["bare", "envelope"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedRelay]:
    """Run a relay that answers in either shape."""
    async with SimulatedRelay(speed=SPEED, envelope=request.param) as running:
        yield running


def client(relay: SimulatedRelay, batch: Batch = "auto", **limits: Any) -> LumaClient:
    """Return a client of *relay* that asks often."""
    return LumaClient(relay.base_url, relay.api_key, polling=FAST, batch=batch, limits=Limits(**limits))


def methods(relay: SimulatedRelay) -> Counter[str]:
    """Count the requests by method."""
    return Counter(request.method for request in relay.requests)


# --- against a relay that has the query ---


async def test_ids_that_are_due_together_share_a_request(relay: SimulatedRelay) -> None:
    """Two hundred ids wait with a tenth of the requests that they would need alone, each for its own result."""
    ids = [relay.add(script=Script.completes(pending=number % 20, processing=5.0)) for number in range(200)]

    async with client(relay) as luma:
        outcomes = await luma.wait_all(ids, timeout=20.0)

    polls = sum(outcome.polls for outcome in outcomes)
    assert [outcome.unwrap().id for outcome in outcomes] == ids
    assert len(relay.requests) < polls / 10
    assert methods(relay)["POST"] > 0


async def test_it_is_known_how_many_looks_share_a_request(relay: SimulatedRelay) -> None:
    """The mean of late: it grows with each full batch, and falls with each look alone."""
    ids = [relay.add(script=Script.completes(pending=0.0)) for _ in range(100)]

    async with client(relay) as luma:
        await luma.wait_all(ids)
        shared = luma._batcher.requests.polls_per_request
        await luma.get_generation(ids[0])

    assert shared > 1.5
    assert luma._batcher.requests.polls_per_request < shared


async def test_a_single_id_is_asked_alone(relay: SimulatedRelay) -> None:
    """Nobody needs a batch of one."""
    task_id = relay.add(script=Script.completes(pending=5.0))

    async with client(relay) as luma:
        await luma.wait_until_done(task_id)

    assert methods(relay)["POST"] == 0


async def test_who_is_missing_in_an_answer_is_asked_alone_from_then_on(relay: SimulatedRelay) -> None:
    """An unknown id is left out of a batch's answer, and its own three looks decide."""
    ids = [relay.add(script=Script.completes(pending=20.0)) for _ in range(10)]

    async with client(relay) as luma:
        *known, unknown = await luma.wait_all([*ids, "unknown"], timeout=20.0)

    asked_for = [request for request in relay.requests if "unknown" in request.task_ids]
    assert all(outcome.ok for outcome in known)
    assert isinstance(unknown.error, NotFoundError)
    assert [request.method for request in asked_for] == ["POST", "GET", "GET", "GET"]


async def test_of_an_id_that_nobody_wants_any_more_nothing_is_remembered(relay: SimulatedRelay) -> None:
    """Neither that the relay left it out of a single look's answer, nor that it did so after the last one had gone."""
    ids = [relay.add(script=Script.completes(pending=20.0)) for _ in range(3)]

    async with client(relay) as luma:
        *_, unknown = await luma.get_generations([*ids, "unknown"])
        after_a_look = len(luma._batcher.support._apart)
        relay.trouble(Fault.slow(0.1), on="batch")
        wait = asyncio.create_task(luma.wait_all([*ids, "unknown"]))
        await asyncio.sleep(0.05)
        wait.cancel()
        await asyncio.gather(*luma._batcher._batches)

        assert isinstance(unknown.error, NotFoundError)
        assert after_a_look == len(luma._batcher.support._apart) == 0
        assert luma._batcher.support._suspects == {}


async def test_no_match_at_all_is_an_answer(relay: SimulatedRelay) -> None:
    """Ids that no row of two answers is about are polled alone, each with its own result."""
    async with client(relay) as luma:
        outcomes = await luma.wait_all(["a", "b", "c"], timeout=20.0)

    assert [type(outcome.error) for outcome in outcomes] == [NotFoundError] * 3
    assert methods(relay)["POST"] == 2


async def test_failed_rows_are_failures(relay: SimulatedRelay) -> None:
    """A failed generation in a batch is that id's failure alone."""
    good = relay.add(script=Script.completes(pending=1.0))
    failing = relay.add(script=Script.fails(reason="moderated", after=1.0))

    async with client(relay) as luma:
        outcomes = await luma.wait_all([good, failing])

    assert outcomes[0].ok
    assert isinstance(outcomes[1].error, GenerationFailedError)
    assert outcomes[1].error.reason == "moderated"


async def test_a_row_is_structured_like_a_single_answer(relay: SimulatedRelay) -> None:
    """The same task gives the same generation, asked for alone or with others."""
    ids = [relay.add(script=Script.completes(pending=0.0)) for _ in range(2)]

    async with client(relay) as luma:
        alone = await luma.get_generation(ids[0])
        together = await luma.get_generations(ids)

    assert methods(relay)["POST"] == 1
    assert together[0].unwrap().state_text == alone.state_text
    assert together[0].unwrap().video_raw == alone.video_raw or alone.video_raw is not None
    assert together[0].unwrap().id == alone.id


async def test_batches_have_no_more_ids_than_allowed(relay: SimulatedRelay) -> None:
    """limits.batch_size holds for each request."""
    ids = [relay.add(script=Script.completes(pending=1.0)) for _ in range(50)]

    async with client(relay, batch_size=8) as luma:
        await luma.wait_all(ids)

    assert max(len(request.task_ids) for request in relay.requests) == 8


async def test_never_means_never(relay: SimulatedRelay) -> None:
    """With batch="never" each look is a request of its own."""
    ids = [relay.add(script=Script.completes(pending=1.0)) for _ in range(10)]

    async with client(relay, "never") as luma:
        await luma.wait_all(ids)

    assert methods(relay)["POST"] == 0


async def test_a_batchs_failure_is_one_passing_failure_for_its_ids(relay: SimulatedRelay) -> None:
    """One 502 on a batch ends no wait and costs one look of each."""
    ids = [relay.add(script=Script.completes(pending=20.0)) for _ in range(10)]

    async with client(relay) as luma:
        await luma.get_generations(ids)
        relay.trouble(Fault.bad_gateway(), on="batch")
        outcomes = await luma.wait_all(ids, timeout=20.0)

    assert all(outcome.ok for outcome in outcomes)


async def test_closing_ends_those_who_wait_for_a_batch(relay: SimulatedRelay) -> None:
    """A batch under way does not keep anybody from hearing that the client was closed."""
    ids = [relay.add(script=Script.completes(pending=1e6)) for _ in range(10)]
    relay.trouble(Fault.slow(60.0), times=None, on="batch")

    luma = client(relay)
    waiting = asyncio.create_task(luma.wait_all(ids))
    looking = asyncio.create_task(luma.get_generations(ids))
    await asyncio.sleep(0.2)
    await luma.aclose()

    assert {type(outcome.error).__name__ for outcome in [*await waiting, *await looking]} == {"ClientClosedError"}


# --- against relays that have not ---

NO_QUERY = {
    "404": http(404, {"error": {"message": "Invalid URL (POST /luma/tasks)"}}),
    "404 page": http(404, b"<html>404</html>", "Content-Type: text/html"),
    "405": http(405),
    "501": http(501),
    "a web page": http(200, b"<!doctype html><html>", "Content-Type: text/html"),
    "no rows": http(200, {"message": "hello"}),
    "a number": http(200, b"42"),
    "no JSON": http(200, b"hello"),
    "an error inside 200": http(200, {"code": 400, "message": "fail_to_fetch_task"}),
    "a redirect": http(302, b"", "Location: https://elsewhere.example/"),
}
REFUSED = {
    "400": http(400, {"message": "ids?"}),
    "403": http(403, {"message": "not for this key"}),
    "413": http(413),
    "422": http(422, {"detail": "ids"}),
}


def server_of(*batch_answers: bytes) -> RawServer:
    """Return a server that gives batches these answers, the last for ever, and completes who is asked for alone."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = server.heads[-1].decode()
        found = re.match(r"GET /luma/generations/(\S+) ", head)
        done = found and task(found[1], "completed", video={"url": "https://cdn.example/v.mp4"})
        writer.write(done or batch_answers[min(posts(server), len(batch_answers)) - 1])

    server = RawServer([answer])
    return server


def patient(server: RawServer, batch: Batch = "auto", policy: PollPolicy = FAST, **limits: Any) -> LumaClient:
    """Return a client of *server* that asks often."""
    return LumaClient(server.base_url, KEY, polling=policy, batch=batch, limits=Limits(**limits))


def posts(server: RawServer) -> int:
    """Count the batches."""
    return sum(1 for head in server.heads if head.startswith(b"POST"))


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in {**NO_QUERY, **REFUSED}.items()])
async def test_a_relay_without_the_query_is_recognised_once(answer: bytes) -> None:
    """The first batch shows it, or a few smaller ones; its ids are polled alone, and no wait fails because of it."""
    size = 100 if answer in REFUSED.values() else 5
    async with server_of(answer) as server, patient(server, batch_size=size) as luma:
        outcomes = await luma.wait_all(IDS)
        tried = posts(server)
        await luma.wait_all([f"later-{name}" for name in IDS])

    assert [outcome.unwrap().id for outcome in outcomes] == IDS
    assert tried <= 2 * log2(len(IDS)) + 3
    assert posts(server) == tried


async def test_a_relay_whose_batches_only_fail_is_asked_alone() -> None:
    """Batches stop after a few failures beside a good single poll, and no wait ends because of them."""
    async with server_of(http(500)) as server, LumaClient(server.base_url, KEY, polling=FAST) as luma:
        outcomes = await luma.wait_all(IDS, timeout=20.0)
        tried = posts(server)
        await luma.wait_all([f"later-{name}" for name in IDS])

    assert all(outcome.ok for outcome in outcomes)
    assert tried <= 2 * log2(len(IDS)) + 4
    assert posts(server) == tried


def rows(state: str) -> bytes:
    """Return a batch's answer in which all ids are in *state*."""
    return http(200, [{"id": name, "state": state, "video": {"url": "https://cdn.example/v.mp4"}} for name in IDS])


LATER_BAD = {"too large": http(200, b" " * 5000), "500": http(500), "half a JSON": http(200, b"[")}


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in LATER_BAD.items()])
async def test_batches_that_begin_to_fail_are_no_ids_fate(answer: bytes) -> None:
    """Where only batches fail, as from one sick task among them, the ids end up being asked for alone."""
    policy = PollPolicy(min_interval=0.05, initial_interval=0.05, max_interval=0.1, max_outage=2.0)

    async with (
        server_of(rows("pending"), answer, http(429), answer) as server,
        patient(server, policy=policy, max_answer_bytes=4000) as luma,
    ):
        outcomes = await luma.wait_all(IDS, timeout=20.0)

    assert all(outcome.ok for outcome in outcomes)


async def test_an_outage_that_ends_between_a_batch_and_a_look_is_not_held_against_batches() -> None:
    """One id went alone meanwhile and found all well; the others go on together."""
    together = PollPolicy(min_interval=0.05, initial_interval=0.05, max_interval=0.1, wait=wait_fixed(0.1))

    server = server_of(rows("pending"), http(500), http(500), rows("pending"), rows("completed"))
    async with server, patient(server, policy=together) as luma:
        outcomes = await luma.wait_all(IDS, timeout=20.0)

    assert all(outcome.ok for outcome in outcomes)
    assert len(server.heads) - posts(server) == 1


async def test_always_says_that_the_relay_has_no_query() -> None:
    """Who insists on batches hears why there are none, instead of being asked for one by one."""
    async with server_of(http(404)) as server, patient(server, batch="always") as luma:
        outcomes = await luma.wait_all(IDS)

    assert {type(outcome.error) for outcome in outcomes} == {ProtocolError}
    assert "no batch query" in str(outcomes[0].error)


async def test_a_wrong_key_is_final_for_all_ids_of_a_batch() -> None:
    """One single poll that is refused as well shows it; the other ids send no request."""
    refusal = http(401, {"error": {"message": "invalid token"}})
    async with RawServer([refusal]) as server, LumaClient(server.base_url, KEY, polling=FAST) as luma:
        outcomes = await luma.wait_all(IDS)

    assert {type(outcome.error) for outcome in outcomes} == {AuthenticationError}
    assert len({id(outcome.error) for outcome in outcomes}) == len(IDS)
    assert len(server.heads) == 2


ROWS: list[Any] = [
    {
        "id": 7,
        "task_id": "a",
        "status": "SUCCESS",
        "data": {"id": "inner", "state": "processing"},
        "url": "https://x/a",
    },
    None,
    "garbage",
    {"task_id": "b"},
    {"task_id": "stranger", "status": "SUCCESS"},
    {"id": "c", "state": "completed", "video": {"url": "https://x/c", "width": "wide"}},
]


async def test_one_bad_row_never_spoils_the_others() -> None:
    """Rows in any order, among garbage and strangers, are matched by their task ids; who has none is asked alone."""
    async with server_of(http(200, {"code": "success", "data": ROWS})) as server, patient(server) as luma:
        outcomes = await luma.wait_all(["c", "b", "a"])

    assert [outcome.unwrap().video_url for outcome in outcomes] == [
        "https://x/c",
        "https://cdn.example/v.mp4",
        "https://x/a",
    ]
    assert outcomes[0].unwrap().problems == ("video.width",)
    assert outcomes[0].unwrap().raw == ROWS[-1]


# --- who waits for whom, in virtual time ---


def waits(
    ids: dict[str, float], answers: Callable[[float], str], policy: PollPolicy
) -> tuple[list[Outcome], list[int]]:
    """Take each id up at its time, and wait; return outcomes and the number of ids in each request."""
    sizes: list[int] = []

    def batch(_: Any, data: Payload, **__: Any) -> CallbackResult:
        asked = json.loads(data.decode())["ids"]
        sizes.append(len(asked))
        word = answers(asyncio.get_running_loop().time())
        rows = [{"id": task_id, "state": word, "url": "https://x/v"} for task_id in asked]
        return CallbackResult(body=json.dumps(rows))

    def single(url: Any, **_: Any) -> CallbackResult:
        sizes.append(1)
        word = answers(asyncio.get_running_loop().time())
        return CallbackResult(payload={"id": url.path.rpartition("/")[2], "state": word, "url": "https://x/v"})

    async def one(luma: LumaClient, task_id: str, at: float) -> Outcome:
        await asyncio.sleep(at)
        return (await luma.wait_all([task_id], timeout=100.0))[0]

    async def main() -> list[Outcome]:
        async with LumaClient(RELAY, KEY, polling=policy) as luma:
            return await asyncio.gather(*(one(luma, task_id, at) for task_id, at in ids.items()))

    with aioresponses() as relay:
        relay.post(f"{RELAY}/luma/tasks", callback=batch, repeat=True)
        relay.get(re.compile(RELAY), callback=single, repeat=True)
        return run(main()), sizes


def test_first_polls_of_a_stream_of_ids_share_requests() -> None:
    """Forty new ids a second: once batches work, a first poll waits for others, and half a second at most."""
    policy = PollPolicy(min_interval=50.0, initial_interval=50.0, max_interval=50.0)
    ids = {"one": 0.0, "other": 0.0} | {f"task-{number}": 1.0 + number * 0.025 for number in range(400)}
    asked: list[float] = []

    def answered(at: float) -> str:
        asked.append(at)
        return "completed"

    outcomes, sizes = waits(ids, lambda at: "pending" if at < 0.1 else answered(at), policy)

    assert all(outcome.ok for outcome in outcomes)
    assert max(outcome.elapsed for outcome in outcomes if outcome.polls == 1) <= 0.51
    assert len(sizes) <= 0.15 * len(ids)


def test_a_first_poll_waits_for_nobody_where_nothing_else_is_awaited() -> None:
    """It goes at once."""
    policy = PollPolicy(min_interval=5.0, initial_interval=5.0, max_interval=5.0)

    outcomes, sizes = waits({"a": 0.0, "b": 0.0, "c": 20.0}, lambda at: "pending" if at < 1.0 else "completed", policy)

    assert sizes[0] == 2
    assert outcomes[2].elapsed == 0.0


def test_ids_taken_up_a_little_apart_find_together() -> None:
    """Ten ids that start within four tenths of a second share requests after the first round."""
    policy = PollPolicy(min_interval=5.0, initial_interval=5.0, max_interval=5.0)
    ids = {f"task-{number}": number * 0.04 for number in range(10)}

    outcomes, sizes = waits(ids, lambda at: "completed" if at > 30.0 else "pending", policy)

    assert all(outcome.ok for outcome in outcomes)
    assert max(sizes) >= 5
    assert len(sizes) < sum(outcome.polls for outcome in outcomes) / 2


def test_those_who_are_answered_together_stay_together() -> None:
    """They draw one jitter for all, and another one each time: a request stays full, and never comes like clockwork."""
    policy = PollPolicy(initial_interval=10.0, max_interval=10.0)
    asked: list[float] = []

    def answered(at: float) -> str:
        asked.append(at)
        return "completed" if at > 90.0 else "pending"

    outcomes, sizes = waits({f"task-{number}": 0.0 for number in range(50)}, answered, policy)

    assert all(outcome.ok for outcome in outcomes)
    assert set(sizes) == {50}
    assert len({round(later - before, 3) for before, later in pairwise(asked)}) > 3


def test_waiting_for_others_never_passes_a_deadline() -> None:
    """An id with little time left goes at once, alone if need be."""
    policy = PollPolicy(min_interval=5.0, initial_interval=5.0, max_interval=5.0)

    outcomes, _ = waits({"a": 0.0, "b": 0.3}, lambda _: "pending", policy)

    assert all(100.0 <= outcome.elapsed < 101.0 for outcome in outcomes)
    assert all(outcome.error is not None for outcome in outcomes)


@define(eq=False, slots=False)
class Wire:
    """Stands where the Transport stands: each request takes two seconds, and all tasks are pending."""

    settings: Settings = field(factory=lambda: Settings.load(RELAY, KEY, Limits(), environ={}))
    cooldown: Cooldown = field(factory=lambda: Cooldown(PollPolicy(), is_open=True))
    asked: list[tuple[list[str], float]] = field(factory=list)
    """The ids of each request, and when it would have been given up."""
    fails: bool = False
    """Whether each of them ends in a passing error instead."""

    queued: float = 0.0
    """Seconds until a request gets its slot."""
    state: str = "pending"

    async def exchange(self, request: Request, read: Callable[[Answer], Any], *, deadline: Callable[[], float]) -> Any:
        """Take note, and answer."""
        await asyncio.sleep(self.queued)
        ids = json.loads(request.body or b"{}").get("ids", [request.path.rpartition("/")[2]])
        self.asked.append((ids, deadline()))
        await asyncio.sleep(2.0)
        if self.fails:
            raise ServerError("down", status=502, verdict=Verdict.PASSING)
        if request.before_reading is not None:
            await request.before_reading()
        return read(answer([{"id": task_id, "state": self.state} for task_id in ids]))


def test_ends_of_many_ids_leave_others_their_turns() -> None:
    """Of the ids that batches tell the end of, a millisecond each, few end in one turn of the event loop."""
    ended = Counter[int]()

    async def main() -> None:
        loops = PollLoops(
            Batcher(cast("Transport", Wire(state="failed")), "always", TurnShare(now)), PollPolicy(), PollWait()
        )
        turn, all_ended = 0, asyncio.Event()

        def note_end(_: object) -> None:
            ended[turn] += 1
            stand_still(0.001)
            if ended.total() == 1:
                turns.set()
            if ended.total() == 400:
                all_ended.set()

        turns = asyncio.Event()
        for number in range(400):
            loops.join(f"task-{number}", None, note_end)
        await turns.wait()
        while not all_ended.is_set():
            turn += 1
            await asyncio.sleep(0)
        await loops.aclose()

    run(main())
    assert max(ended.values()) <= 5


def test_an_answer_waits_unread_until_the_one_before_is_handed_out() -> None:
    """Of four batches that are answered at once, each is read after all ids of the one before have ended."""
    steps: list[str] = []

    class Watched(Wire):
        async def exchange(
            self, request: Request, read: Callable[[Answer], Any], *, deadline: Callable[[], float]
        ) -> Any:
            def noted(answer: Answer) -> Any:
                steps.append("read")
                return read(answer)

            return await super().exchange(request, noted, deadline=deadline)

    async def main() -> None:
        loops = PollLoops(
            Batcher(cast("Transport", Watched(state="failed")), "always", TurnShare(now)), PollPolicy(), PollWait()
        )

        all_ended = asyncio.Event()

        def note_end(_: object) -> None:
            steps.append("ended")
            stand_still(0.001)
            if steps.count("ended") == 400:
                all_ended.set()

        for number in range(400):
            loops.join(f"task-{number}", None, note_end)
        await all_ended.wait()
        await loops.aclose()

    run(main())
    assert steps == ["read", *["ended"] * 100] * 4


def test_a_batch_is_given_up_at_the_latest_deadline_of_its_ids() -> None:
    """One with little time does not cut the look of those who share his request."""
    wire = Wire()

    async def main() -> None:
        batcher = Batcher(cast("Transport", wire), "always")
        await asyncio.gather(batcher.poll("a", deadline=50.0), batcher.poll("b", deadline=5.0))

    run(main())

    assert wire.asked == [(["a", "b"], 50.0)]


@pytest.mark.parametrize("batch", ["always", "never"])
def test_a_waiter_that_joins_while_a_poll_has_no_slot_yet_moves_its_deadline(batch: Batch) -> None:
    """The deadline of a poll is read when its request goes out."""
    wire = Wire(queued=3.0)

    async def main() -> None:
        loops = PollLoops(Batcher(cast("Transport", wire), batch), PollPolicy(), PollWait(PollPolicy()))
        loops.join("a", 5.0, lambda _: None)
        await asyncio.sleep(1.0)
        loops.join("a", 50.0, lambda _: None)
        await asyncio.sleep(3.0)
        await loops.aclose()

    run(main())

    assert wire.asked == [(["a"], 51.0)]


def test_who_has_left_before_his_batch_goes_is_not_asked_for() -> None:
    """An id that nobody waits for any more takes no place in a batch of others."""
    wire = Wire(Settings.load(RELAY, KEY, Limits(batch_size=2), environ={}))

    async def main() -> None:
        batcher = Batcher(cast("Transport", wire), "auto")
        polls = [asyncio.create_task(batcher.poll(task_id)) for task_id in "ab"]
        await asyncio.sleep(1.5)
        later = [asyncio.create_task(batcher.poll(task_id)) for task_id in "cde"]
        await asyncio.sleep(0.1)
        later[0].cancel()
        await asyncio.wait([*polls, *later])

    run(main())

    assert [ids for ids, _ in wire.asked] == [["a", "b"], ["d", "e"]]


def test_a_single_poll_that_is_not_wanted_any_more_ends_its_request() -> None:
    """It does not hold its slot until the relay answers."""

    async def main() -> int:
        batcher = Batcher(cast("Transport", Wire()), "never")
        poll = asyncio.create_task(batcher.poll("a"))
        await asyncio.sleep(0.5)
        poll.cancel()
        await asyncio.sleep(0.5)
        return len(batcher._singles)

    assert run(main()) == 0


@pytest.mark.parametrize("batch", ["always", "never"])
def test_a_look_that_somebody_cancels_ends_the_waits_for_it(batch: Batch) -> None:
    """Who cancels every task he finds must not leave others hanging; those who come later look again."""
    wire = Wire()

    async def main() -> list[Outcome]:
        batcher = Batcher(cast("Transport", wire), batch)
        room = PollLoops(batcher, PollPolicy(), PollWait(PollPolicy()))
        waits = [asyncio.create_task(room.wait(task_id, None)) for task_id in "ab"]
        await asyncio.sleep(1.0)
        for look in asyncio.all_tasks() - {asyncio.current_task(), *waits}:
            look.cancel()
        cancelled = await asyncio.gather(*waits)
        later = await room.wait("a", 8.0)
        await room.aclose()
        return [*cancelled, later]

    *cancelled, later = run(main())

    assert {type(outcome.error) for outcome in cancelled} == {ClientClosedError}
    assert isinstance(later.error, WaitTimeoutError)
    assert later.polls > 1


_OURS = ServerError("mine", status=500, verdict=Verdict.PASSING)
_IN_A_GROUP = BaseExceptionGroup("", [GeneratorExit()])
_NO_CANCELLATION = (asyncio.CancelledError(), GeneratorExit(), StopIteration(), _IN_A_GROUP)


@pytest.mark.parametrize("raised", [ZeroDivisionError(), _OURS, *_NO_CANCELLATION], ids=repr)
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "failing"])
@pytest.mark.parametrize("batch", ["always", "never"])
def test_what_a_strategy_raises_at_one_id_ends_only_that_wait(
    batch: Batch, *, fails: bool, raised: BaseException
) -> None:
    """With that exception, or as the cause of an error of ours where it would look like a cancellation."""

    def strategy(retry_state: RetryCallState) -> float:
        wheels.setdefault(retry_state.retry_object)
        if retry_state.attempt_number == 2 and retry_state.retry_object is next(iter(wheels)):
            raise raised
        return 3.0

    wheels: dict[object, None] = {}
    policy = PollPolicy(wait=strategy)

    async def main() -> list[Outcome | BaseException]:
        room = PollLoops(Batcher(cast("Transport", Wire(fails=fails)), batch), policy, PollWait(policy))
        waits = await asyncio.gather(*(room.wait(task_id, 20.0) for task_id in "abc"), return_exceptions=True)
        await room.aclose()
        return waits

    broken, *others = run(main())

    if raised in _NO_CANCELLATION:
        assert isinstance(broken, LumaError)
        assert broken.summary == f"PollPolicy(wait=...) raised {type(raised).__name__}"
        assert broken.__cause__ is raised
    else:
        assert broken is raised
    assert [type(other.error) for other in others if isinstance(other, Outcome)] == [WaitTimeoutError] * 2


@pytest.mark.parametrize("batch", ["always", "never"])
def test_what_a_listener_raises_at_one_id_harms_no_wait(batch: Batch) -> None:
    """Neither the wait for that id nor the others that share its request."""

    def listen(event: Event) -> None:
        if getattr(event, "task_id", None) == "b":
            raise asyncio.CancelledError

    async def main() -> list[Outcome]:
        batcher, listeners = Batcher(cast("Transport", Wire()), batch), Listeners([listen])
        room = PollLoops(batcher, PollPolicy(), PollWait(PollPolicy()), listeners=listeners)
        waits = await asyncio.gather(*(room.wait(task_id, 20.0) for task_id in "abc"))
        await room.aclose()
        return waits

    assert [type(outcome.error) for outcome in run(main())] == [WaitTimeoutError] * 3


@pytest.mark.parametrize("batch", ["always", "never"])
def test_a_listener_that_ends_the_program_ends_the_event_loop(batch: Batch) -> None:
    """From inside a group, too, and whoever shares the request."""

    def listen(event: Event) -> None:
        if isinstance(event, StateChanged):
            raise BaseExceptionGroup("several", [KeyError(), KeyboardInterrupt()])

    async def main() -> None:
        batcher, listeners = Batcher(cast("Transport", Wire()), batch), Listeners([listen])
        room = PollLoops(batcher, PollPolicy(), PollWait(PollPolicy()), listeners=listeners)
        await asyncio.gather(*(room.wait(task_id, 20.0) for task_id in "abc"))

    with pytest.raises(KeyboardInterrupt):
        run(main())


@pytest.mark.parametrize("batch", ["always", "never"])
def test_a_defect_of_the_request_reaches_all_who_wait_for_it(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hangs, and it comes out as what it is."""

    async def exchange(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    async def main() -> list[Outcome | BaseException]:
        wire = Wire()
        monkeypatch.setattr(wire, "exchange", exchange)
        room = PollLoops(Batcher(cast("Transport", wire), batch), PollPolicy(), PollWait(PollPolicy()))
        waits = await asyncio.gather(*(room.wait(task_id, None) for task_id in "ab"), return_exceptions=True)
        await room.aclose()
        return waits

    assert [type(end) for end in run(main())] == [ZeroDivisionError] * 2


def test_batch_sizes_are_checked() -> None:
    """A batch of no ids is no batch."""
    with pytest.raises(ConfigurationError, match="batch_size"):
        Limits(batch_size=0)


def test_states_of_rows_are_read_like_all_states() -> None:
    """Unknown words in a batch keep the waits going."""
    policy = PollPolicy(min_interval=5.0, initial_interval=5.0, max_interval=5.0)

    outcomes, _ = waits({"a": 0.0, "b": 0.0}, lambda at: "completed" if at > 20.0 else "dozing", policy)

    assert {outcome.unwrap().state for outcome in outcomes} == {State.COMPLETED}


async def test_trouble_of_batches_without_end_is_the_relays() -> None:
    """When batch and single looks both fail for ever, the ids end with the relay's error."""
    async with RawServer([http(502)]) as server, LumaClient(server.base_url, KEY, polling=FAST) as luma:
        outcomes = await luma.wait_all(["a", "b"], timeout=20.0)

    assert {type(outcome.error) for outcome in outcomes} == {ServerError}


GLITCHES = {
    "an empty list": Fault.http(200, b'{"code": "success", "message": "", "data": []}'),
    "bad gateway": Fault.http(502, b""),
    "no such path": Fault.http(405, b""),
    "a web page": Fault.http(200, b"<html>deploying</html>", {"Content-Type": "text/html"}),
    "unauthorized": Fault.http(401, b'{"message": "no"}'),
    "refused": Fault.http(400, b'{"message": "no"}'),
    "hung up": Fault.lost_answer(),
}


@pytest.mark.parametrize("glitch", quick(GLITCHES.values(), 3, ids=GLITCHES))
async def test_a_glitch_of_batches_is_forgotten(glitch: Fault, luma_time: FastTime, luma_relay: SimulatedRelay) -> None:
    """Five batches are answered so, and single polls work; a minute later ids share requests again."""
    ids = [luma_relay.add(script=Script.completes(pending=30, processing=300)) for _ in range(60)]

    async with LumaClient(luma_relay.base_url, luma_relay.api_key) as luma:
        waiting = asyncio.create_task(luma.wait_all(ids))
        await asyncio.sleep(30)
        luma_relay.trouble(glitch, times=5, on="batch")
        await asyncio.sleep(60)
        before = len(luma_relay.requests)
        outcomes = await waiting

    later = luma_relay.requests[before:]
    assert all(outcome.ok for outcome in outcomes)
    assert luma_time.elapsed < 600
    assert len(later) <= sum(len(request.task_ids) for request in later) / 10
