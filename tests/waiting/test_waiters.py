"""The waiters of one id, without an event loop."""

from __future__ import annotations

import math
from itertools import permutations

import pytest

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

    assert (waiters.soonest, waiters.latest) == (7.0, 7.0)
    waiters.remove(second)
    assert waiters.soonest == math.inf
