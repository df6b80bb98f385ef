"""A37: many ids through an outage and the complaints after it, in virtual time and in full."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

import pytest
from aiohttp import ClientConnectionError, Payload
from aioresponses import CallbackResult, aioresponses
from attrs import define, field

from luma_async import Limits, LumaClient, Outcome, PollPolicy
from luma_async.settings import Batch
from tests.faults.load_server import LoadServer, completed, pending
from tests.kit import KEY
from tests.virtual_time import run

RELAY = "https://relay.example"
DOWN = 60.0
"""Seconds until the trouble begins."""
_CHANCE = 1.25
"""By which the busiest of many windows differs from another by chance: the first pauses began in good times."""
_BATCHES = 0.5
"""Seconds for which a look may wait to share a request."""


def breaks() -> CallbackResult:
    """Answer nothing at all."""
    raise ClientConnectionError


def says(status: int, **headers: str) -> Callable[[], CallbackResult]:
    """Return what answers *status*."""
    return lambda: CallbackResult(status=status, headers=headers)


HINTED = says(429, **{"Retry-After": "5"})
TROUBLES = {
    "down, then 429": ((90.0, breaks), (95.0, HINTED)),
    "429": ((90.0, says(429)),),
    "down for long": ((170.0, breaks),),
}
"""What the relay answers until when; before and after, all is well."""
each_trouble = pytest.mark.parametrize("trouble", TROUBLES)
each_way = pytest.mark.parametrize(
    ("batch", "many"), [("auto", 1000), pytest.param("never", 150, marks=pytest.mark.slow)]
)


@define(eq=False)
class Relay:
    """Has a batch query and a bad minute; remembers when it was asked."""

    ends: dict[str, float]
    troubles: Sequence[tuple[float, Callable[[], CallbackResult]]]
    asked: list[float] = field(factory=list)

    @property
    def well(self) -> float:
        """When the trouble is over."""
        return self.troubles[-1][0]

    def batch(self, _: Any, data: Payload, **__: Any) -> CallbackResult:
        """Answer about many."""
        return self._answer([self._row(task_id) for task_id in json.loads(data.decode())["ids"]])

    def single(self, url: Any, **_: Any) -> CallbackResult:
        """Answer about one."""
        return self._answer(self._row(url.path.rpartition("/")[2]))

    def _answer(self, told: object) -> CallbackResult:
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        if DOWN <= now < self.well:
            return next(answer for until, answer in self.troubles if now < until)()
        return CallbackResult(body=json.dumps(told))

    def _row(self, task_id: str) -> dict[str, str]:
        done = asyncio.get_running_loop().time() >= self.ends[task_id]
        return {"id": task_id, "state": "completed" if done else "pending", "url": "https://cdn.example/v"}

    def rate(self, begin: float, end: float) -> float:
        """Return the requests per second between *begin* and *end*."""
        return sum(1 for at in self.asked if begin <= at < end) / (end - begin)

    def busiest(self, begin: float, end: float) -> int:
        """Return the most requests in any ten seconds between *begin* and *end*."""
        within = [at for at in self.asked if begin <= at < end]
        return max(sum(1 for at in within if start <= at < start + 10.0) for start in within)


@cache
def live_through(many: int, batch: Batch, trouble: str) -> tuple[Relay, list[Outcome]]:
    """Wait for *many* ids, whose generations end between a few seconds and some minutes from the start."""
    ids = [f"task-{number}" for number in range(many)]
    chance = Random(11)  # noqa: S311 - a repeatable choice
    relay = Relay({task_id: chance.uniform(5.0, 240.0) for task_id in ids}, TROUBLES[trouble])

    async def main() -> list[Outcome]:
        limits = Limits(max_concurrency=32)
        async with LumaClient(RELAY, KEY, polling=PollPolicy(), limits=limits, batch=batch) as luma:
            return await luma.wait_all(ids, timeout=None)

    with aioresponses() as mocked:
        mocked.post(f"{RELAY}/luma/tasks", callback=relay.batch, repeat=True)
        mocked.get(re.compile(RELAY), callback=relay.single, repeat=True)
        return relay, run(main())


@each_trouble
@each_way
def test_a37_an_outage_loses_nothing_and_is_not_made_worse(batch: Batch, many: int, trouble: str) -> None:
    """A relay in trouble is asked less often than a healthy one, though that is asked in nearly full batches only."""
    relay, outcomes = live_through(many, batch, trouble)

    assert all(outcome.ok for outcome in outcomes)
    assert relay.rate(DOWN, relay.well) < (1.0 if batch == "auto" else 0.8) * relay.rate(30.0, DOWN)
    assert relay.busiest(DOWN, relay.well) <= _CHANCE * relay.busiest(30.0, DOWN)


@each_trouble
@each_way
def test_a37_after_an_outage_everything_is_normal_within_one_longest_pause(
    batch: Batch, many: int, trouble: str
) -> None:
    """Generations that ended in the bad minute are noticed soon after it, without a burst."""
    relay, outcomes = live_through(many, batch, trouble)

    late = [outcome.elapsed - relay.well for outcome in outcomes if DOWN < relay.ends[outcome.task_id] < relay.well]
    assert max(late) <= PollPolicy().max_interval + _BATCHES
    assert relay.busiest(relay.well, 240.0) <= 2 * relay.busiest(30.0, DOWN)


async def test_a37_a_relay_that_is_gone_for_a_while_loses_no_task() -> None:
    """Two hundred ids complete after nobody listened at the relay's port for many of their pauses (a second here)."""
    ids = [f"task-{number}" for number in range(200)]
    policy = PollPolicy(min_interval=0.05, initial_interval=0.05, max_interval=0.2)
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
