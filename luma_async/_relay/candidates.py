"""Finds possible task ids in an unclear answer to a submit: the texts under keys that name an id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from luma_async._relay.documents import NotJSONError, decode

_MOST = 20
_MOST_TOKENS = 2**16
"""Tokens that are read, those inside of texts included: the error holds the whole body anyway."""
_LONGEST = 4096
"""Characters. A longer text is not an id, and the error holds the whole body anyway."""
_DEEPEST = 8
"""Levels of JSON inside strings: relays wrap the answers of other relays."""

_WORDS = "task|job|request|generation|video|message|operation|prediction|run"
_NAMES_AN_ID = re.compile(
    rf"(?i:(?:.*[\W_])?ids?|(?:uu|gu|u)ids?|(?:{_WORDS})ids?)|.*[a-z0-9](?:Id|ID)s?",
)
"""``id`` as the last word of a key, with any separator, such as ``job_ids``, ``taskID``, ``x-request-id``."""
_LONGEST_KEY = 100

_TOKEN = re.compile(
    r'"(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)(?P<end>"?)(?P<colon>\s*+:)?'
    r"|(?P<mark>[\[\]{},])"
    r"|(?P<word>[\w.+-]++)",
    re.DOTALL,
)
"""One JSON token. A string without an end is the rest of an answer that was cut."""
_ALONE = re.compile(r"""\s*+\[?\s*+"?(?P<id>(?=\D*[0-9])[\w.~-]{6,1024}+)"?\s*+\]?\s*+""", re.ASCII)
"""An answer that is nothing but one word with a digit."""
_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)
_MAY_BE_THE_ID = ("data", "result", "task")
"""Keys whose text may be the id itself, if it has a digit; else it is a word such as ``ok``."""
_NOT_SET = ("", "0", "null", "none", "undefined", "nil", "nan", "true", "false")
"""What programs write for an id that they do not have."""


def candidates_in(text: str) -> tuple[str, ...]:
    """Return the texts in *text* under keys that name an id, each once, in order of appearance.

    A candidate is not necessarily a valid task id. *text* is read token by token: it may be cut JSON, JSON with other
    text around it, or several documents. Integers become their decimal text.
    """
    found = islice(dict.fromkeys(_candidates(text, _DEEPEST, iter(range(_MOST_TOKENS)))), _MOST)
    alone = _ALONE.fullmatch(text[:_LONGEST])
    return tuple(found) or (() if alone is None else (alone["id"],))


def _candidates(text: str, depth: int, tokens: Iterator[int]) -> Iterator[str]:
    key: str | None = None
    above: list[str | None] = []
    """For each open bracket, the key that its items belong to; None for an object."""
    for _, token in zip(tokens, _TOKEN.finditer(text), strict=False):
        if token["colon"]:
            key = _unescaped(token["text"])
            continue
        name = key if key is not None else (above or [None])[-1]
        if token["mark"] in ("[", "{"):
            above.append(name if token["mark"] == "[" and _names_an_id(name) else None)
        elif token["mark"] in ("]", "}"):
            del above[-1:]
        elif token["word"] and _WHOLE.fullmatch(token["word"]) and _names_an_id(name):
            yield from _fitting(token["word"])
        elif token["end"]:
            yield from _in_text(name, _unescaped(token["text"]), depth, tokens)
        key = None


def _in_text(name: str | None, text: str, depth: int, tokens: Iterator[int]) -> Iterator[str]:
    """Yield the candidates inside a *text* that is JSON itself; otherwise the text, if *name* names an id."""
    inside = depth > 0 and text.lstrip()[:1] in ("{", "[", '"')
    found = list(islice(_candidates(text, depth - 1, tokens), _MOST)) if inside else []
    if found:
        yield from found
    elif _names_an_id(name) or (name in _MAY_BE_THE_ID and any(map(str.isdigit, text))):
        yield from _fitting(text.strip())


def _fitting(text: str) -> Iterator[str]:
    if text.casefold() not in _NOT_SET and len(text) <= _LONGEST:
        yield text


def _names_an_id(key: str | None) -> bool:
    return key is not None and len(key) <= _LONGEST_KEY and _NAMES_AN_ID.fullmatch(key) is not None


def _unescaped(text: str) -> str:
    """Return the value of a JSON string; *text* unchanged if it is not valid JSON."""
    if "\\" not in text:
        return text
    try:
        (value,) = decode(f'"{text}"'.encode("utf-8", "surrogatepass"))
    except NotJSONError:
        return text
    return str(value)
