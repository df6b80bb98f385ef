"""A table of the user's in the place of a journal."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator

from luma_async import LumaClient, Outcome, OutcomeStore, outcome_from_json, outcome_to_json
from luma_async._ids import Ids
from luma_async.journal import Journal
from luma_async.testing import Script, SimulatedRelay


class Table:
    """A table in a database, as a user might write it."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.execute("CREATE TABLE outcomes (task_id TEXT PRIMARY KEY, line TEXT)")

    async def missing(self, task_ids: Ids) -> AsyncIterator[str]:
        """Yield the ids that have no row."""
        assert isinstance(task_ids, list)
        for task_id in task_ids:
            if not self.db.execute("SELECT 1 FROM outcomes WHERE task_id = ?", (task_id,)).fetchall():
                yield task_id

    async def record(self, outcome: Outcome) -> bool:
        """Insert a row, unless there is one."""
        row = outcome.task_id, outcome_to_json(outcome)
        return self.db.execute("INSERT INTO outcomes VALUES (?, ?) ON CONFLICT DO NOTHING", row).rowcount == 1


async def test_a_table_can_take_the_place_of_a_journal(luma_relay: SimulatedRelay) -> None:
    """The second run waits for what is missing, and each outcome is kept once."""
    table, stores = Table(), list[OutcomeStore]()
    stores += [table, Journal("a-journal-is-one-too.jsonl")]
    ids = [luma_relay.add(script=Script.of("completed")) for _ in range(3)]
    new: list[bool] = []
    async with LumaClient(luma_relay.base_url, luma_relay.api_key) as luma:
        for asked in (ids[:2], ids):
            async with luma.as_completed(table.missing(asked)) as outcomes:
                async for outcome in outcomes:
                    new += [await table.record(outcome), await table.record(outcome)]

    kept = table.db.execute("SELECT line FROM outcomes").fetchall()
    table.db.close()
    assert new == [True, False] * 3
    assert sorted(outcome_from_json(line).task_id for (line,) in kept) == sorted(ids)
