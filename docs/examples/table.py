"""A table for outcomes, in the place of a journal: ``luma-async wait --from ids.txt --store table:outcomes``."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterable, AsyncIterator, Iterable

from luma_async import Outcome, OutcomeStore, outcome_to_json


class Table:
    """One row for each id that has ended. With another database, only the connection differs."""

    def __init__(self, path: str) -> None:
        """Open the database at *path*, and make the table if it is missing."""
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("CREATE TABLE IF NOT EXISTS outcomes (task_id TEXT PRIMARY KEY, line TEXT)")

    async def missing(self, task_ids: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield the ids that have no row."""
        async for task_id in each(task_ids):
            if self.db.execute("SELECT 1 FROM outcomes WHERE task_id = ?", (task_id,)).fetchone() is None:
                yield task_id

    async def record(self, outcome: Outcome) -> bool:
        """Insert a row, unless there is one; return whether it is new."""
        row = (outcome.task_id, outcome_to_json(outcome))
        return self.db.execute("INSERT INTO outcomes VALUES (?, ?) ON CONFLICT DO NOTHING", row).rowcount == 1


async def each(task_ids: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[str]:
    """Yield the ids of an iterable of either kind."""
    if isinstance(task_ids, AsyncIterable):
        async for task_id in task_ids:
            yield task_id
    else:
        for task_id in task_ids:
            yield task_id


outcomes: OutcomeStore = Table("outcomes.sqlite")
