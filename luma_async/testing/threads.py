"""Runs the simulated relay in its own thread, for synchronous tests, subprocesses, and any async plug-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType

from attrs import define, field

from luma_async.testing.relay import SimulatedRelay


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
