"""One poll loop per task id, shared by all its waiters (architecture, the rules of waiting).

The classes here have no repr: they refer to each other, and asyncio's debug mode would take minutes to print them.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from inspect import isawaitable
from typing import Any

from attrs import define, field

from luma_async._listeners import Listeners, call_safely
from luma_async._relay.health import Health
from luma_async._relay.search import kind_of
from luma_async._relay.tasks import LastAnswer, TaskAnswer
from luma_async._waiting.batching import Batcher
from luma_async._waiting.callbacks import EarlyIds
from luma_async._waiting.controller import Controller
from luma_async._waiting.learning import Learner
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.pending import PendingPoll, Poller
from luma_async._waiting.progress import Progress
from luma_async._waiting.rest import NextPoll
from luma_async._waiting.scheduler import Scheduler, Wakeup
from luma_async._waiting.unknown_states import UnknownStates
from luma_async._waiting.waiters import Waiter, Waiters
from luma_async.dialect import RELAY, Dialect
from luma_async.errors import (
    ClientClosedError,
    LumaError,
    RequestTimeoutError,
    WaitTimeoutError,
)
from luma_async.events import PollFailed, StateChanged, WaitEnded, WaitStarted
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome
from luma_async.settings import PollPolicy
from luma_async.statistics import Statistics

_LONG_ENOUGH = 2.0
"""Seconds. A wait that ends sooner does not wait for others before its first poll."""
_GRACE = 0.25
"""Seconds for a poll that is under way at the deadline: its request ends then, or its answer lies in the socket."""


@define(eq=False, repr=False)
class PollLoops:
    """All poll loops of a client."""

    batcher: Batcher
    policy: PollPolicy
    strategy: PollWait
    health: Health = field(factory=Health)
    """The relay and the key, as seen by all requests."""
    learner: Learner = field(factory=Learner)
    """Records each poll; the strategy may use it too."""
    listeners: Listeners = field(factory=Listeners)
    dialect: Dialect = RELAY
    unknown_states: UnknownStates = field(init=False)
    early_ids: EarlyIds = field(factory=EarlyIds)
    scheduler: Scheduler = field(init=False)
    at_close: set[Callable[[], None]] = field(factory=set)
    """Called when the client closes, before the waits end."""
    _loops: dict[str, PollLoop] = field(factory=dict)
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    """Tasks that read ids, or await an async strategy."""
    _recalled: tuple[LastAnswer, Generation] | None = None
    """The last answer that was structured again: many waiters of an id may reach their deadlines together."""
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        self.scheduler = Scheduler(self.batcher.most, self.batcher.share)
        self.unknown_states = UnknownStates(self.listeners)

    def join(
        self,
        task_id: str,
        timeout: float | None,
        on_end: Callable[[Outcome | Exception], None],
        on_change: Callable[[Generation], None] | None = None,
        *,
        sees_progress: bool = False,
    ) -> Waiter:
        """Add a waiter for the checked *task_id*, with the other waiters of that id. It is polled for immediately.

        The first poll of an id may wait half a second for others, where batches are known to work.
        """
        running = asyncio.get_running_loop()
        now = running.time()
        waiter = Waiter(now, math.inf if timeout is None else now + timeout, on_end, on_change, sees_progress)
        loop = self._loops.get(task_id)
        is_new = loop is None
        if loop is None:
            loop = self._loops[task_id] = PollLoop(task_id, loops=self)
        loop.admit(waiter)
        if self.listeners.active:
            self.listeners.tell(WaitStarted(task_id=task_id, waiting=len(loop.waiters)))
        if self._closed and is_new:
            running.call_soon(loop.abandon)
        elif is_new:
            is_patient = len(self._loops) > 1 and waiter.deadline - now > _LONG_ENOUGH
            loop.poll(now, is_first=is_patient and not self.early_ids.take(task_id, now))
        return waiter

    def notify(self, task_id: str) -> bool:
        """Poll the checked *task_id* as soon as the interval allows; return whether anybody waits for it."""
        now = asyncio.get_running_loop().time()
        loop = self._loops.get(task_id)
        if loop is None:
            self.early_ids.keep(task_id, now)
            return False
        loop.notice_callback(now)
        return True

    async def wait(
        self,
        task_id: str,
        timeout: float | None,  # noqa: ASYNC109 - see join
        on_update: Callable[[Generation], object] | None = None,
    ) -> Outcome:
        """Wait until *task_id* ends, or *timeout* seconds have passed. Cancelling affects no other waiter."""
        update = None if on_update is None else partial(call_safely, on_update, what="on_update")
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiter = self.join(task_id, timeout, lambda end: _settle(ended, end), update, sees_progress=True)
        try:
            return await ended
        finally:
            waiter.leave()

    def statistics(self) -> Statistics:
        """Return the statistics of all polls so far, with the number of ids in each state now."""
        return self.learner.statistics(Counter(loop.state for loop in self._loops.values()))

    @property
    def gathers(self) -> bool:
        """Whether ids may wait for each other to share a batch."""
        return len(self._loops) > 1 and self.batcher.gathers

    async def aclose(self) -> None:
        """End all waits with ClientClosedError, and all loops."""
        self._closed = True
        for leave in tuple(self.at_close):
            leave()
        for loop in list(self._loops.values()):
            loop.abandon()
        self.scheduler.close()
        await self.batcher.aclose()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def report(self, task_id: str, answer: TaskAnswer, before: str) -> None:
        """Report a change from the word *before*, and an unknown word (architecture, rule 5)."""
        is_unknown = answer.state is State.UNKNOWN
        is_same_kind = is_unknown and kind_of(before) == kind_of(answer.word)
        if answer.word != before and self.listeners.active and not is_same_kind:
            change = StateChanged(
                task_id=task_id,
                before=before or None,
                state_text=answer.word,
                state=answer.state,
                request_id=answer.request_id,
            )
            self.listeners.tell(change)
        if is_unknown:
            self.unknown_states.report(task_id, answer.word)

    def note(self, loop: PollLoop, progress: Progress, answer: TaskAnswer | None, now: float, *, before: str) -> None:
        """Note what a good poll says of callbacks, and of an unknown state that lasts."""
        state, by_callback = progress.state, loop.next_poll.is_called_back
        is_end = state is not None and state.is_terminal
        if is_end or by_callback:
            has_changed = progress.word != before
            self.learner.callbacks.polled(by_callback=by_callback, has_changed=has_changed, is_end=is_end)
        if state is State.UNKNOWN or self.unknown_states.has_stuck:
            self.unknown_states.report_stuck(loop.task_id, answer, progress.word, now)

    def tell_end(self, loop: PollLoop, outcome: Outcome | None) -> None:
        """Tell that a waiter of *loop* has got its *outcome*, or has left."""
        self.listeners.tell(WaitEnded(task_id=loop.task_id, outcome=outcome, waiting=len(loop.waiters)))

    def recall(self, last_answer: LastAnswer, task_id: str) -> Generation:
        """Structure *last_answer* again, once for all waiters that want it now."""
        if self._recalled is None or self._recalled[0] is not last_answer:
            self._recalled = last_answer, last_answer.recall(task_id, self.dialect)
        return self._recalled[1]

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start an asyncio task; ``aclose`` waits for it."""
        task = asyncio.create_task(work, name=f"luma_async {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget(self, loop: PollLoop) -> None:
        """Remove *loop*: the next wait for its id starts a new one."""
        if self._loops.get(loop.task_id) is loop:
            del self._loops[loop.task_id]
            self.unknown_states.forget(loop.task_id)
            self.batcher.forget(loop.task_id)


def _settle(future: asyncio.Future[Outcome], end: Outcome | Exception) -> None:
    if not future.done():
        if isinstance(end, Outcome):
            future.set_result(end)
        else:
            future.set_exception(end)


@define(eq=False, repr=False, weakref_slot=False)
class PollLoop(Poller):
    """The loop of one id: poll, pause, poll again.

    It has no asyncio task of its own: the batcher calls it with each answer, the scheduler at the end of each pause.
    ``Progress`` holds the results of the polls, ``Controller`` gets the pause from tenacity's strategy, and
    ``NextPoll`` holds the time of the next poll.
    """

    loops: PollLoops = field(kw_only=True)
    waiters: Waiters = field(factory=Waiters, init=False)
    _progress: Progress = field(init=False)
    next_poll: NextPoll = field(init=False)
    _controller: Controller = field(init=False)
    _polls: int = field(default=0, init=False)
    _started: float = field(default=0.0, init=False)
    """When the last poll started."""
    _pending: PendingPoll | None = field(default=None, init=False)
    _wakeup: Wakeup | None = field(default=None, init=False)
    """The end of the pause, between two polls."""
    _strategy: asyncio.Task[None] | None = field(default=None, init=False)
    """The call of an async strategy, between two polls."""
    _is_shown: bool = field(default=True, init=False)
    """Whether every waiter with ``on_change`` has got the current state."""

    def __attrs_post_init__(self) -> None:
        self._progress = Progress(self.loops.policy, self.loops.health)
        self.next_poll = NextPoll(self.loops.policy.shortest_interval)
        self._controller = Controller(self.loops.strategy, self._progress)

    def admit(self, waiter: Waiter) -> None:
        """Add *waiter*, and poll for it immediately, or as soon as the interval allows."""
        running = asyncio.get_running_loop()
        waiter.loop, waiter.polls_before = self, self._polls
        self.waiters.add(waiter)
        self._is_shown = False
        if waiter.deadline < math.inf:
            waiter.timer = running.call_at(waiter.deadline, self._reach_deadline, waiter)
        self._hurry(running.time())

    def _hurry(self, now: float) -> None:
        """Poll *now*, or as soon as the interval allows."""
        self.next_poll.hurry(now)
        earliest = self.next_poll.at_the_earliest(self.waiters.last_poll_at(self.next_poll))
        if self._strategy is not None or (self._wakeup is not None and earliest < self._wakeup.latest):
            self._stop()
            self._rest(now)

    def notice_callback(self, now: float) -> None:
        """Poll because of a callback; if a poll is under way, once more after it, since its answer may be older."""
        self.next_poll.notice_callback(is_polling=self._pending is not None)
        self._hurry(now)

    @property
    def state(self) -> State | None:
        """The state that the last good poll saw."""
        return self._progress.state

    def deadline(self) -> float:
        """The latest of the waiters' deadlines; a last poll that a blocked event loop delayed has its usual time."""
        return max(self.waiters.latest, self._started + self.next_poll.lead)

    def dismiss(self, waiter: Waiter, end: Outcome | Exception | None) -> None:
        """Remove *waiter*; *end* is its result, None if it was cancelled. The loop stops when no waiter is left."""
        self.waiters.remove(waiter)
        if not self.waiters:
            self.loops.forget(self)
            self._stop()
        if self.loops.listeners.active:
            self.loops.tell_end(self, end if isinstance(end, Outcome) else None)

    def _stop(self) -> None:
        """Stop polling."""
        if self._pending is not None:
            self.loops.batcher.leave(self._pending)
        if self._wakeup is not None:
            self._wakeup.leave()
        if self._strategy is not None:
            self._strategy.cancel()
        self._pending = self._wakeup = self._strategy = None

    def end_with(self, end_of: Callable[[Waiter], Outcome | Exception]) -> None:
        """End all waits for this id; *end_of* gives each waiter its own result."""
        self.loops.forget(self)
        for waiter in self.waiters:
            waiter.finish(end_of(waiter))

    def abandon(self) -> None:
        """End all waits for this id because the client was closed."""
        error = ClientClosedError("the client was closed while waiting", advice="the generation goes on: wait again")
        self.end_with(lambda waiter: waiter.outcome(self.task_id, self._polls, error=error))

    def _reach_deadline(self, waiter: Waiter, *, had_grace: bool = False) -> None:
        """End the wait of *waiter*; a poll under way gets a grace period first, and a blocked loop one more poll."""
        running = asyncio.get_running_loop()
        now = running.time()
        if not had_grace and not waiter.had_last_poll and now - waiter.deadline > _GRACE:
            self.waiters.postpone(waiter, now + self.next_poll.min_interval + self.next_poll.lead, self._reach_deadline)
        elif self._pending is not None and not had_grace:
            until = max(now + _GRACE, self._started + self.next_poll.lead)
            waiter.timer = running.call_at(until, partial(self._reach_deadline, waiter, had_grace=True))
        else:
            waiter.finish(self._end_at_deadline(waiter, now))

    def _end_at_deadline(self, waiter: Waiter, now: float) -> Outcome:
        """Return a completed generation even if its link has not come yet; otherwise the timeout."""
        if self._progress.finished is not None:
            return self._end(waiter)
        last = None if self.last_answer is None else self.loops.recall(self.last_answer, self.task_id)
        waited, trouble = now - waiter.joined, self._progress.error
        error = WaitTimeoutError(self.task_id, waited=waited, last=last, last_error=trouble)
        return waiter.outcome(self.task_id, self._polls, error=error)

    def poll(self, now: float, *, is_first: bool = False) -> None:
        """Poll the id *now*; the first poll may wait for others."""
        self._wakeup = None
        self._started = now
        self.waiters.start_last_polls(now, self.next_poll.lead)
        pending = self.loops.batcher.ask(self, is_patient=is_first)
        self._pending = None if pending.is_over else pending

    def on_answer(self, last_answer: LastAnswer, answer: TaskAnswer | None, now: float, /) -> None:
        """Process a good answer; *answer* is None if it is the same as before."""
        progress, word = self._progress, self._progress.word
        self.last_answer = last_answer
        is_end = progress.succeeded(answer)
        if answer is not None:
            self._is_shown = False
            self.loops.report(self.task_id, answer, word)
            progress.time_in_state = self.loops.learner.saw(progress.time_in_state, answer.state, now)
        elif progress.time_in_state is not None:
            self.loops.learner.stayed(progress.time_in_state, now)
        self.loops.note(self, progress, answer, now, before=word)
        if progress.finished is None and not self._is_shown:
            self._is_shown = True
            recall = partial(last_answer.recall, self.task_id, self.loops.dialect)
            self.waiters.show(progress.word, recall if answer is None else answer.generation)
        self._go_on(now, is_end=is_end)

    def on_error(self, error: LumaError) -> None:
        """Process a failed poll."""
        now = asyncio.get_running_loop().time()
        is_cut = isinstance(error, RequestTimeoutError) and now >= self.deadline()
        is_end = self._progress.failed(error, now, is_cut=is_cut)
        self.loops.learner.missed()
        if self.loops.listeners.active:
            reported, failures = error.for_task(self.task_id), self._progress.failures
            self.loops.listeners.tell(PollFailed(task_id=self.task_id, error=reported, failures=failures))
        self._go_on(now, is_end=is_end)

    def on_defect(self, defect: BaseException) -> None:
        """End all waits with an unexpected exception: from a user's strategy, or from a defect of this package."""
        self._stop()
        self.end_with(lambda _: defect) if isinstance(defect, Exception) else self.abandon()

    def _go_on(self, now: float, *, is_end: bool) -> None:
        """End all waits, or pause until the next poll."""
        self._pending, progress = None, self._progress
        self._polls += 1
        self.next_poll.ended(self._started, now, progress.hint if progress.failures else None)
        if is_end:
            self.end_with(self._end)
            return
        for waiter in self.waiters if now >= self.waiters.soonest else ():
            if now >= waiter.deadline:
                self._reach_deadline(waiter)
        if not self.waiters:
            return
        pause = self._controller.pause(self.task_id, progress)
        if type(pause) is not float and isawaitable(pause):
            self._strategy = self.loops.start(_pause_later(self, pause), f"strategy for {self.task_id}")
        else:
            self.pause(pause, now)

    def _end(self, waiter: Waiter) -> Outcome:
        finished = self._progress.finished
        if finished is None:
            return waiter.outcome(self.task_id, self._polls, error=self._progress.error)
        waiter.show(finished)
        return waiter.outcome(self.task_id, self._polls, generation=finished)

    def pause(self, seconds: float, now: float) -> None:
        """Pause for *seconds* from *now* on, and poll again."""
        self._strategy = None
        if not self.waiters:
            return
        self._controller.paused(seconds)
        is_ours = self.loops.policy.wait is None
        if self.loops.gathers:
            self.next_poll.rest(seconds, now, is_ours=is_ours, is_failing=bool(self._progress.failures))
        else:
            self.next_poll.rest_alone(seconds, now, is_ours=is_ours)
        self._rest(now)

    def _rest(self, now: float) -> None:
        at, latest = self.next_poll.window(self.waiters.last_poll_at(self.next_poll))
        if at <= now:
            self.poll(now)
        else:
            self._wakeup = self.loops.scheduler.rest(at, latest, self.poll)


async def _pause_later(loop: PollLoop, pause: Awaitable[float]) -> None:
    """Let *loop* pause for the seconds of an async strategy."""
    try:
        seconds = await pause
        loop.pause(seconds, asyncio.get_running_loop().time())
    except Exception as defect:  # noqa: BLE001 - it goes to the waiters
        loop.on_defect(defect)
