"""Makes text from outside safe to show: short, and without control characters."""

from __future__ import annotations


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

    Line breaks, escapes, bidirectional overrides and lone surrogates become Python's escapes for them.
    """
    cut = str(text)[: limit + 1]
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut[:limit])
    return f"{visible}…" if len(cut) > limit else visible
