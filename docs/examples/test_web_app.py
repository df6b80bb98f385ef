"""The web app, with a browser in the same event loop; time jumps, so no test waits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
import web_app

from luma_async.testing import Fault, Script, SimulatedRelay

pytestmark = pytest.mark.usefixtures("luma_time")


@pytest_asyncio.fixture
async def browser(luma_relay: SimulatedRelay, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A browser for the app; the app finds the simulated relay in its environment."""
    monkeypatch.setenv("LUMA_BASE_URL", luma_relay.base_url)
    monkeypatch.setenv("LUMA_API_KEY", luma_relay.api_key)
    transport = httpx.ASGITransport(web_app.app)
    async with (
        web_app.app.router.lifespan_context(web_app.app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        yield client


@pytest.mark.asyncio
async def test_a_browser_asks_until_its_video_is_done(browser: httpx.AsyncClient, luma_relay: SimulatedRelay) -> None:
    """Every twenty seconds it gets the state of its video, and at the end the link."""
    task_id = luma_relay.add(script=Script.completes(pending=25, processing=25))

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
