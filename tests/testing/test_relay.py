"""The simulated relay as a server, asked by a plain aiohttp session."""

import asyncio
import io
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from attrs import evolve

from luma_async.testing import Fault, Script, SimulatedRelay

KEY = "sk-test-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def relay() -> AsyncIterator[SimulatedRelay]:
    """Give a relay with one completed task, ``a``."""
    async with SimulatedRelay(api_key=KEY) as started:
        started.add("a", script=Script.of("completed"))
        yield started


@pytest.fixture
async def session(relay: SimulatedRelay) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session of the relay's, with the key."""
    async with aiohttp.ClientSession(relay.base_url, headers=HEADERS) as started:
        yield started


async def look(session: aiohttp.ClientSession, task_id: str = "a") -> Any:
    """Return the JSON of a look."""
    async with session.get(f"/luma/generations/{task_id}") as response:
        return await response.json()


async def fetch(link: str, **headers: str) -> tuple[int, bytes]:
    """Fetch a link as a browser would: without the key."""
    async with aiohttp.ClientSession() as anybody, anybody.get(link, headers=headers) as response:
        return response.status, await response.read()


async def test_it_answers_on_loopback(relay: SimulatedRelay, session: aiohttp.ClientSession) -> None:
    """The address that it tells is the one where it listens."""
    answer = await look(session)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", relay.base_url)
    assert (answer["id"], answer["state"]) == ("a", "completed")


async def test_it_takes_submits_and_batch_queries(session: aiohttp.ClientSession) -> None:
    """Bodies reach the desk."""
    async with session.post("/luma/generations", json={"user_prompt": "a cat"}) as response:
        submitted = await response.json()

    async with session.post("/luma/tasks", json={"ids": ["a", submitted["id"]]}) as response:
        tasks = await response.json()

    assert sorted(task["id"] for task in tasks) == sorted(["a", submitted["id"]])


async def test_it_takes_pictures_as_base64(session: aiohttp.ClientSession) -> None:
    """A submit of several megabytes is no trouble."""
    body = io.BytesIO(json.dumps({"user_prompt": "a", "image_url": "A" * 2**22}).encode())

    async with session.post("/luma/generations", data=body) as response:
        assert response.status == 201


async def test_paths_and_methods_that_it_does_not_know_are_invalid_urls(session: aiohttp.ClientSession) -> None:
    """The web framework's own 404 and 405 never show."""
    async with session.delete("/luma/generations/a?x=1") as response:
        assert response.status == 404
        assert (await response.json())["error"]["message"] == "Invalid URL (DELETE /luma/generations/a)"


async def test_links_lead_to_files_of_the_same_relay(relay: SimulatedRelay, session: aiohttp.ClientSession) -> None:
    """All four of a completed generation can be fetched without the key, and the relay knows that none came."""
    answer = await look(session)
    links = [answer["video"]["download_url"], *(answer[name]["url"] for name in ("video", "thumbnail", "last_frame"))]

    fetched = [await fetch(link) for link in links]

    assert [status for status, _ in fetched] == [200] * 4
    assert len({content for _, content in fetched}) == 4
    media = [seen for seen in relay.requests if seen.kind == "media"]
    assert [(seen.task_ids, seen.had_key) for seen in media] == [(("a",), False)] * 4


async def test_a_file_comes_in_parts(session: aiohttp.ClientSession) -> None:
    """Two ranges make the whole."""
    link = (await look(session))["video"]["download_url"]
    _, whole = await fetch(link)

    parts = [await fetch(link, Range=wanted) for wanted in ("bytes=0-999", "bytes=1000-")]

    assert [status for status, _ in parts] == [206, 206]
    assert b"".join(content for _, content in parts) == whole


async def test_a_key_sent_for_media_is_noticed(relay: SimulatedRelay, session: aiohttp.ClientSession) -> None:
    """A client that sends it everywhere can be caught."""
    link = (await look(session))["video"]["url"]

    await fetch(link, Authorization="Bearer wrong")

    assert relay.requests[-1].had_key


# --- trouble ---


async def test_a_reset_breaks_the_connection_without_an_answer(
    relay: SimulatedRelay, session: aiohttp.ClientSession
) -> None:
    """The client sees the kernel's reset, not an orderly end."""
    relay.trouble(Fault.connection_reset(), times=2)

    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await look(session)


async def test_a_cut_body_ends_before_its_promised_length(
    relay: SimulatedRelay, session: aiohttp.ClientSession
) -> None:
    """Headers and the beginning arrive, then the connection ends."""
    relay.trouble(Fault.cut_body(after=20))

    async with session.get("/luma/generations/a") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()

    assert response.content_length is not None
    assert response.content_length > 20


async def test_a_file_can_be_cut_and_asked_for_again(relay: SimulatedRelay, session: aiohttp.ClientSession) -> None:
    """Only the request for media meets the fault."""
    relay.trouble(Fault.cut_body(after=100), on="media")
    link = (await look(session))["video"]["url"]

    with pytest.raises(aiohttp.ClientPayloadError):
        await fetch(link)

    assert (await fetch(link))[0] == 200


async def test_a_slow_answer_waits_its_real_seconds_and_is_right() -> None:
    """Whatever the relay's speed: a client's timeouts are real."""
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with (
        SimulatedRelay(api_key=KEY, speed=100, sleep=sleep) as relay,
        aiohttp.ClientSession(relay.base_url, headers=HEADERS) as session,
    ):
        relay.add("a")
        relay.trouble(Fault.slow(30))

        answer = await look(session)

    assert (slept, answer["id"]) == ([30], "a")


async def test_a_client_that_leaves_before_its_reset_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    """The relay answers the next one as if nothing had been, and complains of nothing."""
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await awake.wait()

    relay = SimulatedRelay(api_key=KEY, sleep=sleep)
    relay.trouble(evolve(Fault.connection_reset(), delay=1))
    async with relay, aiohttp.ClientSession(relay.base_url, headers=HEADERS) as session:
        impatient = asyncio.create_task(look(session, relay.add()))
        await asleep.wait()
        impatient.cancel()
        await asyncio.wait([impatient])
        assert (await look(session, relay.add("b")))["id"] == "b"
        awake.set()

        assert (await look(session, "b"))["id"] == "b"
        assert caplog.records == []


async def test_after_any_trouble_the_next_answer_is_right(
    relay: SimulatedRelay, session: aiohttp.ClientSession
) -> None:
    """No fault leaves something behind for the next request."""
    faults = [
        Fault.bad_gateway(),
        Fault.rate_limited(1),
        Fault.saturated(),
        Fault.html_page(),
        Fault.error_inside_200(),
        Fault.cut_body(),
    ]

    for fault in faults:
        relay.trouble(fault)
        async with session.get("/luma/generations/a") as response:
            assert response.status in (200, 403, 429, 502)

    assert (await look(session))["state"] == "completed"
    assert len(relay.requests) == len(faults) + 1


# --- its life ---


async def test_it_starts_once() -> None:
    """A second start would leak the first server."""
    async with SimulatedRelay() as relay:
        with pytest.raises(RuntimeError, match="started already"):
            await relay.start()


async def test_it_comes_back_at_the_same_address_with_its_tasks(
    relay: SimulatedRelay, session: aiohttp.ClientSession
) -> None:
    """An outage can be played by closing and starting."""
    address = relay.base_url
    await relay.aclose()
    with pytest.raises(aiohttp.ClientConnectorError):
        await look(session)

    await relay.start()

    assert relay.base_url == address
    assert (await look(session))["id"] == "a"


async def test_closing_twice_is_closing(relay: SimulatedRelay) -> None:
    """The second time nothing happens, and nobody listens; the fixture closes it once more."""
    host, _, port = relay.base_url.removeprefix("http://").partition(":")
    await relay.aclose()
    await relay.aclose()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_an_address_that_is_none_of_ours_is_an_error_that_leaves_nothing_open() -> None:
    """192.0.2.0/24 is nobody's: the start fails, and fails in the same way when it is tried again."""
    relay = SimulatedRelay(host="192.0.2.1")

    for _ in range(2):
        with pytest.raises(OSError, match=r"192\.0\.2\.1"):
            await relay.start()


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - nothing is bound here
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("localhost", "http://localhost:8080"),
    ],
)
def test_the_address_is_one_that_a_client_can_use(host: str, base_url: str) -> None:
    """A host that means all of them is reached at loopback, and IPv6 needs its brackets."""
    assert SimulatedRelay(host=host, port=8080).base_url == base_url


async def test_closing_does_not_wait_for_connections() -> None:
    """Neither one kept alive nor one that waits for ever for its answer holds it up."""
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    relay = SimulatedRelay(api_key=KEY, sleep=sleep)
    async with relay, aiohttp.ClientSession(relay.base_url, headers=HEADERS) as session:
        await look(session, relay.add())
        relay.trouble(Fault.slow(3600))
        waiting = asyncio.create_task(look(session))
        await asleep.wait()

        async with asyncio.timeout(30):
            await relay.aclose()

        with pytest.raises(aiohttp.ClientError):
            await waiting


LIFE = """
import asyncio, aiohttp
from luma_async.testing import Fault, RelayThread, SimulatedRelay

async def main():
    headers = {"Authorization": "Bearer sk-simulated-relay"}
    async with SimulatedRelay() as relay, aiohttp.ClientSession(headers=headers) as s:
        url = f"{relay.base_url}/luma/generations/{relay.add()}"
        async with s.get(url) as response:
            await response.read()
        relay.trouble(Fault.connection_reset(), times=2)
        relay.trouble(Fault.cut_body())
        for _ in range(2):
            try:
                async with s.get(url) as response:
                    await response.read()
            except aiohttp.ClientError:
                pass
        relay.trouble(Fault.slow(3600))
        waiting = asyncio.create_task(s.get(url))
        while len(relay.requests) < 5:
            await asyncio.sleep(0)
        await relay.aclose()
        await asyncio.gather(waiting, return_exceptions=True)

asyncio.run(main())
with RelayThread():
    pass
"""


def test_it_leaves_no_warning_behind() -> None:
    """A whole life with resets, cuts and a request under way ends silently in Python's development mode."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", LIFE]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own code

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
