"""Partial files of downloads: hidden and locked until they are complete, and resumed after a killed run."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, RLock
from typing import BinaryIO, cast

from attrs import define, field

from luma_async._disk.files import lock, sync_directory
from luma_async._media.formats import ENDINGS, Version
from luma_async.models import Role

_SAFELY = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_MODE = 0o666
"""Before the user's umask, as for any file."""
_LONGEST_NAME = 255
"""Bytes."""


_PLAIN = re.compile(r"(?![-.])[A-Za-z0-9._~-]{1,100}")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._~-]+")
_START = 80
"""Characters of an id that is not plain, for the eye."""


def name_of_id(task_id: str, most: int | None = None) -> str:
    """Return what a name has of an id: all of a plain id, else its first characters and its digest.

    Args:
        task_id: An id.
        most: Characters of the id; where that is fewer than it has, the digest tells it from others. None for all.
    """
    if _PLAIN.fullmatch(task_id) and (most is None or len(task_id) <= most):
        return task_id
    digest = hashlib.sha256(task_id.encode(errors="surrogatepass")).hexdigest()[:16]
    start = _NOT_PLAIN.sub("", task_id)[: _START if most is None else min(most, _START)]
    return f"{start}-{digest}".lstrip("-.")


def stem_of(task_id: str, role: Role) -> str:
    """Return the name of a medium without its ending, which a file gets for what it is.

    A server chooses nothing of it, and it leads nowhere else. A plain id of at most 100 characters is its own name. Any
    other keeps its first characters, followed by its digest: ids may differ only in what a name cannot hold, or behind
    its start.
    """
    return f"{name_of_id(task_id)}.{role}"


def stored(task_id: str, directory: Path, role: Role) -> Path | None:
    """Return the file in *directory* that has the medium *role* of a task, with any ending; None without one."""
    return existing(directory, stem_of(task_id, role))


def existing(directory: Path, stem: str) -> Path | None:
    """Return the file in *directory* with that name and any ending; None without one."""
    names = (directory / f"{stem}.{ending}" for ending in ENDINGS)
    return next((name for name in names if os.path.lexists(name)), None)


@define(eq=False)
class Part:
    """A partial file, until it gets its final name.

    Its steps run in threads, which cannot be cancelled. So a step may still run when ``discard`` is called, or start
    after it: then the step leaves no file behind. The event loop never waits for a step: the disk may be stalled.
    """

    directory: Path
    stem: str
    """The final name without its ending."""
    mode: int = _MODE
    version: Version | None = None
    """The version of the server's file that its bytes belong to; None if the rest cannot be requested later."""
    size: int = 0
    """Bytes so far."""
    _file: BinaryIO | None = None
    _path: Path = field(init=False, default=Path())
    _discarded: bool = False
    _lock: RLock = field(factory=RLock)
    """Held by each step."""

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Hold the file for a step, which removes it at its end if it is discarded meanwhile."""
        try:
            with self._lock:
                yield
        finally:
            if self._discarded:
                self.discard()

    @property
    def kept(self) -> int:
        """The bytes that a later request need not load again."""
        return self.size if self.version is not None else 0

    def take_up(self, leftovers: list[Path]) -> None:
        """Resume the longest of *leftovers* with a proven version, and remove the others, except files in use."""
        for path in leftovers:
            with suppress(OSError), self.in_use():
                file = _claimed(path)
                version = _proven(path, file)
                if self._discarded or version is None or self._outgrows(file):
                    _remove(path, file)
                else:
                    self._leave()
                    self._hold(path, file, version)

    def begin(self, version: Version | None) -> None:
        """Create a new file for *version*, and remove the partial file before; other files are not touched."""
        with self.in_use():
            self._leave()
            if not self._discarded:
                self._hold(*_created(self.directory, self.stem, version, self.mode), version)

    def write(self, chunk: bytes) -> None:
        """Append *chunk*, so that it outlives this process."""
        with self.in_use():
            self._opened.write(chunk)
            self._opened.flush()
            self.size += len(chunk)

    def content(self) -> BinaryIO:
        """Return the file for reading; after this call, nothing may be written."""
        return self._opened

    def finish(self, target: Path, *, overwrite: bool) -> bool:
        """Sync the bytes to the disk, then create the final name atomically, then sync the directory.

        Returns:
            Whether the file has its final name; False if the name exists and *overwrite* is off.
        """
        with self.in_use():
            file = self._opened
            os.fsync(file.fileno())
            if self._discarded:
                return False
            if sys.platform == "win32":  # an open file cannot be renamed there
                file.close()
            named = _named(self._path, target, overwrite=overwrite)
        sync_directory(target.parent)
        return named

    def drop(self) -> None:
        """Remove the partial file: it cannot be resumed."""
        with self.in_use():
            self._leave()

    def discard(self) -> None:
        """Remove the partial file, unless it has its final name. Disk errors are ignored: an earlier step had them.

        It never waits: while a step runs, its thread removes the file at the end of the step.
        """
        self._discarded = True
        if self._lock.acquire(blocking=False):
            try:
                self._leave()
            finally:
                self._lock.release()

    def _hold(self, path: Path, file: BinaryIO, version: Version | None) -> None:
        self._path, self._file, self.version = path, file, version
        self.size = file.seek(0, os.SEEK_END)

    def _leave(self) -> None:
        file, self._file, self.version, self.size = self._file, None, None, 0
        if file is not None:
            _remove(self._path, file)

    def _outgrows(self, file: BinaryIO) -> bool:
        return os.fstat(file.fileno()).st_size <= self.size

    @property
    def _opened(self) -> BinaryIO:
        return cast("BinaryIO", self._file)


def _remove(path: Path, file: BinaryIO) -> None:
    """Remove the name while the lock is held, so that no other process has it in use; then close the file."""
    if sys.platform == "win32":  # an open file cannot be removed there
        file.close()
    with suppress(OSError):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        file.close()


def _created(directory: Path, stem: str, version: Version | None, mode: int) -> tuple[Path, BinaryIO]:
    """Create a new file and lock it.

    Between the two steps another process may take the file for a leftover and remove it. Then this tries again.
    """
    while True:
        path = directory / _name(stem, version, _boot())
        file = os.fdopen(os.open(path, _SAFELY | os.O_CREAT | os.O_EXCL, mode), "w+b")
        try:
            lock(file.fileno())
        except BlockingIOError:
            file.close()
            continue
        except OSError:
            return path, file  # this file system has no locks, so no process removes leftovers
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()


def _named(part: Path, target: Path, *, overwrite: bool) -> bool:
    """Give *part* its final name, atomically; return False if the name exists and *overwrite* is off."""
    if not overwrite:
        try:
            os.link(part, target)
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links: a file that appears between these two steps is overwritten.
            if os.path.lexists(target):
                return False
        else:
            return True
    part.replace(target)
    return True


# --- leftovers of killed runs ---

_PART = re.compile(
    r"\.(?P<stem>[^+]+)(?:\+(?P<total>[0-9a-f]+)\+(?P<boot>[0-9a-f-]+)\+(?P<etag>[\w-]+))?\+[0-9a-f]{16}\.part"
)
"""The stem of a medium has no ``+``, whatever the task id has."""


def _name(stem: str, version: Version | None, boot: str) -> str:
    """Return a new hidden name; it holds the version, if a later run could resume the file."""
    nonce = f"{secrets.token_hex(8)}.part"
    if version is not None and boot:
        etag = base64.urlsafe_b64encode(version.etag.encode()).decode().rstrip("=")
        name = f".{stem}+{version.total:x}+{boot}+{etag}+{nonce}"
        if len(os.fsencode(name)) <= _LONGEST_NAME:
            return name
    return f".{stem}+{nonce}"


def _boot() -> str:
    """Return an id of the system's boot, empty if unknown: after a crash, a file may hold bytes never written to it."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:18]
    return ""


@define(eq=False)
class Leftovers:
    """Finds leftovers of killed runs; a directory is listed at its first use, and not for each file."""

    _found: dict[Path, dict[str, list[Path]]] = field(factory=dict[Path, dict[str, list[Path]]])
    _lock: Lock = field(factory=Lock)

    def of(self, directory: Path, stem: str) -> list[Path]:
        """Return the possible leftovers of one file; some may be in use."""
        with self._lock:
            if directory not in self._found:
                self._forget_some()
                self._found[directory] = _parts_in(directory)
            return self._found[directory].pop(stem, [])

    def _forget_some(self) -> None:
        """Keep the list of a limited number of directories: with many directories there are few files in each."""
        while len(self._found) >= _DIRECTORIES:
            del self._found[next(iter(self._found))]


_DIRECTORIES = 64


def _parts_in(directory: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    with suppress(PermissionError):  # a directory can be writable, but not readable
        for path in directory.iterdir():
            match = _PART.fullmatch(path.name)
            if match is not None:
                found.setdefault(match["stem"], []).append(path)
    return found


def _claimed(path: Path) -> BinaryIO:
    """Open and lock a leftover of a killed process.

    Raises:
        OSError: It is in use, it does not exist any more, or it is not a file.
    """
    file = os.fdopen(os.open(path, _SAFELY), "r+b")
    try:
        lock(file.fileno())
        if not os.path.samestat(os.fstat(file.fileno()), os.lstat(path)):
            raise FileNotFoundError
    except OSError:
        file.close()
        raise
    return file


def _proven(path: Path, file: BinaryIO) -> Version | None:
    """Return the version that the bytes of *file* belong to; None if that is not certain.

    It is certain for a file that this user wrote since the system started, that has no other name, and whose name holds
    a strong ETag and the length. If the file has all its bytes, the last one is cut off: then a request has to show
    that the server still has this version.
    """
    status = os.fstat(file.fileno())
    parts = _PART.fullmatch(path.name)
    if parts is None or parts["boot"] != _boot() or status.st_nlink != 1 or status.st_uid != _user():
        return None
    with suppress(ValueError):
        etag = base64.urlsafe_b64decode(parts["etag"] + "=" * (-len(parts["etag"]) % 4)).decode()
        version = Version.of(etag, int(parts["total"], 16))
        if version is not None and 0 < status.st_size <= version.total:
            file.truncate(min(status.st_size, version.total - 1))
            return version
    return None


def _user() -> int:
    return os.geteuid() if sys.platform != "win32" else 0
