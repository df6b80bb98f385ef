"""What became of one task id, or of one prompt."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from attrs import frozen

from luma_async.errors import LumaError
from luma_async.models import Generation


@frozen(kw_only=True)
class GenerateResult:
    """What ``LumaClient.generate`` has made."""

    generation: Generation
    path: Path | None = None
    """Where the video is, if it was to be stored."""

    @property
    def task_id(self) -> str:
        """The id that the relay gave it."""
        return self.generation.id


@frozen(kw_only=True)
class Outcome:
    """What became of one task id: exactly one of *generation* and *error* is set."""

    task_id: str
    """What the caller passed, unchanged, however odd."""
    generation: Generation | None = None
    error: LumaError | None = None
    elapsed: float = 0.0
    """Seconds, from when the id was taken up."""
    polls: int = 0
    """How often the relay was asked in that time."""

    def __attrs_post_init__(self) -> None:
        if (self.generation is None) == (self.error is None):
            message = "an Outcome has either a generation or an error"
            raise TypeError(message)

    @property
    def ok(self) -> bool:
        """Whether there is a generation and no error."""
        return self.error is None

    def unwrap(self) -> Generation:
        """Return the generation.

        Raises:
            LumaError: The error, if there is one.
        """
        if self.error is not None:
            raise self.error
        return cast("Generation", self.generation)
