"""What a media server's answer means, and what a file is, without a server or a disk."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from multidict import CIMultiDict

from luma_async import Role
from luma_async._media.formats import ENDINGS, Version, ending_of, ends_early, length_in, trouble_with, version_in
from tests.downloads import box, mp4


@pytest.mark.parametrize("etag", ['"1"', '"d41d8cd98f00b204e9800998ecf8427e-12"', '"W/1"', '"a\'#~!"'])
def test_a_strong_etag_and_a_length_are_a_version(etag: str) -> None:
    """Quotes included, as it is to be sent back."""
    assert Version.of(etag, 10) == Version(etag, 10)


@pytest.mark.parametrize(
    ("etag", "total"),
    [
        (None, 10),
        ('"1"', 0),
        ('W/"1"', 10),
        ('w/"1"', 10),
        ("1", 10),
        ('""', 10),
        ('"1', 10),
        ('"1" ', 10),
        ('"1", "2"', 10),
        ('"é"', 10),
        ('"1"\n', 10),
    ],
)
def test_what_promises_no_bytes_is_no_version(etag: str | None, total: int) -> None:
    """Weak ETags, unquoted ones, several, and those of files of unknown length."""
    assert Version.of(etag, total) is None


def test_two_etags_are_none() -> None:
    """Nobody knows which of them is meant."""
    headers = CIMultiDict([("ETag", '"1"'), ("ETag", '"1"'), ("Content-Length", "10")])

    assert version_in(headers) is None


@pytest.mark.parametrize(("told", "length"), [("0", 0), ("10", 10), ("x", None), ("-1", None), ("١", None), ("", None)])
def test_a_length_is_digits(told: str, length: int | None) -> None:
    """Anything else tells none."""
    assert length_in(CIMultiDict({"Content-Length": told})) == length


def test_a_rest_without_a_length_of_its_own_is_one() -> None:
    """Content-Range tells where it ends; one in chunks is counted as it comes."""
    headers = CIMultiDict({"ETag": '"1"', "Content-Range": "bytes 4-9/10", "Transfer-Encoding": "chunked"})

    assert Version('"1"', 10).goes_on(4, 206, headers)
    assert not Version('"1"', 10).goes_on(4, 200, headers)


@pytest.mark.parametrize("headers", [{"Content-Length": "10"}, {"Transfer-Encoding": " Chunked "}])
def test_an_answer_whose_end_can_be_told_is_fine(headers: dict[str, str]) -> None:
    """By its length, or by its last chunk; the type of its content may be missing."""
    assert trouble_with(200, CIMultiDict(headers), "https://cdn.example/") is None


@pytest.mark.parametrize(
    ("content", "role", "ending"),
    [
        (mp4(b""), "video", "mp4"),
        (box(b"ftyp", b"mp42"), "video", "mp4"),
        (box(b"ftyp", b"qt  "), "video", "mov"),
        (box(b"moov", b"x"), "video", "mov"),
        (box(b"wide", b""), "video", "mov"),
        (b"\x1aE\xdf\xa3", "video", "webm"),
        (b"\xff\xd8\xff\xdb", "thumbnail", "jpg"),
        (b"\x89PNG\r\n\x1a\n", "thumbnail", "png"),
        (b"RIFF\n\n\n\nWEBPVP8 ", "last_frame", "webp"),
        (b"GIF87a", "last_frame", "gif"),
        (b"GIF89a", "last_frame", "gif"),
        (box(b"ftyp", b"avif\0\0\0\0"), "last_frame", "avif"),
    ],
)
def test_a_file_gets_the_ending_of_what_it_is(content: bytes, role: Role, ending: str) -> None:
    """By its first bytes, which any player goes by."""
    assert ending_of(BytesIO(content), role) == ending
    assert ending in ENDINGS


@pytest.mark.parametrize("content", [b"", b"\0", b"ftyp", b"<html>", b" " + mp4(b""), b"%PDF-1.7", b"\x1f\x8b\x08"])
@pytest.mark.parametrize("role", ["video", "thumbnail"])
def test_what_is_no_medium_gets_none(content: bytes, role: Role) -> None:
    """Pages, archives, and whatever is too short to tell."""
    assert ending_of(BytesIO(content), role) is None


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


def test_only_so_many_boxes_are_looked_at() -> None:
    """A server could send a milliard of them, and each costs a look."""
    many = box(b"free", b"") * 70_000

    assert not ends_early(BytesIO(many + box(b"free", b"x")[:-1]), len(many) + 8)
