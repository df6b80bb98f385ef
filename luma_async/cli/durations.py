"""Durations: as options give them, and in words."""

from __future__ import annotations

import re

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_WRITTEN = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _UNITS), re.ASCII | re.IGNORECASE)
"""Days, hours, minutes and seconds, each at most once and in this order."""
_ROUND = 1.5
"""A duration below this many of a unit is in the smaller unit."""


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as ``90``, ``90s``, ``30m`` or ``1h30m``; its use checks their range.

    Raises:
        ValueError: It is not a duration.
    """
    written = _WRITTEN.fullmatch(text)
    if written is not None and any(written.groups()):
        return sum(float(number or 0) * size for number, size in zip(written.groups(), _UNITS.values(), strict=True))
    try:
        return float(text)
    except ValueError:
        raise ValueError("give seconds, or a duration such as 90s, 30m or 1h30m") from None


def spelled(seconds: float) -> str:
    """Return *seconds* in words with two units at most, such as ``3 min 20 s``."""
    whole = max(0, int(seconds))
    if whole < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{whole} s"
    size, small, unit, smaller = (60, 1, "min", "s") if whole < _UNITS["h"] else (3600, 60, "h", "min")
    rest = whole % size // small
    return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"


def about(seconds: float) -> str:
    """Return *seconds* in words with one unit, such as ``about 3 min``: an estimate is not more precise."""
    for unit, size in (("h", _UNITS["h"]), ("min", _UNITS["m"])):
        if seconds >= _ROUND * size:
            return f"about {round(seconds / size)} {unit}"
    return f"about {max(10, round(seconds / 10) * 10)} s"
