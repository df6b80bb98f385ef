"""A gate of the user's, awaited before each request, such as a limiter that several processes share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from luma_async import ConfigurationError, Limits, LumaClient, LumaError, PollPolicy, TransportError
from luma_async.events import Event, PollFailed
from luma_async.testing import FastTime, Script, SimulatedRelay

FAST = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.05)


class Gate:
    """Counts its calls, and does what a test wants."""

    def __init__(self, *troubles: BaseException) -> None:
        self.calls = 0
        self.troubles = list(troubles)
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def __call__(self) -> None:
        """Let one request through."""
        self.calls += 1
        await self.is_open.wait()
        if self.troubles:
            raise self.troubles.pop(0)


def client(relay: SimulatedRelay, gate: Any, **more: Any) -> LumaClient:
    """Return a client of *relay* that asks often."""
    return LumaClient(relay.base_url, relay.api_key, polling=FAST, gate=gate, **more)


@pytest.mark.usefixtures("luma_time")
async def test_each_request_goes_through_the_gate(luma_relay: SimulatedRelay) -> None:
    """Polls alone and in batches, submits, and whatever else goes to the relay."""
    gate = Gate()
    ids = [luma_relay.add(script=Script.completes(pending=0.1, processing=0.2)) for _ in range(3)]
    async with client(luma_relay, gate) as luma:
        await luma.wait_all(ids)
        await luma.submit("a fox")
        await luma.get_generation(ids[0])
        await luma.clean_video_url(ids[0])

    assert gate.calls == len(luma_relay.requests) > 5


@pytest.mark.usefixtures("luma_time")
async def test_a_gate_that_fails_is_a_failed_poll(luma_relay: SimulatedRelay) -> None:
    """It passes: the limiter may be away for a moment; and nothing is sent past it."""
    told: list[Event] = []
    gate = Gate(OSError("no limiter"), asyncio.CancelledError(), KeyError("x"))
    task_id = luma_relay.add(script=Script.of("completed"))
    async with client(luma_relay, gate, on_event=told.append) as luma:
        outcome = await luma.outcome(task_id)

    assert outcome.ok
    errors = [event.error for event in told if isinstance(event, PollFailed)]
    assert [type(error.__cause__) for error in errors] == [OSError, asyncio.CancelledError, KeyError]
    assert "the gate raised OSError: no limiter" in str(errors[0])
    assert len(luma_relay.requests) == 1


@pytest.mark.usefixtures("luma_time")
async def test_a_submit_that_the_gate_stops_is_not_paid_for(luma_relay: SimulatedRelay) -> None:
    """The error says so, and is not uncertain."""
    async with client(luma_relay, Gate(*(OSError("away") for _ in range(9))), limits=Limits(request_timeout=1)) as luma:
        with pytest.raises(TransportError, match="the gate raised OSError"):
            await luma.submit("a fox")

    assert luma_relay.requests == []


async def test_a_wait_that_is_cancelled_at_the_gate_keeps_no_place(
    luma_relay: SimulatedRelay,
    luma_time: FastTime,
) -> None:
    """Neither the slot nor the turn of the rate limit."""
    gate = Gate()
    ids = [luma_relay.add(script=Script.of("completed")) for _ in range(2)]
    limits = Limits(max_concurrency=1, requests_per_second=0.1)
    async with client(luma_relay, gate, limits=limits, batch="never") as luma:
        gate.is_open.clear()
        waiting = asyncio.create_task(luma.outcome(ids[0]))
        await asyncio.sleep(1)
        waiting.cancel()
        gate.is_open.set()
        outcome = await luma.outcome(ids[1])

    assert outcome.ok
    assert outcome.elapsed < 9


@pytest.mark.parametrize("gate", [5, "gate", object()])
def test_what_cannot_be_called_is_refused(gate: object) -> None:
    """With the way out."""
    with pytest.raises(ConfigurationError, match="cannot be called"):
        LumaClient("https://relay.example", "key", gate=gate)  # type: ignore[arg-type]


@pytest.mark.usefixtures("luma_time")
async def test_a_gate_that_is_no_coroutine_function_is_told(luma_relay: SimulatedRelay) -> None:
    """At the first request, like any other trouble of the gate."""
    task_id = luma_relay.add(script=Script.of("completed"))
    async with client(luma_relay, lambda: None, limits=Limits(request_timeout=1)) as luma:
        with pytest.raises(LumaError, match="the gate raised TypeError"):
            await luma.get_generation(task_id)
