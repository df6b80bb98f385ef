"""The exit statuses, and which of them outcomes lead to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

from luma_async.errors import GenerationFailedError, WaitTimeoutError
from luma_async.models import State
from luma_async.outcomes import Outcome


class Status(IntEnum):
    """Exit statuses, each with its ``meaning``."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Make a status with its meaning."""
        status = int.__new__(cls, value)
        status._value_, status.meaning = value, meaning
        return status

    DONE = 0, "every generation completed (`get`: every id was answered, and none has failed)"
    ERROR = 1, "an id or a program ended in an error, `check` found trouble, or standard output could not be written"
    USAGE = 2, "the command, its options, the address or the key cannot work; no request was sent"
    FAILED = 3, "a generation failed, and nothing worse happened"
    UNFINISHED = 4, "an id was not done in time, and no other error happened; standard error names the ids"
    HUNG_UP = 129, "SIGHUP (the terminal was closed); otherwise like 130"
    INTERRUPTED = 130, "SIGINT (Ctrl-C); results so far are written, and standard error names what is not done"
    CLOSED_PIPE = 141, "standard output is closed, as with `| head -1`"
    TERMINATED = 143, "SIGTERM; otherwise like 130"


def status_of(outcome: Outcome) -> Status:
    """Return the exit status for *outcome* alone."""
    if isinstance(outcome.error, WaitTimeoutError):
        return Status.UNFINISHED
    has_failed = outcome.generation is not None and outcome.generation.state is State.FAILED
    if has_failed or isinstance(outcome.error, GenerationFailedError):
        return Status.FAILED
    return Status.DONE if outcome.error is None else Status.ERROR


def status_of_state(state: State | None) -> Status:
    """Return the status for an id that ended in *state* in an earlier run; None: the relay did not know the task."""
    if state is State.COMPLETED:
        return Status.DONE
    return Status.FAILED if state is State.FAILED else Status.ERROR


def worst(statuses: Iterable[Status]) -> Status:
    """Return the status for all of *statuses* together."""
    met = set(statuses)
    return next((worse for worse in (Status.ERROR, Status.UNFINISHED, Status.FAILED) if worse in met), Status.DONE)
