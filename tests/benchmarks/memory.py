"""What a process holds, without tracemalloc, which would itself weigh as much as what it weighs. Linux with glibc."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import resource
import sys
import tempfile
from pathlib import Path


def held() -> dict[str, int]:
    """Return the bytes that the system counts as this process's, and those of them that are in use."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {"resident": pages * resource.getpagesize(), "used": _of_python() + _of_malloc()}


def _of_python() -> int:
    """Return what Python's own allocator has given out; it tells that to nothing but standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as told:
        os.dup2(told.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        told.seek(0)
        figure = re.search(rb"bytes in allocated blocks +=\s+([\d,]+)", told.read())
    return int(figure[1].replace(b",", b"")) if figure else 0


_MALLINFO = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Mallinfo(ctypes.Structure):
    """See mallinfo2(3): ten sizes, of which two are what is in use."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _MALLINFO.split())


def _of_malloc() -> int:
    """Return what the C library has given out: what is too large for Python's allocator."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Mallinfo
    told = mallinfo()
    return int(told.uordblks + told.hblkhd)
