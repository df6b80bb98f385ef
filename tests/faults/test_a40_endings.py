"""A40: cancelled at any moment, left, closed or interrupted: it ends at once, and nothing is left."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses

from luma_async import LumaClient, PollPolicy
from tests.faults.load_server import completed, pending
from tests.kit import KEY
from tests.virtual_time import VirtualLoop

ROOT = Path(__file__).parents[2]
RELAY = "https://relay.example"
COMPLAINTS = re.compile(
    "Unclosed|never retrieved|was destroyed|never awaited|Exception ignored|Warning|Future exception"
)


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run all the ends of ``tests.faults.endings`` in development mode, every warning an error."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.faults.endings", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)  # noqa: S603


@pytest.mark.slow
def test_a40_nothing_is_left_whenever_and_however_it_ends() -> None:
    """Six kinds of runs cancelled at any of two hundred moments, loops left in every way: no task, socket or word."""
    ended = child()

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_a40_ctrl_c_in_a_program_is_its_own_traceback_and_no_more() -> None:
    """KeyboardInterrupt comes out of ``asyncio.run`` with nothing left to complain about."""
    ended = child("interrupt")

    assert ended.returncode == -signal.SIGINT
    assert ended.stderr.endswith("KeyboardInterrupt\n")
    assert not COMPLAINTS.search(ended.stderr)


class _Stepping(VirtualLoop):
    """Cancels a task before one of its turns."""

    def __init__(self, moment: int) -> None:
        super().__init__()
        self.left = moment
        self.victim: asyncio.Task[Any] | None = None
        self.cancelled_at = 0.0

    def _run_once(self) -> None:
        if self.victim is not None:
            self.left -= 1
            if self.left == 0:
                self.victim.cancel()
                self.cancelled_at = self.time()
        super()._run_once()  # type: ignore[misc]


def tell(url: Any, **_: Any) -> CallbackResult:
    """Complete the first task in the end, and no other."""
    task_id = url.path.rpartition("/")[2]
    is_done = task_id == "first" and asyncio.get_running_loop().time() > 20
    return CallbackResult(body=json.dumps((completed if is_done else pending)(task_id)))


async def wait_in_all_ways() -> None:
    """Wait, follow and stream at once; deadlines, rests and last looks among it."""
    async with LumaClient(RELAY, KEY, polling=PollPolicy(), batch="never") as luma, asyncio.TaskGroup() as group:
        group.create_task(luma.wait_all(["first", "second", "third"], timeout=30.0))
        group.create_task(luma.wait_all(["second", "fourth"], timeout=25.0))
        group.create_task(last_of(luma))


async def last_of(luma: LumaClient) -> None:
    """Follow the first task to its end."""
    async for _ in luma.watch("first"):
        pass


@pytest.mark.parametrize(
    "moments",
    [pytest.param(range(1, 101), id="early"), pytest.param(range(101, 201), id="late", marks=pytest.mark.slow)],
)
def test_a40_cancelling_is_heard_at_once_in_any_turn(moments: range) -> None:
    """Whether it rests, looks, gives up or closes: no (virtual) time passes until it is over, and no task is left."""
    late: list[tuple[int, float]] = []

    async def main(loop: _Stepping) -> None:
        loop.victim = asyncio.current_task()
        try:
            await wait_in_all_ways()
        finally:
            late.append((loop.left, loop.time() - loop.cancelled_at))
            assert {task.get_name() for task in asyncio.all_tasks()} == {"main"}

    for moment in moments:
        loop = _Stepping(moment)
        with aioresponses() as mocked, asyncio.Runner(loop_factory=lambda loop=loop: loop) as runner:  # type: ignore[misc]
            mocked.get(re.compile(RELAY), callback=tell, repeat=True)
            with suppress(asyncio.CancelledError):
                runner.run(named(main(loop)))

    assert len(late) == len(moments)
    assert {left <= 0 and passed for left, passed in late} == {0.0}


async def named(main: Any) -> None:
    """Run *main* under a name."""
    task = asyncio.current_task()
    assert task is not None
    task.set_name("main")
    await main
