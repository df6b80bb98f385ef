"""What keeps files safe from crashes and from other processes: names that are on the disk, and locks."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def sync_directory(directory: Path) -> None:
    """Bring names to the disk, where the system can do that: the file is whole and in its place already."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


_FAR = 2**40
"""A byte that no file of ours has: where Windows locks a byte, nobody else can read it."""

if sys.platform == "win32":

    def lock(descriptor: int) -> None:
        """Take the lock of an open file until it is closed.

        Raises:
            BlockingIOError: Somebody else has it.
            OSError: The file system knows no locks.
        """
        where = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        finally:
            os.lseek(descriptor, where, os.SEEK_SET)

else:

    def lock(descriptor: int) -> None:
        """Take the lock of an open file until it is closed.

        Raises:
            BlockingIOError: Somebody else has it.
            OSError: The file system knows no locks.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
