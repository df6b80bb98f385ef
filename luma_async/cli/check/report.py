"""What ``check`` shows on a terminal: one row for each check, with the advice below it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from luma_async._text import shown
from luma_async.cli.check.diagnosis import CheckResult, Result
from luma_async.cli.output import guarded

_STYLES = {Result.OK: "green", Result.NOTE: "yellow", Result.UNSURE: "yellow", Result.BAD: "bold red"}
_INDENT = 13
"""Columns; a narrow terminal has two."""
_ROOMY = 60
_LONGEST = 600


def show(base_url: str, rows: Iterable[CheckResult], console: Console | None = None) -> None:
    """Write *rows* about the relay at *base_url*. Text of a relay is never read as markup."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    with guarded():
        console.print(Text(shown(base_url)), soft_wrap=True)
        for row in rows:
            _show_one(console, row)


def _show_one(console: Console, row: CheckResult) -> None:
    indent = _INDENT if console.width >= _ROOMY else 2
    line = Text.assemble(f"{row.check:<13}", (f"{row.result:<6}", _STYLES[row.result]))
    support = row.request_id and f"the relay's support may ask for request {shown(row.request_id, 80)}"
    below = [support, row.advice]
    found = shown(row.found, _LONGEST)
    if console.width >= _ROOMY:
        grid = Grid.grid(padding=(0, 2, 0, 0))
        grid.add_row(line, Text(found))
        console.print(grid)
    else:
        console.print(line)
        below.append(found)
    for text in reversed([text for text in below if text]):
        console.print(Padding(Text(text), (0, 0, 0, indent), expand=False))
