"""``luma-async submit``: rows in, task ids out, each as soon as the relay has submitted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Literal, cast

from attrs import define, field, frozen

from luma_async._records import ReceiptRecord
from luma_async._text import shown
from luma_async.cli.exit import Status, worst
from luma_async.cli.ids import Ids
from luma_async.cli.manifests import Row
from luma_async.cli.naming import ResumeCommand, name_all
from luma_async.cli.options import Files, Output, Waiting
from luma_async.cli.output import OutputLostError, is_lost, say
from luma_async.cli.pauses import Pauses
from luma_async.cli.receipts import Receipts
from luma_async.cli.retries import Retries
from luma_async.cli.rows import Rows
from luma_async.cli.running import grace_period, is_stopping
from luma_async.cli.show import Show
from luma_async.cli.summary import Summary
from luma_async.cli.work import EarlierRuns, open_job, wait
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError, JournalError, LumaError, RateLimitError, UncertainSubmitError
from luma_async.options import SubmitRecord
from luma_async.outcomes import Outcome

_Place = Literal["here", "relay"]
"""Where a row is: here, or with the relay, which may take it."""
_UNKNOWN = "it is unknown whether the relay took these: look at its log"
_REFUSED = 400
"""Only a refusal in the HTTP status is certain enough to submit again (contract section 3)."""
_LAST_ANSWERS = 10.0
"""Seconds from a signal for submits without an answer: they are paid for, and only their answers have the ids."""


@frozen
class _Submit:
    """A prompt, with its task id or its error."""

    prompt: str
    task_id: str | None
    error: LumaError | None

    @property
    def uncertain(self) -> str | None:
        """The prompt, with what may be its id, if it is unknown whether the relay took it."""
        if not isinstance(self.error, UncertainSubmitError):
            return None
        ids = ", ".join(self.error.candidates)
        return f"{self.prompt} ({ids})" if ids else self.prompt


@define(eq=False)
class RowRecord(SubmitRecord):
    """What became of one row: its receipt, and whether it is with the relay."""

    row: Row
    receipts: Receipts | None
    move: Callable[[_Place], None]
    """Called with the place of the row when that changes."""
    _open: ReceiptRecord | None = field(default=None, init=False)

    async def before_sending(self) -> None:
        """Record that the relay may take the row; raises as ``Receipts.start``.

        If this is cancelled, the receipt says that the row was not sent.
        """
        if self.receipts is not None:
            starting = asyncio.ensure_future(self.receipts.start(self.row))
            try:
                self._open = await asyncio.shield(starting)
            except asyncio.CancelledError:
                self._open = await starting
                await self.end(error=LumaError("the run ended before it was sent"))
                raise
        self.move("relay")

    async def before_pause(self, error: LumaError, seconds: float) -> None:  # noqa: ARG002 - for a display
        """Record that the relay has not taken the row; raises as ``Receipts.end``."""
        await self.end(error=error)
        self.move("here")

    async def end(self, *, task_id: str | None = None, error: LumaError | None = None) -> None:
        """Record the answer; a row that was never sent has no receipt. Raises as ``Receipts.end``."""
        receipt, self._open = self._open, None
        if self.receipts is not None and receipt is not None:
            await self.receipts.end(receipt, task_id=task_id, error=error)


@frozen
class Submitter:
    """Submits rows, each with a receipt on the disk before and after, where receipts are kept."""

    luma: LumaClient
    receipts: Receipts | None = None

    def earlier(self, row: Row) -> _Submit | None:
        """Return what became of *row* in an earlier run; None if it is to be submitted."""
        if self.receipts is None:
            return None
        try:
            receipt = self.receipts.earlier(row)
        except ConfigurationError as error:
            return _Submit(row.prompt, None, error)
        return None if receipt is None else _Submit(row.prompt, receipt.task_id, receipt.trouble())

    @property
    def unknown(self) -> str:
        """What is said of submits without an answer; with receipts, the next run can repeat them."""
        return _UNKNOWN if self.receipts is None else f"{_UNKNOWN}; --repeat-open submits them again"

    async def submit(self, row: Row, move: Callable[[_Place], None] = lambda _: None) -> str:
        """Submit *row*; raises as ``LumaClient.submit`` and ``Receipts``.

        While the relay may take it, its receipt is open, and *move* was called for that; if this is cancelled
        then, the receipt stays open.
        """
        record = RowRecord(row, self.receipts, move)
        try:
            task_id = await self.luma.submit(row.prompt, row.options, record=record)
        except LumaError as error:
            await record.end(error=error)
            raise
        await record.end(task_id=task_id)
        return task_id


@define(eq=False)
class _UnderWay:
    """The submits that have no end yet."""

    unknown: str
    """What a list of submits says that the relay may have taken."""
    _started: dict[asyncio.Task[None], Row] = field(factory=dict, init=False)
    """Their rows, in their order."""
    _with_relay: set[asyncio.Task[None]] = field(factory=set, init=False)
    """Those that the relay may take; the others wait for their turn, or the relay has refused them for now."""

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter([*self._started])

    def add(self, task: asyncio.Task[None], row: Row) -> None:
        """Note a submit that begins."""
        self._started[task] = row
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Forget a submit that has ended, unless it was stopped before the relay could take it."""
        if task in self._with_relay or not task.cancelled():
            del self._started[task]
        self._with_relay.discard(task)

    def held(self) -> dict[asyncio.Task[None], Row]:
        """Return the rows of submits that the relay cannot have taken."""
        return {task: row for task, row in self._started.items() if task not in self._with_relay}

    async def last_answers(self) -> None:
        """Wait a moment for the ids of rows that the relay may take, and name those that are unknown then."""
        if not self._with_relay:
            return
        say(f"{len(self._with_relay)} submitted: waiting {_LAST_ANSWERS:g} s for their ids; Ctrl-C gives them up")
        try:
            await asyncio.wait([*self._with_relay], timeout=_LAST_ANSWERS)
        finally:
            left = [row.prompt for task, row in self._started.items() if task in self._with_relay]
            name_all(self.unknown, left)

    def move(self, task: asyncio.Task[None], place: _Place) -> None:
        """Note the place of the row of *task*; after a signal, none is sent again."""
        if place == "relay":
            self._with_relay.add(task)
            return
        self._with_relay.discard(task)
        if is_stopping():
            task.cancel()


@define(eq=False, kw_only=True)
class Submissions(Ids):
    """The ids of submitted prompts as an async iterator, so that a wait can start with each as it arrives."""

    submitter: Submitter
    rows: Rows
    at_once: int
    again: ResumeCommand
    """Goes on with the submitted ids."""
    rest: ResumeCommand | None = None
    """Submits the prompts that were not; None: the same command does it, by its receipts."""
    retries: Retries | None = None
    _available: Iterator[str] = field(factory=lambda: iter(()), init=False)
    _taken: asyncio.Queue[str | Exception | None] = field(factory=asyncio.Queue, init=False)
    """Ids, then the error that ended the submits, or None."""
    _under_way: _UnderWay = field(init=False)
    _pauses: Pauses = field(factory=Pauses, init=False)
    _submitted: list[_Submit] = field(factory=list, init=False)
    _slots: asyncio.Semaphore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.at_once)
        self._under_way = _UnderWay(self.submitter.unknown)

    async def __anext__(self) -> str:
        match await self._taken.get():
            case str(task_id):
                return task_id
            case None:
                raise StopAsyncIteration
            case error:
                raise error

    def known(self) -> list[str]:
        """Return the ids of rows that earlier runs have submitted, before any is taken up."""
        earlier = map(self.submitter.earlier, self.rows.known() or [])
        return [each.task_id for each in earlier if each is not None and each.task_id is not None]

    def remaining(self) -> list[str]:
        """Return the ids that no wait has started for."""
        left = [self._taken.get_nowait() for _ in range(self._taken.qsize())]
        return [task_id for task_id in left if isinstance(task_id, str)]

    @property
    def has_failed(self) -> bool:
        """Whether any submit has, or got the id of another one."""
        return any(each.error for each in self._submitted) or len(self._seen) < len(self._submitted)

    @asynccontextmanager
    async def under_way(self, show: Show) -> AsyncGenerator[None]:
        """Submit the prompts and pass each result to *show*; however the block ends, no paid id is lost."""
        dispatcher = asyncio.create_task(self._dispatch(show))
        try:
            with grace_period(_LAST_ANSWERS + 1.0):
                try:
                    yield
                finally:
                    for task in (dispatcher, *self._under_way.held()):
                        task.cancel()
                    await self._under_way.last_answers()
        finally:
            tasks = [dispatcher, *self._under_way]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _dispatch(self, show: Show) -> None:
        again = asyncio.create_task(self._submit_again(show))
        try:
            await self._submit_rows(show)
            await again
            if started := [*self._under_way]:
                await asyncio.wait(started)
        except LumaError as error:
            self._taken.put_nowait(error)
        finally:
            again.cancel()
        self._taken.put_nowait(None)

    async def _submit_rows(self, show: Show) -> None:
        """Submit each row that no earlier run has submitted."""
        while True:
            await self._slots.acquire()
            row = await anext(self.rows, None)
            if row is None:
                self._slots.release()
                break
            show.board.take_row()
            if self.retries is not None:
                self.retries.take_up()
            if (earlier := self.submitter.earlier(row)) is None:
                self._start(row, show)
            else:
                self._slots.release()
                await self._tell(row, earlier, show)
        if self.retries is not None:
            self.retries.has_all()

    async def _submit_again(self, show: Show) -> None:
        while self.retries is not None and await self.retries.any():
            await self._slots.acquire()
            self._start(self.retries.next(), show)

    def _start(self, row: Row, show: Show) -> None:
        """Submit *row* in a task, which gives its slot back."""
        show.board.start_submit()
        self._under_way.add(asyncio.create_task(self._submit(row, show)), row)

    async def _submit(self, row: Row, show: Show) -> None:
        task_id: str | None = None
        error: LumaError | None = None
        try:
            task_id = await self._submit_in_turn(row)
        except JournalError as trouble:
            task_id, error = trouble.task_id, None if trouble.task_id is not None else trouble
            self._taken.put_nowait(trouble)  # without receipts, no other row may be submitted
        except LumaError as trouble:
            error = trouble
        finally:
            self._slots.release()
        show.board.end_submit(error)
        await self._tell(row, _Submit(row.prompt, task_id, error), show)

    async def _tell(self, row: Row, submitted: _Submit, show: Show) -> None:
        """Show what was *submitted*, and let a wait for its id start."""
        self._submitted.append(submitted)
        new_id = submitted.task_id if submitted.task_id and self._is_new(submitted.task_id) else None
        if submitted.task_id != new_id:
            say(f"the relay gave the id {shown(submitted.task_id)} to two submits: {shown(row.prompt)}")
            show.board.expected -= 1
        if self.retries is not None:
            self.retries.submitted(row, new_id)
        try:
            await show.submitted(row.prompt, submitted.task_id, submitted.error, row.name)
        except OutputLostError as lost:
            self._name([submitted])
            self._taken.put_nowait(lost)
        else:
            if new_id is not None:
                self._taken.put_nowait(new_id)

    async def _submit_in_turn(self, row: Row) -> str:
        """Submit *row*, after pauses where the relay says that there are too many requests or jobs for now."""
        move = partial(self._under_way.move, cast("asyncio.Task[None]", asyncio.current_task()))
        while True:
            try:
                task_id = await self.submitter.submit(row, move)
            except RateLimitError as refusal:
                if refusal.status < _REFUSED or is_stopping():
                    raise
                trouble = refusal
            else:
                self._pauses.submitted()
                return task_id
            move("here")
            await self._pauses.after(trouble)

    def ended(self, task_id: str, outcome: Outcome | None) -> bool:
        """As of ``Ids``: a failed generation may be submitted again."""
        return self.retries is not None and self.retries.ended(task_id, outcome)

    def name_uncertain(self) -> None:
        """Name the submits that only the user can decide about: with receipts, the next run can repeat them."""
        if self.submitter.receipts is not None:
            name_all(self.submitter.unknown, [each.uncertain for each in self._submitted if each.uncertain])

    def _name(self, submitted: list[_Submit]) -> None:
        """Name submits that may be paid for."""
        paid = [each.task_id for each in submitted if each.task_id is not None]
        name_all("submitted, and not written to standard output", paid, self.again)
        name_all(_UNKNOWN, [each.uncertain for each in submitted if each.uncertain])

    @contextmanager
    def losses_named(self) -> Generator[None]:
        """Name what an early end would lose: prompts that were not submitted, and submits on a closed terminal."""
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        try:
            yield
        finally:
            if on_terminal and is_lost(sys.stdout):
                self._name(self._submitted)
            if is_stopping():
                again = [] if self.retries is None else self.retries.remaining()
                left = [*self._under_way.held().values(), *again, *self.rows.remaining()]
                if self.rest is not None:
                    self.rows.name_rest(left, self.rest)
                else:
                    prompts = [row.prompt for row in left]
                    name_all("not submitted; the same command, started again, does it", prompts)


def _had_been_submitted(receipts: Receipts, rows: list[Row] | None) -> str:
    """Return how many of the *rows* were submitted; of a pipe, only the number of all receipts is known."""
    place = f"as {shown(receipts.path)} says"
    if rows is None:
        return f"{receipts.taken} had been submitted, {place}"
    return f"{sum(receipts.attempts(row) > 0 for row in rows)} of {len(rows)} had been submitted, {place}"


async def submit(  # noqa: PLR0913 - what the command line gives
    submissions: Submissions,
    waiting: Waiting | None,
    files: Files | None,
    *,
    earlier: EarlierRuns | None,
    output: Output,
    summary: Summary,
) -> Status:
    """Submit, wait for the generations unless *waiting* is None, and return the exit status."""
    opening = open_job(
        submissions.submitter.luma,
        submissions,
        output,
        stores=files is not None,
        waits=waiting is not None,
        earlier=earlier,
        summary=summary,
        again=submissions.again,
    )
    async with AsyncExitStack() as stack:
        if (receipts := submissions.submitter.receipts) is not None:
            await stack.enter_async_context(receipts)
            if receipts.taken and not output.quiet:
                say(_had_been_submitted(receipts, submissions.rows.known()))
        stack.enter_context(submissions.losses_named())
        summary.board.expect_submits(len(submissions.rows.known() or []), are_all=waiting is None)
        job = await stack.enter_async_context(opening)
        if submissions.retries is not None and earlier is not None:
            await submissions.retries.learn(earlier.journal)
        async with submissions.under_way(job.show):
            if waiting is not None:
                await wait(job, waiting, files)
            else:
                async for _ in job.ids:
                    """Each has been shown."""
        submissions.name_uncertain()
        return worst([job.show.board.status, Status.ERROR if submissions.has_failed else Status.DONE])
