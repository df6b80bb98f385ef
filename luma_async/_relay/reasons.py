"""Finds why a task failed: text under a key that names a reason, and the code beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from luma_async._checks import medium_or_none
from luma_async._relay.complaints import code_in, innermost_text
from luma_async._relay.documents import Reading
from luma_async._relay.keys import is_not_about_the_task
from luma_async._relay.links import Levels
from luma_async._relay.search import Found, levels_of
from luma_async._relay.success import says_all_is_well
from luma_async._text import in_words
from luma_async.dialect import Dialect, plain_state
from luma_async.models import State

_MOST_VALUES = 1000
"""Values in the places of reasons that are looked at."""
_MOST_KEYS, _LONGEST_KEY = 200, 60
_DEEPEST = 4


def failure_of(found: Found, raw: Mapping[str, Any], reading: Reading) -> tuple[str | None, str | None]:
    """Return why the task failed, and the code for it; None for what the relay does not say.

    The keys of the dialect come first, then any other key that names a reason; the innermost object comes first, and
    the envelopes around the task last (design, *Reading what relays say*).

    Args:
        found: The task.
        raw: The whole answer.
        reading: Has the dialect, and what is opened already.
    """
    levels, budget = found.levels[::-1], Reading(_MOST_VALUES)
    envelopes = _envelopes(found, raw, reading)
    places = chain(
        _at_known_keys(levels, reading.dialect),
        _at_other_keys(levels),
        _at_known_keys(_states(levels, reading), reading.dialect),
        _below(levels, reading),
        _at_known_keys(envelopes, reading.dialect),
        _at_other_keys(envelopes),
    )
    texts = (innermost_text(value, budget) for value in places)
    reason = next((text for text in texts if text and _is_reason(text, found, reading.dialect)), None)
    return reason, _code_of(levels, budget) or _word_beside_the_state(levels, reading)


def _code_of(levels: Levels, budget: Reading) -> str | None:
    codes = chain(
        (level[key] for level in levels for key in _keys(level, _CODE)),
        (level[key] for level in levels for key in _keys(level, _ERROR_CODE)),
        (code_in(value, budget) for value in _at_other_keys(levels)),
    )
    texts = (str(code) for code in codes if type(code) in (str, int))
    return next((code for code in texts if not _says_nothing(code)), None)


def _word_beside_the_state(levels: Levels, reading: Reading) -> str | None:
    """Return a word at ``code`` in the object that has the state: a number there is the envelope's."""
    codes = (level.get("code") for level in levels if not reading.keys.states.isdisjoint(level))
    words = (code.strip() for code in codes if isinstance(code, str) and _A_WORD.fullmatch(code.strip()))
    known = reading.dialect.state_words
    return next((word for word in words if plain_state(word) not in known and not _says_nothing(word)), None)


_A_WORD = re.compile(r"[A-Za-z][\w.:/-]{1,99}")


# --- places ---
def _envelopes(found: Found, raw: Mapping[str, Any], reading: Reading) -> Levels:
    """Return the objects around the task, the innermost first."""
    if raw is found.task:
        return []
    around = levels_of(raw, reading)
    own = next((number for number, level in enumerate(around) if level is found.task), 1)
    return around[:own][::-1]


def _states(levels: Levels, reading: Reading) -> Levels:
    """Return the objects that have the word for the state."""
    values = (reading.opened(level[key]) for level in levels for key in reading.keys.states if level.get(key))
    return [value for value in values if type(value) is dict]


def _at_known_keys(levels: Levels, dialect: Dialect) -> Iterator[Any]:
    return (level[key] for key in dialect.reason_keys for level in levels if level.get(key))


def _at_other_keys(levels: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    for level in levels:
        kinds = [(_kind(key[:_LONGEST_KEY]), key) for key in islice(level, _MOST_KEYS) if level[key]]
        for wanted in (_REASON, _ANY_REASON):
            yield from [level[key] for kind, key in kinds if kind == wanted]


def _below(levels: Levels, reading: Reading) -> Iterator[Any]:
    """Yield what other objects inside the task have at such keys, the outermost first."""
    budget, own = Reading(_MOST_VALUES), {id(level) for level in levels}
    for _ in range(_DEEPEST):
        levels = [part for level in levels for part in _objects_in(level, reading, budget) if id(part) not in own]
        yield from _at_other_keys(levels)


def _objects_in(level: Mapping[str, Any], reading: Reading, budget: Reading) -> Iterator[Mapping[str, Any]]:
    for key, value in islice(level.items(), _MOST_KEYS):
        if not value or type(value) not in _MAY_HOLD_OBJECTS or is_not_about_the_task(key):
            continue
        part = reading.opened(value)
        for item in part if type(part) is list else (part,):
            if not budget.visit():
                return
            if type(item) is dict:
                yield item


_MAY_HOLD_OBJECTS = frozenset({str, list, dict})


# --- keys ---
_REASON, _ANY_REASON, _CODE, _ERROR_CODE = "reason", "any reason", "code", "error code"
_FAILURE = (
    r"fail(?:ed|ure)?|(?:^|_)err|error|reason|reject(?:ed|ion)?|refus(?:ed|al)|exception|deni(?:ed|al)|violation|fault"
)
_LANGUAGE = r"(?:_(?:en|zh|cn|us))*"
_NAMES_A_REASON = re.compile(rf"(?:{_FAILURE}|cause)s?{_LANGUAGE}$|^base_?resp(?:onse)?$")
_NAMES_A_TEXT = re.compile(
    rf"(?:(?:{_FAILURE}|moderation|block(?:ed)?)\w*|(?:^|_)(?:status|state)_?)"
    rf"(?:msg|message|reason|text|string|detail|desc|description|explanation|info|title)s?{_LANGUAGE}$"
    rf"|(?:^|_)(?:task|job|result|ret|resp|response)_?(?:msg|message){_LANGUAGE}$"
)
_NAMES_ANOTHER_THING = re.compile(r"callback|hook|notif|default|^(?:on|if|no|is|has|can|may|max|ignore|allow|should)_")
_NAMES_A_CODE = re.compile(r"(?:fail|failed|failure|fail_?reason|failure_?reason)_?code")
_NAMES_AN_ERROR_CODE = re.compile(r"(?:task_?)?(?:err|error|reason|reject|rejection|moderation|exception)_?code|errno")


@lru_cache(maxsize=512)
def _kind(key: str) -> str | None:
    """Return what *key* names; None if that is neither a reason nor a code."""
    plain = in_words(key)
    if _NAMES_A_CODE.fullmatch(plain):
        return _CODE
    if _NAMES_AN_ERROR_CODE.fullmatch(plain):
        return _ERROR_CODE
    if _NAMES_ANOTHER_THING.search(plain):
        return None
    return _REASON if _NAMES_A_TEXT.search(plain) else _ANY_REASON if _NAMES_A_REASON.search(plain) else None


def _keys(level: Mapping[str, Any], kind: str) -> list[str]:
    return [key for key in islice(level, _MOST_KEYS) if level[key] and _kind(key[:_LONGEST_KEY]) == kind]


# --- texts ---
_SAYS_NOTHING = frozenset(
    {
        *("none", "null", "nil", "undefined", "n/a", "true", "false", "stop", "failed", "fail", "failure", "error"),
        *("{}", "[]", "-", "无", "無", "暂无", "なし", "없음", "нет", "ninguno", "aucun", "keine", "nessuno"),
    }
)
_NOT_A_TEXT = re.compile(r"\S+://\S+|/\S+|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
"""A link, a path, or a UUID."""
_A_NUMBER = re.compile(r"[\d\s.,:%/+_-]*")
_LONGEST_WORD = 80


def _is_reason(text: str, found: Found, dialect: Dialect) -> bool:
    """Whether *text* says why the task failed: a state, an id or a link does not, nor that all is well."""
    plain = text.strip()
    if plain == found.task_id or medium_or_none(text, "video") is not None or _NOT_A_TEXT.fullmatch(plain):
        return False
    if len(plain) > _LONGEST_WORD:
        return True
    is_other_state = dialect.state_words.get(plain_state(plain.strip(" .!。！")), State.FAILED) is not State.FAILED
    return not is_other_state and not _says_nothing(plain) and _A_NUMBER.fullmatch(plain) is None


def _says_nothing(text: str) -> bool:
    plain = text.strip(" .!。！").casefold()
    return plain in _SAYS_NOTHING or says_all_is_well(plain)
