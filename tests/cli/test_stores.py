"""``wait --store``: batches that survive their process in a table of the user's, the one that the docs show."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from luma_async import Outcome, outcome_from_json
from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids
from luma_async.cli.show import Board
from luma_async.cli.stores import Store
from luma_async.testing import Script, SimulatedRelay
from tests.cli.command import FAST, add
from tests.cli.conftest import Command

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples" / "table.py"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The example in the current directory, under a name that is new."""
    monkeypatch.chdir(tmp_path)
    name = f"table_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    return name


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_started_again_it_waits_for_what_the_table_does_not_have(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, module: str
) -> None:
    """A timeout is not kept, each end is kept once, and ids that the table has are not polled."""
    fails = Script.of("failed", failure_reason="the prompt was refused")
    ids = add(luma_relay, [Script.of("completed"), fails, Script.of("processing"), Script.of("completed")])
    store = ("--store", f"{module}:outcomes")
    first = command("wait", *ids[:3], *store, "--timeout", "0.3", *FAST, relay=luma_relay)
    before = len(luma_relay.requests)
    again = command("wait", *ids[:2], ids[3], *store, *FAST, relay=luma_relay)
    with closing(sqlite3.connect(tmp_path / "outcomes.sqlite")) as table:
        kept = [outcome_from_json(line) for (line,) in table.execute("SELECT line FROM outcomes")]

    assert (first.status, again.status) == (4, 0)
    assert ids[2] in first.err
    assert list(again.by_id) == [ids[3]]
    assert {task_id for seen in luma_relay.requests[before:] for task_id in seen.task_ids} == {ids[3]}
    assert sorted(outcome.task_id for outcome in kept) == sorted([ids[0], ids[1], ids[3]])


class Half:
    """Has every id that starts with an a."""

    async def missing(self, task_ids: Any) -> AsyncIterator[str]:
        """Yield the others, the last one first."""
        for task_id in reversed([task_id async for task_id in task_ids if not task_id.startswith("a")]):
            yield task_id

    async def record(self, outcome: Outcome) -> bool:
        """Keep nothing."""
        return outcome.ok


async def test_what_a_store_has_counts_as_done() -> None:
    """In any order; nothing of it stays on the board."""
    board = Board()
    missing = [each async for each in Store.of(Half(), "half").missing(Ids.of(("a1", "b1", "a2", "b2"), None), board)]

    assert missing == ["b2", "b1"]
    assert (list(board.rows), board.ends.skipped, board.status) == (["b1", "b2"], 2, Status.DONE)


BROKEN = """
    class Broken:
        async def missing(self, task_ids):
            async for task_id in task_ids:
                yield task_id

        async def record(self, outcome):
            raise OSError("the table is gone")

    store = Broken()
"""


def test_a_store_that_raises_ends_the_command(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, module: str
) -> None:
    """The error names the store, and what it raised."""
    (tmp_path / f"{module}_broken.py").write_text(dedent(BROKEN), "utf-8")
    (task_id,) = add(luma_relay, [Script.of("completed")])
    ended = command("wait", task_id, "--store", f"{module}_broken:store", *FAST, relay=luma_relay)

    assert ended.status == 1
    assert f"the store {module}_broken:store raised OSError: the table is gone" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--store", "json:dumps"),
        ("--store", "json"),
        ("--store", "luma_async:Journal"),
        ("--store", "a:b", "--journal", "c"),
        ("--store", "a:b", "--download", "c"),
    ],
)
def test_what_cannot_be_a_store_is_refused(command: Command, arguments: tuple[str, ...]) -> None:
    """With status 2, before any request."""
    ended = command("wait", "some-id", *arguments, env={"LUMA_BASE_URL": "http://127.0.0.1:9", "LUMA_API_KEY": "k"})

    assert ended.status == 2
    assert "--store" in ended.err or "OutcomeStore" in ended.err or "module:object" in ended.err
