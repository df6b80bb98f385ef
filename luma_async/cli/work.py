"""What the commands do with ids: look at each, wait for them, store what they made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self, TypeVar

from attrs import evolve, frozen

from luma_async._media.files import stored
from luma_async._text import shown
from luma_async.cli.display import showing
from luma_async.cli.exit import Status, fate_in
from luma_async.cli.ids import Ids
from luma_async.cli.naming import LineToGoOn
from luma_async.cli.options import Files, Waiting
from luma_async.cli.output import goes_to, say
from luma_async.cli.reckoning import Reckoning
from luma_async.cli.show import Board, Show
from luma_async.cli.summary import Summary
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError, LumaError
from luma_async.journal import Journal
from luma_async.models import State
from luma_async.outcomes import Outcome

T = TypeVar("T")

_LOOKS_AT_ONCE = 64
_DOWNLOADS_AT_ONCE = 8
_RECORDS_AT_ONCE = 256
"""Outcomes that may wait for the disk together: the journal writes them in one go."""


@frozen
class Kept:
    """What earlier runs have done."""

    journal: Journal
    files: Files | None
    """Where a completed generation's medium must be too, for there to be nothing left to do."""

    @classmethod
    def of(cls, path: Path | None, files: Files | None = None) -> Self | None:
        """Return what is kept in the journal at *path*, if one was asked for; nothing is opened yet.

        Raises:
            ConfigurationError: Standard output goes into the same file.
        """
        if path is None:
            return None
        if goes_to(path):
            raise ConfigurationError(
                f"standard output goes to the journal {shown(path)} too", advice="it gets the same lines: redirect none"
            )
        return cls(Journal(path), files)

    def has(self, task_id: str) -> bool:
        """Whether nothing is left to do for *task_id*."""
        if task_id not in self.journal:
            return False
        if self.files is None or self.journal.state(task_id) is not State.COMPLETED:
            return True
        return stored(task_id, self.files.directory, self.files.role) is not None


@frozen
class Job:
    """Whom to ask, about which ids, and where to show what comes of it."""

    luma: LumaClient
    ids: Ids
    show: Show
    kept: Kept | None = None

    async def begun(self) -> AsyncIterator[str]:
        """Yield the ids for which something is left to do, and show each as it is taken up."""
        async for task_id in self.ids:
            if self.kept is not None and self.kept.has(task_id):
                self.show.board.leave_out(fate_in(self.kept.journal.state(task_id)))
            else:
                self.show.board.begin(task_id)
                yield task_id

    async def keep(self, outcome: Outcome) -> None:
        """Record *outcome*, if there is a journal."""
        if self.kept is not None:
            await self.kept.journal.record(outcome)


@asynccontextmanager
async def open_job(  # noqa: PLR0913 - whom, about what, and who is told, each by its name
    given: Iterable[str] | Ids,
    path: str | None,
    client: LumaClient,
    *,
    as_json: bool,
    kept: Kept | None = None,
    summary: Summary | None = None,
    again: LineToGoOn | None = None,
) -> AsyncGenerator[Job]:
    """Open everything a job needs, and say at its end which ids are not done.

    Args:
        given: Task ids.
        path: A file with more, ``-`` for standard input; None for standard input if no id is *given*.
        client: Closed at the end.
        as_json: Whether to write JSON lines on a terminal too.
        kept: What earlier runs have done; its journal is open until the end.
        summary: Notes the events of the *client*, and is written at the end.
        again: Goes on with ids that are not done; None if the relay ends with the process.

    Raises:
        ConfigurationError: There is nothing to read ids from, or the journal cannot be opened.
        OutputLostError: Standard output takes nothing more.
    """
    board = Board() if summary is None else summary.board
    ids = given if isinstance(given, Ids) else Ids.of(given, path)
    async with AsyncExitStack() as stack:
        if kept is not None:
            journal = await stack.enter_async_context(kept.journal)
            if journal:
                say(f"{len(journal)} that have ended before stand in {shown(journal.path)}")
        luma = await stack.enter_async_context(client)
        has_ended = kept.has if kept is not None else frozenset[str]().__contains__
        stack.enter_context(Reckoning(board, ids, luma, has_ended, again).told())
        if summary is not None:
            stack.enter_context(_summed_up(luma, summary))
        show = await stack.enter_async_context(showing(board, as_json=as_json))
        yield Job(luma, ids, show, kept)


@contextmanager
def _summed_up(luma: LumaClient, summary: Summary) -> Generator[None]:
    try:
        yield
    except asyncio.CancelledError:
        summary.write(luma.statistics.requests)
        raise
    summary.write(luma.statistics.requests)


async def done(opening: AbstractAsyncContextManager[Job], work: Callable[[Job], Awaitable[None]]) -> Status:
    """Open a job, do its *work*, and return the exit status for what came of its ids."""
    async with opening as opened:
        await work(opened)
        return opened.show.board.status


async def look(job: Job) -> None:
    """Look once at each id."""

    async def look_at(task_id: str) -> None:
        for outcome in await job.luma.get_generations([task_id]):
            await job.show.end(outcome)

    await _for_each(job.begun(), look_at, _LOOKS_AT_ONCE)


async def wait(job: Job, waiting: Waiting) -> None:
    """Wait for each id, and show it as it ends."""

    async def settle(outcome: Outcome) -> None:
        await job.keep(outcome)
        await job.show.end(outcome)

    async with _outcomes(job, waiting) as outcomes:
        await _for_each(outcomes, settle, _RECORDS_AT_ONCE if job.kept else 1)


async def fetch(job: Job, waiting: Waiting, files: Files) -> None:
    """Wait for each id, and store its medium as soon as it has completed; one that cannot be stored harms no other."""

    async def store(outcome: Outcome) -> None:
        await job.keep(outcome)
        if outcome.generation is None:
            await job.show.end(outcome)
            return
        job.show.board.see(outcome.task_id, "storing")
        try:
            path = await job.luma.download(
                outcome.generation,
                files.directory,
                role=files.role,
                overwrite=files.overwrite,
            )
        except LumaError as error:
            await job.show.end(evolve(outcome, generation=None, error=error))
        else:
            await job.show.end(outcome, path)

    async with _outcomes(job, waiting) as outcomes:
        await _for_each(outcomes, store, _DOWNLOADS_AT_ONCE)


async def _for_each(items: AsyncIterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Do *work* for each of *items*, so many *at_once*, and take no more items than that."""
    slots = asyncio.Semaphore(at_once)

    async def one(item: T) -> None:
        try:
            await work(item)
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        async for item in items:
            await slots.acquire()
            group.create_task(one(item))


def _outcomes(job: Job, waiting: Waiting) -> AbstractAsyncContextManager[AsyncIterable[Outcome]]:
    return job.luma.as_completed(job.begun(), timeout=waiting.timeout, max_in_flight=waiting.max_in_flight)
