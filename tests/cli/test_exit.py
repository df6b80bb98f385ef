"""Exit statuses, as a table."""

from __future__ import annotations

import pytest

from luma_async import (
    DownloadError,
    Generation,
    GenerationFailedError,
    LumaError,
    Outcome,
    State,
    TransportError,
    WaitTimeoutError,
)
from luma_async.cli.exit import Status, status_of, worst

COMPLETED = Generation(id="a", state=State.COMPLETED, state_text="completed")
PENDING = Generation(id="a", state=State.PENDING, state_text="queued")
FAILED = Generation(id="a", state=State.FAILED, state_text="failed")


@pytest.mark.parametrize(
    ("generation", "error", "fate"),
    [
        (COMPLETED, None, Status.DONE),
        (PENDING, None, Status.DONE),
        (FAILED, None, Status.FAILED),
        (None, GenerationFailedError(FAILED), Status.FAILED),
        (None, WaitTimeoutError("a", waited=1.0, last=None, last_error=None), Status.UNFINISHED),
        (None, TransportError("no answer"), Status.ERROR),
        (None, DownloadError("no room", reason="disk"), Status.ERROR),
    ],
)
def test_each_outcome_has_one_fate(generation: Generation | None, error: LumaError | None, fate: Status) -> None:
    """A failed generation is told from an error, and an id that was not done in time from both."""
    assert status_of(Outcome(task_id="a", generation=generation, error=error)) is fate


@pytest.mark.parametrize(
    ("fates", "status"),
    [
        ([], 0),
        ([Status.DONE, Status.DONE], 0),
        ([Status.DONE, Status.FAILED], 3),
        ([Status.FAILED, Status.UNFINISHED, Status.DONE], 4),
        ([Status.FAILED, Status.UNFINISHED, Status.ERROR], 1),
        ([Status.ERROR, Status.DONE], 1),
    ],
)
def test_an_error_outweighs_unfinished_which_outweighs_failed(fates: list[Status], status: int) -> None:
    """The worst fate makes the status, and the order of worst is 1, 4, 3, 0."""
    assert worst(fates) == status


def test_every_status_says_what_it_means() -> None:
    """No two exit statuses mean the same, and none is without words."""
    meanings = {status.meaning for status in Status}

    assert len(meanings) == len(Status)
    assert all(meanings)
