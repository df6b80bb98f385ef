"""The queue's driver and queries, without a server."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from luma_async.fleet import _engine as engine
from luma_async.testing import FastTime


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
