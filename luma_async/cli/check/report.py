"""What ``check`` shows on a terminal: one row for each finding, and what to do under it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from luma_async._text import shown
from luma_async.cli.check.findings import Finding, Result
from luma_async.cli.output import guarded

_STYLES = {Result.OK: "green", Result.NOTE: "yellow", Result.UNSURE: "yellow", Result.BAD: "bold red"}
_INDENT = 13
"""Columns, where there is room for them; on a narrow terminal two."""
_ROOMY = 60
_LONGEST = 600


def show(base_url: str, findings: Iterable[Finding], console: Console | None = None) -> None:
    """Write *findings* about the relay at *base_url*. Nothing that a relay wrote is taken for markup.

    Raises:
        OutputLostError: It cannot be written.
    """
    console = console or Console(highlight=False, markup=False, emoji=False)
    with guarded():
        console.print(Text(shown(base_url)), soft_wrap=True)
        for finding in findings:
            _show_one(console, finding)


def _show_one(console: Console, finding: Finding) -> None:
    indent = _INDENT if console.width >= _ROOMY else 2
    line = Text.assemble(f"{finding.check:<13}", (f"{finding.result:<6}", _STYLES[finding.result]))
    below = [_support(finding), finding.advice]
    found = shown(finding.found, _LONGEST)
    if console.width >= _ROOMY:
        row = Grid.grid(padding=(0, 2, 0, 0))
        row.add_row(line, Text(found))
        console.print(row)
    else:
        console.print(line)
        below.append(found)
    for text in reversed([text for text in below if text]):
        console.print(Padding(Text(text), (0, 0, 0, indent), expand=False))


def _support(finding: Finding) -> str | None:
    return finding.request_id and f"the relay's support may ask for request {shown(finding.request_id, 80)}"
