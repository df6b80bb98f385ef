"""A batch: downloads the videos of all ids in a file. You can stop it at any time and start it again.

Run it as ``python batch.py ids.txt videos/``, with ``LUMA_BASE_URL`` and ``LUMA_API_KEY`` in the environment. The exit
status is 0 if all videos are there, else 1. The next run asks only for the missing ones.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from luma_async import DownloadError, Journal, LumaClient, Outcome

TIMEOUT = 3600.0
"""Seconds for each id."""


async def run(luma: LumaClient, task_ids: Iterable[str], directory: Path) -> list[str]:
    """Download the missing videos to *directory*, which exists; return a line for each id without a video."""
    troubles: list[str] = []
    async with (
        Journal(directory / "journal.jsonl") as journal,
        luma.as_completed(journal.missing(task_ids), timeout=TIMEOUT) as outcomes,
    ):
        async for outcome in outcomes:
            trouble = await _store(luma, outcome, directory)
            if trouble is not None:
                troubles.append(trouble)
                if outcome.ok:
                    continue  # it is not recorded, so the next run downloads it again
            await journal.record(outcome)
    return troubles


async def _store(luma: LumaClient, outcome: Outcome, directory: Path) -> str | None:
    """Return what went wrong, if anything did."""
    if outcome.generation is None:
        return str(outcome.error)
    try:
        await luma.download(outcome.generation, directory)
    except DownloadError as error:
        if error.reason != "exists":  # the last run was stopped before it recorded this one
            return str(error)
    return None


async def _run_with_own_client(task_ids: list[str], directory: Path) -> list[str]:
    async with LumaClient() as luma:
        return await run(luma, task_ids, directory)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Downloads the videos of all ids in a file.")
    parser.add_argument("ids", type=Path, help="a file with one task id a line")
    parser.add_argument("directory", type=Path, help="where the videos go")
    asked = parser.parse_args(arguments)
    asked.directory.mkdir(parents=True, exist_ok=True)
    task_ids = asked.ids.read_text(encoding="utf-8").split()
    troubles = asyncio.run(_run_with_own_client(task_ids, asked.directory))
    for trouble in troubles:
        print(trouble)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
