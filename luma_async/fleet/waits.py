"""The waits of one process for an engine that hands it ids; knows no engine."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from itertools import chain
from typing import Any

from attrs import define, field

from luma_async.client import LumaClient
from luma_async.errors import ClientClosedError, ConfigurationError, GenerationFailedError, NotFoundError
from luma_async.outcomes import Outcome

_LAST_LOOK = 5.0
"""Seconds for the poll of an id whose deadline passed while no process had it."""
_SPREAD = 0.2
"""Slices are shorter by up to this share, so that ids that came together do not all go back together."""
_ENDS = (GenerationFailedError, NotFoundError, ConfigurationError)
"""The errors that are an id's end; all others may pass before its deadline."""


@define(eq=False, kw_only=True)
class Waits:
    """The waits of one process: one client, absolute deadlines, and a drain that hands everything back.

    Call ``outcome`` in each job of an engine. At SIGTERM call ``drain``: each call returns None at once.
    """

    client: LumaClient
    """Shared by all waits; it is entered and closed by the caller."""
    slice: float = 300.0
    """Most seconds of one call: brokers have limits, and load moves to new processes."""
    pause: float = 60.0
    """Seconds until an id is polled again after trouble that ended its wait, such as a refused key."""
    clock: Callable[[], float] = time.time
    """Seconds since the epoch, by the clock of the deadlines."""
    _tasks: dict[str, set[asyncio.Task[Any]]] = field(factory=dict, init=False, repr=False)
    """The calls for each id: one, unless a lease was lost."""
    _is_draining: bool = field(default=False, init=False)

    async def outcome(self, task_id: str, until: float | None) -> Outcome | None:
        """Wait for *task_id*; never raises for the id. Cancelling stops the wait, never the generation.

        Args:
            task_id: The id; an invalid one gets an outcome with a ConfigurationError.
            until: The deadline, in seconds since the epoch by ``clock``; None is without end.

        Returns:
            The outcome; its ``elapsed`` and ``polls`` are those of this call. None: not ended; hand the id back to the
            engine. Trouble at the relay, or with the key, is an outcome only at the deadline.
        """
        task = asyncio.current_task()
        if self._is_draining or task is None:
            return None
        tasks = self._tasks.setdefault(task_id, set())
        tasks.add(task)
        try:
            return await self._outcome(task_id, until)
        except asyncio.CancelledError:
            if self._is_draining and task.uncancel() == 0:  # ours, as in asyncio.timeout
                return None
            raise
        finally:
            tasks.discard(task)
            if not tasks:
                del self._tasks[task_id]

    async def _outcome(self, task_id: str, until: float | None) -> Outcome | None:
        ends = self.clock() + self.slice * (1 - _SPREAD * random.random())  # noqa: S311 - spreads load
        while True:
            last = until is not None and until <= ends
            stop = until if last and until is not None else ends
            outcome = await self.client.outcome(task_id, timeout=max(stop - self.clock(), _LAST_LOOK))
            is_over, is_closed = self.clock() >= stop, isinstance(outcome.error, ClientClosedError)
            if outcome.error is None or isinstance(outcome.error, _ENDS) or (last and is_over and not is_closed):
                return outcome
            if is_over or is_closed:
                return None
            await asyncio.sleep(min(self.pause, stop - self.clock()))

    def notify(self, task_id: str) -> bool:
        """Poll *task_id* soon if a call waits for it, as ``LumaClient.notify`` does; return whether one does."""
        return task_id in self._tasks and self.client.notify(task_id)

    def drain(self) -> None:
        """End all calls with None, those to come too. It cannot be undone."""
        self._is_draining = True
        for task in chain.from_iterable(self._tasks.values()):
            task.cancel()
