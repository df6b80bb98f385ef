"""The live table: open ids with their states, a bar, and above them a line for each id that ended."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Self

from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TransferSpeedColumn,
)
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from luma_async._text import shown
from luma_async.cli.exit import Status
from luma_async.cli.output import OutputLostError, guarded, in_option_names
from luma_async.cli.show import Board, Row, Show
from luma_async.errors import LumaError
from luma_async.outcomes import Outcome

_MOST_ROWS = 20
_USUAL = 40
"""From this many columns on, an id is cut so that state and time fit; below, all columns are cut."""
_BESIDE_STATE = 11
"""Columns of the time and the blanks around it."""
_ROOMY = 72
"""From this many columns on, a file's bar has bytes and speed beside it, else only a percentage."""
_OTHER_LINES = 4
"""Lines of the heading, the count of hidden ids, the bar and the cursor."""
_REFRESH = 0.125
"""Seconds."""
_LONGEST_TROUBLE = 5000
"""Characters of the error of a submit: it may hold the id."""
_LONGEST_LINK = 8192
"""Characters: a presigned link has a few hundred, and a shortened link is useless."""

_WORDS = {
    Status.DONE: ("completed", "green"),
    Status.FAILED: ("failed", "red"),
    Status.UNFINISHED: ("not done", "yellow"),
    Status.ERROR: ("error", "red"),
}


@define(eq=False)
class Table(Show):
    """Shows ids on a terminal. Text of a relay or a user is never read as markup."""

    console: Console
    _ended: list[Text] = field(factory=list, init=False)
    _words: Counter[str] = field(factory=Counter, init=False)
    _bars: dict[str, TaskID] = field(factory=dict, init=False)
    """One for each file that has bytes."""
    _files: Progress = field(init=False)

    def __attrs_post_init__(self) -> None:
        columns: list[ProgressColumn] = [BarColumn(bar_width=8), TaskProgressColumn()]
        if self.console.width >= _ROOMY:
            columns = [BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn()]
        self._files = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="crop")),
            *columns,
            console=self.console,
            auto_refresh=False,
            expand=True,
            get_time=self.board.clock,
        )

    @classmethod
    @asynccontextmanager
    async def live(cls, board: Board, console: Console | None = None) -> AsyncGenerator[Self]:
        """Keep the table on the terminal up to date until the block ends."""
        console = console or Console(highlight=False, markup=False, emoji=False)
        table = cls(board, console)
        to_stderr = sys.stderr is not None and sys.stderr.isatty()
        with _drawn(Live(console=console, auto_refresh=False, redirect_stderr=to_stderr)) as live:
            ticker = asyncio.create_task(table._refresh_forever(live), name="table")
            try:
                yield table
            finally:
                ticker.cancel()
                await asyncio.wait([ticker])
                table.refresh(live)

    async def _refresh_forever(self, live: Live) -> None:
        with suppress(OutputLostError):  # the last refresh raises it again
            while True:
                self.refresh(live)
                await asyncio.sleep(_REFRESH)

    def refresh(self, live: Live) -> None:
        """Draw the table, and write the lines of ended ids, uncut, above it."""
        with guarded():
            live.update(self.picture(), refresh=True)
            if self._ended:
                self.console.print(Text("\n").join(self._ended), soft_wrap=True)
                self._ended.clear()

    async def end(self, outcome: Outcome, stored: Path | None = None) -> None:
        """Show *outcome*, and where its medium was *stored*, with the next refresh."""
        status = self.board.end(outcome)
        if (bar := self._bars.pop(outcome.task_id, None)) is not None:
            self._files.remove_task(bar)
        word, style = _WORDS[status]
        if status is Status.DONE and outcome.generation is not None:
            word = shown(outcome.generation.state, 12)
        before = f" {outcome.elapsed:7.1f} s  {shown(outcome.task_id)}  "
        self._ended.append(Text.assemble((f"{word:<10}", style), before, _result(outcome, stored)))
        self._words[word] += 1

    async def submitted(self, prompt: str, task_id: str | None, error: LumaError | None) -> None:
        """Show that *prompt* was given *task_id*, or why not, with the next refresh."""
        word, style = ("submitted", "") if error is None else _WORDS[Status.ERROR]
        what = shown(task_id) if task_id else shown(in_option_names(str(error)), _LONGEST_TROUBLE)
        self._ended.append(Text.assemble((f"{word:<10}", style), f"  {what}  {shown(prompt)}"))

    def _update_bars(self) -> None:
        """Let the bar of each file grow; it shrinks where a file starts again."""
        for task_id, row in self.board.rows.items():
            if row.stored is not None:
                if task_id not in self._bars:
                    self._bars[task_id] = self._files.add_task(shown(task_id), total=None)
                self._files.update(self._bars[task_id], completed=row.stored, total=row.total or None)

    def picture(self) -> RenderableType:
        """Return the table of the oldest open ids, so that a visible id stays visible until it ends, with the bar."""
        self._update_bars()
        height = self.console.height - _OTHER_LINES
        bars = self._files.tasks[: max(1, height // 2)]
        waiting = (item for item in self.board.rows.items() if item[1].stored is None)
        rows = list(islice(waiting, max(1, min(_MOST_ROWS, height - len(bars)))))
        hidden = len(self.board.rows) - len(rows) - len(bars)
        parts: list[RenderableType] = [self._grid(rows)] if rows else []
        if bars:
            parts.append(self._files.make_tasks_table(bars))
        if hidden:
            parts.append(Text(f"and {hidden} more"))
        return Group(*parts, self._bar())

    def _grid(self, rows: list[tuple[str, Row]]) -> Grid:
        grid = Grid(box=None, pad_edge=False)
        words = max(len(shown(row.state, 24)) for _, row in rows)
        room = self.console.width - words - _BESIDE_STATE if self.console.width >= _USUAL else None
        grid.add_column("task", no_wrap=True, overflow="crop", ratio=1, max_width=room)
        grid.add_column("state", no_wrap=True, overflow="crop")
        grid.add_column("elapsed", justify="right", no_wrap=True)
        now = self.board.clock()
        for task_id, row in rows:
            grid.add_row(Text(shown(task_id)), Text(shown(row.state, 24)), Text(f"{now - row.started:.0f} s"))
        return grid

    def _bar(self) -> RenderableType:
        done = self._words.total()
        total = done + len(self.board.rows)
        counts = ", ".join(f"{count} {word}" for word, count in self._words.items())
        width, count = 24 if self.console.width >= _ROOMY else 8, f"{done}/{total}"
        room = max(1, self.console.width - width - len(count) - 4)
        bar = Grid.grid(Column(), Column(), Column(no_wrap=True, overflow="crop", max_width=room), padding=(0, 1))
        line = ProgressBar(total=max(total, 1), completed=done, width=width, finished_style="green")
        bar.add_row(line, Text(count), Text(counts))
        return bar


@contextmanager
def _drawn(live: Live) -> Generator[Live]:
    """Start and stop *live*; stopping fails on a closed terminal, which has no cursor to restore."""
    with guarded():
        live.start()
    try:
        yield live
    finally:
        with guarded():
            live.stop()


def _result(outcome: Outcome, stored: Path | None) -> Text:
    """Return the file, the error or the link of *outcome*; a link that is safe for a terminal can be clicked."""
    if stored is not None:
        return Text(shown(stored, _LONGEST_LINK), Style(link=stored.absolute().as_uri()))
    if outcome.error is not None:
        advice = f" ({outcome.error.advice})" if outcome.error.advice else ""
        return Text(shown(in_option_names(f"{outcome.error.summary}{advice}"), 600))
    link = (outcome.generation and outcome.generation.video_url) or ""
    is_safe = link.startswith("http") and link.isascii() and link.isprintable() and len(link) <= _LONGEST_LINK
    return Text(shown(link, _LONGEST_LINK), Style(link=link if is_safe else None))
