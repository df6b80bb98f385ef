"""The body of a job, without an engine."""

from __future__ import annotations

import asyncio

import pytest

from luma_async import LumaClient
from luma_async.errors import AuthenticationError, WaitTimeoutError
from luma_async.fleet import Waits
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay


def waits_of(client: LumaClient) -> Waits:
    """Return waits whose deadlines are times of the event loop."""
    return Waits(client=client, clock=asyncio.get_running_loop().time)


def now() -> float:
    """Return the time of the event loop."""
    return asyncio.get_running_loop().time()


async def test_a_drain_ends_all_calls_with_none(
    luma_time: FastTime, luma_client: LumaClient, luma_relay: SimulatedRelay
) -> None:
    """No task is cancelled by it, and later calls end at once."""
    waits = waits_of(luma_client)
    ids = [luma_relay.add(script=Script.of("processing")) for _ in range(3)]
    calls = [asyncio.create_task(waits.outcome(task_id, None)) for task_id in ids]
    await asyncio.sleep(10)
    waits.drain()

    assert await asyncio.gather(*calls) == [None] * 3
    assert await waits.outcome(ids[0], None) is None
    assert not any(call.cancelled() or call.cancelling() for call in calls)


async def test_a_cancelled_call_is_cancelled(
    luma_time: FastTime, luma_client: LumaClient, luma_relay: SimulatedRelay
) -> None:
    """A cancellation that is not a drain is never swallowed."""
    call = asyncio.create_task(waits_of(luma_client).outcome(luma_relay.add(script=Script.of("processing")), None))
    await asyncio.sleep(10)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_slice_ends_before_the_deadline(
    luma_time: FastTime, luma_client: LumaClient, luma_relay: SimulatedRelay
) -> None:
    """The id goes back within 300 seconds, and at its deadline it times out."""
    waits, task_id, start = waits_of(luma_client), luma_relay.add(script=Script.of("processing")), now()
    assert await waits.outcome(task_id, start + 400) is None
    assert 240 <= now() - start <= 301
    outcome = await waits.outcome(task_id, start + 400)

    assert outcome is not None
    assert isinstance(outcome.error, WaitTimeoutError)
    assert 399 <= now() - start <= 402


async def test_an_id_that_is_overdue_is_looked_up_once_more(
    luma_time: FastTime, luma_client: LumaClient, luma_relay: SimulatedRelay
) -> None:
    """It may have completed while no process waited for it; a relay that takes seconds is waited for."""
    luma_relay.trouble(Fault(delay=3), times=None)
    outcome = await waits_of(luma_client).outcome(luma_relay.add(script=Script.of("completed")), now() - 1000)

    assert outcome is not None
    assert outcome.ok


async def test_a_refused_key_is_an_outcome_at_the_deadline_only(
    luma_time: FastTime, luma_client: LumaClient, luma_relay: SimulatedRelay
) -> None:
    """A key may be renewed meanwhile, and no paid id is lost."""
    waits, task_id = waits_of(luma_client), luma_relay.add(script=Script.of("completed"))
    luma_relay.trouble(Fault.http(401, {"error": {"message": "no such key"}}), times=None)
    refused = await waits.outcome(task_id, now() + 100)
    asked = len(luma_relay.requests)
    later = asyncio.create_task(waits.outcome(task_id, now() + 200))
    await asyncio.sleep(50)
    luma_relay.calm()
    outcome = await later

    assert asked <= 3
    assert refused is not None
    assert isinstance(refused.error, AuthenticationError)
    assert outcome is not None
    assert outcome.ok
