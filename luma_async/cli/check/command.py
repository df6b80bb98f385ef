"""``luma-async check``: polls tasks that do not exist, which costs nothing, and shows what the answers mean."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from uuid import uuid4

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from luma_async._network.cooldown import Cooldown
from luma_async._network.request import Request
from luma_async._network.session import Network
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async._relay.requests import task_path, tasks_body, tasks_path
from luma_async._relay.tasks import read_batch, read_poll
from luma_async._text import shown
from luma_async.cli.check.diagnosis import CheckResult, Reply, Result, diagnose
from luma_async.cli.exit import Status
from luma_async.cli.output import guarded, write
from luma_async.errors import LumaError
from luma_async.settings import PollPolicy, Settings

_STYLES = {Result.OK: "green", Result.NOTE: "yellow", Result.UNSURE: "yellow", Result.BAD: "bold red"}
_INDENT = 13
"""Columns; a narrow terminal has two."""
_ROOMY = 60
_LONGEST = 600
_POLLS = 5
_MAX_FAILURES = 2
"""Polls that may fail before the check stops polling."""


async def check(settings: Settings, *, as_json: bool) -> Status:
    """Poll the relay of *settings* and show the result of each check."""
    async with aclosing(Transport(settings, Network(), Cooldown(PollPolicy()))) as transport:
        found = await examine(transport)
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        write("".join(f"{row.line()}\n" for row in found))
    else:
        show(settings.base_url, found)
    return Status.DONE if all(row.is_good for row in found) else Status.ERROR


async def examine(transport: Transport) -> list[CheckResult]:
    """Make a few polls and one batch query, and return the result of each check."""
    polls: list[Reply] = []
    # Until another poll would show nothing new.
    while len(polls) < _POLLS and sum(not poll.proves for poll in polls) < _MAX_FAILURES:
        task_id = str(uuid4())
        read = partial(read_poll, task_id=task_id, known=None)
        polls.append(await _ask(transport, Request("GET", task_path(transport.settings.dialect, task_id)), read))
        if polls[-1].is_final:
            break
    answered = [poll for poll in polls if poll.answer is not None]
    best, batch = next((poll for poll in polls if poll.proves), polls[-1]), None
    if answered:
        task_ids = [str(uuid4()), str(uuid4())]
        query = Request("POST", tasks_path(transport.settings.dialect), tasks_body(task_ids))
        batch = await _ask(transport, query, partial(read_batch, known=dict.fromkeys(task_ids)))
    return diagnose(best, batch, [poll.seconds for poll in answered])


async def _ask(transport: Transport, request: Request, read: Callable[[Answer], object]) -> Reply:
    time = asyncio.get_running_loop().time
    started, answer, error = time(), None, None
    try:
        answer = await transport.exchange(request, lambda whole: whole)
        read(answer)
    except LumaError as trouble:
        error = trouble
    return Reply(answer, error, time() - started)


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
