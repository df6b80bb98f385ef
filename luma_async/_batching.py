"""Alone or together: ids that are due at about the same time share one request, where the relay can do that."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import Literal

from attrs import define, field

from luma_async._transport import Request, Transport
from luma_async._wire import TASKS_PATH, Known, Sighting, sight, sight_many, task_path, tasks_body
from luma_async.errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    LumaError,
    ProtocolError,
    TransportError,
    Verdict,
)

Batch = Literal["auto", "never", "always"]

_NO_SUCH_QUERY = frozenset({404, 405, 501})
_TRIALS = 2
"""Failures in a row after which a relay that never answered a batch counts as having no batch query."""
_FORGETTING = 0.01
"""Weight of the newest request in the mean of how many looks one answers."""
_TRIAL_PATIENCE = 1.0
"""Seconds that others wait for the first batch to show whether the relay can do it; then they go alone."""


@define(eq=False, repr=False)
class _Entry:
    """One who is due, and what he hears: a sighting, an error, or None, which means: ask alone."""

    task_id: str
    known: Known | None
    deadline: float
    request: Request
    heard: asyncio.Future[Sighting | None]


@define(eq=False, repr=False)
class Batcher:
    """Asks for tasks, one by one or many at once. Times are the event loop's, in seconds."""

    transport: Transport
    mode: Batch = "never"
    _works: bool | None = None
    """Whether the relay has a batch query; None until it has shown it."""
    _failures: int = 0
    """Of batches, in a row."""
    _scout: str | None = None
    """An id that goes alone to see whether only batches fail."""
    _scout_at: int = _TRIALS
    """Failures in a row at which one goes; rarer and rarer, since in an outage each adds to the load."""
    _found: int = 0
    """Scouts that came back with an answer, since a batch did."""
    looks_per_request: float = 1.0
    """How many ids one request has asked for of late."""
    _alone: set[str] = field(factory=set)
    """Ids that the relay left out of an answer, or that it refused to be asked for with others."""
    _due: list[_Entry] = field(factory=list)
    _soon: asyncio.Handle | None = None
    """Goes when all who became due in this turn of the event loop have come."""
    _patience: asyncio.TimerHandle | None = None
    """Lets those who wait for the first batch go alone."""
    _asking: set[asyncio.Task[None]] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self._works = {"auto": None, "never": False, "always": True}[self.mode]

    async def look(
        self,
        task_id: str,
        *,
        known: Known | None = None,
        deadline: float = math.inf,
        request: Request | None = None,
    ) -> Sighting:
        """Ask once; an answer that is *known* already is not structured anew.

        Args:
            task_id: A checked one.
            known: What the look before showed.
            deadline: The event loop's time at which to give up.
            request: To learn from it when it got its slot.

        Raises:
            LumaError: The relay said no, or no usable answer came.
        """
        request = request or Request("GET", task_path(task_id))
        if self._works is not False and task_id not in self._alone:
            heard: asyncio.Future[Sighting | None] = asyncio.get_running_loop().create_future()
            self._due.append(_Entry(task_id, known, deadline, request, heard))
            self._go_soon()
            try:
                sighting = await heard
            finally:
                if not heard.done() or heard.cancelled():
                    self._due = [other for other in self._due if other.heard is not heard]
            if sighting is not None:
                return sighting
        self._count(1)
        sighting = await self.transport.exchange(
            request, lambda answer: sight(answer, task_id, known), deadline=deadline
        )
        if task_id == self._scout:
            self._came_back()
        return sighting

    @property
    def most(self) -> int:
        """Ids that one request takes."""
        return self.transport.settings.limits.batch_size

    @property
    def gathers(self) -> bool:
        """Whether it is of use to wait for others."""
        return self._works is not False

    def _count(self, looks: int) -> None:
        self.looks_per_request += _FORGETTING * (looks - self.looks_per_request)

    def forget(self, task_id: str) -> None:
        """Drop what was learned about an id that nobody waits for any more."""
        self._alone.discard(task_id)

    async def aclose(self) -> None:
        """Stop asking; those who wait to be asked for hear ClientClosedError."""
        self._tell_all(self._take(len(self._due)), ClientClosedError("the client is closed"))
        self._lose_no_patience()
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    # --- those who are due ---

    def _go_soon(self) -> None:
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        """Ask for all who are due; while one batch is out to show how things stand, the others gather behind it."""
        self._soon = None
        while self._due and not self._is_scouting():
            self._ask(self._take(self.most))
        if self._due and self._works is None and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(_TRIAL_PATIENCE, self._go_alone)

    def _lose_no_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _is_scouting(self) -> bool:
        """Whether a batch is under way on trial, or at the gate of a cool-down."""
        return bool(self._asking) and (self._works is None or not self.transport.cooldown.is_open)

    def _go_alone(self) -> None:
        self._patience = None
        self._tell_all(self._take(len(self._due)), None)

    def _take(self, most: int) -> list[_Entry]:
        taken, self._due = self._due[:most], self._due[most:]
        return taken

    def _ask(self, entries: list[_Entry]) -> None:
        if self._works is False or (len(entries) == 1 and self._may_go_alone()):
            self._tell_all(entries, None)
            return
        asking = asyncio.create_task(self._exchange(entries), name=f"luma_async batch of {len(entries)}")
        self._asking.add(asking)
        asking.add_done_callback(partial(self._asked, entries))

    def _may_go_alone(self) -> bool:
        """Whether one who is due has nobody to wait with: at the gate of a cool-down others will gather behind it."""
        return self.mode == "auto" and (self.transport.cooldown.is_open or not self._works)

    def _asked(self, entries: list[_Entry], asking: asyncio.Task[None]) -> None:
        """Let the next ones go, and see to it that nobody waits for a batch that is gone: cancelled, or by a defect."""
        self._asking.discard(asking)
        defect = ClientClosedError("the client is closed") if asking.cancelled() else asking.exception()
        if defect is not None:
            for entry in entries:
                _refuse(entry, defect)
        self._lose_no_patience()
        if self._due:
            self._go_soon()

    # --- one batch ---

    async def _exchange(self, entries: list[_Entry]) -> None:
        known = {entry.task_id: entry.known for entry in entries}
        request = Request("POST", TASKS_PATH, tasks_body(known))
        try:
            sighted = await self.transport.exchange(
                request,
                lambda answer: sight_many(answer, known),
                deadline=max(entry.deadline for entry in entries),
            )
        except LumaError as error:
            self._tell_all(entries, self._judged(error, entries), request)
        else:
            self._works, self._failures, self._found, self._scout_at = True, 0, 0, _TRIALS
            self._count(len(entries))
            self._part([entry for entry in entries if entry.task_id not in sighted])
            for entry in entries:
                _tell(entry, sighted.get(entry.task_id))

    def _part(self, entries: list[_Entry]) -> None:
        """Let these be asked for alone from now on; who has left meanwhile has been forgotten, and stays so."""
        self._alone.update(entry.task_id for entry in entries if not entry.heard.done())

    def _judged(self, error: LumaError, entries: list[_Entry]) -> LumaError | None:
        """Return what a failed batch means for its ids: its error, or None, which means: ask alone.

        A refusal of the request is never an id's fate (DESIGN: *Many ids, one request*).
        """
        if isinstance(error, AuthenticationError | TransportError | ClientClosedError):
            return self._failed(error, entries)
        status = error.status if isinstance(error, APIError) else 0
        passing = error.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN)
        if status in _NO_SUCH_QUERY or (isinstance(error, ProtocolError) and not passing):
            return self._has_none(error)
        if not passing:
            self._part(entries)
            return None
        if self._works is None and (isinstance(error, ProtocolError) or status == 200):  # noqa: PLR2004 - HTTP
            return self._has_none(error)
        return self._failed(error, entries)

    def _failed(self, error: LumaError, entries: list[_Entry]) -> LumaError | None:
        self._failures += 1
        if error.verdict is Verdict.PASSING:
            if self._works is None and self._failures >= _TRIALS:
                return self._has_none(error)
            if self.mode == "auto" and self._failures >= self._scout_at:
                self._send_scout(entries)
        return error

    def _send_scout(self, entries: list[_Entry]) -> None:
        """Let the first of *entries* go alone at once."""
        self._scout_at = 2 * self._failures + 1
        for entry in entries:
            if not entry.heard.done():
                self._scout = entry.task_id
                _tell(entry, None)
                return

    def _came_back(self) -> None:
        """Take in that a look works where batches fail; the second time, this relay has no batch query any more.

        Once is no proof: an outage can end between a batch and the look after it.
        """
        self._scout = None
        self._found += 1
        if self._failures and self._found >= _TRIALS:
            self._works = False

    def _has_none(self, error: LumaError) -> LumaError | None:
        if self.mode == "always":
            return ProtocolError(f"no batch query: {error.summary}", advice='give batch="auto" or "never"')
        self._works = False
        return None

    def _tell_all(self, entries: list[_Entry], what: LumaError | None, request: Request | None = None) -> None:
        for entry in entries:
            if request is not None and what is not None:
                entry.request.admitted_at = request.admitted_at
            if what is None:
                _tell(entry, None)
            else:
                _refuse(entry, what.for_task(entry.task_id))


def _tell(entry: _Entry, sighting: Sighting | None) -> None:
    if not entry.heard.done():
        entry.heard.set_result(sighting)


def _refuse(entry: _Entry, error: BaseException) -> None:
    if not entry.heard.done():
        entry.heard.set_exception(error)
