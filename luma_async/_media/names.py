"""The names of files, made by a user's template from the facts of a generation; no I/O."""

from __future__ import annotations

import re
import unicodedata
from typing import Self

from attrs import evolve, frozen

from luma_async._media.files import name_of_id
from luma_async._text import shown, spelled
from luma_async.errors import ConfigurationError
from luma_async.models import Generation, Role

_FIELDS = ("id", "prompt", "state", "role", "created_at")
_PART = re.compile(r"\{(?P<field>[a-z_]+)(?::\.(?P<most>[1-9][0-9]{0,3}))?\}|(?P<text>[^{}]+)")
_MOST_BYTES = 200
"""Bytes of a whole name: a hidden name of a partial file is longer, and file systems allow 255."""
_LONGEST_ENDING = len(".webm")
_MOST_OF_TEXT = 40
"""Bytes of a template beside its fields: with the longest id and role, a prompt still has some characters."""
_UNSAFE = frozenset('<>:"/\\|?*+')
"""What Windows refuses in a name, and the ``+`` that separates the parts of a partial file's name."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\.|\Z)", re.IGNORECASE)
"""Names of devices on Windows, whatever follows the first dot."""
_FILLERS = "_~="
"""One of them stands for a character that a name cannot have, and for a value that is empty."""
_ALLOWED = "write text and {id}, {prompt}, {state}, {role} or {created_at}, each once; {prompt:.40} takes 40 characters"


@frozen
class _Part:
    """A fixed text, or a field."""

    text: str = ""
    field: str = ""
    most: int | None = None
    """Characters of the field's value; None for all."""
    apart: str = ""
    """The character between this field and the id, which is not in its value: so two ids never share a name."""


@frozen
class NameTemplate:
    """How the files of generations are named: fixed text, and fields in braces.

    The id is in each name and stands apart, so two ids never share a name. Without ``{role}``, the role follows the
    rest, as in the usual names.
    """

    parts: tuple[_Part, ...]

    @classmethod
    def of(cls, text: object) -> Self:
        """Read a template.

        Raises:
            ConfigurationError: It is not a template, or its names could be unsafe or the same for two ids.
        """
        if not isinstance(text, str):
            raise _unusable(text, "is not text")
        found = list(_PART.finditer(text))
        if "".join(part[0] for part in found) != text or not text:
            raise _unusable(text, "is not a template for names")
        parts = [_Part(part["text"] or "", part["field"] or "", int(part["most"] or 0) or None) for part in found]
        _check_fields(text, [part.field for part in parts if part.field])
        _check_text(text, "".join(part.text for part in parts))
        if not any(part.field == "role" for part in parts):
            parts += [_Part("."), _Part(field="role")]
        place = next(place for place, part in enumerate(parts) if part.field == "id")
        before, after = _apart(text, parts[:place][::-1], -1), _apart(text, parts[place + 1 :], 0)
        return cls((*before[::-1], parts[place], *after))

    def stem(self, generation: Generation, role: Role) -> str:
        """Return the name for a medium, without its ending: at most 195 bytes of UTF-8, with the id as a whole."""
        values = [part.text or _value(part, generation, role) for part in self.parts]
        left = _MOST_BYTES - _LONGEST_ENDING - len("_")
        for place, part in enumerate(self.parts):
            if part.field != "prompt":
                left -= len(values[place].encode())
        for place, part in enumerate(self.parts):
            if part.field == "prompt":
                values[place] = _cut_to_bytes(values[place], left) or _filler(part.apart)
        stem = "".join(values)
        return f"_{stem}" if _RESERVED.match(stem) else stem


def _check_fields(text: str, names: list[str]) -> None:
    for name in names:
        if name not in _FIELDS:
            raise _unusable(text, f"has {{{name}}}, which is not a field")
    if len(set(names)) < len(names):
        raise _unusable(text, "has a field twice")
    if "id" not in names:
        raise _unusable(text, "lacks {id}, without which two files could have one name")


def _check_text(text: str, fixed: str) -> None:
    is_safe = fixed == unicodedata.normalize("NFC", fixed) and all(c.isprintable() and c not in _UNSAFE for c in fixed)
    if not is_safe or len(fixed.encode()) > _MOST_OF_TEXT:
        allowed = f"printable characters, but none of {''.join(sorted(_UNSAFE))}, and at most {_MOST_OF_TEXT} bytes"
        raise _unusable(text, f"has other text than a name can have: {allowed}")
    if text[0] in "-. ":
        raise _unusable(text, "starts with a dash, a dot or a blank")


def _apart(text: str, beside: list[_Part], edge: int) -> list[_Part]:
    """Return the parts *beside* the id, the nearest one first; their values lack the character next to the id."""
    if not any(part.field for part in beside):
        return beside
    mark = beside[0].text[edge : edge + 1 or None]
    if not mark or mark.isalnum() or unicodedata.combining(mark):
        raise _unusable(text, "does not set {id} apart from the other fields, as in {prompt:.40}-{id}")
    return [evolve(part, apart=mark) if part.field else part for part in beside]


def _unusable(text: object, why: str) -> ConfigurationError:
    shown_text = shown(text if isinstance(text, str) else spelled(text), 80)
    return ConfigurationError(f"the name {shown_text} {why}", advice=_ALLOWED)


def _value(part: _Part, generation: Generation, role: Role) -> str:
    """Return the value of a field as a name can have it; it is never empty."""
    if part.field == "id":
        name = name_of_id(generation.id, part.most)
        return name_of_id(generation.id, 0) if _RESERVED.match(name) else name
    filler = _filler(part.apart)
    value = _safe(_text_of(part.field, generation, role), filler)
    if part.apart:
        value = value.replace(part.apart, filler)
    return _trimmed(_cut(value.strip().lstrip("-."), part.most)) or filler


def _text_of(field: str, generation: Generation, role: Role) -> str:
    if field == "prompt":
        return generation.prompt or (generation.request and generation.request.prompt) or ""
    if field == "created_at":
        return "" if generation.created_at is None else f"{generation.created_at:%Y%m%dT%H%M%SZ}"
    return role if field == "role" else generation.state.value


def _filler(apart: str) -> str:
    return next(filler for filler in _FILLERS if filler != apart)


def _safe(text: str, filler: str) -> str:
    """Return *text* with single blanks, without marks and controls, and with *filler* for what is unsafe."""
    kept = (filler if c in _UNSAFE else c for c in text if c.isprintable() or c.isspace())
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))


def _cut(text: str, most: int | None) -> str:
    """Return at most *most* characters of *text*; a letter keeps its marks, or goes as a whole."""
    if most is None or len(text) <= most:
        return text
    while most and unicodedata.combining(text[most]):
        most -= 1
    return text[:most]


def _cut_to_bytes(text: str, most: int) -> str:
    """Return as much of *text* as fits into *most* bytes of UTF-8."""
    return _trimmed(_cut(text, len(text.encode()[:most].decode(errors="ignore"))))


def _trimmed(text: str) -> str:
    """Return *text* without dots and blanks at its end, which Windows would leave out."""
    return text.rstrip(". ")
