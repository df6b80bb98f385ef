"""Deadlines of exchanges, with one timer for all, in virtual time."""

from __future__ import annotations

import asyncio
import math

import pytest

from luma_async._network.deadlines import Deadlines
from tests.virtual_time import run, stand_still


async def ended_after(deadlines: Deadlines, at: float, takes: float) -> float:
    """Return how long a block of *takes* seconds with a deadline lasts; negative where it ran into it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        with deadlines.limit(at):
            await asyncio.sleep(takes)
    except TimeoutError:
        return began - loop.time()
    return loop.time() - began


def test_each_block_ends_at_its_own_deadline() -> None:
    """One timer serves blocks whose deadlines come in any order, and leaves those alone that are in time."""

    async def main() -> list[float]:
        deadlines = Deadlines()
        cases = [(5.0, 9.0), (2.0, 9.0), (8.0, 3.0), (math.inf, 7.0), (2.5, 9.0)]
        return await asyncio.gather(*(ended_after(deadlines, at, takes) for at, takes in cases))

    assert run(main()) == pytest.approx([-5.0, -2.0, 3.0, 7.0, -2.5])


def test_nothing_is_watched_when_nothing_is_under_way() -> None:
    """A block that ended in time leaves nobody to be ended, and later ones have their own time."""

    async def main() -> list[float]:
        deadlines = Deadlines()
        await ended_after(deadlines, 1.0, 0.5)
        left = len(deadlines.under_way)
        await asyncio.sleep(4.0)
        return [left, await ended_after(deadlines, 6.0, 9.0)]

    assert run(main()) == pytest.approx([0, -1.5])


def test_somebody_elses_cancelling_is_no_time_out() -> None:
    """Cancelled from outside, even in the very moment of its deadline, a block ends cancelled."""

    async def main() -> asyncio.Task[float]:
        deadlines = Deadlines()
        block = asyncio.create_task(ended_after(deadlines, 2.0, 9.0))
        asyncio.get_running_loop().call_at(2.0, block.cancel)
        await asyncio.wait([block])
        return block

    assert run(main()).cancelled()


def test_an_error_of_its_own_comes_out_of_a_block_that_is_over() -> None:
    """What the block raises in answer to its end is not hidden by a time-out."""

    async def main() -> int:
        deadlines = Deadlines()

        async def fail_when_ended() -> None:
            with deadlines.limit(1.0):
                try:
                    await asyncio.sleep(9.0)
                except asyncio.CancelledError:
                    raise KeyError from None

        with pytest.raises(KeyError):
            await fail_when_ended()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(main()) == 0


def test_an_inner_block_ends_before_the_one_around_it() -> None:
    """Each of two nested blocks ends once, the outer one only by its own deadline."""

    async def main() -> list[float]:
        deadlines = Deadlines()
        inner = 0.0

        async def around() -> None:
            nonlocal inner
            inner = await ended_after(deadlines, 1.0, 9.0)
            await asyncio.sleep(9.0)

        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError), deadlines.limit(3.0):
            await around()
        return [inner, loop.time()]

    assert run(main()) == pytest.approx([-1.0, 3.0])


def test_all_can_be_ended_at_once() -> None:
    """Closing ends every block now, once, whatever its deadline."""

    async def main() -> list[float]:
        deadlines = Deadlines()
        loop = asyncio.get_running_loop()
        loop.call_at(1.0, deadlines.expire_all)
        loop.call_at(1.0, deadlines.expire_all)
        return await asyncio.gather(*(ended_after(deadlines, at, 9.0) for at in (5.0, math.inf)))

    assert run(main()) == pytest.approx([-1.0, -1.0])


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_an_answer_that_came_while_the_loop_stood_still_is_taken(turns: int) -> None:
    """A block whose deadline passed in a blocked loop still gets what is delivered a few turns of the loop later."""

    async def main() -> str:
        deadlines = Deadlines()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def deliver(after: int) -> None:
            if after:
                loop.call_soon(deliver, after - 1)
            else:
                answer.set_result("paid")

        loop.call_at(1.5, deliver, turns)
        loop.call_at(0.5, stand_still, 1.5)
        with deadlines.limit(1.0):
            return await answer

    assert run(main()) == "paid"


def test_a_deadline_that_moves_in_its_last_turn_counts() -> None:
    """A redirect that arrives together with the timer is followed, and waits for its turn in time of its own."""

    async def main() -> float:
        deadlines = Deadlines()
        loop = asyncio.get_running_loop()
        with deadlines.limit(1.0) as limit:
            loop.call_at(1.0, loop.call_soon, limit.move, 5.0)
            await asyncio.sleep(3.0)
        return loop.time()

    assert run(main()) == pytest.approx(3.0)


def test_a_block_that_gets_nothing_in_its_grace_ends() -> None:
    """A blocked loop moves the end of a silent block by a moment, and only once."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_at(0.5, stand_still, 3.0)
        loop.call_at(3.6, stand_still, 3.0)
        return await ended_after(Deadlines(), 1.0, 9.0)

    assert run(main()) == pytest.approx(-6.6)
