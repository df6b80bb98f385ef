"""Alone or together: ids that are due at about the same time share one request, where the relay can do that."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from functools import partial
from itertools import islice
from random import random
from typing import Any, Literal

from attrs import define, field

from luma_async._network.transport import Request, Transport
from luma_async._relay.requests import TASKS_PATH, task_path, tasks_body
from luma_async._relay.tasks import Known, News, Sighting, sight, sight_many
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
class Asker(ABC):
    """One who asks for a task, once or again and again, and hears what came of it."""

    task_id: str
    """A checked one."""
    request: Request | None = None
    """What goes out when he asks alone; made when it does for the first time."""
    known: Known | None = None
    """What the look before showed: the same once more is not structured anew."""
    deadline: float = math.inf
    """The event loop's time at which to give up."""

    @abstractmethod
    def saw(self, known: Known, news: News | None, now: float, /) -> None:
        """Hear of a good answer, *news* None where it is *known* already; *now* is the event loop's time."""

    @abstractmethod
    def missed(self, error: LumaError) -> None:
        """Hear why there is none."""

    @abstractmethod
    def broke(self, defect: BaseException) -> None:
        """Hear that none will come, because of something that should not have happened."""


@define(eq=False, repr=False)
class Ask:
    """One look that is wanted, until its asker has heard of it or left."""

    asker: Asker
    is_over: bool = False
    alone: asyncio.Task[None] | None = None
    """Where it goes alone."""

    def tell(self, sighting: Sighting, now: float) -> None:
        """Let the asker hear, once; what he raises at that is his own affair, and spoils nothing for others."""
        if not self.is_over:
            self.is_over = True
            try:
                self.asker.saw(*sighting, now)
            except BaseException as defect:  # noqa: BLE001 - what is no Exception goes on
                self._broke(defect)

    def refuse(self, error: LumaError) -> None:
        """Let him hear, in the same way, that there is no answer."""
        if not self.is_over:
            self.is_over = True
            try:
                self.asker.missed(error)
            except BaseException as defect:  # noqa: BLE001 - see above
                self._broke(defect)

    def fail(self, defect: BaseException) -> None:
        """Let him hear that there will be none."""
        if not self.is_over:
            self.is_over = True
            self.asker.broke(defect)

    def _broke(self, defect: BaseException) -> None:
        self.asker.broke(defect)
        if not isinstance(defect, Exception):
            raise defect


@define(eq=False, repr=False)
class _Caller(Asker):
    """One who awaits a single look."""

    heard: asyncio.Future[Sighting] = field(kw_only=True)

    def saw(self, known: Known, news: News | None, _: float, /) -> None:
        """Let the look end with it."""
        if not self.heard.done():
            self.heard.set_result((known, news))

    def missed(self, error: LumaError) -> None:
        """Let the look raise it."""
        self.broke(error)

    def broke(self, defect: BaseException) -> None:
        """Let the look raise it."""
        if not self.heard.done():
            self.heard.set_exception(defect)


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
    chance: float = field(factory=random)
    """For the pauses after the answer that came last: ids that it is about rest alike, and so meet again."""
    _alone: set[str] = field(factory=set)
    """Ids that the relay left out of an answer, or that it refused to be asked for with others."""
    _due: dict[Ask, None] = field(factory=dict)
    """In the order in which they came."""
    _soon: asyncio.Handle | None = None
    """Goes when all who became due in this turn of the event loop have come."""
    _patience: asyncio.TimerHandle | None = None
    """Lets those who wait for the first batch go alone."""
    _asking: set[asyncio.Task[None]] = field(factory=set)
    """Batches under way."""
    _asking_alone: set[asyncio.Task[None]] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self._works = {"auto": None, "never": False, "always": True}[self.mode]

    def ask(self, asker: Asker) -> Ask:
        """Ask once; *asker* hears of it later, never at once. Return what to leave it by."""
        ask = Ask(asker)
        if self._works is not False and asker.task_id not in self._alone:
            self._due[ask] = None
            if self._soon is None:
                self._go_soon()
        else:
            self._go_alone(ask)
        return ask

    def leave(self, ask: Ask) -> None:
        """Want the look no more; leaving one that is over does nothing."""
        if not ask.is_over:
            ask.is_over = True
            self._due.pop(ask, None)
            if ask.alone is not None:
                ask.alone.cancel()

    async def look(
        self,
        task_id: str,
        *,
        known: Known | None = None,
        deadline: float = math.inf,
        request: Request | None = None,
    ) -> Sighting:
        """Ask once, and wait for what comes of it.

        Args:
            task_id: A checked one.
            known: What the look before showed.
            deadline: The event loop's time at which to give up.
            request: To learn from it when it got its slot.

        Raises:
            LumaError: The relay said no, or no usable answer came.
        """
        heard: asyncio.Future[Sighting] = asyncio.get_running_loop().create_future()
        ask = self.ask(_Caller(task_id, request, known, deadline, heard=heard))
        try:
            return await heard
        finally:
            self.leave(ask)

    @property
    def most(self) -> int:
        """Ids that one request takes."""
        return self.transport.settings.limits.batch_size

    @property
    def gathers(self) -> bool:
        """Whether it is of use to wait for others."""
        return self._works is not False

    def _heard(self, looks: int) -> None:
        """Take note of a request for so many *looks* that is over, before anybody is told of it."""
        self.chance = random()  # noqa: S311 - jitter
        self.looks_per_request += _FORGETTING * (looks - self.looks_per_request)

    def forget(self, task_id: str) -> None:
        """Drop what was learned about an id that nobody waits for any more."""
        self._alone.discard(task_id)

    async def aclose(self) -> None:
        """Stop asking; those who wait to be asked for hear ClientClosedError."""
        self._tell_all(self._take(len(self._due)), ClientClosedError("the client is closed"))
        self._lose_no_patience()
        under_way = self._asking | self._asking_alone
        for asking in under_way:
            asking.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # --- those who are due ---

    def _go_soon(self) -> None:
        self._soon = asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        """Ask for all who are due; while one batch is out to show how things stand, the others gather behind it."""
        self._soon = None
        while self._due and not self._is_scouting():
            self._go_together(self._take(self.most))
        if self._due and self._works is None and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(_TRIAL_PATIENCE, self._lose_patience)

    def _lose_no_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _is_scouting(self) -> bool:
        """Whether a batch is under way on trial, or at the gate of a cool-down."""
        return bool(self._asking) and (self._works is None or not self.transport.cooldown.is_open)

    def _lose_patience(self) -> None:
        self._patience = None
        self._tell_all(self._take(len(self._due)), None)

    def _take(self, most: int) -> list[Ask]:
        taken = list(islice(self._due, most))
        for ask in taken:
            del self._due[ask]
        return taken

    def _go_together(self, asks: list[Ask]) -> None:
        if self._works is False or (len(asks) == 1 and self._may_go_alone()):
            self._tell_all(asks, None)
            return
        self._begin(self._exchange(asks), asks, self._asking, f"batch of {len(asks)}")

    def _may_go_alone(self) -> bool:
        """Whether one who is due has nobody to wait with: at the gate of a cool-down others will gather behind it."""
        return self.mode == "auto" and (self.transport.cooldown.is_open or not self._works)

    def _go_alone(self, ask: Ask) -> None:
        ask.alone = self._begin(self._look(ask.asker, ask), [ask], self._asking_alone, f"look at {ask.asker.task_id}")

    def _begin(
        self, work: Coroutine[Any, Any, None], asks: list[Ask], under_way: set[asyncio.Task[None]], name: str
    ) -> asyncio.Task[None]:
        asking = asyncio.create_task(work, name=f"luma_async {name}")
        under_way.add(asking)
        asking.add_done_callback(partial(self._asked, asks, under_way))
        return asking

    def _asked(self, asks: list[Ask], under_way: set[asyncio.Task[None]], asking: asyncio.Task[None]) -> None:
        """Let the next ones go; nobody waits for a request that is gone, because it was cancelled or by a defect."""
        under_way.discard(asking)
        if asking.cancelled():
            self._tell_all(asks, ClientClosedError("the client is closed"))
        elif (defect := asking.exception()) is not None:
            for ask in asks:
                ask.fail(defect)
        if under_way is self._asking:
            self._lose_no_patience()
            if self._due and self._soon is None:
                self._go_soon()

    # --- one look ---

    async def _look(self, asker: Asker, ask: Ask) -> None:
        task_id, known = asker.task_id, asker.known
        request = asker.request = asker.request or Request("GET", task_path(task_id))
        try:
            sighting = await self.transport.exchange(
                request, lambda answer: sight(answer, task_id, known), deadline=asker.deadline
            )
        except LumaError as error:
            self._heard(1)
            ask.refuse(error)
        else:
            self._heard(1)
            if task_id == self._scout:
                self._came_back()
            ask.tell(sighting, asyncio.get_running_loop().time())

    # --- one batch ---

    async def _exchange(self, asks: list[Ask]) -> None:
        known = {ask.asker.task_id: ask.asker.known for ask in asks}
        request = Request("POST", TASKS_PATH, tasks_body(known), asks_for_many=len(known) > 1)
        try:
            sighted = await self.transport.exchange(
                request,
                lambda answer: sight_many(answer, known),
                deadline=max([ask.asker.deadline for ask in asks]),
            )
        except LumaError as error:
            self._heard(len(asks))
            self._tell_all(asks, self._judged(error, asks), request)
        else:
            self._works, self._failures, self._found, self._scout_at = True, 0, 0, _TRIALS
            self._heard(len(asks))
            missing = [ask for ask in asks if ask.asker.task_id not in sighted]
            self._part(missing)
            now = asyncio.get_running_loop().time()
            for ask in asks:
                sighting = sighted.get(ask.asker.task_id)
                if sighting is not None:
                    ask.tell(sighting, now)
            self._tell_all(missing, None)

    def _part(self, asks: list[Ask]) -> None:
        """Let these be asked for alone from now on; who has left meanwhile has been forgotten, and stays so."""
        self._alone.update(ask.asker.task_id for ask in asks if not ask.is_over)

    def _judged(self, error: LumaError, asks: list[Ask]) -> LumaError | None:
        """Return what a failed batch means for its ids: its error, or None, which means: ask alone.

        A refusal of the request is never an id's fate (architecture, *Many ids, one request*).
        """
        if isinstance(error, AuthenticationError | TransportError | ClientClosedError):
            return self._failed(error, asks)
        status = error.status if isinstance(error, APIError) else 0
        passing = error.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN)
        if status in _NO_SUCH_QUERY or (isinstance(error, ProtocolError) and not passing):
            return self._has_none(error)
        if not passing:
            self._part(asks)
            return None
        if self._works is None and (isinstance(error, ProtocolError) or status == 200):  # noqa: PLR2004 - HTTP
            return self._has_none(error)
        return self._failed(error, asks)

    def _failed(self, error: LumaError, asks: list[Ask]) -> LumaError | None:
        self._failures += 1
        if error.verdict is Verdict.PASSING:
            if self._works is None and self._failures >= _TRIALS:
                return self._has_none(error)
            if self.mode == "auto" and self._failures >= self._scout_at:
                self._send_scout(asks)
        return error

    def _send_scout(self, asks: list[Ask]) -> None:
        """Let the first of *asks* go alone at once."""
        self._scout_at = 2 * self._failures + 1
        for ask in asks:
            if not ask.is_over:
                self._scout = ask.asker.task_id
                asks.remove(ask)
                self._go_alone(ask)
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

    def _tell_all(self, asks: list[Ask], what: LumaError | None, request: Request | None = None) -> None:
        """Refuse *asks* with *what*, which came of *request*; where there is nothing to tell, let each go alone."""
        for ask in asks:
            if what is None:
                if not ask.is_over:
                    self._go_alone(ask)
                continue
            if request is not None and ask.asker.request is not None:
                ask.asker.request.admitted_at = request.admitted_at
            ask.refuse(what.for_task(ask.asker.task_id))
