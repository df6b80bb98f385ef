"""Backoff by tenacity: the growing pauses of a policy, and the loop that repeats a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import random
from typing import Any, TypeVar, cast

from attrs import define, field
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_exponential

from luma_async.errors import LumaError
from luma_async.settings import PollPolicy

T = TypeVar("T")

JITTER = 0.2
"""Jitter to either side, as a share of the pause: ids that started together drift apart."""


@define(eq=False, repr=False)
class Backoff:
    """The pauses of one policy, in seconds. A step is the number of polls in a row, from 1."""

    policy: PollPolicy
    randomness: Callable[[], float] = random
    """Draws the jitter, from 0 to 1."""
    _growth: wait_exponential = field(init=False)
    _attempt: RetryCallState = field(init=False)
    _grown: dict[int, float] = field(factory=dict, init=False)
    """A cache: pauses stop growing after a few steps."""

    def __attrs_post_init__(self) -> None:
        policy = self.policy
        self._growth = wait_exponential(
            multiplier=policy.initial_interval, exp_base=float(policy.multiplier), max=policy.max_interval
        )
        self._attempt = RetryCallState(retry_object=cast("Any", None), fn=None, args=(), kwargs={})

    def pause(self, step: int) -> float:
        """Return the seconds to pause after the *step*-th poll in a row, jitter included."""
        return self.jittered(self.grown(step))

    def grown(self, step: int) -> float:
        """Return the seconds to pause after the *step*-th poll in a row, without jitter."""
        step = min(step, _ENOUGH_STEPS)
        grown = self._grown.get(step)
        if grown is None:
            self._attempt.attempt_number = step
            grown = self._grown[step] = self._growth(self._attempt)
        return grown

    def jittered(self, pause: float) -> float:
        """Return *pause* with jitter of a fifth to both sides, within the policy's bounds."""
        low, high = spread(self.policy, pause, JITTER)
        return low + (high - low) * self.randomness()


_ENOUGH_STEPS = 1000
"""The pauses of any policy have stopped growing by this step, so the cache needs no later ones."""


def spread(policy: PollPolicy, pause: float, share: float) -> tuple[float, float]:
    """Return the shortest and the longest pause within *share* of *pause*, limited to the bounds of *policy*."""
    low, high = pause * (1 - share), pause * (1 + share)
    shortest, longest = policy.shortest_interval, policy.max_interval
    if low < shortest or high > longest:
        low = min(max(low, shortest), longest)
        high = min(max(high, shortest), longest)
    return low, high


async def repeated(  # noqa: PLR0913 - tenacity's own parts
    call: Callable[[], Awaitable[T]],
    may_repeat: Callable[[LumaError], bool],
    *,
    stop: Callable[[RetryCallState], bool],
    wait: Any,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    before_sleep: Callable[[RetryCallState], Any] | None = None,
) -> T:
    """Call *call*; repeat it as long as *may_repeat* accepts its error and *stop* does not end this.

    Tenacity's loop starts with the first error: building it takes as long as a poll, and most calls need no second try.

    *stop*, *wait*, *sleep* and *before_sleep* are those of tenacity's ``AsyncRetrying``: all but *stop* may be async.

    Raises:
        LumaError: The error of the last call, without tenacity's frames.
    """
    try:
        return await call()
    except LumaError as error:
        attempt = _after(error.with_traceback(None), call)
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, LumaError) and may_repeat(error)),
        stop=stop,
        wait=wait,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except LumaError as error:
        trouble = error
    raise trouble.with_traceback(None)


def _after(first: LumaError, call: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """Return a function that raises *first* at its first call, and then calls *call*."""
    errors = [first]

    async def attempt() -> T:
        if errors:
            raise errors.pop()
        return await call()

    return attempt
