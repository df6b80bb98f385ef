"""Turns, so many a second, in virtual time."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses

from luma_async import (
    ClientClosedError,
    Generation,
    Limits,
    LumaClient,
    LumaError,
    PollPolicy,
    ProtocolError,
    RequestTimeoutError,
)
from luma_async._network.cooldown import Cooldown
from luma_async._network.rate import Rate
from luma_async._network.request import Request
from luma_async._network.session import Network
from luma_async._network.transport import Transport
from luma_async.settings import Settings
from tests.kit import KEY
from tests.virtual_time import now, run, stand_still

RELAY = "https://relay.example"


async def takes(rate: Rate, name: str, told: list[tuple[str, float]]) -> None:
    """Take a turn, and tell when."""
    await rate.turn()
    told.append((name, now()))


def queue(rate: Rate, names: str, told: list[tuple[str, float]]) -> list[asyncio.Task[None]]:
    """Let some come at once, in this order."""
    return [asyncio.create_task(takes(rate, name, told)) for name in names]


def test_turns_are_evenly_spaced_in_the_order_of_coming() -> None:
    """Those who come later wait behind those who wait already."""
    told: list[tuple[str, float]] = []

    async def main() -> None:
        rate = Rate(2.0)
        early = queue(rate, "abc", told)
        await asyncio.sleep(0.7)
        await asyncio.wait([*early, *queue(rate, "de", told)])

    run(main())

    assert told == [("a", 0.0), ("b", 0.5), ("c", 1.0), ("d", 1.5), ("e", 2.0)]


def test_idle_time_is_not_saved_up() -> None:
    """After a pause there is one turn at once, and no burst."""
    told: list[tuple[str, float]] = []

    async def main() -> None:
        rate = Rate(2.0)
        await asyncio.wait(queue(rate, "a", told))
        await asyncio.sleep(60.0)
        await asyncio.wait(queue(rate, "bcd", told))

    run(main())

    assert told == [("a", 0.0), ("b", 60.0), ("c", 60.5), ("d", 61.0)]


def test_those_who_leave_leave_no_hole() -> None:
    """A hundred who have left cost the next one nothing, wherever they stood in line; no timer is left of them."""
    told: list[tuple[str, float]] = []

    async def main() -> float:
        rate = Rate(5.0)
        leaving = queue(rate, "x" * 100, told)
        await asyncio.sleep(0.5)
        last = queue(rate, "z", told)
        for each in leaving:
            each.cancel()
        await asyncio.wait([*leaving, *last])
        leaving = queue(rate, "x" * 3, told)
        await asyncio.sleep(0)
        for each in leaving:
            each.cancel()
        await asyncio.wait(leaving)
        assert rate._timer is None
        return now()

    assert run(main()) == pytest.approx(0.6)
    assert told == [("x", 0.0), ("x", 0.2), ("x", 0.4), ("z", pytest.approx(0.6))]


def test_who_leaves_at_his_very_turn_leaves_it_to_the_next() -> None:
    """Between the turn and hearing of it there is a moment in which somebody can be cancelled."""
    told: list[tuple[str, float]] = []

    async def main() -> None:
        rate = Rate(2.0)
        waiting = queue(rate, "abc", told)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(0.5, waiting[1].cancel)
        await asyncio.wait(waiting)

    run(main())

    assert told == [("a", 0.0), ("c", 0.5)]


@pytest.mark.parametrize("others", ["", "bc"])
def test_a_turn_that_was_not_used_is_the_next_ones(others: str) -> None:
    """Whether somebody waits for it already, or comes later."""
    told: list[tuple[str, float]] = []

    async def main() -> None:
        rate = Rate(2.0)
        await rate.turn()
        waiting = queue(rate, others, told)
        await asyncio.sleep(0.1)
        rate.give_back()
        await asyncio.wait([*waiting, *queue(rate, "d", told)])

    run(main())

    assert [name for name, _ in told] == [*others, "d"]
    assert told[0][1] == pytest.approx(0.1)
    assert [after - before for (_, before), (_, after) in pairwise(told)] == pytest.approx([0.5] * len(others))


def test_what_a_blocked_event_loop_has_missed_is_no_burst() -> None:
    """Turns go on at their rate; a timer that is a little late delays nobody after it."""
    told: list[tuple[str, float]] = []

    async def main() -> None:
        rate = Rate(10.0)
        waiting = queue(rate, "abcdefghij", told)
        await asyncio.sleep(0.05)
        stand_still(5.0)
        await asyncio.sleep(0.23)
        stand_still(0.1)
        await asyncio.wait(waiting)

    run(main())

    assert [at for _, at in told] == pytest.approx([0.0, 5.05, 5.05, 5.15, 5.25, 5.38, 5.45, 5.55, 5.65, 5.75])


# --- in a client ---


Tell = Callable[[str, int], CallbackResult]


def asked(main: Any, tell: Tell) -> tuple[Any, list[float]]:
    """Return what comes of *main* at a relay that answers the name and number of each request, and when they came."""
    times: list[float] = []

    def answer(url: Any, **_: Any) -> CallbackResult:
        times.append(now())
        return tell(url.path.rpartition("/")[2], len(times))

    with aioresponses() as relay:
        relay.get(re.compile(RELAY), callback=answer, repeat=True)
        return run(main()), times


def pending(name: str, _: int = 0) -> CallbackResult:
    """Answer that the task is under way."""
    return CallbackResult(payload={"id": name, "state": "pending"})


def redirects(most: float) -> Tell:
    """Return what redirects so many requests to the same address."""

    def tell(name: str, number: int) -> CallbackResult:
        return CallbackResult(status=307, headers={"Location": name}) if number <= most else pending(name)

    return tell


def test_waits_that_are_cancelled_leave_no_hole() -> None:
    """A hundred that have left at five requests a second are not waited for, for twenty seconds."""

    async def main() -> None:
        async with LumaClient(RELAY, KEY, limits=Limits(requests_per_second=5), batch="never") as luma:
            waits = [asyncio.create_task(luma.wait_until_done(f"task-{number}")) for number in range(100)]
            await asyncio.sleep(1.5)
            for wait in waits:
                wait.cancel()
            await luma.get_generation("fresh")

    _, times = asked(main, pending)

    assert times[-1] == pytest.approx(1.6, abs=0.11)


def test_a_turn_of_one_who_meets_a_cool_down_is_left_to_another() -> None:
    """Who had to stop between his turn and his request has not used it."""

    async def main() -> None:
        limits = Limits(requests_per_second=0.1)
        async with LumaClient(RELAY, KEY, limits=limits, batch="never", polling=PollPolicy(min_interval=2.0)) as luma:
            await luma.wait_all(["a", "b", "c"], timeout=65.0)

    def tell(name: str, number: int) -> CallbackResult:
        return CallbackResult(status=429) if number == 2 else pending(name)

    _, times = asked(main, tell)

    assert [after - before for before, after in pairwise(times)] == pytest.approx([10.0] * 6)


def test_redirects_are_requests_and_their_waiting_is_not_the_requests_time() -> None:
    """Three redirects at one request in two seconds take six, though a request may take one."""

    async def main() -> Generation:
        limits = Limits(requests_per_second=0.5, request_timeout=1.0)
        async with LumaClient(RELAY, KEY, limits=limits, batch="never") as luma:
            return await luma.get_generation("a")

    seen, times = asked(main, redirects(3))

    assert seen.id == "a"
    assert times == pytest.approx([0.0, 2.0, 4.0, 6.0])


def test_redirects_without_end_wait_for_no_turn_that_they_do_not_take() -> None:
    """The sixth is refused, and another request may go out when it would have."""

    async def main() -> float:
        async with LumaClient(RELAY, KEY, limits=Limits(requests_per_second=0.5), batch="never") as luma:
            with pytest.raises(ProtocolError, match="too often"):
                await luma.get_generation("a")
            at = now()
            await luma.get_generation("b")
            return at

    at, times = asked(main, redirects(6))

    assert at == pytest.approx(10.0)
    assert times == pytest.approx([0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0])


async def fails(kind: type[LumaError], *, deadline: float = math.inf, closes_at: float = math.inf) -> float:
    """Send a request, one in ten seconds being allowed, and return when it has failed so."""
    limits = Limits(requests_per_second=0.1, request_timeout=1.0)
    settings = Settings.load(RELAY, KEY, limits, environ={})
    transport = Transport(settings, Network(), Cooldown(PollPolicy(), is_open=True))

    async def request() -> None:
        with pytest.raises(kind):
            await transport.exchange(Request("GET", "/luma/generations/a"), lambda _: None, deadline=lambda: deadline)

    async with asyncio.TaskGroup() as group:
        requested = group.create_task(request())
        await asyncio.wait([requested], timeout=min(closes_at, 100.0))
        ended = now()
        await transport.aclose()
    return ended


@pytest.mark.parametrize(
    ("kind", "ends"),
    [(RequestTimeoutError, {"deadline": 5.0}), (ClientClosedError, {"closes_at": 5.0})],
    ids=["the deadline", "closing"],
)
def test_a_redirect_that_waits_for_its_turn_is_ended_at_once(kind: type[LumaError], ends: dict[str, float]) -> None:
    """By the deadline or by closing, though not by the request's own time."""
    ended, times = asked(lambda: fails(kind, **ends), redirects(9))

    assert ended == pytest.approx(5.0)
    assert times == [0.0]


def test_the_requests_own_time_goes_on_after_a_redirect() -> None:
    """What it took before counts, and what it takes after that."""

    async def main() -> float:
        return await fails(RequestTimeoutError)

    async def slow(url: Any, **_: Any) -> CallbackResult:
        await asyncio.sleep(0.7)
        return redirects(9)(url.path.rpartition("/")[2], 1)

    with aioresponses() as relay:
        relay.get(re.compile(RELAY), callback=slow, repeat=True)

        assert run(main()) == pytest.approx(10.3)
