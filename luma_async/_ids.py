"""Checks task ids, and collections of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Hashable, Iterable
from typing import Any

from luma_async._text import plain_str, shown, spelled
from luma_async.errors import ConfigurationError

_TASK_ID = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@]{1,1024}")
"""What one segment of a path can hold without escapes (RFC 3986, section 3.3)."""
Ids = Iterable[str] | AsyncIterable[str]


def check_task_id(task_id: object) -> str:
    """Return *task_id* if a segment of a path can hold it as it is, else raise our error."""
    if isinstance(task_id, str) and is_task_id(task_id):
        return plain_str(task_id)
    raise ConfigurationError(
        f"{shown(spelled(task_id), 80)} is not a task id",
        advice="a task id has 1 to 1,024 letters, digits or -._~!$&'()*+,;=:@ : give it as the submit call returned it",
    )


def is_task_id(text: str) -> bool:
    return _TASK_ID.fullmatch(text) is not None and text not in (".", "..")


def checked_ids(task_ids: Any) -> Ids:
    """Return *task_ids* if it is a collection or stream; a single string or bytes would be read letter by letter."""
    if isinstance(task_ids, str | bytes | bytearray) or not isinstance(task_ids, Iterable | AsyncIterable):
        raise ConfigurationError(
            f"task_ids is a single {type(task_ids).__name__}", advice="give a list of task ids, even for one"
        )
    return task_ids


def identity_of(task_id: Any) -> Hashable:
    """Return a key that is equal for two ids that are the same, even if they are invalid."""
    return plain_str(task_id) if isinstance(task_id, str) else (type(task_id), spelled(task_id))
