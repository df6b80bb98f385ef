"""Cancelling, whenever it comes: at once, and as if nothing had been asked for."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async import Generation, LumaClient
from luma_async.settings import Batch
from luma_async.testing import Fault, Script
from tests.kit import KEY
from tests.properties import costly
from tests.properties.line import RELAY, Line, relay
from tests.virtual_time import run

_PASSING = [
    Fault.bad_gateway(),
    Fault.rate_limited(3),
    Fault.connection_reset(),
    Fault.another_task(),
    Fault.slow(4),
    Fault.slow(45),
]


async def cancelled_after(seconds: float, turns: int, batch: Batch, faults: list[Fault]) -> list[Generation]:
    """Cancel the wait for some ids, *turns* of the event loop after a moment, then wait for them once more."""
    desk = relay()
    ids = [desk.add(script=Script.completes(pending=number, processing=5.0)) for number in range(4)]
    for fault in faults:
        desk.trouble(fault)
    line = Line(desk)
    line.open()
    try:
        async with LumaClient(RELAY, KEY, batch=batch) as luma:
            wait = asyncio.create_task(luma.wait_all(ids))
            await asyncio.sleep(seconds)
            for _ in range(turns):
                await asyncio.sleep(0)
            await cancel_at_once(wait)
            return [outcome.unwrap() for outcome in await luma.wait_all(ids)]
    finally:
        line.close()


async def cancel_at_once(wait: asyncio.Task[object]) -> None:
    """Cancel *wait*, and see that it takes no time and leaves no task of ours."""
    now = asyncio.get_running_loop().time()
    if wait.cancel():
        with pytest.raises(asyncio.CancelledError):
            await wait
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() == now
    polls = [task for task in asyncio.all_tasks() if task.get_name().startswith("luma_async look")]
    assert not polls


@costly()
@given(
    seconds=st.floats(0.0, 12.0),
    turns=st.integers(0, 12),
    batch=st.sampled_from(["auto", "never"]),
    faults=st.lists(st.sampled_from(_PASSING), max_size=4),
)
def test_cancelling_at_any_moment_is_as_if_nothing_had_been_asked_for(
    seconds: float, turns: int, batch: Batch, faults: list[Fault]
) -> None:
    """It takes no time, leaves no task and no unfetched exception, and the same client waits again as ever."""
    generations = run(cancelled_after(seconds, turns, batch, faults))

    assert len({generation.id for generation in generations}) == 4
