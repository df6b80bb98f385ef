"""Reports words for states that nobody knows: polling goes on, and whoever runs the client hears of it."""

from __future__ import annotations

import logging

from attrs import define, field

from luma_async._listeners import Listeners, log
from luma_async._relay.search import kind_of
from luma_async._relay.tasks import TaskAnswer
from luma_async._text import shown
from luma_async.events import StateChanged
from luma_async.models import State

_MINUTE = 60.0
"""Seconds."""
_MOST_KINDS = 100
"""Kinds of unknown states that are reported, and so remembered."""


@define(eq=False, repr=False)
class UnknownStates:
    """What was reported of unknown states (architecture, rule 5)."""

    listeners: Listeners
    _kinds: set[str] = field(factory=set)
    """Kinds of unknown words that were reported."""
    _stuck: dict[str, tuple[str, float]] = field(factory=dict)
    """Ids in an unknown state whose answers have a video link: the kind of word, and when that was reported."""

    @property
    def has_stuck(self) -> bool:
        """Whether any id is in an unknown state with a video link."""
        return bool(self._stuck)

    def report(self, task_id: str, word: str) -> None:
        """Warn of *word*, once for each kind."""
        kind = kind_of(word)
        if kind in self._kinds or len(self._kinds) >= _MOST_KINDS:
            return
        self._kinds.add(kind)
        text = "task %s: unknown state %r: polling goes on"
        log(logging.WARNING, text, task_id, shown(word, 60), unknown_state=word)
        if len(self._kinds) == _MOST_KINDS:
            log(logging.WARNING, "many unknown states: no further ones are reported")

    def report_stuck(self, task_id: str, answer: TaskAnswer | None, word: str, now: float) -> None:
        """Report each minute that *task_id* stays in an unknown state with a video link: it may be done."""
        if answer is not None and not (answer.state is State.UNKNOWN and answer.has_link):
            self._stuck.pop(task_id, None)
        elif answer is not None and self._stuck.get(task_id, ("", now))[0] != kind_of(word):
            self._stuck[task_id] = kind_of(word), now
        elif task_id in self._stuck and now - self._stuck[task_id][1] >= _MINUTE:
            self._stuck[task_id] = kind_of(word), now
            log(
                logging.WARNING,
                "task %s: still in the unknown state %r, with a video link: if it is done, name the word in a Dialect",
                task_id,
                shown(word, 60),
            )
            if self.listeners.active:
                still = StateChanged(
                    task_id=task_id, before=word, state_text=word, state=State.UNKNOWN, request_id=None
                )
                self.listeners.tell(still)

    def forget(self, task_id: str) -> None:
        """Drop what is known of an id without waiters."""
        self._stuck.pop(task_id, None)
