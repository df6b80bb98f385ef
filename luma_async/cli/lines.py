"""Bytes of a file or pipe to lines of text, as they arrive: UTF-8 or UTF-16, with or without a mark."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import partial
from io import BufferedIOBase
from itertools import chain

from attrs import define, field

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
    """Bytes before the encoding is known."""
    _decoder: codecs.IncrementalDecoder | None = None
    _pieces: list[str] = field(factory=list)
    """The pieces of the last line, and their length: a slow writer may need a million pieces."""
    _length: int = 0

    def completed_by(self, piece: bytes) -> Iterator[str]:
        """Yield the lines that end in *piece*; an empty piece is the end, and yields the last line."""
        text = self._decoded(piece)
        if "\0" in text:
            raise self._not_text()
        first, *others = text.split("\n")
        self._extend(first)
        for other in others:
            yield self._ended()
            self._extend(other)
        if not piece:
            yield self._ended()

    def _extend(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)
        if self._length > _LONGEST:
            raise self._not_text(f"a line of more than {_LONGEST} characters")

    def _ended(self) -> str:
        line = "".join(self._pieces)
        self._pieces, self._length = [], 0
        return line

    def _decoded(self, piece: bytes) -> str:
        is_last = not piece
        if self._decoder is None:
            self._start = piece = self._start + piece
            if not (is_last or _shows_encoding(piece)):
                return ""
            if piece.startswith(_FOREIGN_MARKS):
                raise self._not_text("UTF-32")
            encoding = _encoding_of(piece)
            errors = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
            self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        try:
            return self._decoder.decode(piece, is_last)
        except UnicodeDecodeError:
            raise self._not_text() from None

    def _not_text(self, found: str = "something else") -> ConfigurationError:
        return ConfigurationError(
            f"the {self.what} are not text in UTF-8 or UTF-16, but {found}", advice="save them as UTF-8, one a line"
        )


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
