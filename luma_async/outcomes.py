"""The result for one task id, or for one prompt."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from attrs import frozen

from luma_async.errors import LumaError
from luma_async.models import Generation, State


@frozen(kw_only=True)
class GenerateResult:
    """The result of ``LumaClient.generate``."""

    generation: Generation
    path: Path | None = None
    """The stored video; None if it was not to be stored."""

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return self.generation.id


@frozen(kw_only=True)
class Outcome:
    """The result for one task id: exactly one of *generation* and *error* is set."""

    task_id: str
    """The id from the caller, unchanged, even if it is invalid."""
    generation: Generation | None = None
    error: LumaError | None = None
    elapsed: float = 0.0
    """Seconds since the wait for the id started."""
    polls: int = 0
    """Polls of the id in that time."""

    def __attrs_post_init__(self) -> None:
        if (self.generation is None) == (self.error is None):
            raise TypeError("an Outcome needs either a generation or an error")

    @property
    def ok(self) -> bool:
        """Whether there is a generation, and it has not failed."""
        return self.generation is not None and self.generation.state is not State.FAILED

    def unwrap(self) -> Generation:
        """Return the generation, also a failed one.

        Raises:
            LumaError: The error, where there is no generation.
        """
        if self.error is not None:
            raise self.error
        return cast("Generation", self.generation)
