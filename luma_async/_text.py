"""Text from outside, made fit to be shown: short, and with nothing in it that a terminal would obey."""

from __future__ import annotations


def exactly(text: str) -> str:
    """Return *text* as a plain str: an enum's member that is one prints as its name, and hashes as that."""
    return str.__str__(text)


def spelled(value: object) -> str:
    """Return the repr of *value*; an integer of 5,000 digits has none, and an object's own may fail."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever it is, somebody is being told of a mistake just now
        return object.__repr__(value)


def shown(text: object, limit: int = 300) -> str:
    """Return *text* with control characters made visible, cut to *limit* characters.

    Line breaks, escapes, bidirectional overrides and lone surrogates come out as the escapes Python would write.
    """
    cut = str(text)[: limit + 1]
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut[:limit])
    return f"{visible}…" if len(cut) > limit else visible
