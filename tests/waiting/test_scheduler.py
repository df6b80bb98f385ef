"""Who rests until when, and who wakes with whom, in virtual time."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from time import monotonic
from typing import Any

from luma_async._waiting.scheduler import Scheduler
from luma_async._waiting.turns import TurnShare
from tests.virtual_time import now, run, stand_still

Window = tuple[float, float]


def woken(windows: Sequence[Window], most: int = 100) -> list[float]:
    """Return when each of those who rest within *windows* wakes."""

    async def main() -> list[float]:
        scheduler, time = Scheduler(most), asyncio.get_running_loop().time
        at = [0.0] * len(windows)

        def wake(number: int, now: float) -> None:
            assert now == time()
            at[number] = now

        for number, window in enumerate(windows):
            scheduler.rest(*window, partial(wake, number))
        await asyncio.sleep(100.0)
        return at

    return run(main())


def test_without_slack_each_wakes_at_his_own_time() -> None:
    """In whatever order the rests began."""
    assert woken([(3.0, 3.0), (1.0, 1.0), (2.0, 2.0)]) == [3.0, 1.0, 2.0]


def test_those_who_may_wait_wake_with_the_one_who_cannot() -> None:
    """Whoever's window has begun by then goes along; the others rest on."""
    assert woken([(1.0, 3.0), (1.5, 2.0), (2.0, 9.0), (2.1, 4.0)]) == [2.0, 2.0, 2.0, 4.0]


def test_those_who_went_along_need_no_timer() -> None:
    """Each turn of the event loop costs as much as many looks: there is none in which nobody wakes."""

    async def main() -> list[float]:
        loop, scheduler = asyncio.get_running_loop(), Scheduler(100)
        set_for: list[float] = []
        call_at = loop.call_at

        def noted(when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
            set_for.append(when)
            return call_at(when, *args, **options)

        loop.call_at = noted  # type: ignore[method-assign,assignment]
        for window in [(1.0, 3.0), (1.5, 2.0), (2.5, 9.0)]:
            scheduler.rest(*window, lambda _: None)
        await asyncio.wait([asyncio.create_task(asyncio.sleep(20.0))])
        return set_for

    assert run(main()) == [3.0, 2.0, 20.0, 9.0]


def test_a_timer_is_only_ever_cancelled() -> None:
    """The handles of other event loops, such as uvloop's, do not tell their time."""

    class Handle:
        def __init__(self, handle: asyncio.TimerHandle) -> None:
            self.cancel = handle.cancel

    async def main() -> list[float]:
        loop, scheduler = asyncio.get_running_loop(), Scheduler(100)
        call_at, over = loop.call_at, loop.create_future()
        call_at(20.0, over.set_result, None)
        loop.call_at = lambda *args: Handle(call_at(*args))  # type: ignore[method-assign,assignment]
        woken: list[float] = []
        for at in (3.0, 1.0, 2.0):
            scheduler.rest(at, at, woken.append)
        await over
        return woken

    assert run(main()) == [1.0, 2.0, 3.0]


def test_those_with_the_same_window_need_one_timer_and_each_his_own_turn() -> None:
    """Two of three with one window leave: the third wakes at its end, or as a companion of another."""

    async def main(*, alone: bool) -> list[tuple[str, float]]:
        scheduler = Scheduler(100)
        woken: list[tuple[str, float]] = []
        same = [scheduler.rest(1.0, 3.0, partial(woke, woken, name)) for name in ("first", "second", "third")]
        if not alone:
            scheduler.rest(0.5, 2.0, partial(woke, woken, "other"))
        same[0].leave()
        same[2].leave()
        await asyncio.sleep(1.5)
        scheduler.rest(1.0, 3.0, partial(woke, woken, "late"))
        await asyncio.sleep(10.0)
        return woken

    def woke(woken: list[tuple[str, float]], name: str, now: float) -> None:
        woken.append((name, now))

    assert run(main(alone=True)) == [("second", 3.0), ("late", 3.0)]
    assert run(main(alone=False)) == [("other", 2.0), ("second", 2.0), ("late", 2.0)]


def test_a_window_can_be_had_again_when_those_in_it_have_gone() -> None:
    """Who went along before its end, or has left, leaves a place that holds nobody; the next one gets his own."""

    async def main() -> list[float]:
        scheduler = Scheduler(100)
        woken: list[float] = []
        scheduler.rest(1.0, 9.0, woken.append)
        scheduler.rest(2.0, 2.0, woken.append)
        scheduler.rest(3.0, 8.0, woken.append).leave()
        await asyncio.sleep(2.5)
        scheduler.rest(1.0, 9.0, woken.append)
        scheduler.rest(3.0, 8.0, woken.append)
        await asyncio.sleep(20.0)
        return woken

    assert run(main()) == [2.0, 2.0, 8.0, 8.0]


def test_a_request_that_would_not_be_full_waits_while_it_may() -> None:
    """Of five, two requests of two go, and the one with most patience waits for others."""
    windows = [(1.0, 2.0), (1.0, 5.0), (1.0, 3.0), (1.0, 2.5), (1.0, 4.0), (4.5, 9.0)]

    assert woken(windows, most=2) == [2.0, 5.0, 2.0, 2.0, 2.0, 5.0]


def test_nobody_waits_longer_than_he_may() -> None:
    """Three whose time is over at once go, though their second request has one alone."""
    assert woken([(1.0, 2.0), (1.0, 2.0), (1.0, 2.0)], most=2) == [2.0, 2.0, 2.0]


def test_one_who_has_left_wakes_nobody() -> None:
    """He neither hears anything, nor disturbs the others, nor takes their place in a request."""

    async def main() -> tuple[list[float], list[float]]:
        scheduler = Scheduler(1)
        left: list[float] = []
        stayed: list[float] = []
        scheduler.rest(1.0, 2.0, left.append).leave()
        scheduler.rest(1.0, 3.0, stayed.append)
        await asyncio.sleep(10.0)
        return left, stayed

    assert run(main()) == ([], [3.0])


def test_one_who_has_left_is_not_kept() -> None:
    """A long rest that was left holds nobody, though its place in the agenda stays until its time."""

    class Sleeper:
        def wake(self, now: float) -> None:
            """Wake."""
            raise AssertionError(now)

    async def main() -> bool:
        sleeper = Sleeper()
        left = weakref.ref(sleeper)
        Scheduler(1).rest(3600.0, 3600.0, sleeper.wake).leave()
        del sleeper
        return left() is None

    assert run(main())


def test_one_can_rest_again_when_he_wakes() -> None:
    """What he does then may be to rest at once, or to leave for another who wakes with him."""

    async def main() -> list[float]:
        scheduler = Scheduler(100)
        woken: list[float] = []

        def again(now: float) -> None:
            woken.append(now)
            other.leave()
            if len(woken) < 3:
                scheduler.rest(now + 1.0, now + 1.0, again)

        scheduler.rest(1.0, 1.0, again)
        other = scheduler.rest(1.0, 1.0, woken.append)
        await asyncio.sleep(10.0)
        return woken

    assert run(main()) == [1.0, 2.0, 3.0]


def test_closing_wakes_nobody_any_more() -> None:
    """A closed agenda holds nothing and has no timer left."""

    async def main() -> list[float]:
        scheduler = Scheduler(100)
        woken: list[float] = []
        scheduler.rest(1.0, 1.0, woken.append)
        scheduler.close()
        await asyncio.sleep(2.0)
        return woken

    assert run(main()) == []


def woken_in_turns(share: TurnShare, *, takes: float = 0.0) -> list[int]:
    """Return how many of a hundred, two in a request, have woken at each turn of the event loop while some rest."""

    async def main() -> list[int]:
        scheduler, woken_so_far = Scheduler(2, share), [0]
        seen: list[int] = []

        def wake(_: float) -> None:
            woken_so_far[0] += 1
            stand_still(takes)

        for _ in range(100):
            scheduler.rest(1.0, 1.0, wake)
        await asyncio.sleep(1.0)
        while woken_so_far[0] < 100:
            seen.append(woken_so_far[0])
            await asyncio.sleep(0)
        return seen

    return run(main())


def test_a_crowd_wakes_in_slices() -> None:
    """Of ids for fifty requests, those of five wake in one turn of the event loop: others get their turns."""
    seen = woken_in_turns(TurnShare(now))

    assert {later - before for before, later in pairwise(seen)} == {10}


def test_slow_wakeups_leave_others_their_turns() -> None:
    """Wakeups of a millisecond each: after two requests of two ids, the others in the event loop have a turn."""
    seen = woken_in_turns(TurnShare(now), takes=0.001)

    assert {later - before for before, later in pairwise(seen)} == {4}


def test_a_share_is_used_up_though_the_loops_clock_stands_still() -> None:
    """As uvloop's does during a turn; the next turn has its own share."""

    async def main() -> list[bool]:
        share, began = TurnShare(), monotonic()
        seen = [share.is_used_up()]
        while monotonic() - began < 0.004:
            """The turn goes on."""
        seen.append(share.is_used_up())
        await asyncio.sleep(0)
        return [*seen, share.is_used_up()]

    assert run(main()) == [False, True, False]
