"""How far a run is, in words: counts by state, the time so far, an estimate of the rest, and what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

from attrs import define, field

from luma_async._text import shown
from luma_async.cli.durations import about, spelled
from luma_async.cli.output import say
from luma_async.cli.show import UNSEEN, Board
from luma_async.models import State
from luma_async.statistics import StateStatistics, Statistics

_MOST_STATES = 4
"""States that are named; the ids in others are counted together."""
_LONGEST_WORD = 24
_EACH = 60.0
"""Seconds between two reports where standard error is not a terminal."""
_LASTING = 5.0
"""Seconds after which a log gets trouble without the rest of a report."""
_STATISTICS = 1.0
"""Seconds between two looks at the statistics, which take time with thousands of ids."""


def seconds_left(board: Board, statistics: Statistics) -> float | None:
    """Estimate the seconds until all ids have ended, by how long states last at this relay.

    The id that came into its state last decides, for each state; ids that are not started yet follow in waves.

    Returns:
        None while too little is known, or while an id lasts longer than what is usual.
    """
    known = {each.state: each for each in statistics.states}
    typical = _time_left(State.PENDING if State.PENDING in known else State.PROCESSING, known)
    now = board.clock()
    since = {state: board.entered.get(state, now) for state, each in known.items() if each.running}
    left = [(_time_left(state, known), now - entered) for state, entered in since.items()]
    left += [(typical, 0.0)] if board.states[UNSEEN] or board.unstarted else []
    if board.submits.open:
        rest = board.submits.seconds_left(now)
        if rest is None or board.submits.are_all:
            return rest
        left += [(typical, -rest)]
    if not left or any(whole is None for whole, _ in left):
        return None
    longest = max((whole or 0.0) - age for whole, age in left)
    waves = -(-board.unstarted // max(1, len(board.rows)))
    seconds = longest + waves * (typical or 0.0)
    return seconds if seconds > 0 else None


def _time_left(state: State, known: dict[State, StateStatistics]) -> float | None:
    """Return the usual seconds from the start of *state* to the end; None if too little is known."""
    here = known.get(state)
    if here is None or not here.is_learned or here.median is None:
        return None
    if state is State.PENDING and here.moved:
        after = _time_left(State.PROCESSING, known)
        return None if after is None else here.median + after
    return here.p90 or here.median


@define(eq=False)
class Progress:
    """The words for how far a run is. Its facts come from events and statistics: it causes no request."""

    board: Board
    statistics: Callable[[], Statistics] | None = None
    """Returns what the client has learned."""
    _started: float = field(init=False)
    _estimated: float = field(default=float("-inf"), init=False)
    _left: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self.board.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.board.clock() - self._started

    def ended(self) -> str:
        """Return how many ids have ended, of all that are known."""
        return f"{self.board.done}/{self.board.total}"

    def ends(self) -> str:
        """Return how ids have ended, with their numbers."""
        return ", ".join(f"{count} {word}" for word, count in self.board.ends.words.items())

    def states(self) -> str:
        """Return the states of the ids that are under way, with their numbers."""
        named = self.board.states.most_common(_MOST_STATES)
        words = [f"{count} {shown(word, _LONGEST_WORD)}" for word, count in named]
        others = self.board.states.total() - sum(count for _, count in named)
        words += [f"{others} in other states"] if others else []
        submits = self.board.submits
        numbers = {"submitting": submits.under_way, "not submitted": submits.left, "not started": self.board.unstarted}
        words += [f"{count} {word}" for word, count in numbers.items() if count]
        return ", ".join(words)

    def times(self) -> str:
        """Return the time so far, and the rest where it can be estimated; in trouble it cannot."""
        now = self.board.clock()
        if now >= self._estimated + _STATISTICS and self.statistics is not None:
            self._estimated = now
            in_trouble = any(self.board.trouble.lines())
            self._left = None if in_trouble else seconds_left(self.board, self.statistics())
        rest = f", {about(self._left)} left" if self._left is not None else ""
        return f"{spelled(self.elapsed)} so far{rest}"

    def troubles(self) -> list[str]:
        """Return a line for each thing that is wrong now, as long as there is anything to wait for."""
        is_over = self.board.done and not (self.board.rows or self.board.submits.open)
        return [] if is_over else list(self.board.trouble.lines())

    def report(self) -> Iterator[str]:
        """Yield the lines for a log: how far the run is, and what is wrong."""
        ends = f" ({self.ends()})" if self.board.ends.words else ""
        ended = f"{self.ended()} ended{ends}" if self.board.total else ""
        yield "; ".join(filter(None, [ended, self.states(), self.times()]))
        yield from self.troubles()

    @asynccontextmanager
    async def reported(self) -> AsyncGenerator[None]:
        """Write the report to standard error each minute, and trouble that lasts, until the block ends."""
        reporter = asyncio.create_task(self._report_forever(), name="progress")
        try:
            yield
        finally:
            reporter.cancel()
            await asyncio.wait([reporter])

    async def _report_forever(self) -> None:
        is_told = False
        while True:
            may_tell = True  # trouble that comes and goes is one line more in a minute
            for _ in range(int(_EACH)):
                await asyncio.sleep(1.0)
                lasted = self.board.trouble.seconds()
                is_told = is_told and lasted > 0
                if lasted >= _LASTING and may_tell and not is_told:
                    _say_all(self.troubles())
                    may_tell, is_told = False, True
            _say_all(self.report())
            is_told = self.board.trouble.seconds() > 0


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)
