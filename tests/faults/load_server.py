"""A server for many tasks at once: as little work for each request as can be, and a count of everything."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self, cast

from attrs import define, field

from tests.raw_server import http

RESET = b"\0"
"""Instead of an answer: the connection breaks."""
Answer = Callable[[str], object]
"""What a relay tells of one task: JSON."""


def healthy(_: Sequence[str]) -> bytes | None:
    """Give no request another answer than it should get."""
    return None


@define(eq=False)
class LoadServer:
    """Answers single and batch queries on loopback; use it as an async context manager."""

    tell: Answer
    trouble: Callable[[Sequence[str]], bytes | None] = healthy
    """Asked for each request, with its ids: raw bytes, or ``RESET``, in place of the right answer."""
    delay: float = 0.0
    """Seconds before each answer."""
    listen_on: int = 0
    asked: Counter[str] = field(factory=Counter)
    """How often each id was asked for."""
    requests: int = 0
    connections: set[asyncio.Transport] = field(factory=set)
    """Open now."""
    open_most: int = 0
    _server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """Where it listens, also when it has stopped."""
        return f"http://127.0.0.1:{self.listen_on}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), "127.0.0.1", self.listen_on, backlog=512
        )
        self.listen_on = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()  # since Python 3.12 the next line waits for them
        await self._server.wait_closed()

    def hang_up(self) -> None:
        """Break all connections."""
        for connection in self.connections.copy():
            connection.abort()

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Return what goes over the wire."""
        is_batch = head.startswith(b"POST")
        ids: list[str] = json.loads(body)["ids"] if is_batch else [head.split(b" ", 2)[1].rpartition(b"/")[2].decode()]
        self.requests += 1
        self.asked.update(ids)
        told = [self.tell(task_id) for task_id in ids]
        return self.trouble(ids) or http(200, told if is_batch else told[0], "Content-Type: application/json")


_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, server: LoadServer) -> None:
        self._server = server
        self._held = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        self._server.connections.add(self._transport)
        self._server.open_most = max(self._server.open_most, len(self._server.connections))

    def connection_lost(self, _: Exception | None) -> None:
        self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and len(body) >= (int(length[1]) if length else 0):
            self._held = b""
            answer = self._server.answer(head, body)
            asyncio.get_running_loop().call_later(self._server.delay, self._send, answer)

    def _send(self, answer: bytes) -> None:
        if answer is RESET:
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.write(answer)


def completed(task_id: str) -> object:
    """Tell that *task_id* is done, with a link that no other has."""
    return {"id": task_id, "state": "completed", "video": {"download_url": link(task_id)}}


def pending(task_id: str) -> object:
    """Tell that *task_id* is under way."""
    return {"id": task_id, "state": "pending"}


def link(task_id: str) -> str:
    """Return where the video of *task_id* is."""
    return f"https://cdn.example/{task_id}.mp4"
