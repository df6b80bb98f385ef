"""What the queue of a fleet holds, and who holds it."""

# ruff: noqa: S608 - PgQueuer checks the names of its tables

from __future__ import annotations

from typing import Any

import asyncpg
from attrs import frozen

from luma_async.fleet._engine import QUEUE, REFUSALS, db_settings


@frozen(kw_only=True)
class Holder:
    """A worker that holds ids."""

    name: str
    """Host and process id, or the engine's own id where its connection is gone."""
    ids: int
    heartbeat: float
    """Seconds since its oldest sign of life; beyond the lease, others take its ids."""


@frozen(kw_only=True)
class FleetStatus:
    """What the queue holds."""

    waiting: int
    """Ids that no worker holds."""
    held: int
    parked: int
    """Ids whose ``on_outcome`` kept raising; hand them over again."""
    oldest: float | None
    """Seconds since the oldest of them was handed over."""
    ended_per_minute: int
    """Outcomes that were taken in the last minute."""
    refused_per_minute: int
    """Polls that the relay refused with 429 in the last minute; each id of a refused batch counts."""
    holders: tuple[Holder, ...]


async def status(connection: asyncpg.Connection) -> FleetStatus:
    """Return what the queue holds now."""
    names = db_settings().qualified
    counts = f"""
        SELECT count(*) FILTER (WHERE status = 'queued') AS waiting, count(*) FILTER (WHERE status = 'picked') AS held,
            count(*) FILTER (WHERE status = 'failed') AS parked,
            extract(epoch FROM now() - min(created))::float8 AS oldest,
            (SELECT count(*) FROM {names.queue_table_log} WHERE entrypoint = $1 AND status = 'successful'
                AND created > now() - interval '1 minute') AS ended_per_minute,
            (SELECT coalesce(sum(count), 0)::int FROM {names.statistics_table} WHERE entrypoint = $2
                AND created > now() - interval '1 minute') AS refused_per_minute
        FROM {names.queue_table} WHERE entrypoint = $1"""
    holders = f"""
        SELECT coalesce((SELECT min(application_name) FROM pg_stat_activity WHERE application_name LIKE
                '%' || left(queue_manager_id::text, 8)), queue_manager_id::text) AS name,
            count(*) AS ids, extract(epoch FROM now() - min(heartbeat))::float8 AS heartbeat
        FROM {names.queue_table} WHERE status = 'picked' AND entrypoint = $1
        GROUP BY queue_manager_id ORDER BY ids DESC"""
    row: Any = await connection.fetchrow(counts, QUEUE, REFUSALS)
    return FleetStatus(**row, holders=tuple(Holder(**each) for each in await connection.fetch(holders, QUEUE)))
