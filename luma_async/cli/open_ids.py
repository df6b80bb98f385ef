"""Names the ids of a job that are not done at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

from attrs import frozen

from luma_async.cli.ids import Ids
from luma_async.cli.naming import ResumeCommand, name_all, name_each, name_few
from luma_async.cli.output import is_closed_pipe
from luma_async.cli.running import is_stopping
from luma_async.cli.show import Board
from luma_async.client import LumaClient


@frozen
class OpenIds:
    """The ids of a job that are not done at its end."""

    board: Board
    ids: Ids
    luma: LumaClient
    has_ended: Callable[[str], bool]
    """Whether an id had ended before this run."""
    again: ResumeCommand | None
    """Goes on with open ids; None if the relay ends with the process."""

    @contextmanager
    def named_at_end(self) -> Generator[None]:
        """Name the ids that were not done in time; where the block raises, all that are not done."""
        try:
            yield
        except BaseException as error:
            if self._is_worth_naming(error):
                self._name_open()
            raise
        unfinished = self.board.unfinished
        heading = f"{len(unfinished)} not done in time{self._goes_on()}"
        if self.ids.are_repeatable:
            name_each(heading, unfinished)
        else:
            name_all(heading, unfinished, self.again)

    def _is_worth_naming(self, error: BaseException) -> bool:
        """Whether to name the open ids: after a signal, and where the same command cannot have them again.

        A closed pipe means that its reader has enough.
        """
        if is_stopping() or isinstance(error, asyncio.CancelledError):
            return True
        return not self.ids.are_repeatable and not is_closed_pipe(error)

    def _name_open(self) -> None:
        rest = [task_id for task_id in self.ids.remaining() if not self.has_ended(task_id)]
        left = [*self.board.unfinished, *self.board.rows, *rest]
        heading = f"stopped with {len(left)} not done{self._goes_on()}"
        if self.ids.are_repeatable:
            name_few(heading, left, self.again)
        else:
            name_all(heading, left, self.again)

    def _goes_on(self) -> str:
        """Say that the generations go on, if a poll was good: without one, the relay may know none of them."""
        are_known = self.board.has_generation or self.luma.statistics.polls > 0
        return "; their generations go on at the relay" if are_known and self.again is not None else ""
