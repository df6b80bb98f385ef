"""What a task id is."""

from __future__ import annotations

import re
from collections.abc import (
    AsyncIterable,
    Hashable,
    Iterable,
)
from typing import Any

from luma_async._text import exactly, shown, spelled
from luma_async.errors import ConfigurationError

# --- what to ask ---
_TASK_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


def check_task_id(task_id: object) -> str:
    """Return *task_id* if it can stand in a path as it is (RFC 3986, unreserved characters).

    Raises:
        ConfigurationError: Anything else; nothing has been sent then.
    """
    if isinstance(task_id, str) and is_task_id(task_id):
        return exactly(task_id)
    raise ConfigurationError(
        f"{shown(spelled(task_id), 80)} is no task id",
        advice="a task id has 1 to 128 letters, digits, '-', '_', '.' or '~': give it as the submit call returned it",
    )


def is_task_id(text: str) -> bool:
    return _TASK_ID.fullmatch(text) is not None and text not in (".", "..")


Ids = Iterable[str] | AsyncIterable[str]


def checked_ids(task_ids: Any) -> Ids:
    """Return *task_ids* if it can be a collection or stream of ids.

    Raises:
        ConfigurationError: A single string or bytes would be read letter by letter.
    """
    if isinstance(task_ids, str | bytes | bytearray) or not isinstance(task_ids, Iterable | AsyncIterable):
        raise ConfigurationError(
            f"task_ids is a single {type(task_ids).__name__}", advice="give a list of task ids, even for one"
        )
    return task_ids


def identity_of(task_id: Any) -> Hashable:
    """Return what makes two asked-for ids the same one, however odd they are."""
    return exactly(task_id) if isinstance(task_id, str) else (type(task_id), spelled(task_id))
