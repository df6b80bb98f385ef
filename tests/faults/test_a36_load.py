"""A36: a thousand tasks at a relay of whose answers every fifth is faulty; the relay answers at once."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from random import Random

import pytest

from luma_async import Limits, LumaClient, PollPolicy
from luma_async.settings import Batch
from tests.faults.load_server import RESET, LoadServer, completed, link, pending
from tests.kit import KEY
from tests.raw_server import http

FAST = PollPolicy(min_interval=0.05, initial_interval=0.05, max_interval=0.1)
IDS = [f"task-{number}" for number in range(1000)]
FAULTS = [
    http(500, {"error": {"message": "panic"}}),
    http(502, b"<html><title>502 Bad Gateway</title>", "Content-Type: text/html"),
    http(503),
    http(529),
    RESET,
    http(200, b'{"id": "task-1", "state": "compl'),
    http(200, b""),
]


def every_fifth(_: Sequence[str], chance: Random = Random(36)) -> bytes | None:  # noqa: B008, S311 - one repeatable source
    """Spoil one answer in five, at random."""
    return chance.choice(FAULTS) if chance.random() < 0.2 else None


@pytest.mark.parametrize("batch", [pytest.param("never", marks=pytest.mark.slow), "auto"])
async def test_a36_a_thousand_ids_have_a_thousand_right_results(batch: Batch) -> None:
    """Each under its own id, with its own link, and never more connections open than the limit allows."""
    chance = Random(1)  # noqa: S311 - a repeatable choice
    polls = {task_id: chance.randint(1, 5) for task_id in IDS}

    def tell(task_id: str) -> object:
        return completed(task_id) if server.asked[task_id] >= polls[task_id] else pending(task_id)

    server = LoadServer(tell, every_fifth)
    limits = Limits(max_concurrency=32, batch_size=20)
    async with server, LumaClient(server.base_url, KEY, polling=FAST, limits=limits, batch=batch) as luma:
        outcomes = await luma.wait_all(IDS, timeout=120.0)
        still_open = len(server.connections)

    assert [outcome.unwrap().video_url for outcome in outcomes] == [link(task_id) for task_id in IDS]
    assert [outcome.task_id for outcome in outcomes] == IDS
    assert still_open <= server.open_most <= 32
    assert server.requests > (1000 if batch == "never" else 50)


@pytest.mark.usefixtures("small_heap")
@pytest.mark.parametrize("batch", [pytest.param("never", marks=pytest.mark.slow), "always"])
async def test_a36_polls_leave_nothing_in_memory(batch: Batch) -> None:
    """Fifty looks more at each of fifty tasks, trouble included, keep no more than those before.

    Not with "auto": when trouble makes it ask alone, each id gets a request of its own, which it keeps.
    """
    held: dict[int, int] = {}

    def tell(task_id: str) -> object:
        polls = server.asked[task_id]
        if task_id == "task-0" and polls % 2 == 0:
            gc.collect()
            held[polls], _ = tracemalloc.get_traced_memory()
        last = min(server.asked[task_id] for task_id in IDS[:50])  # outcomes are kept: none comes before the end
        return completed(task_id) if last > 90 else pending(task_id)

    policy = PollPolicy(min_interval=0.01, initial_interval=0.01, max_interval=0.01)
    async with LoadServer(tell, every_fifth) as server:
        tracemalloc.start()
        try:
            limits = Limits(max_concurrency=8)
            async with LumaClient(server.base_url, KEY, polling=policy, limits=limits, batch=batch) as luma:
                outcomes = await luma.wait_all(IDS[:50], timeout=120.0)
        finally:
            tracemalloc.stop()

    assert [outcome.error for outcome in outcomes] == [None] * 50
    early, late = (min(size for polls, size in held.items() if begin <= polls <= begin + 20) for begin in (20, 70))
    assert late - early < 96 * 1024, held  # 48 bytes for each of 2,500 polls are more, requests under way less
