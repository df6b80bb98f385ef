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


class Controller(AsyncRetrying):
    """The controller of one poll loop; a shared controller would mix up the state of several loops.

    It is tenacity's own controller, and each pause is what its strategy returns for a real ``RetryCallState``. Only the
    loop around it is ours: a poll loop has no asyncio task while it waits, so it cannot await tenacity's loop.
    """

    wait: PollWait

    def __init__(self, strategy: PollWait, progress: Progress) -> None:
        super().__init__(wait=strategy)
        self._state = RetryCallState(retry_object=self, fn=None, args=(progress,), kwargs=_NO_KEYWORDS)

    @property
    def _local(self) -> threading.local:
        """What tenacity keeps for each thread, such as statistics: five objects, made only when a strategy asks."""
        kept: threading.local = vars(self).setdefault("_kept_local", threading.local())
        return kept

    @_local.setter
    def _local(self, _: threading.local) -> None:
        """Leave out the one that tenacity makes at once."""

    def pause(self, task_id: str, progress: Progress) -> Any:
        """Return the seconds to pause after the last poll; something to await for them where the strategy is async.

        ``paused`` has to follow, with the seconds.
        """
        state = self._state
        if self.wait.needs_outcome:  # else no one sees it, and a Future costs a fifth of a poll in a batch
            outcome = state.outcome = Future(state.attempt_number)
            state.outcome_timestamp = monotonic()
            if progress.error is not None:
                outcome.set_exception(progress.error)
            else:
                outcome.set_result(StillRunning(task_id, progress.state, progress.word))
        return self.wait(state)

    def paused(self, seconds: float) -> None:
        """Record that the next poll comes after *seconds*; our own strategy counts polls in ``Progress``."""
        if not self.wait.needs_outcome:
            return
        state = self._state
        state.upcoming_sleep = seconds
        state.idle_for += seconds
        state.prepare_for_next_attempt()
