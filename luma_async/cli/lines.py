"""Lines of text out of the bytes of a file or pipe, as they come: UTF-8 or UTF-16, with a mark or without."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import partial
from io import BufferedIOBase
from itertools import chain

from attrs import define, field

from luma_async.errors import ConfigurationError

_PIECE = 2**16
"""Bytes at most that are read at a time; a pipe gives what it has."""
_LONGEST = 2**20
"""Characters of a line: what has more is a video, say, and would fill the memory."""
_MARK = 4
"""Bytes of the longest byte order mark."""
_CLEARLY = 3 / 4
"""Share of the characters whose one half is zero, from which on text without a mark is UTF-16."""
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_FOREIGN_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def lines_of(file: BufferedIOBase, what: str) -> Iterator[str]:
    """Yield the lines of *file*, each as soon as it is there, without its line break, and close the file.

    What follows the last line break is a line, too, if there is nothing.

    Bytes that are not UTF-8 become lone surrogates, so that their line is refused alone.

    Args:
        file: Where they are.
        what: What the lines are, for an error.

    Raises:
        ConfigurationError: It cannot be read any further, or is no such text.
    """
    lines = _Lines(what)
    try:
        with file:
            for piece in chain(iter(partial(file.read1, _PIECE), b""), [b""]):
                yield from lines.completed_by(piece)
    except OSError as error:
        raise ConfigurationError(f"the {what} cannot be read: {error.strerror}", advice="check their source") from None


@define(eq=False)
class _Lines:
    what: str
    _start: bytes = b""
    """What came before the encoding was known."""
    _decoder: codecs.IncrementalDecoder | None = None
    _begun: list[str] = field(factory=list)
    """The last line so far, and its length: a slow writer may need a million pieces for it."""
    _length: int = 0

    def completed_by(self, piece: bytes) -> Iterator[str]:
        """Yield the lines that end in *piece*; after an empty piece, the end, the last one."""
        text = self._decoded(piece, is_last=not piece)
        if "\0" in text:
            raise self._not_text()
        first, *others = text.split("\n")
        self._go_on(first)
        for other in others:
            yield self._ended()
            self._go_on(other)
        if not piece:
            yield self._ended()

    def _go_on(self, text: str) -> None:
        self._begun.append(text)
        self._length += len(text)
        if self._length > _LONGEST:
            raise self._not_text(f"a line of more than {_LONGEST} characters")

    def _ended(self) -> str:
        line = "".join(self._begun)
        self._begun, self._length = [], 0
        return line

    def _decoded(self, piece: bytes, *, is_last: bool) -> str:
        if self._decoder is None:
            self._start = piece = self._start + piece
            if not (is_last or _is_telling(piece)):
                return ""
            if piece.startswith(_FOREIGN_MARKS):
                raise self._not_text("UTF-32")
            self._decoder = _decoder_for(piece)
        try:
            return self._decoder.decode(piece, is_last)
        except UnicodeDecodeError:
            raise self._not_text() from None

    def _not_text(self, found: str = "something else") -> ConfigurationError:
        return ConfigurationError(
            f"the {self.what} are not text in UTF-8 or UTF-16, but {found}", advice="save them as UTF-8, one a line"
        )


def _is_telling(start: bytes) -> bool:
    """Whether *start* is enough to tell the encoding: the first characters of a slow pipe are not to be waited for."""
    return len(start) >= _MARK or (len(start) > 1 and start[0] not in b"\0\xfe\xff" and 0 not in start)


def _decoder_for(start: bytes) -> codecs.IncrementalDecoder:
    encoding = _MARKS.get(start[:2]) or _without_mark(start)
    errors = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
    return codecs.getincrementaldecoder(encoding)(errors)


def _without_mark(start: bytes) -> str:
    """Return the encoding of text without a mark: in UTF-16, one half of nearly each character is zero."""
    zeros = {"utf-16-be": start[::2].count(0), "utf-16-le": start[1::2].count(0)}
    for encoding, count in zeros.items():
        if count >= max(1, len(start) // 2 * _CLEARLY):
            return encoding
    return "utf-8"
