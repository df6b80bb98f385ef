"""Which failed generations are submitted again."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from attrs import define, field

from luma_async.cli.manifests import Row
from luma_async.cli.receipts import Receipts
from luma_async.errors import GenerationFailedError
from luma_async.journal import Journal
from luma_async.models import State
from luma_async.outcomes import Outcome


def may_be_retried(outcome: Outcome) -> bool:
    """Whether the generation failed for a reason other than its prompt, its pictures or the account.

    A failure of which nothing is known may be retried.
    """
    error = outcome.error
    if outcome.generation is not None and outcome.generation.state is State.FAILED:
        error = GenerationFailedError(outcome.generation)
    return isinstance(error, GenerationFailedError) and error.may_retry is not False


@define(eq=False)
class Retries:
    """The rows to submit again; receipts count their attempts, so that another run does not start at zero."""

    most: int
    """Retries of a row."""
    receipts: Receipts
    _open: int = field(default=0, init=False)
    """Rows that may still have to be submitted again."""
    _submitted: dict[str, Row] = field(factory=dict, init=False)
    """The rows of ids that have not ended."""
    _failed_before: set[str] = field(factory=set, init=False)
    """The ids of earlier runs whose failure may be retried."""
    _due: deque[Row] = field(factory=deque, init=False)
    _has_all: bool = field(default=False, init=False)
    """Whether no other row comes."""
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)

    @classmethod
    def of(cls, most: int, receipts: Receipts | None) -> Self | None:
        """Return the retries of a run, or None if it has none."""
        return cls(most, receipts) if most and receipts is not None else None

    async def learn(self, journal: Journal) -> None:
        """Learn which ids in the *journal* may be retried, so that none of them is polled again.

        Raises:
            ConfigurationError: The journal can no longer be read.
        """
        async for outcome in journal.outcomes():
            if may_be_retried(outcome):
                self._failed_before.add(outcome.task_id)

    def take_up(self) -> None:
        """Count a row, which is open until its end."""
        self._open += 1

    def submitted(self, row: Row, task_id: str | None) -> None:
        """Note the *task_id* of *row*; without one, its end."""
        if task_id is None:
            self._close()
        else:
            self._submitted[task_id] = row

    def ended(self, task_id: str, outcome: Outcome | None) -> bool:
        """Return whether the row of *task_id* is submitted again, after this *outcome* or that of an earlier run."""
        row = self._submitted.pop(task_id, None)
        if row is None:
            return False
        may_be = task_id in self._failed_before if outcome is None else may_be_retried(outcome)
        if not may_be or self.receipts.attempts(row) > self.most:
            self._close()
            return False
        self._due.append(row)
        self._changed.set()
        return True

    def has_all(self) -> None:
        """Note that all rows are taken up."""
        self._has_all = True
        self._changed.set()

    async def any(self) -> bool:
        """Wait until a row is to be submitted again, or return False when none can be any more."""
        while not self._due:
            if self._has_all and not self._open:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    def next(self) -> Row:
        """Return the row that is due."""
        return self._due.popleft()

    def remaining(self) -> list[Row]:
        """Return the rows that are due."""
        return [*self._due]

    def _close(self) -> None:
        self._open -= 1
        self._changed.set()
