"""The fleet of ``tests.fleet.measure``: outcomes go into a table, through few connections."""

from __future__ import annotations

import asyncio
import os

import asyncpg

from luma_async import LumaClient, Outcome, PollPolicy, outcome_to_json
from luma_async.fleet import Fleet

_INSERT = """INSERT INTO outcomes (task_id, line) VALUES ($1, $2)
    ON CONFLICT (task_id) DO UPDATE SET times = outcomes.times + 1"""
_pools: dict[asyncio.AbstractEventLoop, asyncpg.Pool] = {}


async def keep(outcome: Outcome) -> None:
    """Keep the outcome once; count how often it came."""
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = asyncpg.create_pool(os.environ["DATABASE"], min_size=0, max_size=4)
    await (await _pools[loop]).execute(_INSERT, outcome.task_id, outcome_to_json(outcome, brief=True))


def client() -> LumaClient:
    """Poll four times as often as in life."""
    interval = float(os.environ["INTERVAL"])
    longest = float(os.environ["LONGEST"])
    policy = PollPolicy(initial_interval=interval, max_interval=longest, min_interval=2 / 4)
    return LumaClient(polling=policy)


app = Fleet(os.environ.get("DATABASE"), on_outcome=keep, client=client, lease=float(os.environ.get("LEASE", "60")))
