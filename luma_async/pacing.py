"""When to ask again, as a tenacity strategy."""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING, Any, Protocol, cast

from attrs import Attribute, field, frozen
from tenacity.wait import wait_base

from luma_async.errors import ConfigurationError
from luma_async.settings import number

if TYPE_CHECKING:
    from tenacity import Future, RetryCallState

_JITTER = 0.2
"""Share of a pause by which it varies to either side, so that ids that started together drift apart."""

_STEEPEST = 100
_ENOUGH_STEPS = 64
"""Growth stops here: a float would overflow later."""


def _strategy(_: Any, __: Attribute[Any], value: Any) -> None:
    if value is not None and not callable(value):
        raise ConfigurationError(
            "PollPolicy(wait=...) is no tenacity strategy", advice="give one, such as wait_fixed(5)"
        )


@frozen(kw_only=True)
class PollPolicy:
    """How often to ask, and when to give up on a relay in trouble. Checked when made.

    Raises:
        ConfigurationError: A field is out of range, or not ``0 < min_interval <= initial <= maximum``.
    """

    initial: float = field(default=2.0, validator=number(above=0))
    """Seconds before the second look: no relay knows more earlier (contract section 5)."""
    maximum: float = field(default=15.0, validator=number(above=0))
    """Seconds between two looks at most: gateways themselves ask upstream about every 15."""
    multiplier: float = field(default=1.5, validator=number(above=0))
    """What each pause is multiplied by, 1 to 100; 1.5 goes from 2 to 15 seconds in five steps."""
    min_interval: float = field(default=2.0, validator=number(above=0))
    """Seconds between two looks at least, whatever a strategy, a deadline or a newcomer wants."""
    max_consecutive_failures: int = field(default=10, validator=number(above=0, whole=True))
    """Failed looks in a row before a wait gives up; all of ``max_outage`` must have passed too."""
    max_outage: float = field(default=120.0, validator=number(above=0))
    """Seconds of unbroken trouble before a wait gives up; a gateway's restart takes less."""
    wait: Callable[[RetryCallState], float] | None = field(default=None, validator=_strategy)
    """Any tenacity strategy instead of ours; ``min_interval`` and the relay's hints still hold."""

    def __attrs_post_init__(self) -> None:
        if not self.min_interval <= self.initial <= self.maximum:
            raise ConfigurationError(
                f"PollPolicy(min_interval={self.min_interval:g}, initial={self.initial:g}, maximum={self.maximum:g})"
                " is out of order",
                advice="min_interval <= initial <= maximum is needed",
            )
        if not 1 <= self.multiplier <= _STEEPEST:
            raise ConfigurationError(
                f"PollPolicy(multiplier={self.multiplier:g}) is out of range", advice=f"give 1 to {_STEEPEST}"
            )

    def backoff(self, step: int, randomness: Callable[[], float] = random) -> float:
        """Return the seconds to pause after the *step*-th time in a row (from 1), jitter included."""
        grown = self.initial * self.multiplier ** min(step - 1, _ENOUGH_STEPS)
        return self.jittered(min(self.maximum, grown), randomness)

    def jittered(self, pause: float, randomness: Callable[[], float] = random) -> float:
        """Spread *pause* to both sides, within ``min_interval`` and ``maximum``."""
        edges = (pause * (1 - _JITTER), pause * (1 + _JITTER))
        low, high = (min(max(edge, self.min_interval), self.maximum) for edge in edges)
        return low + (high - low) * randomness()


class Paced(Protocol):
    """What a strategy needs to know of a look: tenacity's own attempt number counts good and failed ones alike."""

    @property
    def good(self) -> int:
        """Good looks so far."""
        ...

    @property
    def failures(self) -> int:
        """Failed looks in a row, this one included; 0 after a good one."""
        ...

    @property
    def hint(self) -> float | None:
        """Seconds the relay asked to be left alone."""
        ...


class PollWait(wait_base):
    """The pause after a look: the policy's backoff, or the user's strategy; never below the relay's hint.

    After a failed look it is never shorter than after a good one: an outage must not make the load grow.
    """

    def __init__(self, policy: PollPolicy, randomness: Callable[[], float] = random) -> None:
        self._policy = policy
        self._randomness = randomness

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return seconds."""
        outcome = cast("Future", retry_state.outcome)  # there is one by the time tenacity wants to wait
        look: Paced = outcome.result()
        return max(self._policy.min_interval, look.hint or 0.0, self._wanted(look, retry_state))

    def _wanted(self, look: Paced, retry_state: RetryCallState) -> float:
        if self._policy.wait is not None:
            return self._policy.wait(retry_state)
        good_pace = self._policy.backoff(max(look.good, 1), self._randomness)
        if not look.failures:
            return good_pace
        return max(good_pace, self._policy.backoff(look.failures, self._randomness))
