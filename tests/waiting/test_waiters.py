"""The waiters of one id, without an event loop."""

from __future__ import annotations

import math
from itertools import permutations
from typing import cast

import pytest

from luma_async._waiting.rest import NextPoll
from luma_async._waiting.waiters import Waiter, Waiters


def waiter(deadline: float = math.inf) -> Waiter:
    """Return a waiter with a *deadline*."""
    return Waiter(0.0, deadline, lambda _: None)


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_waiters_leave_in_any_order(order: tuple[int, ...]) -> None:
    """Each removes itself and no other."""
    all_of_them, waiters = [waiter() for _ in range(4)], Waiters()
    for each in all_of_them:
        waiters.add(each)

    for count, number in enumerate(order, start=1):
        waiters.remove(all_of_them[number])
        left = {id(all_of_them[other]) for other in order[count:]}
        assert {id(each) for each in waiters} == left
        assert len(waiters) == len(left)


def test_the_deadlines_are_those_of_the_waiters_that_are_left() -> None:
    """The soonest and the latest, also after the waiter that had one of them has left."""
    first, second, third, waiters = waiter(5.0), waiter(7.0), waiter(), Waiters()
    for each in (first, second, third):
        waiters.add(each)
    assert (waiters.soonest, waiters.latest) == (5.0, math.inf)

    waiters.remove(first)
    waiters.remove(third)

    assert (waiters.latest, waiters.soonest) == (7.0, 7.0)
    waiters.remove(second)
    assert waiters.last_poll_at(NextPoll(1.0)) == math.inf


def test_joining_a_crowd_looks_at_none_of_its_waiters() -> None:
    """When the first last poll is due is known without them, until a last poll has started."""
    waiters = Waiters()
    for number in range(1000):
        waiters.add(waiter(100.0 + number))
    waiters.start_last_polls(0.0, 1.0)

    waiters._all = cast("list[Waiter]", [None] * 1000)

    assert waiters.last_poll_at(NextPoll(1.0)) == pytest.approx(100.0, abs=2.0)
