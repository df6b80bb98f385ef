"""What the process's exit status says about the outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

from luma_async.errors import GenerationFailedError, WaitTimeoutError
from luma_async.models import State
from luma_async.outcomes import Outcome


class Status(IntEnum):
    """Exit statuses; each explains itself in ``meaning``."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Make a status that knows what it means."""
        status = int.__new__(cls, value)
        status._value_ = value
        status.meaning = meaning
        return status

    DONE = 0, "every generation completed (`get`: every id was answered, and none has failed)"
    ERROR = 1, "an id ended in an error, `check` found trouble, or standard output could not be written"
    USAGE = 2, "the command, its options, the address or the key cannot work; nothing was asked"
    FAILED = 3, "a generation failed, and nothing worse happened"
    UNFINISHED = 4, "an id was not done in time, and no other error happened; the ids stand on standard error"
    HUNG_UP = 129, "SIGHUP (the terminal was closed); otherwise like 130"
    INTERRUPTED = 130, "SIGINT (Ctrl-C); what was done is out, and what is not done is named on standard error"
    CLOSED_PIPE = 141, "nobody reads standard output any more, as with `| head -1`"
    TERMINATED = 143, "SIGTERM; otherwise like 130"


_WORST_FIRST = (Status.ERROR, Status.UNFINISHED, Status.FAILED)


def fate_of(outcome: Outcome) -> Status:
    """Return the status that *outcome* alone would end the process with."""
    match outcome.error:
        case None:
            failed = outcome.generation is not None and outcome.generation.state is State.FAILED
            return Status.FAILED if failed else Status.DONE
        case GenerationFailedError():
            return Status.FAILED
        case WaitTimeoutError():
            return Status.UNFINISHED
        case _:
            return Status.ERROR


_ENDS: dict[State | None, Status] = {State.COMPLETED: Status.DONE, State.FAILED: Status.FAILED}


def fate_in(state: State | None) -> Status:
    """Return the status for an id that an earlier run saw end in *state*; None: the relay knew no such task."""
    return _ENDS.get(state, Status.ERROR)


def worst(fates: Iterable[Status]) -> Status:
    """Return the status for all of *fates* together."""
    met = set(fates)
    return next((status for status in _WORST_FIRST if status in met), Status.DONE)
