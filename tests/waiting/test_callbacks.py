"""Callbacks wake waits, and teach the pace; what they say is never believed."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web
from tenacity import RetryCallState

from luma_async import ConfigurationError, GenerationOptions, LumaClient, PollPolicy
from luma_async._relay.health import Health
from luma_async._waiting.callbacks import CallbackRecord, EarlyIds
from luma_async._waiting.learning import Learner
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.progress import Progress
from luma_async._waiting.rest import NextPoll
from luma_async.testing import Callbacks, FastTime, Fault, Script, SimulatedRelay
from luma_async.webhooks import task_ids_in
from tests.raw_server import RawServer, http

LONG = Script.completes(pending=40, processing=60)


@pytest.fixture
async def luma(luma_relay: SimulatedRelay, luma_time: FastTime) -> Any:
    """A client whose polls go alone."""
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, batch="never") as client:
        yield client


@pytest.mark.usefixtures("luma_time")
async def test_an_end_is_seen_when_its_callback_comes(luma_relay: SimulatedRelay) -> None:
    """Not at the next poll."""
    task_id = luma_relay.add(script=Script.completes(pending=40, processing=63))
    pace = PollPolicy(min_interval=0.1, initial_interval=10, max_interval=15)
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, polling=pace, batch="never") as luma:
        asyncio.get_running_loop().call_later(103.1, luma.notify, task_id)

        outcome = await luma.outcome(task_id)

    assert outcome.elapsed == pytest.approx(103.1, abs=0.5)


async def test_a_flood_of_callbacks_keeps_the_interval(luma_relay: SimulatedRelay, luma: LumaClient) -> None:
    """A forged callback costs at most one poll for each ``min_interval``, and ends nothing."""
    task_id = luma_relay.add(script=LONG)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(luma.outcome(task_id, timeout=30))
        await asyncio.sleep(0.5)
        for _ in range(250):
            assert luma.notify(task_id)
            await asyncio.sleep(0.1)

    assert waiting.result().error is not None
    times = [seen.at for seen in luma_relay.asked_about(task_id)]
    assert min(after - before for before, after in pairwise(times)) >= 1.9
    assert len(times) <= 16


async def test_a_cool_down_holds_for_callbacks_too(luma_relay: SimulatedRelay, luma: LumaClient) -> None:
    """The relay asked for a pause."""
    task_id = luma_relay.add(script=LONG)
    luma_relay.trouble(Fault.rate_limited(retry_after=20))

    async with asyncio.TaskGroup() as group:
        group.create_task(luma.outcome(task_id, timeout=30))
        for _ in range(100):
            luma.notify(task_id)
            await asyncio.sleep(0.1)

    first, second = (seen.at for seen in luma_relay.requests[:2])
    assert second - first >= 14


async def test_a_callback_during_a_poll_causes_another_one(luma_relay: SimulatedRelay, luma: LumaClient) -> None:
    """The answer under way may be older."""
    task_id = luma_relay.add(script=Script.of(("processing", 1.0), "completed"))
    luma_relay.trouble(Fault.slow(1.5))
    asyncio.get_running_loop().call_later(1.0, luma.notify, task_id)

    outcome = await luma.outcome(task_id)

    assert outcome.elapsed < 4.5


async def test_only_an_id_that_somebody_waits_for_is_polled(luma_relay: SimulatedRelay, luma: LumaClient) -> None:
    """The answer says whether; an unusable id is none, and nothing raises."""
    known = luma_relay.add(script=LONG)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(luma.outcome(known, timeout=10))
        await asyncio.sleep(1)
        told = [luma.notify(task_id) for task_id in (known, "another", "no/id", "", None)]  # type: ignore[arg-type]
        await waiting
    await luma.aclose()

    assert told == [True, False, False, False, False]
    assert not luma.notify(known)
    assert luma_relay.asked_about("another") == []


# --- a callback that is faster than the answer to its submit ---


def test_ids_are_kept_for_a_minute_while_a_submit_is_under_way() -> None:
    """And only then, each once, at most a thousand."""
    early = EarlyIds()
    early.keep("before", 0.0)
    with early.submitting():
        early.keep("a", 1.0)
        early.keep("old", 1.0)
    early.keep("after", 2.0)

    assert [early.take(task_id, 60.0) for task_id in ("before", "a", "a", "after")] == [False, True, False, False]
    assert not early.take("old", 62.0)
    with early.submitting():
        for number in range(1500):
            early.keep(str(number), 70.0)
    assert sum(early.take(str(number), 71.0) for number in range(1500)) == 1000


# --- what the pace learns ---


@pytest.mark.parametrize(
    ("polls", "is_reliable"),
    [
        ("cccc", False),
        ("ccccc", True),
        ("eeeecccccc", True),
        ("cccccccccceeeee", False),
        ("cccccffffff", False),
        ("eeeeeeeeeeffffffffff", False),
    ],
)
def test_callbacks_count_where_they_come_for_most_ends(polls: str, *, is_reliable: bool) -> None:
    """Ends by a callback, ends without one, and forged callbacks, whose polls see no change: these teach nothing."""
    record = CallbackRecord()
    for poll in polls:
        record.polled(by_callback=poll in "cf", has_changed=poll != "f", is_end=poll != "f")

    assert record.is_reliable is is_reliable


@pytest.mark.parametrize("adaptive", [True, False])
def test_polls_between_callbacks_are_sparse(*, adaptive: bool) -> None:
    """Unless the policy learns nothing."""
    learner, policy = Learner(), PollPolicy(adaptive=adaptive)
    for _ in range(5):
        learner.callbacks.polled(by_callback=True, has_changed=True, is_end=True)
    progress = Progress(policy, Health())
    progress.good = 1
    state = RetryCallState(retry_object=None, fn=None, args=(progress,), kwargs={})  # type: ignore[arg-type]

    pause = PollWait(policy, lambda: 0.5, learner)(state)

    assert (pause == pytest.approx(15.0, rel=0.06)) is adaptive


def test_a_poll_after_a_callback_is_due_at_once() -> None:
    """Whatever pause the strategy chose, the interval is kept."""
    following = NextPoll(min_interval=2.0)
    following.calls_again = True

    following.ended(started=10.0, now=10.5, hint=None)
    following.rest(9.0, 10.5, is_ours=True, is_failing=False)

    assert following.window(float("inf")) == (12.5, 12.5)


# --- the whole round, with a relay that calls back ---


async def rounds(luma_relay: SimulatedRelay, callbacks: Callbacks, tasks: int) -> list[float]:
    """Order *tasks* one after the other, with a hook; return how late each end was seen."""
    luma_relay.callbacks = callbacks

    async def hooked(request: web.Request) -> web.Response:
        for task_id in task_ids_in(await request.read()):
            client.notify(task_id)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hooked)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, batch="never", callback_url=hook) as client:
        late = []
        for _ in range(tasks):
            outcome = await client.outcome(await client.submit("a fox"))
            late.append(outcome.elapsed - luma_relay.script.duration)
    await runner.cleanup()
    return late


async def test_callbacks_save_requests_and_time(luma_relay: SimulatedRelay, luma_time: FastTime) -> None:
    """Once they have come for five ends; and a relay that calls late, or twice, does no harm."""
    luma_relay.script = Script.completes(pending=4, processing=8.5)

    late = await rounds(luma_relay, Callbacks(), 8)
    polls = len([seen for seen in luma_relay.requests if seen.kind == "look"])
    late_twice = await rounds(luma_relay, Callbacks(times=2, delay=1.0), 2)

    assert max(late[5:]) < 0.5
    assert polls / 8 < 5
    assert max(late_twice) < 3.5


async def test_lies_are_looked_up(luma_relay: SimulatedRelay, luma_time: FastTime) -> None:
    """A callback that says *completed* ends nothing, and brings no link of its own."""
    luma_relay.script = Script.completes(pending=4, processing=8.5)

    late = await rounds(luma_relay, Callbacks(lies=True), 2)

    assert min(late) >= -0.1


async def test_a_relay_that_never_calls_is_polled_as_ever(luma_relay: SimulatedRelay, luma_time: FastTime) -> None:
    """The hook changes nothing else."""
    luma_relay.script = Script.completes(pending=4, processing=8.5)

    late = await rounds(luma_relay, Callbacks(times=0), 2)

    assert max(late) < 8


# --- where the hook comes from ---


async def test_the_hook_goes_into_each_submit_that_has_none() -> None:
    """And is in no repr, since its path may be a secret."""
    url = "https://app.example/hooks/secret-path"
    async with (
        RawServer([http(201, {"id": "a", "state": "pending"})]) as server,
        LumaClient(server.base_url, "key", callback_url=url) as luma,
    ):
        await luma.submit("a")
        await luma.submit("b", GenerationOptions(notify_hook="https://other.example/"))
        await luma.extend("a", "c")
        shown = repr(luma) + repr(vars(luma))

    hooks = [json.loads(body)["notify_hook"] for body in server.bodies]
    assert hooks == [url, "https://other.example/", url]
    assert "secret-path" not in shown


@pytest.mark.parametrize("url", ["app.example/hook", "ftp://app.example", 5, b"https://app.example"])
def test_a_hook_that_is_no_address_is_refused(url: Any) -> None:
    """Without showing it."""
    with pytest.raises(ConfigurationError, match="callback_url is not an absolute") as caught:
        LumaClient("https://relay.example", "key", callback_url=url)

    assert str(url) not in str(caught.value)
