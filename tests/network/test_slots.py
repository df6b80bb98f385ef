"""The places of requests under way, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from attrs import define, field

from luma_async._network.deadlines import Deadlines
from luma_async._network.request import Pace, Request
from luma_async._network.slots import Slots
from tests.virtual_time import now, run

HANGS = 1000.0


@define(eq=False)
class Relay:
    """Polls that take as long as they say, through slots."""

    slots: Slots
    deadlines: Deadlines = field(factory=Deadlines)
    abandoned: list[tuple[str, float]] = field(factory=list)
    """The polls that gave up their slot, and when."""
    answered: dict[str, float] = field(factory=dict)
    """When each poll was answered for the first time."""

    async def poll(self, name: str, seconds: float, pace: Pace = Pace.USUAL) -> None:
        """Poll for *seconds*; try again if it is abandoned."""
        request = Request("GET", name, pace=pace)
        if not await self._is_answered(request, seconds):
            request.pace = Pace.SLOW
            assert await self._is_answered(request, seconds)
        self.answered.setdefault(name, now())

    async def _is_answered(self, request: Request, seconds: float) -> bool:
        await self.slots.acquire(request)
        pace = request.pace
        limit = self.deadlines.limit(1e9)
        is_abandoned = False
        try:
            with limit:
                self.slots.started(request, limit, asyncio.get_running_loop().time())
                start = now()
                try:
                    await asyncio.sleep(seconds)
                finally:
                    is_abandoned = self.slots.ended(limit)
            pace = self.slots.answered(request, now() - start)
        except TimeoutError:
            assert is_abandoned
            self.abandoned.append((request.path, now()))
            return False
        finally:
            self.slots.release(request)
            request.pace = pace
        return True


def relay_of(slots: Slots, *polls: tuple[str, float] | tuple[str, float, Pace], seconds: float = 100.0) -> Relay:
    """Start *polls*, one after the other, and let *seconds* pass."""
    relay = Relay(slots)

    async def main() -> None:
        tasks = [asyncio.create_task(relay.poll(*poll)) for poll in polls]
        await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert slots.free == slots.limit
        slots.close()

    run(main())
    return relay


def test_polls_that_hang_give_up_half_of_the_slots() -> None:
    """A healthy poll behind sixty of them is answered after a few seconds, and the oldest go first."""
    hung = [(f"h{number}", HANGS) for number in range(60)]

    relay = relay_of(Slots(8, 0.105), *hung, ("ok", 0.1))

    assert relay.answered.keys() == {"ok"}
    assert relay.answered["ok"] < 9.0
    assert [name for name, _ in relay.abandoned] == [name for name, _ in hung[: len(relay.abandoned)]]
    assert 52 <= len(relay.abandoned) < 60


def test_nothing_is_abandoned_where_no_one_waits() -> None:
    """A slow poll may take all its time."""
    relay = relay_of(Slots(4, 0.105), *[(f"h{number}", HANGS) for number in range(4)])

    assert relay.abandoned == []


def test_a_submit_never_gives_up_its_slot() -> None:
    """It may have been paid for."""
    relay = relay_of(Slots(2, 0.105), ("a", 50.0, Pace.EXEMPT), ("b", 50.0, Pace.EXEMPT), ("ok", 0.1))

    assert relay.abandoned == []
    assert relay.answered == {"a": 50.0, "b": 50.0, "ok": 50.1}


def test_a_poll_is_abandoned_once_at_the_most() -> None:
    """Its next try has all the time it needs, in half of the slots."""
    slow = [(f"s{number}", 20.0) for number in range(4)]

    relay = relay_of(Slots(2, 0.105), *slow, *[(f"ok{number}", 0.1) for number in range(4)], seconds=200.0)

    assert len(relay.abandoned) == len({name for name, _ in relay.abandoned})
    assert relay.answered.keys() == {name for name, _ in slow} | {f"ok{number}" for number in range(4)}


def test_one_slot_is_not_held_by_a_poll_that_hangs() -> None:
    """It takes turns with the others."""
    relay = relay_of(Slots(1, 0.105), ("h", HANGS), ("ok", 0.1))

    assert relay.answered.keys() == {"ok"}
    assert relay.answered["ok"] < 1.0


def test_polls_that_hang_again_and_again_take_turns_with_the_others_in_one_slot() -> None:
    """Two ids that hang for ever would else have every turn; each healthy poll waits for one of theirs at most."""
    slow = [(f"h{number}", 10.0, Pace.SLOW) for number in range(10)]

    relay = relay_of(Slots(1, 0.105), *slow, *[(f"ok{number}", 0.1) for number in range(4)], seconds=200.0)

    assert [name for name in relay.answered if name.startswith("ok")] == ["ok0", "ok1", "ok2", "ok3"]
    assert relay.answered["ok3"] == pytest.approx(40.4)
    assert relay.answered["h9"] == pytest.approx(100.4)


def test_at_a_relay_where_most_polls_are_slow_few_are_abandoned() -> None:
    """The usual time is learned from the first answers."""
    relay = relay_of(Slots(8, 0.5), *[(f"s{number}", 4.0) for number in range(200)], seconds=1000.0)

    assert len(relay.answered) == 200
    assert len(relay.abandoned) <= 16


def test_the_usual_time_of_an_id_that_was_slow_once_counts_again() -> None:
    """After a poll of the usual length it may use all slots."""
    slots = Slots(2, 1.0)
    request = Request("GET", "a", pace=Pace.SLOW)

    assert slots.answered(Request("GET", "b", pace=Pace.USUAL), 1.0) is Pace.USUAL
    assert slots.answered(request, 10.0) is Pace.SLOW
    assert slots.answered(request, 1.0) is Pace.USUAL


def test_polls_of_slow_ids_hold_at_most_half_of_the_slots() -> None:
    """The other half stays free for others, and they are not abandoned."""
    slow = [(f"s{number}", 10.0, Pace.SLOW) for number in range(4)]

    relay = relay_of(Slots(4, 0.1), *slow, ("ok", 0.1))

    assert relay.answered == {"ok": 0.1, "s0": 10.0, "s1": 10.0, "s2": 20.0, "s3": 20.0}


def test_a_slot_that_is_given_to_a_request_that_is_cancelled_goes_on() -> None:
    """The next request in the queue gets it."""

    async def main() -> int:
        slots, first = Slots(1, 0.1), Request("GET", "a")
        await slots.acquire(first)
        waiting = [asyncio.create_task(slots.acquire(Request("GET", "b"))) for _ in range(2)]
        await asyncio.sleep(0)
        slots.release(first)
        waiting[0].cancel()
        await asyncio.wait(waiting, timeout=1.0)
        assert waiting[1].done()
        return slots.free

    assert run(main()) == 0


@pytest.mark.parametrize("pace", [Pace.USUAL, Pace.SLOW])
def test_a_request_that_is_cancelled_in_the_queue_is_not_waited_for(pace: Pace) -> None:
    """No slow poll gives up its slot for it."""
    slots = Slots(1, 0.1)
    relay = Relay(slots)

    async def main() -> None:
        hanging = asyncio.create_task(relay.poll("h", 10.0))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(relay.poll("ok", 0.1, pace))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await hanging
        slots.close()

    run(main())

    assert relay.abandoned == []
    assert relay.answered == {"h": 10.0}
    assert slots.free == 1
