"""Protects files from crashes and from other processes: syncs directories, and locks files."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from luma_async._records import StoredFile

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

RoleName = TypeVar("RoleName", bound=str)


def sync_directory(directory: Path) -> None:
    """Sync the names in *directory* to the disk, if the system can do this; the file itself is complete already."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def measured(paths: Mapping[RoleName, Path | None]) -> dict[str, StoredFile | None]:
    """Return the files at *paths* with their sizes, which are None where they cannot be known."""
    return {role: None if path is None else StoredFile(path, size_of(path)) for role, path in paths.items()}


def size_of(path: Path) -> int | None:
    """Return the bytes of the file at *path*; None if there is no such file."""
    with suppress(OSError, ValueError):
        status = path.stat()
        return status.st_size if stat.S_ISREG(status.st_mode) else None
    return None


_FAR = 2**40
"""A byte beyond the end of all our files: on Windows, other processes cannot read a locked byte."""


def lock(descriptor: int) -> None:
    """Lock an open file until it is closed.

    Raises:
        BlockingIOError: Another process has the lock.
        OSError: The file system has no locks.
    """
    if sys.platform == "win32":
        where = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(descriptor, where, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
