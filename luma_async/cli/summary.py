"""The summary at the end of a run: how its ids ended and why, how long states lasted, how many requests."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median

from attrs import Factory, define, field

from luma_async.cli.exit import Status
from luma_async.cli.output import is_terminal, ring, say
from luma_async.cli.show import Board
from luma_async.cli.times import processed, queued
from luma_async.events import CooldownEnded, CooldownStarted, Event, PollFailed, StateChanged, WaitEnded
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome

_VERBOSE = (StateChanged, PollFailed, CooldownStarted, CooldownEnded)
"""Events that ``--verbose`` writes; the end of an id has a line of its own."""
_MOST_REASONS = 5
"""Of each status; the others are counted."""

_STATES = {State.PENDING: "in queue", State.PROCESSING: "in processing"}
_OTHER = "in other states"
_ENDS = {Status.DONE: "completed", Status.FAILED: "failed", Status.ERROR: "errors", Status.UNFINISHED: "not done"}


@define(eq=False)
class Summary:
    """Counts what happens in a client, and passes its events on to the board."""

    board: Board = field(factory=Board)
    verbose: bool = False
    quiet: bool = False
    """Whether nothing is written."""
    bell: bool = False
    """Whether the terminal rings at the end."""
    clock: Callable[[], float] = time.monotonic
    """Returns monotonic seconds."""
    _started: float = field(default=Factory(lambda self: self.clock(), takes_self=True), init=False)
    _since: dict[str, tuple[State, float]] = field(factory=dict, init=False)
    """The state of each id that is waited for, and since when; not by the events' times, which jump with the clock."""
    _stays: dict[str, list[tuple[str, float]]] = field(factory=dict, init=False)
    """The finished times in a state of each id that is waited for, as the polls saw them."""
    _times: defaultdict[str, list[float]] = field(factory=lambda: defaultdict(list), init=False)
    """Seconds of each finished time in a state of the other ids."""

    def note(self, event: Event) -> None:
        """Note *event*, and with ``--verbose`` write it to standard error."""
        self.board.note(event)
        if isinstance(event, StateChanged):
            now = self.clock()
            if before := self._since.get(event.task_id):
                state, since = before
                self._stays.setdefault(event.task_id, []).append((_STATES.get(state, _OTHER), now - since))
            self._since[event.task_id] = event.state, now
        elif isinstance(event, WaitEnded) and not event.waiting:
            self._since.pop(event.task_id, None)
            for name, seconds in _times_of(event.outcome, self._stays.pop(event.task_id, [])):
                self._times[name].append(seconds)
        if self.verbose and isinstance(event, _VERBOSE):
            say(f"{time.strftime('%H:%M:%S', time.localtime(event.at))} {event}")

    def write(self, requests: int, *, is_whole: bool = True) -> None:
        """Write the summary to standard error if that is a terminal, and with ``--verbose``.

        Elsewhere, and where it should not be whole, only say what the errors were, unless a terminal shows their lines.
        """
        if is_whole and (self.verbose or (is_terminal(sys.stderr) and not self.quiet)):
            say("\n  ".join(self.lines(requests)))
        elif not (self.quiet or is_terminal(sys.stdout)):
            for line in _reasons(self.board, Status.ERROR):
                say(line)
        if self.bell:
            ring()

    def lines(self, requests: int) -> Iterator[str]:
        """Yield the summary's lines: one for all, then those about reasons and times."""
        board = self.board
        statuses, skipped = board.ends.statuses, board.ends.skipped
        counts = [(statuses[status], word) for status, word in _ENDS.items() if statuses[status]]
        ends = [f"{count} {word.removesuffix('s') if count == 1 else word}" for count, word in counts]
        if skipped:
            ends.append(f"{skipped} of them before")
        took = self.clock() - self._started
        asked = f"{requests} request{'' if requests == 1 else 's'}"
        yield f"{board.done} ended in {took:.1f} s: {', '.join(ends) or 'none'}; {asked}"
        for status in (Status.FAILED, Status.ERROR):
            yield from _reasons(board, status)
        for name in (*_STATES.values(), _OTHER):
            if times := [*self._times[name], *(took for its in self._stays.values() for of, took in its if of == name)]:
                yield f"{name}: {median(times):.1f} s (median of {len(times)}), {max(times):.1f} s at most"
        if board.ends.unfinished and not board.rows:  # errors have their reasons; open ids are named later, with it
            yield from (f"trouble at the end: {line}" for line in board.trouble.lines())
        yield from board.trouble.past()


def _times_of(outcome: Outcome | None, seen: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the times in the states of an id: the relay's own where the *outcome* has them, else what polls saw."""
    if outcome is None:
        return seen
    generation: Generation | None = outcome.generation or getattr(outcome.error, "generation", None)
    if generation is None:
        return seen
    told = {_STATES[State.PENDING]: queued(generation), _STATES[State.PROCESSING]: processed(generation)}
    given = [(name, seconds) for name, seconds in told.items() if seconds is not None]
    left_out = {name for name, _ in given} | ({_OTHER} if processed(generation) is not None else set())
    return [*given, *(each for each in seen if each[0] not in left_out)]


def _reasons(board: Board, status: Status) -> Iterator[str]:
    counts = [(count, reason) for (kind, reason), count in board.ends.reasons.most_common() if kind is status]
    for count, reason in counts[:_MOST_REASONS]:
        yield f"{_ENDS[status]}: {count} x {reason}"
    if others := counts[_MOST_REASONS:]:
        yield f"{_ENDS[status]}: {sum(count for count, _ in others)} for other reasons"
