"""A file of lines that are only added: locked, private, on the disk before they count, whole after any crash."""

from __future__ import annotations

import asyncio
import os
import stat
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Self

from attrs import define, field, frozen

from luma_async._disk.files import lock, sync_directory
from luma_async._listeners import logger
from luma_async._records import LongLineError, lines_in
from luma_async._text import shown
from luma_async.errors import ConfigurationError

_MODE = 0o600
"""For nobody else: the lines hold prompts, and links that open the video to any reader."""
_OTHERS = 0o077
"""The permissions of everybody but the owner."""
_CHUNK = 2**20
"""Bytes that are read at once."""


@frozen(kw_only=True)
class LineKind:
    """What the lines of a file are, in the words of its errors."""

    name: str
    line: str
    """What each line is."""
    start: bytes
    """The start of each line of ours. A cut line without it is not ours to remove."""
    advice: str
    """What to do about a file of another kind."""

    def foreign(self, path: Path, number: int) -> ConfigurationError:
        """Return the error for line *number* of *path*, which is of another kind."""
        return ConfigurationError(
            f"{shown(path)} is not a {self.name}: line {number} is not {self.line}", advice=self.advice
        )

    def trouble(self, path: Path, error: OSError | ValueError) -> ConfigurationError:
        """Return our error for an error of the system; ours are returned as they are."""
        if isinstance(error, ConfigurationError):
            return error
        if isinstance(error, BlockingIOError):
            return ConfigurationError(
                f"{shown(path)} is in use as the {self.name} of another run",
                advice="wait for that one to end, or give another file",
            )
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        return ConfigurationError(
            f"{shown(path)} cannot be used as a {self.name}: {reason}", advice="check the file and its permissions"
        )


@define(eq=False)
class LineFile:
    """An open, locked file of lines that are only added; its last line is whole except during a write.

    Its methods block, so they run in threads; all but ``close`` raise an OSError for an error of the disk.
    """

    path: Path
    kind: LineKind
    learn: Callable[[bytes], None]
    """Is called with each line at the start; raises a ValueError for one of another kind."""
    descriptor: int
    place: Path
    """The absolute path: the process may change its directory."""
    _size: int = field(default=0, init=False)
    """Bytes after the last look at the whole file, or the last write."""
    _torn_at: int | None = field(default=None, init=False)
    """Where a failed write started, until its bytes are removed."""
    _closed: bool = field(default=False, init=False)
    """Whether nothing more is to be written."""
    _is_open: bool = field(default=True, init=False)
    _busy: Lock = field(factory=Lock, init=False)
    """Held so that no write happens after closing, when another file may have the same descriptor."""

    @classmethod
    def opened(cls, path: Path, kind: LineKind, learn: Callable[[bytes], None]) -> Self:
        """Open, lock, read, and repair the file at *path*, or make it.

        Raises:
            ConfigurationError: It cannot be used, another run has it open, or it is not of this *kind*. The file is not
                changed.
        """
        try:
            place = path.absolute()
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            file = cls(path, kind, learn, os.open(place, flags, _MODE), place)
            try:
                file._take()
            except BaseException:
                file.close()
                raise
        except (OSError, ValueError) as error:
            raise kind.trouble(path, error) from None
        return file

    def _take(self) -> None:
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
        lock(self.descriptor)
        if status.st_size == 0:
            os.fsync(self.descriptor)
            sync_directory(self.place.parent)
        with open(self.descriptor, "rb", closefd=False) as file:
            file.seek(0)
            start = file.peek(3).removeprefix(BOM_UTF8)  # an editor may have put the mark there
            if start[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
                raise ConfigurationError(
                    f"{shown(self.path)} is in UTF-16, and a {self.kind.name} is ASCII", advice="save it as UTF-8"
                )
            if start[:1] not in (b"", b"{"):
                raise self.kind.foreign(self.path, 1)
            whole = 0
            try:
                for number, line in enumerate(lines_in(file), 1):
                    if not self._learn(line, number):
                        os.ftruncate(self.descriptor, whole)
                        os.fsync(self.descriptor)
                    elif not line.endswith(b"\n"):
                        os.write(self.descriptor, b"\n")
                        os.fsync(self.descriptor)
                    whole += len(line)
            except LongLineError as error:
                raise self.kind.foreign(self.path, error.number) from None
        self._size = os.fstat(self.descriptor).st_size
        self._keep_others_out()

    def _keep_others_out(self) -> None:
        """Take the permissions of other users away: the lines of standard output, for example, are in a public file."""
        if os.name != "posix" or not os.fstat(self.descriptor).st_mode & _OTHERS:
            return
        with suppress(OSError):  # only the owner may do it
            os.fchmod(self.descriptor, _MODE)
        if os.fstat(self.descriptor).st_mode & _OTHERS:
            logger.warning("other users of this machine can open the %s %s", self.kind.name, shown(self.path))

    def _learn(self, line: bytes, number: int) -> bool:
        """Learn *line*, and return whether it is whole; one of another kind is an error."""
        if not line.strip():
            return True
        try:
            self.learn(line)
        except ValueError:
            start = self.kind.start
            if line.endswith(b"\n") or line[: len(start)] != start[: len(line)]:
                raise self.kind.foreign(self.path, number) from None
            return False
        return True

    def append(self, lines: bytes) -> None:
        """Write *lines* and flush them to the disk; an OSError leaves the file unchanged."""
        try:
            with self._busy:
                self._append(lines)
        finally:
            if self._closed:  # meanwhile
                self.close()

    def _append(self, lines: bytes) -> None:
        if self._closed:
            raise OSError("it is closed")
        self._cut_torn_line()
        status = os.fstat(self.descriptor)
        if status.st_nlink == 0:
            raise OSError("it has been deleted")
        if not self._is_in_its_place(status):
            raise OSError("it has been moved, and the next run would not find it")
        self._torn_at = self._size if status.st_size == self._size else self._cut_half_line(status.st_size)
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self.descriptor, left) :]
            os.fsync(self.descriptor)
            self._size, self._torn_at = self._torn_at + len(lines), None
        except OSError:
            with suppress(OSError):
                self._cut_torn_line()
            raise

    def _is_in_its_place(self, status: os.stat_result) -> bool:
        try:
            return os.path.samestat(self.place.stat(), status)
        except FileNotFoundError:
            return False

    def _cut_torn_line(self) -> None:
        if self._torn_at is not None:
            os.ftruncate(self.descriptor, self._torn_at)
            self._size, self._torn_at = self._torn_at, None

    def _cut_half_line(self, size: int) -> int:
        """Remove half a line from the end of a file that another program has changed; return the size of the rest.

        Behind it, a line of ours would be lost.
        """
        start = os.lseek(self.descriptor, max(0, size - _CHUNK), os.SEEK_SET)
        half = os.read(self.descriptor, size - start).rpartition(b"\n")[2]
        mark = self.kind.start
        if half[: len(mark)] != mark[: len(half)]:
            raise OSError("another program has written half a line of its own to its end")
        if half:
            os.ftruncate(self.descriptor, size - len(half))
        return size - len(half)

    def lines(self, start: int) -> list[bytes]:
        """Return whole lines from byte *start* on; none at the end."""
        with self.place.open("rb") as file:
            if not os.path.samestat(os.fstat(file.fileno()), os.fstat(self.descriptor)):
                raise OSError("it has been moved, and another file has its name")
            file.seek(start)
            return [line for line in file.readlines(_CHUNK) if line.endswith(b"\n")]

    def close(self) -> None:
        """Close the file, which unlocks it. It never waits: where a write is in progress, its thread does it then."""
        self._closed = True
        if self._busy.acquire(blocking=False):
            try:
                was_open, self._is_open = self._is_open, False
                if was_open:
                    os.close(self.descriptor)
            finally:
                self._busy.release()


async def open_lines(path: Path, kind: LineKind, learn: Callable[[bytes], None]) -> LineFile:
    """Open a file as ``LineFile.opened`` does, in a thread. Cancelling ends this at once; the file is then closed."""
    opening = asyncio.create_task(asyncio.to_thread(LineFile.opened, path, kind, learn))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(opening: asyncio.Task[LineFile]) -> None:
    """Close a file whose opening was cancelled."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
