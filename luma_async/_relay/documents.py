"""Bytes to JSON values and back, within limits on size and depth; known rows of a batch are not parsed again."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from functools import lru_cache, wraps
from math import inf, isfinite
from typing import Any, NamedTuple, ParamSpec, TypeVar

from attrs import define, field

from luma_async._text import plain_word
from luma_async.dialect import RELAY, Dialect

P = ParamSpec("P")
T = TypeVar("T")

_MAX_DEPTH = 64
_MAX_DOCUMENTS = 8
_LARGEST = 10**20
_TOO_LARGE = "JSON with an integer of more than 20 digits"


class NotJSONError(ValueError):
    """The text is not JSON, or JSON beyond the limits of this module."""


def decode(body: bytes) -> list[Any]:
    """Return the JSON documents in *body*: usually one; gateways sometimes send two in a row (contract section 4).

    Raises:
        NotJSONError: Empty, not UTF-8, not JSON, over 8 documents, a NaN or infinity, an integer of over 20 digits,
            or nested over 64 deep.
    """
    try:
        return _documents(body.decode("utf-8-sig").strip())
    except UnicodeDecodeError:
        raise NotJSONError("text that is not UTF-8") from None
    except RecursionError:
        raise NotJSONError("JSON nested too deep") from None
    except json.JSONDecodeError as error:
        raise NotJSONError(f"not JSON ({error.msg} at character {error.pos})") from None
    except NotJSONError:
        raise
    except ValueError:  # the interpreter's limit of some thousand digits
        raise NotJSONError(_TOO_LARGE) from None


def encoded(value: Any) -> bytes:
    """Return a decoded value as compact JSON. Equal values with the same order of keys give equal bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


Row = tuple[bytes, Any]
"""The text of a row, and its value: None where the text is known."""
_PREFIX = 64
"""Bytes of a known text that a search compares: enough to reach an id or a time."""
_BEFORE_ROWS = re.compile(r'[ \t\r\n]*(?:\{[^{\[]*"data"[ \t\r\n]*:[ \t\r\n]*)?\[[ \t\r\n]*')
_BETWEEN_ROWS = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_CLOSE_BY = b",{"
"""What most relays send between two rows: a comma, and the first byte of the next row."""
_NO_ROW = b"\0"
"""JSON never contains this byte."""


def rows_apart(body: bytes, known: Collection[bytes], most: float = inf) -> tuple[Any, list[Row]]:
    """Read a list of rows, bare or as the ``data`` of an envelope, row by row (contract section 2).

    Most rows of a batch are the same bytes as in the batch before. Such a row is recognised by its text and not parsed.

    Args:
        body: An answer.
        known: Texts of earlier rows. A search is fastest when they are in the answer's order.
        most: Rows with other texts at most: one by one, they cost more than all at once.

    Returns:
        The document without its rows, and the rows.

    Raises:
        NotJSONError: *body* is not such a list, or an empty or a long one, or not JSON: ``decode`` distinguishes these.
    """
    body = body.removeprefix(BOM_UTF8)
    text = body.decode("latin-1")  # each byte is one character: brackets and quotes stand where UTF-8 has them
    try:
        start = _BEFORE_ROWS.match(text)
        if start is None:
            raise NotJSONError("not a list of rows")
        rows, end = _rows(body, text, start.end(), known, most)
        rest = _documents((body[: start.end()] + body[end:]).decode())
    except (RecursionError, ValueError):
        raise NotJSONError("not a list of rows") from None
    if len(rest) > 1 or (rest[0] if isinstance(rest[0], list) else rest[0].get("data")) != []:
        raise NotJSONError("more than a list of rows")
    return rest[0], rows


def _rows(body: bytes, text: str, at: int, known: Collection[bytes], most: float) -> tuple[list[Row], int]:
    """Return the rows that start at *at*, and where the last one ends."""
    rows: list[Row] = []
    parsed = 0
    expected = iter(known)
    by_prefix: dict[bytes, bytes] | None = None
    while True:
        same = next(expected, _NO_ROW)
        if not body.startswith(same, at):
            if by_prefix is None:
                by_prefix = {kept[:_PREFIX]: kept for kept in known}
            same = by_prefix.get(body[at : at + _PREFIX], _NO_ROW)
            if not body.startswith(same, at):
                same = _NO_ROW
        if same is not _NO_ROW:
            end = at + len(same)
            rows.append((same, None))
        else:
            parsed += 1
            if parsed > most:
                raise NotJSONError("a long list of rows")
            row, end = decoder.raw_decode(text, at)
            new = body[at:end]
            if not new.isascii():
                row = decoder.decode(new.decode())
            check(row)
            rows.append((new, row))
        if body.startswith(_CLOSE_BY, end):
            at = end + 1
        elif (comma := _BETWEEN_ROWS.match(text, end)) is not None:
            at = comma.end()
        else:
            return rows, end


_STARTS_JSON = ("{", "[", '"')


_LONG = 1000
"""Characters of a string that is opened once for an answer, whoever asks."""
_opened: ContextVar[dict[int, tuple[str, Any]] | None] = ContextVar("_opened", default=None)
"""What the long strings of the answer hold, by their identity, with the string: so its identity stays its own."""


def opening_once(reader: Callable[P, T]) -> Callable[P, T]:
    """Decorate a *reader* of one answer: each long string is opened once, in however many ways it is looked at."""

    @wraps(reader)
    def read(*args: P.args, **kwargs: P.kwargs) -> T:
        before = _opened.set({})
        try:
            return reader(*args, **kwargs)
        finally:
            _opened.reset(before)

    return read


def opened(value: Any) -> Any:
    """Return the value inside a string that holds JSON; anything else unchanged (contract section 4)."""
    if not isinstance(value, str) or len(value) < _LONG:
        return _inside(value)
    memory = _opened.get()
    if memory is None:
        return _inside(value)
    if id(value) not in memory:
        memory[id(value)] = value, _inside(value)
    return memory[id(value)][1]


def _inside(value: Any) -> Any:
    while isinstance(value, str) and value.lstrip()[:1] in _STARTS_JSON:
        try:
            value = decode(value.encode("utf-8", "surrogatepass"))[0]
        except NotJSONError:
            break
    return value


_MOST_VISITS = 2**16
"""Objects that a reader looks at: an object with a real id and a state has over 32 bytes, and an answer 2 MiB."""
_COST_OF_OPENING = 8
"""Visits that opening a string counts for."""


class KeySets(NamedTuple):
    """The keys of a dialect, for a look at many objects."""

    ids: frozenset[str]
    states: frozenset[str]
    wrappers: frozenset[str]
    needed: frozenset[str]
    """Keys of an object that is a task, or has one in it."""
    plain_states: frozenset[str]
    """The keys of states in one spelling: where one is spelled otherwise, all keys of the object are."""


@lru_cache(maxsize=16)
def _key_sets(ids: tuple[str, ...], states: tuple[str, ...], wrappers: tuple[str, ...]) -> KeySets:
    plain = frozenset(map(plain_word, states))
    return KeySets(frozenset(ids), frozenset(states), frozenset(wrappers), frozenset(ids + wrappers), plain)


@define(eq=False, repr=False)
class Reading:
    """Bounds the work for one answer: the values that are looked at are counted, and each string is opened once."""

    left: int = _MOST_VISITS
    """Values that may still be looked at; the rest of the answer counts as absent."""
    dialect: Dialect = RELAY
    keys: KeySets = field(init=False)
    _opened: dict[int, Any] = field(factory=dict, init=False)
    """By the identity of the string, which lives as long as the answer."""

    def __attrs_post_init__(self) -> None:
        self.keys = _key_sets(self.dialect.id_keys, self.dialect.state_keys, self.dialect.wrappers)

    def visit(self, cost: int = 1) -> bool:
        """Count one more value; return whether it may be looked at."""
        self.left -= cost
        return self.left >= 0

    def opened(self, value: Any) -> Any:
        """Return the value inside a string that holds JSON, as ``opened`` does."""
        if type(value) is not str or not value or value[0] not in _MAY_START_JSON:
            return value
        if id(value) not in self._opened:
            if not self.visit(_COST_OF_OPENING):
                return value
            self._opened[id(value)] = opened(value)
        return self._opened[id(value)]


_MAY_START_JSON = frozenset('{[" \t\r\n')


def lean(fields: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return a copy of *fields* without the parts that do not fit into about *most* characters of JSON."""
    kept: dict[str, Any] = _fitting(fields, [most])
    return kept


_ROOM_FOR_ONE = 8
"""Characters that any value counts for."""


def _fitting(value: Any, room: list[int]) -> Any:
    """Return a copy of *value* that fits into *room*, and take its size from there; None for a text that does not."""
    room[0] -= _ROOM_FOR_ONE
    if isinstance(value, str):
        if len(value) > room[0]:
            return None
        room[0] -= len(value)
    elif isinstance(value, list):
        return [_fitting(item, room) for item in value if room[0] > 0]
    elif isinstance(value, Mapping):
        copied: dict[str, Any] = {}
        for key, part in value.items():
            if room[0] <= 0:
                break
            if len(key) < room[0]:
                room[0] -= len(key)
                copied[key] = _fitting(part, room)
        return copied
    return value


def _documents(text: str) -> list[Any]:
    documents: list[Any] = []
    at = 0
    while at < len(text):
        document, end = decoder.raw_decode(text, at)
        check(document)
        documents.append(document)
        if len(documents) > _MAX_DOCUMENTS:
            raise NotJSONError("many JSON documents in a row")
        at = len(text) - len(text[end:].lstrip())
    if not documents:
        raise NotJSONError("an empty body")
    return documents


def check(document: Any, deepest: float = _MAX_DEPTH) -> None:
    """Refuse deep nesting and huge numbers. Hooks of the parser for each number would be much slower."""
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > deepest:
            raise NotJSONError("JSON nested too deep")
        below: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str or value is None:
                continue
            if kind is dict:
                below += value.values()
            elif kind is list:
                below += value
            elif kind is int and not -_LARGEST < value < _LARGEST:
                raise NotJSONError(_TOO_LARGE)
            elif kind is float and not isfinite(value):
                _refuse("a float out of range")
        level = below


def _refuse(number: str) -> Any:
    raise NotJSONError(f"JSON with {number}, which is not a JSON number")


decoder = json.JSONDecoder(parse_constant=_refuse)
