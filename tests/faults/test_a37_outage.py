"""A37: many ids through an outage and the complaints after it, in virtual time and in full."""

from __future__ import annotations

import asyncio
import json
import re
from functools import cache
from random import Random
from typing import Any

import pytest
from aiohttp import ClientConnectionError, Payload
from aioresponses import CallbackResult, aioresponses
from attrs import define, field

from luma_async import Limits, LumaClient, Outcome, PollPolicy
from luma_async._batching import Batch
from tests.faults.load_server import LoadServer, completed, pending
from tests.kit import KEY
from tests.virtual_time import run

RELAY = "https://relay.example"
DOWN, REFUSING, WELL = 60.0, 90.0, 95.0
"""Seconds: connections break from the first on, 429 is answered from the second, all is well again from the third."""
_CHANCE = 1.25
"""By which the busiest of many windows differs from another, from jitter alone."""


@define(eq=False)
class Relay:
    """Has a batch query and a bad minute; remembers when it was asked."""

    ends: dict[str, float]
    asked: list[float] = field(factory=list)

    def batch(self, _: Any, data: Payload, **__: Any) -> CallbackResult:
        """Answer about many."""
        return self._answer([self._row(task_id) for task_id in json.loads(data.decode())["ids"]])

    def single(self, url: Any, **_: Any) -> CallbackResult:
        """Answer about one."""
        return self._answer(self._row(url.path.rpartition("/")[2]))

    def _answer(self, told: object) -> CallbackResult:
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        if DOWN <= now < REFUSING:
            raise ClientConnectionError
        if REFUSING <= now < WELL:
            return CallbackResult(status=429, headers={"Retry-After": "5"})
        return CallbackResult(body=json.dumps(told))

    def _row(self, task_id: str) -> dict[str, str]:
        done = asyncio.get_running_loop().time() >= self.ends[task_id]
        return {"id": task_id, "state": "completed" if done else "pending", "url": "https://cdn.example/v"}

    def busiest(self, begin: float, end: float, window: float) -> int:
        """Return the most requests in any *window* seconds between *begin* and *end*."""
        within = [at for at in self.asked if begin <= at < end]
        return max((sum(1 for at in within if start <= at < start + window) for start in within), default=0)


@cache
def live_through(many: int, batch: Batch) -> tuple[Relay, list[Outcome]]:
    """Wait for *many* ids, whose generations end between a few seconds and some minutes from the start."""
    ids = [f"task-{number}" for number in range(many)]
    chance = Random(11)  # noqa: S311 - a repeatable choice
    relay = Relay({task_id: chance.uniform(5.0, 240.0) for task_id in ids})

    async def main() -> list[Outcome]:
        limits = Limits(max_concurrency=32)
        async with LumaClient(RELAY, KEY, polling=PollPolicy(), limits=limits, batch=batch) as luma:
            return await luma.wait_all(ids, timeout=None)

    with aioresponses() as mocked:
        mocked.post(f"{RELAY}/luma/tasks", callback=relay.batch, repeat=True)
        mocked.get(re.compile(RELAY), callback=relay.single, repeat=True)
        return relay, run(main())


@pytest.mark.parametrize(("batch", "many"), [("auto", 1000), ("never", 200)])
def test_a37_an_outage_loses_nothing_and_is_not_made_worse(batch: Batch, many: int) -> None:
    """A relay that is down for half a minute is asked no more often than a healthy one, and every id completes."""
    relay, outcomes = live_through(many, batch)

    healthy = relay.busiest(20.0, DOWN, 10.0)
    assert all(outcome.ok for outcome in outcomes)
    assert relay.busiest(DOWN, WELL, 10.0) <= healthy * _CHANCE


@pytest.mark.parametrize(("batch", "many"), [("auto", 1000), ("never", 200)])
def test_a37_after_an_outage_everything_is_normal_within_one_longest_pause(batch: Batch, many: int) -> None:
    """Generations that ended in the bad minute are noticed soon after it, without a burst."""
    relay, outcomes = live_through(many, batch)

    late = [outcome.elapsed - WELL for outcome in outcomes if DOWN < relay.ends[outcome.task_id] < WELL]
    assert max(late) <= 2 * PollPolicy().maximum + 1.0
    assert relay.busiest(WELL, 240.0, 10.0) <= 2 * relay.busiest(20.0, DOWN, 10.0)


async def test_a37_a_relay_that_is_gone_for_a_while_loses_no_task() -> None:
    """Two hundred ids complete after nobody listened at the relay's port for many of their pauses (a second here)."""
    ids = [f"task-{number}" for number in range(200)]
    policy = PollPolicy(min_interval=0.05, initial=0.05, maximum=0.2)
    relay = LoadServer(pending)

    async with relay:
        luma = LumaClient(relay.base_url, KEY, polling=policy, batch="never")
        waiting = asyncio.create_task(luma.wait_all(ids, timeout=60.0))
        while len(relay.asked) < len(ids):  # noqa: ASYNC110 - the relay has no event to await
            await asyncio.sleep(0.01)
    relay.hang_up()
    await asyncio.sleep(1.0)
    relay.tell = completed
    async with relay, luma:
        outcomes = await waiting

    assert [outcome.unwrap().id for outcome in outcomes] == ids
