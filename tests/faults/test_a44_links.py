"""A44: links that lead where no medium may come from are refused before a byte is sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import define, field

from luma_async import DownloadError, Limits
from luma_async._media.servers import _GuardedResolver
from luma_async._network.session import Network
from luma_async.settings import check_proxy, hidden
from tests.downloads import BODY, GOOD, OPEN, Naps, downloading, generation, names, with_link
from tests.raw_server import RawServer, http

CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKmtHgZp1STmodabW
IpfhTIVDwkv3wMUj4qC7j/dlAXahRANCAAQNnwhf/rYi6OpXTtryysTUrrC9MD+M
9mfqqkkskcgnaeZgVi4qGS+eLVzqdz8p4pAP58elrkXUzJQwg2nEJheY
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1tZWRpYS5l
eGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1tZWRpYS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDZ8I
X/62IujqV07a8srE1K6wvTA/jPZn6qpJLJHIJ2nmYFYuKhkvni1c6nc/KeKQD+fH
pa5F1MyUMINpxCYXmKNcMFowHQYDVR0OBBYEFFwuUD4SoQ57O/zQ5j2q99AzNpMU
MBgGA1UdEQQRMA+CDW1lZGlhLmV4YW1wbGUwDgYDVR0PAQH/BAQDAgKEMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJUglNcs+hOZthDHkRu9D1GZ
zqU2lGaiLivcMOT6IHHvAiBuUgyVsn0hnyCjTgycCFVdRvz+R7UogzUAMDgsphye
cw==
-----END CERTIFICATE-----
"""
"""Of media.example, from 2020 to 2120, and its key: good for nothing but these tests."""


@define(eq=False)
class PublicServer:
    """A media server that counts as public: a proxy on loopback leads to it, as it would into the internet."""

    replies: list[bytes]
    certificate: Path
    heads: list[bytes] = field(factory=list)
    tunnels: int = 0
    _port: int = 0

    @asynccontextmanager
    async def network(self, *, trusted: bool = True) -> AsyncIterator[Network]:
        """Run it and its proxy, and give the way to it."""
        self.certificate.write_text(CERTIFICATE)
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(self.certificate)
        trust = ssl.create_default_context(cafile=str(self.certificate)) if trusted else None
        server = await asyncio.start_server(self._answer, "127.0.0.1", ssl=own)
        self._port = server.sockets[0].getsockname()[1]
        try:
            async with RawServer([self._tunnel]) as proxy:
                yield Network(proxy=check_proxy(hidden(proxy.base_url)), ssl_context=trust)
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.replies[len(self.heads) - 1])
                await writer.drain()
        writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tunnels += 1
        media = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(carry(reader, media[1]), carry(media[0], writer))


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until no more does."""
    with suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_https_to_a_public_name_is_what_is_allowed(tmp_path: Path) -> None:
    """Also after a redirect within https, and through a proxy."""
    (tmp_path / "videos").mkdir()
    media = PublicServer(
        [http(302, b"", "Location: https://media.example/there"), GOOD], tmp_path / "media.example.pem"
    )
    async with media.network() as network, downloading(limits=Limits(), network=network) as downloader:
        path = await downloader.download(generation("https://media.example/here"), tmp_path / "videos")

    assert [head.split()[1] for head in media.heads] == [b"/here", b"/there"]
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    "location",
    [
        "http://media.example/v.mp4",
        "//10.0.0.1/v.mp4",
        "https://127.0.0.1/v.mp4",
        "https://[::1]/v.mp4",
        "https://0x7f.0.0.1/v.mp4",
        "https://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ],
)
async def test_a_public_server_cannot_redirect_into_the_private_network(tmp_path: Path, location: str) -> None:
    """Nothing is asked of the place that the redirect leads to."""
    (tmp_path / "videos").mkdir()
    media = PublicServer([http(302, b"", f"Location: {location}"), GOOD], tmp_path / "tls.pem")
    async with media.network() as network, downloading(limits=Limits(), network=network) as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(generation("https://media.example/here"), tmp_path / "videos")

    assert caught.value.reason == "refused"
    assert media.tunnels == len(media.heads) == 1
    assert names(tmp_path / "videos") == []


async def test_no_redirect_gives_up_tls(tmp_path: Path) -> None:
    """Not even where ``http`` is allowed: the link was a secret, and would be told to everybody on the way."""
    (tmp_path / "videos").mkdir()
    media = PublicServer([http(302, b"", "Location: http://media.example/there"), GOOD], tmp_path / "tls.pem")
    async with media.network() as network, downloading(limits=OPEN, network=network) as downloader:
        with pytest.raises(DownloadError, match="from https to http") as caught:
            await downloader.download(generation("https://media.example/here"), tmp_path / "videos")

    assert caught.value.reason == "refused"
    assert media.tunnels == len(media.heads) == 1
    assert names(tmp_path / "videos") == []


async def test_an_unknown_certificate_is_final(tmp_path: Path) -> None:
    """TLS is verified for media too; the message says what is wrong."""
    media = PublicServer([GOOD], tmp_path / "tls.pem")
    async with media.network(trusted=False) as network, downloading(limits=Limits(), network=network) as downloader:
        with pytest.raises(DownloadError, match=r"self-signed certificate.*ssl_context=") as caught:
            await downloader.download(generation("https://media.example/here"), tmp_path / "videos")

    assert (caught.value.reason, caught.value.retryable, media.tunnels) == ("status", False, 1)
    assert media.heads == []


# --- links that are not allowed ---

NO_LINKS = [
    "file:///etc/passwd",
    "data:text/html;base64,AAAA",
    "ftp://cdn.example/v.mp4",
    "javascript:alert(1)",
    "https://",
    "https:///v.mp4",
    "https:v.mp4",
    "//cdn.example/v.mp4",
    "/v.mp4",
    "v.mp4",
    "",
    "https://[::1",
    "https://[bad]/",
    "https://cdn.example:99999/",
    "https://cdn.example:0/",
    "https://cdn example/",
    "https://%31%32%37.0.0.1/",
    "https://cdn..example/",
    "https://user@cdn.example/",
    "https://user:secret@cdn.example/",
    "https://:@cdn.example/",
    "https://@cdn.example/",
    "https://cdn.example\\@evil.example/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1111%25eth0]/",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 130}example/",
    "https://cdn.example/\r\nX-Evil: 1",
    "https://cdn.example/\x00",
    "https://cdn.example/\ud800",
]


@pytest.mark.parametrize("limits", [Limits(), OPEN], ids=["strict", "open"])
@pytest.mark.parametrize("link", NO_LINKS)
async def test_what_is_no_http_url_is_refused(tmp_path: Path, link: str, limits: Limits) -> None:
    """Whatever is allowed; nothing was opened to ask for it."""
    async with downloading(limits=limits) as downloader:
        with pytest.raises(DownloadError, match="not an absolute http") as caught:
            await downloader.download(with_link(link), tmp_path)

        assert not downloader._servers._sessions
    assert (caught.value.reason, caught.value.retryable, caught.value.url) == ("refused", False, None)


@pytest.mark.parametrize("link", [5, b"https://cdn.example/v.mp4", ["https://cdn.example/v.mp4"]])
async def test_a_link_that_is_no_text_is_refused(tmp_path: Path, link: object) -> None:
    """Generations can be made by hand."""
    async with downloading() as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(with_link(link), tmp_path)

    assert caught.value.reason == "refused"


@pytest.mark.parametrize(
    "link",
    [
        "http://cdn.example/v.mp4",
        "http://169.254.169.254/",
        "http://[::ffff:127.0.0.1]/",
        "http://0x7f.0.0.1/",
        "http://①②⑦.⓪.⓪.①/",
        "https://169.254.169.254/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::1]/",
        "https://0x7f.0.0.1/",
        "https://2130706433/",
        "https://0177.1/",
        "https://127.0.0.1./",
        "https://①②⑦.⓪.⓪.①/",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://127.1./",
        "https://127.0.0.1:8443/",
        "https://0x7f000001/",
        "https://017700000001/",
        "https://0/",
        "https://100.64.0.1/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b:1::7f00:1]/",
        "https://[2001:0:7f00:1::]/",
        "https://[fd00::1]/",
        "https://10.0.0.1/v.mp4?X-Amz-Signature=secret#secret",
    ],
)
@pytest.mark.parametrize("proxy", [None, "http://proxy.invalid:3128"])
async def test_http_and_private_addresses_are_refused(tmp_path: Path, link: str, proxy: str | None) -> None:
    """Before anything is opened, however they are spelled, with a proxy too; the advice names the option."""
    async with downloading(limits=Limits(), network=Network(proxy=check_proxy(hidden(proxy)))) as downloader:
        with pytest.raises(DownloadError, match="allow_private_media") as caught:
            await downloader.download(generation(link), tmp_path)

        assert not downloader._servers._sessions
    assert caught.value.reason == "refused"
    assert "secret" not in f"{caught.value!s} {caught.value!r} {caught.value.url}"
    assert names(tmp_path) == []


@define
class Names(AbstractResolver):
    """Resolves every name to the same addresses."""

    addresses: list[str]

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:  # noqa: ARG002 - aiohttp's signature
        """Return them in this order."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=0,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["fe80::1", "127.0.0.1", "::1", "10.0.0.1"]],
    ids=len,
)
async def test_no_socket_is_opened_for_a_private_address(tmp_path: Path, addresses: list[str]) -> None:
    """Whatever the resolver has let pass, and however many they are; no connection is made, and none tried again."""
    async with RawServer([GOOD]) as server, downloading(limits=Limits(request_timeout=0.5)) as downloader:
        connector: Any = downloader._servers._session(is_guarded=True).connector
        connector._resolver = Names(addresses)
        with pytest.raises(DownloadError) as caught:
            await downloader.download(generation(f"https://media.example:{server.port}/"), tmp_path)

    assert (caught.value.reason, caught.value.retryable) == ("refused", False)
    assert server.connections == 0
    assert isinstance(downloader.sleep, Naps)
    assert downloader.sleep.taken == []


@pytest.mark.parametrize("order", [1, -1], ids=["public first", "private first"])
@pytest.mark.parametrize(
    "private", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1%lo", "64:ff9b::a00:1"]
)
async def test_a_name_with_one_private_address_among_others_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: str, order: int
) -> None:
    """Whichever would be tried first; the system's resolver is asked once, and nothing is opened."""
    asked: list[object] = []

    async def getaddrinfo(host: object, *_: object, **__: object) -> list[object]:
        asked.append(host)
        found = [_found("93.184.215.14"), _found(private)]
        return found[::order]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    async with downloading(limits=Limits()) as downloader:
        with pytest.raises(DownloadError, match=r"media\.example leads into a private network") as caught:
            await downloader.download(generation("https://media.example/v.mp4"), tmp_path)

    assert (caught.value.reason, caught.value.retryable) == ("refused", False)
    assert asked == ["media.example"]


def _found(address: str) -> object:
    """Return *address* as getaddrinfo does."""
    if ":" not in address:
        return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
    host, _, zone = address.partition("%")
    return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, 443, 0, socket.if_nametoindex(zone) if zone else 0))


async def test_a_name_with_public_addresses_alone_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard changes nothing of what the system's resolver says."""

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [_found("93.184.215.14"), _found("2606:4700::1111")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    found = await _GuardedResolver().resolve("media.example", 443)

    assert [each["host"] for each in found] == ["93.184.215.14", "2606:4700::1111"]


async def test_localhost_is_refused_by_what_it_resolves_to(tmp_path: Path) -> None:
    """The session that a client makes by itself has the guard."""
    async with RawServer([GOOD]) as server, downloading(limits=Limits()) as downloader:
        with pytest.raises(DownloadError, match="localhost leads into a private network") as caught:
            await downloader.download(generation(f"https://localhost:{server.port}/"), tmp_path)

    assert caught.value.reason == "refused"
    assert server.connections == 0
