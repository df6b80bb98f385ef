"""A fleet as a user writes it: outcomes go into a table. DATABASE, LUMA_BASE_URL and LUMA_API_KEY are set."""

from __future__ import annotations

import os

import asyncpg

from luma_async import Outcome, outcome_to_json
from luma_async.fleet import Fleet

_INSERT = """INSERT INTO outcomes (task_id, line) VALUES ($1, $2)
    ON CONFLICT (task_id) DO UPDATE SET times = outcomes.times + 1"""


async def keep(outcome: Outcome) -> None:
    """Keep the outcome once; count how often it came."""
    if outcome.task_id.startswith("poison"):
        raise RuntimeError("the table refuses it")
    connection = await asyncpg.connect(os.environ["DATABASE"])
    try:
        await connection.execute(_INSERT, outcome.task_id, outcome_to_json(outcome, brief=True))
    finally:
        await connection.close()


app = Fleet(os.environ.get("DATABASE"), on_outcome=keep, lease=5.0, max_outage=3.0)
