"""``luma-async check``: polls tasks that do not exist, which costs nothing, and shows what the answers mean."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from secrets import token_hex
from uuid import uuid4

from attrs import evolve
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text
from yarl import URL

from luma_async._network.cooldown import Cooldown
from luma_async._network.proxies import is_proxy_ignored
from luma_async._network.request import Request
from luma_async._network.session import Network
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async._relay.requests import task_path, tasks_body, tasks_path
from luma_async._relay.tasks import read_batch, read_poll
from luma_async._text import shown
from luma_async.cli.check.diagnosis import CheckResult, Result, diagnose, without_repeated_path
from luma_async.cli.check.evidence import Evidence, Reply
from luma_async.cli.display import showing, stop_said
from luma_async.cli.exit import Status
from luma_async.cli.options import Lines
from luma_async.cli.output import guarded, write
from luma_async.cli.progress import Progress
from luma_async.cli.show import Board
from luma_async.cli.trouble import Trouble
from luma_async.dialect import Dialect
from luma_async.errors import LumaError
from luma_async.events import TryFailed
from luma_async.settings import PollPolicy, Secret, Settings

_STYLES = {Result.OK: "green", Result.NOTE: "yellow", Result.UNSURE: "yellow", Result.BAD: "bold red"}
_INDENT = 13
"""Columns; a narrow terminal has two."""
_ROOMY = 60
_LONGEST = 600
_POLLS = 5
_TRIES = 3
"""Times that a request is made whose answer is only trouble, where a poll went well."""
_MAX_FAILURES = 2
"""Polls that may fail before the check stops polling."""


async def check(settings: Settings, network: Network, *, as_json: bool, board: Board | None = None) -> Status:
    """Poll the relay of *settings* through *network* and show the result of each check; *board* notes trouble."""
    stranger, board = evolve(settings, api_key=Secret(f"sk-{token_hex(24)}")), board or Board()
    ours, theirs = (_transport(each, network) for each in (settings, stranger))
    async with aclosing(ours), aclosing(theirs):
        board.trouble.relay = ours.place
        board.trouble.start()
        with stop_said("stopped before the check was over", board.trouble):
            async with showing(Progress(board), Lines()):
                found = [*await examine(ours, theirs, partial(_note, board.trouble)), *proxy_rows(settings, network)]
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        write("".join(f"{row.line()}\n" for row in found))
    else:
        show(settings.base_url, found)
    return Status.DONE if all(row.is_good for row in found) else Status.ERROR


def _transport(settings: Settings, network: Network) -> Transport:
    return Transport(settings, network, Cooldown(PollPolicy()))


def proxy_rows(settings: Settings, network: Network) -> list[CheckResult]:
    """Return a row if the environment names a proxy for the relay that is not used."""
    if settings.trust_env or network.proxy is not None or not is_proxy_ignored(URL(settings.base_url)):
        return []
    found = "the environment names a proxy for this address (HTTPS_PROXY or similar), and it is not used"
    return [CheckResult("proxy", Result.NOTE, found, advice="give --trust-env to use it")]


def _note(trouble: Trouble, reply: Reply) -> None:
    if reply.is_trouble and reply.error is not None:
        trouble.note(TryFailed(error=reply.error, seconds=0.0))
    else:
        trouble.answered(awaits_more=True)


async def examine(
    ours: Transport, theirs: Transport, note: Callable[[Reply], None] = lambda _: None
) -> list[CheckResult]:
    """Ask a few times about tasks that do not exist, and return the result of each check.

    Args:
        ours: Sends the user's key.
        theirs: Sends a wrong key to the same relay.
        note: Called with each reply.
    """
    poll = partial(_poll, note)
    polls: list[Reply] = []
    # Until another poll would show nothing new.
    while len(polls) < _POLLS and sum(reply.is_trouble for reply in polls) < _MAX_FAILURES:
        polls.append(await poll(ours, task_path))
        if polls[-1].is_final:
            break
    answered = [reply for reply in polls if reply.answer is not None]
    best = next((reply for reply in polls if not reply.is_trouble), polls[-1])
    evidence = Evidence(poll=best, may_batch=ours.settings.dialect.tasks_path is not None)
    if answered:
        tries = 1 if evidence.poll.is_trouble else _TRIES
        evidence = evolve(
            evidence,
            absent=await _tried(tries, partial(poll, ours, _absent_path)),
            elsewhere=await _tried(tries, partial(poll, ours, _distant_path)),
            wrong_key=await _tried(tries, partial(poll, theirs, task_path)),
            wrong_both=await _tried(tries, partial(poll, theirs, _absent_path)),
            batch=await _tried(tries, partial(_query, note, ours)) if evidence.may_batch else None,
        )
    rows = diagnose(evidence, [reply.seconds for reply in answered])
    return without_repeated_path(rows, ours.settings.base_url, ours.settings.dialect.task_path)


def _absent_path(dialect: Dialect, task_id: str) -> str:
    """Return a path that no relay has, beside the path of a task."""
    generations, _, _ = task_path(dialect, task_id).rpartition("/")
    return f"{generations.rpartition('/')[0]}/{uuid4()}/{task_id}"


def _distant_path(_: Dialect, task_id: str) -> str:
    """Return a path that no relay has, far from the path of a task."""
    return f"/{uuid4()}/{task_id}"


async def _tried(tries: int, ask: Callable[[], Awaitable[Reply]]) -> Reply:
    """Return the first answer that is not trouble, or the last one; a limit may be one request a second."""
    reply = await ask()
    for pause in range(1, tries):
        if not reply.is_trouble:
            break
        await asyncio.sleep(pause)
        reply = await ask()
    return reply


async def _poll(note: Callable[[Reply], None], transport: Transport, path_of: Callable[[Dialect, str], str]) -> Reply:
    task_id, dialect = str(uuid4()), transport.settings.dialect
    request = Request("GET", path_of(dialect, task_id))
    reply = await _ask(transport, request, partial(read_poll, task_id=task_id, known=None, dialect=dialect))
    note(reply)
    return reply


async def _query(note: Callable[[Reply], None], transport: Transport) -> Reply:
    task_ids, dialect = [str(uuid4()), str(uuid4())], transport.settings.dialect
    query = Request("POST", tasks_path(dialect), tasks_body(task_ids))
    reply = await _ask(transport, query, partial(read_batch, known=dict.fromkeys(task_ids), dialect=dialect))
    note(reply)
    return reply


async def _ask(transport: Transport, request: Request, read: Callable[[Answer], object]) -> Reply:
    time = asyncio.get_running_loop().time
    started, answer, error = time(), None, None
    try:
        answer = await transport.exchange(request, lambda whole: whole)
        read(answer)
    except LumaError as trouble:
        error = trouble
    return Reply(answer, error, time() - started, request.path)


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
