"""The board of all ids, fed by events; outcomes as lines on standard output."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection

from attrs import define, field

from luma_async._records import NO_FILES, StoredFiles
from luma_async.cli.ends import Ends
from luma_async.cli.exit import Status, worst
from luma_async.cli.forms import Form, JsonForm
from luma_async.cli.output import say, write
from luma_async.cli.trouble import Trouble
from luma_async.errors import APIError, LumaError
from luma_async.events import DownloadProgress, Event, StateChanged
from luma_async.models import State
from luma_async.outcomes import Outcome

UNSEEN = "waiting"
"""The state of an id before its first good poll."""
_ENOUGH_SUBMITS = 3
"""Submits after which their pace says how long the others take."""


@define(eq=False)
class Row:
    """An id that is not done yet."""

    started: float
    """Monotonic seconds."""
    state: str = UNSEEN
    """The relay's own word, or ours; unescaped."""
    prompt: str = ""
    """Of an id that this command submitted; unescaped."""
    stored: int | None = None
    """Bytes of its file so far; None before the first."""
    total: int = 0
    """Bytes of the whole file; 0 where it is unknown."""


@define(eq=False)
class Submits:
    """How far a batch of submits is."""

    are_all: bool = False
    """Whether nothing follows a submit, because no id is waited for."""
    left: int = 0
    """Rows that are known and not taken up."""
    under_way: int = field(default=0, init=False)
    """Those that the relay refuses for now are among them."""
    _answered: int = field(default=0, init=False)
    _started: float | None = field(default=None, init=False)
    """When the first of them started, in monotonic seconds."""

    def start(self, now: float) -> None:
        """Note that a submit starts."""
        self._started = now if self._started is None else self._started
        self.under_way += 1

    def end(self) -> None:
        """Note the end of one."""
        self.under_way -= 1
        self._answered += 1

    @property
    def open(self) -> int:
        """The number of those that have not ended, as far as it is known."""
        return self.left + self.under_way

    def seconds_left(self, now: float) -> float | None:
        """Estimate the seconds until all have ended, by their pace so far; None while too little is known."""
        if self._started is None or self._answered < _ENOUGH_SUBMITS:
            return None
        return (now - self._started) / self._answered * self.open


@define(eq=False)
class Board:
    """The state of each id that is not done yet, and counts of the others."""

    clock: Callable[[], float] = time.monotonic
    rows: dict[str, Row] = field(factory=dict, init=False)
    """Ids that are not done yet, in the order of their start."""
    states: Counter[str] = field(factory=Counter, init=False)
    """The number of rows in each state: with thousands of ids, nobody counts them again for each picture."""
    entered: dict[State, float] = field(factory=dict, init=False)
    """When an id last came into each state."""
    ends: Ends = field(factory=Ends, init=False)
    has_trouble: bool = False
    """Whether something besides an id went wrong."""
    expected: int = 0
    """Ids in all, as far as they are known before they are taken up."""
    trouble: Trouble = field(init=False)
    submits: Submits = field(factory=Submits, init=False)
    prompts: dict[str, str] = field(factory=dict, init=False)
    """Prompts of submitted ids that are not started yet."""

    def __attrs_post_init__(self) -> None:
        self.trouble = Trouble(self.clock)

    @property
    def done(self) -> int:
        """The number of ids that have ended, in this run or before."""
        return self.ends.statuses.total()

    @property
    def total(self) -> int:
        """The number of all ids that are known."""
        return max(self.expected, self.done + len(self.rows) + self.submits.open)

    @property
    def unstarted(self) -> int:
        """The number of known ids that no wait has started for; a row that is not submitted has none."""
        return self.total - self.done - len(self.rows) - self.submits.open

    def start(self, task_id: str) -> None:
        """Start with *task_id*."""
        self.trouble.start()
        row = self.rows[task_id] = Row(self.clock(), prompt=self.prompts.pop(task_id, ""))
        self.states[row.state] += 1

    def note(self, event: Event) -> None:
        """Note the state or the file of an id that is not done yet, whether or not its row is visible."""
        self.trouble.note(event)
        if isinstance(event, StateChanged):
            self.set_state(event.task_id, event.state_text)
            if event.state_text != event.before:
                self.entered[event.state] = self.clock()
        elif isinstance(event, DownloadProgress) and event.task_id in self.rows:
            row = self.rows[event.task_id]
            row.stored, row.total = event.stored, event.total

    def set_state(self, task_id: str, state: str) -> None:
        """Note the latest state of *task_id*, if it is not done yet."""
        if task_id in self.rows:
            self._leave(self.rows[task_id])
            self.rows[task_id].state = state
            self.states[state] += 1

    def _close(self, task_id: str) -> None:
        """Remove the row of *task_id*, if it has one."""
        if (row := self.rows.pop(task_id, None)) is not None:
            self._leave(row)

    def _leave(self, row: Row) -> None:
        """Count one id less in the state of *row*: a state without ids is not kept."""
        self.states[row.state] -= 1
        if not self.states[row.state]:
            del self.states[row.state]

    def note_trouble(self) -> None:
        """Note that something besides an id went wrong."""
        self.has_trouble = True

    def skip(self, task_id: str, status: Status, *, is_followed: bool = False) -> None:
        """Count an id that had ended with *status* before this run, unless it *is_followed* by another one."""
        self._close(task_id)
        self.ends.skip(status, is_followed=is_followed)

    def end(self, outcome: Outcome, *, is_followed: bool = False) -> Status:
        """Count *outcome* and return its status; one that *is_followed* by another id does not count at the end."""
        self._close(outcome.task_id)
        return self.ends.count(outcome, is_followed=is_followed)

    def expect_submits(self, count: int, *, are_all: bool) -> None:
        """Expect *count* rows to submit; *are_all*: no id is waited for."""
        self.expected = count
        self.submits = Submits(are_all=are_all, left=count)

    def take_row(self) -> None:
        """Note that a row is taken up; one that was submitted before is counted next, another one started."""
        self.submits.left = max(0, self.submits.left - 1)

    def start_submit(self) -> None:
        """Start with a row that was taken up, or whose generation has failed."""
        self.submits.start(self.clock())
        self.trouble.start()

    def end_submit(self, error: LumaError | None) -> None:
        """Note the end of a row that was started; a refusal is an answer too."""
        self.submits.end()
        if error is None or (isinstance(error, APIError) and not error.retryable):
            self.trouble.answered(awaits_more=self.submits.under_way > 0)

    def count_submit(self, prompt: str, task_id: str | None, error: LumaError | None) -> None:
        """Count a row that has an error, or an id that is not waited for; remember the *prompt* of another id."""
        if error is not None or self.submits.are_all:
            self.ends.count_submit(error)
        elif task_id is not None:
            self.prompts[task_id] = prompt

    @property
    def status(self) -> Status:
        """The exit status for all ids that ended."""
        return worst([*self.ends.statuses, Status.ERROR if self.has_trouble else Status.DONE])


@define(eq=False)
class Show:
    """Writes results to standard output. Both methods raise OutputLostError."""

    board: Board
    form: Form = field(factory=JsonForm)
    tells_files: bool = True
    """Whether standard error names each stored file."""
    above: list[str] | None = None
    """Takes the texts where a live table is on the same terminal, and writes them between two pictures."""
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def end(
        self,
        outcome: Outcome,
        stored: StoredFiles = NO_FILES,
        there: Collection[str] = (),
        *,
        is_followed: bool = False,
    ) -> None:
        """Show *outcome*, and where its media are *stored*; those with the roles *there* were so before."""
        self.board.end(outcome, is_followed=is_followed)
        await self._write(self.form.outcome(outcome, stored))
        for role, file in stored.items():
            if file is not None and self.tells_files:
                say(f"{file.path} was there" if role in there else f"stored {file.path}")

    async def submitted(
        self, prompt: str, task_id: str | None, error: LumaError | None, name: str | None = None
    ) -> None:
        """Show that *prompt* was given *task_id*, or why not."""
        self.board.count_submit(prompt, task_id, error)
        await self._write(self.form.submission(prompt, task_id, error, name))

    async def _write(self, text: str) -> None:
        """Write *text* in a thread, after the texts before: a slow reader delays nothing but the lines."""
        if self.above is not None:
            self.above.append(text)
        elif text:
            async with self._turn:
                await asyncio.to_thread(write, text)
