"""What commands do with ids: poll each once, wait for them, store their media."""

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
from luma_async.cli.exit import Status, status_of_state
from luma_async.cli.ids import Ids
from luma_async.cli.naming import ResumeCommand
from luma_async.cli.open_ids import OpenIds
from luma_async.cli.options import Files, Waiting
from luma_async.cli.output import goes_to, say
from luma_async.cli.show import Board, Show
from luma_async.cli.summary import Summary
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError, LumaError
from luma_async.journal import Journal
from luma_async.models import State
from luma_async.outcomes import Outcome

T = TypeVar("T")

_POLLS_AT_ONCE = 64
_DOWNLOADS_AT_ONCE = 8
_RECORDS_AT_ONCE = 256
"""Outcomes that wait for the disk together: the journal writes them at once."""


@frozen
class EarlierRuns:
    """The ids that earlier runs have done."""

    journal: Journal
    files: Files | None
    """Where the medium of a completed generation must be for its id to be done."""

    @classmethod
    def of(cls, path: Path | None, files: Files | None = None) -> Self | None:
        """Return the earlier runs of the journal at *path*, or None without one; nothing is opened yet.

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
        """Whether *task_id* is done."""
        if task_id not in self.journal:
            return False
        if self.files is None or self.journal.state(task_id) is not State.COMPLETED:
            return True
        return stored(task_id, self.files.directory, self.files.role) is not None


@frozen
class Job:
    """A client, the ids to work on, and the display of outcomes."""

    luma: LumaClient
    ids: Ids
    show: Show
    earlier: EarlierRuns | None = None

    async def open_ids(self) -> AsyncIterator[str]:
        """Yield the ids that are not done, and put each on the board."""
        async for task_id in self.ids:
            if self.earlier is not None and self.earlier.has(task_id):
                self.show.board.skip(status_of_state(self.earlier.journal.state(task_id)))
            else:
                self.show.board.start(task_id)
                yield task_id

    async def record(self, outcome: Outcome) -> None:
        """Record *outcome*, if there is a journal."""
        if self.earlier is not None:
            await self.earlier.journal.record(outcome)


@asynccontextmanager
async def open_job(  # noqa: PLR0913 - the parts of a job, each by its name
    given: Iterable[str] | Ids,
    path: str | None,
    client: LumaClient,
    *,
    as_json: bool,
    earlier: EarlierRuns | None = None,
    summary: Summary | None = None,
    again: ResumeCommand | None = None,
) -> AsyncGenerator[Job]:
    """Open everything a job needs, and name at its end the ids that are not done.

    Args:
        given: Task ids.
        path: A file with more ids, ``-`` for standard input; None for standard input if no id is *given*.
        client: Closed at the end.
        as_json: Whether to write JSON lines on a terminal too.
        earlier: What earlier runs have done; its journal is open until the end.
        summary: Notes the events of the *client*, and is written at the end.
        again: Goes on with open ids; None if the relay ends with the process.

    Raises:
        ConfigurationError: There is no source of ids, or the journal cannot be opened.
        OutputLostError: Standard output cannot be written.
    """
    board = Board() if summary is None else summary.board
    ids = given if isinstance(given, Ids) else Ids.of(given, path)
    async with AsyncExitStack() as stack:
        if earlier is not None:
            journal = await stack.enter_async_context(earlier.journal)
            if journal:
                say(f"{len(journal)} that have ended before are in {shown(journal.path)}")
        luma = await stack.enter_async_context(client)
        has_ended = earlier.has if earlier is not None else frozenset[str]().__contains__
        stack.enter_context(OpenIds(board, ids, luma, has_ended, again).named_at_end())
        if summary is not None:
            stack.enter_context(_summed_up(luma, summary))
        show = await stack.enter_async_context(showing(board, as_json=as_json))
        yield Job(luma, ids, show, earlier)


@contextmanager
def _summed_up(luma: LumaClient, summary: Summary) -> Generator[None]:
    try:
        yield
    except asyncio.CancelledError:
        summary.write(luma.statistics.requests)
        raise
    summary.write(luma.statistics.requests)


async def run_job(opening: AbstractAsyncContextManager[Job], work: Callable[[Job], Awaitable[None]]) -> Status:
    """Open a job, do its *work*, and return the exit status for its ids."""
    async with opening as opened:
        await work(opened)
        return opened.show.board.status


async def poll_once(job: Job) -> None:
    """Poll each id once."""

    async def poll(task_id: str) -> None:
        for outcome in await job.luma.get_generations([task_id]):
            await job.show.end(outcome)

    await _for_each(job.open_ids(), poll, _POLLS_AT_ONCE)


async def wait(job: Job, waiting: Waiting) -> None:
    """Wait for each id, and show it as it ends."""

    async def settle(outcome: Outcome) -> None:
        await job.record(outcome)
        await job.show.end(outcome)

    async with _outcomes(job, waiting) as outcomes:
        await _for_each(outcomes, settle, _RECORDS_AT_ONCE if job.earlier else 1)


async def fetch(job: Job, waiting: Waiting, files: Files) -> None:
    """Wait for each id, and store its medium as soon as it has completed; a failed download affects no other id."""

    async def store(outcome: Outcome) -> None:
        await job.record(outcome)
        if outcome.generation is None:
            await job.show.end(outcome)
            return
        job.show.board.set_state(outcome.task_id, "storing")
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
    """Do *work* for each of *items*, at most *at_once* together, and take no more items than that."""
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
    return job.luma.as_completed(job.open_ids(), timeout=waiting.timeout, max_in_flight=waiting.max_in_flight)
