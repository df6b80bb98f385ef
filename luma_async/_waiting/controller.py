"""tenacity's controller of one poll loop: it asks the strategy for the pause after each poll."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

from attrs import define
from tenacity import AsyncRetrying, Future, RetryCallState

from luma_async._waiting.pacing import PollWait
from luma_async._waiting.progress import Progress
from luma_async.models import State

_NO_KEYWORDS: dict[str, Any] = {}


@define
class StillRunning:
    """The result of a poll of a running task, as tenacity's strategies see it in ``retry_state.outcome``."""

    task_id: str
    state: State | None
    state_text: str
    """The relay's own word for the state."""


@define(eq=False, repr=False, weakref_slot=False, init=False)
class Controller:
    """The controller of one poll loop; a shared controller would mix up the state of several loops.

    Each pause is what the strategy returns for a real ``RetryCallState`` of tenacity. Only the loop around it is ours:
    a poll loop has no asyncio task while it waits, so it cannot await tenacity's loop. Nothing here refers back, and a
    state is kept only for a strategy of the user's, which may look at it: the garbage collector stops the process for
    every object that is kept for 100,000 ids.
    """

    _strategy: PollWait
    _state: RetryCallState | None

    def __init__(self, strategy: PollWait, progress: Progress) -> None:
        self._strategy = strategy
        self._state = _new_state(_Retrying(wait=strategy), progress) if strategy.needs_outcome else None

    def pause(self, task_id: str, progress: Progress) -> Any:
        """Return the seconds to pause after the last poll; something to await for them where the strategy is async.

        ``paused`` has to follow, with the seconds.
        """
        state = self._state
        if state is None:  # no one sees an outcome, and a Future costs a fifth of a poll in a batch
            return self._strategy(_new_state(_OURS, progress))
        outcome = state.outcome = Future(state.attempt_number)
        state.outcome_timestamp = monotonic()
        if progress.error is not None:
            outcome.set_exception(progress.error)
        else:
            outcome.set_result(StillRunning(task_id, progress.state, progress.word))
        return self._strategy(state)

    def paused(self, seconds: float) -> None:
        """Record that the next poll comes after *seconds*; our own strategy counts polls in ``Progress``."""
        state = self._state
        if state is not None:
            state.upcoming_sleep = seconds
            state.idle_for += seconds
            state.prepare_for_next_attempt()


class _Retrying(AsyncRetrying):
    """tenacity's controller, made quickly."""

    @property
    def _local(self) -> threading.local:
        """What tenacity keeps for each thread, such as statistics: five objects, made only when a strategy asks."""
        kept: threading.local = vars(self).setdefault("_kept_local", threading.local())
        return kept

    @_local.setter
    def _local(self, _: threading.local) -> None:
        """Leave out the one that tenacity makes at once."""


_OURS = _Retrying()
"""The controller in the states for our own strategy, which does not look at it."""


def _new_state(retrying: _Retrying, progress: Progress) -> RetryCallState:
    return RetryCallState(retry_object=retrying, fn=None, args=(progress,), kwargs=_NO_KEYWORDS)
