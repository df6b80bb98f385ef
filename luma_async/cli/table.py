"""The live table on standard error: open ids with their states, a bar, counts, the time, and what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import islice
from typing import Self

from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as FileBars
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from luma_async._text import shown
from luma_async.cli.durations import spelled
from luma_async.cli.fitting import fitted_id, fitted_words
from luma_async.cli.output import OutputLostError, harmless, write
from luma_async.cli.progress import Progress
from luma_async.cli.show import Board, Row

_MOST_ROWS = 20
_ROOMY = 72
"""From this many columns on, bars are long, and a file's bar has bytes and speed beside it, else a percentage."""
_OTHER_LINES = 4
"""Lines of the heading, the count of hidden ids, the bar and the cursor."""
_REFRESH = 0.125
"""Seconds."""
_FLASH = 0.25
"""Seconds; a command that is over before shows its results only."""
_LONGEST_ID = 2000
"""Characters; the terminal's width is what counts."""
_GAP = 2
"""Columns between two columns of rich's tables."""
_USUAL_ID, _LEAST_ID = 36, 8
"""Columns: a longer id than a UUID leaves half of the width to others."""
_LEAST_PROMPT = 8
"""Columns; a shorter piece of a prompt says nothing."""


@define(eq=False)
class Table:
    """Shows ids on a terminal. Text of a relay or a user is never read as markup."""

    progress: Progress
    console: Console
    above: list[str] = field(factory=list, init=False)
    """Texts for standard output, which is the same terminal: written between two pictures."""
    _bars: dict[str, TaskID] = field(factory=dict, init=False)
    """One for each file that has bytes."""
    _files: FileBars = field(init=False)

    def __attrs_post_init__(self) -> None:
        columns: list[ProgressColumn] = [BarColumn(bar_width=8), TaskProgressColumn()]
        if self.console.width >= _ROOMY:
            columns = [BarColumn(bar_width=20), DownloadColumn(), TransferSpeedColumn()]
        self._files = FileBars(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="crop")),
            *columns,
            console=self.console,
            auto_refresh=False,
            expand=True,
            get_time=self.board.clock,
        )

    @property
    def board(self) -> Board:
        """The ids."""
        return self.progress.board

    @classmethod
    @asynccontextmanager
    async def live(
        cls, progress: Progress, console: Console | None = None, *, stays: bool = True
    ) -> AsyncGenerator[Self]:
        """Keep the table on the terminal of standard error up to date until the block ends.

        Its last picture *stays* there, or is cleared.

        Raises:
            OutputLostError: Standard output cannot take the texts *above* the table; raised at the end of the block.
        """
        table = cls(progress, console or Console(stderr=True, highlight=False, markup=False, emoji=False))
        live = Live(console=table.console, auto_refresh=False, redirect_stdout=False, transient=not stays)
        with _drawn(live):
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
        """Draw the table; where there are texts for above it, clear it first, and write them."""
        if self.above:
            if live.is_started:
                with harmless():
                    live.update(Text(), refresh=True)
            write("".join(self.above))
            self.above.clear()
        if live.is_started or self.progress.elapsed >= _FLASH:
            with harmless():
                live.start()
                live.update(self.picture(), refresh=True)

    def _update_bars(self) -> None:
        """Let the bar of each file grow; it shrinks where a file starts again, and goes with its id."""
        for task_id in [ended for ended in self._bars if ended not in self.board.rows]:
            self._files.remove_task(self._bars.pop(task_id))
        for task_id, row in self.board.rows.items():
            if row.stored is not None:
                if task_id not in self._bars:
                    room = self.console.width // 2
                    name = fitted_id(shown(task_id, _LONGEST_ID), room)
                    self._bars[task_id] = self._files.add_task(name, total=None)
                self._files.update(self._bars[task_id], completed=row.stored, total=row.total or None)

    def picture(self) -> RenderableType:
        """Return the table of the oldest open ids, so that a visible id stays visible until it ends, with the bar."""
        self._update_bars()
        notes = self._notes()
        others = _OTHER_LINES + sum(len(note.wrap(self.console, self.console.width)) for note in notes)
        height = self.console.height - others
        bars = self._files.tasks[: max(1, height // 2)]
        waiting = (item for item in self.board.rows.items() if item[1].stored is None)
        rows = list(islice(waiting, max(1, min(_MOST_ROWS, height - len(bars)))))
        hidden = len(self.board.rows) - len(rows) - len(bars)
        parts: list[RenderableType] = [self._grid(rows)] if rows else []
        if bars:
            parts.append(self._files.make_tasks_table(bars))
        if hidden:
            parts.append(Text(f"and {hidden} more"))
        if self.board.total:
            parts.append(self._bar())
        return Group(*parts, *notes)

    def _notes(self) -> list[Text]:
        """Return what is under the bar: how ids ended, states, times, and what is wrong."""
        lines = [self.progress.ends(), self.progress.states(), self.progress.times()]
        troubles = [Text(line, "yellow") for line in self.progress.troubles()]
        return [*(Text(line) for line in lines if line), *troubles]

    def _grid(self, rows: list[tuple[str, Row]]) -> Grid:
        grid = Grid(box=None, pad_edge=False)
        now, width = self.board.clock(), self.console.width
        states = [fitted_words(shown(row.state, 60), 24) for _, row in rows]
        times = [spelled(now - row.started) for _, row in rows]
        beside = max(5, *map(len, states)) + max(7, *map(len, times)) + 2 * _GAP
        most = max(_LEAST_ID, min(width - beside, max(_USUAL_ID, (width - beside) // 2)))
        ids = [fitted_id(shown(task_id, _LONGEST_ID), most) for task_id, _ in rows]
        room = width - beside - max(4, *map(len, ids)) - _GAP
        grid.add_column("task", no_wrap=True, overflow="crop")
        grid.add_column("state", no_wrap=True, overflow="crop")
        grid.add_column("elapsed", justify="right", no_wrap=True)
        has_prompts = room >= _LEAST_PROMPT and any(row.prompt for _, row in rows)
        if has_prompts:
            grid.add_column("prompt", no_wrap=True, overflow="crop")
        for name, state, elapsed, (_, row) in zip(ids, states, times, rows, strict=True):
            prompt = [Text(fitted_words(shown(row.prompt), room))] if has_prompts else []
            grid.add_row(Text(name), Text(state), Text(elapsed), *prompt)
        return grid

    def _bar(self) -> RenderableType:
        board, width = self.board, 24 if self.console.width >= _ROOMY else 8
        bar = Grid.grid(Column(), Column(), padding=(0, 1))
        line = ProgressBar(total=max(board.total, 1), completed=board.done, width=width, finished_style="green")
        bar.add_row(line, Text(self.progress.ended()))
        return bar


@contextmanager
def _drawn(live: Live) -> Generator[Live]:
    """Stop *live*, if it was started; a closed terminal has no cursor to restore."""
    try:
        yield live
    finally:
        with harmless():
            live.stop()
