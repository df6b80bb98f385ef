"""Scripts: what a simulated task does over time."""

import math

import pytest

from luma_async.models import State
from luma_async.testing import Script, Step


@pytest.mark.parametrize(
    ("age", "word"),
    [
        (-1.0, "queued"),
        (0.0, "queued"),
        (0.999, "queued"),
        (1.0, "dreaming"),
        (2.999, "dreaming"),
        (3.0, "completed"),
        (1e9, "completed"),
    ],
)
def test_each_state_lasts_its_seconds_and_the_last_one_stays(age: float, word: str) -> None:
    """A state ends at the very second at which the next one begins."""
    script = Script.of(("queued", 1), ("dreaming", 2), "completed")

    assert script.at(age).word == word


def test_a_script_without_a_last_word_completes() -> None:
    """Pairs alone end in completed."""
    assert Script.of(("pending", 1)).at(1).word == "completed"


def test_a_script_may_have_any_number_of_unknown_states() -> None:
    """Thirty words that nobody knows are thirty states on the way."""
    words = [f"stage-{number}" for number in range(30)]

    script = Script.of(*((word, 1) for word in words))

    assert [script.at(age).word for age in range(31)] == [*words, "completed"]
    assert {script.at(age).state for age in range(30)} == {State.UNKNOWN}


def test_a_script_may_stay_where_it_is_for_ever() -> None:
    """A last word that is not terminal never ends, and never has links."""
    moment = Script.of("processing").at(1e9)

    assert (moment.word, moment.has_links) == ("processing", False)


def test_the_usual_life_is_pending_then_processing_then_completed() -> None:
    """Script.completes takes its seconds in that order."""
    script = Script.completes(pending=1, processing=4, prompt="a cat")

    assert script.steps == (Step("pending", 1), Step("processing", 4))
    assert (script.final, script.prompt, script.duration, script.starts_after) == ("completed", "a cat", 5, 1)


def test_a_failing_life_carries_its_reason_and_no_links() -> None:
    """Script.fails ends in failed after its seconds."""
    script = Script.fails(reason="moderation", after=2)

    assert (script.at(1.9).word, script.at(2).word) == ("processing", "failed")
    assert (script.failure_reason, script.at(1e9).has_links) == ("moderation", False)


@pytest.mark.parametrize(("age", "has_links"), [(1.0, False), (1.9, False), (3.0, False), (3.5, True), (99.0, True)])
def test_links_can_come_a_moment_after_completed(age: float, *, has_links: bool) -> None:
    """links_after counts from the last word, whatever it was called."""
    script = Script.of(("running", 2), "SUCCESS", links_after=1.5)

    assert script.at(age).has_links is has_links


def test_links_can_stay_away_for_ever() -> None:
    """An endless links_after is a completed task without any link."""
    assert not Script.of("completed", links_after=math.inf).at(1e9).has_links


@pytest.mark.parametrize(("age", "progress"), [(-1, 0.0), (0, 0.0), (1, 0.25), (4, 1.0), (9, 1.0)])
def test_progress_grows_with_time(age: float, progress: float) -> None:
    """It is the share of the script's seconds that have passed."""
    assert Script.completes(pending=2, processing=2).at(age).progress == progress


def test_a_script_without_steps_is_over_at_once() -> None:
    """No time passes, and nothing is divided by it."""
    moment = Script.of("failed").at(0)

    assert (moment.word, moment.progress) == ("failed", 1.0)


def test_a_request_older_than_its_task_finds_the_beginning() -> None:
    """Where the first states take no time, that is the first state after them."""
    at_once = Script.of(("pending", 0.0), "completed")
    later = Script.of(("pending", 2.0), "completed")

    assert at_once.at(-0.5).word == "completed"
    assert (later.at(-0.5).word, later.at(-0.5).progress) == ("pending", 0.0)


@pytest.mark.parametrize("seconds", [-0.1, math.inf, math.nan])
def test_a_step_of_no_real_length_is_refused(seconds: float) -> None:
    """A state that never ends belongs at the end, and no time runs backwards."""
    with pytest.raises(ValueError, match="give the final state without seconds"):
        Step("pending", seconds)


def test_a_script_that_makes_no_sense_is_refused() -> None:
    """Only the last state comes without its seconds, and links cannot come before the generation has completed."""
    with pytest.raises(ValueError, match="only the last state"):
        Script.of("pending", "completed")
    with pytest.raises(ValueError, match="links_after"):
        Script.of("completed", links_after=-1)
