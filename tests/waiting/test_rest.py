"""When an id is polled next, without an event loop."""

from __future__ import annotations

import math

import pytest

from luma_async._waiting.rest import NextPoll

NEVER = math.inf


def after(seconds: float, *, is_ours: bool = True, is_failing: bool = False, hint: float | None = None) -> NextPoll:
    """Return the next poll of an id that was polled for a tenth of a second until 100, and pauses then."""
    following = NextPoll(min_interval=2.0)
    following.ended(99.9, 100.0, hint)
    following.rest(seconds, 100.0, is_ours=is_ours, is_failing=is_failing)
    return following


def test_a_pause_of_our_own_may_be_shortened_and_lengthened() -> None:
    """By a quarter and a tenth, at most five quarters and half a second."""
    assert after(4.0).window(NEVER) == pytest.approx((103.0, 104.4))
    assert after(15.0).window(NEVER) == pytest.approx((113.75, 115.5))


def test_a_pause_of_the_users_is_never_shortened() -> None:
    """A strategy means what it says."""
    assert after(4.0, is_ours=False).window(NEVER) == pytest.approx((104.0, 104.4))


def test_a_pause_in_trouble_is_never_lengthened() -> None:
    """All ids are to be back in time; they gather by going earlier, and the half second is no limit."""
    assert after(4.0, is_failing=True).window(NEVER) == pytest.approx((103.0, 104.0))
    assert after(15.0, is_failing=True).window(NEVER) == pytest.approx((111.25, 115.0))


@pytest.mark.parametrize(
    ("seconds", "is_ours", "early"), [(0.5, True, 0.01), (1.0, True, 0.02), (7.0, True, 0.04), (7.0, False, 0.0)]
)
def test_a_pause_alone_is_never_lengthened(seconds: float, early: float, *, is_ours: bool) -> None:
    """It may be shorter by 2 %, at most 40 ms, unless the user's strategy chose it."""
    following = NextPoll(min_interval=0.1)
    following.ended(99.9, 100.0, None)
    following.rest_alone(seconds, 100.0, is_ours=is_ours)

    assert following.window(NEVER) == pytest.approx((100.0 + seconds - early, 100.0 + seconds), abs=1e-6)


def test_the_interval_bounds_a_shortened_pause() -> None:
    """Two polls alone are never closer than ``min_interval``."""
    following = NextPoll(min_interval=2.0)
    following.ended(99.9, 100.0, None)
    following.rest_alone(2.01, 100.0, is_ours=True)

    assert following.window(NEVER) == pytest.approx((102.0, 102.01))


def test_the_interval_and_the_hint_are_lower_bounds() -> None:
    """Of a window's start, of a hurry, and of a last poll."""
    assert after(2.1).window(NEVER) == pytest.approx((102.0, 102.31))
    hinted = after(4.0, hint=30.0)
    assert hinted.window(NEVER) == (130.0, 130.0)
    hinted.hurry(101.0)
    assert hinted.window(NEVER) == (130.0, 130.0)
    assert hinted.window(105.0) == (130.0, 130.0)


def test_a_hurry_is_heeded_as_soon_as_the_interval_allows() -> None:
    """A new waiter is polled for immediately."""
    following = after(15.0)
    following.hurry(101.0)

    assert following.window(NEVER) == (102.0, 102.0)
    assert following.at_the_earliest(NEVER) == 102.0


def test_a_last_poll_before_a_deadline_ends_the_pause() -> None:
    """But one that lies beyond it does not."""
    assert after(15.0).window(108.0) == (108.0, 108.0)
    assert after(15.0).window(115.6) == pytest.approx((113.75, 115.5))


@pytest.mark.parametrize(("took", "lead"), [(0.0, 0.1), (0.04, 0.1), (0.3, 0.6), (0.5, 1.0), (30.0, 1.0)])
def test_a_last_poll_starts_early_enough_for_its_answer(took: float, lead: float) -> None:
    """Twice what the poll before took, within a tenth of a second and one."""
    following = NextPoll(min_interval=2.0)
    following.ended(100.0 - took, 100.0, None)

    assert following.last_poll_before(200.0) == pytest.approx(200.0 - lead)
    assert following.last_poll_before(math.inf) == math.inf
