"""JSON to attrs and back, with cattrs: strict about types, lenient about shape."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Any, get_args
from urllib.parse import urlsplit

from attrs import fields_dict, has
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from luma_async._text import shown, spelled
from luma_async.errors import LumaError, UncertainSubmitError
from luma_async.models import Generation, Link, State
from luma_async.outcomes import Outcome

_MAX_DEPTH = 64
_MAX_DOCUMENTS = 8
_LARGEST = 10**20
_TOO_LARGE = "JSON with an integer beyond all bounds, which is no number for JSON"


class NotJSONError(ValueError):
    """The text is no JSON, or JSON of a kind that nobody sends in good faith."""


def decode(body: bytes) -> list[Any]:
    """Return the JSON documents in *body*: usually one; gateways sometimes run two together (contract section 4).

    Raises:
        NotJSONError: Empty, not UTF-8, not JSON, over 8 documents, a NaN or infinity, an integer of over 20 digits,
            or nested over 64 deep.
    """
    try:
        return _documents(body.decode("utf-8-sig").strip())
    except UnicodeDecodeError:
        raise NotJSONError("text that is not UTF-8") from None
    except RecursionError:
        raise NotJSONError("JSON nested too deep") from None
    except json.JSONDecodeError as error:
        raise NotJSONError(f"no JSON ({error.msg} at character {error.pos})") from None
    except NotJSONError:
        raise
    except ValueError:  # the interpreter's own limit, of some thousand digits
        raise NotJSONError(_TOO_LARGE) from None


def encoded(value: Any) -> bytes:
    """Return decoded JSON as JSON once more; equal documents with their members in the same order look alike."""
    return json.dumps(value, separators=(",", ":")).encode()


Row = tuple[bytes, Any]
"""The text of a row, and what it says: None where the text is known."""

_BEGINNING = 64
"""Bytes of a known text by which it is looked for: enough to reach an id or a time."""
_BEFORE_ROWS = re.compile(r'[ \t\r\n]*(?:\{[^{\[]*"data"[ \t\r\n]*:[ \t\r\n]*)?\[[ \t\r\n]*')
_BETWEEN_ROWS = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_CLOSE_BY = b",{"
"""Where most relays go on to the next row: a comma, and its first byte."""
_NO_ROW = b"\0"
"""No JSON has that in it."""


def rows_apart(body: bytes, known: Collection[bytes]) -> tuple[Any, list[Row]]:
    """Read a list of rows, bare or as the ``data`` of an envelope, row by row (contract section 2).

    Most rows of a batch are the same bytes as the time before: those are recognised by their text and not parsed.

    Args:
        body: An answer.
        known: Texts of rows that came before, most likely in the order in which the answer has them.

    Returns:
        The document without its rows, and the rows.

    Raises:
        NotJSONError: It is no such list, or an empty one, or no JSON at all: ``decode`` tells which.
    """
    body = body.removeprefix(BOM_UTF8)
    text = body.decode("latin-1")  # each byte is a character: where JSON begins and ends, it is the same as in UTF-8
    try:
        start = _BEFORE_ROWS.match(text)
        if start is None:
            raise NotJSONError("no list of rows")
        rows, end = _rows(body, text, start.end(), known)
        rest = _documents((body[: start.end()] + body[end:]).decode())
    except (RecursionError, ValueError):
        raise NotJSONError("no list of rows") from None
    if len(rest) > 1 or (rest[0] if isinstance(rest[0], list) else rest[0].get("data")) != []:
        raise NotJSONError("more than a list of rows")
    return rest[0], rows


def _rows(body: bytes, text: str, at: int, known: Collection[bytes]) -> tuple[list[Row], int]:
    """Return the rows that begin at *at*, and where the last one ends."""
    rows: list[Row] = []
    expected = iter(known)
    beginnings: dict[bytes, bytes] | None = None
    while True:
        same = next(expected, _NO_ROW)
        if not body.startswith(same, at):
            if beginnings is None:
                beginnings = {kept[:_BEGINNING]: kept for kept in known}
            same = beginnings.get(body[at : at + _BEGINNING], _NO_ROW)
            if not body.startswith(same, at):
                same = _NO_ROW
        if same is not _NO_ROW:
            end = at + len(same)
            rows.append((same, None))
        else:
            row, end = _decoder.raw_decode(text, at)
            new = body[at:end]
            if not new.isascii():
                row = _decoder.decode(new.decode())
            _check(row)
            rows.append((new, row))
        if body.startswith(_CLOSE_BY, end):
            at = end + 1
        elif (comma := _BETWEEN_ROWS.match(text, end)) is not None:
            at = comma.end()
        else:
            return rows, end


def opened(value: Any) -> Any:
    """Return what a string that holds JSON says; anything else as it is (contract section 4: JSON inside a string)."""
    while isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"'):
        try:
            value = decode(value.encode("utf-8", "surrogatepass"))[0]
        except NotJSONError:
            break
    return value


def _documents(text: str) -> list[Any]:
    documents: list[Any] = []
    at = 0
    while at < len(text):
        document, end = _decoder.raw_decode(text, at)
        _check(document)
        documents.append(document)
        if len(documents) > _MAX_DOCUMENTS:
            raise NotJSONError("many JSON documents in a row")
        at = len(text) - len(text[end:].lstrip())
    if not documents:
        raise NotJSONError("an empty body")
    return documents


def _check(document: Any, deepest: float = _MAX_DEPTH) -> None:
    """Refuse what is nested too deep, and numbers beyond all bounds; a parser that asks about each is much slower."""
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > deepest:
            raise NotJSONError("JSON nested too deep")
        below: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str or value is None:
                continue
            if kind is dict:
                below += value.values()
            elif kind is list:
                below += value
            elif kind is int and not -_LARGEST < value < _LARGEST:
                raise NotJSONError(_TOO_LARGE)
            elif kind is float and not isfinite(value):
                _refuse("a float beyond all bounds")
        level = below


def _refuse(number: str) -> Any:
    raise NotJSONError(f"JSON with {number}, which is no number for JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)


def generation(fields: Mapping[str, Any]) -> Generation:
    """Structure *fields*; a field that is present but unusable becomes None and is listed in ``problems``."""
    try:
        return _converter.structure(fields, Generation)
    except Exception:  # noqa: BLE001 - whatever it was, the converter that explains meets it again
        return _structured_in_part(fields)


def _structured_in_part(fields: Mapping[str, Any]) -> Generation:
    try:
        return _explaining.structure(fields, Generation)
    except ClassValidationError as error:
        paths = list(_unusable(error))
        usable = fields
        for path in paths:
            usable = _without(usable, path)
        return _converter.structure({**usable, "problems": tuple(map(".".join, paths))}, Generation)


def _unusable(error: ClassValidationError, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for cause, note in error.group_exceptions()[0]:
        path = (*above, note.name)
        if isinstance(cause, ClassValidationError):
            yield from _unusable(cause, path)
        else:
            yield path


def _without(fields: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return *fields* without the one at *path*, or without what stands in the way to it: a string for an object."""
    first, *rest = path
    within = opened(fields[first])
    return {**fields, first: _without(within, tuple(rest)) if rest and isinstance(within, Mapping) else None}


def outcome_line(outcome: Outcome, made: Generation | None = None) -> str:
    """Return *outcome* as one line of ASCII JSON: the schema of the command line and the journal.

    Where its error left a generation unharmed, such as one that could not be stored, *made* is that generation.
    """
    done, error = outcome.generation or made, outcome.error
    last: Generation | None = done or getattr(error, "generation", None) or getattr(error, "last", None)
    record = {
        "task_id": _as_text(outcome.task_id),
        "state": last.state if last else None,
        "video_url": last.video_url if last else None,
        "error": _told(error),
        "elapsed": round(outcome.elapsed, 3),
        "looks": outcome.looks,
        "generation": last.raw if last else None,
    }
    return json.dumps(record, allow_nan=False)


def submission_line(prompt: str, task_id: str | None, error: LumaError | None) -> str:
    """Return what became of a submit as one line of ASCII JSON: the schema of ``luma-async submit``."""
    return json.dumps({"prompt": prompt, "task_id": task_id, "error": _told(error)})


def _told(error: LumaError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    told = {"type": type(error).__name__, "message": str(error), "retryable": error.retryable}
    if isinstance(error, UncertainSubmitError):
        return {**told, "body": shown(error.body, 500), "candidates": list(error.candidates)}
    return told


def read_line(line: bytes) -> dict[str, Any]:
    """Return the fields of a line that ``outcome_line`` made.

    Raises:
        NotJSONError: It is no such line, or not a whole one.
    """
    try:
        record = _decoder.decode(line.decode())
        _check(record, deepest=inf)
    except (RecursionError, ValueError):
        raise NotJSONError("no JSON") from None
    if not isinstance(record, dict) or not all(key in record and fits(record[key]) for key, fits in _LINE.items()):
        raise NotJSONError("no outcome")
    return record


_LINE: dict[str, Callable[[Any], bool]] = {
    "task_id": lambda value: isinstance(value, str),
    "state": lambda value: value is None or value in list(State),
    "video_url": lambda value: value is None or link_or_none(value) is not None,
    "error": lambda value: value is None or (isinstance(value, dict) and _has_texts(value, "type", "message")),
    "elapsed": lambda value: isinstance(value, int | float),
    "looks": lambda value: isinstance(value, int),
    "generation": lambda value: value is None or isinstance(value, dict),
}
"""What makes a line an outcome."""


def _has_texts(value: dict[str, Any], *keys: str) -> bool:
    return all(isinstance(value.get(key), str) for key in keys)


def _as_text(task_id: object) -> str:
    """Return what the caller passed, however odd, as text."""
    return task_id if isinstance(task_id, str) else spelled(task_id)


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _whole(value: Any, kind: Any) -> int:
    if type(value) is int:
        return value
    number = _number(value, kind)
    if number != int(number):
        raise ValueError("not a whole number")
    return int(value)


def _number(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)


def _link(value: Any, _: Any) -> Link | None:
    """An empty link is an absent one (contract section 1, ``download_url``)."""
    if value is None or value == "":
        return None
    link = link_or_none(value)
    if link is None:
        raise ValueError("not an absolute http(s) URL")
    return link


_PLAIN_LINK = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?:/[!-~]*)?")
"""What nearly all links are like; others are taken apart to be judged, which takes ten times as long."""


_LONG = 2048
"""Characters of a link that is not worth being remembered."""


def link_or_none(value: Any) -> Link | None:
    """Return *value* if it is an absolute http(s) URL (contract section 1), else None."""
    if not isinstance(value, str):
        return None
    return _judged(value) if len(value) <= _LONG else _judged.__wrapped__(value)


@lru_cache(maxsize=64)
def _judged(value: str) -> Link | None:
    """Judge it once: an answer has most of its links in several places."""
    if _PLAIN_LINK.fullmatch(value):
        return Link(value)
    if not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return Link(value) if parts.scheme in ("http", "https") and parts.hostname else None


_GO_ZERO = -62135596800
"""Go's zero time in Unix seconds."""


def _moment(value: Any, _: Any) -> datetime | None:
    """RFC 3339 or Unix seconds; Go's zero time and 0 mean *not set* (contract section 1, *Times*)."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.upper())
    else:
        moment = datetime.fromtimestamp(_number(value, _) or _GO_ZERO, UTC)
    if moment.year == 1:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def moment_or_none(value: Any) -> datetime | None:
    """Return the moment in UTC that *value* tells (contract section 1, *Times*), or None if it tells none."""
    try:
        return _moment(value, datetime)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _as_it_is(value: Any, _: Any) -> Any:
    return value


_NOTHING: tuple[Any, ...] = ("", [])
"""What stands for *no object* besides null: PHP writes an empty object as an empty list."""


def _lenient_object(kind: type, converter: Converter) -> Any:
    """Build the hook for one of our classes: unknown keys are ignored, a plain string is the object's URL."""
    ready = {"raw", "problems", "state", "result_url"} & set(fields_dict(kind))
    overrides: dict[str, Any] = {name: override(struct_hook=_as_it_is) for name in ready}
    structure: Callable[[Any, Any], Any] = make_dict_structure_fn(kind, converter, **overrides)
    has_url = "url" in fields_dict(kind)

    def hook(value: Any, cls: Any) -> Any:
        if type(value) is not dict:
            value = opened(value)
            if value in _NOTHING:
                return None
            if has_url and isinstance(value, str):
                value = {"url": value}
            if not isinstance(value, Mapping):
                raise TypeError("not an object")
        return structure(value, cls)

    return hook


def _is_optional(kind: Any) -> bool:
    return isinstance(kind, UnionType) and len(get_args(kind)) == 2 and NoneType in get_args(kind)  # noqa: PLR2004


def _optional(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """Build the hook for ``something | None`` once; cattrs' own finds out what to do with each value anew."""
    (something,) = set(get_args(kind)) - {NoneType}
    structure = converter.get_structure_hook(something)
    ready = something if something in (str, int) else NoneType

    def hook(value: Any, _: Any) -> Any:
        if value is None or type(value) is ready:
            return value
        return structure(value, something)

    return hook


def _made(*, explaining: bool) -> Converter:
    converter = Converter(detailed_validation=explaining)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_factory(_is_optional, _optional)
    converter.register_structure_hook_func(lambda kind: kind == Link | None, _link)
    converter.register_structure_hook_func(lambda kind: kind == datetime | None, _moment)
    converter.register_structure_hook_factory(has, _lenient_object)
    return converter


_converter, _explaining = _made(explaining=False), _made(explaining=True)
"""The second says where a field is unusable, and takes half as long again: it is asked when the first has failed."""
