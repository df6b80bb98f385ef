"""Waits on Docket and Redis: ``docket worker --docket luma --tasks on_docket:tasks --concurrency 5000``."""

from __future__ import annotations

import time
from uuid import uuid4

from docket import CurrentDocket, Docket

from luma_async import LumaClient, Outcome
from luma_async.fleet import Waits

waits = Waits(client=LumaClient())


async def keep(outcome: Outcome) -> None:
    """Store the outcome: yours to write."""


async def wait(task_id: str, until: float, docket: Docket = CurrentDocket()) -> None:  # noqa: B008 - its way
    """Wait for one id; what is handed back becomes a new task, whose key has to differ."""
    outcome = await waits.outcome(task_id, until)
    if outcome is None:
        await docket.add(wait, key=f"{task_id} {uuid4()}")(task_id, until)
    else:
        await keep(outcome)


async def hand_over(docket: Docket, task_id: str, timeout: float = 1800.0) -> None:  # noqa: ASYNC109 - it is stored
    """Hand an id over; one that is there already is not added again."""
    await docket.add(wait, key=task_id)(task_id, time.time() + timeout)


tasks = [wait]
