"""Finds the id of a new task in a wrapper that nobody listed (contract section 3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from luma_async._ids import is_task_id
from luma_async._relay.documents import Reading
from luma_async._relay.keys import is_never_the_result, is_not_about_the_task
from luma_async._relay.search import as_id, state_of, word_of
from luma_async._text import in_words, plain_word
from luma_async.models import State

_NO_IDS = frozenset({"null", "none", "undefined", "nil", "nan", "true", "false"})
"""What programs write for an id that they do not have."""


def one_id(value: Any) -> str | None:
    """Return the id that *value* is, or the one in it."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("task_id", "id", "taskId") if value.get(key)), None)
    found = as_id(value)
    return None if found is None or found.strip().casefold() in _NO_IDS else found


_DEEPEST = 8
_MOST_PLACES = 2**12
"""Values that are searched; the answer to a submit has about fifty."""
_MOST_OBJECTS = 16
"""Objects with an id. Where more have one, they are not the new task."""
_MOST_KEYS = 100
_LONGEST_KEY = 60


def unlisted_new_id(document: Any, keys: list[str], reading: Reading) -> str | None:
    """Return the id of the one object in *document* that is a task by its wrapper's name, or by its state.

    Args:
        document: A decoded answer that is a success.
        keys: The keys for ids, the first one first.
        reading: Has the dialect, and what is opened already.

    Returns:
        The id; None where no object is a task, or several with different ids are.
    """
    found: list[str] = []
    level, left = [("", document)], _MOST_PLACES
    for _ in range(_DEEPEST):
        below: list[tuple[str, Any]] = []
        for key, value in level:
            plain = reading.opened(value)
            if isinstance(plain, Mapping) and key and _is_a_task(key, plain, reading):
                found += filter(is_task_id, islice(_ids(plain, keys), 1))
                if len(found) > _MOST_OBJECTS:
                    return None
            inside = list(islice(_parts(plain, key), left))
            below += inside
            left -= len(inside)
        if len(set(found)) > 1:
            return None
        level = below
    return next(iter(found), None)


def _ids(value: Mapping[str, Any], keys: list[str]) -> Iterator[str]:
    spelled = {plain_word(key): part for key, part in islice(value.items(), _MOST_KEYS)}
    names = dict.fromkeys(map(plain_word, keys))
    return filter(None, (one_id(spelled[name]) for name in names if spelled.get(name)))


def _is_a_task(key: str, value: Mapping[str, Any], reading: Reading) -> bool:
    """Whether *value*, which stands at *key*, is a task by the name of its place, or is still running."""
    if _names_a_task(key):
        return True
    word = word_of([value], reading)
    return word is not None and state_of(word, reading.dialect) in (State.PENDING, State.PROCESSING)


def _parts(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        return ((key, item) for item in value if type(item) in _MAY_HOLD_TASKS)
    parts = islice(value.items(), _MOST_KEYS) if isinstance(value, Mapping) else ()
    return ((name, part) for name, part in parts if type(part) in _MAY_HOLD_TASKS and not _is_of_others(name, part))


_MAY_HOLD_TASKS = frozenset({str, list, dict})
_TASK = re.compile(r"(?:task|job|generation|video|prediction|creation|operation|item|record|work|render)s?")
_BESIDE = frozenset(
    {
        *("new", "created", "submitted", "queued", "data", "info", "detail", "details", "result", "output", "object"),
        *("luma", "async", "the"),
    }
)
"""Words that may stand beside the one for a task in the name of a wrapper."""
_OTHERS = re.compile(
    r"user|account|customer|member|owner|author|channel|model|provider|token|group|team|organi|workspace|project|queue"
    r"|worker|server|node|payment|invoice|order|transaction|charge|billing|subscription|plan|credit|quota|session|file"
    r"|asset|template|usage|trace|log|event|err|fault|batch|image|audio|(?<![a-z])keys?(?![a-z])"
)
"""Things at a relay that have ids and states of their own."""


@lru_cache(maxsize=512)
def _names_a_task(key: str) -> bool:
    words = in_words(key[:_LONGEST_KEY]).split("_")
    return any(map(_TASK.fullmatch, words)) and all(word in _BESIDE or _TASK.fullmatch(word) for word in words)


def _is_of_others(key: str, value: Any) -> bool:
    """Whether what stands at *key* belongs to the user, to the relay or to another task."""
    if key == _AROUND_TASKS:
        return False
    name = in_words(key[:_LONGEST_KEY])
    return is_not_about_the_task(key) or is_never_the_result(key, value) or _OTHERS.search(name) is not None


_AROUND_TASKS = "payload"
"""A key of the user's own input that may be around a task too."""
