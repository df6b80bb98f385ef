"""The boxes of MP4 and QuickTime files: whether a file was cut, and whether it is whole for certain."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen

_KNOWN = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"wide", b"uuid", b"sidx", b"styp"})
_AROUND_OFFSETS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
"""The boxes around the chunk offsets (ISO/IEC 14496-12 section 8.7.5)."""
_OFFSETS = {b"stco": ">I", b"co64": ">Q"}

_MOST_BOXES = 2**16
"""A limit on the boxes that are checked: each takes microseconds, and a server could send a billion."""
_LARGEST_INDEX = 2**23
"""Bytes of ``moov`` that are checked; a generation's has some KiB, and that of an hour some MiB."""
_PIECE = 2**16
"""Bytes of a table that are read at once."""


@frozen
class _Box:
    kind: bytes
    content: int
    """Its place in the file, behind the head."""
    end: int


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """Yield the boxes from *start* to *end*; the last one may reach beyond *end*, or have no end: then it is -1."""
    for _ in range(_MOST_BOXES):
        if start >= end:
            return
        file.seek(start)
        head = file.read(16).ljust(16, b"\0")
        length, kind = struct.unpack_from(">I4s", head)
        head_length = 16 if length == 1 else 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", head, 8)
        is_last = length == 0
        box = _Box(kind, start + head_length, -1 if is_last else start + max(length, head_length))
        yield box
        if is_last:
            return
        start = box.end


def ends_early(file: BinaryIO, size: int) -> bool:
    """Whether a box of an MP4 or QuickTime file reaches beyond its *size* (ISO/IEC 14496-12 section 4.2).

    Such a file was cut, even if it has the length that the server gave. For an unknown structure this is False.
    """
    for box in _boxes(file, 0, size):
        if box.kind not in _KNOWN or box.end < 0:
            return False
        if box.end > size:
            return True
    return False


def is_whole(file: BinaryIO, size: int) -> bool:
    """Whether a file of *size* bytes is whole by its own structure, so that its server need not give the length.

    Its boxes end exactly at its end, ``moov`` and ``mdat`` are among them, every chunk is inside the file, and there is
    no ``moof``: a file in fragments could have more of them. False means that nobody knows.
    """
    boxes = list(_boxes(file, 0, size))
    kinds = [box.kind for box in boxes]
    if not boxes or boxes[-1].end != size or b"mdat" not in kinds or b"moof" in kinds:
        return False
    indexes = [box for box in boxes if box.kind == b"moov"]
    if len(indexes) != 1 or indexes[0].end - indexes[0].content > _LARGEST_INDEX:
        return False
    return _has_all_chunks(file, indexes[0], size)


def _has_all_chunks(file: BinaryIO, around: _Box, size: int) -> bool:
    """Whether each chunk offset inside *around* leads into the file of *size* bytes."""
    at = around.content
    for box in _boxes(file, around.content, around.end):
        if not box.content <= box.end <= around.end:
            return False
        if box.kind in _AROUND_OFFSETS and not _has_all_chunks(file, box, size):
            return False
        if box.kind in _OFFSETS and not all(offset < size for offset in _offsets(file, box, size)):
            return False
        at = box.end
    return at == around.end


def _offsets(file: BinaryIO, box: _Box, size: int) -> Iterator[int]:
    """Yield the chunk offsets of a table; *size* where the table is shorter than its count says."""
    form = struct.Struct(_OFFSETS[box.kind])
    file.seek(box.content)
    (count,) = struct.unpack_from(">4xI", file.read(8).ljust(8, b"\xff"))
    left = count * form.size
    if box.content + 8 + left > box.end:
        yield size
        return
    while left > 0:
        piece = file.read(min(left, _PIECE))
        left -= len(piece)
        yield from (offset for (offset,) in form.iter_unpack(piece))
