"""Alone or together: ids that are due at about the same time share one request, where the relay can do that."""

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
"""Weight of the newest request in the mean of how many polls one answers."""
_TRIAL_PATIENCE = 1.0
"""Seconds that others wait for the first batch to show whether the relay can do it; then they go alone."""


@define(eq=False, repr=False, weakref_slot=False)
class Poller(ABC):
    """What polls a task, once or again and again."""

    task_id: str
    """A checked one."""
    request: Request | None = None
    """What goes out for this id alone; made when it does for the first time."""
    last_answer: LastAnswer | None = None
    """What the poll before showed: the same once more is not structured anew."""

    @property
    @abstractmethod
    def deadline(self) -> float:
        """The event loop's time at which to give up."""

    @abstractmethod
    def on_answer(self, last_answer: LastAnswer, answer: TaskAnswer | None, now: float, /) -> None:
        """Take a good answer, *answer* None where it is the last one once more; *now* is the event loop's time."""

    @abstractmethod
    def on_error(self, error: LumaError) -> None:
        """Take the reason why there is none."""

    @abstractmethod
    def on_defect(self, defect: BaseException) -> None:
        """Take note that none will come, because of something that should not have happened."""


@define(eq=False, repr=False)
class PendingPoll:
    """One poll that is wanted, until its poller has its result or has left."""

    poller: Poller
    is_over: bool = False
    alone: asyncio.Task[None] | None = None
    """The request, where it goes alone."""

    def answer(self, observation: Observation, now: float) -> None:
        """Give the poller its answer, once; what it raises affects no other poll."""
        if not self.is_over:
            self.is_over = True
            try:
                self.poller.on_answer(*observation, now)
            except BaseException as defect:  # noqa: BLE001 - what is not an Exception goes on
                self._report(defect)

    def refuse(self, error: LumaError) -> None:
        """Give the poller, in the same way, the reason why there is no answer."""
        if not self.is_over:
            self.is_over = True
            try:
                self.poller.on_error(error)
            except BaseException as defect:  # noqa: BLE001 - see above
                self._report(defect)

    def fail(self, defect: BaseException) -> None:
        """Take note that there will be no answer."""
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

    _deadline: float = math.inf
    result: asyncio.Future[Observation] = field(kw_only=True)

    @property
    def deadline(self) -> float:
        """The caller's."""
        return self._deadline

    def on_answer(self, last_answer: LastAnswer, answer: TaskAnswer | None, _: float, /) -> None:
        """Return it."""
        if not self.result.done():
            self.result.set_result((last_answer, answer))

    def on_error(self, error: LumaError) -> None:
        """Raise it."""
        self.on_defect(error)

    def on_defect(self, defect: BaseException) -> None:
        """Raise it."""
        if not self.result.done():
            self.result.set_exception(defect)


@define(eq=False, repr=False)
class _Queue:
    """Polls that are due, in the order in which they came, until a request takes them."""

    on_turn: Callable[[], None]
    """Called when all that became due in this turn of the event loop have come."""
    _due: dict[PendingPoll, None] = field(factory=dict)
    _turn: asyncio.Handle | None = None
    _patience: asyncio.TimerHandle | None = None
    """Lets those that wait for the first batch go alone."""

    def __len__(self) -> int:
        return len(self._due)

    def add(self, pending: PendingPoll) -> None:
        self._due[pending] = None
        self.wake()

    def discard(self, pending: PendingPoll) -> None:
        self._due.pop(pending, None)

    def take(self, most: int | None = None) -> list[PendingPoll]:
        """Take the first *most* of them, or all."""
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
        """Call *on_end* when those that are due have waited long enough for the first batch."""
        if self._due and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(_TRIAL_PATIENCE, self._lose_patience, on_end)

    def _lose_patience(self, on_end: Callable[[], None]) -> None:
        self._patience = None
        on_end()

    def stop_patience(self) -> None:
        """Call it no more."""
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
    """How many ids one request has asked for of late."""
    chance: float = field(factory=random)
    """For the pauses after the answer that came last: the ids in it pause alike, and so meet again."""
    _queue: _Queue = field(init=False)
    _batches: set[asyncio.Task[None]] = field(factory=set)
    """Under way."""
    _singles: set[asyncio.Task[None]] = field(factory=set)
    """Under way."""
    _scout: str | None = None
    """An id that goes alone to see whether only batches fail."""

    def __attrs_post_init__(self) -> None:
        self.support = BatchSupport(self.mode)
        self._queue = _Queue(self._go)

    def ask(self, poller: Poller) -> PendingPoll:
        """Poll once; *poller* gets the result later, never at once. Return what to leave it by."""
        pending = PendingPoll(poller)
        if self.support.takes(poller.task_id):
            self._queue.add(pending)
        else:
            self._go_alone(pending)
        return pending

    def leave(self, pending: PendingPoll) -> None:
        """Want the poll no more; leaving one that is over does nothing."""
        if not pending.is_over:
            pending.is_over = True
            self._queue.discard(pending)
            if pending.alone is not None:
                pending.alone.cancel()

    async def poll(self, task_id: str, *, deadline: float = math.inf, request: Request | None = None) -> Observation:
        """Poll once, and wait for the result.

        Args:
            task_id: A checked one.
            deadline: The event loop's time at which to give up.
            request: To learn from it when it got its slot.

        Raises:
            LumaError: The relay said no, or no usable answer came.
        """
        result: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
        pending = self.ask(_Caller(task_id, request, deadline=deadline, result=result))
        try:
            return await result
        finally:
            self.leave(pending)

    @property
    def most(self) -> int:
        """Ids that one request takes."""
        return self.transport.settings.limits.batch_size

    @property
    def gathers(self) -> bool:
        """Whether it is of use to wait for others."""
        return self.support.works is not False

    def forget(self, task_id: str) -> None:
        """Drop what was learned about an id that nobody waits for any more."""
        self.support.forget(task_id)

    async def aclose(self) -> None:
        """Stop polling; polls that are due get ClientClosedError."""
        _refuse_all(self._queue.take(), ClientClosedError("the client is closed"))
        self._queue.stop_patience()
        under_way = self._batches | self._singles
        for request in under_way:
            request.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # --- together or alone ---

    def _go(self) -> None:
        """Ask for all that are due; while one batch is out on trial, the others gather behind it."""
        while self._queue and not self._is_trying():
            self._go_together(self._queue.take(self.most))
        if self.support.works is None:
            self._queue.start_patience(lambda: self._send_each_alone(self._queue.take()))

    def _is_trying(self) -> bool:
        """Whether a batch is under way on trial, or waits for the end of a cool-down."""
        return bool(self._batches) and (self.support.works is None or not self.transport.cooldown.is_open)

    def _go_together(self, polls: list[PendingPoll]) -> None:
        if not self.support.is_possible or (len(polls) == 1 and self._may_go_alone()):
            self._send_each_alone(polls)
            return
        self._start(self._exchange(polls), polls, self._batches, f"batch of {len(polls)}")

    def _may_go_alone(self) -> bool:
        """Whether one that is due has nobody to wait with: in a cool-down others will gather behind it."""
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
        """Let the next ones go; no poll waits for a request that was cancelled, or that a defect ended."""
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
                request, lambda answer: read_poll(answer, task_id, last_answer), deadline=poller.deadline
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
                deadline=max([pending.poller.deadline for pending in polls]),
            )
        except LumaError as error:
            self._count(len(polls))
            self._fail(polls, error, request)
        else:
            self._count(len(polls))
            self.support.answered()
            missing = [pending for pending in polls if pending.poller.task_id not in observed]
            self.support.part(_open_ids(missing))
            now = asyncio.get_running_loop().time()
            for pending in polls:
                observation = observed.get(pending.poller.task_id)
                if observation is not None:
                    pending.answer(observation, now)
            self._send_each_alone(missing)

    def _fail(self, polls: list[PendingPoll], error: LumaError, request: Request) -> None:
        """Let the *polls* of a batch that failed go on as its *error* means."""
        failure = self.support.failed(error, _open_ids(polls))
        if failure.needs_scout:
            self._send_scout(polls)
        if failure.error is None:
            self._send_each_alone(polls)
        else:
            _refuse_all(polls, failure.error, request)

    def _send_scout(self, polls: list[PendingPoll]) -> None:
        """Let the first of *polls* that is still wanted go alone at once."""
        for pending in polls:
            if not pending.is_over:
                self._scout = pending.poller.task_id
                polls.remove(pending)
                self._go_alone(pending)
                return

    def _count(self, polls: int) -> None:
        """Take note of a request for so many *polls* that is over, before anybody gets its result."""
        self.chance = random()  # noqa: S311 - jitter
        self.polls_per_request += _FORGETTING * (polls - self.polls_per_request)


def _refuse_all(polls: list[PendingPoll], error: LumaError, request: Request | None = None) -> None:
    """Refuse *polls* with *error*, which *request* came to: each gets its own error object."""
    for pending in polls:
        if request is not None and pending.poller.request is not None:
            pending.poller.request.admitted_at = request.admitted_at
        pending.refuse(error.for_task(pending.poller.task_id))


def _open_ids(polls: list[PendingPoll]) -> list[str]:
    """Return the ids of those that are still wanted: nothing is remembered of the others."""
    return [pending.poller.task_id for pending in polls if not pending.is_over]
