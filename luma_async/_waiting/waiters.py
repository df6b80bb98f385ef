"""The waiters of one id: their deadlines, and the result of each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Protocol

from attrs import define, field

from luma_async._waiting.rest import NextPoll
from luma_async.errors import GenerationFailedError, LumaError
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome


class Dismisses(Protocol):
    """The poll loop that a waiter belongs to."""

    def dismiss(self, waiter: Waiter, end: Outcome | Exception | None) -> None:
        """Remove *waiter* from the loop."""


@define(eq=False, repr=False, weakref_slot=False)
class Waiter:
    """One wait for one id, with its own deadline; times are on the event loop's clock, in seconds."""

    joined: float
    deadline: float
    """Infinite without a timeout."""
    on_end: Callable[[Outcome | Exception], None]
    """Called once, with this waiter's outcome; or with an unexpected exception, such as one of a user's strategy."""
    on_change: Callable[[Generation], None] | None = None
    """Called with each snapshot whose state differs from the one before, the terminal one included."""
    sees_progress: bool = False
    """Whether ``on_change`` gets changes of the progress and of the place in the queue, too."""
    polls_before: int = 0
    """Polls of the id before this waiter joined."""
    shown: tuple[object, ...] = ()
    """The relay's word at the last call of ``on_change``, and the progress, if it counts."""
    had_last_poll: bool = False
    timer: asyncio.TimerHandle | None = None
    loop: Dismisses | None = None
    place: int = 0
    """Its index among the waiters of its id."""

    def leave(self, end: Outcome | Exception | None = None) -> None:
        """Stop waiting now; the loop stops when no waiter is left. A second call does nothing."""
        if self.timer is not None:
            self.timer.cancel()
        loop, self.loop = self.loop, None
        if loop is not None:
            loop.dismiss(self, end)

    def outcome(
        self, task_id: str, polls: int, *, generation: Generation | None = None, error: LumaError | None = None
    ) -> Outcome:
        """Return the outcome of *task_id* after *polls* polls of its loop; a failed generation is an error.

        Each waiter gets its own error object.
        """
        failed = generation is not None and generation.state is State.FAILED
        if generation is not None and failed:
            error = GenerationFailedError(generation)
        return Outcome(
            task_id=task_id,
            generation=None if failed else generation,
            error=None if error is None else error.for_task(task_id),
            elapsed=asyncio.get_running_loop().time() - self.joined,
            polls=polls - self.polls_before,
        )

    def finish(self, end: Outcome | Exception) -> None:
        """Stop waiting with the result *end*."""
        self.leave(end)
        self.on_end(end)

    def show(self, generation: Generation) -> None:
        """Call ``on_change`` if what it is called for has changed."""
        progress = (generation.progress, generation.queue_position) if self.sees_progress else ()
        seen = (generation.state_text, *progress)
        if self.on_change is not None and seen != self.shown:
            self.shown = seen
            self.on_change(generation)

    def may_show(self, word: str) -> bool:
        """Whether an answer with *word* may be one to show."""
        return self.on_change is not None and (self.sees_progress or self.shown != (word,))


@define(eq=False, repr=False, weakref_slot=False)
class Waiters:
    """The waiters of one id. Adding and removing take constant time."""

    _all: list[Waiter] = field(factory=list)
    soonest: float = math.inf
    """The first of their deadlines, or earlier if that waiter has left; infinite where nobody has one."""
    _latest: float = 0.0
    _is_stale: bool = False
    """Whether a removed waiter had the soonest or the latest deadline."""
    _some_had_last_poll: bool = False
    """Whether a last poll has started for any of them."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._all.copy())

    def add(self, waiter: Waiter) -> None:
        waiter.place = len(self._all)
        self._all += (waiter,)
        self.soonest = min(self.soonest, waiter.deadline)
        self._latest = max(self._latest, waiter.deadline)

    def remove(self, waiter: Waiter) -> None:
        """Remove *waiter*, and move the last waiter to its index."""
        last = self._all.pop()
        if last is not waiter:
            self._all[waiter.place] = last
            last.place = waiter.place
        self._is_stale = self._is_stale or waiter.deadline in (self.soonest, self._latest)

    def postpone(self, waiter: Waiter, deadline: float, reach: Callable[[Waiter], None]) -> None:
        """Give *waiter* a new deadline, at which *reach* is called: what is under way was asked before a block."""
        if waiter.timer is not None:
            waiter.timer.cancel()
        waiter.deadline, waiter.timer = deadline, asyncio.get_running_loop().call_at(deadline, reach, waiter)
        self._is_stale = True

    @property
    def latest(self) -> float:
        """The last of their deadlines."""
        if self._is_stale:
            self._refresh()
        return self._latest

    def _refresh(self) -> None:
        self.soonest = min((waiter.deadline for waiter in self._all), default=math.inf)
        self._latest = max((waiter.deadline for waiter in self._all), default=0.0)
        self._is_stale = False

    def show(self, word: str, structured: Callable[[], Generation]) -> None:
        """Call ``on_change`` of each waiter that has not got the answer yet; only then *structured* is called, once."""
        generation: Generation | None = None
        for waiter in self:
            if waiter.may_show(word):
                generation = generation or structured()
                waiter.show(generation)

    def start_last_polls(self, now: float, lead: float) -> None:
        """Record that a poll starts *now*; it is the last for a waiter whose deadline is within *lead* seconds."""
        self._some_had_last_poll = now >= self.soonest - lead
        if self._some_had_last_poll:
            for waiter in self._all:
                waiter.had_last_poll = now >= waiter.deadline - lead

    def last_poll_at(self, next_poll: NextPoll) -> float:
        """Return when the first last poll before a deadline has to start; infinite if there is none."""
        if self._is_stale:
            self._refresh()
        if not self._some_had_last_poll:
            return next_poll.last_poll_before(self.soonest)
        return min(
            (next_poll.last_poll_before(waiter.deadline) for waiter in self._all if not waiter.had_last_poll),
            default=math.inf,
        )
