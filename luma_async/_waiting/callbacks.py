"""Callbacks of relays: hints that a task has changed. What they say is never believed, only looked up."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from attrs import define, field

_KEPT = 60.0
"""Seconds that an id is kept whose submit may be under way: its callback can be faster than its answer."""
_MOST_KEPT = 1000
_LAST, _LEAST = 10, 5
"""Ends, or polls, that count; and the fewest ends that show whether callbacks come."""


@define(eq=False, repr=False)
class EarlyIds:
    """Ids of callbacks that nobody waits for yet, while submits are under way. The caller passes all times."""

    _under_way: int = 0
    """Submits."""
    _kept: dict[str, float] = field(factory=dict)
    """When each id came, the oldest first."""

    @contextmanager
    def submitting(self) -> Generator[None]:
        """Keep the ids that come during this block."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def keep(self, task_id: str, now: float) -> None:
        """Keep *task_id* for a minute, if a submit is under way that may be its own."""
        self._drop_old(now)
        if self._under_way and len(self._kept) < _MOST_KEPT:
            self._kept.setdefault(task_id, now)

    def take(self, task_id: str, now: float) -> bool:
        """Whether *task_id* was kept; it is not kept any more."""
        self._drop_old(now)
        return self._kept.pop(task_id, None) is not None

    def _drop_old(self, now: float) -> None:
        while self._kept and now - next(iter(self._kept.values())) > _KEPT:
            del self._kept[next(iter(self._kept))]


def _last() -> deque[bool]:
    return deque(maxlen=_LAST)


@define(eq=False, repr=False)
class CallbackRecord:
    """Whether callbacks come for most ends, and tell of changes: forged ones mostly do not."""

    _ends: deque[bool] = field(factory=_last)
    """Whether a poll that a callback caused saw each of the last ends."""
    _polls: deque[bool] = field(factory=_last)
    """Whether each of the last polls that callbacks caused saw a change."""

    def polled(self, *, by_callback: bool, has_changed: bool, is_end: bool) -> None:
        """Record a poll that a callback has caused, or that saw an end."""
        if by_callback:
            self._polls.append(has_changed)
        if is_end:
            self._ends.append(by_callback)

    @property
    def is_reliable(self) -> bool:
        """Whether polls between callbacks can be sparse."""
        return len(self._ends) >= _LEAST and _are_most(self._ends) and _are_most(self._polls)


def _are_most(seen: deque[bool]) -> bool:
    return 2 * sum(seen) > len(seen)
