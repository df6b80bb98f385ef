"""A38: waiting for a slot is not the request's time; fifty tasks and five slots, in virtual time and in full."""

from __future__ import annotations

import asyncio
import json
import re
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from luma_async import Limits, LumaClient, Outcome, PollPolicy
from luma_async.testing import Fault, Script, SimulatedRelay
from tests.faults.load_server import LoadServer, completed
from tests.kit import KEY
from tests.quick import quick
from tests.virtual_time import run

RELAY = "https://relay.example"
IDS = [f"task-{number}" for number in range(50)]
FAST = PollPolicy(min_interval=0.1, initial_interval=0.1, max_interval=0.5)


async def slow(url: Any, **_: Any) -> CallbackResult:
    """Answer after half a second."""
    await asyncio.sleep(0.5)
    return CallbackResult(body=json.dumps(completed(url.path.rpartition("/")[2])))


@pytest.mark.parametrize("call", ["wait_all", "get_generations"])
def test_a38_a_queue_for_slots_times_nobody_out(call: str) -> None:
    """The last of fifty gets its slot after five seconds, the first having gone alone; each request may take one."""

    async def main() -> list[Outcome]:
        limits = Limits(max_concurrency=5, request_timeout=1.0)
        async with LumaClient(RELAY, KEY, polling=FAST, limits=limits, batch="never") as luma:
            outcomes: list[Outcome] = await getattr(luma, call)(IDS)
            return outcomes

    with aioresponses() as mocked:
        mocked.get(re.compile(RELAY), callback=slow, repeat=True)
        outcomes = run(main())

    assert [outcome.unwrap().id for outcome in outcomes] == IDS
    assert {outcome.polls for outcome in outcomes} == {1}
    assert max(outcome.elapsed for outcome in outcomes) == pytest.approx(5.5)


@pytest.mark.parametrize("bound", quick([{"limit": 5}, {"limit": 0, "limit_per_host": 5}]))
async def test_a38_the_queue_of_a_shared_connector_counts_as_little(bound: dict[str, int]) -> None:
    """Where the connector has fewer connections than the client has slots, its bound is the slots'."""
    connector = aiohttp.TCPConnector(**bound)  # type: ignore[arg-type]
    async with LoadServer(completed, delay=0.1) as server, connector:
        limits = Limits(request_timeout=0.75)
        async with LumaClient(server.base_url, KEY, limits=limits, batch="never", connector=connector) as luma:
            outcomes = await luma.get_generations(IDS)

    assert [outcome.unwrap().id for outcome in outcomes] == IDS
    assert {outcome.polls for outcome in outcomes} == {1}
    assert server.open_most == 5


@pytest.mark.usefixtures("luma_time")
async def test_polls_that_hang_leave_healthy_ids_their_share(luma_relay: SimulatedRelay) -> None:
    """Sixty ids hang, with eight slots: three healthy ids are seen in time again and again."""
    hung = [luma_relay.add() for _ in range(60)]
    for task_id in hung:
        luma_relay.trouble(Fault.slow(1e5), times=None, task_id=task_id)
    healthy = [luma_relay.add(script=Script.completes(pending=10, processing=200)) for _ in range(3)]
    limits = Limits(max_concurrency=8, request_timeout=30)

    async with LumaClient(luma_relay.base_url, luma_relay.api_key, batch="never", limits=limits) as luma:
        waits = asyncio.create_task(luma.wait_all(hung, timeout=1000))
        outcomes = await luma.wait_all(healthy, timeout=1000)
        waits.cancel()

    seen = [[request.at for request in luma_relay.requests if task_id in request.task_ids] for task_id in healthy]
    pauses = [later - earlier for times in seen for earlier, later in pairwise(times)]
    assert all(outcome.ok for outcome in outcomes)
    assert len(pauses) > 30
    assert max(pauses) < 2 * PollPolicy().max_interval
