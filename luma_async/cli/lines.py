"""Bytes of a file or pipe to lines of text, as they arrive: UTF-8 or UTF-16, with or without a mark."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from functools import partial
from io import BufferedIOBase
from itertools import chain

from luma_async.errors import ConfigurationError

_PIECE = 2**16
"""Most bytes of one read; a pipe gives what it has."""
_LONGEST = 2**20
"""Characters of a line. A longer one is not text (a video, for example) and would fill the memory."""
_MARK = 4
"""Bytes of the longest byte order mark."""
_CLEARLY = 3 / 4
"""Text without a mark is UTF-16 if one half is zero in at least this share of its characters."""
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_FOREIGN_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def lines_of(file: BufferedIOBase, what: str) -> Iterator[str]:
    """Yield each line of *file* as soon as it is complete, without its line break, and close the file.

    The text after the last line break is a line too, even if it is empty. Bytes that are not UTF-8 become lone
    surrogates, so that only their line is refused.

    Raises:
        ConfigurationError: The rest of *what* cannot be read, or is not such text.
    """
    try:
        with file:
            yield from _lines(_decoded(iter(partial(file.read1, _PIECE), b"")))
    except OSError as error:
        raise ConfigurationError(f"the {what} cannot be read: {error.strerror}", advice="check their source") from None
    except _NotTextError as error:
        raise ConfigurationError(
            f"the {what} are not text in UTF-8 or UTF-16, but {error}", advice="save them as UTF-8, one a line"
        ) from None


class _NotTextError(Exception):
    """What there is instead."""


def _lines(texts: Iterable[str]) -> Iterator[str]:
    pieces: list[str] = []  # of a line, and their length: a slow writer may need a million pieces
    length = 0
    for text in texts:
        if "\0" in text:
            raise _NotTextError("something else")
        for number, piece in enumerate(text.split("\n")):
            if number:
                yield "".join(pieces)
                pieces, length = [], 0
            pieces.append(piece)
            length += len(piece)
            if length > _LONGEST:
                raise _NotTextError(f"a line of more than {_LONGEST} characters")
    yield "".join(pieces)


def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
    start = b""
    while not _shows_encoding(start) and (piece := next(pieces, b"")):
        start += piece
    if start.startswith(_FOREIGN_MARKS):
        raise _NotTextError("UTF-32")
    encoding = _encoding_of(start)
    errors = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
    try:
        yield from codecs.iterdecode(chain([start], pieces), encoding, errors)
    except UnicodeDecodeError:
        raise _NotTextError("something else") from None


def _shows_encoding(start: bytes) -> bool:
    """Whether *start* shows the encoding, so that no more of a slow pipe has to be awaited."""
    return len(start) >= _MARK or (len(start) > 1 and start[0] not in b"\0\xfe\xff" and 0 not in start)


def _encoding_of(start: bytes) -> str:
    """Return the encoding by the mark of *start*; without one: in UTF-16, half of nearly each character is zero."""
    if start[:2] in _MARKS:
        return _MARKS[start[:2]]
    zeros = {"utf-16-be": start[::2].count(0), "utf-16-le": start[1::2].count(0)}
    for encoding, count in zeros.items():
        if count >= max(1, len(start) // 2 * _CLEARLY):
            return encoding
    return "utf-8"
