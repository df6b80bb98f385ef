"""The queue and its worker, without a server."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from luma_async import LumaClient, Outcome
from luma_async.fleet import Fleet
from luma_async.fleet import _engine as engine
from luma_async.testing import FastTime, Script, SimulatedRelay


class Pool:
    """Stands for asyncpg's: raises *troubles*, one at each query, then takes *seconds* for each."""

    def __init__(self, *troubles: Exception, seconds: float = 0.0) -> None:
        self.troubles, self.seconds, self.queries = list(troubles), seconds, list[tuple[Any, ...]]()

    async def execute(self, *query: Any) -> str:
        """Run a query."""
        self.queries.append(query)
        if self.troubles:
            raise self.troubles.pop(0)
        await asyncio.sleep(self.seconds)
        return "UPDATE 1"


def driver_of(pool: Any) -> engine.Driver:
    """Return the driver of a worker on *pool*."""
    return engine.Driver(pool)


PASSING = [
    OSError("no route"),
    TimeoutError(),
    asyncpg.ConnectionDoesNotExistError("cut"),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.TooManyConnectionsError("too many clients already"),
    asyncpg.DeadlockDetectedError("deadlock detected"),
]


@pytest.mark.parametrize("is_ending", [False, True])
async def test_a_query_that_meets_passing_trouble_is_repeated(luma_time: FastTime, is_ending: bool) -> None:  # noqa: FBT001 - a case
    """Also while the worker ends: a status that is not written then is an outcome that comes twice."""
    pool = Pool(*PASSING)
    driver = driver_of(pool)
    if is_ending:
        async with driver:
            pass

    assert await driver.execute("SELECT 1") == "UPDATE 1"


async def test_a_worker_that_ends_does_not_wait_for_a_database_that_stays_away(luma_time: FastTime) -> None:
    """It gives up within half a minute, before its grace period is over."""
    driver = driver_of(Pool(*[OSError("no route")] * 1000))
    async with driver:
        pass
    with pytest.raises(OSError, match="no route"):
        async with asyncio.timeout(30):
            await driver.execute("SELECT 1")


async def test_ids_go_back_together(luma_time: FastTime) -> None:
    """A drain of a thousand ids takes two queries, and each caller returns after its own is back."""
    pool, manager = Pool(seconds=1.0), engine.QueueManagerId(uuid4())
    queries = engine.FleetQueries(driver_of(pool), manager)
    jobs: list[Any] = [SimpleNamespace(id=number) for number in range(1000)]
    await asyncio.gather(*(queries.retry_job(job, timedelta(0), None) for job in jobs))

    assert sorted(each for query in pool.queries for each in query[1]) == list(range(1000))
    assert len(pool.queries) == 2


async def test_an_outcome_that_waited_for_others_is_tried_again_too(
    luma_time: FastTime, luma_client: LumaClient, luma_relay: SimulatedRelay
) -> None:
    """A store that is slow, and away at each first try, parks no id: only pauses between its own tries count."""
    tried, kept, are_kept = set[str](), list[str](), asyncio.Event()
    ids = [luma_relay.add(script=Script.of("completed")) for _ in range(20)]

    async def keep(outcome: Outcome) -> None:
        if outcome.task_id not in tried:
            tried.add(outcome.task_id)
            await asyncio.sleep(10)  # meanwhile all others come
            time.sleep(0.01)  # noqa: ASYNC251 - by tenacity's clock, which never jumps
            raise OSError("the store is away")
        kept.append(outcome.task_id)
        if len(kept) == len(ids):
            are_kept.set()

    app = Fleet.in_memory(on_outcome=keep, client=lambda: luma_client, max_outage=0.05)
    await app.enqueue(ids)
    running = asyncio.create_task(app.run(concurrency=100))
    await asyncio.wait_for(are_kept.wait(), 600)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert sorted(kept) == sorted(ids)
