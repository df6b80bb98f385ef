"""What a run comes to: how its ids ended and why, how long they were queued and processed, what it asked."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median

from attrs import define, field

from luma_async.cli.exit import Status
from luma_async.cli.output import say
from luma_async.cli.show import Board
from luma_async.events import CooldownEnded, CooldownStarted, Event, PollFailed, StateChanged, WaitEnded
from luma_async.models import State

_TOLD = (StateChanged, PollFailed, CooldownStarted, CooldownEnded)
"""What ``--verbose`` tells as it happens; the end of an id is told by its own line."""
_MOST_REASONS = 5
"""Of each kind; the others are counted."""

_STAYS = {State.PENDING: "in queue", State.PROCESSING: "in processing"}
_ELSEWHERE = "in other states"
_ENDS = {Status.DONE: "completed", Status.FAILED: "failed", Status.ERROR: "errors", Status.UNFINISHED: "not done"}


@define(eq=False)
class Summary:
    """Counts what happens in a client, and passes its events on to the board."""

    board: Board = field(factory=Board)
    verbose: bool = False
    clock: Callable[[], float] = time.monotonic
    """Gives seconds."""
    _began: float = field(init=False)
    _since: dict[str, StateChanged] = field(factory=dict, init=False)
    """When each id that is waited for came into the state that it is in, as far as was seen."""
    _stays: defaultdict[str, list[float]] = field(factory=lambda: defaultdict(list), init=False)
    """Seconds, for each stay that is over."""

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def note(self, event: Event) -> None:
        """Note *event*, and with ``--verbose`` write it to standard error."""
        self.board.note(event)
        if isinstance(event, StateChanged):
            self._move(event)
        elif isinstance(event, WaitEnded) and not event.waiting:
            self._since.pop(event.task_id, None)
        if self.verbose and isinstance(event, _TOLD):
            say(f"{time.strftime('%H:%M:%S', time.localtime(event.at))} {event}")

    def _move(self, event: StateChanged) -> None:
        before = self._since.pop(event.task_id, None)
        if before is not None:
            self._stays[_STAYS.get(before.state, _ELSEWHERE)].append(event.at - before.at)
        self._since[event.task_id] = event

    def write(self, requests: int) -> None:
        """Write the summary to standard error if that is a terminal, and with ``--verbose``."""
        if self.verbose or (sys.stderr is not None and sys.stderr.isatty()):
            say("\n  ".join(self.lines(requests)))

    def lines(self, requests: int) -> Iterator[str]:
        """Yield the summary's lines: one for all, then those about reasons and times."""
        board = self.board
        ends = [f"{board.ended[fate]} {word}" for fate, word in _ENDS.items() if board.ended[fate]]
        if board.left_out:
            ends.append(f"{board.left_out} of them before")
        took = self.clock() - self._began
        asked = f"{requests} request{'' if requests == 1 else 's'}"
        yield f"{board.ended.total()} ended in {took:.1f} s: {', '.join(ends) or 'none'}; {asked}"
        for fate in (Status.FAILED, Status.ERROR):
            yield from _reasons(board, fate)
        for name in (*_STAYS.values(), _ELSEWHERE):
            if stays := self._stays[name]:
                yield f"{name}: {median(stays):.1f} s (median of {len(stays)}), {max(stays):.1f} s at most"


def _reasons(board: Board, fate: Status) -> Iterator[str]:
    counts = [(count, reason) for (kind, reason), count in board.reasons.most_common() if kind is fate]
    for count, reason in counts[:_MOST_REASONS]:
        yield f"{_ENDS[fate]}: {count} x {reason}"
    if others := counts[_MOST_REASONS:]:
        yield f"{_ENDS[fate]}: {sum(count for count, _ in others)} for other reasons"
