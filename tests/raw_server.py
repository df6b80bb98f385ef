"""A server that says exactly the bytes it is told to, for what a well-behaved server cannot show."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Self

from attrs import define, field

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Reply = bytes | Act


def http(status: int, body: bytes | object = b"", *headers: str, length: int | None = None) -> bytes:
    """Return an HTTP answer; *body* becomes JSON unless it is bytes, *length* may lie."""
    told = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(told) if length is None else length}", *headers]
    return "\r\n".join(lines).encode(errors="surrogateescape") + b"\r\n\r\n" + told


def task(task_id: str, state: str, **more: object) -> bytes:
    """Return a good answer about a task."""
    return http(200, {"id": task_id, "state": state, **more}, "Content-Type: application/json")


def nth(script: Sequence[Reply], number: int) -> Reply:
    """Return the reply with *number*, from 1; the last one serves for ever."""
    return script[min(number, len(script)) - 1]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection without a byte."""
    writer.close()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection with a reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection with a reset, once what was written has had a moment to arrive."""
    await writer.drain()
    await asyncio.sleep(0.005)
    await reset(reader, writer)


async def stay_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Never answer; end when the client has gone."""
    await reader.read()


def then(answer: bytes, end: Act) -> Act:
    """Send *answer*, whole or not, and go on with *end*."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        await end(reader, writer)

    return act


def closing(answer: bytes) -> Act:
    """Send *answer*, whole or not, and close the connection."""
    return then(answer, hang_up)


@define(eq=False)
class RawServer:
    """Answers each request, on whatever connection, with the next reply; the last one serves for ever."""

    replies: Sequence[Reply]
    listen_on: int = 0
    """A port; 0 for any that is free."""
    heads: list[bytes] = field(factory=list)
    """The request lines and headers as they came, in order."""
    bodies: list[bytes] = field(factory=list)
    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    _writers: list[asyncio.StreamWriter] = field(factory=list)

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.listen_on)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._tasks.add(serving)
        serving.add_done_callback(self._tasks.discard)
        self._writers.append(writer)
        self.connections += 1
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._greet(reader, writer)
                while not writer.is_closing():
                    await self._answer(reader, writer)
        finally:
            self.open_now -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what comes before the first request of a connection: here nothing."""

    def _next_reply(self) -> Reply:
        """Choose what the newest request gets."""
        return nth(self.replies, len(self.heads))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        self.bodies.append(await reader.readexactly(int(lengths[0]) if lengths else 0))
        self.heads.append(head)
        reply = self._next_reply()
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        else:
            await reply(reader, writer)
