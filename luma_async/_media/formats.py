"""What a media server's answer means, and what its bytes are; without I/O."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from attrs import frozen
from multidict import MultiMapping

from luma_async._text import shown
from luma_async.errors import DownloadError, DownloadReason, Verdict
from luma_async.models import Role

LARGEST = 16 * 2**30
"""Bytes of one medium; the longest generation has some hundred MiB."""

_OK, _PARTIAL = 200, 206
_EXPIRED = frozenset({401, 403, 404, 410})
"""What CDNs answer to a presigned link after its hour (contract section 1)."""
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_NO_MEDIA = ("text/", "application/json", "application/xml", "application/problem+json")

Headers = MultiMapping[str]


# --- which bytes ---

_STRONG = re.compile(r'"[\x21\x23-\x7e]+"')


@frozen
class Version:
    """Which bytes a server has: they are the same wherever both of these are (RFC 9110 section 8.8.1)."""

    etag: str
    """A strong one, quotes included."""
    total: int
    """Bytes of the whole file."""

    @classmethod
    def of(cls, etag: str | None, total: int) -> Version | None:
        """Return what *etag* stands for; None unless it is a strong one, since a weak one promises no bytes."""
        return cls(etag, total) if etag is not None and total and _STRONG.fullmatch(etag) else None

    def request(self, start: int) -> dict[str, str]:
        """Return the headers that ask for the rest from byte *start* on, or else for the whole of what is there now."""
        return {"Range": f"bytes={start}-", "If-Range": self.etag}

    def goes_on(self, start: int, status: int, headers: Headers) -> bool:
        """Whether an answer is just the rest of these very bytes from *start* on."""
        length = length_in(headers)
        return (
            status == _PARTIAL
            and _only(headers, "Content-Range") == f"bytes {start}-{self.total - 1}/{self.total}"
            and _only(headers, "ETag") == self.etag
            and length in (None, self.total - start)
            and not _packing(headers)
        )


def version_in(headers: Headers) -> Version | None:
    """Return which bytes a whole answer brings, as far as it says so."""
    return Version.of(_only(headers, "ETag"), length_in(headers) or 0)


def length_in(headers: Headers) -> int | None:
    """Return how long the body is to be, bytes; None where that is not told beforehand."""
    told = _only(headers, "Content-Length")
    return int(told) if told is not None and re.fullmatch("[0-9]{1,18}", told) else None


def _only(headers: Headers, name: str) -> str | None:
    """Return the one header *name*; None where it is missing, or there twice and so means nothing."""
    found = headers.getall(name, [])
    return found[0].strip() if len(found) == 1 else None


def _packing(headers: Headers) -> str:
    """Return what the bytes are packed with; empty if they are as they are."""
    packed = f"{headers.get('Content-Encoding', '')},{headers.get('Transfer-Encoding', '')}".lower().split(",")
    return ", ".join({each.strip() for each in packed} - {"", "identity", "chunked"})


# --- what came instead of a medium ---


def trouble_with(status: int, headers: Headers, url: str) -> DownloadError | None:
    """Return why an answer is not one whole medium; None if it is one, by all that can be told from its head."""
    if status in _EXPIRED:
        return DownloadError(f"the link is no longer valid (HTTP {status})", reason="expired", url=url)
    if status != _OK:
        verdict = Verdict.PASSING if status in _PASSING else Verdict.FINAL
        return DownloadError(f"the media server answered HTTP {status}", reason="status", url=url, verdict=verdict)
    found = _unfit(headers)
    return found and DownloadError(found[1], reason=found[0], url=url)


def _unfit(headers: Headers) -> tuple[DownloadReason, str] | None:
    """Return why a good status brings no medium that can be checked."""
    kind = headers.get("Content-Type", "").lower()
    length = length_in(headers)
    if kind.startswith(_NO_MEDIA):
        return "not-media", f"{shown(kind, 60)} came where a medium belongs"
    if _packing(headers):
        return "refused", "the media server packed the file, so its length cannot be checked"
    if length is None and headers.get("Transfer-Encoding", "").strip().lower() != "chunked":
        return "truncated", "the media server does not say where the file ends"
    if length == 0:
        return "not-media", "an empty file came where a medium belongs"
    if length is not None and length > LARGEST:
        return "too-large", f"the file would have {length} bytes"
    return None


# --- what a file is, by its own first bytes ---

_VIDEO = re.compile(
    rb"(?P<mov>....ftypqt  |....(?:moov|mdat|wide|free|skip|pnot))|(?P<mp4>....ftyp)|(?P<webm>\x1aE\xdf\xa3)", re.DOTALL
)
_PICTURE = re.compile(
    rb"(?P<jpg>\xff\xd8\xff)|(?P<png>\x89PNG\r\n\x1a\n)|(?P<webp>RIFF....WEBP)|(?P<gif>GIF8[79]a)|(?P<avif>....ftypavi[fs])",
    re.DOTALL,
)
KINDS: dict[Role, re.Pattern[bytes]] = {"video": _VIDEO, "thumbnail": _PICTURE, "last_frame": _PICTURE}
"""QuickTime's older files begin with any box of its own; ISO/IEC 14496-12 section 4.3 has ``ftyp`` come first."""

ENDINGS = (*_VIDEO.groupindex, *_PICTURE.groupindex)
"""All that a file can get."""


def ending_of(file: BinaryIO, role: Role) -> str | None:
    """Return the ending that *file* deserves; None if it is nothing that can be a *role*."""
    file.seek(0)
    found = KINDS[role].match(file.read(16))
    return found and found.lastgroup


_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"wide", b"uuid", b"sidx", b"styp"})

_MOST_BOXES = 2**16
"""A look at each takes microseconds; a server could send a milliard of them."""


def ends_early(file: BinaryIO, size: int) -> bool:
    """Whether a box of an MP4 or QuickTime file reaches beyond its *size* (ISO/IEC 14496-12 section 4.2).

    So it was cut, whatever lengths its server told. Nothing is said of what is not understood.
    """
    at = 0
    for _ in range(_MOST_BOXES):
        if at >= size:
            break
        file.seek(at)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head.ljust(16, b"\0"))
        if kind not in _BOXES or length == 0:
            return False
        if length == 1:
            (length,) = struct.unpack_from(">Q", head.ljust(16, b"\0"), 8)
        at += max(length, 8)
    return at > size
