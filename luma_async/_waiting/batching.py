"""Sends polls, alone or in batches: ids that are due at about the same time share one request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from itertools import islice
from typing import Any

from attrs import define, field

from luma_async._network.request import Request
from luma_async._network.transport import Transport
from luma_async._relay.tasks import LastAnswer, Observation, TaskAnswer
from luma_async._waiting.batch_size import BatchSize
from luma_async._waiting.batch_support import BatchSupport
from luma_async._waiting.pending import PendingPoll, Poller, refuse_all, still_wanted
from luma_async._waiting.poll_requests import PollRequests
from luma_async._waiting.turns import TurnShare
from luma_async.errors import ClientClosedError, LumaError
from luma_async.settings import Batch

_FIRST_PATIENCE = 0.5
"""Seconds that the first poll of an id may wait for others."""
_TRIAL_PATIENCE = 1.0
"""Seconds that other polls wait while the first batch shows whether the relay has the query; then they go alone."""


@define(eq=False, repr=False)
class _Caller(Poller):
    """A coroutine that awaits a single poll."""

    _deadline: float = field(default=math.inf, alias="deadline")
    result: asyncio.Future[Observation] = field(kw_only=True)

    def deadline(self) -> float:
        """The caller's."""
        return self._deadline

    def on_answer(self, last_answer: LastAnswer, answer: TaskAnswer | None, _: float, /) -> None:
        """Return the answer."""
        if not self.result.done():
            self.result.set_result((last_answer, answer))

    def on_error(self, error: LumaError) -> None:
        """Raise the error."""
        self.on_defect(error)

    def on_defect(self, defect: BaseException) -> None:
        """Raise the exception."""
        if not self.result.done():
            self.result.set_exception(defect)


@define(eq=False, repr=False)
class _Queue:
    """Polls that are due, in the order of their arrival, until a request takes them."""

    on_turn: Callable[[], None]
    """Called after all polls of one turn of the event loop have arrived."""
    _due: dict[PendingPoll, None] = field(factory=dict)
    _turn: asyncio.Handle | None = None
    _patience: asyncio.TimerHandle | None = None
    """Ends the wait for the first batch."""
    _gathering: asyncio.TimerHandle | None = None
    """Ends the wait of first polls for others."""

    def __len__(self) -> int:
        return len(self._due)

    def add(self, pending: PendingPoll) -> None:
        self._due[pending] = None
        self.wake()

    def add_patiently(self, pending: PendingPoll, enough: int) -> None:
        """Add a poll that waits half a second for others, unless there are *enough*."""
        self._due[pending] = None
        if len(self._due) >= enough:
            self.wake()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(_FIRST_PATIENCE, self.wake)

    def discard(self, pending: PendingPoll) -> None:
        self._due.pop(pending, None)

    def take(self, most: int | None = None) -> list[PendingPoll]:
        """Remove and return the first *most* polls, or all."""
        taken = list(islice(self._due, most))
        for pending in taken:
            del self._due[pending]
        return taken

    def wake(self) -> None:
        """Call ``on_turn`` soon."""
        self.stop_gathering()
        if self._due and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._turn = None
        self.on_turn()

    def start_patience(self, on_end: Callable[[], None]) -> None:
        """Call *on_end* when the polls have waited long enough for the first batch."""
        if self._due and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(_TRIAL_PATIENCE, self._lose_patience, on_end)

    def _lose_patience(self, on_end: Callable[[], None]) -> None:
        self._patience = None
        on_end()

    def stop_gathering(self) -> None:
        """Stop the timer of ``add_patiently``."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def stop_patience(self) -> None:
        """Stop the timer of ``start_patience``."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


@define(eq=False, repr=False)
class Batcher:
    """Polls tasks, one by one or many at once. Times are the event loop's, in seconds."""

    transport: Transport
    mode: Batch = "never"
    share: TurnShare = field(factory=TurnShare)
    support: BatchSupport = field(init=False)
    requests: PollRequests = field(init=False)
    _queue: _Queue = field(init=False)
    _batches: set[asyncio.Task[None]] = field(factory=set)
    """Batches under way."""
    _singles: set[asyncio.Task[None]] = field(factory=set)
    """Single polls under way."""
    _trial: PendingPoll | None = None
    """The poll that goes as a batch of its own, to see whether a query that was switched off works again."""

    def __attrs_post_init__(self) -> None:
        self.support = BatchSupport(self.mode, BatchSize(self.most))
        self._queue = _Queue(self._go)
        self.requests = PollRequests(self.transport, self.support, self._send_each_alone, self._queue.wake, self.share)

    def ask(self, poller: Poller, *, is_patient: bool = False) -> PendingPoll:
        """Poll once; *poller* gets the result later, never in this call. Return the poll, for ``leave``.

        A patient poll may wait half a second for others, where batches are known to work (architecture, rule 1).
        """
        pending = PendingPoll(poller)
        if self.support.takes(poller.task_id, asyncio.get_running_loop().time()):
            if self.support.spoiled(poller.task_id):
                self._start(self.requests.send_batch([pending]), [pending], self._batches, "batch of 1")
                return pending
            if not self.support.is_possible:
                self._trial = pending
            if is_patient and self.support.works:
                self._queue.add_patiently(pending, self.support.size.most(asyncio.get_running_loop().time()))
            else:
                self._queue.add(pending)
        else:
            self._go_alone(pending)
        return pending

    def leave(self, pending: PendingPoll) -> None:
        """Cancel the poll; if it is over, this does nothing."""
        if not pending.is_over:
            pending.is_over = True
            self._queue.discard(pending)
            if pending.alone is not None:
                pending.alone.cancel()

    async def poll(self, task_id: str, *, deadline: float = math.inf, request: Request | None = None) -> Observation:
        """Poll once, and wait for the result.

        Args:
            task_id: A checked one.
            deadline: When to give up, in seconds on the event loop's clock.
            request: The request to use; it records when it gets its slot.

        Raises:
            LumaError: The relay refused the request, or no usable answer came.
        """
        result: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
        pending = self.ask(_Caller(task_id, request, deadline=deadline, result=result))
        try:
            return await result
        finally:
            self.leave(pending)

    @property
    def most(self) -> int:
        """Most ids in one batch."""
        return self.transport.settings.limits.batch_size

    @property
    def gathers(self) -> bool:
        """Whether it is of use to wait for others."""
        return self.support.works is not False

    def forget(self, task_id: str) -> None:
        """Drop what was learned about an id that has no waiter any more."""
        self.support.forget(task_id)

    async def aclose(self) -> None:
        """Stop polling; polls that are due end with ClientClosedError."""
        refuse_all(self._queue.take(), ClientClosedError("the client is closed"))
        self._queue.stop_patience()
        self._queue.stop_gathering()
        under_way = self._batches | self._singles
        for request in under_way:
            request.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # --- together or alone ---

    def _go(self) -> None:
        """Send all polls that are due; while one batch is on trial, the others wait for it."""
        while self._queue and not self._is_trying():
            self._go_together(self._queue.take(self.support.size.most(asyncio.get_running_loop().time())))
        if self.support.works is None:
            self._queue.start_patience(lambda: self._send_each_alone(self._queue.take()))

    def _is_trying(self) -> bool:
        """Whether a batch is under way on trial, or waits for the end of a cooldown."""
        return bool(self._batches) and (self.support.works is None or not self.transport.cooldown.is_open)

    def _go_together(self, polls: list[PendingPoll]) -> None:
        is_trial = self._trial in polls
        if not is_trial and (not self.support.is_possible or (len(polls) == 1 and self._may_go_alone())):
            self._send_each_alone(polls)
            return
        self._start(self.requests.send_batch(polls), polls, self._batches, f"batch of {len(polls)}")

    def _may_go_alone(self) -> bool:
        """Whether one due poll can go alone. In a cooldown it waits: other polls will join its batch."""
        return self.mode == "auto" and (self.transport.cooldown.is_open or not self.support.works)

    def _send_each_alone(self, polls: Iterable[PendingPoll]) -> None:
        for pending in still_wanted(polls):
            self._go_alone(pending)

    def _go_alone(self, pending: PendingPoll) -> None:
        work = self.requests.poll_alone(pending)
        pending.alone = self._start(work, [pending], self._singles, f"poll of {pending.poller.task_id}")

    def _start(
        self, work: Coroutine[Any, Any, None], polls: list[PendingPoll], under_way: set[asyncio.Task[None]], name: str
    ) -> asyncio.Task[None]:
        request = asyncio.create_task(work, name=f"luma_async {name}")
        under_way.add(request)
        request.add_done_callback(partial(self._end, polls, under_way))
        return request

    def _end(self, polls: list[PendingPoll], under_way: set[asyncio.Task[None]], request: asyncio.Task[None]) -> None:
        """Send the next polls. A request that was cancelled, or that a defect ended, ends its polls too."""
        under_way.discard(request)
        if request.cancelled():
            refuse_all(polls, ClientClosedError("the client is closed"))
        elif (defect := request.exception()) is not None:
            for pending in polls:
                pending.fail(defect)
        if under_way is self._batches:
            self._queue.stop_patience()
            self._queue.wake()
