"""``luma-async check``: polls tasks that do not exist, which costs nothing, and shows what the answers mean."""

# ruff: noqa: PLC0415 - only a terminal needs rich

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from uuid import uuid4

from luma_async._network.cooldown import Cooldown
from luma_async._network.request import Request
from luma_async._network.session import Network
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async._relay.requests import TASKS_PATH, task_path, tasks_body
from luma_async._relay.tasks import read_batch, read_poll
from luma_async.cli.check.diagnosis import CheckResult, Reply, diagnose
from luma_async.cli.exit import Status
from luma_async.cli.output import write
from luma_async.errors import LumaError
from luma_async.settings import PollPolicy, Settings

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
        from luma_async.cli.check.report import show

        show(settings.base_url, found)
    return Status.DONE if all(row.is_good for row in found) else Status.ERROR


async def examine(transport: Transport) -> list[CheckResult]:
    """Make a few polls and one batch query, and return the result of each check."""
    polls: list[Reply] = []
    # Until another poll would show nothing new.
    while len(polls) < _POLLS and sum(not poll.proves for poll in polls) < _MAX_FAILURES:
        task_id = str(uuid4())
        read = partial(read_poll, task_id=task_id, known=None)
        polls.append(await _ask(transport, Request("GET", task_path(task_id)), read))
        if polls[-1].is_final:
            break
    answered = [poll for poll in polls if poll.answer is not None]
    best, batch = next((poll for poll in polls if poll.proves), polls[-1]), None
    if answered:
        task_ids = [str(uuid4()), str(uuid4())]
        query = Request("POST", TASKS_PATH, tasks_body(task_ids))
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
