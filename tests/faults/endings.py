"""Every premature end that a program can give its waits: run by A40 in development mode, where whatever is left tells.

Run it as ``python -X dev -W error -m tests.faults.endings [interrupt]``. It prints what it found wrong, and *done*.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from luma_async import ClientClosedError, LumaClient, PollPolicy
from luma_async.settings import Batch
from tests.faults.load_server import LoadServer, completed, pending
from tests.kit import KEY

MOMENTS = 200
IDS = [f"task-{number}" for number in range(5)]
FAST = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.05)
wrong: list[str] = []


def tell(task_id: str) -> object:
    """Complete those called *done* at once, and the others never."""
    return completed(task_id) if task_id.startswith("done") else pending(task_id)


def client(server: LoadServer, batch: Batch = "auto") -> LumaClient:
    """Return a client that asks often."""
    return LumaClient(server.base_url, KEY, polling=FAST, batch=batch)


# --- whole runs, to be cancelled at any moment ---


async def waits(server: LoadServer) -> None:
    """Wait for what never ends."""
    async with client(server) as luma:
        await luma.wait_all(IDS, timeout=None)


async def waits_alone(server: LoadServer) -> None:
    """Wait for one, without the batch query."""
    async with client(server, "never") as luma:
        await luma.wait_until_done("task", timeout=None)


async def completes(server: LoadServer) -> None:
    """Come to a good end while others still wait, so that some moments are those of closing."""
    async with client(server) as luma:
        others = asyncio.create_task(luma.wait_all(IDS, timeout=None))
        await luma.wait_all([f"done-{number}" for number in range(5)])
    await others


async def polls(server: LoadServer) -> None:
    """Look at many."""
    async with client(server, "never") as luma:
        await luma.get_generations(IDS)


async def follows(server: LoadServer) -> None:
    """Follow one."""
    async with client(server) as luma, luma.watch("task", timeout=None) as snapshots:
        async for _ in snapshots:
            pass


async def streams(server: LoadServer) -> None:
    """Wait for a stream that never ends."""
    async with client(server) as luma, luma.as_completed(endless(), max_in_flight=3) as outcomes:
        async for _ in outcomes:
            pass


async def endless() -> AsyncIterator[str]:
    """Yield three ids that complete and one that does not, and wait for more."""
    for task_id in ("done-1", "done-2", "done-3", "task"):
        yield task_id
    await asyncio.get_running_loop().create_future()


RUNS = {waits: 2, completes: 1, waits_alone: 8, polls: 8, follows: 8, streams: 8}
"""Which are cancelled, and at each how many-th of the moments."""


async def cancelled(server: LoadServer, run: Callable[[LoadServer], Awaitable[None]], moment: int) -> None:
    """Cancel *run* after so many turns of the event loop; a run that is over by then is left as it is."""
    running = asyncio.ensure_future(run(server))
    await turns(moment)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await nothing_left(server, f"{run.__name__} cancelled after {moment} turns")


async def turns(count: int) -> None:
    """Let the event loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def nothing_left(server: LoadServer, after: str) -> None:
    """Note tasks and connections that outlive what is over; closed sockets need a few turns to go."""
    left = [task.get_name() for task in asyncio.all_tasks() if "luma_async" in task.get_name()]
    for _ in range(1000):
        if server.connections:
            await asyncio.sleep(0)
    if left or server.connections:
        wrong.append(f"{after}: {left}, {len(server.connections)} connections")


# --- other ends ---


async def one_of_many(server: LoadServer) -> None:
    """Cancel one of those who wait for the same ids; the others get what they wait for."""
    async with client(server) as luma:
        waiting = [asyncio.create_task(luma.wait_until_done("done-1")) for _ in range(5)]
        for moment, one in enumerate(waiting[:4]):
            await turns(3 * moment)
            one.cancel()
        if (await waiting[4]).id != "done-1":
            wrong.append("the others were harmed")


async def left_early(server: LoadServer) -> None:
    """Leave loops by ``break``, with the block around them and without it."""
    async with client(server) as luma:
        async with luma.as_completed(["done-1", *IDS]) as outcomes:
            async for _ in outcomes:
                break
        async for _ in luma.as_completed(["done-1", *IDS]):
            break
        async for _ in luma.as_completed(endless(), max_in_flight=2):
            break
        async for _ in luma.as_completed(["done-1", "done-2", *IDS], max_in_flight=2):
            break
        async for _ in luma.watch("task"):
            break
        gc.collect()


async def consumer_raises(server: LoadServer) -> None:
    """Let the user's code fail inside the loop."""
    async with client(server) as luma:
        with suppress(LookupError):
            async with luma.as_completed(["done-1", *IDS]) as outcomes:
                async for _ in outcomes:
                    raise LookupError
        with suppress(LookupError):
            async for _ in luma.as_completed(endless()):
                raise LookupError


async def closed_under_way(server: LoadServer) -> None:
    """Close the client while everything waits: each hears of it, at once."""
    luma = client(server)
    heard: list[BaseException | None] = []

    async def all_of(stream: Any) -> None:
        async for outcome in stream:
            heard.append(getattr(outcome, "error", None))

    waiting = [
        asyncio.create_task(luma.wait_until_done("task", timeout=None)),
        asyncio.create_task(all_of(luma.watch("task"))),
        asyncio.create_task(all_of(luma.as_completed(endless()))),
        asyncio.create_task(all_of(luma.as_completed(iter([*IDS, "done-1"]), max_in_flight=2))),
        asyncio.create_task(luma.wait_all([f"task-{number}" for number in range(300)])),
        asyncio.create_task(all_of(luma.as_completed(["done-1", *IDS], max_in_flight=1))),
    ]
    await asyncio.sleep(0.05)
    await luma.aclose()
    done, left = await asyncio.wait(waiting, timeout=10.0)
    heard += [task.exception() for task in done]
    if left or not all(isinstance(error, ClientClosedError | None) for error in heard):
        wrong.append(f"closing left {left}, and was heard of as {heard}")


ENDS = (one_of_many, left_early, consumer_raises, closed_under_way)


async def main() -> None:
    """Give every run every end."""
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 60.0  # a busy machine is no fault
    loop.set_exception_handler(lambda _, context: wrong.append(repr(context)))
    async with LoadServer(tell) as server:
        for run, stride in RUNS.items():
            for moment in range(0, MOMENTS, stride):
                await cancelled(server, run, moment)
        for end in ENDS:
            await end(server)
            await nothing_left(server, end.__name__)
    gc.collect()


async def interrupted() -> None:
    """Wait until the process gets SIGINT, which it sends itself."""
    asyncio.get_running_loop().slow_callback_duration = 60.0
    async with LoadServer(tell) as server:
        asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGINT)
        await streams(server)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background starts with it ignored
    asyncio.run(interrupted() if sys.argv[1:] else main())
    print(*wrong, "done", sep="\n")  # noqa: T201 - whoever started it reads it
