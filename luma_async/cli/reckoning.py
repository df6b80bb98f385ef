"""Says at a job's end which of its ids are not done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

from attrs import frozen

from luma_async.cli.ids import Ids
from luma_async.cli.naming import LineToGoOn, name_all, name_each, name_few
from luma_async.cli.output import is_closed_pipe
from luma_async.cli.running import is_stopping
from luma_async.cli.show import Board
from luma_async.client import LumaClient


@frozen
class Reckoning:
    """What is known of a job's ids when it ends."""

    board: Board
    ids: Ids
    luma: LumaClient
    has_ended: Callable[[str], bool]
    """Whether an id had ended before this run."""
    again: LineToGoOn | None
    """Goes on with what is not done; None if the relay ends with the process."""

    @contextmanager
    def told(self) -> Generator[None]:
        """Name the ids that were not done in time, or those that are not done where the block ends early."""
        try:
            yield
        except BaseException as error:
            if self._is_worth_telling(error):
                self._name_open()
            raise
        unfinished = self.board.unfinished
        heading = f"{len(unfinished)} not done in time{self._goes_on()}"
        if self.ids.are_kept:
            name_each(heading, unfinished)
        else:
            name_all(heading, unfinished, self.again)

    def _is_worth_telling(self, error: BaseException) -> bool:
        """Whether to name the open ids: after a signal, and where nobody else has them.

        Somebody who closes a pipe has enough.
        """
        if is_stopping() or isinstance(error, asyncio.CancelledError):
            return True
        return not self.ids.are_kept and not is_closed_pipe(error)

    def _name_open(self) -> None:
        rest = [task_id for task_id in self.ids.rest() if not self.has_ended(task_id)]
        left = [*self.board.unfinished, *self.board.rows, *rest]
        heading = f"stopped with {len(left)} not done{self._goes_on()}"
        if self.ids.are_kept:
            name_few(heading, left, self.again)
        else:
            name_all(heading, left, self.again)

    def _goes_on(self) -> str:
        """Say that the generations go on, if the relay has told of any: else it may know none of them."""
        heard = self.board.heard or self.luma.statistics.polls > 0
        return "; their generations go on at the relay" if heard and self.again is not None else ""
