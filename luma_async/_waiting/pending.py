"""One poll on its way: who wants it, and how its result gets there."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable

from attrs import define

from luma_async._network.request import Request
from luma_async._relay.tasks import LastAnswer, Observation, TaskAnswer
from luma_async.errors import LumaError


@define(eq=False, repr=False, weakref_slot=False)
class Poller(ABC):
    """The part that wants polls of a task, one or many."""

    task_id: str
    """A checked one."""
    request: Request | None = None
    """The request of a single poll; built at the first one."""
    last_answer: LastAnswer | None = None
    """The answer to the poll before: the same answer is not structured again."""

    @abstractmethod
    def deadline(self) -> float:
        """When to give up, in seconds on the event loop's clock."""

    @abstractmethod
    def on_answer(self, last_answer: LastAnswer, answer: TaskAnswer | None, now: float, /) -> None:
        """Receive a good answer; *answer* is None if it is the same as before, *now* is the event loop's time."""

    @abstractmethod
    def on_error(self, error: LumaError) -> None:
        """Receive the error of a failed poll."""

    @abstractmethod
    def on_defect(self, defect: BaseException) -> None:
        """Receive an unexpected exception: there will be no answer."""


@define(eq=False, repr=False)
class PendingPoll:
    """One poll, until its poller has the result or cancels it."""

    poller: Poller
    is_over: bool = False
    alone: asyncio.Task[None] | None = None
    """The request, if it is a single poll."""

    def answer(self, observation: Observation, now: float) -> None:
        """Give the poller its answer, once; an exception of the poller affects no other poll."""
        if not self.is_over:
            self.is_over = True
            try:
                self.poller.on_answer(*observation, now)
            except BaseException as defect:  # noqa: BLE001 - raised again unless it is an Exception
                self._report(defect)

    def refuse(self, error: LumaError) -> None:
        """Give the poller the error instead of an answer, in the same way."""
        if not self.is_over:
            self.is_over = True
            try:
                self.poller.on_error(error)
            except BaseException as defect:  # noqa: BLE001 - see above
                self._report(defect)

    def fail(self, defect: BaseException) -> None:
        """Give the poller an unexpected exception."""
        if not self.is_over:
            self.is_over = True
            self.poller.on_defect(defect)

    def _report(self, defect: BaseException) -> None:
        self.poller.on_defect(defect)
        if not isinstance(defect, Exception):
            raise defect


def refuse_all(polls: Iterable[PendingPoll], error: LumaError) -> None:
    """Give each of *polls* a copy of *error*."""
    for pending in polls:
        pending.refuse(error.for_task(pending.poller.task_id))


def still_wanted(polls: Iterable[PendingPoll]) -> list[PendingPoll]:
    """Return the polls that are still wanted: nothing is asked or kept about the others."""
    return [pending for pending in polls if not pending.is_over]
