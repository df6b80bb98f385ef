"""Decides after each poll of an id whether its wait goes on or ends (architecture, rules 3 and 5).

It has no event loop and no clock: the caller passes all times, in seconds.
"""

from __future__ import annotations

from attrs import define

from luma_async._relay.health import Health
from luma_async._relay.tasks import TaskAnswer
from luma_async._waiting.learning import TimeInState
from luma_async.errors import APIError, LumaError, NotFoundError, Verdict
from luma_async.models import Generation, State
from luma_async.settings import PollPolicy

_CONFIRMED_AFTER = 3
"""Refusals in a row: right after a submit, ``task_not_exist`` can be transient (contract section 4)."""
_CONTRADICTED_FOR = 30.0
"""Seconds of refusals that outweigh a good answer; a gateway whose own session had expired refused for 5."""
_POLLS_FOR_A_LINK = 3
"""Further polls of a generation that is completed, but has no link yet (contract section 1)."""
_REFUSES_KEY = frozenset({401, 403})
_REFUSES_NO_TASK = frozenset({401, 402, 403, 404, 405, 408, 410, 425, 429, 451})
"""Among the statuses 4xx; the others may be a gateway's trouble with one task, such as 409, 422 or 423."""


@define(eq=False, repr=False, weakref_slot=False)
class _Trouble:
    """What went wrong since the last good poll."""

    counted: int = 0
    """Failures in a row without those that say *slow down*."""
    since: float = 0.0
    """When the first of them was."""
    unconfirmed: int = 0
    """Refusals in a row that are final at the third."""
    refusals: int = 0
    """Refusals that contradict a good answer."""
    refused_since: float = 0.0


@define(eq=False, repr=False, weakref_slot=False)
class Progress:
    """The polls of one id."""

    policy: PollPolicy
    health: Health
    good: int = 0
    """Good polls so far."""
    failures: int = 0
    """Failed polls in a row."""
    error: LumaError | None = None
    """The error of the last poll; None after a good one."""
    state: State | None = None
    """The state that the last good poll saw."""
    word: str = ""
    """The relay's own word for the state."""
    finished: Generation | None = None
    """The terminal answer; if it is completed, its link may still follow."""
    time_in_state: TimeInState | None = None
    """How long the task has been seen in its state."""
    _trouble: _Trouble | None = None
    _without_link: int = 0

    @property
    def hint(self) -> float | None:
        """Seconds of ``Retry-After`` in the last refusal, or None."""
        return self.error.retry_after if isinstance(self.error, APIError) else None

    def succeeded(self, answer: TaskAnswer | None) -> bool:
        """Record a good answer, None if it is the same as before; it resets all counts of failures.

        ``completed`` can come a moment before its link (rule 5).

        Returns:
            Whether the wait ends.
        """
        self.error = self._trouble = None
        self.good += 1
        self.failures = 0
        if answer is not None:
            self.state, self.word = answer.state, answer.word
            self.finished = answer.generation() if answer.state.is_terminal else None
        return self.finished is not None and self._is_end(self.finished)

    def _is_end(self, generation: Generation) -> bool:
        if generation.state is State.COMPLETED and generation.video_url is None:
            self._without_link += 1
            return self._without_link > _POLLS_FOR_A_LINK
        return True

    def failed(self, error: LumaError, now: float, *, is_cut: bool = False) -> bool:
        """Record a failed poll.

        Args:
            error: The error, an object of this id only. If good answers speak against it, its verdict changes.
            now: When the poll failed.
            is_cut: Whether a deadline cut the poll: then the error before, if any, is kept.

        Returns:
            Whether the wait ends.
        """
        trouble = self._trouble = self._trouble or _Trouble()
        contradicts = self._contradicts(error)
        if contradicts or self._refuses_this_id_alone(error):
            error.verdict = Verdict.UNCONFIRMED
        if self.error is None or not is_cut:
            self.error = error
        self.failures += 1
        if contradicts:
            trouble.unconfirmed = 0
            is_over = self._outweighs_good_answers(trouble, now)
        else:
            trouble.unconfirmed = trouble.unconfirmed + 1 if error.verdict is Verdict.UNCONFIRMED else 0
            is_over = error.verdict is Verdict.FINAL or trouble.unconfirmed >= _CONFIRMED_AFTER
        return is_over or (error.verdict is not Verdict.SLOW_DOWN and self._is_outage(trouble, now))

    def _contradicts(self, error: LumaError) -> bool:
        """Whether *error* refuses a key or an id that has already had a good answer."""
        if not isinstance(error, APIError) or isinstance(error, NotFoundError):
            return False
        if error.verdict not in (Verdict.FINAL, Verdict.UNCONFIRMED):
            return False
        key_works = self.good > 0 or self.health.key_works
        return (error.status in _REFUSES_KEY and key_works) or (_refuses_task(error.status) and self.good > 0)

    def _refuses_this_id_alone(self, error: LumaError) -> bool:
        """Whether *error* is a first refusal of this id, by a relay that answers others: a gateway may be at fault."""
        return (
            isinstance(error, APIError)
            and error.verdict is Verdict.FINAL
            and _refuses_task(error.status)
            and self.health.key_works
        )

    def _outweighs_good_answers(self, trouble: _Trouble, now: float) -> bool:
        """Count one more refusal; whether there have been enough, for long enough."""
        if not trouble.refusals:
            trouble.refused_since = now
        trouble.refusals += 1
        others_are_answered = self.health.good_at > trouble.refused_since
        patience = self.policy.max_outage if others_are_answered else min(_CONTRADICTED_FOR, self.policy.max_outage)
        return trouble.refusals >= _CONFIRMED_AFTER and now - trouble.refused_since >= patience

    def _is_outage(self, trouble: _Trouble, now: float) -> bool:
        """Count one more failure; whether there have been enough, for long enough."""
        if not trouble.counted:
            trouble.since = now
        trouble.counted += 1
        policy = self.policy
        return trouble.counted >= policy.max_consecutive_failures and now - trouble.since >= policy.max_outage


def _refuses_task(status: int) -> bool:
    return status // 100 == 4 and status not in _REFUSES_NO_TASK  # noqa: PLR2004 - as of HTTP
