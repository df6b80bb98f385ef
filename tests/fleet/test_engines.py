"""What the page about fleets shows of other engines, on real servers."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from luma_async import LumaClient, Outcome
from luma_async.testing import RelayThread, Script, SimulatedRelay
from tests.fleet.conftest import Server
from tests.fleet.test_page import recipes

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
_LONG = 60.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """Run a Redis, or skip the test; its address."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("there is no Redis: apt-get install redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        assert any("Ready to accept connections" in line for line in process.stdout)
        yield f"redis://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedRelay]:
    """Run a relay that the environment names."""
    with RelayThread(SimulatedRelay(speed=4)) as running:
        monkeypatch.setenv("LUMA_BASE_URL", running.base_url)
        monkeypatch.setenv("LUMA_API_KEY", running.api_key)
        yield running


@contextmanager
def example(name: str, keep: Callable[[Outcome], Any]) -> Iterator[Any]:
    """Import the example *name* with slices of a second, so that ids go back; outcomes go to *keep*."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        module: Any = import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))

    async def kept(outcome: Outcome) -> None:
        keep(outcome)

    module.keep, module.waits.slice = kept, 1.0
    yield module
    del sys.modules[name]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_docket_on_redis_brings_each_outcome_once(relay: SimulatedRelay, redis: str) -> None:
    """An id that is handed over twice is waited for once; one that went back has its outcome too."""
    docket = pytest.importorskip("docket")
    kept: list[str] = []
    ids = [relay.add(script=Script.completes(pending=4, processing=8)) for _ in range(5)]
    with example("on_docket", lambda outcome: kept.append(outcome.task_id)) as module:
        async with module.waits.client, docket.Docket(name="luma", url=redis) as queue:
            queue.register(module.wait)
            for task_id in [*ids, *ids]:
                await module.hand_over(queue, task_id)
            async with docket.Worker(queue, concurrency=10, redelivery_timeout=timedelta(seconds=20)) as worker:
                await asyncio.wait_for(worker.run_until_finished(), _LONG)

    assert sorted(kept) == sorted(ids)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_procrastinate_on_postgresql_brings_each_outcome_once(
    relay: SimulatedRelay, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of ids that went back."""
    pytest.importorskip("procrastinate")
    monkeypatch.setenv("DATABASE", postgres.dsn)
    kept: list[str] = []
    ids = [relay.add(script=Script.completes(pending=4, processing=8)) for _ in range(5)]
    with example("on_procrastinate", lambda outcome: kept.append(outcome.task_id)) as module:
        async with module.waits.client, module.app.open_async():
            await module.app.schema_manager.apply_schema_async()
            for task_id in ids:
                await module.hand_over(task_id)
            running = asyncio.create_task(module.app.run_worker_async(concurrency=10, install_signal_handlers=False))
            async with asyncio.timeout(_LONG):
                while len(kept) < len(ids):  # noqa: ASYNC110 - a list tells nobody
                    await asyncio.sleep(0.1)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    assert sorted(kept) == sorted(ids)


async def test_clients_share_a_limiter_on_redis(
    relay: SimulatedRelay, redis: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two clients with one gate send together as many requests as it lets through: here ten in an hour."""
    hour = SimpleNamespace(SECOND=3_600_000)
    gate = recipes(relay, monkeypatch, tmp_path, Duration=hour)["SharedRate"]
    gates = [gate(redis, 10) for _ in range(2)]
    clients = [LumaClient(gate=each, batch="never") for each in gates]
    ids = [relay.add(script=Script.of("completed")) for _ in range(30)]
    waits = [luma.wait_all(ids[at::2], timeout=2) for at, luma in enumerate(clients)]
    outcomes = [outcome for part in await asyncio.gather(*waits) for outcome in part]
    for luma, each in zip(clients, gates, strict=True):
        await luma.aclose()
        await each.redis.aclose()

    assert len(relay.requests) == 10
    assert sum(outcome.ok for outcome in outcomes) == 10
