"""A medium's file on its way to its name: hidden and locked until it is whole; and what killed runs have left."""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO, cast

from attrs import define, field

from luma_async._disk import lock, sync_directory
from luma_async._ids import is_task_id
from luma_async._media.formats import ENDINGS, Version
from luma_async.models import Role

_SAFELY = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_MODE = 0o666
"""Less the user's umask, like any file."""
_LONGEST_NAME = 255
"""Bytes."""


def stored(task_id: str, directory: Path, role: Role) -> Path | None:
    """Return the file in *directory* that has the medium *role* of a task, with any ending; None without one.

    What is not a task id could lead out of the directory, so it has no file.
    """
    if not is_task_id(task_id):
        return None
    names = (directory / f"{task_id}.{role}.{ending}" for ending in ENDINGS)
    return next((name for name in names if os.path.lexists(name)), None)


@define(eq=False)
class Part:
    """A file on its way to its name.

    Its steps run in threads that nobody can cancel, so a step may still be under way when ``discard`` is called, or
    begin after it: nothing comes of it then.
    """

    directory: Path
    stem: str
    """The final name without its ending: task id and role."""
    mode: int = _MODE
    version: Version | None = None
    """What its bytes are the beginning of; None if nothing proves that others go with them."""
    size: int = 0
    """Bytes so far."""
    _file: BinaryIO | None = None
    _path: Path = field(init=False, default=Path())
    _discarded: bool = False
    _lock: Lock = field(factory=Lock)
    """Held for the moments in which a name appears or goes."""

    @property
    def kept(self) -> int:
        """The bytes that another answer can go on behind."""
        return self.size if self.version is not None else 0

    def take_up(self, leftovers: list[Path]) -> None:
        """Go on with the longest of *leftovers* that is proven, and remove the others; those in use stay."""
        for path in leftovers:
            with suppress(OSError):
                file = _claimed(path)
                version = _proven(path, file)
                with self._lock:
                    if self._discarded or version is None or self._outgrows(file):
                        _remove(path, file)
                    else:
                        self._leave()
                        self._hold(path, file, version)

    def begin(self, version: Version | None) -> None:
        """Make a new file for *version*, in the place of what there was; whatever is in its way is left alone."""
        with self._lock:
            self._leave()
            if not self._discarded:
                self._hold(*_created(self.directory, self.stem, version, self.mode), version)

    def write(self, chunk: bytes) -> None:
        """Append *chunk*, so that it outlives this process."""
        self._opened.write(chunk)
        self._opened.flush()
        self.size += len(chunk)

    def content(self) -> BinaryIO:
        """Return the file to be looked at; nothing is to be written after that."""
        return self._opened

    def finish(self, target: Path, *, overwrite: bool) -> bool:
        """Bring the bytes to the disk, then the name into being, atomically, then the name to the disk.

        Returns:
            Whether the file has its name; False if that was taken, and not to be taken over.
        """
        file = self._opened
        os.fsync(file.fileno())
        with self._lock:
            if self._discarded:
                return False
            if sys.platform == "win32":  # which gives no other name to what is open
                file.close()
            named = _named(self._path, target, overwrite=overwrite)
        sync_directory(target.parent)
        return named

    def drop(self) -> None:
        """Give up what there is: it cannot be gone on with."""
        with self._lock:
            self._leave()

    def discard(self) -> None:
        """Leave nothing behind but what has got its name; a disk in trouble was told of already."""
        with self._lock:
            self._discarded = True
            self._leave()

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
    """Remove the name while the lock is held, so that it is nobody else's; then close the file."""
    if sys.platform == "win32":  # which removes nothing that is open
        file.close()
    with suppress(OSError):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        file.close()


def _created(directory: Path, stem: str, version: Version | None, mode: int) -> tuple[Path, BinaryIO]:
    """Make a new file and lock it.

    Between the two another process may take it for a left-over, and remove it: then once more.
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
            return path, file  # no locks here, so nobody removes anything
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()


def _named(part: Path, target: Path, *, overwrite: bool) -> bool:
    """Give *part* its name, atomically; return False if that is taken, and not to be taken over."""
    if not overwrite:
        try:
            os.link(part, target)
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links. What appears between these two steps is lost: whole, and by a hair.
            if os.path.lexists(target):
                return False
        else:
            return True
    part.replace(target)
    return True


# --- what killed runs have left ---

_PART = re.compile(
    r"\.(?P<stem>[^+]+)(?:\+(?P<total>[0-9a-f]+)\+(?P<boot>[0-9a-f-]+)\+(?P<etag>[\w-]+))?\+[0-9a-f]{16}\.part"
)
"""``+`` is in no task id."""


def _name(stem: str, version: Version | None, boot: str) -> str:
    """Return a new hidden name that proves what its file is the beginning of, if that can be proven later."""
    nonce = f"{secrets.token_hex(8)}.part"
    if version is not None and boot:
        etag = base64.urlsafe_b64encode(version.etag.encode()).decode().rstrip("=")
        name = f".{stem}+{version.total:x}+{boot}+{etag}+{nonce}"
        if len(name) <= _LONGEST_NAME:
            return name
    return f".{stem}+{nonce}"


def _boot() -> str:
    """Return what differs each time the system starts, or nothing: after a crash, files may hold bytes nobody wrote."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:18]
    return ""


@define(eq=False)
class Leftovers:
    """Finds what killed runs have left; a directory is looked through when it is first used, and not for each file."""

    _found: dict[Path, dict[str, list[Path]]] = field(factory=dict[Path, dict[str, list[Path]]])
    _lock: Lock = field(factory=Lock)

    def of(self, directory: Path, stem: str) -> list[Path]:
        """Return what may be left of one file: some of it may be in use."""
        with self._lock:
            if directory not in self._found:
                self._forget_some()
                self._found[directory] = _parts_in(directory)
            return self._found[directory].pop(stem, [])

    def _forget_some(self) -> None:
        """Keep no more than some directories in mind: who uses many has few files in each."""
        while len(self._found) >= _DIRECTORIES:
            del self._found[next(iter(self._found))]


_DIRECTORIES = 64


def _parts_in(directory: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    with suppress(PermissionError):  # one may be allowed to write where one may not look
        for path in directory.iterdir():
            match = _PART.fullmatch(path.name)
            if match is not None:
                found.setdefault(match["stem"], []).append(path)
    return found


def _claimed(path: Path) -> BinaryIO:
    """Open and lock what a killed process has left.

    Raises:
        OSError: It is in use, it has gone, or it is no file.
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
    """Return what *file* is the beginning of; None if that is not certain.

    It was written since the system started, by this user, has no other name, and its name tells a strong ETag and the
    length. Of a file that has all its bytes the last one is cut off: only an answer shows that the server has it still.
    """
    status = os.fstat(file.fileno())
    told = _PART.fullmatch(path.name)
    if told is None or told["boot"] != _boot() or status.st_nlink != 1 or status.st_uid != _user():
        return None
    with suppress(ValueError):
        etag = base64.urlsafe_b64decode(told["etag"] + "=" * (-len(told["etag"]) % 4)).decode()
        version = Version.of(etag, int(told["total"], 16))
        if version is not None and 0 < status.st_size <= version.total:
            file.truncate(min(status.st_size, version.total - 1))
            return version
    return None


def _user() -> int:
    return os.geteuid() if sys.platform != "win32" else 0
