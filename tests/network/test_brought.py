"""What the user brought: a shared connector that is closed or holds stray bytes, and proxies that refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import TCPConnector

from luma_async import (
    ClientClosedError,
    ConfigurationError,
    Limits,
    LumaClient,
    LumaError,
    PollPolicy,
    TransportError,
    UncertainSubmitError,
)
from luma_async._network.session import _on_clean_connection, _StrayBytesError, translated
from tests.kit import KEY
from tests.raw_server import Act, RawServer, Reply, http, task

ID = "9d4b7516-77e5-481a-b015-48313946f33b"
FAST = PollPolicy(
    min_interval=0.01, initial_interval=0.01, max_interval=0.05, max_consecutive_failures=3, max_outage=0.1
)
LIMITS = Limits(request_timeout=2.0)
SLOW = PollPolicy(min_interval=0.1, initial_interval=0.1, max_interval=0.1)
RELAY = "https://relay.example"
ABOUT_ANOTHER = http(410, {"error": {"message": "about somebody else"}})


@pytest.fixture
async def connector() -> AsyncIterator[TCPConnector]:
    """Return a connector of the application's."""
    shared = TCPConnector()
    async with shared:
        yield shared


def client(base_url: str, **brought: Any) -> LumaClient:
    """Return a client with what the user *brought*."""
    return LumaClient(base_url, KEY, polling=FAST, limits=LIMITS, batch="never", **brought)


# --- a shared connector ---


_CALLS: dict[str, Callable[[LumaClient], Any]] = {
    "look": lambda luma: luma.get_generation(ID),
    "wait": lambda luma: luma.wait_until_done(ID),
    "submit": lambda luma: luma.submit("a sunrise"),
    "link": lambda luma: luma.clean_video_url(ID),
}


@pytest.mark.parametrize("call", _CALLS)
async def test_a_closed_connector_is_our_error_for_each_call(call: str, connector: TCPConnector) -> None:
    """It says what to do, and nothing goes out."""
    async with RawServer([task(ID, "pending")]) as server, client(server.base_url, connector=connector) as luma:
        await connector.close()
        with pytest.raises(ClientClosedError, match="the shared connector is closed") as caught:
            await _CALLS[call](luma)

    assert caught.value.advice
    assert not server.heads


@pytest.mark.parametrize("mode", ["never", "auto"])
async def test_waits_end_at_once_when_the_connector_is_closed(mode: Any, connector: TCPConnector) -> None:
    """Each id has its outcome, and no request follows."""
    async with RawServer([task(ID, "pending")]) as server:
        luma = LumaClient(server.base_url, KEY, polling=FAST, limits=LIMITS, batch=mode, connector=connector)
        async with luma, luma.watch(ID, timeout=None) as snapshots:
            await anext(snapshots)
            waiting = asyncio.ensure_future(luma.wait_all([ID], timeout=None))
            await asyncio.sleep(0)
            await connector.close()
            (outcome,) = await waiting

    assert isinstance(outcome.error, ClientClosedError)


async def test_a_connector_that_is_closed_under_a_submit_leaves_it_uncertain(connector: TCPConnector) -> None:
    """The relay may have taken it."""
    taken = asyncio.Event()

    async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        taken.set()
        await reader.read()

    async with RawServer([take]) as server, client(server.base_url, connector=connector) as luma:
        submitting = asyncio.ensure_future(luma.submit("a sunrise"))
        await taken.wait()
        await connector.close()
        with pytest.raises(UncertainSubmitError, match="the shared connector is closed"):
            await submitting


async def test_a_connector_of_another_loop_is_our_error() -> None:
    """It was made in a loop that has ended, or runs in another thread."""

    async def make() -> TCPConnector:
        return TCPConnector()

    foreign = await asyncio.to_thread(asyncio.run, make())
    async with client("http://127.0.0.1:9", connector=foreign) as luma:
        with pytest.raises(ConfigurationError, match="another event loop"):
            await luma.get_generation(ID)
    foreign._close()


def with_stray(reply: bytes) -> Act:
    """Return an act that sends *reply*, and then an answer that nobody asked for."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(ABOUT_ANOTHER)
        with suppress(ConnectionError):
            await writer.drain()

    return act


@pytest.mark.parametrize("mode", ["never", "always"])
async def test_stray_bytes_on_a_shared_connection_are_nobodys_answer(mode: Any, connector: TCPConnector) -> None:
    """The wait goes on, on another connection."""
    replies: list[Reply] = [with_stray(task(ID, "pending")), with_stray(task(ID, "dreaming")), task(ID, "completed")]
    async with RawServer(replies) as server:
        luma = LumaClient(server.base_url, KEY, polling=SLOW, limits=LIMITS, batch=mode, connector=connector)
        async with luma:
            generation = await luma.wait_until_done(ID, timeout=10)

    assert generation.state == "completed"
    assert len(server.heads) >= 3


async def test_stray_bytes_on_a_connection_that_another_session_has_used_are_nobodys_answer(
    connector: TCPConnector,
) -> None:
    """This client has never seen that connection."""
    async with RawServer([with_stray(http(200, {})), task(ID, "completed")]) as server:
        async with aiohttp.ClientSession(connector=connector, connector_owner=False) as another:
            await (await another.get(server.base_url)).read()
        await asyncio.sleep(0.1)
        async with client(server.base_url, connector=connector) as luma:
            generation = await luma.get_generation(ID)

    assert generation.state == "completed"


# --- a proxy ---


PROXY_SAYS: dict[str, tuple[Reply, bool, str]] = {
    "407": (http(407, b"", "Proxy-Authenticate: Basic"), False, "refused the connection: HTTP 407"),
    "403": (http(403, b"<html>no</html>"), False, "refused the connection: HTTP 403"),
    "502": (http(502, b"<html>no</html>"), True, "refused the connection: HTTP 502"),
    "429": (http(429, b""), True, "refused the connection: HTTP 429"),
    "garbage": (b"SSH-2.0-OpenSSH\r\n\r\n", True, "did not answer with valid HTTP"),
}


@pytest.mark.parametrize("what", PROXY_SAYS)
async def test_a_proxy_that_refuses_is_named_and_not_the_relay(what: str) -> None:
    """With host and port, and without its password."""
    reply, retryable, text = PROXY_SAYS[what]
    async with RawServer([reply]) as proxy:
        address = proxy.base_url.removeprefix("http://")
        error = await error_through(f"http://user:s3cret@{address}")

    assert type(error) is TransportError
    assert f"the proxy {address} {text}" in str(error)
    assert error.retryable is retryable
    assert "s3cret" not in str(error)
    assert "relay.example" not in str(error)


async def error_through(proxy: str, base_url: str = RELAY) -> LumaError:
    """Return the error of a poll through *proxy*."""
    async with client(base_url, proxy=proxy) as luma:
        with pytest.raises(LumaError) as caught:
            await luma.get_generation(ID)
    return caught.value


async def test_a_proxy_that_cannot_be_reached_is_named() -> None:
    """Another try may reach it."""
    async with RawServer([]) as gone:
        address = gone.base_url.removeprefix("http://")

    error = await error_through(f"http://user:s3cret@{address}")

    assert f"no connection to the proxy {address}: " in str(error)
    assert error.retryable


@pytest.mark.slow
async def test_an_https_proxy_that_speaks_no_tls_is_named() -> None:
    """Its certificate and its TLS are not the relay's."""
    async with RawServer([http(200, b"")]) as proxy:
        address = proxy.base_url.removeprefix("http://")
        error = await error_through(f"https://{address}")

    assert f"the proxy {address}" in str(error)


async def test_a_407_for_a_plain_relay_is_the_proxys() -> None:
    """It has not passed a submit on, so that is certain."""
    async with RawServer([http(407, b"")]) as proxy:
        address = proxy.base_url.removeprefix("http://")
        async with client("http://127.0.0.1:9", proxy=proxy.base_url) as luma:
            with pytest.raises(TransportError, match=f"the proxy {address} refused the connection: HTTP 407"):
                await luma.submit("a sunrise")


async def test_a_proxy_that_has_let_requests_through_is_in_trouble_when_it_refuses() -> None:
    """A refusal in the middle of a wait is passing."""
    replies: list[Reply] = [task(ID, "pending"), http(407, b""), task(ID, "completed")]
    async with RawServer(replies) as proxy, client("http://127.0.0.1:9", proxy=proxy.base_url) as luma:
        generation = await luma.wait_until_done(ID, timeout=10)

    assert generation.state == "completed"


async def test_a_server_that_talks_first_is_an_error_after_a_few_connections() -> None:
    """There are stray bytes on each new connection too."""
    connections = 0

    async def dirty(_: aiohttp.ClientRequest) -> aiohttp.ClientResponse:
        nonlocal connections
        connections += 1
        raise _StrayBytesError

    with pytest.raises(_StrayBytesError) as caught:
        await _on_clean_connection(cast("aiohttp.ClientRequest", None), dirty)

    assert 1 < connections <= 10
    assert "did not answer with valid HTTP" in str(translated(caught.value, "relay:443"))
