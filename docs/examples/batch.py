"""A batch: the videos of all ids in a file, in a run that may be interrupted at any time and started again.

Run it as ``python batch.py ids.txt videos/``, with ``LUMA_BASE_URL`` and ``LUMA_API_KEY`` in the environment. The exit
status is 0 if everything is there, else 1; running it again asks only for what is missing.
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
    """Download what is missing in *directory*, which exists; return a line for each id that is not there in the end."""
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
        if error.reason != "exists":  # the last run was ended before it could record this one
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
