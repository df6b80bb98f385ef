"""Who rests until when, and who wakes with whom, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from luma_async._agenda import Agenda
from tests.virtual_time import run

Window = tuple[float, float]


def woken(windows: Sequence[Window], most: int = 100) -> list[float]:
    """Return when each of those who rest within *windows* wakes."""

    async def rest(agenda: Agenda, window: Window) -> float:
        assert await agenda.rest(*window).over
        return asyncio.get_running_loop().time()

    async def main() -> list[float]:
        agenda = Agenda(most)
        return await asyncio.gather(*(rest(agenda, window) for window in windows))

    return run(main())


def test_without_slack_each_wakes_at_his_own_time() -> None:
    """In whatever order the rests began."""
    assert woken([(3.0, 3.0), (1.0, 1.0), (2.0, 2.0)]) == [3.0, 1.0, 2.0]


def test_those_who_may_wait_wake_with_the_one_who_cannot() -> None:
    """Whoever's window has begun by then goes along; the others rest on."""
    assert woken([(1.0, 3.0), (1.5, 2.0), (2.0, 9.0), (2.1, 4.0)]) == [2.0, 2.0, 2.0, 4.0]


def test_a_request_that_would_not_be_full_waits_while_it_may() -> None:
    """Of five, two requests of two go, and the one with most patience waits for others."""
    windows = [(1.0, 2.0), (1.0, 5.0), (1.0, 3.0), (1.0, 2.5), (1.0, 4.0), (4.5, 9.0)]

    assert woken(windows, most=2) == [2.0, 5.0, 2.0, 2.0, 2.0, 5.0]


def test_nobody_waits_longer_than_he_may() -> None:
    """Three whose time is over at once go, though their second request has one alone."""
    assert woken([(1.0, 2.0), (1.0, 2.0), (1.0, 2.0)], most=2) == [2.0, 2.0, 2.0]


def test_one_who_is_roused_hears_that_it_is_not_his_turn() -> None:
    """And the others go on resting."""

    async def main() -> list[float]:
        agenda = Agenda(100)
        loop = asyncio.get_running_loop()
        roused, other = agenda.rest(5.0, 5.0), agenda.rest(6.0, 6.0)
        loop.call_at(1.0, roused.rouse)
        loop.call_at(1.0, roused.rouse)
        return [await roused.over, await other.over, loop.time()]

    assert run(main()) == pytest.approx([False, True, 6.0])


def test_one_who_has_gone_wakes_nobody() -> None:
    """Cancelled at rest, he neither disturbs the others nor takes their place in a request."""

    async def main() -> float:
        agenda = Agenda(1)
        agenda.rest(1.0, 2.0).over.cancel()
        await agenda.rest(1.0, 3.0).over
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(3.0)


def test_closing_wakes_nobody_any_more() -> None:
    """A closed agenda holds nothing and has no timer left."""

    async def main() -> bool:
        agenda = Agenda(100)
        resting = agenda.rest(1.0, 1.0)
        agenda.close()
        await asyncio.sleep(2.0)
        return resting.over.done()

    assert run(main()) is False
