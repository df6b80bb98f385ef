"""Sends polls, alone or in batches: ids that are due at about the same time share one request."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import islice
from random import random
from typing import Any

from attrs import define, field

from luma_async._network.request import Request
from luma_async._network.transport import Transport
from luma_async._relay.requests import TASKS_PATH, task_path, tasks_body
from luma_async._relay.tasks import LastAnswer, Observation, TaskAnswer, read_batch, read_poll
from luma_async._waiting.batch_support import Batch, BatchSupport
from luma_async.errors import ClientClosedError, LumaError

_FORGETTING = 0.01
"""Weight of the newest request in the mean number of polls per request."""
_TRIAL_PATIENCE = 1.0
"""Seconds that other polls wait while the first batch shows whether the relay has the query; then they go alone."""


@define(eq=False, repr=False, weakref_slot=False)
class Poller(ABC):
    """The part that wants polls of a task, one or many."""

    task_id: str
    """A checked one."""
    request: Request | None = None
    """The request of a single poll; built at the first one."""
    last_answer: LastAnswer | None = None
    """The answer to the poll before: the same answer is not structured again."""

    @property
    @abstractmethod
    def deadline(self) -> float:
        """When to give up, in seconds on the event loop's clock."""

    @abstractmethod
    def on_answer(self, last_answer: LastAnswer, answer: TaskAnswer | None, now: float, /) -> None:
        """Receive a good answer; *answer* is None if it is the same as before, *now* is the event loop's time."""

    @abstractmethod
    def on_error(self, error: LumaError) -> None:
        """Receive the error of a failed poll."""

    @abstractmethod
    def on_defect(self, defect: BaseException) -> None:
        """Receive an unexpected exception: there will be no answer."""


@define(eq=False, repr=False)
class PendingPoll:
    """One poll, until its poller has the result or cancels it."""

    poller: Poller
    is_over: bool = False
    alone: asyncio.Task[None] | None = None
    """The request, if it is a single poll."""

    def answer(self, observation: Observation, now: float) -> None:
        """Give the poller its answer, once; an exception of the poller affects no other poll."""
        if not self.is_over:
            self.is_over = True
            try:
                self.poller.on_answer(*observation, now)
            except BaseException as defect:  # noqa: BLE001 - raised again unless it is an Exception
                self._report(defect)

    def refuse(self, error: LumaError) -> None:
        """Give the poller the error instead of an answer, in the same way."""
        if not self.is_over:
            self.is_over = True
            try:
                self.poller.on_error(error)
            except BaseException as defect:  # noqa: BLE001 - see above
                self._report(defect)

    def fail(self, defect: BaseException) -> None:
        """Give the poller an unexpected exception."""
        if not self.is_over:
            self.is_over = True
            self.poller.on_defect(defect)

    def _report(self, defect: BaseException) -> None:
        self.poller.on_defect(defect)
        if not isinstance(defect, Exception):
            raise defect


@define(eq=False, repr=False)
class _Caller(Poller):
    """A coroutine that awaits a single poll."""

    _deadline: float = field(default=math.inf, alias="deadline")
    result: asyncio.Future[Observation] = field(kw_only=True)

    @property
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

    def __len__(self) -> int:
        return len(self._due)

    def add(self, pending: PendingPoll) -> None:
        self._due[pending] = None
        self.wake()

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
    support: BatchSupport = field(init=False)
    polls_per_request: float = 1.0
    """Mean number of ids per request, the newest requests first in weight."""
    chance: float = field(factory=random)
    """Random number for the pauses after the last answer: its ids pause equally long, and can share a batch again."""
    _queue: _Queue = field(init=False)
    _batches: set[asyncio.Task[None]] = field(factory=set)
    """Batches under way."""
    _singles: set[asyncio.Task[None]] = field(factory=set)
    """Single polls under way."""
    _scout: str | None = None
    """An id that is polled alone to see whether only batches fail."""

    def __attrs_post_init__(self) -> None:
        self.support = BatchSupport(self.mode)
        self._queue = _Queue(self._go)

    def ask(self, poller: Poller) -> PendingPoll:
        """Poll once; *poller* gets the result later, never in this call. Return the poll, for ``leave``."""
        pending = PendingPoll(poller)
        if self.support.takes(poller.task_id):
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
        _refuse_all(self._queue.take(), ClientClosedError("the client is closed"))
        self._queue.stop_patience()
        under_way = self._batches | self._singles
        for request in under_way:
            request.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # --- together or alone ---

    def _go(self) -> None:
        """Send all polls that are due; while one batch is on trial, the others wait for it."""
        while self._queue and not self._is_trying():
            self._go_together(self._queue.take(self.most))
        if self.support.works is None:
            self._queue.start_patience(lambda: self._send_each_alone(self._queue.take()))

    def _is_trying(self) -> bool:
        """Whether a batch is under way on trial, or waits for the end of a cooldown."""
        return bool(self._batches) and (self.support.works is None or not self.transport.cooldown.is_open)

    def _go_together(self, polls: list[PendingPoll]) -> None:
        if not self.support.is_possible or (len(polls) == 1 and self._may_go_alone()):
            self._send_each_alone(polls)
            return
        self._start(self._exchange(polls), polls, self._batches, f"batch of {len(polls)}")

    def _may_go_alone(self) -> bool:
        """Whether one due poll can go alone. In a cooldown it waits: other polls will join its batch."""
        return self.mode == "auto" and (self.transport.cooldown.is_open or not self.support.works)

    def _send_each_alone(self, polls: list[PendingPoll]) -> None:
        for pending in polls:
            if not pending.is_over:
                self._go_alone(pending)

    def _go_alone(self, pending: PendingPoll) -> None:
        work = self._poll_alone(pending.poller, pending)
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
            _refuse_all(polls, ClientClosedError("the client is closed"))
        elif (defect := request.exception()) is not None:
            for pending in polls:
                pending.fail(defect)
        if under_way is self._batches:
            self._queue.stop_patience()
            self._queue.wake()

    # --- one request ---

    async def _poll_alone(self, poller: Poller, pending: PendingPoll) -> None:
        task_id, last_answer = poller.task_id, poller.last_answer
        request = poller.request = poller.request or Request("GET", task_path(task_id))
        try:
            observation = await self.transport.exchange(
                request, lambda answer: read_poll(answer, task_id, last_answer), deadline=lambda: poller.deadline
            )
        except LumaError as error:
            self._count(1)
            pending.refuse(error)
        else:
            self._count(1)
            if task_id == self._scout:
                self._scout = None
                self.support.scout_returned()
            pending.answer(observation, asyncio.get_running_loop().time())

    async def _exchange(self, polls: list[PendingPoll]) -> None:
        last_answers = {pending.poller.task_id: pending.poller.last_answer for pending in polls}
        request = Request("POST", TASKS_PATH, tasks_body(last_answers), asks_for_many=len(last_answers) > 1)
        try:
            observed = await self.transport.exchange(
                request,
                lambda answer: read_batch(answer, last_answers),
                deadline=lambda: max(pending.poller.deadline for pending in polls),
            )
        except LumaError as error:
            self._count(len(polls))
            self._fail(polls, error, request)
        else:
            self._count(len(polls))
            self.support.answered()
            missing = [pending for pending in polls if pending.poller.task_id not in observed]
            self.support.exclude(_open_ids(missing))
            now = asyncio.get_running_loop().time()
            for pending in polls:
                observation = observed.get(pending.poller.task_id)
                if observation is not None:
                    pending.answer(observation, now)
            self._send_each_alone(missing)

    def _fail(self, polls: list[PendingPoll], error: LumaError, request: Request) -> None:
        """End or repeat the *polls* of a failed batch, as its *error* demands."""
        failure = self.support.failed(error, _open_ids(polls))
        if failure.needs_scout:
            self._send_scout(polls)
        if failure.error is None:
            self._send_each_alone(polls)
        else:
            _refuse_all(polls, failure.error, request)

    def _send_scout(self, polls: list[PendingPoll]) -> None:
        """Send the first of *polls* that is still wanted as a single poll, now."""
        for pending in polls:
            if not pending.is_over:
                self._scout = pending.poller.task_id
                polls.remove(pending)
                self._go_alone(pending)
                return

    def _count(self, polls: int) -> None:
        """Record that a request for this number of *polls* is over, before a poller gets its result."""
        self.chance = random()  # noqa: S311 - not for secrets
        self.polls_per_request += _FORGETTING * (polls - self.polls_per_request)


def _refuse_all(polls: list[PendingPoll], error: LumaError, request: Request | None = None) -> None:
    """Give each of *polls* a copy of *error*; *request* is the batch that raised it."""
    for pending in polls:
        if request is not None and pending.poller.request is not None:
            pending.poller.request.admitted_at = request.admitted_at
        pending.refuse(error.for_task(pending.poller.task_id))


def _open_ids(polls: list[PendingPoll]) -> list[str]:
    """Return the ids of the polls that are still wanted: nothing is kept about the others."""
    return [pending.poller.task_id for pending in polls if not pending.is_over]
