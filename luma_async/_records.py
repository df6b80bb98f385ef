"""An outcome as one line of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf
from typing import Any

from luma_async._checks import link_or_none
from luma_async._relay.documents import NotJSONError, _check, _decoder
from luma_async._text import shown, spelled
from luma_async.errors import LumaError, UncertainSubmitError
from luma_async.models import Generation, State
from luma_async.outcomes import Outcome


def outcome_line(outcome: Outcome, made: Generation | None = None) -> str:
    """Return *outcome* as one line of ASCII JSON: the schema of the command line and the journal.

    Where its error left a generation unharmed, such as one that could not be stored, *made* is that generation.
    """
    done, error = outcome.generation or made, outcome.error
    last: Generation | None = done or getattr(error, "generation", None) or getattr(error, "last", None)
    record = {
        "task_id": _as_text(outcome.task_id),
        "state": last.state if last else None,
        "video_url": last.video_url if last else None,
        "error": _told(error),
        "elapsed": round(outcome.elapsed, 3),
        "polls": outcome.polls,
        "generation": last.raw if last else None,
    }
    return json.dumps(record, allow_nan=False)


def submission_line(prompt: str, task_id: str | None, error: LumaError | None) -> str:
    """Return what became of a submit as one line of ASCII JSON: the schema of ``luma-async submit``."""
    return json.dumps({"prompt": prompt, "task_id": task_id, "error": _told(error)})


def _told(error: LumaError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    told = {"type": type(error).__name__, "message": str(error), "retryable": error.retryable}
    if isinstance(error, UncertainSubmitError):
        return {**told, "body": shown(error.body, 500), "candidates": list(error.candidates)}
    return told


def read_line(line: bytes) -> dict[str, Any]:
    """Return the fields of a line that ``outcome_line`` made.

    Raises:
        NotJSONError: It is no such line, or not a whole one.
    """
    try:
        record = _decoder.decode(line.decode())
        _check(record, deepest=inf)
    except (RecursionError, ValueError):
        raise NotJSONError("no JSON") from None
    if not isinstance(record, dict) or not all(key in record and fits(record[key]) for key, fits in _LINE.items()):
        raise NotJSONError("no outcome")
    return record


_LINE: dict[str, Callable[[Any], bool]] = {
    "task_id": lambda value: isinstance(value, str),
    "state": lambda value: value is None or value in list(State),
    "video_url": lambda value: value is None or link_or_none(value) is not None,
    "error": lambda value: value is None or (isinstance(value, dict) and _has_texts(value, "type", "message")),
    "elapsed": lambda value: isinstance(value, int | float),
    "polls": lambda value: isinstance(value, int),
    "generation": lambda value: value is None or isinstance(value, dict),
}
"""What makes a line an outcome."""


def _has_texts(value: dict[str, Any], *keys: str) -> bool:
    return all(isinstance(value.get(key), str) for key in keys)


def _as_text(task_id: object) -> str:
    """Return what the caller passed, however odd, as text."""
    return task_id if isinstance(task_id, str) else spelled(task_id)
