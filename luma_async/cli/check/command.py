"""``luma-async check``: asks for tasks that nobody has, which costs nothing, and shows what the answers tell."""

# ruff: noqa: PLC0415 - rich is for terminals alone

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
from luma_async.cli.check.findings import Finding, Reply, findings
from luma_async.cli.exit import Status
from luma_async.cli.output import write
from luma_async.errors import LumaError
from luma_async.settings import PollPolicy, Settings

_LOOKS = 5
_TROUBLES = 2
"""Passing ones after which no more looks are made."""


async def check(settings: Settings, *, as_json: bool) -> Status:
    """Ask the relay of *settings*, and show what was found.

    Raises:
        OutputLostError: It cannot be written.
    """
    async with aclosing(Transport(settings, Network(), Cooldown(PollPolicy()))) as transport:
        found = await examined(transport)
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        write("".join(f"{finding.line()}\n" for finding in found))
    else:
        from luma_async.cli.check.report import show

        show(settings.base_url, found)
    return Status.DONE if all(finding.is_good for finding in found) else Status.ERROR


async def examined(transport: Transport) -> list[Finding]:
    """Make a few looks and a batch query, and return what they show."""
    polls = await _looks(transport)
    answered = [look for look in polls if look.answer is not None]
    best = next((look for look in polls if look.proves), polls[-1])
    batch = await _asked(transport, *_batch_query()) if answered else None
    return findings(best, batch, [look.seconds for look in answered])


async def _looks(transport: Transport) -> list[Reply]:
    """Look one after the other, until it is clear that more would show no more."""
    polls: list[Reply] = []
    while len(polls) < _LOOKS and sum(not look.proves for look in polls) < _TROUBLES:
        polls.append(await _asked(transport, *_look()))
        if polls[-1].is_final:
            break
    return polls


Question = tuple[Request, Callable[[Answer], object]]
"""A request, and what makes sense of its answer."""


def _look() -> Question:
    task_id = str(uuid4())
    return Request("GET", task_path(task_id)), lambda answer: read_poll(answer, task_id, None)


def _batch_query() -> Question:
    task_ids = [str(uuid4()), str(uuid4())]
    return Request("POST", TASKS_PATH, tasks_body(task_ids)), lambda answer: read_batch(answer, dict.fromkeys(task_ids))


async def _asked(transport: Transport, request: Request, read: Callable[[Answer], object]) -> Reply:
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
