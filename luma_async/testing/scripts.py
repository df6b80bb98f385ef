"""The script of a simulated task: its states over time, and the details of its answers."""

from __future__ import annotations

from math import inf
from typing import TypedDict, Unpack

from attrs import evolve, field, frozen, validators

from luma_async._relay.search import state_of
from luma_async.models import State


def _passing(_: object, __: object, seconds: float) -> None:
    if not 0 <= seconds < inf:
        raise ValueError(f"a state cannot last {seconds} seconds: give the final state without seconds")


@frozen
class Step:
    """A state that lasts for a time."""

    state: str
    """The relay's word; any word is allowed, known or not."""
    seconds: float = field(validator=_passing)
    """Relay seconds until the next state."""


@frozen(kw_only=True)
class Moment:
    """The point that a script has reached at one time."""

    word: str
    progress: float
    """From 0 to 1."""
    has_links: bool

    @property
    def state(self) -> State:
        """The state that the word means to a client."""
        return state_of(self.word)


class Details(TypedDict, total=False):
    """Keyword arguments for every script, besides its states."""

    failure_reason: str | None
    prompt: str
    aspect_ratio: str
    links_after: float
    watermarked_only: bool


@frozen(kw_only=True)
class Script:
    """The script of one simulated task: states that pass, and a final state that stays.

    Times are relay seconds: a relay with ``speed=50`` plays a script of five seconds in a tenth of a second.

    Raises:
        ValueError: A step takes a negative or infinite time.
    """

    steps: tuple[Step, ...] = ()
    final: str = "completed"
    """The last word, which stays forever; if it is not terminal, the task never ends."""
    failure_reason: str | None = None
    """The reason of a failed generation; None for a relay that gives no reason."""
    prompt: str = "a sunrise, timelapse"
    aspect_ratio: str = "16:9"
    links_after: float = field(default=0.0, validator=validators.ge(0))
    """Relay seconds from *completed* to the first link (contract section 1); ``math.inf`` for a task without links."""
    watermarked_only: bool = False
    """Whether the answer has only ``video.url``, so that the clean link needs its own request."""

    @classmethod
    def of(cls, *states: tuple[str, float] | str, **details: Unpack[Details]) -> Script:
        """Build a script of (state, relay seconds) pairs and a final word; without one, it is ``completed``.

        Raises:
            ValueError: A word without seconds is not the last one.
        """
        *passing, final = states if states and isinstance(states[-1], str) else (*states, "completed")
        steps = tuple(Step(*state) for state in passing if not isinstance(state, str))
        if len(steps) < len(passing) or not isinstance(final, str):
            raise ValueError("only the last state can be without seconds")
        return cls(steps=steps, final=final, **details)

    @classmethod
    def completes(cls, *, pending: float = 2.0, processing: float = 3.0, **details: Unpack[Details]) -> Script:
        """Build the usual script: pending, processing, completed."""
        return cls.of(("pending", pending), ("processing", processing), "completed", **details)

    @classmethod
    def fails(
        cls, *, reason: str | None = "the prompt was refused", after: float = 3.0, **details: Unpack[Details]
    ) -> Script:
        """Build a script that ends in ``failed`` after *after* relay seconds of processing."""
        return evolve(cls.of(("processing", after), "failed", **details), failure_reason=reason)

    @property
    def duration(self) -> float:
        """Relay seconds until the final word."""
        return sum(step.seconds for step in self.steps)

    @property
    def starts_after(self) -> float:
        """Relay seconds until the first state that is not pending."""
        return sum(step.seconds for step in self.steps if state_of(step.state) is State.PENDING)

    def at(self, age: float) -> Moment:
        """Return the point of the script at *age* relay seconds after the task was registered.

        A negative age counts as 0: a request may have been under way when its task was registered.
        """
        age, end = max(0.0, age), 0.0
        for step in self.steps:
            end += step.seconds
            if age < end:
                return Moment(word=step.state, progress=age / self.duration, has_links=False)
        completed = state_of(self.final) is State.COMPLETED
        return Moment(word=self.final, progress=1.0, has_links=completed and age >= self.duration + self.links_after)
