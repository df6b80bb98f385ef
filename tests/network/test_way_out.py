"""The user's own headers, proxies and connectors, for polls and for media."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import TCPConnector
from aiohttp.client_reqrep import ConnectionKey
from attrs import evolve
from yarl import URL

from luma_async import (
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    Limits,
    LumaClient,
    State,
)
from luma_async._media.addresses import PrivateAddressError
from luma_async._media.servers import MediaServers
from luma_async._network.proxies import environment_proxy
from luma_async._network.session import Network, translated_with
from luma_async.cli.check.command import check, proxy_rows
from luma_async.cli.options import Relay, trusting
from luma_async.cli.output import in_option_names
from luma_async.settings import Settings
from tests.downloads import BODY, GOOD, ID, NAME, OPEN, downloading, generation, soon
from tests.faults.server import FaultServer
from tests.kit import KEY
from tests.raw_server import RawServer, closing, http, stay_silent, task

FAR = "http://relay.invalid"
OPEN_HTTP = evolve(OPEN, allow_insecure_http=True)
DONE = task(ID, "completed", video={"url": "http://cdn.invalid/v.mp4"})
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


def client(base_url: str = FAR, **brought: Any) -> LumaClient:
    """Return a client with what the user *brought*."""
    return LumaClient(base_url, KEY, batch="never", **{"limits": OPEN_HTTP, **brought})


# --- headers ---


async def test_headers_go_to_the_relay_with_each_request() -> None:
    """They replace ours of the same name; the key stays."""
    async with (
        RawServer([task(ID, "pending")]) as server,
        client(server.base_url, headers={"X-Team": "films", "user-agent": "films/1"}) as luma,
    ):
        await luma.get_generation(ID)

    (head,) = server.heads
    assert b"\r\nX-Team: films\r\n" in head
    assert head.lower().count(b"user-agent: ") == 1
    assert b"user-agent: films/1" in head
    assert f"Authorization: Bearer {KEY}".encode() in head


REFUSED = [
    *("Authorization", "authorization", "Proxy-Authorization", "Cookie", "HOST", "connection", "Transfer-Encoding"),
    *("Content-Type", "content-length", "Content-Anything", "bad name", ""),
]


@pytest.mark.parametrize("argument", ["headers", "media_headers"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_header_that_is_ours_is_refused_unseen(argument: str, name: str) -> None:
    """For both kinds of requests, in any case; the value is in no message."""
    brought: dict[str, Any] = {argument: {name: "s3cret"}}
    with pytest.raises(ConfigurationError) as caught:
        client(**brought)

    assert argument in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["Accept-Encoding", "range", "If-Range"])
def test_a_header_of_downloads_is_refused(name: str) -> None:
    """It would bring other bytes than those that are lacking."""
    with pytest.raises(ConfigurationError, match="media_headers"):
        client(media_headers={name: "x"})


@pytest.mark.parametrize(
    "brought", [{"headers": "X: y"}, {"headers": {"X": "a\r\nb"}}, {"media_headers": {"X": 5}}, {"trust_env": "no"}]
)
def test_what_cannot_work_is_refused_by_its_name(brought: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=next(iter(brought))):
        client(**brought)


async def test_headers_are_in_no_repr_and_no_log(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Nor in what a tool finds that walks through the local variables of a request that was cancelled."""
    caplog.set_level(logging.DEBUG)
    shown, secret, arrived = [], {"X-Pass": "s3cret"}, asyncio.Event()

    async def notice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await stay_silent(reader, writer)

    async with (
        RawServer([notice]) as server,
        client(server.base_url, headers=secret, media_headers=secret) as luma,
    ):
        calls = (luma.clean_video_url(ID), luma.download(generation(server.base_url), tmp_path))
        for call in calls:
            asking = asyncio.ensure_future(call)
            await soon(arrived.wait())
            arrived.clear()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await asking
            shown += [repr(entry.frame.f_locals) for entry in caught.traceback if "/tests/" not in str(entry.path)]
        shown += [repr(luma), repr(luma._settings), caplog.text]

    assert "X-Pass" in "".join(shown)
    assert "s3cret" not in "".join(shown)


# --- proxies of the environment ---


def name_proxies(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    """Let the environment have *variables*, and no other about proxies."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://p:3128"}, "https://a.example/", "http://p:3128"),
        ({"https_proxy": "p:3128"}, "https://a.example/", "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128"}, "https://a.example/", None),
        ({"ALL_PROXY": "http://u:p@p:1"}, "http://a.example/", "http://u:p@p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example,a.example"}, "https://x.a.example/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:8443"}, "https://a.example:8443/", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, "https://a.example/", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://ba.example/", "http://p:1"),
        ({"HTTPS_PROXY": ""}, "https://a.example/", None),
    ],
)
def test_the_environment_names_a_proxy_as_usual(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    """By the scheme of the address; hosts in NO_PROXY are asked directly."""
    name_proxies(monkeypatch, variables)

    found = environment_proxy(URL(url))

    assert (found and found.reveal()) == proxy


@pytest.mark.parametrize("proxy", ["socks5://u:s3cret@p:1080", "http://", "http://p:99999"])
def test_a_proxy_that_cannot_be_used_is_not_passed_by(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """Going out directly would not be what the variable says; its password is not shown."""
    name_proxies(monkeypatch, {"HTTPS_PROXY": proxy})

    with pytest.raises(ConfigurationError, match="environment's proxy") as caught:
        client("https://relay.invalid", trust_env=True)

    assert "s3cret" not in str(caught.value)


async def test_trust_env_takes_polls_and_media_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither name resolves outside it; its private address is none of a medium; no netrc is read."""
    (tmp_path / "netrc").write_text("default login someone password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with RawServer([DONE, GOOD]) as proxy:
        name_proxies(monkeypatch, {"HTTP_PROXY": proxy.base_url})
        async with client(trust_env=True) as luma:
            path = await luma.download(await luma.get_generation(ID), tmp_path)

    assert path.read_bytes() == BODY
    assert [head.split()[1] for head in proxy.heads] == [
        f"{FAR}/luma/generations/{ID}".encode(),
        b"http://cdn.invalid/v.mp4",
    ]
    assert not any(b"Basic" in head or b"Proxy-Auth" in head for head in proxy.heads)


async def test_a_proxy_of_the_environment_is_no_hole_in_the_guard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host that goes out directly is checked at its final address, also with trust_env."""
    name_proxies(monkeypatch, {"HTTPS_PROXY": "http://proxy.invalid:1", "NO_PROXY": "localhost"})
    settings = Settings.load("https://127.0.0.1", KEY, Limits(), trust_env=True)
    async with downloading(limits=Limits(), relay=settings) as downloader:
        with pytest.raises(DownloadError, match="private network") as caught:
            await downloader.download(generation("https://localhost:9/v.mp4"), tmp_path)

    assert caught.value.reason == "refused"


# --- connectors ---


class Tunnel(TCPConnector):
    """Leads every connection to one place, as a SOCKS connector does: names resolve behind it only."""

    def __init__(self, port: int, **options: Any) -> None:
        super().__init__(**options)
        self._port = port

    async def _create_direct_connection(self, *_: Any, **__: Any) -> Any:
        transport, protocol = await self._loop.create_connection(self._factory, "127.0.0.1", self._port)
        return transport, protocol


@asynccontextmanager
async def tunnel(server: RawServer, **options: Any) -> AsyncIterator[aiohttp.BaseConnector]:
    """Give a connector that leads to *server*."""
    async with Tunnel(server.port, **options) as connector:
        yield connector


@pytest.mark.parametrize("link", ["http://cdn.invalid/v.mp4", "https://cdn.invalid/v.mp4"])
async def test_a_connector_that_is_the_only_way_out_carries_media_too(tmp_path: Path, link: str) -> None:
    """Its own end is on this machine, which is no private address of a medium; TLS is the tunnel's here."""
    limits = Limits(allow_insecure_http=True, allow_private_media=link.startswith("http:"))
    done = task(ID, "completed", video={"url": link})
    async with RawServer([done, GOOD]) as server, tunnel(server) as connector:
        async with client(connector=connector, limits=limits) as luma:
            path = await soon(luma.download(await luma.get_generation(ID), tmp_path))

        assert not connector.closed
    assert path == tmp_path / NAME
    assert b"\r\nHost: cdn.invalid\r\n" in server.heads[1]
    assert b"uthorization" not in server.heads[1]


@pytest.mark.parametrize("link", ["https://10.0.0.1/v.mp4", "http://cdn.example/v.mp4", "ftp://cdn.example/v.mp4"])
async def test_what_is_refused_is_refused_before_a_connector_is_asked(tmp_path: Path, link: str) -> None:
    """A private address in the link, and any scheme but https."""
    async with (
        RawServer([GOOD]) as server,
        tunnel(server) as connector,
        downloading(limits=Limits(), network=Network(connector=connector)) as downloader,
    ):
        with pytest.raises(DownloadError) as caught:
            await downloader.download(generation(link), tmp_path)

    assert (caught.value.reason, server.connections) == ("refused", 0)


class Here(aiohttp.abc.AbstractResolver):
    """Resolves every name to this machine."""

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
        """Return loopback."""
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_plain_connector_is_checked_at_the_peer(tmp_path: Path) -> None:
    """Nothing is sent to a private address that a name led to."""
    async with RawServer([GOOD]) as server, TCPConnector(resolver=Here()) as connector:
        network = Network(connector=connector)
        async with downloading(limits=Limits(request_timeout=5), network=network) as downloader:
            session = downloader._servers._session(is_guarded=True)
            with pytest.raises(aiohttp.ClientOSError, match="no public address"):
                await session.get(f"http://media.example:{server.port}/")

    assert server.heads == []


async def test_a_private_peer_is_told_as_refused() -> None:
    """As it is where the connection is the client's own."""
    servers = MediaServers(Network(), Limits())

    async def refusing() -> None:
        raise aiohttp.ClientOSError from PrivateAddressError()

    with pytest.raises(DownloadError, match="private network"):
        await servers._from_network(refusing(), URL("https://media.example/"), "status")


@pytest.mark.parametrize(("options", "most"), [({"limit": 8}, 4), ({"limit": 1}, 1), ({"limit_per_host": 3}, 1)])
async def test_downloads_take_half_of_a_connector(tmp_path: Path, options: dict[str, Any], most: int) -> None:
    """The other half is for polls; a connector of one connection is shared in turn."""
    together = asyncio.Barrier(most)

    async def wait_for_all(_: Any, writer: Any) -> None:
        await soon(together.wait())
        writer.write(GOOD)

    async with (
        RawServer([wait_for_all]) as server,
        TCPConnector(**options) as connector,
        downloading(network=Network(connector=connector)) as downloader,
    ):
        many = [generation(server.base_url, f"task-{n}") for n in range(12)]
        await soon(asyncio.gather(*(downloader.download(one, tmp_path) for one in many)))

    assert server.open_most == most


async def test_a_connector_that_is_closed_ends_a_download_with_an_error_of_ours(tmp_path: Path) -> None:
    """As it ends a poll."""
    async with (
        RawServer([GOOD]) as server,
        TCPConnector() as connector,
        downloading(network=Network(connector=connector)) as downloader,
    ):
        await connector.close()
        with pytest.raises(ClientClosedError, match="the shared connector is closed"):
            await downloader.download(generation(server.base_url), tmp_path)


async def test_a_server_that_closes_early_and_a_reader_that_is_slow_make_a_whole_file(tmp_path: Path) -> None:
    """All bytes that were sent are read, with one request."""
    film = BODY + len(bytes(2**22)).to_bytes(4, "big") + b"free" + bytes(2**22 - 8)
    reads = 0

    def slowly(*_: int) -> None:
        nonlocal reads
        reads += 1

    async with RawServer([closing(http(200, film))]) as server, downloading() as downloader:
        path = await soon(downloader.download(generation(server.base_url), tmp_path, on_progress=slowly))

    assert path.stat().st_size == len(film)
    assert (len(server.heads), reads > 4) == (1, True)


# --- the command line, behind a company's proxy ---


@contextmanager
def closing_at_end(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close *writer* at the end of the block, whichever it is."""
    try:
        yield
    finally:
        writer.close()


@asynccontextmanager
async def company(place: Path) -> AsyncIterator[tuple[Relay, RawServer, list[bytes]]]:
    """Give a relay that only a proxy on loopback reaches, with a certificate of the company's own, and what it asked.

    The proxy wants a password.
    """
    authority, certificate = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("relay.invalid").configure_cert(certificate)
    authority.cert_pem.write_to_path(place / "ca.pem")
    heads = list[bytes]()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing_at_end(writer):
            while piece := await reader.read(2**16):
                writer.write(piece)

    async def tunnelled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        there, back = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer), return_exceptions=True)

    async with FaultServer(scripts={ID: [task(ID, "completed")]}, contexts=[certificate]) as relay:
        proxy = await asyncio.start_server(tunnelled, "127.0.0.1", 0)
        async with proxy:
            address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
            yield Relay(base_url="https://relay.invalid", proxy=address, ca_file=place / "ca.pem"), relay, heads


async def test_a_company_s_proxy_and_authority_lead_to_the_relay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Polls and ``check`` take them; its password comes from ``LUMA_PROXY``, and nothing resolves the relay's name."""
    monkeypatch.setenv("LUMA_API_KEY", KEY)
    async with company(tmp_path) as (options, relay, heads):
        async with options.client() as luma:
            generation = await luma.get_generation(ID)
        await check(options.settings(request_timeout=5.0), options.network(), as_json=True)
        monkeypatch.setenv("LUMA_PROXY", str(options.proxy).replace("//", "//user:s3cret@"))
        async with evolve(options, proxy=None).client() as luma:
            await luma.get_generation(ID)

    assert generation.state is State.COMPLETED
    assert {head.splitlines()[0] for head in heads} == {b"CONNECT relay.invalid:443 HTTP/1.1"}
    assert [b"Basic dXNlcjpzM2NyZXQ=" in head for head in heads].count(True) == 1
    assert f"Bearer {KEY}".encode() in relay.heads[0]
    assert '"check":"address","result":"ok"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "is_named"),
    [
        ({"HTTPS_PROXY": "http://p:3128"}, True),
        ({"ALL_PROXY": "socks5://p:1080"}, True),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "127.0.0.1"}, False),
        ({}, False),
    ],
)
def test_a_proxy_of_the_environment_that_is_not_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, is_named: bool
) -> None:
    """By ``check``, and by a request that cannot connect; both name the option."""
    name_proxies(monkeypatch, variables)
    monkeypatch.setenv("LUMA_API_KEY", KEY)
    relay, url = Relay(base_url="https://127.0.0.1"), URL("https://127.0.0.1")
    late, refused = TimeoutError(), aiohttp.ClientConnectorError(ConnectionKey(*(None,) * 7), OSError())  # type: ignore[arg-type]

    errors = [translated_with(relay.network(), error, url) for error in (late, refused)]
    rows = proxy_rows(relay.settings(request_timeout=5.0), relay.network())
    heeded = proxy_rows(evolve(relay, trust_env=True).settings(request_timeout=5.0), relay.network())

    assert ["--trust-env" in in_option_names(str(error)) for error in errors] == [is_named] * 2
    assert "trust_env" not in str(translated_with(relay.network(), late, url, has_worked=True))
    assert ([row.advice for row in rows], heeded) == (["give --trust-env to use it"] * is_named, [])


@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_without_certificates_is_refused_at_once(tmp_path: Path, content: str | None) -> None:
    """So is a directory, and a file that is not there."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    for unusable in (path, tmp_path):
        with pytest.raises(ConfigurationError, match=r"--ca-file .* cannot be used"):
            trusting(unusable)


@pytest.mark.parametrize("proxy", ["http://u:s3cret@p:1", "http://s3cret@p:1", "u:s3cret@p"])
@pytest.mark.parametrize("variable", [None, "socks5://u:s3cret@p:1"])
def test_a_password_of_a_proxy_comes_from_the_environment_only(
    monkeypatch: pytest.MonkeyPatch, proxy: str, variable: str | None
) -> None:
    """An error names the variable, and shows no password."""
    if variable is not None:
        monkeypatch.setenv("LUMA_PROXY", variable)
    with pytest.raises(ConfigurationError, match="LUMA_PROXY") as caught:
        Relay(proxy=None if variable else proxy).network()

    assert "s3cret" not in str(caught.value)
