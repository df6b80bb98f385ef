"""How ids have ended: their counts, and why some of them failed."""

from __future__ import annotations

import re
from collections import Counter

from attrs import define, field

from luma_async._text import shown
from luma_async.cli.exit import Status, status_of
from luma_async.cli.output import in_option_names
from luma_async.errors import APIError, DownloadError, GenerationFailedError, LumaError
from luma_async.outcomes import Outcome

_WORDS = {
    Status.DONE: "completed",
    Status.FAILED: "failed",
    Status.UNFINISHED: "not done",
    Status.ERROR: "error",
}
_AGAIN = "submitted again"
_LONGEST_REASON = 100
"""Characters: a summary should be short, and a thousand reasons should need little memory."""
_ID = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{12,}|\b(?=[a-z]*[0-9])[0-9a-z]{20,}\b", re.IGNORECASE
)
"""A UUID, a number such as a request id of new-api, or another id of letters and digits."""

_SHORTEST_ID = 4
"""Characters; a shorter one may be any word of the text, or its HTTP status."""


def reason_of(error: LumaError) -> str:
    """Return in a few words why an id failed; the same text for all ids with the same reason, without their ids."""
    if isinstance(error, DownloadError):
        return f"not stored: {error.reason}"
    if isinstance(error, GenerationFailedError):
        text = error.reason or "the relay gave no reason"
    else:
        text = in_option_names(error.summary)
    named = (error.task_id, error.request_id if isinstance(error, APIError) else None)
    for own in named:
        if own is not None and len(own) >= _SHORTEST_ID:
            text = re.sub(rf"(?<!\w){re.escape(own)}(?!\w)", "...", text)
    return shown(_ID.sub("...", text), _LONGEST_REASON)


def word_of(status: Status, outcome: Outcome) -> str:
    """Return how an id ended, in one or two words; of one that was only polled, its state."""
    if status is Status.DONE and outcome.generation is not None:
        return shown(outcome.generation.state, 12)
    return _WORDS[status]


@define(eq=False)
class Ends:
    """How ids have ended, in this run or before."""

    statuses: Counter[Status] = field(factory=Counter, init=False)
    words: Counter[str] = field(factory=Counter, init=False)
    """The number of ids that ended with each word."""
    reasons: Counter[tuple[Status, str]] = field(factory=Counter, init=False)
    """Why ids failed or ended in errors."""
    unfinished: list[str] = field(factory=list, init=False)
    """Ids that were not done in time."""
    skipped: int = field(default=0, init=False)
    """Ids that had ended before this run."""
    has_generation: bool = field(default=False, init=False)
    """Whether any id ended with a generation."""

    def skip(self, status: Status, *, is_followed: bool) -> None:
        """Count an id that had ended with *status* before this run; see ``count``."""
        self.words[_AGAIN if is_followed else _WORDS[status]] += 1
        if not is_followed:
            self.statuses[status] += 1
            self.skipped += 1

    def count(self, outcome: Outcome, *, is_followed: bool) -> Status:
        """Count *outcome* and return its status; one that *is_followed* by another id does not count at the end."""
        self.has_generation = self.has_generation or outcome.generation is not None
        status = status_of(outcome)
        if is_followed:
            self.words[_AGAIN] += 1
            return status
        self.statuses[status] += 1
        self.words[word_of(status, outcome)] += 1
        if status is Status.UNFINISHED:
            self.unfinished.append(outcome.task_id)
        elif outcome.error is not None:
            self.reasons[status, reason_of(outcome.error)] += 1
        return status

    def count_submit(self, error: LumaError | None) -> None:
        """Count a row that has an *error*, or an id that is not waited for."""
        status = Status.DONE if error is None else Status.ERROR
        self.statuses[status] += 1
        self.words["submitted" if error is None else _WORDS[status]] += 1
        if error is not None:
            self.reasons[status, reason_of(error)] += 1
