"""What is wrong at the relay now, and for how long, by a client's events."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import cast

from attrs import define, field

from luma_async._text import shown
from luma_async.cli.durations import spelled
from luma_async.cli.output import in_option_names
from luma_async.errors import GenerationFailedError, LumaError, Verdict
from luma_async.events import (
    CooldownEnded,
    CooldownStarted,
    Event,
    PollFailed,
    StateChanged,
    TryFailed,
    WaitEnded,
    WaitStarted,
)
from luma_async.models import State

_LONGEST = 160
"""Characters of the relay's own text."""
_MOST_WORDS = 3
"""Unknown states that are named; the ids of others are counted."""
_MOST_KINDS = 20
"""Kinds of past trouble that are remembered."""
_WORTH_TELLING = 1.0
"""Seconds; shorter past trouble is a single failed poll."""
_SILENT = 5.0
"""Seconds without any answer, after which this is trouble: a request may hang for ``request_timeout``."""
_CHECK = 0.5
"""Seconds between two questions for the number of good polls, which takes time with thousands of ids."""


@define(eq=False)
class Trouble:
    """The trouble of a client: failed polls and tries since the last good one, the cool-down, ids in unknown states."""

    clock: Callable[[], float] = time.monotonic
    """Returns monotonic seconds."""
    good_polls: Callable[[], int] = lambda: 0
    """Returns the number of good polls so far: a poll that sees no change has no event."""
    relay: str = "the relay"
    """Its address, as errors name it."""
    _failure: LumaError | None = field(default=None, init=False)
    """The latest failed poll or try, if no good one came since."""
    _since: float = field(default=0.0, init=False)
    _began: float | None = field(default=None, init=False)
    """When the first request started, until anything has come from the relay."""
    _has_begun: bool = field(default=False, init=False)
    _good_then: int = field(default=0, init=False)
    _checked: float = field(default=0.0, init=False)
    _pause: CooldownStarted | None = field(default=None, init=False)
    _paused: float = field(default=0.0, init=False)
    _paused_until: float = field(default=0.0, init=False)
    _unknown: dict[str, str] = field(factory=dict, init=False)
    """The word of each id in an unknown state."""
    _words: dict[str, list[float]] = field(factory=dict, init=False)
    """Of each such word, the number of ids, and since when there is one."""
    _past: Counter[str] = field(factory=Counter, init=False)
    """Whole seconds of each kind of trouble that is over."""

    def start(self) -> None:
        """Note that a request starts: until an answer comes, the relay is silent from the first one on."""
        if not self._has_begun:
            self._has_begun, self._began = True, self.clock()

    def answered(self, *, awaits_more: bool = False) -> None:
        """Note a good answer that has no event; where the caller *awaits_more*, another silence starts."""
        self._recover()
        self._has_begun, self._began = awaits_more, self.clock() if awaits_more else None

    def note(self, event: Event) -> None:
        """Note *event*, whichever id it is about."""
        if isinstance(event, WaitStarted):
            self.start()
        if isinstance(event, PollFailed | TryFailed):
            self._fail(event.error)
        elif isinstance(event, StateChanged):
            self.answered()
            self._move(event.task_id, event.state_text if event.state is State.UNKNOWN else None)
        elif isinstance(event, WaitEnded) and event.outcome is not None:  # a signal cancels waits: all stays as it is
            if isinstance(event.outcome.error, None | GenerationFailedError):
                self.answered()
            self._move(event.task_id, None)
        elif isinstance(event, CooldownStarted):
            now = self.clock()
            self._paused = now if self._pause is None else self._paused
            self._pause, self._paused_until = event, now + event.seconds
        elif isinstance(event, CooldownEnded):
            self._remember("the relay said slow down", event.seconds)
            self._pause = None
            if self._failure is not None and self._failure.verdict is Verdict.SLOW_DOWN:
                self._failure = None

    def lines(self) -> Iterator[str]:
        """Yield a line for each thing that is wrong now."""
        now = self.clock()
        self._check(now)
        if self._pause is not None:
            left = spelled(max(0.0, self._paused_until - now) + 0.5)
            lasts = f"for {spelled(now - self._paused)} now, {_text(self._pause.error)}{_advice(self._pause.error)}"
            yield f"the relay says slow down: {left} left; {lasts}"
        if self._failure is not None and not (self._pause and self._failure.verdict is Verdict.SLOW_DOWN):
            yield _lasting(self._failure, now - self._since)
        if self._is_silent(now):
            yield f"no answer from {self.relay} for {spelled(now - cast('float', self._began))}"
        yield from self._unknown_lines(now)

    def seconds(self) -> float:
        """Return how long no good answer has come; 0.0 if the relay is not in trouble."""
        now = self.clock()
        self._check(now)
        times = [now - self._since] if self._failure is not None else []
        times += [now - self._paused] if self._pause is not None else []
        times += [now - cast("float", self._began)] if self._is_silent(now) else []
        return max(times, default=0.0)

    def _is_silent(self, now: float) -> bool:
        """Whether nothing has come since the start: no answer, and no error that says more."""
        if self._began is not None and (self._failure or self._pause or self.good_polls()):
            self._began = None
        return self._began is not None and now - self._began >= _SILENT

    def _unknown_lines(self, now: float) -> Iterator[str]:
        named = list(self._words.items())[:_MOST_WORDS]
        for word, (count, since) in named:
            ids = f"{count:.0f} id{'' if count == 1 else 's'}"
            yield f"unknown state '{shown(word, 60)}' for {spelled(now - since)}: {ids}, polling goes on"
        if others := len(self._unknown) - sum(int(count) for _, (count, _) in named):
            yield f"{others} more ids in other unknown states"

    def past(self) -> Iterator[str]:
        """Yield a line for each kind of trouble that is over."""
        for kind, seconds in self._past.most_common(_MOST_WORDS):
            yield f"trouble before: {kind}, {spelled(seconds)} in all"

    def _fail(self, error: LumaError) -> None:
        now = self.clock()
        self._check(now)
        if self._failure is None:
            since = now if self._began is None or self.good_polls() else self._began
            self._since, self._good_then, self._checked = since, self.good_polls(), now
        self._failure = error

    def _check(self, now: float) -> None:
        """End the trouble if a good poll came since it started, or since the last check."""
        if self._failure is not None and now >= self._checked + _CHECK:
            self._checked = now
            if self.good_polls() > self._good_then:
                self._recover()

    def _recover(self) -> None:
        if self._failure is not None:
            self._remember(_text(self._failure).partition(": ")[0], self.clock() - self._since)
            self._failure = None

    def _remember(self, kind: str, seconds: float) -> None:
        if seconds >= _WORTH_TELLING and (kind in self._past or len(self._past) < _MOST_KINDS):
            self._past[kind] += round(seconds)

    def _move(self, task_id: str, word: str | None) -> None:
        """Note that an id is in the unknown state *word*, or in none."""
        before = self._unknown.pop(task_id, None)
        if before is not None:
            self._words[before][0] -= 1
        if word is not None:
            self._unknown[task_id] = word
            self._words.setdefault(word, [0, self.clock()])[0] += 1
        if before is not None and not self._words[before][0]:
            del self._words[before]


def _text(error: LumaError) -> str:
    return shown(error.summary, _LONGEST)


def _advice(error: LumaError) -> str:
    return f" ({in_option_names(error.advice)})" if error.advice else ""


def _lasting(error: LumaError, seconds: float) -> str:
    """Return what is wrong and for how long: the time stands at the first pause of the sentence."""
    what, pause, more = _text(error).partition(": ")
    return f"{what} for {spelled(seconds)}{pause}{more}{_advice(error)}"
