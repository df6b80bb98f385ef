"""The simulated relay as a server on loopback: it carries requests to the desk, and answers or breaks as told."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from attrs import define, field

from luma_async.testing._gateway import Desk
from luma_async.testing.exchange import Asked, Reply, Target

_MOST_BYTES = 32 * 2**20
"""Of a request's body: a submit may carry pictures as base64."""

_GRACE = 0.01
"""Real seconds for requests under way when the relay closes."""

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


@define(eq=False, kw_only=True)
class SimulatedRelay(Desk):
    """A relay on loopback that speaks the contract; its generations take as long as their scripts say.

    An async context manager for the running event loop; ``RelayThread`` runs it beside synchronous code. What tests
    call (``add``, ``trouble``, ``calm``, ``requests``) may be called from any thread, before the start and after it.

    Raises:
        ValueError: ``speed`` or ``link_ttl`` is not above zero, or the key is empty.
    """

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one at the first start, and the same one at later ones."""
    sleep: Callable[[float], Awaitable[Any]] = field(default=asyncio.sleep, repr=False)
    """Waits real seconds, for faults with a delay."""

    _runner: web.AppRunner | None = field(default=None, init=False, repr=False)

    @property
    def base_url(self) -> str:
        """Where a client on this machine finds the relay, without a trailing slash."""
        host = _REACHED_AT.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port again after an ``aclose``.

        Raises:
            OSError: The address is taken, or none of this machine's.
            RuntimeError: It has been started already.
        """
        if self._runner is not None:
            raise RuntimeError("the simulated relay has been started already")
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError:
            await self.aclose()
            raise
        self.port = self._runner.addresses[0][1]

    async def aclose(self) -> None:
        """Stop listening and break off what is under way, at once. Tasks and records stay. May be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.query,
            headers=request.headers,
            body=await request.read(),
            target=Target.of(request.method, request.rel_url.raw_path),
            now=self.now,
        )
        reply, fault = self.take(asked)
        if fault.delay:
            await self.sleep(fault.delay)
        if fault.reset:
            _hang_up(request, reset=True)
        if fault.cut_after is not None:
            return await _cut(request, reply, fault.cut_after)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


async def _cut(request: web.Request, reply: Reply, after: int) -> web.StreamResponse:
    """Promise the whole body, send its beginning, and hang up."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[:after])
    _hang_up(request, reset=False)
    return response


def _hang_up(request: web.Request, *, reset: bool) -> None:
    """End the connection; *reset* makes it an RST, which is what lingering for zero seconds makes of a close."""
    if request.transport is None:  # the client was faster
        return
    if reset:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.close()
