"""One measurement in a process of its own, so that its CPU time and memory are nobody else's: JSON in, JSON out."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from statistics import mean, quantiles
from typing import Any

from attrs import define, field, frozen

from tests.benchmarks.catalogue import CLIENTS
from tests.benchmarks.clients import Client, Ids, Options
from tests.benchmarks.fast_relay import ids_of
from tests.benchmarks.memory import held

Found = dict[str, float]

_LAG_EVERY = 0.01
"""Seconds."""
_SETTLING = 0.3
"""Seconds for what is under way to come to rest before memory is read."""


@frozen
class Relay:
    """The fast relay's control paths."""

    port: int

    @property
    def base_url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def register(self, **order: Any) -> float:
        """Begin a run with the tasks of an order; return when, on the machine's monotonic clock."""
        began: float = self._tell("register", order)["began"]
        return began

    def count(self) -> dict[str, float]:
        """Return what has been asked since the run began."""
        return self._tell("count", {})

    def lateness(self) -> dict[str, Any]:
        """Return when tasks completed, and how long after that their end was told."""
        return self._tell("lateness", {})

    def _tell(self, what: str, said: dict[str, Any]) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", f"/control/{what}", json.dumps(said).encode())
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@define(eq=False)
class Stopwatch:
    """CPU seconds of this process, and seconds, since it was made."""

    _cpu: float = field(factory=time.process_time)
    _clock: float = field(factory=time.perf_counter)

    def read(self) -> tuple[float, float]:
        """Return both."""
        return time.process_time() - self._cpu, time.perf_counter() - self._clock


async def polls(relay: Relay, client: Client, *, concurrency: int, polls_each: int) -> Found:
    """CPU and time per poll when *concurrency* ids are polled without a pause."""
    ids = ids_of(concurrency)
    relay.register(count=concurrency, polls=10)
    await client.drain(ids)
    relay.register(count=concurrency, polls=polls_each)
    watch = Stopwatch()
    await client.drain(ids)
    cpu, seconds = watch.read()
    counted = relay.count()
    return {
        "cpu_us": cpu / counted["polls"] * 1e6,
        "per_second": counted["polls"] / seconds,
        "relay_cpu_us": counted["cpu"] / counted["polls"] * 1e6,
        "polls": counted["polls"],
    }


async def waiting(relay: Relay, client: Client, *, count: int) -> Found:
    """Memory for each of *count* tasks that wait for their second poll, and how long it took to see all once."""
    ids = ids_of(count)
    relay.register(count=200, polls=1)
    await client.drain(ids[:200])
    relay.register(count=count)
    await asyncio.to_thread(relay.count)
    idle = held()
    watch = Stopwatch()
    waits = asyncio.ensure_future(client.wait(ids, lambda _: None))
    await _until_seen(relay, count)
    cpu, seconds = watch.read()
    await asyncio.sleep(_SETTLING)
    now = held()
    waits.cancel()
    await asyncio.wait([waits])
    each = {f"{what}_kib_each": (now[what] - idle[what]) / count / 1024 for what in idle}
    return {**each, "all_seen_s": seconds, "cpu_s": cpu}


async def run(  # noqa: PLR0913 - a measurement's facts
    relay: Relay, client: Client, *, count: int, medians: list[float], speed: float, over: float, warm: int = 0
) -> Found:
    """Requests, lateness and CPU of a whole run, from the first poll to the last outcome.

    *medians* and *over* are seconds of a real relay, *speed* is how much faster this one is; lateness is told in the
    real relay's seconds. Before it, the client waits for *warm* tasks, as one that has run for a while.
    """
    ended: dict[str, float] = {}

    def note(task_id: str) -> None:
        ended[task_id] = time.monotonic()

    if warm:
        await asyncio.to_thread(relay.register, count=warm, medians=[m / speed for m in medians])
        await client.wait(ids_of(warm), lambda _: None)
    watch = Stopwatch()
    began = await asyncio.to_thread(
        relay.register, count=count, medians=[m / speed for m in medians], over=over / speed
    )
    ids: Ids = _stream(ids_of(count), began, over / speed) if over else ids_of(count)
    async with _lag() as lags:
        await client.wait(ids, note)
    cpu, seconds = watch.read()
    counted, told = relay.count(), relay.lateness()
    noticed = [(ended[i] - at) * speed for i, at in told["completed_at"].items() if i in ended]
    return {
        "requests_each": counted["requests"] / count,
        "polls_each": counted["polls"] / count,
        "late_mean_s": mean(noticed),
        **_percentiles("late", noticed),
        **_percentiles("told", [late * speed for late in told["late"]]),
        "lag_p99_ms": quantiles(lags, n=100, method="inclusive")[98] * 1e3,
        "lag_max_ms": max(lags) * 1e3,
        "cpu_s": cpu,
        "seconds": seconds,
        "lost": count - len(ended),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "relay_load": counted["cpu"] / seconds,
    }


async def load(relay: Relay, client: Client, *, count: int, window: float) -> Found:
    """Share of one core that *count* waiting tasks take when each is polled once in *window* seconds."""
    relay.register(count=count)
    waits = asyncio.ensure_future(client.wait(ids_of(count), lambda _: None))
    await _until_seen(relay, count)
    await asyncio.sleep(window)
    before = await asyncio.to_thread(relay.count)
    watch = Stopwatch()
    await asyncio.sleep(window)
    cpu, seconds = watch.read()
    after = await asyncio.to_thread(relay.count)
    waits.cancel()
    await asyncio.wait([waits])
    return {
        "percent": cpu / seconds * 100,
        "polls_per_s": (after["polls"] - before["polls"]) / seconds,
        "requests_per_s": (after["requests"] - before["requests"]) / seconds,
    }


async def _until_seen(relay: Relay, count: int) -> None:
    """Return when each of *count* tasks has been polled."""
    while (await asyncio.to_thread(relay.count))["asked"] < count:  # noqa: ASYNC110 - another process polls on
        await asyncio.sleep(0.05)


async def _stream(ids: list[str], began: float, over: float) -> AsyncIterator[str]:
    """Give each id when its task has been submitted."""
    for number, task_id in enumerate(ids):
        pause = began + over * number / len(ids) - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        yield task_id


@asynccontextmanager
async def _lag() -> AsyncGenerator[list[float]]:
    """Note every ten milliseconds how many seconds too late another coroutine of the loop has its turn."""
    loop = asyncio.get_running_loop()
    lags: list[float] = [0.0, 0.0]

    async def note() -> None:
        while True:
            due = loop.time() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            lags.append(loop.time() - due)

    noting = asyncio.create_task(note())
    try:
        yield lags
    finally:
        noting.cancel()


def _percentiles(name: str, values: list[float]) -> Found:
    steps = quantiles(values, n=20, method="inclusive")
    return {f"{name}_p50_s": steps[9], f"{name}_p95_s": steps[18]}


MEASUREMENTS: dict[str, Callable[..., Awaitable[Found]]] = {
    "polls": polls,
    "waiting": waiting,
    "run": run,
    "load": load,
}


async def measured(order: dict[str, Any]) -> Found:
    """Do what *order* says: which measurement, of which client with which options, on which port, and its facts."""
    relay = Relay(order["port"])
    async with CLIENTS[order["client"]](relay.base_url, Options(**order["options"])) as client:
        return await MEASUREMENTS[order["measure"]](relay, client, **order["facts"])


def runner(loop: str) -> Callable[[Coroutine[Any, Any, Found]], Found]:
    """Return what runs a coroutine in an event loop of that kind."""
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - the extra is needed only where it is measured

        return uvloop.run
    return asyncio.run


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps(runner(wanted["options"]["loop"])(measured(wanted))))
