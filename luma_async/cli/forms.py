"""How results look on standard output: JSON lines, or ids and paths only."""

from __future__ import annotations

from typing import Protocol

from attrs import evolve, frozen

from luma_async._records import NO_FILES, OutcomeRecord, StoredFiles, submission_line
from luma_async._text import shown
from luma_async.cli.exit import Status, status_of
from luma_async.cli.output import in_option_names, say
from luma_async.errors import LumaError
from luma_async.models import State
from luma_async.outcomes import Outcome

_LONGEST_ID = 2000
"""Characters; an id is only useful as a whole."""


class Form(Protocol):
    """How results look on standard output; an empty text writes nothing."""

    def outcome(self, outcome: Outcome, stored: StoredFiles = NO_FILES) -> str:
        """Return the text for *outcome*, whose media were *stored*."""
        ...

    def submission(self, prompt: str, task_id: str | None, error: LumaError | None, name: str | None = None) -> str:
        """Return the text for a submit; *name* is the user's own."""
        ...


@frozen
class JsonForm:
    """One line of JSON for each result."""

    brief: bool = False
    """Whether the relay's answers are left out."""

    def outcome(self, outcome: Outcome, stored: StoredFiles = NO_FILES) -> str:
        """As of ``Form``."""
        record = OutcomeRecord.of(outcome, stored)
        if record.error is not None:
            error = evolve(record.error, message=in_option_names(record.error.message))
            record = evolve(record, error=error)
        return f"{record.line(brief=self.brief)}\n"

    def submission(self, prompt: str, task_id: str | None, error: LumaError | None, name: str | None = None) -> str:
        """As of ``Form``."""
        return f"{submission_line(prompt, task_id, error, name, in_option_names)}\n"


@frozen
class QuietForm:
    """The paths of all stored files; where none are stored, the id of each completed generation or taken submit."""

    has_files: bool = False
    waits: bool = True
    """Whether ids are waited for, so that a submit is not the end."""

    def outcome(self, outcome: Outcome, stored: StoredFiles = NO_FILES) -> str:
        """As of ``Form``; errors go to standard error, but for ids that are named at the end."""
        if outcome.error is not None and status_of(outcome) is not Status.UNFINISHED:
            say(in_option_names(str(outcome.error)))
        if outcome.error is not None or self.has_files:
            return "".join(f"{file.path}\n" for file in stored.values() if file)
        is_completed = outcome.generation is not None and outcome.generation.state is State.COMPLETED
        return f"{shown(outcome.task_id, _LONGEST_ID)}\n" if is_completed else ""

    def submission(self, prompt: str, task_id: str | None, error: LumaError | None, name: str | None = None) -> str:
        """As of ``Form``."""
        if error is not None:
            say(f"{shown(name or prompt)}: {in_option_names(str(error))}")
        return "" if self.waits or task_id is None else f"{task_id}\n"
