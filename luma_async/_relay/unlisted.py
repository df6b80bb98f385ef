"""Finds the tasks of a poll or a batch in wrappers, or under spellings of keys, that no dialect lists.

It is for answers in which the usual search finds nothing (design, *Reading what relays say*).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from attrs import Factory, field, fields_dict, frozen

from luma_async._relay import details, links
from luma_async._relay.documents import Reading
from luma_async._relay.keys import is_never_the_result
from luma_async._relay.search import Found, as_id, is_about_request, levels_of, state_of, word_of
from luma_async._text import in_words, plain_word
from luma_async.dialect import Dialect
from luma_async.models import Artifact, Assets, Generation, GenerationRequest, Image, RawVideo, State, Video

_DEEPEST = 8
"""Objects and lists around the task, as in the usual search."""
_MOST_PLACES = 2**13
"""Values that are searched. A relay that is asked for one task sends some hundred at most."""


_MOST_PLACES_OF_ROWS = 2**15
"""The same for many tasks."""
_PLACES_OF_A_ROW = 2**6
_MOST_OBJECTS = 16
"""Objects with an asked id. Where more have it, they are not the task."""


def unlisted_task(document: Any, task_id: str, reading: Reading) -> Found | None:
    """Return the object in *document* that has both the asked id and a state, as ``unlisted_tasks`` does."""
    return unlisted_tasks(document, (task_id,), reading).get(task_id)


def unlisted_tasks(document: Any, asked: Collection[str], reading: Reading) -> dict[str, Found]:
    """Return the objects in *document* that have both an asked id and a state, with the usual names for their keys.

    Neither the user's own input nor errors are searched. Of several objects for one id, the outermost counts; where
    those disagree about the state, there is none. A word such as ``success``, which may be about the request, counts
    only with a link. What is called a result beside the object is searched for the link too.
    """
    search = _Search(asked, reading, _Spelling.of(reading.dialect))
    level = [_Place(document)]
    left = min(_MOST_PLACES + _PLACES_OF_A_ROW * (len(asked) - 1), _MOST_PLACES_OF_ROWS)
    objects = 0
    settled: dict[str, Found | None] = {}
    for _ in range(_DEEPEST + 1):
        below: list[_Place] = []
        found: dict[str, list[Found]] = {}
        for place in level:
            value = reading.opened(place.value)
            if isinstance(value, dict) and (task_id := search.id_of(value, place)) is not None:
                objects += 1
                if objects > _MOST_OBJECTS * len(asked):
                    return {}
                found.setdefault(task_id, []).extend(search.task_at(value, place, task_id))
            inside = _places_in(value, place, left)
            below += inside
            left -= len(inside)
        for task_id in found.keys() - settled.keys():
            settled |= _agreed(task_id, found[task_id], reading)
        if len(settled) == len(asked):
            break
        level = below
    return {task_id: each for task_id, each in settled.items() if each is not None}


def _agreed(task_id: str, found: list[Found], reading: Reading) -> dict[str, Found | None]:
    """Return the first of the objects *found* for one id; None for it if they disagree; nothing if there is none."""
    states = {state_of(each.word, reading.dialect) for each in found}
    return {task_id: found[0] if len(states) == 1 else None} if found else {}


class _Place(NamedTuple):
    """A value, and what is around it."""

    value: Any
    key: str = ""
    around: Mapping[str, Any] | None = None
    """The object whose value it is; None for the items of a list."""
    outer_key: str = ""
    """The key of that object."""


_NEVER_A_TASK = re.compile(r"(?<![a-z])(?:err(?:or)?|fault|exception|history|log|event)s?(?![a-z])")
_SOURCE = "_source"
"""What Elasticsearch has around a document."""
_AROUND_TASKS = frozenset({"payload", _SOURCE})
"""Keys of the user's own input that may be around a task too."""
_BODIES = frozenset({"attributes", "info", "fields", "job", "video", "taskinfo", "jobinfo", "videoinfo"})
"""Keys inside an object with the id, of an object that has the rest of the task."""
_NAMES_OF_TASKS = frozenset({"taskid", "jobid", "generationid"})


def _names_another(body: Mapping[str, Any], task_id: str) -> bool:
    """Whether an object inside the one with the id has an id of its own: then it may be another task, or a medium."""
    own = (part for key, part in body.items() if plain_word(key[:_LONGEST_KEY]) in _NAMES_OF_TASKS | {"id"})
    return any(isinstance(part, str) and part.strip() not in ("", task_id) for part in own)


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


def _numbers(asked: Collection[str]) -> frozenset[int]:
    return frozenset(int(each) for each in asked if each.isdecimal() and len(each) < _LONGEST_NUMBER)


@frozen
class _Search:
    """What is looked for."""

    asked: Collection[str]
    reading: Reading
    spelling: _Spelling
    numbers: frozenset[int] = field(init=False, default=Factory(lambda self: _numbers(self.asked), takes_self=True))
    """The ids that may be numbers in an answer."""

    def task_at(self, value: dict[str, Any], place: _Place, task_id: str) -> Iterator[Found]:
        """Yield the task that *value*, which has the id, is if it has a state."""
        named = {self.spelling.name(key): part for key, part in value.items()}
        if word_of([named], self.reading) is None:
            body = self._body_of(value, task_id)
            if body is None or named.get("data"):
                return
            value = {**value, "data": body}
        task = self._respelled(value, _DEEPEST)
        if self._is_keyed(place):
            task = {**task, "id" if "id" not in task else "task_id": task_id}
        found = self._found(task, task_id)
        if state_of(found.word, self.reading.dialect) is State.COMPLETED and not details.has_link(found, self.reading):
            found = self._found({**self._results_beside(place), **task}, task_id)
            if is_about_request(found.word) and not details.has_link(found, self.reading):
                return
        yield found

    def _body_of(self, value: Mapping[str, Any], task_id: str) -> dict[str, Any] | None:
        """Return the object in *value* that has the state of its task, as in JSON:API; None if several disagree."""
        told: list[tuple[dict[str, Any], State]] = []
        for key, part in islice(value.items(), _MOST_BESIDE):
            body = self.reading.opened(part) if key == _SOURCE or plain_word(key[:_LONGEST_KEY]) in _BODIES else None
            if type(body) is not dict or _names_another(body, task_id) or links.has_another_role(body):
                continue
            word = word_of([{self.spelling.name(name): each for name, each in body.items()}], self.reading)
            if word is not None:
                told.append((body, state_of(word, self.reading.dialect)))
        return told[0][0] if len({state for _, state in told}) == 1 else None

    def _found(self, task: dict[str, Any], task_id: str) -> Found:
        levels = levels_of(task, self.reading)
        return Found(task, task_id, word_of(levels, self.reading) or "", levels)

    def id_of(self, value: Mapping[str, Any], place: _Place) -> str | None:
        """Return the asked id that *value* has under a key for ids, or that it stands under among tasks."""
        if self._is_keyed(place):
            return place.key
        asked, numbers = self.asked, self.numbers
        same = [
            (key, part)
            for key, part in value.items()
            if (part.__class__ is str and part in asked) or (part.__class__ is int and part in numbers)
        ]
        ids = (part for key, part in same if plain_word(key) in self.spelling.ids)
        found = next((part for part in ids if as_id(part) in asked), None)
        return None if isinstance(found, int) and self._is_a_row_of_another(value) else as_id(found)

    def _is_a_row_of_another(self, value: Mapping[str, Any]) -> bool:
        """Whether *value* names another task: then the integer beside it is a database key."""
        named = (part for key, part in value.items() if plain_word(key[:_LONGEST_KEY]) in _NAMES_OF_TASKS)
        return any(isinstance(part, str) and part.strip() and part not in self.asked for part in named)

    def _is_keyed(self, place: _Place) -> bool:
        return place.key in self.asked and self._may_have_ids_as_keys(place.outer_key)

    def _may_have_ids_as_keys(self, key: str) -> bool:
        """Whether what stands at *key* may be a map of tasks: a wrapper, also in the plural, or the whole answer."""
        plain = plain_word(key[:_LONGEST_KEY])
        return (
            plain in _MAPS_OF_TASKS
            or plain in self.spelling.wrappers
            or plain.removesuffix("s") in self.spelling.wrappers
        )

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
        is_alone = place.around is None or len(place.around) > _MOST_BESIDE or self._is_keyed(place)
        beside = {} if is_alone or place.around is None else place.around
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


_MAPS_OF_TASKS = frozenset({"", "jobs", "videos", "records", "predictions", "list", "rows"})
"""Keys of objects that have ids as keys, besides the wrappers; without a key it is the answer itself."""
_LONGEST_NUMBER = 21
"""Digits and one: longer numbers are not read."""
_MOST_BESIDE = 50
"""Keys of an object around one task."""
_LONGEST_NAME = 20
"""Characters at the end of a key."""
_RESULTS = re.compile(r"(?:result|output|video|work)s?$", re.IGNORECASE)
_IDS_OF_TASKS = frozenset({"task_id", "taskId", "job_id", "jobId", "generation_id"})
