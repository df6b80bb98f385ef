"""JSON objects to generations, with cattrs: strict about types, lenient about shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Any, Literal, get_args

from attrs import fields_dict, has
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from luma_async._checks import medium_or_none
from luma_async._relay.documents import opened
from luma_async.models import Generation, Image, Link


def generation(fields: Mapping[str, Any]) -> Generation:
    """Structure *fields*; a field that is present but unusable becomes None and is listed in ``problems``."""
    try:
        return _converter.structure(fields, Generation)
    except Exception:  # noqa: BLE001 - the explaining converter raises the same error again, with its place
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
    """Return *fields* without the field at *path*, or without a string that stands where *path* needs an object."""
    first, *rest = path
    within = opened(fields[first])
    return {**fields, first: _without(within, tuple(rest)) if rest and isinstance(within, Mapping) else None}


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


def _link(value: Any, _: Any, kind: Literal["video", "image"] = "video") -> Link | None:
    """An empty link is an absent one (contract section 1, ``download_url``); an object may hold the link."""
    if type(value) is dict:
        value = value.get("url")
    if value is None or value == "":
        return None
    link = medium_or_none(value, kind)
    if link is None:
        raise ValueError("not an absolute http(s) URL")
    return link


def _link_to_image(value: Any, _: Any) -> Link | None:
    return _link(value, _, "image")


_GO_ZERO = -62135596800
"""Go's zero time in Unix seconds."""
_MILLISECONDS = 1e11
"""Unix times from here on are in milliseconds: in seconds they would be after the year 5000."""


def _moment(value: Any, _: Any) -> datetime | None:
    """RFC 3339, Unix seconds or milliseconds; Go's zero time and 0 mean *not set* (contract section 1, *Times*)."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.strip().isdecimal():
        moment = datetime.fromisoformat(value.upper())
    else:
        seconds = float(value) if isinstance(value, str) else _number(value, _)
        if seconds >= _MILLISECONDS:
            seconds /= 1000
        moment = datetime.fromtimestamp(seconds or _GO_ZERO, UTC)
    if moment.year == 1:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def moment_or_none(value: Any) -> datetime | None:
    """Return *value* as a moment in UTC (contract section 1, *Times*), or None if it is not one."""
    try:
        return _moment(value, datetime)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _as_it_is(value: Any, _: Any) -> Any:
    return value


_READY = frozenset(
    {
        *("raw", "problems", "state", "result_url", "failure_code", "progress", "queue_position"),
        *("submitted_at", "started_at", "finished_at"),
    }
)
"""Fields that are values already."""
_NOTHING: tuple[Any, ...] = ("", [])
"""Values that mean *no object*, like null: PHP writes an empty object as an empty list."""


def _lenient_object(kind: type, converter: Converter) -> Any:
    """Build the hook for one of our classes: unknown keys are ignored, a plain string is the object's URL."""
    overrides: dict[str, Any] = {name: override(struct_hook=_as_it_is) for name in _READY & set(fields_dict(kind))}
    if kind is Image:
        overrides["url"] = override(struct_hook=_link_to_image)
    structure: Callable[[Any, Any], Any] = make_dict_structure_fn(kind, converter, **overrides)
    has_url = "url" in fields_dict(kind)

    def hook(value: Any, cls: Any) -> Any:
        if type(value) is not dict:
            value = opened(value)
            if value in _NOTHING:
                return None
            if isinstance(value, list) and has_url:
                value = value[0]
            if has_url and isinstance(value, str):
                value = {"url": value}
            if not isinstance(value, Mapping):
                raise TypeError("not an object")
        return structure(value, cls)

    return hook


def _is_optional(kind: Any) -> bool:
    return isinstance(kind, UnionType) and len(get_args(kind)) == 2 and NoneType in get_args(kind)  # noqa: PLR2004


def _optional(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """Build the hook for ``something | None`` once; cattrs' own hook dispatches for each value again."""
    (something,) = set(get_args(kind)) - {NoneType}
    structure = converter.get_structure_hook(something)
    ready = something if something in (str, int) else NoneType

    def hook(value: Any, _: Any) -> Any:
        if value is None or type(value) is ready:
            return value
        return structure(value, something)

    return hook


def _new_converter(*, explaining: bool) -> Converter:
    converter = Converter(detailed_validation=explaining)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_factory(_is_optional, _optional)
    converter.register_structure_hook_func(lambda kind: kind == Link | None, _link)
    converter.register_structure_hook_func(lambda kind: kind == datetime | None, _moment)
    converter.register_structure_hook_factory(has, _lenient_object)
    return converter


_converter, _explaining = _new_converter(explaining=False), _new_converter(explaining=True)
"""The second reports where a field is unusable and takes half as long again, so it runs only if the first fails."""
