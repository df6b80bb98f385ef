"""When to ask again."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, frozen
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st
from tenacity import AsyncRetrying, Future, RetryCallState
from tenacity.wait import wait_exponential, wait_fixed

from luma_async import ConfigurationError, PollPolicy
from luma_async.pacing import PollWait

POLICY = PollPolicy()


def lowest() -> float:
    """Draw the smallest number there is."""
    return 0.0


def middle() -> float:
    """Draw without jitter."""
    return 0.5


def highest() -> float:
    """Draw the largest number there is, nearly."""
    return 1.0


@frozen
class Look:
    """What a strategy needs to know of a look."""

    good: int = 0
    failures: int = 0
    hint: float | None = None


def after(look: Look, attempt: int = 1) -> RetryCallState:
    """Return tenacity's state after *look*."""
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = attempt
    state.outcome = Future.construct(attempt, look, has_exception=False)
    return state


# --- the policy ---


def test_the_policy_has_these_defaults() -> None:
    """From the contract's facts."""
    assert (POLICY.initial, POLICY.maximum, POLICY.multiplier, POLICY.min_interval) == (2.0, 15.0, 1.5, 2.0)
    assert (POLICY.max_consecutive_failures, POLICY.max_outage, POLICY.wait) == (10, 120.0, None)


_NUMBERS = ["initial", "maximum", "multiplier", "min_interval", "max_consecutive_failures", "max_outage"]


@pytest.mark.parametrize("name", _NUMBERS)
@pytest.mark.parametrize(
    "value", [0, -1, float("nan"), float("inf"), 10**400, "5", True, None, [1]], ids=lambda value: repr(value)[:8]
)
def test_a_field_that_is_no_positive_number_is_refused(name: str, value: Any) -> None:
    """The text names the field."""
    with pytest.raises(ConfigurationError, match=name):
        PollPolicy(**{name: value})


@pytest.mark.parametrize(
    "fields",
    [
        {"min_interval": 3.0},
        {"initial": 1.0},
        {"initial": 16.0},
        {"maximum": 1.0},
        {"min_interval": 5.0, "initial": 4.0, "maximum": 6.0},
    ],
)
def test_intervals_out_of_order_are_refused(fields: dict[str, float]) -> None:
    """``min_interval <= initial <= maximum``, or nothing is made."""
    with pytest.raises(ConfigurationError, match="out of order"):
        evolve(POLICY, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("multiplier", [0.5, 0.999, 100.1, 1e300])
def test_a_multiplier_out_of_range_is_refused(multiplier: float) -> None:
    """A shrinking pause is none, and one that leaps is a mistake."""
    with pytest.raises(ConfigurationError, match=r"multiplier=.* is out of range"):
        PollPolicy(multiplier=multiplier)


def test_the_bounds_themselves_are_fine() -> None:
    """All equal, a constant pause, and the steepest growth."""
    assert PollPolicy(min_interval=0.1, initial=0.1, maximum=0.1).backoff(9, highest) == pytest.approx(0.1)
    assert PollPolicy(multiplier=1).backoff(9, middle) == PollPolicy(multiplier=1).backoff(1, middle)
    assert PollPolicy(multiplier=100).backoff(10**9, highest) == 15.0


def test_failures_are_counted_in_whole_numbers() -> None:
    """One is enough, half a failure is none."""
    assert PollPolicy(max_consecutive_failures=1).max_consecutive_failures == 1
    with pytest.raises(ConfigurationError, match="max_consecutive_failures"):
        PollPolicy(max_consecutive_failures=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("wait", [5, "5", {}])
def test_what_cannot_be_called_is_no_strategy(wait: Any) -> None:
    """The text shows how one looks."""
    with pytest.raises(ConfigurationError, match="wait_fixed"):
        PollPolicy(wait=wait)


def test_a_policys_fields_are_named() -> None:
    """Nobody knows by heart which number comes first."""
    with pytest.raises(TypeError):
        PollPolicy(2.0)  # type: ignore[call-arg]


def test_a_policy_cannot_be_changed_afterwards() -> None:
    """So that what was checked stays so."""
    with pytest.raises(FrozenInstanceError):
        POLICY.initial = 0.0  # type: ignore[misc]


# --- backoff ---


def test_the_pauses_grow_to_the_maximum() -> None:
    """Without jitter: 2, 3, 4.5, 6.75, 10.125, and then close to 15."""
    pauses = [POLICY.backoff(step, middle) for step in range(1, 9)]

    assert pauses[1:5] == pytest.approx([3.0, 4.5, 6.75, 10.125])
    assert pauses[0] == pytest.approx(2.2)
    assert pauses[5:] == pytest.approx([13.5, 13.5, 13.5])


def test_jitter_spreads_by_a_fifth_to_either_side() -> None:
    """Within the bounds: at the least interval upwards only, at the maximum downwards only."""
    assert (POLICY.jittered(5, lowest), POLICY.jittered(5, highest)) == pytest.approx((4, 6))
    assert (POLICY.jittered(2, lowest), POLICY.jittered(2, highest)) == pytest.approx((2, 2.4))
    assert (POLICY.jittered(15, lowest), POLICY.jittered(15, highest)) == pytest.approx((12, 15))
    assert (POLICY.jittered(0.1, lowest), POLICY.jittered(0.1, highest)) == pytest.approx((2, 2))
    assert (POLICY.jittered(99, lowest), POLICY.jittered(99, highest)) == pytest.approx((15, 15))


def test_ids_that_start_together_drift_apart() -> None:
    """By default the pauses are random."""
    assert len({POLICY.backoff(5) for _ in range(50)}) > 40


@st.composite
def policies(draw: st.DrawFn) -> PollPolicy:
    """Draw any policy that can be made."""
    intervals = sorted(draw(st.tuples(*[st.floats(0.001, 1e6)] * 3)))
    return PollPolicy(
        min_interval=intervals[0],
        initial=intervals[1],
        maximum=intervals[2],
        multiplier=draw(st.floats(1, 100)),
    )


@given(policies(), st.integers(1, 10**6), st.floats(0, 1))
def test_a_pause_keeps_to_the_bounds(policy: PollPolicy, step: int, drawn: float) -> None:
    """Never below ``min_interval``, never above ``maximum``, and never shorter than the one before."""
    slack = 1 + 1e-9
    pause, following = (policy.backoff(n, lambda: drawn) for n in (step, step + 1))

    assert policy.min_interval <= pause * slack
    assert pause <= policy.maximum * slack
    assert pause <= following * slack


# --- the strategy ---


@pytest.mark.parametrize(
    ("look", "pause"),
    [
        (Look(good=1), 2.2),
        (Look(good=2), 3.0),
        (Look(good=4), 6.75),
        (Look(good=400), 13.5),
        (Look(good=1, failures=1), 2.2),
        (Look(good=9, failures=1), 13.5),
        (Look(good=1, failures=2), 3.0),
        (Look(failures=3), 4.5),
        (Look(), 2.2),
        (Look(good=2, hint=0.0), 3.0),
        (Look(good=2, hint=1.0), 3.0),
        (Look(failures=2, hint=7.5), 7.5),
        (Look(failures=2, hint=3600.0), 3600.0),
    ],
)
def test_the_pause_follows_from_the_look(look: Look, pause: float) -> None:
    """Failures count on their own and never make looks denser; a hint is a lower bound without an upper one."""
    assert PollWait(POLICY, middle)(after(look, attempt=50)) == pytest.approx(pause)


def test_a_fast_policy_is_not_slowed_by_a_missing_hint() -> None:
    """Against a relay of one's own, a tenth of a second is fine."""
    fast = PollPolicy(min_interval=0.1, initial=0.1)

    assert PollWait(fast, lowest)(after(Look(good=1))) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("strategy", "attempt", "pause"),
    [
        (wait_fixed(5), 1, 5.0),
        (wait_fixed(0), 1, 2.0),
        (wait_fixed(1) + wait_fixed(2), 1, 3.0),
        (wait_exponential(multiplier=1, max=60), 5, 16.0),
        (lambda state: state.attempt_number * 10, 7, 70.0),
        (lambda _: float("nan"), 1, 2.0),
        (lambda _: -1.0, 1, 2.0),
    ],
)
def test_a_users_strategy_takes_the_place_of_ours(strategy: Any, attempt: int, pause: float) -> None:
    """It sees tenacity's own state; ``min_interval`` still holds, and so do hints."""
    wait = PollWait(evolve(POLICY, wait=strategy), middle)

    assert wait(after(Look(good=9), attempt)) == pause
    assert wait(after(Look(failures=1, hint=900.0), attempt)) == 900.0


def test_a_strategy_is_one_for_tenacity() -> None:
    """It adds up with others like any."""
    both = PollWait(POLICY, middle) + wait_fixed(1)

    assert both(after(Look(good=2))) == 4.0
