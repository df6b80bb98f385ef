"""Boxes of MP4 and QuickTime files, without a server or a disk."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest

from luma_async._media.boxes import ends_early, is_whole
from luma_async.testing._media import Medium
from tests.downloads import box, mp4

LARGE = struct.pack(">I4sQ", 1, b"mdat", 116) + bytes(100)


@pytest.mark.parametrize(
    "content",
    [
        mp4(b""),
        mp4(bytes(100)) + box(b"moov", bytes(50)),
        box(b"ftyp", b"isom") + LARGE,
        box(b"ftyp", b"isom") + b"\0\0\0\0mdat" + bytes(9),
        box(b"ftyp", b"isom") + box(b"beam", bytes(9))[:-3],
        b"\0\0\0\0free",
        box(b"ftyp", b"isom") + b"\0\0\0\x04free",
        b"\x1aE\xdf\xa3" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"",
    ],
)
def test_a_file_whose_boxes_fit_does_not_end_early(content: bytes) -> None:
    """Nor does one whose last box is without end, or of which nothing is understood."""
    assert not ends_early(BytesIO(content), len(content))


@pytest.mark.parametrize("whole", [mp4(bytes(100)), mp4(b"") + box(b"moov", bytes(50)), box(b"ftyp", b"isom") + LARGE])
def test_a_file_whose_last_box_is_cut_ends_early(whole: bytes) -> None:
    """By a single byte, or by all but its head."""
    assert ends_early(BytesIO(whole[:-1]), len(whole) - 1)
    assert ends_early(BytesIO(whole[:-40]), len(whole) - 40)


def _table(kind: bytes, offsets: list[int], count: int | None = None) -> bytes:
    width = 4 if kind == b"stco" else 8
    entries = b"".join(offset.to_bytes(width, "big") for offset in offsets)
    return box(kind, bytes(4) + (len(offsets) if count is None else count).to_bytes(4, "big") + entries)


def _movie(table: bytes) -> bytes:
    """Return a ``moov`` around a table of chunk offsets."""
    around = box(b"stsd", bytes(8)) + table
    for kind in (b"stbl", b"minf", b"mdia", b"trak"):
        around = box(kind, around)
    return box(b"moov", box(b"mvhd", bytes(100)) + around)


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2")
MDAT = box(b"mdat", bytes(100))
WHOLE = {
    "offsets of 32 bits": FTYP + MDAT + _movie(_table(b"stco", [40, 90])),
    "offsets of 64 bits": FTYP + MDAT + _movie(_table(b"co64", [40])),
    "index first, and a box that nobody knows": FTYP + _movie(_table(b"stco", [300])) + MDAT + box(b"beam", b"x"),
    "QuickTime": box(b"wide", b"") + LARGE + _movie(_table(b"stco", [8])),
    "no chunks": FTYP + MDAT + _movie(_table(b"stco", [])),
}
NOT_WHOLE = {
    "cut behind a box": FTYP + MDAT,
    "no media": FTYP + _movie(_table(b"stco", [])),
    "fragments": FTYP + _movie(_table(b"stco", [])) + box(b"moof", b"") + MDAT,
    "a last box without an end": FTYP + _movie(_table(b"stco", [40])) + b"\0\0\0\0mdat" + bytes(100),
    "a chunk behind the end": FTYP + MDAT + _movie(_table(b"stco", [40, 5000])),
    "a chunk at the end": FTYP + box(b"mdat", bytes(100)) + _movie(_table(b"stco", [364])),
    "a far chunk of 64 bits": FTYP + MDAT + _movie(_table(b"co64", [2**33])),
    "fewer offsets than it says": FTYP + MDAT + _movie(_table(b"stco", [40], count=2)),
    "a table that is cut": FTYP + MDAT + _movie(box(b"stco", bytes(3))),
    "an inner box that is too long": FTYP + MDAT + _movie(b"\0\0\1\0stco" + bytes(8)),
    "two indexes": FTYP + MDAT + _movie(_table(b"stco", [])) * 2,
    "another format": b"\x1aE\xdf\xa3" + bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=list(WHOLE))
def test_a_file_that_shows_its_end_is_whole(content: bytes) -> None:
    """And no longer with one byte less or more."""
    assert is_whole(BytesIO(content), len(content))
    assert not is_whole(BytesIO(content[:-1]), len(content) - 1)
    assert not is_whole(BytesIO(content + b"\0"), len(content) + 1)


@pytest.mark.parametrize("content", NOT_WHOLE.values(), ids=list(NOT_WHOLE))
def test_a_file_that_may_go_on_is_not_whole_for_certain(content: bytes) -> None:
    """Nothing in it shows that more was to come, or that it was not."""
    assert not is_whole(BytesIO(content), len(content))


def test_a_packaged_video_is_whole_and_no_part_of_it_is() -> None:
    """Wherever its connection broke."""
    medium = Medium.of("task-1", "video.mp4")
    assert medium is not None
    content = medium.content

    assert is_whole(BytesIO(content), len(content))
    tail = content.rindex(b"task-1") - 8
    assert not any(is_whole(BytesIO(content[:end]), end) for end in range(0, tail, 7))


def test_only_so_many_boxes_are_looked_at() -> None:
    """A server could send a milliard of them, and each costs a look."""
    many = box(b"free", b"") * 70_000

    assert not ends_early(BytesIO(many + box(b"free", b"x")[:-1]), len(many) + 8)
    assert not is_whole(BytesIO(many), len(many))
