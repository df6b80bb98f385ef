"""A fleet on a real PostgreSQL, judged by the outcomes in a table."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeAlias

import asyncpg
import psycopg
import pytest

from luma_async import LumaClient, Outcome, PollPolicy, WaitTimeoutError, fleet
from luma_async.errors import ConfigurationError
from luma_async.testing import Fault, RelayThread, Script, SimulatedRelay
from tests.fleet.conftest import Server

pytestmark = pytest.mark.slow
Database: TypeAlias = asyncpg.Connection
_LONG = 90.0
"""Seconds until a test gives up; nothing is judged by time."""


@pytest.fixture
def relay() -> Iterator[SimulatedRelay]:
    """Run a relay beside the workers."""
    with RelayThread(SimulatedRelay(speed=4)) as running:
        yield running


@contextmanager
def worker(postgres: Server, relay: SimulatedRelay) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``luma-async work`` in a process of its own."""
    environment = {
        **os.environ,
        "DATABASE": postgres.dsn,
        "LUMA_BASE_URL": relay.base_url,
        "LUMA_API_KEY": relay.api_key,
    }
    command = [sys.executable, "-m", "luma_async", "work", "tests.fleet.worker:app", "--concurrency", "1500"]
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def until(database: Database, query: str, count: int) -> None:
    """Return when *query* gives *count* or more."""
    async with asyncio.timeout(_LONG):
        while await database.fetchval(query) < count:  # noqa: ASYNC110 - a table tells nobody
            await asyncio.sleep(0.1)


STORED = "SELECT count(*) FROM outcomes"
HELD = "SELECT count(*) FROM pgqueuer WHERE status = 'picked'"
ENDED = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
WORKERS = "SELECT count(DISTINCT queue_manager_id) FROM pgqueuer WHERE status = 'picked'"


async def test_a_rollback_takes_ids_back_and_an_id_is_handed_over_once(database: Database) -> None:
    """The queue holds what was committed, and the count is that of new ids."""
    with suppress(ZeroDivisionError):
        async with database.transaction():
            await fleet.enqueue(database, ["lost"])
            raise ZeroDivisionError
    with pytest.raises(ConfigurationError):
        await fleet.enqueue(database, ["fine", "not/fine"])
    counts = [await fleet.enqueue(database, ids) for ids in (["a", "b", "a"], ["b", "c"])]

    assert counts == [2, 1]
    assert (await fleet.status(database)).waiting == 3


async def test_psycopg_and_django_hand_over_in_their_transaction(database: Database, postgres: Server) -> None:
    """A rollback of theirs takes the ids back."""

    def hand_over() -> list[int]:
        import django as package  # noqa: PLC0415 - slow
        from django.conf import settings  # noqa: PLC0415 - slow
        from django.db import connections, transaction  # noqa: PLC0415 - slow

        one = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": "127.0.0.1"}
        settings.configure(DATABASES={"default": {**one, "PORT": str(postgres.port)}})
        package.setup()
        with psycopg.connect(postgres.dsn) as connection:
            counts = [fleet.enqueue_sync(connection, ["a", "b"]), fleet.enqueue_sync(connection, ["b"], timeout=None)]
        with psycopg.connect(postgres.dsn) as connection:
            fleet.enqueue_sync(connection, ["lost"])
            connection.rollback()
        django = connections["default"]
        with transaction.atomic():
            counts.append(fleet.enqueue_sync(django, ["c"]))
        with suppress(ZeroDivisionError), transaction.atomic():
            fleet.enqueue_sync(django, ["lost"])
            raise ZeroDivisionError
        with transaction.atomic():
            fleet.notify_sync(django, ["c"])
        django.close()
        return counts

    counts = await asyncio.to_thread(hand_over)

    assert counts == [2, 0, 1]
    assert (await fleet.status(database)).waiting == 3


async def test_the_commands_hand_over_and_show(database: Database, postgres: Server) -> None:
    """An id that is handed over by a command is seen by another one; a password among the arguments is refused."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "luma_async", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603

    environment = {**os.environ, "LUMA_DATABASE_URL": postgres.dsn}
    commands = [("fleet", "install"), ("enqueue", "a", "b", "a"), ("enqueue", "b"), ("fleet", "status")]
    ended = [await asyncio.to_thread(run, *command) for command in commands]
    refused = await asyncio.to_thread(run, "fleet", "--database", "postgresql://127.0.0.1/x?password=secret")

    assert [each.returncode for each in ended] == [0] * 4
    assert "2 of 2 ids are new" in ended[1].stderr
    assert "0 of 1 ids are new" in ended[2].stderr
    assert ended[3].stdout.startswith("waiting 2\nheld 0\n")
    assert refused.returncode == 2
    assert "secret" not in refused.stderr


async def test_the_status_shows_what_workers_do(database: Database, postgres: Server, relay: SimulatedRelay) -> None:
    """It tells outcomes, polls that were refused with 429, and who holds how many ids."""
    ended = [relay.add(script=Script.of("completed")) for _ in range(5)]
    held = [relay.add(script=Script.of("processing")) for _ in range(7)]
    relay.trouble(Fault.http(429, {}), times=2)
    with worker(postgres, relay) as process:
        await fleet.enqueue(database, [*ended, *held], timeout=None)
        await until(database, STORED, len(ended))
        await until(database, "SELECT count(*) FROM pgqueuer_statistics WHERE entrypoint LIKE '% 429'", 1)
        await until(database, ENDED, len(ended))
        now = await fleet.status(database)

    assert (now.waiting, now.held, now.parked, now.ended_per_minute) == (0, len(held), 0, len(ended))
    assert 1 <= now.refused_per_minute <= 2 * len([*ended, *held])
    assert [each.ids for each in now.holders] == [len(held)]
    assert f":{process.pid} " in now.holders[0].name


async def test_old_rows_of_the_log_are_pruned_and_no_others(
    database: Database, postgres: Server, relay: SimulatedRelay
) -> None:
    """Rows of other queues stay, and so do young ones."""
    for table, columns, values in (("pgqueuer_log", "job_id", "1"), ("pgqueuer_statistics", "count", "1")):
        for queue, age in (("luma_async", "2 hours"), ("luma_async", "1 minute"), ("other", "2 hours")):
            await database.execute(
                f"INSERT INTO {table} ({columns}, entrypoint, status, priority, created) "  # noqa: S608 - ours
                f"VALUES ({values}, '{queue}', 'queued', 0, now() - interval '{age}')"
            )
    old = "SELECT 6 - (SELECT count(*) FROM pgqueuer_log) - (SELECT count(*) FROM pgqueuer_statistics)"
    with worker(postgres, relay):
        await until(database, old, 2)

    for table in ("pgqueuer_log", "pgqueuer_statistics"):
        left = await database.fetch(f"SELECT entrypoint FROM {table} ORDER BY 1")  # noqa: S608 - ours
        assert [row["entrypoint"] for row in left] == ["luma_async", "other"]


async def test_a_kill_and_a_deploy_lose_no_id(database: Database, postgres: Server, relay: SimulatedRelay) -> None:
    """Of 2,000 ids in 3 workers, each has one outcome, though one worker is killed and one is terminated."""
    ids = [relay.add(script=Script.completes(pending=20, processing=60)) for _ in range(2000)]
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(postgres, relay)) for _ in range(3)]
        assert await fleet.enqueue(database, ids) == 2000
        await until(database, HELD, 2000)
        held_by = await database.fetchval(WORKERS)
        workers[0].kill()
        workers[1].send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(workers[1].wait, 30)
        await until(database, STORED, 2000)

    assert held_by >= 2
    assert status == 143
    assert {row["task_id"] for row in await database.fetch("SELECT task_id FROM outcomes")} == set(ids)


async def test_a_drain_hands_back_what_the_worker_holds_and_nothing_else(
    database: Database, postgres: Server, relay: SimulatedRelay
) -> None:
    """An id whose lease was lost stays with the worker that has it now."""

    async def keep(outcome: Outcome) -> None:
        raise AssertionError(outcome)

    app = fleet.Fleet(postgres.dsn, on_outcome=keep, client=lambda: LumaClient(relay.base_url, relay.api_key))
    ids = [relay.add(script=Script.of("processing")) for _ in range(4)]
    await fleet.enqueue(database, ids, timeout=None)
    running = asyncio.create_task(app.run(concurrency=10))
    await until(database, HELD, 4)
    await database.execute(
        "UPDATE pgqueuer SET queue_manager_id = gen_random_uuid() WHERE id = (SELECT min(id) FROM pgqueuer)"
    )
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    now = await fleet.status(database)
    assert (now.waiting, now.held, now.parked) == (3, 1, 0)


@pytest.mark.parametrize("cancels", ["the worker", "on_outcome"])
async def test_an_outcome_whose_delivery_is_cancelled_stays_in_the_queue(
    database: Database, postgres: Server, relay: SimulatedRelay, cancels: str
) -> None:
    """A second cancellation, or a CancelledError of the user's own, does not end an id; others take it later."""
    called = asyncio.Event()

    async def keep(outcome: Outcome) -> None:
        called.set()
        if cancels == "on_outcome":
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    app = fleet.Fleet(postgres.dsn, on_outcome=keep, client=lambda: LumaClient(relay.base_url, relay.api_key))
    await fleet.enqueue(database, [relay.add(script=Script.of("completed"))])
    running = asyncio.create_task(app.run(concurrency=10))
    await asyncio.wait_for(called.wait(), _LONG)
    for _ in range(2):
        running.cancel()
        await asyncio.sleep(0.5)
    with suppress(asyncio.CancelledError):
        await running

    now = await fleet.status(database)
    assert now.waiting + now.held == 1


async def test_a_database_that_was_away_costs_no_outcome(
    database: Database, postgres: Server, relay: SimulatedRelay
) -> None:
    """The same worker goes on: it stores all outcomes, and takes new ids."""
    ids = [relay.add(script=Script.completes(pending=4, processing=8)) for _ in range(50)]
    with worker(postgres, relay) as process:
        await fleet.enqueue(database, ids)
        await until(database, HELD, 50)
        await asyncio.to_thread(postgres.stop)
        await asyncio.sleep(2)
        await asyncio.to_thread(postgres.start)
        again = await asyncpg.connect(postgres.dsn)
        fresh = [relay.add(script=Script.of("completed")) for _ in range(5)]
        await fleet.enqueue(again, fresh)
        await until(again, STORED, 55)
        assert process.poll() is None
        assert await again.fetchval("SELECT count(*) FROM outcomes") == 55
        await again.close()


async def test_a_poison_id_is_parked_and_stops_no_other(
    database: Database, postgres: Server, relay: SimulatedRelay
) -> None:
    """An unknown id has an outcome; one whose outcome nobody can take is parked; so is a job of another program."""
    relay.add("poison", script=Script.of("completed"))
    good = [relay.add(script=Script.of("completed")) for _ in range(5)]
    await fleet.enqueue(database, ["poison", "unknown", *good])
    await database.execute(
        "INSERT INTO pgqueuer (priority, entrypoint, payload, status) VALUES (0, 'luma_async', 'what?', 'queued')"
    )
    with worker(postgres, relay):
        await until(database, "SELECT count(*) FROM pgqueuer WHERE status = 'failed'", 2)
        await until(database, STORED, 6)

    lines = await database.fetch("SELECT line FROM outcomes WHERE task_id = 'unknown'")
    assert "NotFoundError" in lines[0]["line"]
    assert (await fleet.status(database)).parked == 2


async def test_a_deadline_survives_a_restart(database: Database, relay: SimulatedRelay, postgres: Server) -> None:
    """It counts from the hand-over, not from the start of the worker that finds it."""
    ids = [relay.add(script=Script.of("processing")) for _ in range(3)]
    await fleet.enqueue(database, ids, timeout=600)
    await database.execute("UPDATE pgqueuer SET created = created - interval '1 hour'")
    with worker(postgres, relay):
        await until(database, STORED, 3)

    rows = await database.fetch("SELECT line FROM outcomes")
    assert all(WaitTimeoutError.__name__ in row["line"] for row in rows)


async def test_a_callback_reaches_the_worker_that_waits(
    database: Database, postgres: Server, relay: SimulatedRelay
) -> None:
    """The next poll would come in an hour; the hint of another process brings the end, also after a lost connection."""
    ended = list[Outcome]()

    async def keep(outcome: Outcome) -> None:
        ended.append(outcome)

    rare = PollPolicy(initial_interval=3600, max_interval=3600, min_interval=0.1, adaptive=False)
    app = fleet.Fleet(
        postgres.dsn, on_outcome=keep, client=lambda: LumaClient(relay.base_url, relay.api_key, polling=rare)
    )
    task_id = relay.add(script=Script.completes(pending=2, processing=2))
    await fleet.enqueue(database, [task_id], timeout=None)
    running = asyncio.create_task(app.run(concurrency=10))
    await until(database, HELD, 1)
    await database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    async with asyncio.timeout(_LONG):
        while not ended:
            await asyncio.sleep(0.5)
            await fleet.notify(database, ["not an id", task_id])
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert ended[0].ok
    assert (await fleet.status(database)).held == 0


@pytest.mark.parametrize("raised", [RuntimeError("not now"), asyncio.CancelledError(), StopAsyncIteration()], ids=repr)
async def test_a_fleet_in_memory_needs_no_server(
    relay: SimulatedRelay, raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """An on_outcome that raises is called again, which the log tells, and each id has one outcome."""
    calls = list[str]()

    async def keep(outcome: Outcome) -> None:
        calls.append(outcome.task_id)
        if len(calls) == 1:
            raise raised

    app = fleet.Fleet.in_memory(on_outcome=keep, client=lambda: LumaClient(relay.base_url, relay.api_key))
    ids = [relay.add(script=Script.of("completed")) for _ in range(3)]
    counts = [await app.enqueue(ids), await app.enqueue(ids)]
    running = asyncio.create_task(app.run(concurrency=10))
    async with asyncio.timeout(20.0):
        while len(calls) < 4:  # noqa: ASYNC110 - a list tells nobody
            await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert counts == [3, 0]
    assert sorted(set(calls)) == sorted(ids)
    assert [type(raised).__name__ in record.message for record in caplog.records if "Retrying" in record.message] == [
        True
    ]


async def test_what_on_outcome_raises_is_told_also_while_the_worker_stops(
    relay: SimulatedRelay, caplog: pytest.LogCaptureFixture
) -> None:
    """Each try has a line in the log, and the last one a traceback; the id goes back."""
    called = asyncio.Event()

    async def keep(outcome: Outcome) -> None:
        called.set()
        raise RuntimeError("the table is gone")

    app = fleet.Fleet.in_memory(on_outcome=keep, client=lambda: LumaClient(relay.base_url, relay.api_key))
    await app.enqueue([relay.add(script=Script.of("completed"))])
    running = asyncio.create_task(app.run(concurrency=10))
    await asyncio.wait_for(called.wait(), _LONG)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    ours = [record for record in caplog.records if record.name == "luma_async.fleet"]
    assert any("RuntimeError: the table is gone" in record.getMessage() for record in ours)
    assert any(record.exc_info and isinstance(record.exc_info[1], RuntimeError) for record in ours)
    assert await app.enqueue([relay.add(script=Script.of("completed"))]) == 1
