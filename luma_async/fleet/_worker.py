"""A worker: takes ids from the queue, waits for them, and hands their outcomes to the user's function."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from itertools import count
from typing import Any, Self
from uuid import uuid4

import asyncpg
from attrs import define, field
from tenacity import AsyncRetrying, before_sleep_log, wait_random_exponential

from luma_async._checks import check_number
from luma_async._listeners import awaited
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError, RateLimitError
from luma_async.events import PollFailed
from luma_async.fleet import _engine as engine
from luma_async.fleet._handover import columns_of, read_payload
from luma_async.fleet.waits import Waits
from luma_async.outcomes import Outcome

_BATCH = 500
"""Ids that are taken at once (measured: 9,000 ids in 3 workers begin within 3 s)."""
_INTAKE = timedelta(seconds=5)
"""Longest time until new ids are seen whose notification was lost."""
_MOST_OUTCOMES = 16
"""Calls of the user's function at once: thousands of ids may end together, and databases allow 100 connections."""
_MOST_SECONDS = 30.0
"""For one query: a connection that hangs is replaced."""
_COUNTED_EVERY = 5.0
"""Seconds until refused polls are seen by ``status``."""
_PRUNED_EVERY = 12
"""Counts, so once a minute."""


@define(eq=False)
class Fleet:
    """One worker of a fleet, and all that it needs; the same object is made in each process.

    An outcome is handed to *on_outcome* at least once, and its id leaves the queue after that: keep outcomes by
    ``INSERT ... ON CONFLICT DO NOTHING``. An *on_outcome* that raises is called again with growing pauses, of
    *max_outage* seconds in all; then its id is parked (``fleet.status``), and the traceback is in PgQueuer's log table.
    """

    dsn: str | None = field(repr=False)
    """PostgreSQL's address; None: libpq's variables, such as ``PGHOST`` and ``PGPASSWORD``."""
    on_outcome: Callable[[Outcome], Awaitable[object]] = field(kw_only=True)
    """Awaited with each outcome, in the loop of the worker; 16 at once."""
    client: Callable[[], LumaClient] = field(default=LumaClient, kw_only=True)
    """Makes the client of the process."""
    lease: float = field(default=60.0, kw_only=True)
    """Seconds after which the ids of a worker that does not answer go to others: a loop that stalls longer loses
    them, and both wait."""
    slice: float = field(default=300.0, kw_only=True)
    """As of ``Waits``."""
    max_outage: float = field(default=120.0, kw_only=True)
    """Seconds of pauses between the tries of an *on_outcome* that raises, in all."""
    _memory: engine.InMemoryQueries | None = field(default=None, init=False, repr=False)
    _places: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_MOST_OUTCOMES), init=False, repr=False)
    _waits: Waits | None = field(default=None, init=False, repr=False)
    _refused: int = field(default=0, init=False, repr=False)
    """Polls that were refused with 429 and are not counted in the database yet."""
    _stopping: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)

    @classmethod
    def in_memory(cls, *, on_outcome: Callable[[Outcome], Awaitable[object]], **options: Any) -> Self:
        """Return a fleet of this process alone, without a database, for tests."""
        fleet = cls(None, on_outcome=on_outcome, **options)
        fleet._memory = engine.InMemoryQueries(driver=engine.InMemoryDriver())
        return fleet

    async def enqueue(self, ids: Iterable[str], *, timeout: float | None = 1800.0) -> int:  # noqa: ASYNC109 - stored
        """Do what ``fleet.enqueue`` does, in memory; returns how many are new."""
        if self._memory is None:
            raise ConfigurationError("the fleet is not in memory", advice="use fleet.enqueue(connection, ids)")
        priority, queue, payload, _, keys, _ = columns_of(ids, timeout)
        added = await self._memory.enqueue(queue, payload, priority, dedupe_key=keys, on_conflict="skip")
        return sum(job is not None for job in added)

    async def run(self, *, concurrency: int = 5000) -> None:
        """Take ids and wait for them, until it is cancelled: then all are handed back, and it raises CancelledError.

        While the database is away, waits go on, and what is to be written waits for it. A second cancellation ends it
        at once: others take the ids when the lease ends.

        Args:
            concurrency: Most ids at once; at least 2.

        Raises:
            ConfigurationError: *concurrency* or the address is unusable, or the client cannot be made.
            OSError: The database cannot be reached at the start; also errors of asyncpg.
        """
        check_number(concurrency, "concurrency", above=1, whole=True)
        work = asyncio.create_task(self._work(concurrency), name="luma_async fleet")
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self._stopping.set()
            if self._waits is not None:
                self._waits.drain()
            await work  # a second cancellation goes on to it
            raise

    async def _work(self, concurrency: int) -> None:
        self._stopping = asyncio.Event()
        async with AsyncExitStack() as stack:
            waits = self._waits = Waits(client=await stack.enter_async_context(self.client()), slice=self.slice)
            manager = engine.QueueManager(self._memory) if self._memory else await self._manager(stack, waits)
            manager.shutdown = self._stopping
            manager.entrypoint(engine.QUEUE, on_failure="hold")(self._job)
            await manager.run(
                dequeue_timeout=_INTAKE,
                batch_size=max(min(_BATCH, concurrency // 2), 1),
                max_concurrent_tasks=concurrency,
                heartbeat_timeout=timedelta(seconds=self.lease),
                log_aggregation_interval=timedelta(0),  # it writes each row of the log once more
            )

    async def _manager(self, stack: AsyncExitStack, waits: Waits) -> engine.QueueManager:
        id_ = engine.QueueManagerId(uuid4())
        name = f"{socket.gethostname()[:40]}:{os.getpid()} {str(id_)[:8]}"
        options: Any = {"command_timeout": _MOST_SECONDS, "server_settings": {"application_name": name}}
        try:
            pool = await asyncpg.create_pool(self.dsn, min_size=1, max_size=4, **options)
        except ValueError:  # it may quote a part of the password
            raise ConfigurationError("the address of the database cannot be read", advice="percent-encode it") from None
        stack.callback(pool.terminate)
        driver = engine.Driver(pool)
        await driver.add_listener(engine.HINTS, waits.notify)
        manager = engine.QueueManager(engine.FleetQueries(driver, id_))
        manager.queue_manager_id = id_
        for chore in (self._count(waits.client), self._tend(driver)):
            stack.callback(asyncio.create_task(chore, name="luma_async fleet's chore").cancel)
        return manager

    async def _count(self, client: LumaClient) -> None:
        """Count the polls that are refused with 429."""
        async with client.events() as events:
            async for event in events:
                self._refused += isinstance(event, PollFailed) and isinstance(event.error, RateLimitError)

    async def _tend(self, driver: engine.Driver) -> None:
        """Note the count for ``status``, and prune what the queue leaves behind."""
        for turn in count():
            refused, self._refused = self._refused, 0
            try:
                if refused:
                    await driver.execute(*engine.refusals_query(refused))
                if turn % _PRUNED_EVERY == 0:
                    await driver.execute(*engine.prune_query())
            except asyncpg.PostgresError:
                engine.log.warning("the tables of the queue cannot be tended", exc_info=True)
            await asyncio.sleep(_COUNTED_EVERY)

    async def _job(self, job: engine.Job) -> None:
        """Wait for the id of *job* until its deadline, by the database's clock, and pass its outcome on."""
        timeout, task_id = read_payload(job.payload)
        until = None if timeout is None else time.time() + timeout - (job.updated - job.created).total_seconds()
        outcome = None if self._waits is None else await self._waits.outcome(task_id, until)
        if outcome is None or not await self._passed_on(outcome):
            raise engine.RetryRequested(delay=timedelta(0))

    async def _passed_on(self, outcome: Outcome) -> bool:
        """Call the user's function until it returns; False if the worker stops meanwhile. Raises its last error."""
        retrying = AsyncRetrying(
            stop=lambda state: state.idle_for >= self.max_outage or self._stopping.is_set(),
            wait=wait_random_exponential(max=30.0),
            sleep=self._sleep,
            before_sleep=before_sleep_log(engine.log, logging.WARNING),
            reraise=True,
        )
        try:
            await retrying(self._call_on_outcome, outcome)
        except Exception:
            if not self._stopping.is_set():
                raise
            engine.log.warning("an id goes back, because on_outcome raised while the worker stops", exc_info=True)
            return False
        return True

    async def _call_on_outcome(self, outcome: Outcome) -> None:
        async with self._places:
            await awaited(lambda: self.on_outcome(outcome), "on_outcome")

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not longer than until the worker stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
