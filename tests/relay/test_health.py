"""What a relay's answers of late say about its next refusal, without an event loop."""

from __future__ import annotations

import pytest

from luma_async._relay.health import Health
from luma_async.errors import LumaError, ServerError, Verdict
from tests.kit import limited


def unavailable() -> LumaError:
    """Return a 503 without a hint."""
    return ServerError("no", status=503, verdict=Verdict.PASSING)


def verdict(health: Health, what: str, now: float, *, together: bool = False) -> Verdict:
    """Return what a 503 about *what* means."""
    error = unavailable()
    health.weigh(error, what, now, together=together)
    return error.verdict


def test_503s_of_two_ids_beside_a_good_answer_are_load() -> None:
    """The first one alone may be an outage; the second shows that it is a limit."""
    health = Health()
    health.answered("/c", 1.0)

    assert verdict(health, "/a", 2.0) is Verdict.PASSING
    assert verdict(health, "/b", 3.0) is Verdict.SLOW_DOWN
    assert verdict(health, "/a", 4.0) is Verdict.SLOW_DOWN


def test_a_503_of_one_batch_beside_a_good_answer_is_load() -> None:
    """A batch stands for several ids."""
    health = Health()
    health.answered("/c", 1.0)

    assert verdict(health, "/tasks", 2.0, together=True) is Verdict.SLOW_DOWN


def test_503s_of_one_id_are_not_load() -> None:
    """They may be about that task alone."""
    health = Health()
    health.answered("/c", 1.0)

    assert [verdict(health, "/a", 1.0 + step) for step in range(5)] == [Verdict.PASSING] * 5


def test_503s_for_everybody_are_an_outage() -> None:
    """Where nothing has succeeded for ten seconds, or ever, no limit is the reason."""
    health = Health()

    assert verdict(health, "/a", 1.0) is Verdict.PASSING
    assert verdict(health, "/b", 2.0) is Verdict.PASSING
    health.answered("/c", 3.0)
    assert verdict(health, "/a", 13.0) is Verdict.PASSING
    assert verdict(health, "/b", 13.1) is Verdict.PASSING


def test_503s_that_lie_far_apart_are_not_load() -> None:
    """Each of two ids can have one in the course of an hour."""
    health = Health()

    assert verdict(health, "/a", 1.0) is Verdict.PASSING
    health.answered("/c", 11.0)
    assert verdict(health, "/b", 11.5) is Verdict.PASSING


@pytest.mark.parametrize("status", [500, 502, 504])
def test_other_server_errors_are_never_load(status: int) -> None:
    """Gateways answer so when their upstream is down."""
    health = Health()
    health.answered("/c", 1.0)
    errors = [ServerError("no", status=status, verdict=Verdict.PASSING) for _ in range(3)]

    slows = [health.weigh(error, f"/{number}", 2.0, together=True) for number, error in enumerate(errors)]

    assert not any(slows)
    assert {error.verdict for error in errors} == {Verdict.PASSING}


@pytest.mark.parametrize(
    ("what", "together", "good_after", "slows"),
    [
        ("/a", False, 9, [True, True, False, False, False]),
        ("/tasks", True, 9, [True] * 5),
        ("/a", False, 2, [True] * 5),
    ],
    ids=["one id", "a batch is about more than one id", "a good answer ends the count"],
)
def test_an_id_that_is_limited_alone_slows_nobody_else(
    what: str, good_after: int, slows: list[bool], *, together: bool
) -> None:
    """From the third time in a row on, where others get good answers between."""
    health = Health()
    weighed = []
    for step in range(5):
        weighed.append(health.weigh(limited(), what, float(step), together=together))
        health.answered("/b", step + 0.5)
        if (step + 1) % good_after == 0:
            health.answered(what, step + 0.6)

    assert weighed == slows


def test_a_limit_that_hits_two_ids_slows_everybody() -> None:
    """Each refusal of another id makes it everybody's matter again."""
    health = Health()
    health.answered("/c", 0.0)

    assert all(health.weigh(limited(), f"/{step % 2}", float(step), together=False) for step in range(9))


def test_a_limit_without_any_good_answer_slows_everybody() -> None:
    """One id may be all that there is."""
    health = Health()
    health.answered("/a", 0.0)

    assert all(health.weigh(limited(), "/a", 1.0 + step, together=False) for step in range(9))


def test_the_key_works_after_the_first_good_answer() -> None:
    """Refusals say nothing about that."""
    health = Health()
    health.weigh(limited(), "/a", 1.0, together=False)

    assert not health.key_works
    health.answered("/a", 2.0)
    assert health.key_works
