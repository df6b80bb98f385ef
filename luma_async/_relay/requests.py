"""Paths and bodies of the requests to a relay (contract sections 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from luma_async._relay.documents import encoded


def task_path(task_id: str) -> str:
    """Return the path of a poll for a checked *task_id* (contract section 1)."""
    return f"/luma/generations/{task_id}"


TASKS_PATH = "/luma/tasks"


SUBMIT_PATH = "/luma/generations"


def extend_path(task_id: str) -> str:
    """Return the path that extends a checked *task_id* (contract section 3)."""
    return f"{task_path(task_id)}/extend"


def clean_url_path(task_id: str) -> str:
    """Return the path of the clean link of a checked *task_id* (contract section 3)."""
    return f"{task_path(task_id)}/download_video_url"


def submit_body(fields: Mapping[str, Any]) -> bytes:
    """Return the body of a submit with *fields*."""
    return encoded(fields)


def tasks_body(task_ids: Iterable[str]) -> bytes:
    """Return the body of a batch query for checked *task_ids* (contract section 2)."""
    return b'{"ids": ["%s"]}' % '", "'.join(task_ids).encode()
