"""The pipeline, from its queue to its publications; minutes of generating take no time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pipeline
import pytest

from luma_async import LumaClient
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay


@pytest.mark.asyncio
async def test_everything_comes_out_somewhere(
    luma_time: FastTime, luma_relay: SimulatedRelay, luma_client: LumaClient, tmp_path: Path
) -> None:
    """Good videos are published once, and each bad one is reported with its reason, while ids still come in."""
    incoming: asyncio.Queue[str | None] = asyncio.Queue()
    published: dict[str, Path] = {}

    async def submit() -> tuple[list[str], str, str]:
        good = []
        for _ in range(10):
            good.append(luma_relay.add(script=Script.completes(pending=60, processing=120)))
            incoming.put_nowait(good[-1])
            await asyncio.sleep(30)
        refused = luma_relay.add(script=Script.fails(reason="the prompt was refused"))
        lost = luma_relay.add(script=Script.of("completed"))
        luma_relay.trouble(Fault.http(410), times=None, task_id=lost, on="media")
        for task_id in (refused, lost, None):
            incoming.put_nowait(task_id)
        return good, refused, lost

    async def publish(task_id: str, path: Path) -> None:
        published[task_id] = path

    submitting = asyncio.create_task(submit())
    report = await pipeline.run(luma_client, incoming, tmp_path, publish)
    good, refused, lost = await submitting

    assert sorted(report.published) == sorted(published) == sorted(good)
    assert all(path.read_bytes().endswith(f"{task_id}/video.mp4".encode()) for task_id, path in published.items())
    assert report.troubles.keys() == {refused, lost}
    assert "the prompt was refused" in report.troubles[refused]
    assert luma_time.elapsed > 300
