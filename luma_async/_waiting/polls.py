"""One poll loop per task id, shared by all who wait for it (architecture, rules of waiting).

These classes refer to each other, and asyncio's debug mode prints what it runs: a repr that follows them costs minutes.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from attrs import define, field

from luma_async._listeners import Herald, log
from luma_async._relay.health import Health
from luma_async._relay.tasks import Known, News
from luma_async._text import shown
from luma_async._waiting.batching import Ask, Asker, Batcher
from luma_async._waiting.controller import Look, Wheel
from luma_async._waiting.learning import Learner, Stay
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.progress import Progress
from luma_async._waiting.scheduler import Agenda, Rest
from luma_async.errors import (
    ClientClosedError,
    GenerationFailedError,
    LumaError,
    RequestTimeoutError,
    WaitTimeoutError,
)
from luma_async.events import LookFailed, StateChanged, WaitBegan, WaitEnded
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome
from luma_async.settings import PollPolicy
from luma_async.statistics import Statistics

_GRACE = 0.25
"""Seconds for a poll that is under way at the deadline: its request ends then, or its answer lies in the socket."""
_SHORTEST_LEAD, _LONGEST_LEAD = 0.1, 1.0
"""Seconds before a deadline at which the last look starts: twice what the look before took, within these."""
_SHARE_OF_PAUSE, _LONGEST_PATIENCE = 0.1, 0.5
"""How long an id that is due may wait for others, so that they can share a request: of its pause, and in seconds.

In trouble the share alone counts: pauses are longer then, and those who are due have to gather into fewer requests.
"""
_EAGERNESS = 2.5
"""How many times as long before its time it may go along with others."""


@define(eq=False, repr=False)
class Waiter:
    """One who waits for one id. A deadline belongs to him alone; times are the event loop's, in seconds."""

    joined: float
    deadline: float
    """Infinite for one who waits for ever."""
    on_end: Callable[[Outcome | Exception], None]
    """Called once, with his own outcome; an Exception that is not ours is a defect, such as a strategy that raised."""
    on_change: Callable[[Generation], None] | None = None
    """Called with each snapshot whose state differs from the one before, the terminal one included."""
    looks_before: int = 0
    """Looks that were made before he joined."""
    word: str | None = None
    had_last_look: bool = False
    timer: asyncio.TimerHandle | None = None
    poll: _Poll | None = None

    def leave(self, end: Outcome | Exception | None = None) -> None:
        """Stop waiting, at once; the last one to go ends the loop. Leaving twice is leaving."""
        if self.timer is not None:
            self.timer.cancel()
        poll, self.poll = self.poll, None
        if poll is not None:
            poll.dismiss(self, end)

    def see(self, generation: Generation) -> None:
        """Pass a change of state on."""
        if self.on_change is not None and generation.state_text != self.word:
            self.word = generation.state_text
            self.on_change(generation)


@define(eq=False, repr=False)
class Watching:
    """All poll loops of a client."""

    batcher: Batcher
    policy: PollPolicy
    strategy: PollWait
    health: Health = field(factory=Health)
    """What all requests have found of late."""
    learner: Learner = field(factory=Learner)
    """Told of each look; the strategy may know it too."""
    herald: Herald = field(factory=Herald)
    agenda: Agenda = field(init=False)
    _polls: dict[str, _Poll] = field(factory=dict)
    at_close: set[Callable[[], None]] = field(factory=set)
    """Called when the client is closed, before the waits end."""
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    """Those that bring ids."""
    _unknown_words: set[str] = field(factory=set)
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        self.agenda = Agenda(self.batcher.most)

    def join(
        self,
        task_id: str,
        timeout: float | None,
        on_end: Callable[[Outcome | Exception], None],
        on_change: Callable[[Generation], None] | None = None,
    ) -> Waiter:
        """Wait for the checked *task_id* with whoever waits for it already; he who joins gets a look at once."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiter = Waiter(now, math.inf if timeout is None else now + timeout, on_end, on_change)
        poll = self._polls.get(task_id)
        if poll is None:
            poll = self._polls[task_id] = _Poll(task_id, room=self)
            poll.admit(waiter)
            if self._closed:
                loop.call_soon(poll.abandon)
            else:
                poll.look(now)
        else:
            poll.admit(waiter)
        if self.herald.listeners:
            self.herald.tell(WaitBegan(task_id=task_id, waiting=poll.waiting))
        return waiter

    async def wait(self, task_id: str, timeout: float | None) -> Outcome:  # noqa: ASYNC109 - see join
        """Wait until *task_id* ends or *timeout* seconds are over. Cancelling leaves others who wait for it alone."""
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiter = self.join(task_id, timeout, lambda end: _settle(ended, end))
        try:
            return await ended
        finally:
            waiter.leave()

    def statistics(self) -> Statistics:
        """Return what the looks have shown so far, and how many ids are in which state now."""
        return self.learner.statistics(Counter(poll.state for poll in self._polls.values()))

    @property
    def gathers(self) -> bool:
        """Whether ids wait for each other; one that is alone waits for nobody."""
        return len(self._polls) > 1 and self.batcher.gathers

    async def aclose(self) -> None:
        """End all waits with ClientClosedError, and all loops."""
        self._closed = True
        for leave in tuple(self.at_close):
            leave()
        for poll in list(self._polls.values()):
            poll.abandon()
        self.agenda.close()
        await self.batcher.aclose()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def warn_once(self, task_id: str, word: str) -> None:
        """Say that a relay uses a word for a state that nobody knows (architecture, rule 5)."""
        if word not in self._unknown_words:
            self._unknown_words.add(word)
            log(logging.WARNING, "task %s: unknown state %r: polling goes on", task_id, shown(word, 60))

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that the client's end waits for."""
        task = asyncio.create_task(work, name=f"luma_async {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget(self, poll: _Poll) -> None:
        """Let the next one who asks for this id start afresh."""
        if self._polls.get(poll.task_id) is poll:
            del self._polls[poll.task_id]
            self.batcher.forget(poll.task_id)


def _settle(future: asyncio.Future[Outcome], end: Outcome | Exception) -> None:
    if not future.done():
        if isinstance(end, Outcome):
            future.set_result(end)
        else:
            future.set_exception(end)


@define(eq=False, repr=False)
class _Poll(Asker):
    """The loop of one id: look, rest, look again. What it knows lives here; tenacity only says how long to rest.

    It has no task of its own: the batcher tells what a look showed, the agenda when a rest is over, and between the
    two a waiting id costs nothing.
    """

    room: Watching = field(kw_only=True)
    deadline: float = 0.0
    """The latest of the deadlines of those who wait; who joins before the request goes out still counts."""
    _soonest: float = math.inf
    """The first of them; where nobody has one, nobody needs to be asked."""
    _wheel: Wheel = field(init=False)
    _progress: Progress = field(init=False)
    _waiters: list[Waiter] = field(factory=list)
    state: State | None = None
    """As it was seen last."""
    _word: str = ""
    _unshown: bool = False
    """Whether somebody who follows the states may not have seen this one."""
    _stay: Stay | None = None
    _finished: Generation | None = None
    """A terminal answer that may still get its link."""
    _not_before: float = 0.0
    _due: float = 0.0
    _latest: float = 0.0
    """Until when the look may wait for others that are due."""
    _ask: Ask | None = None
    """The look that is under way."""
    _began: float = 0.0
    """When it was."""
    _took: float = 0.0
    """Seconds that the look before took."""
    _resting: Rest | None = None
    _looks: int = 0

    def __attrs_post_init__(self) -> None:
        self._wheel = Wheel(wait=self.room.strategy)
        self._progress = Progress(self.room.policy, self.room.health)

    # --- those who wait ---

    def admit(self, waiter: Waiter) -> None:
        """Take *waiter* in, and hurry for him."""
        waiter.poll = self
        waiter.looks_before = self._looks
        self._waiters.append(waiter)
        self.deadline = max(self.deadline, waiter.deadline)
        self._soonest = min(self._soonest, waiter.deadline)
        self._unshown = True
        if waiter.deadline < math.inf:
            waiter.timer = _loop().call_at(waiter.deadline, self._deadline, waiter)
        now = _loop().time()
        self._due = self._latest = now
        if self._resting is not None and self._next_look() < self._resting.latest:
            self._resting.leave()
            self._rest_on(now)

    @property
    def waiting(self) -> int:
        """How many wait for this id."""
        return len(self._waiters)

    def dismiss(self, waiter: Waiter, end: Outcome | Exception | None) -> None:
        """Let *waiter* go with his *end*, if it came to one; the last one takes the loop with him."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not self._waiters:
            self.room.forget(self)
            self._stop()
        elif self._soonest < math.inf:
            self._soonest = min(waiter.deadline for waiter in self._waiters)
            self.deadline = max(waiter.deadline for waiter in self._waiters)
        if self.room.herald.listeners:
            outcome = end if isinstance(end, Outcome) else None
            self.room.herald.tell(WaitEnded(task_id=self.task_id, outcome=outcome, waiting=self.waiting))

    def _stop(self) -> None:
        """Look no more, and rest no more."""
        if self._ask is not None:
            self.room.batcher.leave(self._ask)
        if self._resting is not None:
            self._resting.leave()
        self._ask = self._resting = None

    def end_with(self, end_of: Callable[[Waiter], Outcome | Exception]) -> None:
        """Give each waiter his own end."""
        self.room.forget(self)
        for waiter in list(self._waiters):
            end = end_of(waiter)
            waiter.leave(end)
            waiter.on_end(end)

    def abandon(self) -> None:
        """End all waits for this id because its client was closed."""
        error = ClientClosedError("the client was closed while waiting", advice="the generation goes on: wait again")
        self.end_with(lambda waiter: self.outcome(waiter, error=error))

    def outcome(
        self, waiter: Waiter, *, generation: Generation | None = None, error: LumaError | None = None
    ) -> Outcome:
        """Return what became of the id for *waiter*; a failed generation is an error, and each has his own object."""
        failed = generation is not None and generation.state is State.FAILED
        if generation is not None and failed:
            error = GenerationFailedError(generation)
        return Outcome(
            task_id=self.task_id,
            generation=None if failed else generation,
            error=None if error is None else error.for_task(self.task_id),
            elapsed=_loop().time() - waiter.joined,
            looks=self._looks - waiter.looks_before,
        )

    def _deadline(self, waiter: Waiter, *, had_grace: bool = False) -> None:
        """End *waiter*'s wait; a poll that is under way gets a moment to end, also where the event loop stood still."""
        now = _loop().time()
        if self._ask is not None and not had_grace:
            waiter.timer = _loop().call_at(now + _GRACE, partial(self._deadline, waiter, had_grace=True))
            return
        end = self._end_at_deadline(waiter, now)
        waiter.leave(end)
        waiter.on_end(end)

    def _end_at_deadline(self, waiter: Waiter, now: float) -> Outcome:
        """Return a completed generation even if its link has not come yet; else the time-out."""
        if self._finished is not None:
            waiter.see(self._finished)
            return self.outcome(waiter, generation=self._finished)
        last = None if self.known is None else self.known.recall(self.task_id)
        error = WaitTimeoutError(self.task_id, waited=now - waiter.joined, last=last, last_error=self._progress.error)
        return self.outcome(waiter, error=error)

    # --- a look ---

    def look(self, now: float) -> None:
        """Ask for the id, *now*."""
        self._resting = None
        self._began = now
        if self._soonest < math.inf:
            lead = self._lead
            for waiter in self._waiters:
                waiter.had_last_look = now >= waiter.deadline - lead
        ask = self.room.batcher.ask(self)
        self._ask = None if ask.is_over else ask

    def saw(self, known: Known, news: News | None, now: float, /) -> None:
        """Take a good answer in, *news* None where it is the one before once more; it ends all trouble."""
        progress = self._progress
        progress.succeeded()
        self.known = known
        if news is not None:
            self._take_in(news)
            self._stay = self.room.learner.saw(self._stay, news.state, now)
        elif self._stay is not None:
            self.room.learner.stayed(self._stay, now)
        if self._finished is None:
            if self._unshown:
                self._show(news)
            self._go_on(Look(good=progress.good, stay=self._stay), now)
        else:
            is_last = progress.is_end(self._finished)
            self._go_on(Look(generation=self._finished, good=progress.good, is_last=is_last, stay=self._stay), now)

    def _take_in(self, news: News) -> None:
        if news.word != self._word and self.room.herald.listeners:
            self.room.herald.tell(self._change(news))
        self._word, self.state, self._unshown = news.word, news.state, True
        self._finished = news.generation() if news.state.is_terminal else None
        if news.state is State.UNKNOWN:
            self.room.warn_once(self.task_id, news.word)

    def _change(self, news: News) -> StateChanged:
        return StateChanged(
            task_id=self.task_id,
            before=self._word or None,
            state_text=news.word,
            state=news.state,
            request_id=news.request_id,
        )

    def _show(self, news: News | None) -> None:
        """Show the state to those who want to see it and have not: all of them when it is new, else newcomers."""
        self._unshown = False
        for waiter in self._waiters.copy():
            if waiter.on_change is not None and waiter.word != self._word:
                known = cast("Known", self.known)
                waiter.see(known.recall(self.task_id) if news is None else news.generation())

    def missed(self, error: LumaError) -> None:
        """Take a failed look in; it is the end only by rule 3 (architecture)."""
        now = _loop().time()
        progress = self._progress
        is_cut = isinstance(error, RequestTimeoutError) and now >= self.deadline
        is_last = progress.failed(error, now, is_cut=is_cut)
        self.room.learner.missed()
        if self.room.herald.listeners:
            told = error.for_task(self.task_id)
            self.room.herald.tell(LookFailed(task_id=self.task_id, error=told, failures=progress.failures))
        look = Look(error=error, good=progress.good, failures=progress.failures, is_last=is_last, stay=self._stay)
        self._go_on(look, now)

    def broke(self, defect: BaseException) -> None:
        """End all waits with what should not have happened: a user's strategy that raised, or an error of ours."""
        self._stop()
        if isinstance(defect, Exception):
            self.end_with(lambda _: defect)
        self.abandon()

    # --- what comes after it ---

    def _go_on(self, look: Look, now: float) -> None:
        """Tell all who wait, where *look* is the end for them; rest for the others."""
        self._ask = None
        self._looks += 1
        self._took = now - self._began
        interval = self.room.policy.min_interval
        self._not_before = now + (max(interval, look.hint or 0.0) if look.failures else interval)
        pause = self._wheel.pause_after(look)
        if pause is None:
            self.end_with(lambda waiter: self._end(waiter, look))
            return
        if now >= self._soonest:
            for waiter in [waiter for waiter in self._waiters if now >= waiter.deadline]:
                self._deadline(waiter)
        if self._waiters:
            self._rest(pause, now)

    def _end(self, waiter: Waiter, look: Look) -> Outcome:
        if look.generation is not None:
            waiter.see(look.generation)
        return self.outcome(waiter, generation=look.generation, error=look.error)

    def _rest(self, seconds: float, now: float) -> None:
        """Rest for *seconds*, less if a newcomer or a deadline wants a look before, never below the interval.

        Ids that are due at about the same time wake together: each may wait for others a tenth of its pause, at most
        half a second. Where the pause is our own choice it may go along with others a quarter before its time, at most
        five quarters of a second; in trouble that is all, so that few requests go out and all are back in time.
        """
        self._due = self._latest = now + seconds
        room = self.room
        if room.gathers:
            patience = _SHARE_OF_PAUSE * seconds
            if patience > _LONGEST_PATIENCE and not self._progress.failures:
                patience = _LONGEST_PATIENCE
            if room.policy.wait is None:
                self._due -= _EAGERNESS * patience
            if room.policy.wait is not None or not self._progress.failures:
                self._latest += patience
        self._rest_on(now)

    def _rest_on(self, now: float) -> None:
        at, latest = self._due, self._latest
        if not self._not_before <= at <= latest:
            at = max(at, self._not_before)
            latest = max(at, latest)
        if self._soonest < math.inf and (wanted := self._wanted()) <= latest:
            at = latest = max(self._not_before, min(self._due, wanted))
        if at <= now:
            self.look(now)
        else:
            self._resting = self.room.agenda.rest(at, latest, self.look)

    @property
    def _lead(self) -> float:
        """Seconds before a deadline at which the last look starts."""
        return min(max(2 * self._took, _SHORTEST_LEAD), _LONGEST_LEAD)

    def _next_look(self) -> float:
        return max(self._not_before, min(self._due, self._wanted()))

    def _wanted(self) -> float:
        """Return when somebody wants his last look."""
        wanted, lead = math.inf, self._lead
        for waiter in self._waiters:
            if not waiter.had_last_look:
                wanted = min(wanted, waiter.deadline - lead)
        return wanted


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
