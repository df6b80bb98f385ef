"""A media server that keeps a strong ETag and Range, and does to a medium whatever it is told to."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from attrs import define, field
from multidict import CIMultiDict

from luma_async import Generation
from luma_async.testing._media import Medium
from tests.downloads import generation, mp4
from tests.raw_server import Act, RawServer, Reply, closing, http, reset, stay_silent

SIZE = 20_000
"""Bytes of a medium, more or less."""

Deed = Callable[[Medium, Mapping[str, str]], Reply]
"""What a server does with one request: the medium that it has, the request's headers, and what goes over the wire."""


def medium(name: str) -> Medium:
    """Return a video that no other name has; for a name that ends in ``.jpg``, a picture."""
    content = hashlib.shake_128(name.encode()).digest(SIZE)
    if name.endswith(".jpg"):
        return Medium(b"\xff\xd8\xff\xe0" + content, "image/jpeg")
    return Medium(mp4(content), "video/mp4")


def honest(found: Medium, headers: Mapping[str, str]) -> bytes:
    """Do what HTTP asks for: the whole, or the rest of just this version."""
    reply = found.reply(headers)
    return http(reply.status, reply.body, *(f"{name}: {value}" for name, value in reply.headers.items()))


def says(status: int, *headers: str, body: bytes = b"") -> Deed:
    """Answer *status*, whatever was asked for."""
    return lambda _found, _headers: http(status, body, *headers)


def with_etag(deed: Deed, etag: str) -> Deed:
    """Do *deed* with another ETag, or none."""
    return _with_head(deed, lambda line: (etag and f"ETag: {etag}") if line.startswith("ETag:") else line)


def ranged(told: str) -> Deed:
    """Answer a request for the rest with another Content-Range, or none."""
    return _with_head(
        honest, lambda line: (told and f"Content-Range: {told}") if line.startswith("Content-Range:") else line
    )


def with_header(deed: Deed, header: str) -> Deed:
    """Do *deed*, one header added."""
    return _with_head(deed, lambda line: f"{header}\r\n{line}" if line.startswith("Content-Length:") else line)


def _with_head(deed: Deed, change: Callable[[str], str]) -> Deed:
    def act(found: Medium, headers: Mapping[str, str]) -> bytes:
        whole = deed(found, headers)
        assert isinstance(whole, bytes)
        head, _, body = whole.partition(b"\r\n\r\n")
        lines = [line for line in map(change, head.decode().split("\r\n")) if line]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    return act


def whole(found: Medium, _: Mapping[str, str]) -> bytes:
    """Heed no Range."""
    return honest(found, {})


def blind(found: Medium, headers: Mapping[str, str]) -> bytes:
    """Heed Range, and no If-Range: the rest of whatever is there now."""
    return honest(found, {name: value for name, value in headers.items() if name != "If-Range"})


def of_another(deed: Deed) -> Deed:
    """Do *deed* with another version of the medium, as long as the first."""
    return lambda found, headers: deed(Medium(found.content[:-SIZE] + bytes(SIZE), found.content_type), headers)


def cut(share: float, deed: Deed = honest, end: Act | None = None) -> Deed:
    """Do *deed* up to a *share* of its body's bytes, and then *end* the connection."""

    def act(found: Medium, headers: Mapping[str, str]) -> Reply:
        reply = deed(found, headers)
        assert isinstance(reply, bytes)
        head, _, body = reply.partition(b"\r\n\r\n")
        sent = head + b"\r\n\r\n" + body[: int(share * len(body))]
        return closing(sent) if end is None else _then(sent, end)

    return act


def _then(sent: bytes, end: Act) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.02)  # a reset takes along what has not been read yet
        await end(reader, writer)

    return act


def reset_at(share: float, deed: Deed = honest) -> Deed:
    """Reset the connection after a *share* of the bytes."""
    return cut(share, deed, reset)


def stalled_at(share: float, deed: Deed = honest) -> Deed:
    """Send a *share* of the bytes and then nothing more."""
    return cut(share, deed, stay_silent)


def dripping(found: Medium, headers: Mapping[str, str]) -> Act:
    """Send a byte now and then: never silent, and never done."""
    head, _, body = honest(found, headers).partition(b"\r\n\r\n")
    drops = iter(body)

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"\r\n\r\n")
        while not writer.is_closing():
            writer.write(bytes([next(drops)]))
            await writer.drain()
            await asyncio.sleep(0.01)

    return act


@define(eq=False)
class MediaServer:
    """Serves one medium for each name; each request for a name takes its next deed, and the last serves for ever.

    A name without deeds is served honestly.
    """

    deeds: Mapping[str, Sequence[Deed]] = field(factory=dict[str, Sequence[Deed]])
    asked: list[tuple[str, CIMultiDict[str]]] = field(factory=list)
    """The name and the headers of each request."""
    _server: RawServer = field(init=False)

    async def __aenter__(self) -> Self:
        self._server = RawServer([self._answer])
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.__aexit__(*error)

    @property
    def open_most(self) -> int:
        """Connections that were open at once."""
        return self._server.open_most

    def link(self, name: str) -> str:
        """Return where the medium *name* is."""
        return f"{self._server.base_url}/{name}?signature=secret"

    def made(self, name: str) -> Generation:
        """Return the generation *name* whose media are here."""
        return generation(self.link(name), name)

    def ranges(self, name: str) -> list[str | None]:
        """Return the Range of each request for *name*, in order."""
        return [headers.get("Range") for asked, headers in self.asked if asked == name]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = self._server.heads[-1].decode().strip().split("\r\n")
        name = first.split()[1].partition("?")[0].strip("/")
        headers = CIMultiDict(line.partition(": ")[::2] for line in lines)
        self.asked.append((name, headers))
        deeds = self.deeds.get(name, [honest])
        reply = deeds[min(len(self.ranges(name)), len(deeds)) - 1](medium(name), headers)
        if isinstance(reply, bytes):
            reply = _sending(reply)
        await reply(reader, writer)


def _sending(sent: bytes) -> Act:
    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()

    return act
