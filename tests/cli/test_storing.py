"""Downloads beside a wait: what they hold up, and what they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luma_async import Journal, Limits, LumaClient
from luma_async.cli.ids import Ids
from luma_async.cli.options import Files, Waiting
from luma_async.cli.show import Board, Show
from luma_async.cli.work import EarlierRuns, Job, wait
from luma_async.testing import Fault, Script, SimulatedRelay

FAILS = Script.of("failed", failure_reason="no")


@pytest.mark.usefixtures("luma_time")
async def test_videos_that_come_slowly_hold_up_no_other_id(
    luma_relay: SimulatedRelay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids that failed and healthy videos have their lines first, behind more slow videos than places or ids in flight.

    In the journal are all of them by then.
    """
    slow = [luma_relay.add(script=Script.of("completed")) for _ in range(12)]
    failed = [luma_relay.add(script=FAILS) for _ in range(5)]
    healthy = [luma_relay.add(script=Script.of("completed")) for _ in range(5)]
    for task_id in slow:
        luma_relay.trouble(Fault.slow(20.0), times=None, task_id=task_id, on="media")
    limits = Limits(allow_private_media=True, max_downloads=4)
    recorded: list[int] = []

    class Noting(Show):
        """Notes how many ids are in the journal at each line."""

        async def end(self, *outcome: object, is_followed: bool = False) -> None:
            recorded.append(len(journal))
            await super().end(*outcome, is_followed=is_followed)  # type: ignore[arg-type]

    async with (
        LumaClient(luma_relay.base_url, luma_relay.api_key, limits=limits) as luma,
        Journal(tmp_path / "batch.jsonl") as journal,
    ):
        files = Files(directory=tmp_path / "videos")
        job = Job(luma, Ids.of([*slow, *failed, *healthy], None), Noting(Board()), EarlierRuns(journal, files))
        await wait(job, Waiting(max_in_flight=4), files)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["task_id"] for line in lines[:5]] == failed
    assert {line["task_id"] for line in lines[5:10]} == set(healthy)
    assert {line["task_id"] for line in lines[10:]} == set(slow)
    assert {line["path"] for line in lines[5:]} == set(map(str, (tmp_path / "videos").iterdir()))
    assert recorded[5:] == [22] * 17
