"""Which keys name something else than the task and its result: the user's own input, callbacks and other tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from luma_async._text import in_words

_NOT_OF_THE_TASK = (
    r"request|input|prompt|propert|(?<!re)source|referenc|call_?back|hook"
    r"|(?<![a-z])(?:param|option|config|setting|payload|previous|parent|notif)"
)
"""The user's own input, callbacks and other tasks."""
_NOT_THE_RESULT = re.compile(
    rf"{_NOT_OF_THE_TASK}|progress|preview|thumb|image|poster|frame|cover|avatar|logo"
    r"|(?<![a-z])(?:init|upload|redirect|postback|driving|mask"
    r"|(?:(?:kw)?arg(?:ument)?s?|req|query|users?|extend|control|guidance|template)(?![a-z])"
    r"|(?:start|base|src|ref|(?:return|success|cancel|error|status|back)(?=_ur[li]))_)"
)
_NOT_ABOUT_THE_TASK = re.compile(rf"{_NOT_OF_THE_TASK}|argument|original|user|account|billing|quota")
_OF_ANOTHER = re.compile(
    r"(?<![a-z])(?:child(?:ren)?|related|similar|remixes|remixed_from|remix_of|recommend(?:ed|ations?)?|extensions"
    r"|extended_from|siblings?|creators?|authors?|owners?|profiles?)(?![a-z])"
)
_CLEAN = re.compile(r"(?:no|non|without|un|free_of)_?(?:water_?mark|wm(?![a-z]))|water_?mark_?(?:free|less|removed)")
_MARKED = re.compile(r"water_?mark")
_ORIGINAL = re.compile(r"original(?!.*(?:video|ur[li]))")
"""What the user gave, if it is an object; ``original_video_url`` is the result without a watermark."""
_LONGEST_KEY = 100


def is_never_the_result(key: str, value: Any = None) -> bool:
    """Whether *key* names the user's own input, a preview or a callback: nothing there or below is the result.

    See *Reading what relays say* in the design. *value* is what is there: some keys name input only around an object.
    """
    name = in_words(key[:_LONGEST_KEY])
    if _ORIGINAL.match(name):
        return isinstance(value, Mapping | list) or (isinstance(value, str) and value.lstrip()[:1] in _OBJECT)
    return _names_no_result(name)


_OBJECT = ("{", "[")


@lru_cache(maxsize=1024)
def _names_no_result(name: str) -> bool:
    return _NOT_THE_RESULT.search(name) is not None


@lru_cache(maxsize=1024)
def is_not_about_the_task(key: str) -> bool:
    """Whether no text at *key* is about this task: it names the user's own input, an account or another task."""
    return _NOT_ABOUT_THE_TASK.search(in_words(key[:_LONGEST_KEY])) is not None


@lru_cache(maxsize=1024)
def is_of_another(key: str) -> bool:
    """Whether *key* names other tasks, such as the remixes of this one, or a person."""
    return _OF_ANOTHER.search(in_words(key[:_LONGEST_KEY])) is not None


@lru_cache(maxsize=1024)
def is_clean(key: str) -> bool:
    """Whether *key* names a medium without a watermark."""
    return _CLEAN.search(in_words(key[:_LONGEST_KEY])) is not None


def has_a_mark(place: str) -> bool:
    """Whether a place, or a link, names a medium with a watermark."""
    words = in_words(place)
    return _MARKED.search(words) is not None and _CLEAN.search(words) is None
