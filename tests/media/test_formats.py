"""What a media server's answer means, and what a file is, without a server or a disk."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from luma_async import Role
from luma_async._media.formats import (
    ENDINGS,
    Version,
    ending_of,
    has_end,
    length_in,
    total_in,
    trouble_with,
    version_in,
)
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


@pytest.mark.parametrize(
    ("headers", "ends"),
    [
        ({"Content-Length": "10"}, True),
        ({"Transfer-Encoding": " Chunked "}, True),
        ({"Content-Range": "bytes 0-9/10"}, True),
        ({}, False),
        ({"Transfer-Encoding": "identity"}, False),
        ({"Content-Length": "x"}, False),
    ],
)
def test_headers_show_where_a_body_ends(headers: dict[str, str], *, ends: bool) -> None:
    """By its length, or by its last chunk; an answer without either may still be a whole medium."""
    assert has_end(CIMultiDict(headers)) is ends
    assert trouble_with(200, CIMultiDict(headers), "https://cdn.example/") is None


LABELS = [
    *("aws-chunked", "UTF-8", "none", "identity", "binary", "x-unheard-of", ""),
    *("text/html", "text/plain; charset=ISO-8859-1", "application/json", "image/gif", "video"),
]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("name", ["Content-Encoding", "Content-Type"])
def test_a_label_refuses_nothing(name: str, label: str) -> None:
    """What does not pack the bytes cannot spoil them; what they are is seen in them."""
    assert trouble_with(200, CIMultiDict({name: label, "Content-Length": "10"}), "https://cdn.example/") is None


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "compress", "GZIP", "identity, br", "UTF-8,zstd"])
@pytest.mark.parametrize("name", ["Content-Encoding", "Transfer-Encoding"])
def test_a_packing_is_refused(name: str, coding: str) -> None:
    """In any case, and beside other labels."""
    error = trouble_with(200, CIMultiDict({name: coding, "Content-Length": "10"}), "https://cdn.example/")

    assert error is not None
    assert error.reason == "refused"


@pytest.mark.parametrize(
    ("content_range", "length", "whole"),
    [
        ("bytes 0-9/10", "10", True),
        ("Bytes 0-9/10", None, True),
        ("bytes 0-8/10", "9", False),
        ("bytes 0-8/10", None, False),
        ("bytes 1-9/10", "9", False),
        ("bytes 0-9/*", "10", False),
        ("bytes 0-9/10", "9", False),
        (None, "10", False),
    ],
)
def test_a_206_of_all_bytes_is_the_whole_file(content_range: str | None, length: str | None, *, whole: bool) -> None:
    """Only from byte 0 to the end, with a length that says the same."""
    told = {"Content-Range": content_range, "Content-Length": length, "ETag": '"1"'}
    headers = CIMultiDict({name: value for name, value in told.items() if value is not None})

    assert (trouble_with(206, headers, "https://cdn.example/") is None) is whole
    if whole:
        assert total_in(headers) == 10
        assert version_in(headers) == Version('"1"', 10)


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
    assert ending_of(content, role) == ending
    assert ending in ENDINGS


@pytest.mark.parametrize(
    "brand",
    [
        "avif",
        "avis",
        "heic",
        "heix",
        "heim",
        "heis",
        "hevc",
        "hevx",
        "mif1",
        "mif2",
        "msf1",
        "miaf",
        "crx_",
        "M4A_",
        "M4B_",
        "F4A_",
        "F4B_",
    ],
)
def test_a_picture_or_a_sound_in_boxes_is_no_video(brand: str) -> None:
    """It starts like an MP4, and its brand says what it is."""
    assert ending_of(box(b"ftyp", f"{brand.replace('_', ' ')}\0\0\0\0isom".encode()), "video") is None


@pytest.mark.parametrize(
    "brand",
    [
        "isom",
        "iso2",
        "iso5",
        "iso6",
        "mp41",
        "mp42",
        "avc1",
        "dash",
        "M4V_",
        "M4VH",
        "f4v_",
        "3gp5",
        "MSNV",
        "hvc1",
        "av01",
        "XAVC",
    ],
)
def test_any_other_brand_may_be_a_video(brand: str) -> None:
    """Also where a picture is among the compatible ones."""
    assert ending_of(box(b"ftyp", f"{brand.replace('_', ' ')}\0\0\0\0mif1M4A ".encode()), "video") == "mp4"


@pytest.mark.parametrize("content", [b"", b"\0", b"ftyp", b"<html>", b" " + mp4(b""), b"%PDF-1.7", b"\x1f\x8b\x08"])
@pytest.mark.parametrize("role", ["video", "thumbnail"])
def test_what_is_no_medium_gets_none(content: bytes, role: Role) -> None:
    """Pages, archives, and whatever is too short to tell."""
    assert ending_of(content, role) is None
