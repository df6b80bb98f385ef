"""What other processes do: hand ids over, pass callbacks on, make the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from luma_async._checks import check_number
from luma_async._ids import check_task_id, is_task_id
from luma_async._streams import listed
from luma_async.fleet._engine import HINTS, QUEUE, AsyncpgDriver, Queries, QueryQueueBuilder

_TIMEOUT = 1800.0
_NOTIFY = "SELECT pg_notify($1, id) FROM unnest($2::text[]) AS id"


async def enqueue(connection: asyncpg.Connection, ids: Iterable[str], *, timeout: float | None = _TIMEOUT) -> int:  # noqa: ASYNC109 - stored
    """Hand *ids* over to the fleet, in the caller's transaction: a rollback takes them back.

    Args:
        connection: asyncpg's, of the caller.
        ids: Task ids; one that is waited for already is not added again.
        timeout: Seconds from the transaction on, by the database's clock; None waits forever.

    Returns:
        How many are new.

    Raises:
        ConfigurationError: An id or *timeout* is unusable; nothing was handed over.
    """
    query = QueryQueueBuilder().build_enqueue_query("skip")
    return len(await AsyncpgDriver(connection).fetch(query, *columns_of(ids, timeout)))


def enqueue_sync(connection: Any, ids: Iterable[str], *, timeout: float | None = _TIMEOUT) -> int:
    """Do what ``enqueue`` does with a connection of psycopg 3, or ``django.db.connection`` on it."""
    return len(_executed(connection, QueryQueueBuilder().build_enqueue_query("skip"), columns_of(ids, timeout)))


async def notify(connection: asyncpg.Connection, ids: Iterable[str]) -> None:
    """Let the workers poll *ids* soon, because a callback came: a hint, sent when the transaction ends.

    A hint that is lost costs time only. Invalid ids are ignored.
    """
    await connection.execute(_NOTIFY, HINTS, _valid(ids))


def notify_sync(connection: Any, ids: Iterable[str]) -> None:
    """Do what ``notify`` does with a connection of psycopg 3, or ``django.db.connection`` on it."""
    _executed(connection, _NOTIFY, (HINTS, _valid(ids)))


async def install(connection: asyncpg.Connection) -> None:
    """Create PgQueuer's tables, or bring them up to date. Needs the right to create tables."""
    queries = Queries(AsyncpgDriver(connection))
    await (queries.upgrade() if await queries.schema_is_installed() else queries.install())


def columns_of(ids: Iterable[str], timeout: float | None) -> tuple[list[Any], ...]:
    """Return what PgQueuer's query inserts: priority, queue, payload, delay, the key of an open job, headers."""
    check_number(timeout, "timeout", above=0, optional=True)
    span = "none" if timeout is None else str(float(timeout))
    known = dict.fromkeys(map(check_task_id, listed(ids)))
    rows = [(0, QUEUE, f"{span} {each}".encode(), timedelta(0), f"{QUEUE} {each}", "{}") for each in known]
    return tuple(map(list, zip(*rows, strict=True))) if rows else ([],) * 6


def read_payload(payload: bytes | None) -> tuple[float | None, str]:
    """Return timeout and id of a job; raises ValueError for one that another program wrote."""
    span, _, task_id = (payload or b"").decode().partition(" ")
    return None if span == "none" else float(span), task_id


def _executed(connection: Any, query: str, arguments: Sequence[Any]) -> list[Any]:
    """Run PostgreSQL's own *query* with the marks of psycopg; each argument stands once, in its order."""
    with connection.cursor() as cursor:
        cursor.execute(re.sub(r"\$\d+", "%s", query), arguments)
        return list(cursor.fetchall())


def _valid(ids: Iterable[object]) -> list[str]:
    return [each for each in ids if isinstance(each, str) and is_task_id(each)]
