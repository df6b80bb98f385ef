"""The board of all ids, and outcomes as JSON lines."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from luma_async._records import OutcomeRecord, submission_line
from luma_async._text import shown
from luma_async.cli.exit import Status, status_of, worst
from luma_async.cli.output import in_option_names, say, write
from luma_async.errors import DownloadError, GenerationFailedError, LumaError
from luma_async.events import DownloadProgress, Event, StateChanged
from luma_async.outcomes import Outcome

_LONGEST_REASON = 100
"""Characters: a summary should be short, and a thousand reasons should need little memory."""


@define(eq=False)
class Row:
    """An id that is not done yet."""

    started: float
    """Monotonic seconds."""
    state: str = "waiting"
    """The relay's own word, or ours; unescaped."""
    stored: int | None = None
    """Bytes of its file so far; None before the first."""
    total: int = 0
    """Bytes of the whole file; 0 where it is unknown."""


def reason_of(error: LumaError) -> str:
    """Return in a few words why an id failed; the same text for all ids with the same reason."""
    if isinstance(error, DownloadError):
        return f"not stored: {error.reason}"
    if isinstance(error, GenerationFailedError):
        return shown(error.reason or "the relay gave no reason", _LONGEST_REASON)
    return shown(in_option_names(error.summary), _LONGEST_REASON)


@define(eq=False)
class Board:
    """The state of each id that is not done yet, and counts of the others."""

    clock: Callable[[], float] = time.monotonic
    rows: dict[str, Row] = field(factory=dict, init=False)
    """Ids that are not done yet, in the order of their start."""
    ended: Counter[Status] = field(factory=Counter, init=False)
    unfinished: list[str] = field(factory=list, init=False)
    """Ids that were not done in time."""
    has_generation: bool = field(default=False, init=False)
    """Whether any id ended with a generation."""
    reasons: Counter[tuple[Status, str]] = field(factory=Counter, init=False)
    """Why ids failed or ended in errors."""
    skipped: int = 0
    """Ids that had ended before this run."""

    def start(self, task_id: str) -> None:
        """Start with *task_id*."""
        self.rows[task_id] = Row(self.clock())

    def note(self, event: Event) -> None:
        """Note the state or the file of an id that is not done yet, whether or not its row is visible."""
        if isinstance(event, StateChanged):
            self.set_state(event.task_id, event.state_text)
        elif isinstance(event, DownloadProgress) and event.task_id in self.rows:
            row = self.rows[event.task_id]
            row.stored, row.total = event.stored, event.total

    def set_state(self, task_id: str, state: str) -> None:
        """Note the latest state of *task_id*, if it is not done yet."""
        if task_id in self.rows:
            self.rows[task_id].state = state

    def skip(self, status: Status) -> None:
        """Count an id that had ended with *status* before this run."""
        self.ended[status] += 1
        self.skipped += 1

    def end(self, outcome: Outcome) -> Status:
        """Count *outcome* and return its status."""
        self.rows.pop(outcome.task_id, None)
        self.has_generation = self.has_generation or outcome.generation is not None
        status = status_of(outcome)
        self.ended[status] += 1
        if status is Status.UNFINISHED:
            self.unfinished.append(outcome.task_id)
        elif outcome.error is not None:
            self.reasons[status, reason_of(outcome.error)] += 1
        return status

    @property
    def status(self) -> Status:
        """The exit status for all ids that ended."""
        return worst(self.ended)


@define(eq=False)
class Show:
    """Shows outcomes as JSON lines; the base of the table. Both methods raise OutputLostError."""

    board: Board
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def end(self, outcome: Outcome, stored: Path | None = None) -> None:
        """Show *outcome*, and where its medium was *stored*."""
        self.board.end(outcome)
        await self._write(OutcomeRecord.of(outcome, stored).line())
        if stored is not None:
            say(f"stored {stored}")

    async def submitted(self, prompt: str, task_id: str | None, error: LumaError | None) -> None:
        """Show that *prompt* was given *task_id*, or why not."""
        await self._write(submission_line(prompt, task_id, error))

    async def _write(self, line: str) -> None:
        """Write *line* in a thread, after the lines before: a slow reader delays nothing but the lines."""
        async with self._turn:
            await asyncio.to_thread(write, f"{line}\n")
