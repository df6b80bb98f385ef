"""Finds the task of a poll in wrappers, or under spellings of keys, that no dialect lists.

It is for answers in which the usual search finds nothing (design, *Reading what relays say*).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from attrs import fields_dict, frozen

from luma_async._relay import details, links
from luma_async._relay.documents import Reading
from luma_async._relay.keys import is_never_the_result
from luma_async._relay.search import Found, as_id, is_about_request, levels_of, state_of, word_of
from luma_async._spelling import in_words, plain_word
from luma_async.dialect import Dialect
from luma_async.models import Artifact, Assets, Generation, GenerationRequest, Image, RawVideo, State, Video

_DEEPEST = 8
"""Objects and lists around the task, as in the usual search."""
_MOST_PLACES = 2**13
"""Values that are searched. A relay that is asked for one task sends some hundred at most."""


_MOST_OBJECTS = 16
"""Objects with the asked id. Where more have it, they are not the task."""


def unlisted_task(document: Any, task_id: str, reading: Reading) -> Found | None:
    """Return the object in *document* that has both the asked id and a state, with the usual names for its keys.

    Neither the user's own input nor errors are searched. Of several such objects, the outermost counts; where those
    disagree about the state, there is none. A word such as ``success``, which may be about the request, counts only
    with a link. What is called a result beside the object is searched for the link too.
    """
    search = _Search(task_id, reading, _Spelling.of(reading.dialect))
    level = [_Place(document)]
    left, objects = _MOST_PLACES, 0
    for _ in range(_DEEPEST + 1):
        below: list[_Place] = []
        found: list[Found] = []
        for place in level:
            value = reading.opened(place.value)
            if isinstance(value, dict) and search.has_id(value, place):
                objects += 1
                if objects > _MOST_OBJECTS:
                    return None
                found += search.task_at(value, place)
            inside = _places_in(value, place, left)
            below += inside
            left -= len(inside)
        if found:
            states = {state_of(each.word, reading.dialect) for each in found}
            return found[0] if len(states) == 1 else None
        level = below
    return None


class _Place(NamedTuple):
    """A value, and what is around it."""

    value: Any
    key: str = ""
    around: Mapping[str, Any] | None = None
    """The object whose value it is; None for the items of a list."""
    outer_key: str = ""
    """The key of that object."""


_NEVER_A_TASK = re.compile(r"(?<![a-z])(?:err(?:or)?|fault|exception|history|log|event)s?(?![a-z])")
_AROUND_TASKS = frozenset({"payload"})
"""Keys of the user's own input that may be around a task too."""
_SEARCHED = frozenset({dict, list, str})
_MAY_START_JSON = ("{", "[", '"', " ", "\n", "\r", "\t")


def _places_in(value: Any, place: _Place, most: int) -> list[_Place]:
    """Return the places inside of *value* that may have a task, of its first *most* parts."""
    if isinstance(value, list):
        return [_Place(item, place.key) for item in value[:most] if item and _is_searched(item)]
    return [
        _Place(part, key, value, place.key)
        for key, part in islice(value.items() if isinstance(value, dict) else (), most)
        if part and _is_searched(part) and _may_be_around_a_task(key, part)
    ]


def _is_searched(value: Any) -> bool:
    kind = type(value)
    return kind in _SEARCHED and (kind is not str or value[0] in _MAY_START_JSON)


def _may_be_around_a_task(key: str, value: Any) -> bool:
    if key in _AROUND_TASKS:
        return True
    return not (is_never_the_result(key, value) or _NEVER_A_TASK.search(in_words(key[:_LONGEST_KEY])))


_LONGEST_KEY = 100


@frozen
class _Spelling:
    """The names that a dialect has for keys, found by any spelling of them."""

    names: Mapping[str, str]
    ids: frozenset[str]
    wrappers: frozenset[str]

    @classmethod
    def of(cls, dialect: Dialect) -> _Spelling:
        keys = (dialect.id_keys, dialect.state_keys, dialect.link_keys, dialect.reason_keys, dialect.wrappers)
        return _spelling(*keys)

    def name(self, key: str) -> str:
        """Return the usual name of *key*; a key that is not known stays as it is."""
        return self.names.get(key) or self.names.get(plain_word(key), key)


_VALUES = (Generation, Artifact, Assets, GenerationRequest, Image, RawVideo, Video)


@lru_cache(maxsize=16)
def _spelling(
    ids: tuple[str, ...],
    states: tuple[str, ...],
    link_keys: tuple[str, ...],
    reasons: tuple[str, ...],
    wrappers: tuple[str, ...],
) -> _Spelling:
    media = [part for key in link_keys for part in key.split(".")]
    fields = [name for kind in _VALUES for name in fields_dict(kind)]
    known = [*fields, *ids, *states, *media, *reasons, *wrappers, *links.NAMES, *details.NAMES]
    folded = {plain_word(name): name for name in reversed(known)}
    return _Spelling(folded | {name: name for name in known}, _folded(ids), _folded(wrappers))


def _folded(keys: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(plain_word, keys))


@frozen
class _Search:
    """What is looked for."""

    task_id: str
    reading: Reading
    spelling: _Spelling

    def task_at(self, value: dict[str, Any], place: _Place) -> Iterator[Found]:
        """Yield the task that *value*, which has the id, is if it has a state."""
        named = {self.spelling.name(key): part for key, part in value.items()}
        if word_of([named], self.reading) is None:
            return
        task = self._respelled(value, _DEEPEST)
        if self._is_keyed(place):
            task = {**task, "id" if "id" not in task else "task_id": self.task_id}
        found = self._found(task)
        if state_of(found.word, self.reading.dialect) is State.COMPLETED and not details.has_link(found, self.reading):
            found = self._found({**self._results_beside(place), **task})
            if is_about_request(found.word) and not details.has_link(found, self.reading):
                return
        yield found

    def _found(self, task: dict[str, Any]) -> Found:
        levels = levels_of(task, self.reading)
        return Found(task, self.task_id, word_of(levels, self.reading) or "", levels)

    def has_id(self, value: Mapping[str, Any], place: _Place) -> bool:
        """Whether *value* has the id under a key for ids, or stands under it among tasks."""
        if self._is_keyed(place):
            return True
        asked = self.task_id
        number = int(asked) if asked.isdecimal() and asked.isascii() and len(asked) < _LONGEST_NUMBER else None
        same = [key for key, part in value.items() if part == asked or (number is not None and part == number)]
        return any(as_id(value[key]) == asked and plain_word(key) in self.spelling.ids for key in same)

    def _is_keyed(self, place: _Place) -> bool:
        return place.key == self.task_id and plain_word(place.outer_key) in self.spelling.wrappers

    def _respelled(self, value: Any, depth: int) -> Any:
        """Return *value* with the usual names for its keys, as far as the work is not too much."""
        value = self.reading.opened(value)
        if depth and type(value) is list and self.reading.visit(len(value)):
            return [self._respelled(item, depth - 1) for item in value]
        if not depth or type(value) is not dict or not self.reading.visit(len(value)):
            return value
        respelled: dict[str, Any] = {}
        for key, part in value.items():
            name = self.spelling.name(key)
            is_free = name == key or name not in value
            is_known = not is_never_the_result(key, part)
            respelled[name if is_free else key] = self._respelled(part, depth - 1) if is_known else part
        return respelled

    def _results_beside(self, place: _Place) -> dict[str, Any]:
        """Return what is called a result beside the task at *place*, and belongs to no other task."""
        beside = place.around if place.around is not None and len(place.around) <= _MOST_BESIDE else {}
        return {
            self.spelling.names.get(plain_word(key), "task_result"): self._respelled(part, _DEEPEST)
            for key, part in beside.items()
            if part is not place.value and _RESULTS.search(key[-_LONGEST_NAME:]) and not self._is_a_task(part)
        }

    def _is_a_task(self, value: Any) -> bool:
        """Whether *value* is a task, or a list with one."""
        value = self.reading.opened(value)
        items = value if isinstance(value, list) else [value]
        keys = ({self.spelling.name(key) for key in item} for item in items if isinstance(item, Mapping))
        states = self.reading.keys.states
        return any(
            not _IDS_OF_TASKS.isdisjoint(each) or ("id" in each and not states.isdisjoint(each)) for each in keys
        )


_LONGEST_NUMBER = 21
"""Digits and one: longer numbers are not read."""
_MOST_BESIDE = 50
"""Keys of an object around one task."""
_LONGEST_NAME = 20
"""Characters at the end of a key."""
_RESULTS = re.compile(r"(?:result|output|video|work)s?$", re.IGNORECASE)
_IDS_OF_TASKS = frozenset({"task_id", "taskId", "job_id", "jobId", "generation_id"})
