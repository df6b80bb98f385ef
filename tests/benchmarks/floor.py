"""The floor: polls written by hand on a bare protocol, which shows what the fast relay itself can bear."""

from __future__ import annotations

import asyncio
import re
from typing import Self

from attrs import define, field

from tests.benchmarks.clients import HEADERS, Loops

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@define(eq=False)
class _Connection(asyncio.Protocol):
    """Asks for one task again and again, until the answer says that it has completed."""

    request: bytes
    over: asyncio.Future[None]
    _received: bytes = b""
    _transport: asyncio.Transport = field(init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        data = self._received + data if self._received else data
        end = data.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(data, 0, end)
        if length is None or len(data) < end + int(length[1]):
            self._received = data
            return
        self._received = b""
        if data.find(b'"state": "completed"', end) < 0:
            self._transport.write(self.request)
        else:
            self._transport.close()
            self.over.set_result(None)


@define(eq=False)
class ByHand(Loops):
    """One connection for each id; no HTTP library, no JSON, no checks."""

    async def __aenter__(self) -> Self:
        """Connections are opened for each id."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """They are closed by then."""

    async def _poll_on(self, task_id: str) -> None:
        loop = asyncio.get_running_loop()
        host, _, port = self.base_url.removeprefix("http://").partition(":")
        lines = [f"GET /luma/generations/{task_id} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in HEADERS.items()]
        over: asyncio.Future[None] = loop.create_future()
        request = "\r\n".join([*lines, "", ""]).encode()
        await loop.create_connection(lambda: _Connection(request, over), host, int(port))
        await over
