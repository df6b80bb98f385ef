"""Finds the objects about tasks in an answer: which task each is about, and which word it has for the state."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from luma_async._relay.documents import Reading
from luma_async._text import plain_word
from luma_async.dialect import RELAY, Dialect, plain_state
from luma_async.models import State


def state_of(word: str, dialect: Dialect = RELAY) -> State:
    """Map the relay's *word*, in any case, to a state; an unknown word means *still running*."""
    words = dialect.state_words
    return words.get(word) or words.get(plain_state(word), State.UNKNOWN)


_NO_LETTERS = re.compile(r"[\W\d_]+")


def kind_of(word: str) -> str:
    """Return what words have in common that differ in no letter, such as ``generating 37%`` and ``generating...``."""
    return _NO_LETTERS.sub(" ", word.casefold()).strip()


_DEEPEST = 8


class Found(NamedTuple):
    """An object about a task."""

    task: Mapping[str, Any]
    task_id: str
    word: str
    """The relay's word for the state."""
    levels: list[Mapping[str, Any]]
    """The object, and the objects wrapped in it."""


def tasks_in(value: Any, reading: Reading | None = None, asked: Collection[str] = ()) -> Iterator[Found]:
    """Yield each object in *value*, with its envelopes opened, that has an identity and a state.

    See *Wrapped answers* in the contract. An object inside a row with a ``task_id`` belongs to that row.

    Args:
        value: A decoded answer.
        reading: Bounds the work, and has the dialect.
        asked: The ids of the poll: keys that name other things as well count only with one of these.
    """
    return _tasks_in(value, reading or Reading(), asked, _DEEPEST)


def _tasks_in(value: Any, reading: Reading, asked: Collection[str], depth: int) -> Iterator[Found]:
    value = reading.opened(value)
    if not value or not reading.visit():
        return
    if isinstance(value, list):
        for item in _may_hold_tasks(value, reading) if depth and reading.left > 0 else ():
            yield from _tasks_in(item, reading, asked, depth - 1)
            if reading.left <= 0:
                return
    elif isinstance(value, dict):
        found_id = identity(value, asked, reading)
        levels = [] if found_id is None else levels_of(value, reading)
        word = word_of(levels, reading, at_usual_keys=bool(asked) and found_id not in asked) if levels else None
        if found_id is not None and word is not None:
            yield Found(value, found_id, word, levels)
        if depth and not reading.keys.wrappers.isdisjoint(value) and (word is None or not _is_row(value)):
            for wrapper in reading.dialect.wrappers:
                if value.get(wrapper):
                    yield from _tasks_in(value[wrapper], reading, asked, depth - 1)


_OPENED_OR_SEARCHED = frozenset({str, list, dict})


def _may_hold_tasks(items: list[Any], reading: Reading) -> Iterator[Any]:
    """Return the items that are worth a visit: a long list may consist of others."""
    needed = reading.keys.needed
    return (
        item
        for item in items
        if item and type(item) in _OPENED_OR_SEARCHED and (type(item) is not dict or not needed.isdisjoint(item))
    )


def _is_row(value: Mapping[str, Any]) -> bool:
    return as_id(value.get("task_id")) is not None


_ALWAYS_IDS = frozenset({"task_id", "id", "taskId"})
"""Keys whose text is a task id for certain: with another id, the answer is about another task."""


def identity(task: Mapping[str, Any], asked: Collection[str], reading: Reading) -> str | None:
    """Return the id of *task*: the ``task_id`` of a row, whose integer ``id`` is a database key; otherwise ``id``.

    Integers and the values of other keys count only if they are in *asked*: they may name something else.
    """
    present = reading.keys.ids.intersection(task)
    certain = None
    for key in reading.dialect.id_keys if present else ():
        if key not in present or (found := as_id(task[key])) is None:
            continue
        if found in asked:
            return found
        if certain is None and key in _ALWAYS_IDS and isinstance(task[key], str):
            certain = found
            if key == "task_id":
                break
    return certain


def as_id(value: Any) -> str | None:
    """Return a text that is not blank, or an integer as its decimal text; otherwise None."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if type(value) is int and value > 0 else None


def levels_of(task: Mapping[str, Any], reading: Reading | None = None) -> list[Mapping[str, Any]]:
    """Return *task* and the objects wrapped in it, the outermost first: relays wrap the answers of other relays."""
    reading = reading or Reading()
    levels = [task]
    while len(levels) <= _DEEPEST and (inner := _inner(levels[-1], reading)):
        levels.append(inner)
    return levels


def _inner(row: Mapping[str, Any], reading: Reading) -> Mapping[str, Any]:
    if reading.keys.wrappers.isdisjoint(row):
        return {}
    for wrapper in reading.dialect.wrappers:
        if not row.get(wrapper):
            continue
        inner = reading.opened(row[wrapper])
        if isinstance(inner, list) and len(inner) == 1 and wrapper not in _LISTS_OF_MEDIA:
            inner = inner[0]
        if isinstance(inner, dict) and inner:
            return inner
    return {}


_LISTS_OF_MEDIA = frozenset({"output"})
_LONGEST_WORD = 200
"""Characters of the word for a state; the rest of a longer one is left out."""
_WEAK = frozenset({"ok", "success", "error"})
"""Words that may be about the request instead of the task: a word of another kind for the same task is stronger."""
_NEVER_OF_A_TASK = frozenset({"ok"})
"""What the ``status`` of a row says of the request only."""
_ABOUT_A_REQUEST = _WEAK | {"timeout", "timedout", "fail"}
"""``fail`` is JSend's word for a request that was not right."""
_STALE = "state"
"""The key of a generation's own word, which some gateways copy into the row."""


def is_about_request(word: str) -> bool:
    """Whether *word* beside an HTTP error may be about the request instead of the task: a gateway waits for others."""
    return plain_state(word) in _ABOUT_A_REQUEST


def word_of(levels: list[Mapping[str, Any]], reading: Reading, *, at_usual_keys: bool = False) -> str | None:
    """Return the relay's word for the state; a row's ``status`` wins over a stale ``state``, in it or beside it.

    Args:
        levels: The object, and those wrapped in it.
        reading: Bounds the work.
        at_usual_keys: Whether a word under another key does not count: of other tasks little is needed.
    """
    is_row = _is_row(levels[0])
    known: Mapping[str, State] = reading.dialect.state_words
    weak, is_settled = None, False
    keys = ("status", *reading.dialect.state_keys) if is_row else reading.dialect.state_keys
    for level in levels:
        present = reading.keys.states.intersection(level)
        for key in keys if present else ():
            word = _word_in(level[key], reading) if key in present else None
            if word is None:
                continue
            plain = word if word in known else plain_state(word)
            if weak is None and plain in _WEAK:
                weak, is_settled = word, is_row and plain not in _NEVER_OF_A_TASK
            elif weak is None or (plain in known and plain not in _WEAK and not (is_settled and key == _STALE)):
                return word
        if is_settled:
            break
        keys = reading.dialect.state_keys
    return other_word(levels, reading) if weak is None and not at_usual_keys else weak


def _word_in(value: Any, reading: Reading) -> str | None:
    """Return the word for a state that *value* is, or that is in it, cut to the length of a word."""
    known = reading.dialect.state_words
    if isinstance(value, int) and str(value) in known and not isinstance(value, bool):
        return str(value)
    value = reading.opened(value)
    if isinstance(value, Mapping):
        return _word_inside(value, reading)
    if not isinstance(value, str) or not value.strip():
        return None
    return value if len(value) <= _LONGEST_WORD else value.strip()[:_LONGEST_WORD]


# --- words at other places ---
_MOST_KEYS, _LONGEST_KEY = 50, 40
_OF_A_TASK = (
    r"task|job|gen(?:eration)?|video|prediction|creation|render(?:ing)?|process(?:ing)?|workflow|operation|execution|run"
    r"|luma|current|final|overall"
)
_LAST_LETTERS = frozenset("esES")
"""Of *state* and *status*, for a look without a call."""
_NAMES_A_STATE = re.compile(rf"(?:{_OF_A_TASK})+(?:status|state)")
_NAMES_A_WORD = re.compile(r"(?:state|status|task|job)?(?:name|value|state|status|word|label|phase|current)")
_NAMES_A_CODE = re.compile(r"(?:state|status)?(?:code|id)")
"""What is there in an object may also be about the request, as ``ok`` is."""


def other_word(levels: list[Mapping[str, Any]], reading: Reading) -> str | None:
    """Return the word under a key such as ``video_status``, which no dialect lists; None where several disagree.

    A word that is not an end comes first: something about the task is still running.
    """
    for level in levels:
        keys = [key for key in level if key[-1:] in _LAST_LETTERS and level[key] and _names_a_state(key)]
        if not keys:
            continue
        words = [
            word
            for key in keys
            if plain_word(key) not in reading.keys.plain_states and (word := _word_in(level[key], reading))
        ]
        running = [word for word in words if not state_of(word, reading.dialect).is_terminal]
        if running or len({state_of(word, reading.dialect) for word in words}) == 1:
            return (running or words)[0]
        if words:
            return None
    return None


@lru_cache(maxsize=512)
def _names_a_state(key: str) -> bool:
    return len(key) <= _LONGEST_KEY and _NAMES_A_STATE.fullmatch(plain_word(key)) is not None


def _word_inside(value: Mapping[str, Any], reading: Reading) -> str | None:
    """Return the word for a state in an object such as ``{"code": 2, "name": "completed"}``; None if it has several."""
    known: Mapping[str, State] = reading.dialect.state_words
    words: dict[State, str] = {}
    for key, part in islice(value.items(), _MOST_KEYS):
        plain = plain_state(part) if isinstance(part, str) and len(part) <= _LONGEST_WORD else ""
        name = plain_word(key[:_LONGEST_KEY])
        if plain in known and (_NAMES_A_WORD.fullmatch(name) or (_NAMES_A_CODE.fullmatch(name) and plain not in _WEAK)):
            words.setdefault(known[plain], str(part))
    return next(iter(words.values())) if len(words) == 1 else None
