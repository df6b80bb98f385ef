"""Finds the texts and the codes of a refusal, under any spelling of their keys, also in JSON inside of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from attrs import evolve, frozen

from luma_async._relay.causes import is_named
from luma_async._relay.documents import Reading
from luma_async._relay.keys import is_not_about_the_task
from luma_async._text import plain_word

_TEXT_KEYS = ("message", "msg", "detail", "description", "error", "errors", "reason", "fail_reason")
_MARKS = ("code", "type", "success", *_TEXT_KEYS)
_DEEPEST = 8
_TITLE = "title"
_OTHER_CODE = re.compile(r"code|(?:err|error|fault|fail|failure)code|errno")
_STATUS_CODE = "statuscode"
_ABOUT_A_REFUSAL = r"(?:err|error|fail|failure|fault|status|resp|response|ret|return|result|display|developer)"
_OTHER_TEXT = re.compile(
    rf"{_ABOUT_A_REFUSAL}*(?:msg|message|reason|details?|desc|description|cause)|{_ABOUT_A_REFUSAL}+(?:text|string|info)"
    r"|err|errors?|exceptions?|failures?|fault"
)
_CONTAINER = re.compile(r"(?:base|common)?resp(?:onse)?(?:metadata|status|header)?|fault|status|result")
_MOST_OTHER_KEYS, _LONGEST_KEY = 100, 60


@lru_cache(maxsize=512)
def _usual_name(key: str) -> str | None:
    """Return the usual name for another spelling of a code or a text, in any case; None for any other key."""
    plain = plain_word(key)
    if _OTHER_CODE.fullmatch(plain):
        return "code"
    if plain in (_TITLE, _STATUS_CODE):
        return plain
    return "message" if _OTHER_TEXT.fullmatch(plain) else "" if _CONTAINER.fullmatch(plain) else None


def _other_parts(value: Mapping[str, Any], *, is_outermost: bool) -> list[tuple[str, Any]]:
    """Return the texts, the codes and what is around them, at other keys than the usual ones."""
    found: list[tuple[str, Any]] = []
    for key in islice(value, _MOST_OTHER_KEYS):
        if key in _MARKS or (name := _usual_name(key[:_LONGEST_KEY])) is None:
            continue
        if name == _STATUS_CODE:
            if not is_outermost:  # there it repeats the HTTP status
                found.append(("code", value[key]))
        elif name or isinstance(value[key], Mapping):
            found.append((name or "message", value[key]))
    return found


@frozen
class Entry:
    """One text or code, and where it was."""

    key: str
    value: str | int
    depth: int
    where: str = ""
    """The field that the text is about, such as ``body.user_prompt``."""
    is_usual: bool = True
    """Whether all keys on the way are the usual ones: what is at others counts where these have nothing."""

    @property
    def text(self) -> str | None:
        """The text for a person to read, or None."""
        if self.key not in (*_TEXT_KEYS, _TITLE) or not isinstance(self.value, str) or not self.value.strip():
            return None
        return f"{self.where}: {self.value}" if self.where else self.value

    @property
    def marks_refusal(self) -> bool:
        """Whether this marks a refusal: a task may have a ``type`` or a ``title`` too, but no other of these keys."""
        return self.key not in ("type", _TITLE) or self.depth > 1


_MOST_ENTRIES = 1000
"""Values of a refusal that are looked at."""


def entries(value: Any, key: str = "", depth: int = 0, reading: Reading | None = None) -> list[Entry]:
    """Return each text or code of a refusal, the outermost first, with JSON inside strings opened."""
    reading = reading or Reading(_MOST_ENTRIES)
    if not reading.visit():
        return []
    plain = reading.opened(value)
    inside = _parts(plain, key) if depth < _DEEPEST else []
    found = [entry for name, part in inside for entry in entries(part, name, depth + 1, reading)]
    if depth < _DEEPEST and type(plain) is dict and (others := _other_parts(plain, is_outermost=not key)):
        further = [entry for name, part in others for entry in entries(part, name, depth + 1, reading)]
        found += [evolve(entry, is_usual=False) for entry in further]
    if found and isinstance(plain, Mapping) and isinstance(where := plain.get("loc"), list):
        name = ".".join(str(part) for part in where[:_DEEPEST] if isinstance(part, str | int))[:_LONGEST_CODE]
        found = [evolve(entry, where=name) for entry in found]
    plain = plain if isinstance(plain, str | int) else value
    if found or not key or not isinstance(plain, str | int) or plain == "":
        return found
    return [Entry(key, plain, depth)]


def says_too_many(document: Any) -> bool:
    """Whether an envelope, or an error's object in it, has 429 as its code or status."""
    reading, level = Reading(_MOST_ENTRIES), [("", document)]
    for _ in range(_DEEPEST):
        below: list[tuple[str, Any]] = []
        for around, value in level:
            plain = reading.opened(value) if reading.visit() else None
            if isinstance(plain, list):
                below += [(around, item) for item in plain[:_MOST_OTHER_KEYS]]
            elif isinstance(plain, Mapping):
                names = _NAMES_AN_ERROR if around == _DATA else _NAMES_A_STATUS
                parts = list(islice(plain.items(), _MOST_OTHER_KEYS))
                if any(part in _TOO_MANY and names.fullmatch(plain_word(key[:_LONGEST_KEY])) for key, part in parts):
                    return True
                below += [(key, part) for key, part in parts if type(part) in _MAY_HOLD_MORE and _is_of_a_refusal(key)]
        level = below
    return False


def _is_of_a_refusal(key: str) -> bool:
    return key in _MARKS or key == _DATA or _usual_name(key[:_LONGEST_KEY]) is not None


_DATA = "data"
_TOO_MANY = (429, "429")
_NAMES_AN_ERROR = re.compile(r"(?:err|error|fail|failure|fault)(?:status)?code|(?:err|error)no")
_NAMES_A_STATUS = re.compile(
    r"(?:http|api|err|error|fail|failure|fault|ret|return|result|resp|response|biz)*(?:status|code|statuscode)"
    r"|(?:err|error)(?:no)?|ret"
)
_MAY_HOLD_MORE = frozenset({str, list, dict})


def further_texts(document: Any) -> list[str]:
    """Return the texts in a refusal under any key, the outermost first, but not the user's own."""
    reading, level, found = Reading(_MOST_ENTRIES), [document], list[str]()
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in level:
            if not reading.visit():
                return found
            plain = reading.opened(value)
            if isinstance(plain, str) and plain.strip():
                found.append(plain)
            elif isinstance(plain, list):
                below += plain[:_MOST_ENTRIES]
            elif isinstance(plain, Mapping):
                below += [part for key, part in islice(plain.items(), _MOST_ENTRIES) if part and _may_tell_why(key)]
        level = below
    return found


def _may_tell_why(key: str) -> bool:
    return plain_word(key[:_LONGEST_KEY]) not in _OF_THE_USER and not is_not_about_the_task(key)


_OF_THE_USER = ("title", "name", "caption", "script")


def _parts(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(name, value[name]) for name in _MARKS if name in value]
    return [(key, item) for item in value[:_MOST_ENTRIES]] if isinstance(value, list) else []


def innermost_text(value: Any, reading: Reading | None = None) -> str | None:
    """Return the text in *value* for a person to read: the deepest one, in full; None if there is none.

    Args:
        value: A text, or an object or list with texts in it.
        reading: Bounds the work; without it, 1000 values are looked at.
    """
    return deepest_text(entries(value, "message", reading=reading))


def code_in(value: Any, reading: Reading | None = None) -> str | int | None:
    """Return the most precise code in *value*; *reading* bounds the work."""
    return code_of(entries(value, "message", reading=reading))


def deepest_text(found: list[Entry]) -> str | None:
    """Return the deepest text for a person to read; None if there is none."""
    texts = [entry for entry in found if entry.text]
    return max(texts, key=lambda entry: (entry.is_usual, entry.depth)).text if texts else None


_MOST_FIELDS = 20


def text_of_a_field(document: Any) -> str | None:
    """Return the first text that an object ``errors`` has about a field; None if there is none."""
    reading, value = Reading(_MOST_ENTRIES), document
    for _ in range(_DEEPEST):
        value = reading.opened(value)
        if not isinstance(value, Mapping):
            return None
        errors = reading.opened(value.get("errors"))
        for name, part in islice(errors.items() if isinstance(errors, Mapping) else (), _MOST_FIELDS):
            text = part[0] if isinstance(part, list) and part else part
            if isinstance(text, str) and text.strip():
                return f"{name[:_LONGEST_KEY]}: {text}"
        value = value.get("error")
    return None


_LONGEST_CODE = 500


def code_of(complaints: list[Entry]) -> str | int | None:
    """Return the most precise code: one with a row in the table, otherwise the innermost."""
    found = [entry for entry in complaints if entry.key == "code" and not isinstance(entry.value, bool)]
    codes = [entry.value for entry in sorted(found, key=lambda entry: entry.is_usual)]
    codes = [code for code in codes if not isinstance(code, str) or len(code) <= _LONGEST_CODE]
    named = [code for code in codes if is_named(code)]
    return next(reversed(named or codes), None)
