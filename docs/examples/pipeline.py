"""A pipeline: task ids come in, videos are waited for, downloaded and published, all at the same time.

Each stage is as fast as the next one lets it be: nothing piles up in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from attrs import define, field

from luma_async import Generation, LumaClient, LumaError

Publish = Callable[[str, Path], Awaitable[None]]

IN_FLIGHT = 100
"""Ids that are waited for at once."""
DOWNLOADS = 4
"""Files that are downloaded and published at once."""


@define
class Report:
    """What became of everything that came in."""

    published: list[str] = field(factory=list)
    troubles: dict[str, str] = field(factory=dict)
    """Task id to what went wrong, in words."""


async def run(luma: LumaClient, incoming: asyncio.Queue[str | None], directory: Path, publish: Publish) -> Report:
    """Publish the video of each id in *incoming*, until None comes; one bad id stops nobody else."""
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
