"""How words and keys are spelled: one spelling for those that differ in case and separators only."""

from __future__ import annotations

import re
from functools import lru_cache


def plain_word(word: str) -> str:
    """Return one spelling for a word in any case, with ``-``, ``_``, a blank or nothing between its parts."""
    return word.strip().casefold().replace(" ", "").replace("-", "").replace("_", "")


def as_code(text: str) -> str:
    """Return one spelling for a code and for the same code written as words."""
    return text.casefold().replace(" ", "_").replace("-", "_")


_PARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+")


@lru_cache(maxsize=1024)
def in_words(text: str) -> str:
    """Return *text* with ``_`` between its words, in small letters: ``paramJson`` as ``param_json``."""
    return _PARTS.sub("_", text).casefold()
