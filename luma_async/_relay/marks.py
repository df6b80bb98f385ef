"""Whether an envelope marks a request as failed, at keys besides the usual ones, such as ``errno`` or ``isOk``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from luma_async._relay.search import state_of
from luma_async._relay.success import says_all_is_well
from luma_async._text import plain_word
from luma_async.models import State

_MOST_KEYS, _LONGEST_KEY = 100, 60
_DEEPEST, _MOST_PARTS = 3, 20

_MUST_HOLD = re.compile(r"(?:is)?(?:success|succeeded|succeed|successful|ok)")
_MUST_NOT_HOLD = re.compile(r"(?:has|is)?(?:errors?|fail(?:ed|ure|ures)?|rejected|exceptions?|fault)|err(?:s|ors)?")
_IS_EMPTY = re.compile(r"(?:err|error|exception|fault)(?:msg|message|text|detail|details|desc|description|info|reason)")
_IS_ZERO = re.compile(r"(?:err|error|fail|failure|fault)code|(?:err|error)(?:no|num|number)|ret(?:urn)?(?:code)?")
_OF_HTTP = re.compile(r"(?:http|response|resp)*(?:status|statuscode)|httpcode")
_KIND = re.compile("object|type")
_RESULT = "result"
_AROUND_MARKS = re.compile(r"(?:base|common)resp(?:onse)?")
_FALSE, _TRUE = frozenset({"false", "no", "0"}), frozenset({"true", "yes"})
_NOTHING = frozenset({"", "none", "null", "nil", "n/a", "undefined", "false", "no"})
_STATUSES = range(400, 600)
_LONGEST_NUMBER = 20


def marks_error(level: Mapping[str, Any]) -> bool:
    """Whether a key of *level* says that the request failed; its ``code`` and its words for a state are not read."""
    return any(
        _is_mark(plain_word(key[:_LONGEST_KEY]), value)
        for key, value in islice(level.items(), _MOST_KEYS)
        if value is not None
    )


def _is_mark(name: str, value: Any) -> bool:
    return any(pattern.fullmatch(name) is not None and says(value) for pattern, says in _SAY_ERROR) or (
        name == _RESULT and _is_failure(value)
    )


def _is_untrue(value: Any) -> bool:
    return value is False or (type(value) in (int, str) and _plain(value) in _FALSE)


def _is_failure(value: Any) -> bool:
    return value is False or (isinstance(value, str) and state_of(value) is State.FAILED)


def _is_error_status(value: Any) -> bool:
    number = _number(value)
    return value is False or (number is not None and (number < 0 or number in _STATUSES))


def _is_error_kind(value: Any) -> bool:
    return isinstance(value, str) and _plain(value) == "error"


def _is_inner_mark(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    inside = {plain_word(key[:_LONGEST_KEY]): part for key, part in islice(value.items(), _MOST_PARTS)}
    return _is_trouble(inside.get("statuscode", inside.get("code"))) or marks_error(value)


def _is_trouble(value: Any, depth: int = _DEEPEST) -> bool:
    """Whether *value* is more than nothing, a zero, a number of HTTP for a success, or a text that all is well."""
    if isinstance(value, Mapping):
        value = list(islice(value.values(), _MOST_PARTS))
    if isinstance(value, list):
        return depth == 0 or any(_is_trouble(part, depth - 1) for part in value[:_MOST_PARTS])
    if isinstance(value, bool) or value is None:
        return value is True
    number = _number(value)
    if number is not None:
        return number != 0 and number // 100 != 2  # noqa: PLR2004 - as of HTTP
    plain = _plain(value)
    return plain in _TRUE or (plain not in _NOTHING and not says_all_is_well(plain.replace("::", " ")))


def _plain(value: Any) -> str:
    return str(value).strip().casefold()


def _number(value: Any) -> float | None:
    if type(value) in (int, float):
        return float(value)
    is_number = isinstance(value, str) and len(value) <= _LONGEST_NUMBER and re.fullmatch(r"\s*-?[0-9]+\s*", value)
    return float(value) if is_number else None


_SAY_ERROR: tuple[tuple[re.Pattern[str], Callable[[Any], bool]], ...] = (
    (_MUST_HOLD, _is_untrue),
    (_MUST_NOT_HOLD, _is_trouble),
    (_IS_EMPTY, _is_trouble),
    (_IS_ZERO, _is_trouble),
    (_OF_HTTP, _is_error_status),
    (_KIND, _is_error_kind),
    (_AROUND_MARKS, _is_inner_mark),
)
