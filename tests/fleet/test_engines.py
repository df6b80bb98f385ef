"""What the page about fleets shows of other engines, on real servers."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """Run a Redis, or skip the test; its address."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("there is no Redis: apt-get install redis-server")
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        assert any("Ready to accept connections" in line for line in process.stdout)
        yield f"redis://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[str]:
    """Run a node of RabbitMQ that allows 8 seconds to an acknowledgement, or skip the test; its address.

    Debian's command in the path changes the user, and keeps the node's files in /var.
    """
    binary = shutil.which("/usr/lib/rabbitmq/bin/rabbitmq-server") or shutil.which("rabbitmq-server")
    names = shutil.which("epmd")
    if binary is None or names is None:
        pytest.skip("there is no RabbitMQ: apt-get install rabbitmq-server")
    port, epmd = free_port(), str(free_port())
    settings = {
        "HOME": str(tmp_path),
        "ERL_EPMD_PORT": epmd,
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(tmp_path / "plugins"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_LOG_BASE": str(tmp_path / "log"),
        "RABBITMQ_MNESIA_BASE": str(tmp_path / "mnesia"),
        "RABBITMQ_NODENAME": "luma@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
        "-rabbit consumer_timeout 8000 -rabbit channel_tick_interval 500",
    }
    with (
        subprocess.Popen([names, "-port", epmd, "-address", "127.0.0.1"]) as register,  # noqa: S603 - ours
        subprocess.Popen(  # noqa: S603 - ours
            [binary], env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as node,
    ):
        assert node.stdout is not None
        lines = list[str]()
        for line in node.stdout:
            lines.append(line)
            if "Server startup complete" in line:
                break
        else:
            pytest.fail("".join(lines))
        reader = threading.Thread(target=deque, args=(node.stdout, 0))  # a full pipe would stop the node
        reader.start()
        yield f"amqp://guest:guest@127.0.0.1:{port}/"
        node.terminate()
        node.wait()
        reader.join()
        register.terminate()


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


@contextmanager
def taskiq_worker(kept: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker of the recipe by its own command, in its own process group; outcomes go to the file *kept*."""
    words = (EXAMPLES / "on_taskiq.py").read_text(encoding="utf-8").split("``")[1].split()
    command = [str(Path(sys.executable).parent / words[0]), words[1], "tests.fleet.taskiq_worker:broker", *words[3:]]
    environment = {**os.environ, "PYTHONPATH": f"{EXAMPLES}:{Path.cwd()}", "KEPT": str(kept), **settings}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_taskiq_on_rabbitmq_loses_no_id(
    relay: SimulatedRelay, rabbitmq: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One worker is killed, one ends by SIGTERM, waits outlast an acknowledgement, and keep raises: none is lost."""
    pytest.importorskip("taskiq_aio_pika")
    monkeypatch.setenv("AMQP", rabbitmq)
    kept = tmp_path / "kept"
    kept.touch()
    ids = [relay.add(script=Script.completes(pending=20, processing=24)) for _ in range(40)]

    async def until(is_so: Callable[[int, int], bool]) -> None:
        """Return when the queue is so: messages that no worker has, and workers."""
        channel = await module.broker.write_channel.get_underlay_channel()
        async with asyncio.timeout(_LONG):
            while True:
                queue = await channel.queue_declare("taskiq", passive=True)
                if is_so(queue.message_count, queue.consumer_count):
                    return
                await asyncio.sleep(0.1)

    with ExitStack() as stack:
        module = stack.enter_context(example("on_taskiq", lambda _: None))
        await module.broker.startup()
        killed, ended = (stack.enter_context(taskiq_worker(kept)) for _ in range(2))
        await until(lambda _, workers: workers == 2)
        for task_id in ids:
            await module.hand_over(task_id)
        await until(lambda messages, _: messages == 0)
        stack.enter_context(taskiq_worker(kept, SLICE="4"))
        await until(lambda _, workers: workers == 3)
        os.killpg(killed.pid, signal.SIGKILL)
        ended.terminate()
        status = await asyncio.to_thread(ended.wait, 20)
        async with asyncio.timeout(_LONG):
            while len(set(kept.read_text(encoding="utf-8").split())) < len(ids):  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.1)
        await module.broker.shutdown()
        await module.waits.client.aclose()

    assert sorted(kept.read_text(encoding="utf-8").split()) == sorted(ids)
    assert status == 0


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
