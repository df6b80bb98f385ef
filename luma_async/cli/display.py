"""The way of showing that suits standard output: lines, or a table."""

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
    """Show what stands on *board* in the way that suits standard output; *as_json* decides for JSON lines.

    Raises:
        OutputLostError: Alone or in a group: its reader has gone.
    """
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_until_reader_goes())
            yield Show(board)
            reader.cancel()
        return
    from luma_async.cli.table import Table  # noqa: PLC0415 - rich's live display is for terminals alone

    async with Table.live(board) as table:
        yield table


async def _until_reader_goes() -> None:
    """End everything as soon as a pipe is closed: the next outcome, which would notice, may be half an hour away."""
    while True:
        if is_lost(sys.stdout):
            raise OutputLostError(BrokenPipeError())
        await asyncio.sleep(_READER_CHECK)
