"""One poll loop per task id, shared by all its waiters (architecture, the rules of waiting).

These classes refer to each other, and asyncio's debug mode prints what it runs: a repr that follows them costs minutes.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from inspect import isawaitable
from typing import Any, cast

from attrs import define, field

from luma_async._listeners import Listeners, log
from luma_async._relay.health import Health
from luma_async._relay.tasks import LastAnswer, TaskAnswer
from luma_async._text import shown
from luma_async._waiting.batching import Batcher, PendingPoll, Poller
from luma_async._waiting.controller import Controller
from luma_async._waiting.learning import Learner
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.progress import Progress
from luma_async._waiting.rest import NextPoll
from luma_async._waiting.scheduler import Scheduler, Wakeup
from luma_async.errors import (
    ClientClosedError,
    GenerationFailedError,
    LumaError,
    RequestTimeoutError,
    WaitTimeoutError,
)
from luma_async.events import PollFailed, StateChanged, WaitEnded, WaitStarted
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome
from luma_async.settings import PollPolicy
from luma_async.statistics import Statistics

_GRACE = 0.25
"""Seconds for a poll that is under way at the deadline: its request ends then, or its answer lies in the socket."""


@define(eq=False, repr=False)
class Waiter:
    """One wait for one id. Its deadline is its own; times are the event loop's, in seconds."""

    joined: float
    deadline: float
    """Infinite where there is none."""
    on_end: Callable[[Outcome | Exception], None]
    """Called once, with this waiter's outcome; an Exception that is not ours is a defect, such as a strategy's."""
    on_change: Callable[[Generation], None] | None = None
    """Called with each snapshot whose state differs from the one before, the terminal one included."""
    polls_before: int = 0
    """Polls that were made before it joined."""
    shown: str | None = None
    """The relay's word that ``on_change`` was called with last."""
    had_last_poll: bool = False
    timer: asyncio.TimerHandle | None = None
    loop: PollLoop | None = None
    place: int = 0
    """Where it stands among the waiters of its id."""

    def leave(self, end: Outcome | Exception | None = None) -> None:
        """Stop waiting, at once; the loop ends with its last waiter. Leaving twice does nothing more."""
        if self.timer is not None:
            self.timer.cancel()
        loop, self.loop = self.loop, None
        if loop is not None:
            loop.dismiss(self, end)

    def finish(self, end: Outcome | Exception) -> None:
        """Leave with *end*."""
        self.leave(end)
        self.on_end(end)

    def show(self, generation: Generation) -> None:
        """Pass a change of state on."""
        if self.on_change is not None and generation.state_text != self.shown:
            self.shown = generation.state_text
            self.on_change(generation)


@define(eq=False, repr=False)
class _Waiters:
    """The waiters of one id. Joining and leaving take the same time however many there are."""

    _all: list[Waiter] = field(factory=list)
    _soonest: float = math.inf
    _latest: float = 0.0
    _is_stale: bool = False
    """Whether somebody has left whose deadline was the soonest or the latest."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._all.copy())

    def add(self, waiter: Waiter) -> None:
        waiter.place = len(self._all)
        self._all.append(waiter)
        self._soonest = min(self._soonest, waiter.deadline)
        self._latest = max(self._latest, waiter.deadline)

    def remove(self, waiter: Waiter) -> None:
        """Let the last one take the place of *waiter*."""
        last = self._all.pop()
        if last is not waiter:
            self._all[waiter.place] = last
            last.place = waiter.place
        self._is_stale = self._is_stale or waiter.deadline in (self._soonest, self._latest)

    @property
    def soonest(self) -> float:
        """The first of their deadlines; infinite where nobody has one."""
        self._refresh()
        return self._soonest

    @property
    def latest(self) -> float:
        """The last of their deadlines."""
        self._refresh()
        return self._latest

    def _refresh(self) -> None:
        if self._is_stale:
            self._soonest = min((waiter.deadline for waiter in self._all), default=math.inf)
            self._latest = max((waiter.deadline for waiter in self._all), default=0.0)
            self._is_stale = False

    def start_last_polls(self, now: float, lead: float) -> None:
        """Take note that a poll starts *now*: for those whose deadline is no more than *lead* away it is the last."""
        if self.soonest < math.inf:
            for waiter in self._all:
                waiter.had_last_poll = now >= waiter.deadline - lead

    def last_poll_at(self, next_poll: NextPoll) -> float:
        """Return when the first of them wants its last poll to start; infinite where nobody wants one."""
        if self.soonest == math.inf:
            return math.inf
        return min(
            (next_poll.last_poll_before(waiter.deadline) for waiter in self._all if not waiter.had_last_poll),
            default=math.inf,
        )


@define(eq=False, repr=False)
class PollLoops:
    """All poll loops of a client."""

    batcher: Batcher
    policy: PollPolicy
    strategy: PollWait
    health: Health = field(factory=Health)
    """What all requests have found of late."""
    learner: Learner = field(factory=Learner)
    """Notes each poll; the strategy may use it too."""
    listeners: Listeners = field(factory=Listeners)
    scheduler: Scheduler = field(init=False)
    at_close: set[Callable[[], None]] = field(factory=set)
    """Called when the client is closed, before the waits end."""
    _loops: dict[str, PollLoop] = field(factory=dict)
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    """Those that bring ids, or ask an async strategy."""
    _unknown_words: set[str] = field(factory=set)
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        self.scheduler = Scheduler(self.batcher.most)

    def join(
        self,
        task_id: str,
        timeout: float | None,
        on_end: Callable[[Outcome | Exception], None],
        on_change: Callable[[Generation], None] | None = None,
    ) -> Waiter:
        """Wait for the checked *task_id*, with the other waiters of that id. A new waiter is polled for immediately."""
        running = asyncio.get_running_loop()
        now = running.time()
        waiter = Waiter(now, math.inf if timeout is None else now + timeout, on_end, on_change)
        loop = self._loops.get(task_id)
        if loop is None:
            loop = self._loops[task_id] = PollLoop(task_id, loops=self)
            loop.admit(waiter)
            if self._closed:
                running.call_soon(loop.abandon)
            else:
                loop.poll(now)
        else:
            loop.admit(waiter)
        if self.listeners.active:
            self.listeners.tell(WaitStarted(task_id=task_id, waiting=loop.waiting))
        return waiter

    async def wait(self, task_id: str, timeout: float | None) -> Outcome:  # noqa: ASYNC109 - see join
        """Wait until *task_id* ends or *timeout* seconds are over. Cancelling leaves the other waiters alone."""
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiter = self.join(task_id, timeout, lambda end: _settle(ended, end))
        try:
            return await ended
        finally:
            waiter.leave()

    def statistics(self) -> Statistics:
        """Return what the polls have shown so far, and how many ids are in which state now."""
        return self.learner.statistics(Counter(loop.state for loop in self._loops.values()))

    @property
    def gathers(self) -> bool:
        """Whether ids wait for each other; one that is alone does not."""
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

    def warn_once(self, task_id: str, word: str) -> None:
        """Report that a relay uses an unknown word for a state (architecture, rule 5)."""
        if word not in self._unknown_words:
            self._unknown_words.add(word)
            log(logging.WARNING, "task %s: unknown state %r: polling goes on", task_id, shown(word, 60))

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that the client's end waits for."""
        task = asyncio.create_task(work, name=f"luma_async {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget(self, loop: PollLoop) -> None:
        """Let the next wait for this id start afresh."""
        if self._loops.get(loop.task_id) is loop:
            del self._loops[loop.task_id]
            self.batcher.forget(loop.task_id)


def _settle(future: asyncio.Future[Outcome], end: Outcome | Exception) -> None:
    if not future.done():
        if isinstance(end, Outcome):
            future.set_result(end)
        else:
            future.set_exception(end)


@define(eq=False, repr=False)
class PollLoop(Poller):
    """The loop of one id: poll, pause, poll again.

    It has no task of its own: the batcher calls it with each answer, the scheduler when a pause is over, and between
    the two a waiting id costs nothing. What the polls came to is in ``Progress``, when the next one is in ``NextPoll``,
    and tenacity's ``Controller`` asks the strategy for each pause.
    """

    loops: PollLoops = field(kw_only=True)
    _waiters: _Waiters = field(factory=_Waiters, init=False)
    _progress: Progress = field(init=False)
    _next: NextPoll = field(init=False)
    _controller: Controller = field(init=False)
    _polls: int = field(default=0, init=False)
    _started: float = field(default=0.0, init=False)
    """When the last poll did."""
    _pending: PendingPoll | None = field(default=None, init=False)
    """The poll that is under way."""
    _wakeup: Wakeup | None = field(default=None, init=False)
    """The end of the pause, between two polls."""
    _strategy: asyncio.Task[None] | None = field(default=None, init=False)
    """An async strategy that is being asked, between two polls."""
    _is_shown: bool = field(default=True, init=False)
    """Whether every waiter that follows the states has been shown this one."""

    def __attrs_post_init__(self) -> None:
        self._progress = Progress(self.loops.policy, self.loops.health)
        self._next = NextPoll(self.loops.policy.shortest_interval)
        self._controller = Controller(self.loops.strategy, self._progress)

    # --- waiters ---

    def admit(self, waiter: Waiter) -> None:
        """Take *waiter* in, and poll for it immediately, or as soon as the interval allows."""
        running = asyncio.get_running_loop()
        waiter.loop = self
        waiter.polls_before = self._polls
        self._waiters.add(waiter)
        self._is_shown = False
        if waiter.deadline < math.inf:
            waiter.timer = running.call_at(waiter.deadline, self._reach_deadline, waiter)
        now = running.time()
        self._next.hurry(now)
        if self._wakeup is not None and self._at_the_earliest() < self._wakeup.latest:
            self._wakeup.leave()
            self._rest(now)

    @property
    def waiting(self) -> int:
        """How many wait for this id."""
        return len(self._waiters)

    @property
    def state(self) -> State | None:
        """As it was seen last."""
        return self._progress.state

    @property
    def deadline(self) -> float:
        """The latest of the waiters' deadlines: a waiter that joins before the request goes out still counts."""
        return self._waiters.latest

    def dismiss(self, waiter: Waiter, end: Outcome | Exception | None) -> None:
        """Let *waiter* go with its *end*, if it came to one; the loop stops when no waiter is left."""
        self._waiters.remove(waiter)
        if not self._waiters:
            self.loops.forget(self)
            self._stop()
        if self.loops.listeners.active:
            outcome = end if isinstance(end, Outcome) else None
            self.loops.listeners.tell(WaitEnded(task_id=self.task_id, outcome=outcome, waiting=self.waiting))

    def _stop(self) -> None:
        """Poll no more."""
        if self._pending is not None:
            self.loops.batcher.leave(self._pending)
        if self._wakeup is not None:
            self._wakeup.leave()
        if self._strategy is not None:
            self._strategy.cancel()
        self._pending = self._wakeup = self._strategy = None

    def end_with(self, end_of: Callable[[Waiter], Outcome | Exception]) -> None:
        """Give each waiter its own end."""
        self.loops.forget(self)
        for waiter in self._waiters:
            waiter.finish(end_of(waiter))

    def abandon(self) -> None:
        """End all waits for this id because the client was closed."""
        error = ClientClosedError("the client was closed while waiting", advice="the generation goes on: wait again")
        self.end_with(lambda waiter: self._outcome(waiter, error=error))

    def _outcome(
        self, waiter: Waiter, *, generation: Generation | None = None, error: LumaError | None = None
    ) -> Outcome:
        """Return what became of the id for *waiter*; a failed generation is an error, and each has its own object."""
        failed = generation is not None and generation.state is State.FAILED
        if generation is not None and failed:
            error = GenerationFailedError(generation)
        return Outcome(
            task_id=self.task_id,
            generation=None if failed else generation,
            error=None if error is None else error.for_task(self.task_id),
            elapsed=asyncio.get_running_loop().time() - waiter.joined,
            polls=self._polls - waiter.polls_before,
        )

    def _reach_deadline(self, waiter: Waiter, *, had_grace: bool = False) -> None:
        """End *waiter*'s wait; a poll that is under way gets a moment to end, also where the event loop stood still."""
        running = asyncio.get_running_loop()
        now = running.time()
        if self._pending is not None and not had_grace:
            waiter.timer = running.call_at(now + _GRACE, partial(self._reach_deadline, waiter, had_grace=True))
        else:
            waiter.finish(self._end_at_deadline(waiter, now))

    def _end_at_deadline(self, waiter: Waiter, now: float) -> Outcome:
        """Return a completed generation even if its link has not come yet; else the time-out."""
        finished = self._progress.finished
        if finished is not None:
            waiter.show(finished)
            return self._outcome(waiter, generation=finished)
        last = None if self.last_answer is None else self.last_answer.recall(self.task_id)
        waited = now - waiter.joined
        error = WaitTimeoutError(self.task_id, waited=waited, last=last, last_error=self._progress.error)
        return self._outcome(waiter, error=error)

    # --- a poll ---

    def poll(self, now: float) -> None:
        """Ask for the id, *now*."""
        self._wakeup = None
        self._started = now
        self._waiters.start_last_polls(now, self._next.lead)
        pending = self.loops.batcher.ask(self)
        self._pending = None if pending.is_over else pending

    def on_answer(self, last_answer: LastAnswer, answer: TaskAnswer | None, now: float, /) -> None:
        """Take a good answer in, *answer* None where it is the one before once more."""
        progress, word = self._progress, self._progress.word
        self.last_answer = last_answer
        is_end = progress.succeeded(answer)
        if answer is not None:
            self._report(answer, word)
            progress.time_in_state = self.loops.learner.saw(progress.time_in_state, answer.state, now)
        elif progress.time_in_state is not None:
            self.loops.learner.stayed(progress.time_in_state, now)
        if progress.finished is None and not self._is_shown:
            self._show(answer)
        self._go_on(now, is_end=is_end)

    def _report(self, answer: TaskAnswer, before: str) -> None:
        """Report a change of state, and a word that nobody knows."""
        self._is_shown = False
        if answer.word != before and self.loops.listeners.active:
            change = StateChanged(
                task_id=self.task_id,
                before=before or None,
                state_text=answer.word,
                state=answer.state,
                request_id=answer.request_id,
            )
            self.loops.listeners.tell(change)
        if answer.state is State.UNKNOWN:
            self.loops.warn_once(self.task_id, answer.word)

    def _show(self, answer: TaskAnswer | None) -> None:
        """Show the state to each waiter that follows it and has not seen it: all when it is new, else newcomers."""
        self._is_shown = True
        for waiter in self._waiters:
            if waiter.on_change is not None and waiter.shown != self._progress.word:
                last_answer = cast("LastAnswer", self.last_answer)
                waiter.show(last_answer.recall(self.task_id) if answer is None else answer.generation())

    def on_error(self, error: LumaError) -> None:
        """Take a failed poll in."""
        now = asyncio.get_running_loop().time()
        is_cut = isinstance(error, RequestTimeoutError) and now >= self.deadline
        is_end = self._progress.failed(error, now, is_cut=is_cut)
        self.loops.learner.missed()
        if self.loops.listeners.active:
            reported, failures = error.for_task(self.task_id), self._progress.failures
            self.loops.listeners.tell(PollFailed(task_id=self.task_id, error=reported, failures=failures))
        self._go_on(now, is_end=is_end)

    def on_defect(self, defect: BaseException) -> None:
        """End all waits with what should not have happened: a user's strategy that raised, or an error of ours."""
        self._stop()
        if isinstance(defect, Exception):
            self.end_with(lambda _: defect)
        self.abandon()

    # --- what comes after it ---

    def _go_on(self, now: float, *, is_end: bool) -> None:
        """End all waits, or pause until the next poll."""
        progress = self._progress
        self._pending = None
        self._polls += 1
        self._next.ended(self._started, now, progress.hint if progress.failures else None)
        if is_end:
            self.end_with(self._end)
            return
        if now >= self._waiters.soonest:
            for waiter in self._waiters:
                if now >= waiter.deadline:
                    self._reach_deadline(waiter)
        if not self._waiters:
            return
        pause = self._controller.pause(self.task_id, progress)
        if isawaitable(pause):
            self._strategy = self.loops.start(self._pause_later(pause), f"strategy for {self.task_id}")
        else:
            self._pause(pause, now)

    def _end(self, waiter: Waiter) -> Outcome:
        error = self._progress.error
        if error is not None:
            return self._outcome(waiter, error=error)
        finished = cast("Generation", self._progress.finished)
        waiter.show(finished)
        return self._outcome(waiter, generation=finished)

    async def _pause_later(self, pause: Awaitable[float]) -> None:
        try:
            seconds = await pause
            self._strategy = None
            self._pause(seconds, asyncio.get_running_loop().time())
        except Exception as defect:  # noqa: BLE001 - it goes to the waiters
            self.on_defect(defect)

    def _pause(self, seconds: float, now: float) -> None:
        self._controller.paused(seconds)
        if self.loops.gathers:
            is_failing = bool(self._progress.failures)
            self._next.rest(seconds, now, is_ours=self.loops.policy.wait is None, is_failing=is_failing)
        else:
            self._next.rest_alone(seconds, now)
        self._rest(now)

    def _rest(self, now: float) -> None:
        at, latest = self._next.window(self._waiters.last_poll_at(self._next))
        if at <= now:
            self.poll(now)
        else:
            self._wakeup = self.loops.scheduler.rest(at, latest, self.poll)

    def _at_the_earliest(self) -> float:
        return self._next.at_the_earliest(self._waiters.last_poll_at(self._next))
