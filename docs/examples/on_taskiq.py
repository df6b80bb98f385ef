"""Waits on Taskiq and RabbitMQ: ``taskiq worker on_taskiq:broker --ack-type when_executed --max-async-tasks 5000``."""

from __future__ import annotations

import os
import time

from taskiq import TaskiqEvents, TaskiqState
from taskiq_aio_pika import AioPikaBroker

from luma_async import LumaClient, Outcome
from luma_async.fleet import Waits

broker = AioPikaBroker(os.environ["AMQP"], qos=5000)
waits = Waits(client=LumaClient())


async def keep(outcome: Outcome) -> None:
    """Store the outcome: yours to write."""


@broker.task
async def wait(task_id: str, until: float) -> None:
    """Wait for one id; what is handed back becomes a new message, so that none is unacknowledged for 30 minutes."""
    outcome = await waits.outcome(task_id, until)
    if outcome is None:
        await wait.kiq(task_id, until)
    else:
        await keep(outcome)


async def hand_over(task_id: str, timeout: float = 1800.0) -> None:  # noqa: ASYNC109 - it is stored
    """Hand an id over."""
    await wait.kiq(task_id, time.time() + timeout)


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def drain(_: TaskiqState) -> None:
    """Hand all ids back."""
    waits.drain()
