"""One exchange with the relay: cooldown, limits, timeout, and what its error means for all ids."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from luma_async._listeners import Listeners, log
from luma_async._network.cooldown import Cooldown
from luma_async._network.deadlines import Deadline, Deadlines
from luma_async._network.rate import Gate, Rate, Turns
from luma_async._network.request import Pace, Request
from luma_async._network.session import Network, closed
from luma_async._network.slots import Slots
from luma_async._network.wire import Wire
from luma_async._relay.answer import Answer
from luma_async._relay.health import Health
from luma_async._text import shown
from luma_async.errors import APIError, LumaError, ProtocolError, RequestTimeoutError
from luma_async.events import CooldownEnded, CooldownStarted
from luma_async.settings import Settings

T = TypeVar("T")

_USUAL_SHARE = 0.07
"""Share of ``request_timeout`` that a poll is assumed to take before any has been answered."""


@define(eq=False, repr=False)
class Transport:
    """Sends requests to one relay with one key. Belongs to one event loop."""

    settings: Settings
    network: Network
    cooldown: Cooldown
    listeners: Listeners = field(factory=Listeners)
    health: Health = field(factory=Health)
    note: Callable[[Request, Answer], None] | None = None
    """Called with each request and its answer."""
    gate: Gate | None = None
    """Awaited before each request, beside the rate limit."""
    _wire: Wire = field(init=False)
    _slots: Slots = field(init=False)
    _turns: Turns | None = field(init=False)
    _deadlines: Deadlines = field(factory=Deadlines)
    """Closing ends these blocks too: aiohttp does not end a request that reads its body."""

    def __attrs_post_init__(self) -> None:
        limits = self.settings.limits
        self._wire = Wire(self.settings, self.network)
        most = int(min(limits.max_concurrency, *self.network.connections))
        self._slots = Slots(most, limits.request_timeout * _USUAL_SHARE)
        rate = None if limits.requests_per_second is None else Rate(limits.requests_per_second)
        self._turns = None if rate is None and self.gate is None else Turns(rate, self.gate)

    @property
    def requests(self) -> int:
        """Requests so far; each redirect counts as one more."""
        return self._wire.requests

    @property
    def place(self) -> str:
        """Host and port of the relay, and the proxy in between."""
        return self._wire.place

    def redact(self, text: str) -> str:
        """Return *text* with the key redacted."""
        return self._wire.redaction.text(text)

    async def exchange(
        self, request: Request, read: Callable[[Answer], T], *, deadline: Callable[[], float] = lambda: math.inf
    ) -> T:
        """Send *request*, read its answer, and record what an error means for all ids.

        ``request_timeout`` does not include the wait for the cooldown, the rate limit and a free slot. A poll that gave
        up its slot for others is sent once more: that is not a failure.

        Args:
            request: The request to send.
            read: Turns the answer into a value, or raises a LumaError.
            deadline: Returns when to give up, in the loop's seconds. Called when it goes out: waiters join until then.

        Raises:
            LumaError: The error of *read*; TransportError, ProtocolError or ClientClosedError if no answer came.
        """
        while True:
            is_free = self.cooldown.is_open and self._turns is None and self._slots.take(request)
            probing = not is_free and await self._until_closed(self._admitted(request))
            accepted, pace = False, request.pace
            try:
                answer = await self._answer(request, deadline())
                if answer is None:
                    pace = Pace.SLOW
                    continue
                result = read(answer)
                accepted = True
                self.health.answered(request.path, request.answered_at)
                pace = self._slots.answered(request, request.lasted)
                return result  # noqa: TRY300 - a poll that gave up its slot goes round again
            except LumaError as error:
                accepted = not self._slows_down(request, error, probing=probing)
                pace = await self._pace_after(request, error)
                raise error.with_traceback(None)  # noqa: B904 - the frames below hold the answer, maybe with the key
            finally:
                answer = None  # the error's traceback has this frame, and a waiting id keeps its last error
                self._slots.release(request)
                request.pace = pace
                if probing:
                    self._probe_ended(accepted=accepted)

    async def _pace_after(self, request: Request, error: LumaError) -> Pace:
        """Return the pace of the next poll of the id; a connection that brought a foreign answer is closed."""
        if isinstance(error, ProtocolError) and error.foreign:
            await self._wire.distrust(request)
        is_slow = isinstance(error, RequestTimeoutError) and request.pace is Pace.USUAL
        return Pace.SLOW if is_slow else request.pace

    async def pause(self, seconds: float) -> None:
        """Sleep for *seconds*; closing ends it.

        Raises:
            ClientClosedError: The client was closed.
        """
        await self._until_closed(asyncio.sleep(seconds))

    async def _until_closed(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Return what comes of *waiting*, or raise ClientClosedError when the client is closed meanwhile."""
        try:
            with self._deadlines.limit(math.inf):
                return await waiting
        except TimeoutError:
            raise closed() from None

    async def aclose(self) -> None:
        """Close all connections except those of the user's connector. Requests under way raise ClientClosedError."""
        self._wire.is_closed = True
        self._slots.close()
        self._deadlines.expire_all()
        await self._wire.aclose()

    async def _admitted(self, request: Request) -> bool:
        """Wait for the cooldown, for a slot and for a turn; return whether this request is the cooldown's probe."""
        while True:
            probing = not self.cooldown.is_open and await self.cooldown.enter()
            try:
                await self._slot_and_turn(request)
            except (asyncio.CancelledError, LumaError):
                if probing:
                    self.cooldown.probe_ended(accepted=False)
                raise
            if probing or self.cooldown.is_open:
                return probing
            self._slots.release(request)
            if self._turns is not None:
                self._turns.give_back()

    async def _slot_and_turn(self, request: Request) -> None:
        """Take a slot, then a turn: in the other order a turn could pass while the request waits for a slot."""
        await self._slots.acquire(request)
        if self._turns is not None:
            try:
                await self._turns.turn()
            except (asyncio.CancelledError, LumaError):
                self._slots.release(request)
                raise

    async def _next_turn(self, limit: Deadline, deadline: float) -> None:
        """Wait for a turn for a redirect. The timeout does not include this wait; the *deadline* does."""
        if self._turns is not None:
            clock = asyncio.get_running_loop()
            left = limit.at - clock.time()
            limit.move(deadline)
            await self._turns.turn()
            limit.move(min(clock.time() + left, deadline))

    def _slows_down(self, request: Request, error: LumaError, *, probing: bool) -> bool:
        """Close the cooldown if *error* means that all ids have to slow down; return whether it does."""
        now = asyncio.get_running_loop().time()
        if not self.health.weigh(error, request.path, now, together=request.asks_for_many):
            return False
        hint = error.retry_after if isinstance(error, APIError) else None
        pause = self.cooldown.slow_down(hint, probing=probing)
        if pause is not None and self.listeners.active:
            self.listeners.tell(CooldownStarted(seconds=pause, error=error))
        return True

    def _probe_ended(self, *, accepted: bool) -> None:
        lasted = self.cooldown.probe_ended(accepted=accepted)
        if lasted is not None and self.listeners.active:
            self.listeners.tell(CooldownEnded(seconds=lasted))

    async def _answer(self, request: Request, deadline: float) -> Answer | None:
        """Return the whole answer, within ``request_timeout``; None if the request gave up its slot."""
        if request.before_sending is not None:
            await request.before_sending()
        if self._wire.is_closed:
            raise closed()
        now = request.admitted_at = asyncio.get_running_loop().time()
        limit = Deadline(min(now + self.settings.limits.request_timeout, deadline), self._deadlines)
        is_abandoned, trouble, answer = False, None, None
        try:
            with limit:
                self._slots.started(request, limit, now)
                try:
                    answer = await self._wire.send(request, partial(self._next_turn, limit, deadline))
                finally:
                    is_abandoned = self._slots.ended(limit)
        except TimeoutError as error:
            trouble = None if is_abandoned else self._wire.translated(error)
        if trouble is not None:
            raise trouble
        request.answered_at = asyncio.get_running_loop().time()
        if answer is not None and self.note is not None:
            self.note(request, answer)
        if answer is not None and request.before_reading is not None:
            await request.before_reading()
        return answer


def log_answer(request: Request, answer: Answer) -> None:
    """Write one line about *answer* to the log, without any link or text of it."""
    named = f" (request {shown(answer.request_id, 60)})" if answer.request_id else ""
    size = len(answer.body)
    log(logging.DEBUG, "%s %s: %d, %d bytes%s", request.method, request.path, answer.status, size, named)
