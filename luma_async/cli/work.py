"""What commands do with ids: poll each once, wait for them, store their media, name those that are not done."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import filterfalse
from pathlib import Path
from typing import Self, TypeVar

from attrs import evolve, frozen

from luma_async._disk.files import measured
from luma_async._text import shown
from luma_async.cli.display import showing, stop_said
from luma_async.cli.executing import Execution, Program, executing
from luma_async.cli.exit import Status, status_of_state, worst
from luma_async.cli.forms import Form, JsonForm, QuietForm
from luma_async.cli.ids import Ids
from luma_async.cli.naming import ResumeCommand, name_all, name_each, name_few
from luma_async.cli.options import Files, Lines, Waiting
from luma_async.cli.output import (
    goes_to,
    is_closed_pipe,
    is_terminal,
    say,
    write,
)
from luma_async.cli.progress import Progress
from luma_async.cli.running import is_stopping
from luma_async.cli.show import Board, Show
from luma_async.cli.stores import Store
from luma_async.cli.storing import is_stored, store_media
from luma_async.cli.summary import Summary
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError
from luma_async.journal import Journal
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome

T = TypeVar("T")

_POLLS_AT_ONCE = 64
_RECORDS_AT_ONCE = 256
"""Outcomes that wait for the disk together: the journal writes them at once."""
_MOST_TO_STORE = 10_000
"""Outcomes that wait for their files, with about 10 KB each; their number may hold up others, their files never do."""


@frozen
class EarlierRuns:
    """The ids that earlier runs have done."""

    journal: Journal
    files: Files | None
    """Where the medium of a completed generation must be for its id to be done."""

    @classmethod
    def of(cls, path: Path | None, files: Files | None = None) -> Self | None:
        """Return the earlier runs of the journal at *path*, or None without one; nothing is opened yet."""
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
        files, state = self.files, self.journal.state(task_id)
        if files is None or state is not State.COMPLETED:
            return True
        return not files.overwrite and all(is_stored(self.journal, task_id, role, files) for role in files.roles)


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
                is_followed = self.ids.ended(task_id, None)
                status = status_of_state(self.earlier.journal.state(task_id))
                self.show.board.skip(task_id, status, is_followed=is_followed)
            else:
                self.show.board.start(task_id)
                yield task_id


@asynccontextmanager
async def open_job(  # noqa: PLR0913 - the parts of a job, each by its name
    client: LumaClient,
    ids: Ids,
    output: Lines,
    *,
    stores: bool = False,
    waits: bool = True,
    earlier: EarlierRuns | None = None,
    summary: Summary | None = None,
    again: ResumeCommand | None = None,
) -> AsyncGenerator[Job]:
    """Open everything a job needs, and name at its end the ids that are not done.

    Args:
        client: Closed at the end.
        ids: Task ids.
        output: How results look, and whether progress is shown.
        stores: Whether media are stored.
        waits: Whether ids are waited for, and summed up at the end.
        earlier: What earlier runs have done; its journal is open until the end.
        summary: Notes the events of the *client*.
        again: Goes on with open ids; None if the relay ends with the process.
    """
    board = Board() if summary is None else summary.board
    known = ids.known() or []
    board.expected = max(board.expected, len(known))
    async with AsyncExitStack() as stack:
        if earlier is not None:
            journal = await stack.enter_async_context(earlier.journal)
            if journal and not output.quiet:
                say(_had_ended(journal, known, board.expected))
        luma = await stack.enter_async_context(client)
        stack.enter_context(_open_ids_named(board, ids, luma, earlier, again))
        if summary is not None:
            stack.enter_context(_summed_up(luma, summary, is_whole=waits))
        board.trouble.relay, board.trouble.good_polls = luma.relay_address, lambda: luma.statistics.polls
        progress = Progress(board, lambda: luma.statistics)
        show = _show(board, _form(output, stores=stores, waits=waits))
        await stack.enter_async_context(showing(progress, output, show))
        yield Job(luma, ids, show, earlier)


@contextmanager
def _summed_up(luma: LumaClient, summary: Summary, *, is_whole: bool) -> Generator[None]:
    try:
        yield
    except asyncio.CancelledError:
        summary.write(luma.statistics.requests, is_whole=is_whole)
        raise
    summary.write(luma.statistics.requests, is_whole=is_whole)


def _had_ended(journal: Journal, known: list[str], count: int) -> str:
    """Return how many of the *known* ids had ended, of *count* in all; of a pipe, only what the journal holds."""
    if not count:
        return f"{len(journal)} that have ended before are in {shown(journal.path)}"
    return f"{sum(task_id in journal for task_id in known)} of {count} had ended, as {shown(journal.path)} says"


def _form(output: Lines, *, stores: bool = False, waits: bool = False, lists: bool = False) -> Form:
    """Return how results look: lines for a person on a terminal, else JSON lines."""
    if output.quiet:
        return QuietForm(has_files=stores, waits=waits)
    if output.as_json or output.brief or not is_terminal(sys.stdout):
        return JsonForm(brief=output.brief)
    from luma_async.cli.lines import HumanForm  # noqa: PLC0415 - only a terminal needs rich

    return HumanForm(shows_age=lists)


def _show(board: Board, form: Form) -> Show:
    return Show(board, form, tells_files=isinstance(form, JsonForm))  # other forms have the file in their line


@contextmanager
def _open_ids_named(
    board: Board, ids: Ids, luma: LumaClient, earlier: EarlierRuns | None, again: ResumeCommand | None
) -> Generator[None]:
    """Name the ids that were not done in time; where the block raises, all that are not done."""

    def name(task_ids: list[str], what: str, repeatable: Callable[[str, list[str]], None]) -> None:
        """Name *task_ids*: by the function *repeatable* if the same command can have them again, else all."""
        # Without a good poll, the relay may know none of them.
        are_known = board.ends.has_generation or luma.statistics.polls > 0
        goes_on = "; their generations go on at the relay" if are_known and again is not None else ""
        heading = f"{what.format(len(task_ids))}{goes_on}"
        if ids.are_repeatable:
            repeatable(heading, task_ids)
        else:
            name_all(heading, task_ids, again)

    try:
        yield
    except BaseException as error:
        has_ended = earlier.has if earlier is not None else frozenset[str]().__contains__
        # After a signal; and where the ids are lost, unless a closed pipe means that its reader has enough.
        are_lost = not ids.are_repeatable and not is_closed_pipe(error)
        if is_stopping() or are_lost or isinstance(error, asyncio.CancelledError):
            left = [*board.ends.unfinished, *board.rows, *filterfalse(has_ended, ids.remaining())]
            name(left, "stopped with {} not done", partial(name_few, command=again))
            for line in board.trouble.lines() if left or board.submits.open else ():
                say(f"trouble: {line}")
        raise
    name(board.ends.unfinished, "{} not done in time", name_each)


async def run_job(opening: AbstractAsyncContextManager[Job], work: Callable[[Job], Awaitable[None]]) -> Status:
    """Open a job, do its *work*, and return the exit status for its ids."""
    async with opening as opened:
        await work(opened)
        without = opened.ids.without
        if without:
            say(f"{without} JSON line{'' if without == 1 else 's'} without a task_id")
        return worst([opened.show.board.status, Status.ERROR if without else Status.DONE])


async def poll_once(job: Job) -> None:
    """Poll each id once."""

    async def poll(task_id: str) -> None:
        for outcome in await job.luma.get_generations([task_id]):
            if outcome.generation is not None:
                job.show.board.trouble.answered(awaits_more=len(job.show.board.rows) > 1)
            await job.show.end(outcome)

    await _for_each(job.open_ids(), poll, _POLLS_AT_ONCE)


async def list_recent(client: LumaClient, limit: int, output: Lines, board: Board | None = None) -> Status:
    """Show the key's newest generations, at most *limit*; *board* notes the events of the *client*."""
    began, board = time.monotonic(), board or Board()
    async with client as luma:
        show = _show(Board(), _form(output, lists=True))
        board.trouble.relay = luma.relay_address
        board.trouble.start()
        with stop_said("stopped before the relay has listed anything", board.trouble):
            async with showing(Progress(board), output):
                generations = await luma.recent(limit)
        for generation in generations:
            elapsed = time.monotonic() - began
            if output.quiet:
                write(f"{generation.id}\n")
            else:
                await show.end(Outcome(task_id=generation.id, generation=generation, elapsed=elapsed, polls=1))
    if not generations and not output.quiet:
        say("the key has no generations")
    return Status.DONE


async def wait_into(store: Store, job: Job, waiting: Waiting) -> None:
    """Wait for each id that *store* does not have, and record and show it as it ends."""

    async def settle(outcome: Outcome) -> None:
        await store.record(outcome)
        await job.show.end(outcome, is_followed=job.ids.ended(outcome.task_id, outcome))

    async with store.opened():
        ids = store.missing(job.ids, job.show.board)
        opening = job.luma.as_completed(ids, timeout=waiting.timeout, max_in_flight=waiting.max_in_flight)
        async with opening as outcomes:
            await _for_each(outcomes, settle, _RECORDS_AT_ONCE)


async def wait(job: Job, waiting: Waiting, files: Files | None = None) -> None:
    """Wait for each id, and record and show it as it ends.

    With *files*, an id whose generation has completed is shown when its medium is stored, or could not be. Meanwhile it
    holds up no other id.
    """
    room = asyncio.Semaphore(_MOST_TO_STORE)

    async def settle(outcome: Outcome) -> None:
        if job.earlier is not None:
            await job.earlier.journal.record(outcome)
        is_followed = job.ids.ended(outcome.task_id, outcome)
        if files is None or outcome.generation is None:
            await job.show.end(outcome, is_followed=is_followed)
        else:
            job.show.board.set_state(outcome.task_id, "storing")
            await room.acquire()
            ended = storing.create_task(_store(job, outcome, outcome.generation, files, execution))
            ended.add_done_callback(lambda _: room.release())

    opening = job.luma.as_completed(job.open_ids(), timeout=waiting.timeout, max_in_flight=waiting.max_in_flight)
    execution_of = executing(_program(files), job.show.board.note_trouble)
    async with execution_of as execution, opening as outcomes, asyncio.TaskGroup() as storing:
        await _for_each(outcomes, settle, _RECORDS_AT_ONCE if job.earlier else 1)


def _program(files: Files | None) -> Program | None:
    return None if files is None or files.exec_ is None else Program.of(files.exec_)


async def _store(job: Job, outcome: Outcome, generation: Generation, files: Files, execution: Execution | None) -> None:
    """Store the media of *outcome* and show it; what cannot be stored is an error of this id alone.

    The *execution* starts after the line is written: the line never waits for it.
    """
    journal = None if job.earlier is None else job.earlier.journal
    result = await store_media(job.luma, files, generation, journal)
    if journal is not None and any(result.paths.values()):
        await journal.record(outcome, files=result.paths)
    if result.error is not None:
        outcome = evolve(outcome, generation=None, error=result.error)
    await job.show.end(outcome, await asyncio.to_thread(measured, result.paths), result.there)
    for role, path in result.paths.items():
        if execution is not None and path is not None and role not in result.there:
            execution.start(path)


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
