"""The simulated relay as a server on loopback: it passes requests to the gateway, and sends answers and faults."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web
from attrs import define, field

from luma_async.testing._answers import Task
from luma_async.testing._gateway import Gateway
from luma_async.testing.callbacks import Callbacks, is_near, post
from luma_async.testing.exchange import Asked, Reply, Target

_MOST_BYTES = 32 * 2**20
"""Most bytes in the body of a request: a submit may contain pictures as base64."""

_GRACE = 0.01
"""Real seconds for requests that are under way when the relay closes."""

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


@define(eq=False, kw_only=True)
class SimulatedRelay(Gateway):
    """A relay on loopback that follows the contract; scripts define how long its generations take.

    An async context manager for the running event loop; ``RelayThread`` runs it beside synchronous code. The methods
    for tests (``add``, ``trouble``, ``calm``, ``requests``) may be called from any thread, before and after the start.

    Raises:
        ValueError: ``speed`` or ``link_ttl`` is not above zero, or the key is empty.
    """

    host: str = "127.0.0.1"
    port: int = 0
    """0 means a free port at the first start, and the same port at later starts."""
    sleep: Callable[[float], Awaitable[Any]] = field(default=asyncio.sleep, repr=False)
    """Waits for real seconds, for faults with a delay and for callbacks."""
    callbacks: Callbacks = field(factory=Callbacks, repr=False)
    """How the relay calls the ``notify_hook`` of a submit."""

    _callers: set[asyncio.Task[None]] = field(factory=set, init=False, repr=False)
    _runner: web.AppRunner | None = field(default=None, init=False, repr=False)

    @property
    def base_url(self) -> str:
        """The address of the relay for clients on this machine, without a trailing slash."""
        host = _REACHED_AT.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Start to listen; after an ``aclose``, on the same port again.

        Raises:
            OSError: The address is in use, or not an address of this machine.
            RuntimeError: The relay has been started already.
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
        """Stop listening and break the requests under way. Tasks and records stay. A second call does nothing."""
        runner, self._runner = self._runner, None
        callers = list(self._callers)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
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
        before = len(self._tasks)
        reply, fault = self.take(asked)
        if len(self._tasks) > before and is_near(hook := str(asked.document.get("notify_hook"))):
            self._start_calling(next(reversed(self._tasks.values())), hook)
        if fault.delay:
            await self.sleep(fault.delay)
        if fault.reset:
            _hang_up(request, reset=True)
        if fault.cut_after is not None:
            return await _cut(request, reply, fault.cut_after)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    def _start_calling(self, task: Task, hook: str) -> None:
        caller = asyncio.create_task(self._call_back(task, hook), name=f"callbacks of {task.task_id}")
        self._callers.add(caller)
        caller.add_done_callback(self._callers.discard)

    async def _call_back(self, task: Task, hook: str) -> None:
        """Call *hook* at each change of *task*."""
        async with aiohttp.ClientSession() as session:
            for age in self.callbacks.due(task):
                at = task.registered_at + age + self.callbacks.delay
                await self.sleep(max(at - self.now, 0.0) / self.speed)
                await post(session, hook, self.callbacks.body(task, age, self._link_to(task)), self.sleep)


@define(eq=False)
class RelayThread:
    """Runs a relay in a background thread with its own event loop.

    A context manager that returns the relay::

        with RelayThread(SimulatedRelay(speed=50)) as relay:
            task_id = relay.add()

    Raises:
        OSError: At the start: the relay's address is in use, or not an address of this machine.
    """

    relay: SimulatedRelay = field(factory=SimulatedRelay)
    _pool: ThreadPoolExecutor = field(init=False, repr=False)
    _stop: Callable[[], object] = field(init=False, repr=False)

    def __enter__(self) -> SimulatedRelay:
        """Start the thread and wait until the relay listens."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="simulated-relay")
        listening: Future[None] = Future()
        running = self._pool.submit(asyncio.run, self._run(listening))
        wait((listening, running), return_when=FIRST_COMPLETED)
        if running.done():
            self._pool.shutdown()
            running.result()
        return self.relay

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the relay and wait for its thread to end."""
        self._stop()
        self._pool.shutdown()

    async def _run(self, listening: Future[None]) -> None:
        stop = asyncio.Event()
        self._stop = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        async with self.relay:
            listening.set_result(None)
            await stop.wait()


async def _cut(request: web.Request, reply: Reply, after: int) -> web.StreamResponse:
    """Announce the whole body, send its first bytes, and close the connection."""
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[:after])
    _hang_up(request, reset=False)
    return response


def _hang_up(request: web.Request, *, reset: bool) -> None:
    """Close the connection; with *reset*, by an RST: a close that lingers for zero seconds sends one."""
    if request.transport is None:  # the client has closed it before
        return
    if reset:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.close()
