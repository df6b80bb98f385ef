"""A pipeline: takes task ids, waits for the videos, downloads and publishes them, all at the same time.

Each stage waits for the next one, so no queue grows without limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from attrs import define, field

from luma_async import Generation, LumaClient, LumaError

Publish = Callable[[str, Path], Awaitable[None]]

IN_FLIGHT = 100
"""Ids to wait for at once."""
DOWNLOADS = 4
"""Files to download and publish at once."""


@define
class Report:
    """The result for each id."""

    published: list[str] = field(factory=list)
    troubles: dict[str, str] = field(factory=dict)
    """Task id to the error, as text."""


async def run(luma: LumaClient, incoming: asyncio.Queue[str | None], directory: Path, publish: Publish) -> Report:
    """Publish the video of each id in *incoming*, until None comes; one bad id stops no other."""
    report = Report()
    done: asyncio.Queue[Generation | None] = asyncio.Queue(maxsize=DOWNLOADS)
    async with asyncio.TaskGroup() as group:
        for _ in range(DOWNLOADS):
            group.create_task(_deliver(luma, done, directory, publish, report))
        async with luma.as_completed(_ids_from(incoming), max_in_flight=IN_FLIGHT) as outcomes:
            async for outcome in outcomes:
                if outcome.generation is None:
                    report.troubles[outcome.task_id] = str(outcome.error)
                else:
                    await done.put(outcome.generation)
        for _ in range(DOWNLOADS):
            await done.put(None)
    return report


async def _ids_from(incoming: asyncio.Queue[str | None]) -> AsyncIterator[str]:
    while (task_id := await incoming.get()) is not None:
        yield task_id


async def _deliver(
    luma: LumaClient, done: asyncio.Queue[Generation | None], directory: Path, publish: Publish, report: Report
) -> None:
    while (generation := await done.get()) is not None:
        try:
            path = await luma.download(generation, directory)
        except LumaError as error:
            report.troubles[generation.id] = str(error)
        else:
            await publish(generation.id, path)
            report.published.append(generation.id)
