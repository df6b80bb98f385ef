"""Makes text from outside safe to show: short, and without control characters."""

from __future__ import annotations

import re

_MOST_OF_DATA = 60
"""Characters of a ``data:`` link that are shown or recorded: the rest is the medium, which may have megabytes."""
_DATA_LINK = re.compile(
    r"data:(?:[\w.+-]{1,50}/[^,:\s]{1,100}|[^,:\s]{0,100};base64),(?:[\w+/=%.~!$&*-]|\r?\n|\\+[/rn])*",
    re.IGNORECASE,
)
"""Also one in JSON that is a text itself, and one that is broken into lines."""


def plain_str(text: str) -> str:
    """Return *text* as a plain str: a member of a str enum prints and hashes as its name."""
    return str.__str__(text)


def spelled(value: object) -> str:
    """Return the repr of *value*, or a generic one: an integer of 5,000 digits has no repr, and some objects raise."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - this text is for an error message, which must not fail
        return object.__repr__(value)


def shown(text: object, limit: int = 300) -> str:
    """Return *text* with control characters made visible, cut to *limit* characters.

    Line breaks, escapes, bidirectional overrides and lone surrogates become Python's escapes for them. A ``data:`` link
    is cut, too.
    """
    cut = str(text)[: limit + 1]
    plain = without_media(cut[:limit])
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)
    return f"{visible.removesuffix('…')}…" if len(cut) > limit else visible


def without_media(text: str) -> str:
    """Return *text* with each ``data:`` link in it cut to 60 characters; the last one says so (design, *Media*)."""
    return _DATA_LINK.sub(lambda link: _brief(link[0]), text)


def _brief(link: str) -> str:
    return link if len(link) <= _MOST_OF_DATA else f"{link[: _MOST_OF_DATA - 1]}…"
