"""Finds the new task in the answer to a submit, and its id; an envelope's own id, or one of several, is none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from luma_async._ids import is_task_id
from luma_async._relay.documents import Reading
from luma_async._relay.marks import marks_error
from luma_async._relay.new_ids import one_id, unlisted_new_id
from luma_async._relay.search import as_id, levels_of, state_of, word_of
from luma_async._relay.success import is_success
from luma_async._text import plain_word
from luma_async.dialect import plain_state
from luma_async.models import State

_Level = Mapping[str, Any]
_Levels = list[_Level]

_LIKE_AN_ID = re.compile(r"[0-9]{10,40}|[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
"""A long number, or a UUID."""
_BETWEEN_IDS = re.compile(r"[,;|\s]+")
_OF_REQUESTS = ("request_id", "requestId")
_LISTS_OF_IDS = ("task_ids", "taskIds", "ids")
_MAY_BE_THE_ID = ("data", "result", "task")
_NO_ROWS = "output"
"""A wrapper whose list is of media."""
_OF_ANYTHING = frozenset({"id", "uuid", "ids"})
"""Keys, as ``plain_word`` spells them, that an envelope has too; any other one names a task's id."""
_TASK_ID = "taskid"
_LEAST_ID = 1000
"""A smaller number in the place of the task is a count or a code."""
_MOST_KEYS, _MOST_ITEMS, _LONGEST_KEY = 100, 100, 60


def new_id(document: Any, reading: Reading) -> str | None:
    """Return the id of the new task; None if none is certain, or after a refusal.

    It is at a key for task ids, or is ``data`` itself, as text, number or the only item of a list, or is the whole
    answer. A ``request_id`` counts only beside a task's state: it usually names the request. A wrapper that nobody
    listed is the last resort.
    """
    document = reading.opened(document)
    if isinstance(document, list):
        if _are_several(document, reading):
            return None
        document = document[0] if document else None
    if isinstance(document, str) and _LIKE_AN_ID.fullmatch(document):
        return document
    levels = _levels(document, reading) if isinstance(document, Mapping) else []
    if levels and _is_taken(levels[0]):
        return as_id(levels[0]["result"])
    if not levels or any(_has_several(level, reading) or _is_listing(level, reading) for level in levels):
        return None
    owned = [found for depth, level in enumerate(levels) for found in _owned(depth, level, reading)]
    chosen = _chosen(levels, owned, reading) if owned else None
    if owned and (chosen is None or _is_number_of_row(levels[chosen.depth], chosen)):
        return None
    return _certain(levels, chosen, reading)


# --- the objects ---


def _levels(document: _Level, reading: Reading) -> _Levels:
    """Return *document* and the objects wrapped in it, with their keys as the dialect spells them."""
    levels: _Levels = []
    inside = [document]
    while inside and len(levels) <= _DEEPEST:
        levels.append(_spelled(inside[0], reading))
        inside = levels_of(levels[-1], reading)[1:2]
    return levels


_DEEPEST = 8
_OF_ENVELOPES = ("code", "success", "message", "msg", "error", "status")
_OF_A_CALL = "jsonrpc"


def _spelled(level: _Level, reading: Reading) -> _Level:
    """Return *level* with small letters in the keys of an envelope, and without the id of a remote procedure call."""
    if _OF_A_CALL in level:
        level = {key: value for key, value in level.items() if key != "id" and not _is_bare(key, value)}
    names = {name.casefold(): name for name in (*_OF_ENVELOPES, *reading.dialect.wrappers)}
    found = {
        names[small]: value
        for key, value in islice(level.items(), _MOST_KEYS)
        if (small := key[:_LONGEST_KEY].casefold()) in names and names[small] not in level
    }
    return {**level, **found} if found else level


def _is_bare(key: str, value: Any) -> bool:
    return key == "result" and not isinstance(value, Mapping)


def _is_taken(document: _Level) -> bool:
    """Whether an envelope has code 1 and an id as its result: to relays of the Midjourney kind, 1 is a success.

    To others 1 is an error, whose result is empty or in words.
    """
    result = document.get("result")
    return str(document.get("code")) == "1" and isinstance(result, str) and bool(_LIKE_AN_ID.fullmatch(result))


# --- the ids ---


class _Owned(NamedTuple):
    """An id, and the object whose id it is."""

    depth: int
    name: str
    """The key, as ``plain_word`` spells it; empty for the place of the task itself."""
    task_id: str


def _at_ids(level: _Level, reading: Reading) -> dict[str, Any]:
    """Return what is at the keys for ids, in any spelling, in the order of the dialect."""
    keys = [key for key in reading.dialect.id_keys if key not in _OF_REQUESTS] + [*_LISTS_OF_IDS]
    found: dict[str, Any] = dict.fromkeys(map(plain_word, keys))
    exact = [(key, level[key]) for key in keys if key in level]
    for key, value in (*exact, *islice(level.items(), _MOST_KEYS)):
        name = plain_word(key[:_LONGEST_KEY])
        if name in found and found[name] is None:
            found[name] = value
    return found


def _owned(depth: int, level: _Level, reading: Reading) -> Iterator[_Owned]:
    """Yield the id that *level* has, if it has one: a number at ``id`` only where there is no other."""
    found = [(name, value, one_id(value)) for name, value in _at_ids(level, reading).items()]
    usable = [(name, value, task_id) for name, value, task_id in found if task_id and is_task_id(task_id)]
    usable.sort(key=lambda each: each[0] in _OF_ANYTHING and type(each[1]) is int)
    for name, _, task_id in usable[:1]:
        yield _Owned(depth, name, task_id)


def _chosen(levels: _Levels, owned: list[_Owned], reading: Reading) -> _Owned | None:
    """Return which of the ids is the task's, the outermost one unless it is an envelope's; None if that is unclear."""
    current = owned[0]
    bare = _bare_id(levels[current.depth])
    itself = [] if bare is None else [_Owned(current.depth, "", bare)]
    for inner in owned[1:] or itself:
        if inner.task_id == current.task_id:
            continue
        level = levels[current.depth]
        is_envelope, has_state = _is_envelope(level), _has_state([level], reading)
        if current.name not in _OF_ANYTHING or (has_state and not is_envelope):
            break
        is_clear = inner.name not in _OF_ANYTHING | {""} or _has_state(levels[inner.depth : inner.depth + 1], reading)
        if has_state or not (is_envelope or is_clear):
            return None
        current = inner
    return current


def _bare_id(level: _Level) -> str | None:
    """Return the text in the place of the task, if it looks like an id for certain."""
    texts = (level.get(key) for key in ("data", "result"))
    return next((text for text in texts if isinstance(text, str) and _LIKE_AN_ID.fullmatch(text)), None)


_MARKS_OF_ENVELOPES = ("code", "success", "message", "msg")
_WEAK = frozenset({"ok", "success", "error"})
"""Words that may be about the request instead of the task."""


def _is_envelope(level: _Level) -> bool:
    word = level.get("status")
    is_weak = isinstance(word, str) and plain_state(word) in _WEAK
    return is_weak or any(level.get(key) not in (None, "") for key in _MARKS_OF_ENVELOPES)


def _has_state(levels: _Levels, reading: Reading) -> bool:
    """Whether *levels* have a known word for a state that is a task's for certain."""
    word = word_of(levels, reading) if levels else None
    known = word is not None and state_of(word, reading.dialect) is not State.UNKNOWN
    return known and plain_state(word or "") not in _WEAK


def _is_number_of_row(level: _Level, chosen: _Owned) -> bool:
    """Whether the id is a short number of a row without a ``task_id``: a key of a database (contract section 1)."""
    if chosen.name not in _OF_ANYTHING or not (chosen.task_id.isdecimal() and len(chosen.task_id) < _LEAST_DIGITS):
        return False
    names = {plain_word(key[:_LONGEST_KEY]) for key in islice(level, _MOST_KEYS)}
    return _TASK_ID in names or len(names & _OF_ROWS) > 1


_LEAST_DIGITS = 10
_OF_ROWS = frozenset({"channelid", "platform", "submittime", "starttime", "finishtime", "quota", "group"})
"""Keys of a gateway's row, two of which a task does not have."""


# --- whether it is certain ---


def _certain(levels: _Levels, chosen: _Owned | None, reading: Reading) -> str | None:
    """Return the *chosen* id, or the one in another place, if the answer is a success."""
    envelopes, task = _with_the_task(levels, chosen)
    if any(map(_has_failed, envelopes)):
        return None
    word = word_of(task, reading) if task else None
    if word is None and not is_success(levels[0]):
        return None
    if any(map(marks_error, envelopes)) or (not _has_state(task, reading) and any(map(marks_error, task[:1]))):
        return None
    further = unlisted_new_id(levels[0], [*_keys_of_one(reading)], reading)
    if chosen is not None:
        level = levels[chosen.depth] if chosen.name else {}
        is_unclear = chosen.name in _OF_ANYTHING and _is_envelope(level) and not _has_state([level], reading)
        return None if is_unclear and further not in (None, chosen.task_id) else chosen.task_id
    ids = [_id_itself(level.get(key)) for level in levels for key in _MAY_BE_THE_ID]
    if _has_state(task, reading) and state_of(word or "", reading.dialect) is not State.FAILED:
        ids += [one_id(level.get(key)) for level in levels for key in _OF_REQUESTS]
    return next((task_id for task_id in ids if task_id and is_task_id(task_id)), further)


def _keys_of_one(reading: Reading) -> Iterator[str]:
    return (key for key in reading.dialect.id_keys if key not in _OF_REQUESTS)


def _with_the_task(levels: _Levels, chosen: _Owned | None) -> tuple[_Levels, _Levels]:
    """Split *levels* before the one that has the id: the words of an envelope are no state of the task."""
    if chosen is not None:
        return levels[: chosen.depth], levels[chosen.depth :]
    for depth, level in enumerate(levels):
        places = [level.get(key) for key in _MAY_BE_THE_ID if not isinstance(level.get(key), Mapping)]
        if any(map(_id_itself, places)) or any(one_id(level.get(key)) for key in _OF_REQUESTS):
            return levels[:depth], levels[depth:]
    return levels, []


def _has_failed(envelope: _Level) -> bool:
    word = envelope.get("status")
    return isinstance(word, str) and state_of(word) is State.FAILED


def _id_itself(value: Any) -> str | None:
    """Return the id that *value* is, where a count, a code or a word such as ``success`` may be instead."""
    found = None if type(value) is int and value < _LEAST_ID else one_id(value)
    return found if found is not None and any(map(str.isdigit, found)) else None


# --- several tasks ---


def _has_several(level: _Level, reading: Reading) -> bool:
    """Whether *level* has several ids where the one of the new task is expected."""
    ids = _at_ids(level, reading)
    if any(_are_several(value, reading) for value in ids.values()):
        return True
    single = [name for name, value in ids.items() if not isinstance(value, list) and one_id(value)]
    if any(name not in _OF_ANYTHING for name in single) or (single and _has_state([level], reading)):
        return False
    places = {*_MAY_BE_THE_ID, *reading.dialect.wrappers} - {_NO_ROWS}
    return any(_are_several(level.get(key), reading) for key in places)


def _are_several(value: Any, reading: Reading) -> bool:
    """Whether *value* holds more than one id: as a list, or as a text of several that look like ids for certain."""
    value = reading.opened(value)
    if isinstance(value, str):
        parts = _BETWEEN_IDS.split(value.strip()[:_LONGEST_TEXT])
        return len(parts) > 1 and all(map(_LIKE_AN_ID.fullmatch, parts))
    return isinstance(value, list) and len(set(filter(None, _ids_in(value, reading)))) > 1


_LONGEST_TEXT = 1000


def _ids_in(items: list[Any], reading: Reading) -> Iterator[str | None]:
    for item in items[:_MOST_ITEMS]:
        inside = reading.opened(item)
        if isinstance(inside, Mapping):
            yield next((found.task_id for found in _owned(0, inside, reading)), None)
        else:
            yield one_id(inside)


_OF_LISTINGS = frozenset(
    {"total", "totalcount", "count", "hasmore", "page", "pagesize", "pagenum", "offset", "nextcursor", "nextpage"}
)


def _is_listing(level: _Level, reading: Reading) -> bool:
    """Whether *level* is a page of a list whose task has ended: that one is not new."""
    if _OF_LISTINGS.isdisjoint(plain_word(key[:_LONGEST_KEY]) for key in islice(level, _MOST_KEYS)):
        return False
    lists = [reading.opened(level.get(key)) for key in reading.dialect.wrappers]
    rows = [row for rows in lists if isinstance(rows, list) for row in rows[:1] if isinstance(row, Mapping)]
    words = [word_of(levels_of(row, reading), reading) for row in rows]
    return any(word is not None and state_of(word, reading.dialect).is_terminal for word in words)
