"""A39: a process that may open few files; the server is in another one."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.faults.load_server import LoadServer, completed, pending
from tests.kit import KEY

CHILD = """
import asyncio, json, os, resource, sys
from collections import Counter
from contextlib import suppress
from luma_async import Limits, LumaClient, LumaError, PollPolicy

base_url, key, concurrency, is_crowded = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "crowded"
patience = dict(max_consecutive_failures=5, max_outage=0.5 if is_crowded else 20.0)
policy = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.2, **patience)
limits = Limits(max_concurrency=concurrency)
ids = [f"task-{number}" for number in range(200)]

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60.0  # a busy machine is no fault
    async with LumaClient(base_url, key, polling=policy, limits=limits, batch="never") as luma:
        held = []
        with suppress(OSError):
            while is_crowded:
                held.append(os.open(os.devnull, os.O_RDONLY))
        outcomes = await luma.wait_all(ids, timeout=30.0)
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        assert all(isinstance(error, LumaError) for error in errors), errors
        for descriptor in held:
            os.close(descriptor)
        again = await luma.wait_all(ids[:20], timeout=30.0)
        assert all(outcome.ok for outcome in again), again
    print(json.dumps(Counter(str(error.summary) for error in errors)))

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
asyncio.run(main())
"""


async def run(server: LoadServer, *, concurrency: int, others: str) -> Any:
    """Return which errors there were, and how many; in the end all is well again, or the child has failed.

    Args:
        server: Whom to ask.
        concurrency: Requests at once that the client may have.
        others: ``"crowded"`` where something else in the process holds every file that it may open.
    """
    arguments = (server.base_url, KEY, str(concurrency), others)
    child = await asyncio.create_subprocess_exec(
        sys.executable, *("-X", "dev", "-W", "error", "-c", CHILD), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert (child.returncode, err.decode()) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("concurrency", [64, pytest.param(200, marks=pytest.mark.slow)])
async def test_a39_too_many_connections_for_the_process_are_passing_trouble(concurrency: int) -> None:
    """All two hundred complete, though there are more slots than files: who finds no room comes again."""

    def tell(task_id: str) -> object:
        return completed(task_id) if server.asked[task_id] > 1 else pending(task_id)

    async with LoadServer(tell, delay=0.02) as server:
        errors = await run(server, concurrency=concurrency, others="few")

    assert errors == {}
    assert server.open_most > 40


@pytest.mark.slow
async def test_a39_no_room_at_all_is_a_typed_error() -> None:
    """Where not one connection can be opened, each wait ends with the reason; the same client works again later."""
    async with LoadServer(completed) as server:
        errors = await run(server, concurrency=64, others="crowded")

    assert errors == {f"no answer from 127.0.0.1:{server.listen_on}: Too many open files": 200}
