"""The web app, with a browser in the same event loop, where time jumps; and once with a sync test client."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import web_app
from fastapi.testclient import TestClient

from luma_async.testing import FastTime, Fault, Script, SimulatedRelay


@pytest.fixture(autouse=True)
def _environment(luma_relay: SimulatedRelay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The app finds the simulated relay in its environment, and its database in a folder of the test."""
    monkeypatch.setenv("LUMA_BASE_URL", luma_relay.base_url)
    monkeypatch.setenv("LUMA_API_KEY", luma_relay.api_key)
    monkeypatch.setenv("VIDEOS_DB", str(tmp_path / "videos.sqlite3"))


@asynccontextmanager
async def running_app() -> AsyncIterator[httpx.AsyncClient]:
    """Start the app, and end it afterwards."""
    transport = httpx.ASGITransport(web_app.app)
    async with (
        web_app.app.router.lifespan_context(web_app.app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        yield client


@pytest_asyncio.fixture
async def browser(luma_time: FastTime) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001 - time jumps
    """A browser for the app."""
    async with running_app() as client:
        yield client


@pytest.mark.luma_relay(script=Script.of("completed"))
def test_an_order_becomes_a_video(luma_relay: SimulatedRelay) -> None:
    """A test client of the framework runs the app in a thread of its own."""
    with TestClient(web_app.app) as client:
        order = client.post("/videos", json={"prompt": "a paper boat in the rain"})
        video = client.get(f"/videos/{order.json()['task_id']}")

    assert (order.status_code, video.status_code) == (202, 200)
    assert video.json()["url"].startswith(luma_relay.base_url)


@pytest.mark.asyncio
@pytest.mark.usefixtures("luma_time")
async def test_an_order_survives_a_restart(luma_relay: SimulatedRelay) -> None:
    """The app ends while a video is being made, and the next one keeps how it ended."""
    luma_relay.script = Script.completes(pending=60, processing=60)
    async with running_app() as client:
        task_id = (await client.post("/videos", json={"prompt": "a fox"})).json()["task_id"]
        before = (await client.get("/videos")).json()

    async with running_app() as client:
        while (await client.get(f"/videos/{task_id}")).status_code == httpx.codes.ACCEPTED:
            pass
        after = (await client.get("/videos")).json()

    assert before == [{"task_id": task_id, "prompt": "a fox", "state": "open"}]
    assert after == [{"task_id": task_id, "prompt": "a fox", "state": "completed"}]


@pytest.mark.asyncio
@pytest.mark.usefixtures("luma_time")
async def test_a_signal_ends_open_requests_at_once(luma_relay: SimulatedRelay) -> None:
    """The server's own handler is called too."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    task_id = luma_relay.add(script=Script.of("processing"))
    try:
        async with running_app() as client, asyncio.TaskGroup() as group:
            request = group.create_task(client.get(f"/videos/{task_id}"))
            await asyncio.sleep(5)
            signal.raise_signal(signal.SIGTERM)
            answer = await request
    finally:
        signal.signal(signal.SIGTERM, before)

    assert (answer.status_code, heard) == (503, [signal.SIGTERM])


@pytest.mark.asyncio
async def test_a_callback_ends_a_wait_at_once(browser: httpx.AsyncClient, luma_relay: SimulatedRelay) -> None:
    """A wrong secret is no path of the app; a callback about somebody else's task is ignored."""
    task_id = luma_relay.add(script=Script.of("completed"))
    luma_relay.trouble(Fault.http(502), times=None)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(browser.get(f"/videos/{task_id}"))
        await asyncio.sleep(5)
        wrong = await browser.post("/hooks/a-guess", json={"id": task_id})
        other = await browser.post(f"/hooks/{web_app.SECRET}", json={"id": "another", "state": "completed"})
        luma_relay.calm()
        right = await browser.post(f"/hooks/{web_app.SECRET}", json={"id": task_id, "state": "completed"})

    assert (wrong.status_code, other.json(), right.json()) == (404, {"known": 0}, {"known": 1})
    assert waiting.result().json()["state"] == "completed"


@pytest.mark.asyncio
@pytest.mark.usefixtures("luma_time")
async def test_a_prompt_that_the_relay_refuses_is_no_order(luma_relay: SimulatedRelay) -> None:
    """Nothing is kept."""
    async with running_app() as client:
        luma_relay.trouble(Fault.http(402))
        answer = await client.post("/videos", json={"prompt": "a fox"})
        videos = (await client.get("/videos")).json()

    assert (answer.status_code, videos) == (502, [])


@pytest.mark.asyncio
async def test_a_browser_asks_until_its_video_is_done(
    browser: httpx.AsyncClient, luma_relay: SimulatedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time it waits no longer than the app is patient, and gets the state of its video; at the end the link."""
    monkeypatch.setattr(web_app, "PATIENCE", 200.0)
    task_id = luma_relay.add(script=Script.completes(pending=300, processing=200))

    answers = [await browser.get(f"/videos/{task_id}") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 200]
    assert [answer.json()["state"] for answer in answers] == ["pending", "processing", "completed"]
    assert answers[-1].json()["url"].startswith(luma_relay.base_url)


@pytest.mark.asyncio
async def test_a_refused_prompt_is_told_with_its_reason(browser: httpx.AsyncClient, luma_relay: SimulatedRelay) -> None:
    """A failed generation is an answer, not an error of the app."""
    task_id = luma_relay.add(script=Script.fails(reason="the prompt was refused"))

    answer = await browser.get(f"/videos/{task_id}")

    assert (answer.status_code, answer.json()) == (200, {"state": "failed", "reason": "the prompt was refused"})


@pytest.mark.asyncio
async def test_a_browser_follows_the_states(browser: httpx.AsyncClient, luma_relay: SimulatedRelay) -> None:
    """Each one is an event of its own."""
    task_id = luma_relay.add(script=Script.completes(pending=60, processing=60))

    answer = await browser.get(f"/videos/{task_id}/states")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "data: pending\n\ndata: processing\n\ndata: completed\n\n"


@pytest.mark.parametrize(
    ("task_id", "fault", "status"),
    [
        ("nobody", None, 404),
        ("no id", None, 404),
        ("nobody", Fault.http(401), 502),
        ("nobody", Fault.bad_gateway(), 503),
    ],
)
@pytest.mark.asyncio
async def test_trouble_has_a_status_that_fits(
    browser: httpx.AsyncClient, luma_relay: SimulatedRelay, task_id: str, fault: Fault | None, status: int
) -> None:
    """An unknown task is 404, passing trouble of the relay 503, a refused key 502."""
    if fault is not None:
        luma_relay.trouble(fault, times=None)

    answer = await browser.get(f"/videos/{task_id}/states")

    assert answer.status_code == status
    assert answer.json()["error"]
