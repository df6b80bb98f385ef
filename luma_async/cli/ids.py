"""Where task ids come from: arguments, then a file or a pipe, read only as fast as they are taken up."""

from __future__ import annotations

import asyncio
import codecs
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from io import BufferedIOBase
from itertools import chain
from pathlib import Path
from typing import Self

from attrs import define, field

from luma_async._records import LONGEST_LINE, ReceiptRecord
from luma_async._relay.documents import decoder
from luma_async._text import shown
from luma_async.cli.output import say
from luma_async.cli.usage import check_file_name
from luma_async.errors import ConfigurationError
from luma_async.outcomes import Outcome

_PIECE = 2**16
"""Most bytes of one read; a pipe gives what it has."""
LONGEST_TEXT = 2**20
"""Characters of a line. A longer one is not text (a video, for example) and would fill the memory."""
_JSON = "{"
"""The start of a JSON line: no id has such a character."""
_RECEIPT = '{"receipt": '
_MARK = 4
"""Bytes of the longest byte order mark."""
_CLEARLY = 3 / 4
"""Text without a mark is UTF-16 if one half is zero in at least this share of its characters."""
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_FOREIGN_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_READ_AHEAD = 1000
"""Texts that are read ahead of a pipe; beyond that, its writer waits."""
_BLANK = "\ufeff \t\r\n\v\f"
"""Characters around a line's text: lines may end in CRLF, and a byte order mark is not part of an id."""


def texts_in(lines: Iterable[str]) -> Iterator[str]:
    """Yield the text of each line; blank lines and lines that start with ``#`` are skipped."""
    for line in lines:
        text = line.strip(_BLANK)
        if text and not text.startswith("#"):
            yield text


def id_in(text: str) -> str | None:
    """Return the task id of a line's *text*, without a comment after it; None: it is JSON without an id."""
    if text.startswith(_JSON):
        return _task_id_of(text)
    id_, *_ = text.replace("\t#", " #").split(" #", 1)
    return id_.strip()


def _task_id_of(text: str) -> str | None:
    """Return the ``task_id`` of a JSON object, which is a string or an integer; None: it has none, or is cut."""
    try:
        fields = decoder.decode(text)
    except (ValueError, RecursionError):
        return None
    task_id = fields.get("task_id") if isinstance(fields, dict) else None
    if isinstance(task_id, bool) or not isinstance(task_id, str | int):
        return None
    return str(task_id)


def _receipt_of(text: str) -> ReceiptRecord | None:
    try:
        return ReceiptRecord.read(text.encode())
    except ValueError:
        return None


@define(eq=False)
class Ids:
    """Task ids, each once, as an async iterator."""

    _available: Iterator[str]
    """Ids that are available without waiting."""
    _pipe: _Pipe | None = None
    are_repeatable: bool = False
    """Whether the same command can have them again: arguments and files, but not a pipe."""
    _without: int = field(default=0, init=False)
    _receipts: dict[tuple[str, int], bool] = field(factory=dict, init=False)
    """Of each row of a submit, whether its latest receipt has no id."""
    _seen: set[str] = field(factory=set, init=False)

    what = "task ids"

    @classmethod
    def of(cls, given: Iterable[str], path: str | None) -> Self:
        """Return the ids *given*, then those of the file at *path* (see ``opened``); without any, of standard input."""
        given = tuple(given)
        for name in filter(os.path.isfile, given):
            cls.warn_of_file(name)
        if given and path is None:
            return cls(iter(given), are_repeatable=True)
        file = opened(path, no_ids(cls.what), "check --from")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return cls(iter(given), _Pipe(file, cls.what))
        ids = cls(iter(()), are_repeatable=path not in (None, "-"))
        ids._available = chain(given, ids.texts_in(lines_of(file, cls.what)))
        return ids

    def __attrs_post_init__(self) -> None:
        if self._pipe is not None:
            self._pipe.texts_in = self.texts_in

    @staticmethod
    def warn_of_file(name: str) -> None:
        """Warn of an argument that is also the name of a file: it may be meant as a list of ids."""
        say(f"{shown(name)} is a file: to read ids from it, give --from {shown(name)}")

    def texts_in(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the id of each line; blank lines and comments are skipped, JSON lines without an id are counted."""
        for text in texts_in(lines):
            if text.startswith(_RECEIPT) and (receipt := _receipt_of(text)) is not None:
                self._receipts[receipt.row_sha256, receipt.nth] = receipt.task_id is None
                task_id = receipt.task_id
            else:
                task_id = id_in(text)
                self._without += task_id is None
            if task_id is not None:
                yield task_id

    @property
    def without(self) -> int:
        """JSON lines without an id so far; of receipts, rows whose latest one has none."""
        return self._without + sum(self._receipts.values())

    @property
    def is_pipe(self) -> bool:
        """Whether they come from a pipe or a terminal, which may have more of them than were read."""
        return self._pipe is not None

    def known(self) -> list[str] | None:
        """Return all ids, before any is taken up; None of a pipe, whose end may be hours away.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        if self._pipe is not None:
            return None
        ids = list(filter(self._is_new, self._available))
        self._available = iter(ids)
        self._seen.clear()
        return ids

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        for task_id in filter(self._is_new, self._available):
            return task_id
        while self._pipe is not None and (line := await self._pipe.line()) is not None:
            if self._is_new(line):
                return line
        if not self._seen and not self.without:
            raise no_ids(self.what)
        raise StopAsyncIteration

    def remaining(self) -> list[str]:
        """Return the ids that no wait has started for, without waiting for more of a pipe."""
        left = chain(_until_error(self._available), self._pipe.read_ahead() if self._pipe else ())
        return list(filter(self._is_new, left))

    def ended(self, task_id: str, outcome: Outcome | None) -> bool:  # noqa: ARG002 - for submits
        """Note the end of *task_id*, without an outcome in an earlier run, and return whether another id follows it."""
        return False

    def _is_new(self, task_id: str) -> bool:
        if task_id in self._seen:
            return False
        self._seen.add(task_id)
        return True


def no_ids(what: str) -> ConfigurationError:
    """Return the error of a command without any *what*."""
    return ConfigurationError(
        f"there are no {what}", advice="give them as arguments, with --from FILE, or on standard input"
    )


def opened(path: str | None, missing: ConfigurationError, advice: str) -> BufferedIOBase:
    """Open the file at *path*, or standard input for ``-`` and None; for None, a terminal is not an input.

    *advice* is for a file that cannot be read, *missing* the error where there is none.
    """
    if path in (None, "-"):
        if sys.stdin is None or (path is None and sys.stdin.isatty()):
            raise missing
        # A file object of our own: a thread that is blocked in sys.stdin would block the interpreter's exit.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    check_file_name(path)
    try:
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that is not a file name"
        raise ConfigurationError(f"{shown(path)} cannot be read: {reason}", advice=advice) from None


def _until_error(texts: Iterator[str]) -> Iterator[str]:
    with suppress(ConfigurationError):
        yield from texts


@define(eq=False)
class _Pipe:
    """Texts of a pipe or terminal, read by a daemon thread: such a read cannot be cancelled."""

    _file: BufferedIOBase
    _what: str = "task ids"
    texts_in: Callable[[Iterable[str]], Iterator[str]] = field(default=texts_in, init=False)
    """Finds them in the lines: a line of JSON may be a thousand times as long as its id."""
    _lines: asyncio.Queue[str | ConfigurationError | None] = field(factory=asyncio.Queue, init=False)
    _room: threading.Semaphore = field(factory=lambda: threading.Semaphore(_READ_AHEAD), init=False)
    _reader: threading.Thread | None = field(default=None, init=False)

    async def line(self) -> str | None:
        """Return the next text, or None after the last; raises as ``lines_of``."""
        if self._reader is None:
            loop = asyncio.get_running_loop()
            self._reader = threading.Thread(target=self._read, args=(loop,), name=self._what, daemon=True)
            self._reader.start()
        line = await self._lines.get()
        if isinstance(line, ConfigurationError):
            raise line
        self._room.release()
        return line

    def read_ahead(self) -> Iterator[str]:
        """Yield the texts that are read ahead."""
        while not self._lines.empty():
            if isinstance(line := self._lines.get_nowait(), str):
                yield line

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        end = None
        with suppress(RuntimeError):  # the event loop is closed
            try:
                for line in self.texts_in(lines_of(self._file, self._what)):
                    self._room.acquire()
                    loop.call_soon_threadsafe(self._lines.put_nowait, line)
            except ConfigurationError as error:
                end = error
            loop.call_soon_threadsafe(self._lines.put_nowait, end)


def lines_of(file: BufferedIOBase, what: str) -> Iterator[str]:
    """Yield each line of *file* as soon as it is complete, without its line break, and close the file.

    The text after the last line break is a line too, even if it is empty. Bytes that are not UTF-8 become lone
    surrogates, so that only their line is refused.

    Raises:
        ConfigurationError: The rest of *what* cannot be read, or is not such text. Of trouble in reading, a note says
            how many lines had been read before.
    """
    read = 0
    try:
        with file:
            for line in _lines(_decoded(iter(partial(file.read1, _PIECE), b""))):
                yield line
                read += 1
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        trouble = ConfigurationError(f"the {what} cannot be read: {reason}", advice="check their source")
        trouble.add_note(f"lines that had been read before: {read}")
        raise trouble from None
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
            if length > LONGEST_TEXT and (length > LONGEST_LINE or not _is_json(pieces)):
                raise _NotTextError(f"a line of more than {LONGEST_TEXT} characters")
    yield "".join(pieces)


def _is_json(pieces: list[str]) -> bool:
    """Whether a line starts like a JSON object: one of ours holds the relay's whole answer."""
    start = next((text for piece in pieces if (text := piece.lstrip(_BLANK))), "")
    return start.startswith(_JSON)


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
