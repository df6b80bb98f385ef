"""The key, blanked out of what comes back."""

from __future__ import annotations

import html

_SHORTEST_PLAIN_KEY = 8
"""A shorter key may be an ordinary word or number: it is blanked out as a whole word, and in refusals alone."""
_REFUSALS = 400


def _spellings(key: str) -> tuple[bytes, ...]:
    """Return the ways in which relays write *key*: as it is, in JSON like PHP or like Go, and on a web page."""
    plain = key.replace("\\", r"\\").replace('"', r"\"")
    for_html = plain.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    spellings = (key, plain, plain.replace("/", r"\/"), for_html, html.escape(key))
    return tuple({spelling.encode(): None for spelling in spellings})
