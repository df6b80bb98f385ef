"""Validators for arguments and fields, which refuse bad input before a request is sent."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote, urlsplit

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


_PLAIN_LINK = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?:/(?:[!#$&-;=?-Z_a-z~]|%[0-9A-Fa-f]{2})*)?")
"""The form of nearly all links, which need no change. Other links are parsed, which takes ten times as long."""
_LONG = 2048
"""Characters. Longer links are not cached."""
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_LONGEST = 2**16
"""Characters. A longer text is not a link, and the standard library would cache what it split."""
_NEVER_IN_A_LINK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\]")
_NEVER_IN_A_HOST = re.compile(r"[\s<>\"^`{|}%@]")
_NOT_IN_A_URL = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]|%(?![0-9A-Fa-f]{2})")
"""What a path or query cannot hold as it is (RFC 3986, section 2)."""
_DATA_OF = {
    "video": re.compile(r"data:video/[^,\s]{1,200};base64,"),
    "image": re.compile(r"data:image/(?:png|jpeg|webp);base64,"),
}


def link_or_none(value: Any) -> Link | None:
    """Return *value* as an absolute http(s) URL (contract section 1), or None if it is not one.

    Blanks around it are left out. What a path or query cannot hold is percent-encoded, character by character. The rest
    stays as it is, byte for byte: it may be signed. A user name, a backslash and a control character are refused.
    """
    if not isinstance(value, str):
        return None
    return _parsed_link(value) if len(value) <= _LONG else _parsed_link.__wrapped__(value)


def medium_or_none(value: Any, kind: Literal["video", "image"]) -> Link | None:
    """Return *value* as ``link_or_none`` does, or as a ``data:`` URL that holds a medium of this *kind* in base64."""
    if not isinstance(value, str):
        return None
    if value.startswith("data:") and _DATA_OF[kind].match(value) and value.isascii():  # in a record it may be cut
        return Link(value.strip())
    return link_or_none(value)


@lru_cache(maxsize=64)
def _parsed_link(value: str) -> Link | None:
    """Do the same for a text. The cache is for answers, which have most of their links in several places."""
    if _PLAIN_LINK.fullmatch(value):
        return Link(value)
    value = value.strip()
    if not _SCHEME.match(value) or len(value) > _LONGEST or _NEVER_IN_A_LINK.search(value):
        return None
    try:
        parts = urlsplit(value)
        is_link = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    if not is_link or _NEVER_IN_A_HOST.search(parts.netloc):
        return None
    start = value.index("//") + 2 + len(parts.netloc)
    return Link(value[:start] + _NOT_IN_A_URL.sub(lambda found: quote(found[0], safe=""), value[start:]))


_OUR_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "host", "connection", "transfer-encoding"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
"""A token (RFC 9110, section 5.6.2)."""
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,8000}")


def checked_headers(headers: object, name: str, *, also_refused: str = "authorization") -> dict[str, str]:
    """Return *headers*, the value of the argument *name*, if they are texts that a request may carry.

    *also_refused* is the header of the key. The error never shows a value.

    Raises:
        ConfigurationError: It is not a mapping of such texts, or has a header that only this library may set.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"{name} is not a mapping", advice=f'give {name} like {{"X-Team": "films"}}')
    for header in headers:
        trouble = _unusable(header, headers[header], name, also_refused)
        if trouble is not None:
            headers = None  # tracebacks show local variables
            raise trouble
    return dict(headers)


def _unusable(header: object, value: object, name: str, also_refused: str) -> ConfigurationError | None:
    """Return the error for one of the *headers*, or None: this frame is over when it is raised."""
    if not isinstance(header, str) or not _HEADER_NAME.fullmatch(header):
        return ConfigurationError(f"{name}: {brief(header, 40)} is not a header's name", advice="see RFC 9110")
    plain = header.lower()
    if plain in _OUR_HEADERS or plain == also_refused.lower() or plain.startswith("content-"):
        return ConfigurationError(
            f"{name}: {header} cannot be set", advice="leave it out: this library sets it, or must not send it"
        )
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value) or value != value.strip():
        return ConfigurationError(
            f"{name}: the value of {header} is not one line of printable ASCII text without blanks around it",
            advice="write it in ASCII",
        )
    return None


def brief(value: object, limit: int = 60) -> str:
    """Return a repr that fits in a line: a picture as base64 has megabytes."""
    return shown(spelled(value), limit)
