"""Text cut to columns of a terminal: ids in the middle, prompts between two words."""

from __future__ import annotations

from rich.cells import cell_len

_DOTS = "..."
"""In ASCII, which every encoding has."""


def fitted_id(text: str, columns: int) -> str:
    """Return *text* in at most *columns*: its start and its end tell similar ids apart."""
    if cell_len(text) <= columns:
        return text
    room = columns - len(_DOTS)
    if room <= 0:
        return _start_of(text, max(columns, 0))
    return f"{_start_of(text, room - room // 2)}{_DOTS}{_start_of(text[::-1], room // 2)[::-1]}"


def fitted_words(text: str, columns: int) -> str:
    """Return *text* in at most *columns*, cut between two words; of a script without blanks, between characters."""
    if cell_len(text) <= columns:
        return text
    room = columns - len(_DOTS)
    start = _start_of(text, max(room, 0))
    if text[len(start) : len(start) + 1].isascii() and not text[len(start)].isspace():
        start = start.rpartition(" ")[0]
    start = start.rstrip()
    return f"{start}{_DOTS}" if start else ""


def _start_of(text: str, columns: int) -> str:
    start = text[:columns]  # a character has at least one column, but for marks that join the one before
    while cell_len(start) > columns:
        start = start[:-1]
    return start
