"""Text from outside, made fit to be shown: short, and with nothing in it that a terminal would obey."""

from __future__ import annotations


def shown(text: object, limit: int = 300) -> str:
    """Return *text* with control characters made visible, cut to *limit* characters.

    Line breaks, escapes, bidirectional overrides and lone surrogates come out as the escapes Python would write.
    """
    cut = str(text)[: limit + 1]
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut[:limit])
    return f"{visible}…" if len(cut) > limit else visible
