"""Finds possible task ids in an unclear answer to a submit: the texts under keys that name an id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

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
_OF_REQUESTS = re.compile(
    r"(?i:(?<![a-z])(?:req|request|trace|log|span|correlation)[\W_]?ids?$|^rid$)|Request[_-]?I[dD]$"
)
"""The id of a request or of its trace."""

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
    found = list(_candidates(text, _DEEPEST, iter(range(_MOST_TOKENS))))
    ids = [each.text for each in found if not each.is_of_request] or [each.text for each in found]
    alone = _ALONE.fullmatch(text[:_LONGEST])
    return tuple(islice(dict.fromkeys(ids), _MOST)) or (() if alone is None else (alone["id"],))


class _Candidate(NamedTuple):
    text: str
    is_of_request: bool
    """It counts only where there is no other."""


def _candidates(text: str, depth: int, tokens: Iterator[int]) -> Iterator[_Candidate]:
    key: str | None = None
    above: list[str | None] = []
    """For each open bracket, the key that its items belong to; None for an object."""
    for _, token in zip(tokens, _TOKEN.finditer(text), strict=False):
        if token["colon"]:
            key = _unescaped(token["text"])
            continue
        name = key if key is not None else (above or [None])[-1]
        if token["mark"] in ("[", "{"):
            above.append(_name_of_items(name, is_outermost=not above) if token["mark"] == "[" else None)
        elif token["mark"] in ("]", "}"):
            del above[-1:]
        elif (
            token["word"] and _WHOLE.fullmatch(token["word"]) and (_names_an_id(name) or _is_item(name, token["word"]))
        ):
            yield from _fitting(name, token["word"])
        elif token["end"]:
            yield from _in_text(name, _unescaped(token["text"]), depth, tokens)
        key = None


def _in_text(name: str | None, text: str, depth: int, tokens: Iterator[int]) -> Iterator[_Candidate]:
    """Yield the candidates inside a *text* that is JSON itself; otherwise the text, if *name* names an id."""
    inside = depth > 0 and text.lstrip()[:1] in ("{", "[", '"')
    found = list(islice(_candidates(text, depth - 1, tokens), _MOST)) if inside else []
    if found:
        yield from found
    elif _names_an_id(name) or (name in _MAY_BE_THE_ID and any(map(str.isdigit, text))) or _is_item(name, text):
        parts = _UUIDS.fullmatch(text.strip()) and _BETWEEN_UUIDS.split(text.strip())
        for part in parts or [text.strip()]:
            yield from _fitting(name, part)


_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_BETWEEN_UUIDS = re.compile(r"[,;|\s]+")
_UUIDS = re.compile(rf"{_UUID}(?:[,;|\s]+{_UUID}){{1,20}}")
"""Several in one text."""


def _name_of_items(name: str | None, *, is_outermost: bool) -> str | None:
    """Return the name of what is in a list at *name*."""
    if _names_an_id(name):
        return name
    return _ITEM if name in _MAY_BE_THE_ID or (name is None and is_outermost) else None


_ITEM = "item of the answer"
_LIKE_AN_ITEM = re.compile(r"(?=\D*[0-9])(?=[0-9]*[^0-9])[\w.~:/-]{4,1024}|[0-9]{10,1024}", re.ASCII)


def _is_item(name: str | None, text: str) -> bool:
    """Whether *text* in a list is one word with a digit."""
    return name == _ITEM and _LIKE_AN_ITEM.fullmatch(text[:_LONGEST].strip()) is not None


def _fitting(name: str | None, text: str) -> Iterator[_Candidate]:
    if text.casefold() not in _NOT_SET and len(text) <= _LONGEST:
        yield _Candidate(text, _OF_REQUESTS.search((name or "")[:_LONGEST_KEY]) is not None)


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
