"""One poll loop per task id, shared by all who wait for it (DESIGN: rules of waiting).

These classes refer to each other, and asyncio's debug mode prints what it runs: a repr that follows them costs minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from attrs import define, field
from tenacity import AsyncRetrying, retry_if_result

from luma_async._learning import Learner, Statistics, Stay
from luma_async._looking import Look, Looker, Sighting, go_on
from luma_async._text import shown
from luma_async.errors import ClientClosedError, GenerationFailedError, LumaError, Verdict, WaitTimeoutError
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome
from luma_async.pacing import PollPolicy, PollWait

_logger = logging.getLogger("luma_async")

_NOT_FOUND_IS_FINAL = 3
"""In a row: right after a submit, ``task_not_exist`` can be transient (contract section 4)."""
_LOOKS_FOR_A_LINK = 3
"""More, at a generation that is completed before it has any link (contract section 1)."""
_GRACE = 0.25
"""Seconds beyond the deadline for a look that is under way then; its HTTP timeout ends it at the deadline."""
_SHORTEST_LEAD, _LONGEST_LEAD = 0.1, 1.0
"""Seconds before a deadline at which the last look starts: twice what the look before took, within these."""


@define(eq=False, repr=False)
class Waiter:
    """One who waits for one id. A deadline belongs to him alone; times are the event loop's, in seconds."""

    joined: float
    deadline: float | None
    on_end: Callable[[Outcome | Exception], None]
    """Called once, with his own outcome; an Exception that is not ours is a defect, such as a strategy that raised."""
    on_change: Callable[[Generation], None] | None = None
    """Called with each snapshot whose state differs from the one before, the terminal one included."""
    looks: int = 0
    word: str | None = None
    had_last_look: bool = False
    timer: asyncio.TimerHandle | None = None
    poll: _Poll | None = None

    def leave(self) -> None:
        """Stop waiting, at once; the last one to go ends the loop. Leaving twice is leaving."""
        if self.timer is not None:
            self.timer.cancel()
        poll, self.poll = self.poll, None
        if poll is not None:
            poll.dismiss(self)

    def see(self, generation: Generation) -> None:
        """Pass a change of state on."""
        if self.on_change is not None and generation.state_text != self.word:
            self.word = generation.state_text
            self.on_change(generation)


@define(eq=False, repr=False)
class Watching:
    """All poll loops of a client."""

    looker: Looker
    policy: PollPolicy
    strategy: PollWait
    learner: Learner = field(factory=Learner)
    """Told of each look; the strategy may know it too."""
    _polls: dict[str, _Poll] = field(factory=dict)
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    _unknown_words: set[str] = field(factory=set)

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
        waiter = Waiter(now, None if timeout is None else now + timeout, on_end, on_change)
        poll = self._polls.get(task_id)
        if poll is None:
            poll = self._polls[task_id] = _Poll(task_id, self)
            poll.admit(waiter)
            self._start(poll)
        else:
            poll.admit(waiter)
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

    async def aclose(self) -> None:
        """End all waits with ClientClosedError, and all loops."""
        for poll in list(self._polls.values()):
            poll.abandon()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def warn_once(self, task_id: str, word: str) -> None:
        """Say that a relay uses a word for a state that nobody knows (DESIGN: rule 5)."""
        if word not in self._unknown_words:
            self._unknown_words.add(word)
            _logger.warning("task %s: unknown state %r: polling goes on", task_id, shown(word, 60))

    def _start(self, poll: _Poll) -> None:
        task = poll.task = asyncio.create_task(poll.run(), name=f"luma_async poll {poll.task_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(poll.ended)

    def forget(self, poll: _Poll) -> None:
        """Let the next one who asks for this id start afresh."""
        if self._polls.get(poll.task_id) is poll:
            del self._polls[poll.task_id]


def _settle(future: asyncio.Future[Outcome], end: Outcome | Exception) -> None:
    if not future.done():
        if isinstance(end, Outcome):
            future.set_result(end)
        else:
            future.set_exception(end)


@define(eq=False, repr=False)
class _Poll:
    """The loop of one id: look, rest, look again. What it knows lives here; tenacity only turns the wheel."""

    task_id: str
    room: Watching
    task: asyncio.Task[None] | None = None
    _waiters: list[Waiter] = field(factory=list)
    _last: Sighting | None = None
    _stay: Stay | None = None
    _error: LumaError | None = None
    _looking: bool = False
    _took: float = 0.0
    _not_before: float = 0.0
    _due: float = 0.0
    _alarm: asyncio.Future[None] | None = None
    _good: int = 0
    _failures: int = 0
    _counted: int = 0
    _not_found: int = 0
    _without_link: int = 0
    _trouble_since: float = 0.0

    @property
    def state(self) -> State | None:
        """The state that was seen last, or None before the first answer."""
        return None if self._stay is None else self._stay.state

    # --- those who wait ---

    def admit(self, waiter: Waiter) -> None:
        """Take *waiter* in, and hurry for him."""
        waiter.poll = self
        self._waiters.append(waiter)
        if waiter.deadline is not None:
            waiter.timer = _loop().call_at(waiter.deadline, self._deadline, waiter, waiter.deadline + _GRACE)
        self._due = _loop().time()
        self._rouse()

    def dismiss(self, waiter: Waiter) -> None:
        """Let *waiter* go; the last one takes the loop with him."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not self._waiters:
            self.room.forget(self)
            if self.task is not None:
                self.task.cancel()

    def end_with(self, end_of: Callable[[Waiter], Outcome | Exception]) -> None:
        """Give each waiter his own end."""
        self.room.forget(self)
        for waiter in list(self._waiters):
            end = end_of(waiter)
            waiter.leave()
            waiter.on_end(end)

    def abandon(self) -> None:
        """End all waits for this id because its client was closed."""
        error = ClientClosedError("the client was closed while waiting", advice="the generation goes on: wait again")
        self.end_with(lambda waiter: self.outcome(waiter, error=error))

    def ended(self, task: asyncio.Task[None]) -> None:
        """See to it that nobody waits for a loop that is gone: cancelled from outside, or with a defect."""
        defect = None if task.cancelled() else task.exception()
        if isinstance(defect, Exception):
            self.end_with(lambda _: defect)
        self.abandon()

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
            looks=waiter.looks,
        )

    def _deadline(self, waiter: Waiter, latest: float) -> None:
        """End *waiter*'s wait; a look that is under way gets a moment to come to an end."""
        now = _loop().time()
        if self._looking and now < latest:
            waiter.timer = _loop().call_at(latest, self._deadline, waiter, latest)
            return
        end = self._end_at_deadline(waiter, now)
        waiter.leave()
        waiter.on_end(end)

    def _end_at_deadline(self, waiter: Waiter, now: float) -> Outcome:
        """Return a completed generation even if its link has not come yet; else the time-out."""
        last = self._last.generation if self._last else None
        if last is not None and last.is_terminal:
            waiter.see(last)
            return self.outcome(waiter, generation=last)
        error = WaitTimeoutError(self.task_id, waited=now - waiter.joined, last=last, last_error=self._error)
        return self.outcome(waiter, error=error)

    # --- the loop ---

    async def run(self) -> None:
        """Look and rest until the end, and tell all who wait. Ends early when the last of them has gone."""
        controller = AsyncRetrying(retry=retry_if_result(go_on), wait=self.room.strategy, sleep=self._rest)
        look: Look = await controller(self._look)
        self.end_with(lambda waiter: self._end(waiter, look))

    def _end(self, waiter: Waiter, look: Look) -> Outcome:
        generation = None if look.sighting is None else look.sighting.generation
        if generation is not None:
            waiter.see(generation)
        return self.outcome(waiter, generation=generation, error=look.error)

    async def _look(self) -> Look:
        started = _loop().time()
        self._looking = True
        for waiter in self._waiters:
            waiter.had_last_look = waiter.deadline is not None and started >= waiter.deadline - self._lead()
        try:
            sighting = await self.room.looker.look(self.task_id, last=self._last, deadline=self._latest_deadline())
        except LumaError as error:
            look = self._failed(error)
        else:
            look = self._seen(sighting)
        finally:
            self._looking = False
            now = _loop().time()
            self._took = now - started
        self._not_before = now + max(self.room.policy.min_interval, look.hint or 0.0)
        for waiter in list(self._waiters):
            waiter.looks += 1
            if waiter.deadline is not None and now >= waiter.deadline and not look.is_last:
                self._deadline(waiter, now)
        return look

    def _seen(self, sighting: Sighting) -> Look:
        """Take a good answer in; it ends all trouble."""
        self._error = None
        self._good += 1
        self._failures = self._counted = self._not_found = 0
        self._last, generation = sighting, sighting.generation
        self._stay = self.room.learner.saw(self._stay, generation.state, _loop().time())
        if generation.state is State.UNKNOWN:
            self.room.warn_once(self.task_id, generation.state_text)
        if not generation.is_terminal:
            for waiter in list(self._waiters):
                waiter.see(generation)
        return Look(sighting=sighting, good=self._good, is_last=self._is_end(generation), stay=self._stay)

    def _is_end(self, generation: Generation) -> bool:
        """Whether to stop here: ``completed`` sometimes comes a moment before any link does (DESIGN: rule 5)."""
        if generation.state is State.COMPLETED and generation.video_url is None:
            self._without_link += 1
            return self._without_link > _LOOKS_FOR_A_LINK
        return generation.is_terminal

    def _failed(self, error: LumaError) -> Look:
        """Take a failed look in; it is the end only by rule 3 of DESIGN."""
        self._error = error
        self.room.learner.missed()
        self._failures += 1
        self._not_found = self._not_found + 1 if error.verdict is Verdict.UNCONFIRMED else 0
        is_last = (
            error.verdict is Verdict.FINAL
            or self._not_found >= _NOT_FOUND_IS_FINAL
            or (error.verdict is not Verdict.SLOW_DOWN and self._is_outage(_loop().time()))
        )
        return Look(error=error, failures=self._failures, is_last=is_last)

    def _is_outage(self, now: float) -> bool:
        """Count one more failure; whether there have been enough, for long enough."""
        if not self._counted:
            self._trouble_since = now
        self._counted += 1
        policy = self.room.policy
        return self._counted >= policy.max_consecutive_failures and now - self._trouble_since >= policy.max_outage

    # --- the rest between two looks ---

    async def _rest(self, seconds: float) -> None:
        """Sleep for *seconds*, less if a newcomer or a deadline wants a look before, never below the interval."""
        loop = _loop()
        self._due = loop.time() + seconds
        while (left := self._next_look() - loop.time()) > 0:
            self._alarm = loop.create_future()
            timer = loop.call_later(left, self._rouse)
            try:
                await self._alarm
            finally:
                timer.cancel()

    def _rouse(self) -> None:
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    def _next_look(self) -> float:
        lead = self._lead()
        wanted = [w.deadline - lead for w in self._waiters if w.deadline is not None and not w.had_last_look]
        return max(self._not_before, min([self._due, *wanted]))

    def _lead(self) -> float:
        return min(max(2 * self._took, _SHORTEST_LEAD), _LONGEST_LEAD)

    def _latest_deadline(self) -> float | None:
        deadlines = [waiter.deadline for waiter in self._waiters]
        return None if None in deadlines or not deadlines else max(d for d in deadlines if d is not None)


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
