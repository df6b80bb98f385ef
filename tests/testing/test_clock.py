"""Time that jumps, in an event loop with real sockets and threads."""

from __future__ import annotations

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from typing import Any, cast
from unittest.mock import Mock

import pytest

from luma_async import LumaClient, State
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay

HALF_AN_HOUR = 1800.0


async def test_half_an_hour_is_slept_through_in_no_time(luma_time: FastTime) -> None:
    """Timers ring in their order, each at its time."""
    rung: list[tuple[int, float]] = []

    async def ring(seconds: int) -> None:
        await asyncio.sleep(seconds)
        rung.append((seconds, round(luma_time.elapsed)))

    await asyncio.gather(*(ring(seconds) for seconds in (1800, 60, 600)))

    assert rung == [(60, 60), (600, 600), (1800, 1800)]


async def test_work_in_a_thread_is_waited_for(luma_time: FastTime) -> None:
    """Time stands while a thread of the loop works, so no time-out overtakes it."""
    done = threading.Event()
    asyncio.get_running_loop().call_later(HALF_AN_HOUR, done.set)

    async with asyncio.timeout(60):
        await asyncio.to_thread(done.wait, 0.05)

    assert not done.is_set()
    assert luma_time.elapsed < 60


async def test_bytes_on_loopback_are_waited_for(luma_time: FastTime) -> None:
    """A conversation of a hundred turns over a socket is over before the shortest of time-outs."""

    async def echo(reader: StreamReader, writer: StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(100):
            writer.write(b"ping\n")
            async with asyncio.timeout(HALF_AN_HOUR):
                assert await reader.readline() == b"ping\n"
        writer.close()
        await writer.wait_closed()

    assert luma_time.elapsed < HALF_AN_HOUR


@pytest.mark.parametrize(("registered", "jumped"), [(["own pipe", "socket"], 0.0), (["own pipe"], HALF_AN_HOUR)])
def test_bytes_that_come_a_moment_later_are_waited_for(registered: list[str], jumped: float) -> None:
    """A busy machine's loopback gets a moment before time jumps; a loop without sockets waits for nothing."""

    class Late:
        """A selector that has nothing at first, and something for a caller that waits."""

        def get_map(self) -> list[str]:
            return registered

        def select(self, timeout: float) -> list[str]:
            return ["bytes"] if timeout else []

    fast = FastTime()
    fast._selector, fast._loop, fast._clock = Late(), Mock(time=lambda: 0.0), Mock(jumped=0.0)

    assert fast.select(HALF_AN_HOUR) == ([] if jumped else ["bytes"])
    assert fast._clock.jumped == jumped


def test_leaving_ends_the_jumping() -> None:
    """The clock does not fall back, and the loop has its own selector and threads again."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        own = loop._selector, loop.run_in_executor
        with FastTime() as fast:
            await asyncio.sleep(HALF_AN_HOUR)
            before = fast.clock()

        assert loop.time() >= before
        assert (loop._selector, loop.run_in_executor) == own

    asyncio.run(main())


def test_what_never_comes_is_given_up() -> None:
    """After more time than any test means, the loop ends with a question."""

    async def main() -> None:
        with FastTime(most=60):
            await asyncio.sleep(59)
            await asyncio.sleep(2)

    with pytest.raises(RuntimeError, match="60 seconds of fast time are over"):
        asyncio.run(main())


def test_a_foreign_loop_is_refused() -> None:
    """Only asyncio's own loops have what is needed; the text names the other one."""

    class OtherLoop:
        """No loop of asyncio's."""

    asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", OtherLoop()))
    try:
        with pytest.raises(RuntimeError, match=r"not in tests\.testing\.test_clock\.OtherLoop"), FastTime():
            raise AssertionError
    finally:
        asyncio._set_running_loop(None)


async def test_a_generation_of_twenty_minutes(luma_time: FastTime) -> None:
    """A client as users make it sees every state, and the end no later than its longest pause."""
    async with SimulatedRelay(clock=luma_time.clock) as relay, LumaClient(relay.base_url, relay.api_key) as luma:
        task_id = relay.add(script=Script.completes(pending=300, processing=900))

        async with luma.watch(task_id, timeout=HALF_AN_HOUR) as snapshots:
            states = [snapshot.state async for snapshot in snapshots]

    assert states == [State.PENDING, State.PROCESSING, State.COMPLETED]
    assert 1200 <= luma_time.elapsed < 1216


async def test_a_request_time_out_takes_no_time(
    luma_time: FastTime, luma_relay: SimulatedRelay, luma_client: LumaClient
) -> None:
    """A relay that answers after a minute is too slow for the client's thirty seconds, and is asked again."""
    task_id = luma_relay.add(script=Script.of("completed"))
    luma_relay.trouble(Fault.slow(60))

    generation = await luma_client.wait_until_done(task_id)

    assert generation.state is State.COMPLETED
    assert 30 < luma_time.elapsed < 60
    assert len(luma_relay.asked_about(task_id)) == 2


def test_a_clock_does_not_go_back_after_a_thousand_blocks_in_one_loop() -> None:
    """Tests of a session share their loop: each block goes on from the time of the one before."""

    async def main() -> list[float]:
        times = []
        for _ in range(1500):
            with FastTime() as fast:
                await asyncio.sleep(10)
                times.append(fast.clock())
        times.append(asyncio.get_running_loop().time())
        return times

    times = asyncio.run(main())

    assert times == sorted(times)
    assert times[-1] - times[0] >= 14_990
