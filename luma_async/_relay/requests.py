"""Paths and bodies of the requests to a relay, as its dialect spells them (contract sections 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from luma_async._checks import brief
from luma_async._relay.documents import encoded
from luma_async.dialect import Dialect
from luma_async.errors import ConfigurationError


def task_path(dialect: Dialect, task_id: str) -> str:
    """Return the path of a poll for a checked *task_id* (contract section 1)."""
    return dialect.task_path.replace("{id}", task_id)


def tasks_path(dialect: Dialect) -> str:
    """Return the path of the batch query (contract section 2)."""
    return _existing(dialect, dialect.tasks_path, "batch query")


def list_path(dialect: Dialect, limit: int, offset: int) -> str:
    """Return the path of a list of the key's tasks, the newest first (*List generations* of Luma's own API)."""
    return f"{_existing(dialect, dialect.list_path, 'list of tasks')}?limit={limit}&offset={offset}"


def submit_path(dialect: Dialect, extended: str | None = None) -> str:
    """Return the path of a submit, or of the extension of the checked id *extended* (contract section 3)."""
    if extended is None:
        return _existing(dialect, dialect.submit_path, "path for submits")
    return _existing(dialect, dialect.extend_path, "path for extensions").replace("{id}", extended)


def clean_url_path(dialect: Dialect, task_id: str) -> str:
    """Return the path of the clean link of a checked *task_id* (contract section 3)."""
    return _existing(dialect, dialect.clean_path, "path for the clean link").replace("{id}", task_id)


def _existing(dialect: Dialect, path: str | None, what: str) -> str:
    if path is None:
        raise ConfigurationError(f"the dialect {dialect.name} has no {what}", advice="give a Dialect that has one")
    return path


def submit_body(dialect: Dialect, fields: Mapping[str, Any]) -> bytes:
    """Return the body of a submit with *fields*, under our names.

    Raises:
        ConfigurationError: The API does not have one of them.
    """
    body: dict[str, Any] = {}
    for ours, value in fields.items():
        theirs = dialect.submit_fields[ours]
        if not theirs:
            raise ConfigurationError(f"the dialect {dialect.name} has no {ours}", advice=f"leave {brief(ours)} out")
        _put(body, theirs, value)
        for name, constant in dialect.submit_constants.get(ours, {}).items():
            _put(body, name, constant)
    return encoded(body)


def _put(body: dict[str, Any], name: str, value: Any) -> None:
    """Set *value* at a dotted *name*."""
    *above, last = name.split(".")
    for key in above:
        inner = body.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"{name} is inside another field of the submit", advice="correct the dialect")
        body = inner
    body[last] = value


def tasks_body(task_ids: Iterable[str]) -> bytes:
    """Return the body of a batch query for checked *task_ids* (contract section 2)."""
    return b'{"ids": ["%s"]}' % '", "'.join(task_ids).encode()
