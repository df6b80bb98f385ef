"""Chooses lines or a table for standard output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from luma_async.cli.output import OutputLostError, is_lost
from luma_async.cli.show import Board, Show

_READER_CHECK = 0.5
"""Seconds."""


@asynccontextmanager
async def showing(board: Board, *, as_json: bool) -> AsyncGenerator[Show]:
    """Show *board* as a live table on a terminal, else as JSON lines; *as_json* chooses lines everywhere.

    Raises:
        OutputLostError: Alone or in a group: standard output is closed.
    """
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_watch_reader())
            yield Show(board)
            reader.cancel()
        return
    from luma_async.cli.table import Table  # noqa: PLC0415 - only a terminal needs rich

    async with Table.live(board) as table:
        yield table


async def _watch_reader() -> None:
    """Raise as soon as a pipe is closed: the next write, which would fail, may be half an hour away."""
    while True:
        if is_lost(sys.stdout):
            raise OutputLostError(BrokenPipeError())
        await asyncio.sleep(_READER_CHECK)
