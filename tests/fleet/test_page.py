"""The recipes of the page about fleets, as a reader copies them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from luma_async import outcome_from_json
from luma_async.testing import RelayThread, Script, SimulatedRelay
from tests.fleet.conftest import Server

PAGE = Path(__file__).parent.parent.parent / "docs" / "fleet.md"


def recipes(relay: SimulatedRelay, monkeypatch: pytest.MonkeyPatch, directory: Path, **others: object) -> Any:
    """Return the names that the Python blocks of the page define, with *others* in the place of its own."""
    monkeypatch.chdir(directory)
    monkeypatch.setenv("LUMA_BASE_URL", relay.base_url)
    monkeypatch.setenv("LUMA_API_KEY", relay.api_key)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
        names.update({name: value for name, value in others.items() if name in names})
    return names


@asynccontextmanager
async def bucket() -> AsyncIterator[tuple[str, list[tuple[str, bytes]]]]:
    """Run an object store that has conditional writes as S3 has them; return its address and what was written."""
    written: list[tuple[str, bytes]] = []

    async def put(request: web.Request) -> web.Response:
        assert request.headers["If-None-Match"] == "*"
        if any(path == request.path for path, _ in written):
            return web.Response(status=412)
        written.append((request.path, await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_put("/{key:.*}", put)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/videos", written
    await runner.cleanup()


async def test_a_video_is_stored_once_however_often_its_outcome_comes(
    luma_relay: SimulatedRelay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a directory and in an object store, each under one name; a failed generation stores nothing."""
    fails = luma_relay.add(script=Script.of("failed"))
    task_id = luma_relay.add(script=Script.of("completed"))
    async with bucket() as (address, written):
        page = recipes(luma_relay, monkeypatch, tmp_path, BUCKET=address)
        async with page["luma"] as luma:
            for outcome in await luma.wait_all([task_id, task_id, fails]):
                await page["save"](outcome)
                await page["upload"](outcome)

    (file,) = (tmp_path / "videos").iterdir()
    assert written == [(f"/videos/{task_id}.video.mp4", file.read_bytes())]
    assert file.name == f"{task_id}.video.mp4"


@pytest.mark.slow
async def test_the_page_s_worker_keeps_what_its_web_app_orders(
    database: asyncpg.Connection, postgres: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its metrics can be read, too."""
    await database.execute("CREATE TABLE IF NOT EXISTS orders (task_id text)")
    with RelayThread(SimulatedRelay(speed=4)) as relay:
        page = recipes(relay, monkeypatch, tmp_path, DSN=postgres.dsn)
        task_id = relay.add(script=Script.of("completed"))
        await page["order"](database, task_id)
        page["fleet"].dsn = postgres.dsn
        running = asyncio.create_task(page["fleet"].run(concurrency=10))
        async with asyncio.timeout(60):
            while not (rows := await database.fetch("SELECT line FROM outcomes")):  # noqa: ASYNC110 - a table
                await asyncio.sleep(0.1)
        await page["measure"](database)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    assert [outcome_from_json(row["line"]).task_id for row in rows] == [task_id]
    assert [path.name for path in (tmp_path / "videos").iterdir()] == [f"{task_id}.video.mp4"]
