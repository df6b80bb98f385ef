"""What is shown while a command works, and what is said when a signal ends a command without ids."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from luma_async.cli.options import Lines
from luma_async.cli.output import OutputLostError, is_lost, is_terminal, say, warnings_said
from luma_async.cli.progress import Progress
from luma_async.cli.show import Show
from luma_async.cli.trouble import Trouble

_READER_CHECK = 0.5
"""Seconds."""


@asynccontextmanager
async def showing(progress: Progress, output: Lines, show: Show | None = None) -> AsyncGenerator[None]:
    """Show the *progress* on standard error: as a live table on a terminal, else as a line each minute.

    Without a *show* there are no results meanwhile, and the table leaves nothing behind.
    """
    is_shown = not (output.quiet or output.no_progress)
    has_table = is_shown and is_terminal(sys.stderr)
    async with AsyncExitStack() as stack:
        stack.enter_context(warnings_said(quiet=output.quiet, has_table=has_table))
        if not is_terminal(sys.stdout):
            await stack.enter_async_context(_reader_watched())
        if has_table:
            from luma_async.cli.table import Table  # noqa: PLC0415 - only a terminal needs rich

            table = await stack.enter_async_context(Table.live(progress, stays=show is not None))
            if show is not None:
                show.above = table.above if is_terminal(sys.stdout) else None
        elif is_shown:
            await stack.enter_async_context(progress.reported())
        yield


@contextmanager
def stop_said(what: str, trouble: Trouble) -> Generator[None]:
    """Say *what* a signal ends, and what is wrong at the relay."""
    try:
        yield
    except asyncio.CancelledError:
        say(what)
        for line in trouble.lines():
            say(f"trouble: {line}")
        raise


@asynccontextmanager
async def _reader_watched() -> AsyncGenerator[None]:
    """Raise as soon as a pipe is closed: the next write, which would fail, may be half an hour away."""
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(_watch_reader())
        yield
        reader.cancel()


async def _watch_reader() -> None:
    while True:
        if is_lost(sys.stdout):
            raise OutputLostError(BrokenPipeError())
        await asyncio.sleep(_READER_CHECK)
