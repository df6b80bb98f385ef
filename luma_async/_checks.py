"""Validators for arguments and fields, which refuse bad input before a request is sent."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute

from luma_async._text import shown, spelled
from luma_async.errors import ConfigurationError
from luma_async.models import Link

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def check_number(
    value: Any, name: str, *, above: float | None = None, optional: bool = False, whole: bool = False
) -> None:
    """Raise a ConfigurationError with *name* unless *value* is a finite number, and more than *above*."""
    if optional and value is None:
        return
    lowest = -math.inf if above is None else above
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not (is_number and lowest < value <= sys.float_info.max):
        limit = "" if above is None else f" above {above:g}"
        wanted = f"a {'whole ' if whole else ''}number{limit}{' or None' if optional else ''}"
        raise ConfigurationError(f"{name}={brief(value, 40)} is not {wanted}", advice=f"give {wanted}")


def number(*, above: float | None = None, optional: bool = False, whole: bool = False) -> Validator:
    """Build an attrs validator that calls ``check_number``."""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        name = f"{type(instance).__name__}.{attribute.name}"
        check_number(value, name, above=above, optional=optional, whole=whole)

    return check


def flag(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Raise a ConfigurationError unless *value* is a bool: ``"no"`` would switch a safeguard off."""
    if not isinstance(value, bool):
        name = f"{type(instance).__name__}({attribute.name}={brief(value, 40)})"
        raise ConfigurationError(f"{name} is not a bool", advice=f"give {attribute.name} as True or False")


_PLAIN_LINK = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?:/[!-~]*)?")
"""The form of nearly all links. Other links are parsed, which takes ten times as long."""
_LONG = 2048
"""Characters. Longer links are not cached."""


def link_or_none(value: Any) -> Link | None:
    """Return *value* if it is an absolute http(s) URL (contract section 1), otherwise None."""
    if not isinstance(value, str):
        return None
    return _parsed_link(value) if len(value) <= _LONG else _parsed_link.__wrapped__(value)


@lru_cache(maxsize=64)
def _parsed_link(value: str) -> Link | None:
    """Do the same for a text. The cache is for answers, which have most of their links in several places."""
    if _PLAIN_LINK.fullmatch(value):
        return Link(value)
    if not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return Link(value) if parts.scheme in ("http", "https") and parts.hostname else None


def brief(value: object, limit: int = 60) -> str:
    """Return a repr that fits in a line: a picture as base64 has megabytes."""
    return shown(spelled(value), limit)
