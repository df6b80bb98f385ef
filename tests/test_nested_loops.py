"""Notebooks patch asyncio, so that a running event loop can be run again inside one of its own tasks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from luma_async.testing import Script, SimulatedRelay
from tests.cli.command import PATIENCE, add, environment

_NOTEBOOK = """
import asyncio, sys
import nest_asyncio
from luma_async import LumaClient, PollPolicy

nest_asyncio.apply()
policy = PollPolicy(initial_interval=0.05, max_interval=0.2, min_interval=0.05)

async def cell():
    loop = asyncio.get_running_loop()
    async with LumaClient(polling=policy) as luma:
        beside = asyncio.create_task(luma.wait_until_done(sys.argv[1]))
        outcomes = loop.run_until_complete(luma.wait_all(sys.argv[1:]))
        print(*(outcome.generation.state for outcome in outcomes), (await beside).state)
        again = loop.run_until_complete(luma.get_generation(sys.argv[1]))
        print(again.state)

for _ in range(2):
    asyncio.run(cell())
"""


def test_l05_waits_in_a_loop_that_runs_in_itself_are_as_usual(luma_relay: SimulatedRelay) -> None:
    """In a process of its own, because the patch is for all loops; it leaves nothing to be told at the exit."""
    pytest.importorskip("nest_asyncio")
    ids = add(luma_relay, [Script.of("completed")] * 3)

    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-X", "dev", "-c", _NOTEBOOK, *ids],
        env=environment(luma_relay),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    states = ["completed completed completed completed", "completed"]
    assert (ended.stderr, ended.stdout.splitlines()) == ("", states * 2)
