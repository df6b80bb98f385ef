"""The batch: run, run again, and run after trouble."""

from __future__ import annotations

from pathlib import Path

import batch
import pytest

from luma_async import LumaClient
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay


def videos_in(directory: Path) -> set[str]:
    """Return the names of the videos in *directory*."""
    return {path.name for path in directory.glob("*.mp4")}


@pytest.mark.asyncio
async def test_a_second_run_asks_for_nothing(
    luma_time: FastTime, luma_relay: SimulatedRelay, luma_client: LumaClient, tmp_path: Path
) -> None:
    """After the first run, five videos of ten minutes are there."""
    ids = [luma_relay.add(script=Script.completes(pending=300, processing=300)) for _ in range(5)]

    troubles = await batch.run(luma_client, ids, tmp_path)
    asked = len(luma_relay.requests)
    again = await batch.run(luma_client, ids, tmp_path)

    assert (troubles, again) == ([], [])
    assert videos_in(tmp_path) == {f"{task_id}.video.mp4" for task_id in ids}
    assert len(luma_relay.requests) == asked
    assert luma_time.elapsed > 600


@pytest.mark.asyncio
@pytest.mark.usefixtures("luma_time")
async def test_a_broken_download_is_repeated_by_the_next_run(
    luma_relay: SimulatedRelay, luma_client: LumaClient, tmp_path: Path
) -> None:
    """Only that one: an existing file is not touched."""
    broken, good = (luma_relay.add(script=Script.of("completed")) for _ in range(2))
    luma_relay.trouble(Fault.http(500), times=3, task_id=broken, on="media")

    (trouble,) = await batch.run(luma_client, [broken, good], tmp_path)
    again = await batch.run(luma_client, [broken, good], tmp_path)

    assert broken in trouble
    assert again == []
    assert videos_in(tmp_path) == {f"{task_id}.video.mp4" for task_id in (broken, good)}
    assert len(luma_relay.asked_about(good, kind="media")) == 1


@pytest.mark.asyncio
@pytest.mark.usefixtures("luma_time")
async def test_a_run_that_was_killed_before_recording_goes_on(
    luma_relay: SimulatedRelay, luma_client: LumaClient, tmp_path: Path
) -> None:
    """A file without its line in the journal is not an error."""
    task_id = luma_relay.add(script=Script.of("completed"))
    await batch.run(luma_client, [task_id], tmp_path)
    (tmp_path / "journal.jsonl").unlink()

    assert await batch.run(luma_client, [task_id], tmp_path) == []


def test_the_exit_status_says_whether_all_is_there(
    luma_relay: SimulatedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line on standard output names each id that is not; an empty file is done at once."""
    monkeypatch.setenv("LUMA_BASE_URL", luma_relay.base_url)
    monkeypatch.setenv("LUMA_API_KEY", luma_relay.api_key)
    failed = luma_relay.add(script=Script.of("failed"))
    (tmp_path / "ids.txt").write_text(failed, encoding="utf-8")
    (tmp_path / "none.txt").touch()

    statuses = [batch.main([str(tmp_path / name), str(tmp_path / "videos")]) for name in ("ids.txt", "none.txt")]

    assert statuses == [1, 0]
    assert failed in capsys.readouterr().out
