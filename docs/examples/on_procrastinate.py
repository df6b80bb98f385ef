"""Waits on Procrastinate and PostgreSQL: ``procrastinate --app=on_procrastinate.app worker --queues=luma``."""

from __future__ import annotations

import os
import time

from procrastinate import App, PsycopgConnector

from luma_async import LumaClient, Outcome
from luma_async.fleet import Waits

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE"]))
waits = Waits(client=LumaClient())


async def keep(outcome: Outcome) -> None:
    """Store the outcome: yours to write."""


@app.task(queue="luma")
async def wait(task_id: str, until: float) -> None:
    """Wait for one id; what is handed back becomes a new job."""
    outcome = await waits.outcome(task_id, until)
    if outcome is None:
        await wait.defer_async(task_id=task_id, until=until)
    else:
        await keep(outcome)


async def hand_over(task_id: str, timeout: float = 1800.0) -> None:  # noqa: ASYNC109 - it is stored
    """Hand an id over."""
    await wait.defer_async(task_id=task_id, until=time.time() + timeout)
