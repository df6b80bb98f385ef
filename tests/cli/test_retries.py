"""Which failed generations are submitted again."""

from __future__ import annotations

import pytest

from luma_async import Generation, GenerationFailedError, LumaError, Outcome, State, TransportError, WaitTimeoutError
from luma_async.cli.retries import may_be_retried


def failed(code: str | None) -> Generation:
    """Return a generation that failed with this code."""
    return Generation(id="a", state=State.FAILED, state_text="failed", failure_code=code, raw={})


@pytest.mark.parametrize("code", ["generation_failed", "output_not_found", "unheard_of", None])
@pytest.mark.parametrize("is_raised", [True, False])
def test_a_failure_may_be_retried(code: str | None, *, is_raised: bool) -> None:
    """Unless its code says that the same submit fails again, in an error as well as in a generation."""
    generation = failed(code)
    outcome = Outcome(task_id="a", error=GenerationFailedError(generation)) if is_raised else None

    assert may_be_retried(outcome or Outcome(task_id="a", generation=generation))


@pytest.mark.parametrize(
    "code", ["content_moderated", "Content_Moderated", "budget_exhausted", "invalid_request", "corrupt_input"]
)
def test_a_refused_prompt_or_picture_is_not_paid_for_again(code: str) -> None:
    """Nor is a submit without budget."""
    assert not may_be_retried(Outcome(task_id="a", generation=failed(code)))


@pytest.mark.parametrize(
    "error", [TransportError("a reset"), WaitTimeoutError("late", waited=1.0, last=None, last_error=None)]
)
def test_what_has_not_failed_is_not_submitted_again(error: LumaError) -> None:
    """An id that is late, or cannot be polled, may still complete; so may one that has completed already."""
    completed = Generation(id="a", state=State.COMPLETED, state_text="completed", raw={})

    assert not may_be_retried(Outcome(task_id="a", error=error))
    assert not may_be_retried(Outcome(task_id="a", generation=completed))
