"""The deadlines of all exchanges under way, with one timer for all of them."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self, cast

from attrs import define, field

_LATE = 0.05
"""Seconds. A timer that is later than this shows that the event loop, or the whole process, was blocked."""
_GRACE = 0.25
"""Seconds that a block gets in that case, once: its answer may be in the socket, still unread."""
_LAST_TURNS = 3
"""Turns of the event loop before a block ends, so that an answer that came with the timer is read first.

In the turn in which bytes arrive, asyncio runs the timer before the task that waits for them, and uvloop even before
it reads them.
"""


@define(eq=False, repr=False)
class Deadline:
    """The deadline of a block of code; use it with ``with``, in the task that runs the block.

    It works like ``asyncio.timeout_at``, with two differences. An answer that has arrived is read before the block
    ends. All blocks share one timer, which costs a tenth of one timer for each.

    Raises:
        TimeoutError: At the end of the block, if the deadline ended it.
    """

    at: float
    """The deadline, in seconds on the event loop's clock."""
    _all: Deadlines
    _task: asyncio.Task[object] = field(init=False)
    _cancelling: int = field(init=False)
    """Requests to cancel the task that came from elsewhere before the block."""
    _is_over: bool = field(default=False, init=False)
    _had_grace: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        task = self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancelling = task.cancelling()
        self._all.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._all.under_way.discard(self)
        if self._is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def move(self, at: float) -> None:
        """End the block at *at* instead."""
        self.at = at
        self._all.add(self)

    def expire(self) -> None:
        """End the block now."""
        if not self._is_over:
            self._is_over = True
            self._task.cancel()

    def is_due(self, now: float) -> bool:
        """Whether the deadline has passed; if the timer is late, the block first gets its grace."""
        if now < self.at:
            return False
        if now < self.at + _LATE or self._had_grace:
            return True
        self._had_grace = True
        self.at = now + _GRACE
        return False


@define(eq=False, repr=False)
class Deadlines:
    """All deadlines under way in one event loop."""

    under_way: set[Deadline] = field(factory=set[Deadline])
    _timer: asyncio.TimerHandle | None = None
    _armed_for: float = math.inf

    def limit(self, at: float) -> Deadline:
        """Return a deadline at *at*, in seconds on the event loop's clock."""
        return Deadline(at, self)

    def add(self, deadline: Deadline) -> None:
        """Watch *deadline*; the timer changes only if it would be too late."""
        self.under_way.add(deadline)
        if deadline.at < self._armed_for:
            self._arm(deadline.at)

    def expire_all(self) -> None:
        """End every block now, and stop the timer."""
        self._disarm()
        for deadline in self.under_way:
            deadline.expire()

    def _arm(self, at: float) -> None:
        self._disarm()
        self._armed_for = at
        self._timer = asyncio.get_running_loop().call_at(at, self._sweep)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_for = None, math.inf

    def _sweep(self) -> None:
        self._disarm()
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = [deadline for deadline in self.under_way if deadline.is_due(now)]
        if due:
            loop.call_soon(self._end, due, _LAST_TURNS)
        following = min((deadline.at for deadline in self.under_way if deadline.at > now), default=math.inf)
        if following < math.inf:
            self._arm(following)

    def _end(self, due: list[Deadline], turns: int) -> None:
        """End the blocks of *due* that are still due after *turns* turns of the event loop."""
        loop = asyncio.get_running_loop()
        if turns > 1:
            loop.call_soon(self._end, due, turns - 1)
            return
        for deadline in self.under_way.intersection(due):
            if deadline.at <= loop.time():
                deadline.expire()
