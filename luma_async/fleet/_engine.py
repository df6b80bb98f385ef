"""PgQueuer: its queue, made to last while the database is away. The only module that imports it."""

# ruff: noqa: S608 - PgQueuer checks the names of its tables

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.adapters.inmemory import InMemoryDriver, InMemoryQueries
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.core.qm import QueueManager
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job, TracebackRecord
from pgqueuer.domain.schema.statistics import UNIQUE_COUNT_KEY
from pgqueuer.domain.settings import db_settings
from pgqueuer.domain.types import QueueManagerId
from pgqueuer.queries import Queries

T = TypeVar("T")

QUEUE = "luma_async"
"""The entrypoint of our jobs; others may use the same tables."""
REFUSALS = "luma_async 429"
"""What stands for a queue in PgQueuer's statistics, where the polls are counted that were refused with 429."""
HINTS = "luma_async_hints"
"""The channel of callbacks."""
_AWAY = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)
_PASSING = (*_AWAY, asyncpg.InsufficientResourcesError, asyncpg.TransactionRollbackError)
"""What a repetition mends: also too many connections, and deadlocks of two updates of many rows."""
_LAST = 10.0
"""Seconds for which a worker that ends repeats what fails: an end that is not written brings its outcome twice."""
_PAUSE = 1.0
"""Seconds between two attempts to reach the database."""
_KEPT = timedelta(hours=1)
"""Rows of the log, three for each id, and of the statistics are kept so long."""

log = logging.getLogger("luma_async.fleet")

__all__ = [
    "HINTS", "QUEUE", "REFUSALS", "AsyncpgDriver", "Driver", "FleetQueries", "InMemoryDriver", "InMemoryQueries", "Job",
    "Queries", "QueryQueueBuilder", "QueueManager", "QueueManagerId", "RetryRequested",
    "db_settings", "prune_query", "refusals_query",
]  # fmt: skip


class Driver(AsyncpgPoolDriver):
    """PgQueuer's driver, which repeats what fails while the database is away, and listens again afterwards."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self._channels: list[tuple[str, Callable[[Any], Any]]] = []
        self._renewal: asyncio.Task[None] | None = None
        self._gives_up_at: float | None = None

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run *query*; while the database is away, wait for it, but not for long once the worker ends."""
        return await self._lasting(lambda: super(Driver, self).fetch(query, *args))

    async def execute(self, query: str, *args: object) -> str:
        """Run *query*, as ``fetch`` does."""
        return await self._lasting(lambda: super(Driver, self).execute(query, *args))

    async def _lasting(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except _PASSING as error:
                if self._gives_up_at is not None and asyncio.get_running_loop().time() >= self._gives_up_at:
                    raise
                log.warning("the database cannot be used: %s", type(error).__name__)
            await asyncio.sleep(_PAUSE)

    async def add_listener(self, channel: str, callback: Callable[[Any], Any]) -> None:
        """Listen, also after the connection was lost."""
        await super().add_listener(channel, callback)
        self._channels.append((channel, callback))
        self._watch()

    async def _listen_again(self) -> None:
        """Listen to all channels on a new connection."""
        lost, self._listener_connection = self._listener_connection, None
        if lost is not None:
            await self._pool.release(lost)
        for channel, callback in self._channels:
            await super().add_listener(channel, callback)
        self._watch()

    def _watch(self) -> None:
        connection: Any = self._listener_connection
        connection.add_termination_listener(self._lost)  # an InterfaceError if the connection is gone already

    def _lost(self, _: object) -> None:
        if self._gives_up_at is None:
            self._renewal = asyncio.create_task(self._lasting(self._listen_again), name="luma_async listener")

    async def __aexit__(self, *_: object) -> None:
        self._gives_up_at = asyncio.get_running_loop().time() + _LAST
        if self._renewal is not None:
            self._renewal.cancel()
        with suppress(*_AWAY):
            await super().__aexit__(*_)


class FleetQueries(Queries):
    """PgQueuer's queries, with which ids go back together; those that cannot stay held until their lease ends."""

    def __init__(self, driver: Driver, manager: QueueManagerId) -> None:
        super().__init__(driver)
        self._manager, self._going, self._ids = manager, asyncio.Lock(), list[int]()

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        """Hand *job* back, with all that wait for this; one that another worker has by now stays there.

        PgQueuer's own way takes one query for each, and parks a job as failed where the database is away.
        """
        del delay, traceback_record  # a hand-back is not an error
        change = "queue_manager_id = NULL, attempts = attempts + 1, execute_after = now(), updated = now()"
        where = "WHERE id = ANY($1) AND queue_manager_id = $2"
        query = f"UPDATE {db_settings().qualified.queue_table} SET status = 'queued', {change} {where}"
        self._ids.append(job.id)
        async with self._going:
            ids, self._ids = self._ids, []
            try:
                if ids:  # none has gone with an earlier call's
                    await self.driver.execute(query, ids, self._manager)
            except _PASSING:
                log.warning("%d ids could not be handed back: others take them when their leases end", len(ids))

    async def log_jobs(self, job_status: list[Any]) -> None:
        """Write how jobs ended, but for cancelled ones, whose rows PgQueuer would remove: they are not over."""
        await super().log_jobs([each for each in job_status if each[1] != "canceled"])


def prune_query() -> tuple[Any, ...]:
    """Return the query that prunes log and statistics of our jobs, in one worker at a time, and its arguments."""
    names = db_settings().qualified
    table, guard = names.queue_table_log, "pg_try_advisory_xact_lock(hashtext('luma_async prune'))"
    mine = "entrypoint = ANY($1) AND created < now() - $2::interval"
    statistics = f"DELETE FROM {names.statistics_table} WHERE {mine} AND (SELECT {guard})"
    log_ids = f"SELECT id FROM {table} WHERE {mine} AND (SELECT {guard}) LIMIT 50000"
    return f"WITH s AS ({statistics}) DELETE FROM {table} WHERE id IN ({log_ids})", [QUEUE, REFUSALS], _KEPT


def refusals_query(polls: int) -> tuple[Any, ...]:
    """Return the query that adds a number of *polls* to ``REFUSALS``, and its arguments."""
    table = db_settings().qualified.statistics_table
    row = "(count, created, entrypoint, priority, status) VALUES ($1, now(), $2, 0, 'exception')"
    conflict = f"ON CONFLICT ({UNIQUE_COUNT_KEY}) DO UPDATE SET count = {table}.count + EXCLUDED.count"
    return f"INSERT INTO {table} {row} {conflict}", polls, REFUSALS
