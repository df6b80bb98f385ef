"""JSON to attrs and back, with the one cattrs converter: strict about types, lenient about shape."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import fields_dict, has
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from luma_async.models import Artifact, Assets, Generation, GenerationRequest, Image, Link, Palette, RawVideo, Video
from luma_async.outcomes import Outcome

_MAX_DEPTH = 64
_MAX_INTEGER_DIGITS = 20

_OPENING, _CLOSING = b"[{", b"]}"


class NotJSONError(ValueError):
    """The text is no JSON, or JSON of a kind that nobody sends in good faith."""


def decode(body: bytes) -> list[Any]:
    """Return the JSON documents in *body*: usually one; gateways sometimes run two together (contract section 4).

    Raises:
        NotJSONError: Empty, not UTF-8, not JSON, a NaN or infinity, an integer of over 20 digits, or nested over 64 deep.
    """
    try:
        text = body.decode("utf-8-sig").strip()
        if not text:
            raise NotJSONError("an empty body")
        return list(_documents(text))
    except UnicodeDecodeError:
        raise NotJSONError("text that is not UTF-8") from None
    except RecursionError:
        raise NotJSONError("JSON nested too deep") from None
    except json.JSONDecodeError as error:
        raise NotJSONError(f"no JSON ({error.msg} at character {error.pos})") from None


def opened(value: Any) -> Any:
    """Return what a string that holds JSON says; anything else as it is (contract section 4: JSON inside a string)."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return decode(value.encode("utf-8", "surrogatepass"))[0]
        except NotJSONError:
            return value
    return value


def _documents(text: str) -> Iterator[Any]:
    at = 0
    while at < len(text):
        document, at = _decoder.raw_decode(text, at)
        _check_depth(document)
        yield document
        at += len(text) - at - len(text[at:].lstrip())


def _check_depth(document: Any) -> None:
    level, depth = [document], 0
    while level:
        level = [child for value in level for child in _children(value)]
        depth += 1
        if depth > _MAX_DEPTH:
            raise NotJSONError("JSON nested too deep")


def _children(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in values if isinstance(child, dict | list)]


def _refuse(word: str) -> Any:
    raise NotJSONError(f"the number {word}")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse("too large for a float")


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else _refuse("too large for an integer")


_decoder = json.JSONDecoder(parse_float=_finite, parse_int=_integer, parse_constant=_refuse)


def generation(fields: Mapping[str, Any]) -> Generation:
    """Structure *fields*; a field that is present but unusable becomes None and is listed in ``problems``."""
    try:
        return _converter.structure(fields, Generation)
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
    first, *rest = path
    return {**fields, first: _without(fields[first], tuple(rest)) if rest else None}


def outcome_line(outcome: Outcome) -> str:
    """Return *outcome* as one line of ASCII JSON: the schema of the command line and the journal."""
    done, error = outcome.generation, outcome.error
    last = done or getattr(error, "generation", None) or getattr(error, "last", None)
    record = {
        "task_id": outcome.task_id if isinstance(outcome.task_id, str) else repr(outcome.task_id),
        "state": last.state if last else None,
        "video_url": last.video_url if last else None,
        "error": error and {"type": type(error).__name__, "message": str(error), "retryable": error.retryable},
        "elapsed": round(outcome.elapsed, 3),
        "looks": outcome.looks,
        "generation": last.raw if last else None,
    }
    return json.dumps(record, allow_nan=False)


def _text(value: Any, _: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _whole(value: Any, _: Any) -> int:
    number = _number(value, _)
    if number != int(number):
        raise TypeError("not a whole number")
    return int(number)


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


def link_or_none(value: Any) -> Link | None:
    """Return *value* if it is an absolute http(s) URL (contract section 1), else None."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return None
    scheme, separator, rest = value.partition("://")
    host = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    return Link(value) if separator and host and scheme.lower() in ("http", "https") else None


def _moment(value: Any, _: Any) -> datetime | None:
    """RFC 3339 or Unix seconds; Go's zero time and 0 mean *not set* (contract section 1, *Times*)."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC) if value else None
    moment = datetime.fromisoformat(value)
    if moment.year == 1:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _as_it_is(value: Any, _: Any) -> Any:
    return value


def _lenient_object(kind: type) -> Any:
    """Build the hook for one of our classes: unknown keys are ignored, a plain string is the object's URL."""
    ready = {"raw", "problems", "state", "result_url"} & set(fields_dict(kind))
    structure = make_dict_structure_fn(kind, _converter, **{name: override(struct_hook=_as_it_is) for name in ready})
    has_url = "url" in fields_dict(kind)

    def hook(value: Any, cls: Any) -> Any:
        if has_url and isinstance(value, str):
            value = {"url": value}
        if not isinstance(value, Mapping):
            raise TypeError("not an object")
        return structure(value, cls)

    return hook


_converter = Converter()
_converter.register_structure_hook(str, _text)
_converter.register_structure_hook(int, _whole)
_converter.register_structure_hook(float, _number)
_converter.register_structure_hook_func(lambda kind: kind == Link | None, _link)
_converter.register_structure_hook_func(lambda kind: kind == datetime | None, _moment)
_converter.register_structure_hook_factory(has, _lenient_object)
