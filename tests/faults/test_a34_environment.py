"""A34: proxies and passwords that the environment offers, for the relay's host and for the media's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from luma_async import Limits, LumaClient, PollPolicy, State, TransportError
from luma_async.testing import Script, SimulatedRelay
from tests.kit import KEY, TASK_ID
from tests.raw_server import RawServer, http, task

FAST = PollPolicy(
    min_interval=0.02, initial_interval=0.02, max_interval=0.1, max_consecutive_failures=1, max_outage=0.01
)
LIMITS = Limits(request_timeout=2.0, allow_private_media=True, allow_insecure_http=True)
DONE = task(TASK_ID, "completed", video={"url": "https://cdn.example/v.mp4"})
NETRC = "machine 127.0.0.1 login someone password s3cret\nmachine localhost login someone password s3cret\n"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[RawServer]:
    """Run a proxy that every variable names, beside both places for a netrc."""
    (tmp_path / ".netrc").write_text(NETRC)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with RawServer([http(502)]) as running:
        for name in VARIABLES:
            monkeypatch.setenv(name, running.base_url)
        yield running


@asynccontextmanager
async def relay_and_client(**options: Any) -> AsyncIterator[tuple[SimulatedRelay, LumaClient]]:
    """Run a relay with a completed task, whose media it serves too, and make a client of it."""
    async with SimulatedRelay() as relay:
        relay.add(TASK_ID, script=Script.of("completed"))
        async with LumaClient(relay.base_url, relay.api_key, polling=FAST, limits=LIMITS, **options) as luma:
            yield relay, luma


async def test_a34_the_environment_is_not_heeded(proxy: RawServer, tmp_path: Path) -> None:
    """The relay gets our key and no password, the media server neither, and the proxy nothing at all."""
    async with relay_and_client() as (relay, luma):
        generation = await luma.wait_until_done(TASK_ID, timeout=15.0)
        path = await luma.download(generation, tmp_path)

    assert path.stat().st_size > 0
    assert [(seen.kind, seen.had_key) for seen in relay.requests] == [("look", True), ("media", False)]
    assert proxy.heads == []


async def test_a34_https_is_not_tunnelled(proxy: RawServer) -> None:
    """Nobody listens at the address itself, and the proxy is not asked to CONNECT."""
    async with RawServer([]) as gone:
        address = f"https://127.0.0.1:{gone.port}"

    async with LumaClient(address, KEY, polling=FAST, limits=LIMITS) as luma:
        (outcome,) = await luma.get_generations([TASK_ID])

    assert isinstance(outcome.error, TransportError)
    assert proxy.heads == []


async def test_a34_a_connector_out_of_a_session_that_trusts_the_environment(proxy: RawServer, tmp_path: Path) -> None:
    """Sharing it shares connections, not the trust: the same as ever, and no clash of two authorizations."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with relay_and_client(connector=session.connector) as (relay, luma):
            generation = await luma.wait_until_done(TASK_ID, timeout=15.0)
            await luma.download(generation, tmp_path)

        assert not session.closed
    assert [(seen.kind, seen.had_key) for seen in relay.requests] == [("look", True), ("media", False)]
    assert proxy.heads == []


async def test_a34_an_explicit_proxy_is_the_users_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """With proxy=, the request goes there in absolute form, with the proxy's own password beside our key."""
    monkeypatch.setenv("NO_PROXY", "*")

    async with RawServer([DONE]) as chosen:
        told = f"http://someone:s3cret@127.0.0.1:{chosen.port}"
        async with LumaClient("http://relay.example", KEY, limits=LIMITS, proxy=told) as luma:
            generation = await luma.get_generation(TASK_ID)

    assert generation.state is State.COMPLETED
    assert chosen.heads[0].startswith(f"GET http://relay.example/luma/generations/{TASK_ID} ".encode())
    assert b"Proxy-Authorization: Basic c29tZW9uZTpzM2NyZXQ=\r\n" in chosen.heads[0]
    assert f"Authorization: Bearer {KEY}\r\n".encode() in chosen.heads[0]


async def test_a34_media_go_through_an_explicit_proxy_without_the_key(tmp_path: Path) -> None:
    """The proxy sees the medium's address in absolute form."""
    body = b"\0\0\0\x18ftypmp42" + bytes(100)
    replies = [
        task(TASK_ID, "completed", video={"url": "http://cdn.example/v.mp4"}),
        http(200, body, "Content-Type: video/mp4"),
    ]

    async with RawServer(replies) as chosen:
        luma = LumaClient("http://relay.example", KEY, limits=LIMITS, proxy=chosen.base_url)
        async with luma:
            path = await luma.download(await luma.get_generation(TASK_ID), tmp_path)

    assert path.read_bytes() == body
    assert chosen.heads[1].startswith(b"GET http://cdn.example/v.mp4 ")
    assert b"uthorization" not in chosen.heads[1]
