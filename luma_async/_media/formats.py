"""The meaning of a media server's answer, and the format of its bytes; without requests."""

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
"""Most bytes of one medium; the longest generation has some hundred MiB."""

_OK, _PARTIAL = 200, 206
_EXPIRED = frozenset({401, 403, 404, 410})
"""What CDNs answer to a presigned link that has expired (contract section 1)."""
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_NO_MEDIA = ("text/", "application/json", "application/xml", "application/problem+json")

Headers = MultiMapping[str]


# --- the version of a file ---

_STRONG = re.compile(r'"[\x21\x23-\x7e]+"')


@frozen
class Version:
    """One version of a server's file: if both values are equal, the bytes are equal (RFC 9110 section 8.8.1)."""

    etag: str
    """A strong one, quotes included."""
    total: int
    """Bytes of the whole file."""

    @classmethod
    def of(cls, etag: str | None, total: int) -> Version | None:
        """Return the version of *etag*; None unless the ETag is strong: a weak one does not promise equal bytes."""
        return cls(etag, total) if etag is not None and total and _STRONG.fullmatch(etag) else None

    def request(self, start: int) -> dict[str, str]:
        """Return the headers that request the rest from byte *start* on, or the whole file if it has changed."""
        return {"Range": f"bytes={start}-", "If-Range": self.etag}

    def goes_on(self, start: int, status: int, headers: Headers) -> bool:
        """Whether an answer is exactly the rest of this version from byte *start* on."""
        length = length_in(headers)
        return (
            status == _PARTIAL
            and _only(headers, "Content-Range") == f"bytes {start}-{self.total - 1}/{self.total}"
            and _only(headers, "ETag") == self.etag
            and length in (None, self.total - start)
            and not _packing(headers)
        )


def version_in(headers: Headers) -> Version | None:
    """Return the version of a whole answer, if its headers give one."""
    return Version.of(_only(headers, "ETag"), length_in(headers) or 0)


def length_in(headers: Headers) -> int | None:
    """Return the length of the body in bytes; None if the headers do not give it."""
    length = _only(headers, "Content-Length")
    return int(length) if length is not None and re.fullmatch("[0-9]{1,18}", length) else None


def _only(headers: Headers, name: str) -> str | None:
    """Return the header *name*; None if it is missing, or there more than once and so not reliable."""
    found = headers.getall(name, [])
    return found[0].strip() if len(found) == 1 else None


def _packing(headers: Headers) -> str:
    """Return the compression of the body; empty if there is none."""
    packed = f"{headers.get('Content-Encoding', '')},{headers.get('Transfer-Encoding', '')}".lower().split(",")
    return ", ".join({each.strip() for each in packed} - {"", "identity", "chunked"})


# --- answers without a medium ---


def trouble_with(status: int, headers: Headers, url: str) -> DownloadError | None:
    """Return why an answer is not a whole medium; None if its status and headers show no problem."""
    if status in _EXPIRED:
        return DownloadError(f"the link is no longer valid (HTTP {status})", reason="expired", url=url)
    if status != _OK:
        verdict = Verdict.PASSING if status in _PASSING else Verdict.FINAL
        return DownloadError(f"the media server answered HTTP {status}", reason="status", url=url, verdict=verdict)
    found = _unfit(headers)
    return found and DownloadError(found[1], reason=found[0], url=url)


def _unfit(headers: Headers) -> tuple[DownloadReason, str] | None:
    """Return why an answer with a good status is not a medium that can be checked."""
    kind = headers.get("Content-Type", "").lower()
    length = length_in(headers)
    if kind.startswith(_NO_MEDIA):
        return "not-media", f"the media server sent {shown(kind, 60)} instead of a medium"
    if _packing(headers):
        return "refused", "the media server compressed the file, so its length cannot be checked"
    if length is None and headers.get("Transfer-Encoding", "").strip().lower() != "chunked":
        return "truncated", "the media server does not say where the file ends"
    if length == 0:
        return "not-media", "the media server sent an empty file"
    if length is not None and length > LARGEST:
        return "too-large", f"the file has {length} bytes, more than {LARGEST}"
    return None


# --- the format of a file, by its first bytes ---

_VIDEO = re.compile(
    rb"(?P<mov>....ftypqt  |....(?:moov|mdat|wide|free|skip|pnot))|(?P<mp4>....ftyp)|(?P<webm>\x1aE\xdf\xa3)", re.DOTALL
)
_PICTURE = re.compile(
    rb"(?P<jpg>\xff\xd8\xff)|(?P<png>\x89PNG\r\n\x1a\n)|(?P<webp>RIFF....WEBP)|(?P<gif>GIF8[79]a)|(?P<avif>....ftypavi[fs])",
    re.DOTALL,
)
KINDS: dict[Role, re.Pattern[bytes]] = {"video": _VIDEO, "thumbnail": _PICTURE, "last_frame": _PICTURE}
"""Old QuickTime files start with any of its boxes; in ISO/IEC 14496-12 section 4.3 ``ftyp`` comes first."""

ENDINGS = (*_VIDEO.groupindex, *_PICTURE.groupindex)
"""All endings of stored files."""


def ending_of(file: BinaryIO, role: Role) -> str | None:
    """Return the ending for the format of *file*; None if it is not a format for *role*."""
    file.seek(0)
    found = KINDS[role].match(file.read(16))
    return found and found.lastgroup


_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"wide", b"uuid", b"sidx", b"styp"})

_MOST_BOXES = 2**16
"""A limit on the boxes that are checked: each takes microseconds, and a server could send a billion."""


def ends_early(file: BinaryIO, size: int) -> bool:
    """Whether a box of an MP4 or QuickTime file reaches beyond its *size* (ISO/IEC 14496-12 section 4.2).

    Such a file was cut, even if it has the length that the server gave. For an unknown structure this is False.
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
