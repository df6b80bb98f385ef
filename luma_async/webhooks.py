"""Reads the task ids out of a callback: what a relay posts when a generation has changed (``callback_url``).

Callbacks are not signed, so nothing else in them is used: ``LumaClient.notify`` polls for the ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from luma_async._ids import is_task_id
from luma_async._relay.documents import NotJSONError, Reading, decode
from luma_async._relay.search import as_id, tasks_in
from luma_async._text import plain_str

__all__ = ["task_ids_in"]

_LONGEST_BODY = 2**20
"""Bytes. A generation has a few thousand."""
_MOST_IDS = 100
_MOST_FIELDS = 100
"""Of a form."""
_DEEPEST = 8


def task_ids_in(body: bytes | str) -> list[str]:
    """Return the task ids in *body*, each once, at most 100; of anything unusable, and above 1 MiB, an empty list.

    It reads a generation or rows as a relay would answer them, in any envelope, as JSON or as a form. Ids beside a
    state come first; then what stands under any key for an id, which may name something else: ``notify`` ignores it.

    Raises:
        TypeError: *body* is neither bytes nor text.
    """
    if not isinstance(body, bytes | bytearray | str):  # pyright: ignore[reportUnnecessaryIsInstance] - see Raises
        raise TypeError(f"the body of a callback is bytes or text, not {type(body).__name__}")
    if len(body) > _LONGEST_BODY:
        return []
    found: dict[str, None] = {}
    for task_id in _ids(_documents(body)):
        if is_task_id(task_id):
            found.setdefault(plain_str(task_id))
        if len(found) >= _MOST_IDS:
            break
    return list(found)


def _documents(body: bytes | bytearray | str) -> list[Any]:
    raw = body.encode(errors="replace") if isinstance(body, str) else bytes(body)
    try:
        return decode(raw)
    except NotJSONError:
        return _form(raw)


def _form(raw: bytes) -> list[Any]:
    try:
        return [dict(parse_qsl(raw.decode(), max_num_fields=_MOST_FIELDS))]
    except ValueError:  # not UTF-8, or too many fields
        return []


def _ids(documents: list[Any]) -> Iterator[str]:
    reading = Reading()
    for document in documents:
        yield from (found.task_id for found in tasks_in(document, reading))
    reading = Reading()
    for document in documents:
        yield from _under_keys(document, reading, _DEEPEST)


def _under_keys(value: Any, reading: Reading, depth: int) -> Iterator[str]:
    """Yield what stands under keys for ids, anywhere in *value*."""
    value = reading.opened(value)
    if depth < 0 or not reading.visit():
        return
    if isinstance(value, Mapping):
        named = (as_id(value[key]) for key in reading.dialect.id_keys if key in value)
        yield from filter(None, named)
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _under_keys(item, reading, depth - 1)
