"""What became of one task id."""

from __future__ import annotations

import pickle

import pytest

from luma_async import Generation, LumaError, NotFoundError, Outcome, State
from luma_async.errors import Verdict

DONE = Generation(id="t", state=State.COMPLETED, state_text="completed")
LOST = NotFoundError("no such task", status=404, verdict=Verdict.UNCONFIRMED)


def test_a_generation_is_ok_and_unwraps() -> None:
    """What was done comes out."""
    outcome = Outcome(task_id="t", generation=DONE)

    assert outcome.ok
    assert outcome.unwrap() is DONE
    assert (outcome.elapsed, outcome.polls) == (0.0, 0)


def test_a_failed_generation_is_not_ok_and_comes_out() -> None:
    """One poll gives it without an error; unwrapping raises nothing."""
    failed = Generation(id="t", state=State.FAILED, state_text="failed")
    outcome = Outcome(task_id="t", generation=failed)

    assert not outcome.ok
    assert outcome.unwrap() is failed


def test_an_error_is_not_ok_and_is_raised() -> None:
    """Unwrapping raises the very error."""
    outcome = Outcome(task_id="t", error=LOST)

    assert not outcome.ok
    with pytest.raises(NotFoundError) as caught:
        outcome.unwrap()
    assert caught.value is LOST


@pytest.mark.parametrize(("generation", "error"), [(None, None), (DONE, LOST)])
def test_an_outcome_is_one_or_the_other(generation: Generation | None, error: LumaError | None) -> None:
    """Neither both nor neither can be made."""
    with pytest.raises(TypeError, match="either a generation or an error"):
        Outcome(task_id="t", generation=generation, error=error)


def test_outcomes_match_by_their_parts() -> None:
    """The two cases of the README's match statement."""
    found: list[object] = []
    for outcome in (Outcome(task_id="a", generation=DONE), Outcome(task_id="b", error=LOST)):
        match outcome:
            case Outcome(generation=Generation() as done):
                found.append(done)
            case Outcome(generation=None, error=error):
                found.append(error)
            case _:
                raise AssertionError(outcome)

    assert found == [DONE, LOST]


def test_an_outcome_travels() -> None:
    """Through a pickle with its times, counts and error."""
    before = Outcome(task_id="t", error=LOST, elapsed=1.5, polls=2)

    after = pickle.loads(pickle.dumps(before))  # noqa: S301 - our own bytes

    assert (after.task_id, after.elapsed, after.polls) == ("t", 1.5, 2)
    assert str(after.error) == str(LOST)
