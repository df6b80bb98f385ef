"""What in a captured answer without a task may be the id and the state, and what a dialect needs for it; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from luma_async._relay.answer import Answer
from luma_async._relay.candidates import candidates_in
from luma_async._relay.search import as_id
from luma_async._text import shown
from luma_async.cli.check.places import Captured, Path, dotted
from luma_async.dialect import plain_state
from luma_async.errors import LumaError, ProtocolError

_GOOD = range(200, 204)
_MOST_NAMED = 8
_LONGEST_WORD = 100
"""Characters of a text that may be an id or a word for a state."""

Texts = list[tuple[Path, Any]]
Lack = tuple[str, None, str | None, str]
"""A field, no value, the place of what may be the value, and a note."""


def is_without_task(answer: Answer, error: LumaError) -> bool:
    """Whether *error* only means that nothing in a good answer was read as a task."""
    is_foreign = isinstance(error, ProtocolError) and error.foreign
    return answer.status in _GOOD and not answer.is_html and not is_foreign


def what_lacks(captured: Captured) -> Iterator[Lack]:
    """Yield the id and the state: where in the answer they may be, and what the dialect needs to find them."""
    dialect = captured.dialect
    ids = [captured.task_id] if captured.task_id else candidates_in(captured.answer.body.decode("utf-8", "replace"))
    texts = [(path, value) for path, value in captured.values() if path and _is_short(value)]

    def is_id(value: Any) -> bool:
        return as_id(value) in ids

    def is_word(value: Any) -> bool:
        return isinstance(value, str) and plain_state(value) in dialect.state_words

    yield _lack(captured, texts, "id", is_id, dialect.id_keys)
    around = next((path[:-1] for path, value in texts if is_id(value)), ())
    words = [(path, value) for path, value in texts if path[: len(around)] == around and path[-1] not in _NEVER_STATES]
    yield _lack(captured, [each for each in words if not is_id(each[1])], "state", is_word, dialect.state_keys)


_NEVER_STATES = frozenset({"message", "msg", "code", "success", "error", "type", "object"})
"""Keys of an envelope, whose words are about the request."""


def _lack(captured: Captured, texts: Texts, field: str, fits: Callable[[Any], bool], keys: tuple[str, ...]) -> Lack:
    likely = [path for path, value in texts if fits(value)] or [path for path, _ in texts if path[-1] in keys]
    if likely:
        return field, None, dotted(likely[0]), _needed(captured, likely[0], field, keys)
    named = ", ".join(f"{dotted(path)}" for path, _ in texts[:_MOST_NAMED])
    note = f"missing: name its key in {field}_keys of a dialect"
    return field, None, None, f"{note}; it may be one of {named}" if named else note


def _is_short(value: Any) -> bool:
    return type(value) in (str, int) and 0 < len(str(value)) <= _LONGEST_WORD and "://" not in str(value)


def _needed(captured: Captured, path: Path, field: str, keys: tuple[str, ...]) -> str:
    """Say what the dialect needs for the value at *path* to be found."""
    around = [f'"{shown(key)}"' for key in path[:-1] if isinstance(key, str) and key not in captured.dialect.wrappers]
    needed = [] if path[-1] in keys else [f'{field}_keys = ["{shown(path[-1])}"]']
    needed += [f"wrappers = [{', '.join(around)}]"] if around else []
    if not needed:
        return "it counts only in one object with the other of id and state, or around it"
    return f"this may be it: add {' and '.join(needed)} to a dialect"
