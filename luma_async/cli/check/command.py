"""``luma-async check``: polls tasks that do not exist, which costs nothing, and shows what the answers mean."""

# ruff: noqa: PLC0415 - only a terminal needs rich

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing
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
    """Poll the relay of *settings* and show the result of each check.

    Raises:
        OutputLostError: Standard output cannot be written.
    """
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
    polls = await _poll(transport)
    answered = [poll for poll in polls if poll.answer is not None]
    best = next((poll for poll in polls if poll.proves), polls[-1])
    batch = await _ask(transport, *_batch_query()) if answered else None
    return diagnose(best, batch, [poll.seconds for poll in answered])


async def _poll(transport: Transport) -> list[Reply]:
    """Poll one made-up task after another, until another poll would show nothing new."""
    polls: list[Reply] = []
    while len(polls) < _POLLS and sum(not poll.proves for poll in polls) < _MAX_FAILURES:
        polls.append(await _ask(transport, *_single_poll()))
        if polls[-1].is_final:
            break
    return polls


Question = tuple[Request, Callable[[Answer], object]]
"""A request, and the function that reads its answer."""


def _single_poll() -> Question:
    task_id = str(uuid4())
    return Request("GET", task_path(task_id)), lambda answer: read_poll(answer, task_id, None)


def _batch_query() -> Question:
    task_ids = [str(uuid4()), str(uuid4())]
    return Request("POST", TASKS_PATH, tasks_body(task_ids)), lambda answer: read_batch(answer, dict.fromkeys(task_ids))


async def _ask(transport: Transport, request: Request, read: Callable[[Answer], object]) -> Reply:
    time = asyncio.get_running_loop().time
    started = time()
    try:
        answer = await transport.exchange(request, lambda whole: whole)
    except LumaError as error:
        return Reply(None, error, time() - started)
    seconds = time() - started
    try:
        read(answer)
    except LumaError as error:
        return Reply(answer, error, seconds)
    return Reply(answer, None, seconds)
