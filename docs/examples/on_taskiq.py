"""Waits on Taskiq and RabbitMQ: ``taskiq worker on_taskiq:broker --workers 1 --max-async-tasks 5000``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from types import FrameType

from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_aio_pika import AioPikaBroker

from luma_async import LumaClient, Outcome
from luma_async.fleet import Waits

PAUSE = 10.0

log = logging.getLogger(__name__)

broker = AioPikaBroker(os.environ["AMQP"], qos=5000)
waits = Waits(client=LumaClient())


async def keep(outcome: Outcome) -> None:
    """Store the outcome: yours to write."""


@broker.task(ack_type="manual")  # any other type also acknowledges a message whose task raised: its id would be lost
async def wait(task_id: str, until: float, context: Context = TaskiqDepends()) -> None:  # noqa: B008 - its way
    """Wait for one id; its message goes when the outcome is kept, or when a new message stands for it."""
    outcome = await waits.outcome(task_id, until)
    try:
        if outcome is not None:
            await keep(outcome)
    except Exception:
        log.exception("the outcome of %s could not be kept", task_id)
        outcome = None
        await asyncio.sleep(PAUSE)
    if outcome is None:
        await wait.kiq(task_id, until)
    await context.ack()


async def hand_over(task_id: str, timeout: float = 1800.0) -> None:  # noqa: ASYNC109 - it is stored
    """Hand an id over; ``await broker.startup()`` goes before it, once in the process."""
    await wait.kiq(task_id, time.time() + timeout)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def drain_at_a_signal(_: TaskiqState) -> None:
    """Hand all ids back at the signal: WORKER_SHUTDOWN comes only when no task is left."""
    loop, taskiq_s = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(waits.drain)
        if callable(taskiq_s):
            taskiq_s(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close(_: TaskiqState) -> None:
    """Close the client."""
    await waits.client.aclose()
