"""How a fleet does on this machine: ``python -m tests.fleet.measure``, or with the names of some of its trials.

Each trial runs workers in processes of their own, a relay four times faster than life in another one, and a PostgreSQL
of its own. It is judged by outcomes in a table. docs/fleet.md has the figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from statistics import quantiles
from typing import Any

import asyncpg
from attrs import define, field

from luma_async import LumaClient, PollPolicy, fleet
from luma_async.fleet._handover import read_payload
from tests.fleet.conftest import Server, running_postgres
from tests.fleet.life import SPEED

LEASE = 20.0
"""Seconds."""
LONGEST = 4.0
"""Seconds of life's time between two polls of an id, at most."""
_TABLE = """CREATE TABLE outcomes (task_id text PRIMARY KEY, line text, times int DEFAULT 1,
    at timestamptz DEFAULT clock_timestamp())"""
_HELD = "SELECT count(*) FROM pgqueuer WHERE status = 'picked'"
_HELD_BY = f"{_HELD} AND queue_manager_id = ANY($1)"
_HOLDERS = "SELECT DISTINCT queue_manager_id FROM pgqueuer WHERE status = 'picked'"
_OF_PROCESS = "SELECT right(application_name, 8) FROM pg_stat_activity WHERE application_name LIKE '%:' || $1 || ' %'"
_STORED = "SELECT count(*) FROM outcomes"
_TWICE = "SELECT count(*) FROM outcomes WHERE times > 1"
_BEGUN = """SELECT count(*) FROM
    (SELECT job_id FROM pgqueuer_log WHERE status = 'picked' GROUP BY 1 HAVING count(*) > $1) AS x"""


def say(text: str) -> None:
    """Write a line of the report."""
    print(text, flush=True)  # noqa: T201 - the report


def tell_lateness(ends: dict[str, float], seen: dict[str, float]) -> None:
    """Tell how long after its end each id was *seen*, in seconds of life's time."""
    cut = quantiles([SPEED * (at - ends[task_id]) for task_id, at in seen.items()], n=100)
    say(f"  late, of life's time: p50 {cut[49]:.2f} s, p95 {cut[94]:.2f} s, p99 {cut[98]:.2f} s")


@define(eq=False)
class Relay:
    """The relay's process."""

    process: subprocess.Popen[str]
    base_url: str = ""
    api_key: str = ""

    def ask(self, *what: float) -> Any:
        """Add tasks, or count the requests."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@define(eq=False)
class Trial:
    """What each trial has."""

    relay: Relay
    server: Server
    database: asyncpg.Connection
    lease: float = LEASE
    slow: bool = False
    """Whether ids are polled only once."""
    workers: list[subprocess.Popen[bytes]] = field(factory=list)

    def start(self, count: int) -> list[subprocess.Popen[bytes]]:
        """Start *count* workers."""
        environment = {
            **os.environ,
            "DATABASE": self.server.dsn,
            "LUMA_BASE_URL": self.relay.base_url,
            "LUMA_API_KEY": self.relay.api_key,
            "LEASE": str(self.lease),
            "INTERVAL": "600" if self.slow else str(2 / SPEED),
            "LONGEST": "600" if self.slow else str(LONGEST / SPEED),
        }
        command = [sys.executable, "-m", "luma_async", "work", "tests.fleet.measured:app", "--concurrency", "9000"]
        started = [subprocess.Popen(command, env=environment) for _ in range(count)]  # noqa: S603 - ours
        self.workers += started
        return started

    async def started(self, workers: Iterable[subprocess.Popen[bytes]]) -> list[str]:
        """Return the starts of the ids of *workers* in the queue, once all are there."""
        found = []
        for worker in workers:
            while not (name := await self.database.fetchval(_OF_PROCESS, str(worker.pid))):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            found.append(name)
        return found

    async def until(self, query: str, count: int, *arguments: object, most: float = 400.0) -> float:
        """Wait until *query* gives *count*; return the seconds."""
        began = time.monotonic()
        while (now := await self.database.fetchval(query, *arguments)) != count:
            if time.monotonic() - began > most:
                raise TimeoutError(f"{query}: {now}, not {count}")
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def managers(self, starts: list[str]) -> list[Any]:
        """Return the whole ids of workers."""
        rows = await self.database.fetch(_HOLDERS)
        return [row[0] for row in rows if str(row[0])[:8] in starts]

    async def judge(self, ends: dict[str, float], apart: Iterable[str] = ()) -> None:
        """Tell what the table has; how late the ids *apart* are does not count."""
        await self.until(_STORED, len(ends))
        rows = await self.database.fetch("SELECT task_id, extract(epoch FROM at)::float8 AS at FROM outcomes")
        others = {row["task_id"]: row["at"] for row in rows if row["task_id"] not in set(apart)}
        twice = await self.database.fetchval(_TWICE)
        lost = len(set(ends) - {row["task_id"] for row in rows})
        say(f"  {len(rows)} outcomes, {lost} lost, {twice} handed over twice")
        tell_lateness(ends, others)


async def kill(trial: Trial) -> None:
    """15,000 ids in 3 workers, of which one is killed."""
    workers = trial.start(3)
    starts = await trial.started(workers)
    ends = trial.relay.ask(15_000, 240, 400)
    began = time.monotonic()
    await fleet.enqueue(trial.database, ends)
    say(f"  handed over in {time.monotonic() - began:.1f} s")
    say(f"  all begun {await trial.until(_HELD, len(ends)):.1f} s later")
    dead = await trial.managers(starts[:1])
    await asyncio.sleep(8)
    rows = await trial.database.fetch("SELECT payload FROM pgqueuer WHERE queue_manager_id = ANY($1)", dead)
    held = [read_payload(row["payload"])[1] for row in rows]
    workers[0].kill()
    moved = await trial.until(_HELD_BY, 0, dead)
    say(f"  killed; its {len(held)} ids were begun elsewhere within {moved:.1f} s, which is {moved / LEASE:.2f} leases")
    await trial.judge(ends, held)


async def alone(trial: Trial) -> None:
    """5,000 ids in one client without a fleet, to compare."""
    ends, seen = trial.relay.ask(5_000, 240, 400), {}
    polling = PollPolicy(initial_interval=2 / SPEED, max_interval=LONGEST / SPEED, min_interval=2 / SPEED)
    luma = LumaClient(trial.relay.base_url, trial.relay.api_key, polling=polling)
    async with luma, luma.as_completed(ends, max_in_flight=5_000) as outcomes:
        async for outcome in outcomes:
            seen[outcome.task_id] = time.time()
    tell_lateness(ends, seen)


async def deploy(trial: Trial) -> None:
    """9,000 ids; three new workers start, and the three old ones get SIGTERM."""
    old = trial.start(3)
    starts = await trial.started(old)
    ends = trial.relay.ask(9_000, 240, 400)
    await fleet.enqueue(trial.database, ends)
    await trial.until(_HELD, len(ends))
    managers = await trial.managers(starts)
    await asyncio.sleep(8)
    await trial.started(trial.start(3))
    began = time.monotonic()
    for worker in old:
        worker.send_signal(signal.SIGTERM)

    async def gone() -> float:
        for worker in old:
            await asyncio.to_thread(worker.wait)
        return time.monotonic() - began

    going = asyncio.create_task(gone())
    handed = await trial.until(_HELD_BY, 0, managers)
    moved = handed + await trial.until(_HELD, len(ends))
    say(f"  handed back within {handed:.1f} s, all begun again within {moved:.1f} s")
    say(f"  old workers gone within {await going:.1f} s")
    await trial.judge(ends)
    say(f"  {await trial.database.fetchval(_BEGUN, 2)} waits begun more than once more")


async def _first_polls(trial: Trial, count: int) -> None:
    trial.slow = True
    await trial.started(trial.start(count))
    warm = list(trial.relay.ask(2000, 9000, 9000))  # a worker takes 500 at once, and each has to know the batch query
    await fleet.enqueue(trial.database, warm)
    await trial.until(_HELD, len(warm))
    await asyncio.sleep(5)
    before, ids = trial.relay.ask(), list(trial.relay.ask(1200, 9000, 9000))
    began = time.monotonic()
    for number, task_id in enumerate(ids):
        await asyncio.sleep(max(began + number / 40 - time.monotonic(), 0))
        await fleet.enqueue(trial.database, [task_id])
    await trial.until(_HELD, len(warm) + len(ids))
    await asyncio.sleep(3)
    say(f"  {(trial.relay.ask() - before) / len(ids):.3f} requests for the first poll of an id")


async def first_polls_in_one(trial: Trial) -> None:
    """40 new ids a second in one worker."""
    await _first_polls(trial, 1)


async def first_polls_in_three(trial: Trial) -> None:
    """40 new ids a second over three workers."""
    await _first_polls(trial, 3)


async def outage(trial: Trial) -> None:
    """3,000 ids in 3 supervised workers; PostgreSQL is away for 20 seconds, in which half of the ids end."""
    trial.lease = 60.0
    workers = trial.start(3)
    await trial.started(workers)
    ends = trial.relay.ask(3000, 80, 200)
    await fleet.enqueue(trial.database, ends)
    await trial.until(_HELD, len(ends))
    restarts = 0

    async def supervise() -> None:
        nonlocal restarts
        while True:
            for number, worker in enumerate(workers):
                if worker.poll() is not None:
                    restarts += 1
                    workers[number] = trial.start(1)[0]
            await asyncio.sleep(0.5)

    supervisor = asyncio.create_task(supervise())
    await asyncio.sleep(15)
    await asyncio.to_thread(trial.server.stop)
    await asyncio.sleep(20)
    await asyncio.to_thread(trial.server.start)
    trial.database = await asyncpg.connect(trial.server.dsn)
    fresh = trial.relay.ask(100, 1, 1)
    await fleet.enqueue(trial.database, fresh)
    taken = await trial.until("SELECT count(*) FROM outcomes WHERE task_id = ANY($1)", len(fresh), list(fresh))
    say(f"  ids handed over when it was back had their outcomes within {taken:.1f} s; {restarts} workers restarted")
    await trial.judge({**ends, **fresh})
    supervisor.cancel()


@asynccontextmanager
async def prepared(server: Server) -> AsyncIterator[Trial]:
    """Prepare an empty database and a relay; at the end, stop the relay and the workers."""
    database = await asyncpg.connect(server.dsn)
    await fleet.install(database)
    await database.execute(f"DROP TABLE IF EXISTS outcomes; {_TABLE}; TRUNCATE pgqueuer, pgqueuer_log")
    command = [sys.executable, "-m", "tests.fleet.life"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220, S603
        assert process.stdout is not None
        trial = Trial(Relay(process, *json.loads(process.stdout.readline())), server, database)
        try:
            yield trial
        finally:
            for worker in trial.workers:
                worker.kill()
                worker.wait()
            process.kill()
            await trial.database.close()


TRIALS: tuple[Callable[[Trial], Awaitable[None]], ...] = (
    kill,
    alone,
    deploy,
    first_polls_in_one,
    first_polls_in_three,
    outage,
)


async def main(names: list[str]) -> None:
    """Run the trials *names*, or all."""
    with running_postgres() as server:
        for trial in TRIALS:
            if not names or trial.__name__ in names:
                say(f"{trial.__name__}: {trial.__doc__}")
                async with prepared(server) as ready:
                    await trial(ready)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
