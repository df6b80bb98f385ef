"""LumaClient as its users see it, against the simulated relay."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable
from random import Random
from typing import Any, cast

import aiohttp
import pytest

from luma_async import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Generation,
    GenerationFailedError,
    LumaClient,
    LumaError,
    NotFoundError,
    Outcome,
    PollPolicy,
    ServerError,
    State,
    WaitTimeoutError,
)
from luma_async.testing import Fault, Script, SimulatedRelay
from tests import loops
from tests.kit import KEY

FAST = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.1)
SPEED = 20.0
SHORT = Script.completes(pending=1.0, processing=1.0)


@pytest.fixture
async def relay() -> AsyncIterator[SimulatedRelay]:
    """Run a relay in the test's own loop, twenty times faster than life."""
    async with SimulatedRelay(speed=SPEED) as running:
        yield running


@pytest.fixture
async def luma(relay: SimulatedRelay) -> AsyncIterator[LumaClient]:
    """Make a client that asks often."""
    async with LumaClient(relay.base_url, relay.api_key, polling=FAST) as client:
        yield client


# --- one id ---


async def test_waits_through_pending_processing_and_unknown_states(relay: SimulatedRelay, luma: LumaClient) -> None:
    """However many words nobody knows come between, the wait ends with the completed generation."""
    words = [
        ("pending", 0.5),
        ("dreaming", 0.5),
        *((f"stage {number}", 0.5) for number in range(5)),
        ("processing", 0.5),
    ]
    task_id = relay.add(script=Script.of(*words, "completed"))

    generation = await luma.wait_until_done(task_id)

    assert (generation.id, generation.state) == (task_id, State.COMPLETED)
    assert generation.video_url is not None
    assert generation.video_url.endswith(".mp4") or ".mp4?" in generation.video_url


async def test_failed_is_raised_with_the_generation(relay: SimulatedRelay, luma: LumaClient) -> None:
    """The error carries the structured answer and its reason."""
    task_id = relay.add(script=Script.fails(reason="the prompt was moderated", after=1.0))

    with pytest.raises(GenerationFailedError, match="the prompt was moderated") as caught:
        await luma.wait_until_done(task_id)

    assert caught.value.generation.state is State.FAILED
    assert caught.value.generation.failure_reason == "the prompt was moderated"


async def test_failed_is_returned_where_that_is_wanted(relay: SimulatedRelay, luma: LumaClient) -> None:
    """With raise_on_failure=False, failed is a result like any other."""
    task_id = relay.add(script=Script.fails(reason="moderated", after=1.0))

    generation = await luma.wait_until_done(task_id, raise_on_failure=False)

    assert (generation.state, generation.failure_reason) == (State.FAILED, "moderated")


async def test_an_outcome_raises_nothing_for_its_id(relay: SimulatedRelay, luma: LumaClient) -> None:
    """A good, failed, unknown, slow and impossible id each give an outcome, under the id as it was asked."""
    good, failed = relay.add(script=SHORT), relay.add(script=Script.fails(after=0.0))
    slow = relay.add(script=Script.completes(pending=1e6))

    outcomes = await asyncio.gather(*(luma.outcome(task_id) for task_id in (good, failed, "lost", "a/b")))
    late = await luma.outcome(slow, timeout=0.1)

    kinds = [type(outcome.error) for outcome in (*outcomes, late)]
    assert kinds == [type(None), GenerationFailedError, NotFoundError, ConfigurationError, WaitTimeoutError]
    assert [outcome.task_id for outcome in (*outcomes, late)] == [good, failed, "lost", "a/b", slow]
    assert outcomes[0].ok


async def test_an_error_of_ours_has_no_frames_of_tenacity(relay: SimulatedRelay, luma: LumaClient) -> None:
    """Its traceback shows the caller and this library, after a wait and after a call that was repeated."""
    relay.trouble(Fault.bad_gateway(), times=None, task_id="down")
    errors = [await _error_of(luma.get_generation("down")), await _error_of(luma.wait_until_done("lost"))]

    printed = "".join("".join(traceback.format_exception(error)) for error in errors)

    assert [type(error) for error in errors] == [ServerError, NotFoundError]
    assert "test_client.py" in printed
    assert "tenacity" not in printed


async def _error_of(call: Awaitable[object]) -> LumaError:
    with pytest.raises(LumaError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("callback", [5, "print", asyncio.sleep])
async def test_a_callback_that_cannot_be_called_is_refused(
    relay: SimulatedRelay, luma: LumaClient, callback: Any
) -> None:
    """An on_update that nobody would await is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="on_update"):
        await luma.wait_until_done("a", on_update=callback)

    assert relay.requests == []


async def test_one_look_takes_any_state(relay: SimulatedRelay, luma: LumaClient) -> None:
    """get_generation does not wait, and failed is an answer."""
    waiting, failed = relay.add(script=Script.completes(pending=1e6)), relay.add(script=Script.fails(after=0.0))

    first, second = await luma.get_generation(waiting), await luma.get_generation(failed)

    assert (first.state, second.state) == (State.PENDING, State.FAILED)


async def test_an_envelope_is_unwrapped() -> None:
    """A relay that wraps its answers in rows gives the same generation, and the whole answer stays reachable."""
    async with SimulatedRelay(speed=SPEED, envelope=True) as relay:
        task_id = relay.add(script=SHORT)
        async with LumaClient(relay.base_url, relay.api_key, polling=FAST) as luma:
            generation = await luma.wait_until_done(task_id)

    assert (generation.id, generation.state, generation.state_text) == (task_id, State.COMPLETED, "SUCCESS")
    assert generation.raw["data"]["task_id"] == task_id


# --- many ids ---


async def test_a_thousand_ids_are_a_thousand_outcomes() -> None:
    """Among a thousand ids every twentieth fails or is unknown; each comes once, under its own id, as what it is."""
    chance = Random(7)  # noqa: S311 - a repeatable shuffle
    policy = PollPolicy(min_interval=0.2, initial_interval=0.5, max_interval=1.0)
    async with SimulatedRelay(speed=SPEED) as relay:
        good = [relay.add(script=Script.completes(pending=chance.uniform(0, 20))) for _ in range(950)]
        failing = [relay.add(script=Script.fails(after=chance.uniform(0, 20))) for _ in range(25)]
        unknown = [f"unknown-{number}" for number in range(25)]
        ids = chance.sample([*good, *failing, *unknown], 1000)
        client = LumaClient(relay.base_url, relay.api_key, polling=policy)
        async with client, client.as_completed(ids, timeout=60.0) as stream:
            outcomes: list[Outcome] = [outcome async for outcome in stream]

    kinds = {outcome.task_id: type(outcome.error) for outcome in outcomes}
    assert len(outcomes) == len(kinds) == 1000
    assert all(outcome.unwrap().id == outcome.task_id for outcome in outcomes if outcome.ok)
    assert {task_id for task_id, kind in kinds.items() if kind is type(None)} == set(good)
    assert {task_id for task_id, kind in kinds.items() if kind is GenerationFailedError} == set(failing)
    assert {task_id for task_id, kind in kinds.items() if kind is NotFoundError} == set(unknown)


async def test_a_queue_of_ids_is_waited_for(relay: SimulatedRelay, luma: LumaClient) -> None:
    """An async iterable feeds the waiting while outcomes are taken."""

    async def submitted() -> AsyncIterator[str]:
        for _ in range(5):
            yield relay.add(script=SHORT)
            await asyncio.sleep(0.01)

    async with luma.as_completed(submitted(), max_in_flight=2) as outcomes:
        done = [outcome.ok async for outcome in outcomes]

    assert done == [True] * 5


async def test_a_wrong_key_is_every_ids_error(relay: SimulatedRelay) -> None:
    """Each id says that the key is wrong, after one request."""
    task_id = relay.add(script=SHORT)

    async with LumaClient(relay.base_url, KEY, polling=FAST) as luma:
        outcomes = await luma.wait_all([task_id])

    assert [type(outcome.error) for outcome in outcomes] == [AuthenticationError]
    assert len(relay.requests) == 1


# --- bad input ---


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
async def test_impossible_timeouts_are_refused(luma: LumaClient, relay: SimulatedRelay, seconds: Any) -> None:
    """A timeout that is no time is refused before anything is sent, by each call that takes one."""
    with pytest.raises(ConfigurationError, match="timeout"):
        await luma.wait_until_done("a", timeout=seconds)
    with pytest.raises(ConfigurationError, match="timeout"):
        await luma.outcome("a", timeout=seconds)
    with pytest.raises(ConfigurationError, match="timeout"):
        await luma.wait_all(["a"], timeout=seconds)
    with pytest.raises(ConfigurationError, match="timeout"):
        luma.as_completed(["a"], timeout=seconds)
    with pytest.raises(ConfigurationError, match="timeout"):
        luma.watch("a", timeout=seconds)

    assert relay.requests == []


async def test_lists_refuse_what_only_streams_can_take(luma: LumaClient) -> None:
    """An async iterable has no order asked, so the lists name the call that takes it."""

    async def ids() -> AsyncIterator[str]:
        yield "a"

    with pytest.raises(ConfigurationError, match="as_completed"):
        await luma.wait_all(cast("Any", ids()))


@pytest.mark.parametrize("max_in_flight", [0, -1, 1.5, True])
async def test_impossible_bounds_are_refused(luma: LumaClient, max_in_flight: Any) -> None:
    """Nothing could ever be in flight."""
    with pytest.raises(ConfigurationError, match="max_in_flight"):
        luma.as_completed(["a"], max_in_flight=max_in_flight)


@pytest.mark.parametrize(
    "options", [{"batch": "some"}, {"batch": None}, {"polling": 5}, {"limits": None}, {"proxy": "socks://x"}]
)
def test_options_that_do_nothing_are_refused(options: dict[str, Any]) -> None:
    """What is not understood is told when the client is made."""
    with pytest.raises(ConfigurationError):
        LumaClient("https://relay.example", KEY, **options)


def test_the_key_is_not_in_the_repr() -> None:
    """A client can be printed."""
    luma = LumaClient("https://relay.example/v1", KEY)

    assert repr(luma) == "<LumaClient https://relay.example/v1>"
    assert KEY not in repr(vars(luma))


# --- life and death ---


async def test_waits_end_when_the_client_is_closed(relay: SimulatedRelay) -> None:
    """Everything under way gets ClientClosedError: waits, batches, watches and single looks."""
    task_id = relay.add(script=Script.completes(pending=1e6))
    relay.trouble(Fault.slow(60.0), times=None, task_id="slow")

    client = LumaClient(relay.base_url, relay.api_key, polling=FAST)

    async def follow() -> None:
        async for _ in client.watch(task_id):
            pass

    calls = [
        asyncio.create_task(client.wait_until_done(task_id)),
        asyncio.create_task(follow()),
        asyncio.create_task(client.get_generation("slow")),
    ]
    batch = asyncio.create_task(client.wait_all([task_id, "slow"]))
    await asyncio.sleep(0.2)
    await client.aclose()
    ends = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(end) for end in ends] == [ClientClosedError] * 3
    assert [type(outcome.error) for outcome in await batch] == [ClientClosedError] * 2


async def test_a_closed_client_says_so(luma: LumaClient) -> None:
    """After aclose, which can be repeated, each call is refused."""
    await luma.aclose()
    await luma.aclose()

    with pytest.raises(ClientClosedError):
        await luma.get_generation("a")
    with pytest.raises(ClientClosedError):
        await luma.wait_until_done("a")
    with pytest.raises(ClientClosedError):
        luma.as_completed(["a"])


@pytest.mark.parametrize("call", ["watch", "as_completed"])
def test_a_call_outside_of_an_event_loop_is_told_so(call: str) -> None:
    """A client can be made there, but what waits needs a loop: the error says how to get one, and does no harm."""
    luma = LumaClient("https://relay.example", KEY)

    with pytest.raises(ConfigurationError, match=r"no event loop is running .*asyncio\.run") as caught:
        getattr(luma, call)(["a"] if call == "as_completed" else "a")

    assert caught.value.__cause__ is None
    loops.run(luma.aclose())


def test_another_event_loop_is_told_so() -> None:
    """A client belongs to the loop that used it first."""
    luma = LumaClient("https://relay.example", KEY)

    async def enter() -> None:
        await luma.__aenter__()

    loops.run(enter())
    with pytest.raises(ClientClosedError, match="another event loop"):
        loops.run(enter())


async def test_a_shared_connector_is_left_open(relay: SimulatedRelay) -> None:
    """What the user brings is the user's to close."""
    task_id = relay.add(script=SHORT)
    connector = aiohttp.TCPConnector()
    async with connector:
        async with LumaClient(relay.base_url, relay.api_key, polling=FAST, connector=connector) as luma:
            generation = await luma.wait_until_done(task_id)

        assert generation.state is State.COMPLETED
        assert not connector.closed


async def test_cancelling_leaves_no_task(relay: SimulatedRelay, luma: LumaClient) -> None:
    """A cancelled wait takes its loop with it, whatever it was doing."""
    ids = [relay.add(script=Script.completes(pending=1e6)) for _ in range(10)]
    before = asyncio.all_tasks()

    for pause in (0.0, 0.001, 0.01, 0.05, 0.1):
        wait = asyncio.create_task(luma.wait_all(ids))
        await asyncio.sleep(pause)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        await asyncio.sleep(0.02)

        assert {task for task in asyncio.all_tasks() - before if "luma_async" in task.get_name()} == set()


CLEAN = """
import asyncio, sys
from luma_async import Limits, LumaClient, PollPolicy
from luma_async.testing import Script, SimulatedRelay

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60.0  # a busy machine is no fault
    async with SimulatedRelay(speed=20.0) as relay:
        ids = [relay.add(script=Script.completes(pending=float(n))) for n in range(20)]
        policy = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.1)
        async with LumaClient(relay.base_url, relay.api_key, polling=policy) as luma:
            for moment in range(10):
                batch = asyncio.create_task(luma.wait_all(ids, timeout=5.0))
                await asyncio.sleep(moment / 200)
                batch.cancel()
                await asyncio.wait([batch])
            async with luma.as_completed(ids) as outcomes:
                async for _ in outcomes:
                    break
            print((await luma.wait_until_done(ids[0])).state)

asyncio.run(main())
"""


def test_nothing_is_left_in_development_mode() -> None:
    """Cancelled, left and finished waits end without a warning, an open socket or an unfetched exception."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", CLEAN]

    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603

    assert (finished.returncode, finished.stdout.strip(), finished.stderr) == (0, "completed", "")


async def test_pending_answers_are_not_kept_twice(relay: SimulatedRelay, luma: LumaClient) -> None:
    """A hundred looks at the same answer leave one generation behind."""
    task_id = relay.add(script=Script.completes(pending=1e6))

    with pytest.raises(WaitTimeoutError) as caught:
        await luma.wait_until_done(task_id, timeout=1.0)
    gc.collect()
    kept = [thing for thing in gc.get_objects() if isinstance(thing, Generation) and thing.id == task_id]

    assert kept == [caught.value.last]


def test_debug_mode_prints_no_web_of_objects() -> None:
    """What asyncio's debug mode prints of a poll is short, however many ids are waited for."""
    room = LumaClient("https://relay.example", KEY)._loops

    assert len(repr(room)) < 100


async def test_requests_are_counted(luma: LumaClient, relay: SimulatedRelay) -> None:
    """Every request to the relay counts, those of single looks and failed ones too; a batch is one."""
    ids = [relay.add(script=Script.of("completed")) for _ in range(5)]
    relay.trouble(Fault.bad_gateway())
    before = luma.statistics.requests

    await luma.get_generation(ids[0])
    await luma.wait_all(ids)

    assert (before, luma.statistics.requests) == (0, len(relay.requests))
    assert 2 < len(relay.requests) < 8


async def test_the_address_of_a_relay_names_its_proxy_without_the_password() -> None:
    """It has no path; the port is there where the address leaves it out."""
    far = LumaClient("https://relay.example/luma", "k", proxy="http://user:word@proxy.example:3128")
    near = LumaClient("http://127.0.0.1:8080", "k")

    assert (near.relay_address, far.relay_address) == (
        "127.0.0.1:8080",
        "relay.example:443 through the proxy proxy.example:3128",
    )
