"""``luma-async check --explain``: shows what is read from one captured answer."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from luma_async._ids import check_task_id
from luma_async._records import LONGEST_LINE
from luma_async._text import shown
from luma_async.cli.check.captured import read_captured
from luma_async.cli.check.explained import Field, explain
from luma_async.cli.exit import Status
from luma_async.cli.ids import opened
from luma_async.cli.output import guarded, write
from luma_async.dialect import Dialect
from luma_async.errors import ConfigurationError

_ROOMY = 60
"""Columns."""
_INDENT = 16
"""Columns; a narrow terminal has two."""


async def show_explanation(source: str, dialect: Dialect, task_id: str | None, *, as_json: bool) -> Status:
    """Show what is read from the answer in the file *source*; the status says whether a wait can use it."""
    if task_id is not None:
        check_task_id(task_id)
    fields, is_usable = explain(read_captured(_content(source)), dialect, task_id)
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        write("".join(f"{field.line()}\n" for field in fields))
    else:
        draw(fields)
    return Status.DONE if is_usable else Status.ERROR


def _content(source: str) -> bytes:
    missing = ConfigurationError("there is no answer", advice="give a file, or an answer on standard input")
    advice = "give the file of one captured answer"
    try:
        with opened(source, missing, advice) as file:
            content = file.read(LONGEST_LINE + 1)
    except OSError as error:
        raise ConfigurationError(f"{shown(source)} cannot be read: {error.strerror}", advice=advice) from None
    if len(content) > LONGEST_LINE:
        raise ConfigurationError(f"{shown(source)} has more than {LONGEST_LINE} bytes", advice=advice)
    return content


def draw(fields: Iterable[Field], console: Console | None = None) -> None:
    """Write *fields* to a terminal. Text of a relay is never read as markup."""
    console = console or Console(highlight=False, markup=False, emoji=False)
    is_roomy = console.width >= _ROOMY
    with guarded():
        for field in fields:
            value = [] if field.value is None else [Text(str(field.value), "bold")]
            told = [Text(text) for text in (field.place and f"at {field.place}", field.note) if text]
            first, *below = [*value, *told] or [Text("-")]
            grid = Grid.grid(padding=(0, 2, 0, 0))
            grid.add_row(Text(f"{field.field:<14}" if is_roomy else f"{field.field}:"), first)
            console.print(grid)
            for text in below:
                console.print(Padding(text, (0, 0, 0, _INDENT if is_roomy else 2), expand=False))
