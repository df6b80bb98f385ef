"""Waits are driven by tenacity's own strategies, and see its genuine state; ours is a strategy like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
import tenacity
from attrs import evolve
from tenacity import AsyncRetrying, Future, RetryCallState, retry_if_exception_type, retry_if_result, stop_after_attempt
from tenacity.wait import wait_base

from luma_async import PollPolicy, RateLimitError, State
from luma_async._waiting.batching import Batcher
from luma_async._waiting.controller import StillRunning
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.polls import PollLoops
from tests.kit import limited
from tests.virtual_time import run
from tests.waiting.test_polls import COMPLETED, ID, PENDING, PROCESSING, Script, outage

STRATEGIES: dict[str, Callable[[], wait_base]] = {
    "wait_none": tenacity.wait_none,
    "wait_fixed": lambda: tenacity.wait_fixed(3),
    "wait_random": lambda: tenacity.wait_random(2, 4),
    "wait_combine": lambda: tenacity.wait_combine(tenacity.wait_fixed(1), tenacity.wait_random(1, 2)),
    "wait_chain": lambda: tenacity.wait_chain(tenacity.wait_fixed(2), tenacity.wait_fixed(5)),
    "wait_exception": lambda: tenacity.wait_exception(lambda error: 4.0 if isinstance(error, RateLimitError) else 3.0),
    "wait_incrementing": lambda: tenacity.wait_incrementing(2, 1, 9),
    "wait_exponential": lambda: tenacity.wait_exponential(multiplier=2, max=10),
    "wait_random_exponential": lambda: tenacity.wait_random_exponential(multiplier=2, max=10),
    "wait_exponential_jitter": lambda: tenacity.wait_exponential_jitter(max=10),
}
NAMES = {name for name in dir(tenacity) if name.startswith("wait_")} - {"wait_full_jitter"}
"""``wait_full_jitter`` is another name of ``wait_random_exponential``."""


def waited(strategy: Any, *answers: Any) -> list[float]:
    """Return when polls were made of an id whose wait *strategy* paces."""
    script = Script([*answers, COMPLETED])
    policy = PollPolicy(wait=strategy)
    loops = PollLoops(cast("Batcher", script), policy, PollWait(policy, lambda: 0.5))
    outcome = run(loops.wait(ID, 600.0))
    assert outcome.ok
    return script.at


def test_no_strategy_of_tenacitys_is_forgotten() -> None:
    """A new one in a later version of tenacity is a failure here."""
    assert {name for name in NAMES if isinstance(getattr(tenacity, name), type)} == set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_of_tenacitys_drives_a_wait(name: str) -> None:
    """Through polls that are not done yet, and polls that fail."""
    at = waited(STRATEGIES[name](), PENDING, outage(), PROCESSING, limited(), PROCESSING)

    assert len(at) == 6
    assert all(2.0 <= round(later - before, 6) <= 16.0 for before, later in pairwise(at))


def test_a_strategy_that_needs_an_exception_is_asked_at_failed_polls_only() -> None:
    """Our own decides at the others; also where it is one of several."""
    wait = tenacity.wait_exception(lambda _: 9.0)

    alone = waited(wait, PENDING, outage())
    combined = waited(wait + tenacity.wait_fixed(1), PENDING, outage())

    assert [alone[1], alone[2] - alone[1]] == pytest.approx([2.2, 9.0])
    assert [combined[1], combined[2] - combined[1]] == pytest.approx([2.2, 10.0])


def test_a_strategy_sees_the_genuine_state() -> None:
    """A task that is still running is the attempt's result, a failed poll its exception; attempts are counted."""
    seen: list[tuple[Any, ...]] = []

    def strategy(state: RetryCallState) -> float:
        outcome = state.outcome
        assert type(state) is RetryCallState
        assert type(outcome) is Future
        told = outcome.exception() if outcome.failed else outcome.result()
        seen.append((state.attempt_number, outcome.attempt_number, outcome.failed, told, state.idle_for))
        return 3.0

    waited(strategy, PENDING, limited(), PROCESSING)

    first, second, third = seen
    assert first == (1, 1, False, StillRunning(ID, State.PENDING, "pending"), 0.0)
    assert (second[:3], type(second[3]), second[4]) == ((2, 2, True), RateLimitError, 3.0)
    assert third == (3, 3, False, StillRunning(ID, State.PROCESSING, "processing"), 6.0)


def test_an_async_strategy_drives_a_wait() -> None:
    """It is awaited, as tenacity awaits it."""

    async def strategy(state: RetryCallState) -> float:
        await asyncio.sleep(0.5)
        return 2.0 + state.attempt_number

    assert waited(strategy, PENDING, outage()) == pytest.approx([0.0, 3.5, 8.0])


def test_an_async_strategy_that_raises_ends_its_own_wait_alone() -> None:
    """With what it raised."""

    async def strategy(_: RetryCallState) -> float:
        await asyncio.sleep(0)
        raise KeyError("no idea")

    with pytest.raises(KeyError):
        waited(strategy, PENDING)


async def never(_: RetryCallState) -> float:
    """Hang."""
    await asyncio.Event().wait()
    return 0.0


def test_a_new_waiter_does_not_wait_for_an_async_strategy() -> None:
    """It is polled for as soon as the interval allows, and the loop goes on with the next answer."""
    script = Script([PENDING, COMPLETED])

    async def main() -> list[bool]:
        policy = PollPolicy(wait=never)
        loops = PollLoops(cast("Batcher", script), policy, PollWait(policy))
        first = asyncio.create_task(loops.wait(ID, None))
        await asyncio.sleep(10.0)
        return [outcome.ok for outcome in await asyncio.gather(first, loops.wait(ID, None))]

    assert run(main()) == [True, True]
    assert script.at == [0.0, 10.0]


def test_an_async_strategy_that_hangs_holds_up_nobody() -> None:
    """A wait ends at its deadline, and leaves nothing running."""
    policy = PollPolicy(wait=never)
    loops = PollLoops(cast("Batcher", Script([PENDING])), policy, PollWait(policy))

    outcome = run(loops.wait(ID, 5.0))

    assert type(outcome.error).__name__ == "WaitTimeoutError"


# --- ours, in tenacity's own loops ---


def test_ours_paces_a_loop_of_tenacitys() -> None:
    """Its pauses grow with the attempts, and an error's hint is a lower bound."""
    at: list[float] = []
    script = [False, RateLimitError("no", status=429, retry_after=40.0), False, True]

    async def poll() -> bool:
        at.append(asyncio.get_running_loop().time())
        result = script[len(at) - 1]
        if isinstance(result, Exception):
            raise result
        return cast("bool", result)

    async def main() -> bool:
        retrying = AsyncRetrying(
            wait=PollWait(randomness=lambda: 0.5),
            retry=retry_if_result(lambda done: not done) | retry_if_exception_type(RateLimitError),
            stop=stop_after_attempt(9),
        )
        return await retrying(poll)

    assert run(main())
    assert at == pytest.approx([0.0, 2.2, 42.2, 46.7])


def test_ours_keeps_to_a_users_strategy_there_too() -> None:
    """Within the policy's bounds."""
    wait = PollWait(evolve(PollPolicy(), wait=tenacity.wait_fixed(0)))
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.set_result(False)

    assert wait(state) == 2.0
