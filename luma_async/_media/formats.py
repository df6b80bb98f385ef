"""The meaning of a media server's answer, and the format of its bytes; without requests."""

from __future__ import annotations

import re

from attrs import frozen
from multidict import MultiMapping

from luma_async.errors import DownloadError, DownloadReason, Verdict
from luma_async.models import Role

LARGEST = 16 * 2**30
"""Most bytes of one medium; the longest generation has some hundred MiB."""

_OK, _PARTIAL = 200, 206
_EXPIRED = frozenset({401, 403, 404, 410})
"""What CDNs answer to a presigned link that has expired (contract section 1)."""
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_PACKING = frozenset({"gzip", "br", "deflate", "zstd", "compress"})
"""Codings that change the bytes. Other labels, such as ``aws-chunked`` and ``UTF-8``, are left over from an upload."""

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
    return Version.of(_only(headers, "ETag"), total_in(headers) or 0)


_WHOLE = re.compile("bytes +0-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)


def is_whole_range(status: int, headers: Headers) -> bool:
    """Whether a 206 brings all bytes of the file, as some servers answer a request without a range."""
    found = _WHOLE.fullmatch(_only(headers, "Content-Range") or "")
    if status != _PARTIAL or found is None:
        return False
    total = int(found[2])
    return int(found[1]) == total - 1 and length_in(headers) in (None, total)


def total_in(headers: Headers) -> int | None:
    """Return the bytes of a whole file; None if the headers do not give them."""
    length, found = length_in(headers), _WHOLE.fullmatch(_only(headers, "Content-Range") or "")
    return int(found[2]) if length is None and found is not None else length


def has_end(headers: Headers) -> bool:
    """Whether the headers show where the body ends: by its length, or by its last chunk (RFC 9112 section 6.3)."""
    return total_in(headers) is not None or headers.get("Transfer-Encoding", "").strip().lower() == "chunked"


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
    labels = ",".join(headers.getall("Content-Encoding", []) + headers.getall("Transfer-Encoding", []))
    return ", ".join(sorted({label.strip() for label in labels.lower().split(",")} & _PACKING))


# --- answers without a medium ---


def trouble_with(status: int, headers: Headers, url: str) -> DownloadError | None:
    """Return why an answer is not a whole medium; None if its status and headers show no problem."""
    if status in _EXPIRED:
        return DownloadError(f"the link is no longer valid (HTTP {status})", reason="expired", url=url)
    if status != _OK and not is_whole_range(status, headers):
        verdict = Verdict.PASSING if status in _PASSING else Verdict.FINAL
        return DownloadError(f"the media server answered HTTP {status}", reason="status", url=url, verdict=verdict)
    found = _unfit(headers)
    return found and DownloadError(found[1], reason=found[0], url=url)


def _unfit(headers: Headers) -> tuple[DownloadReason, str] | None:
    """Return why an answer with a good status is not a medium that can be checked."""
    length = total_in(headers)
    if _packing(headers):
        return "refused", f"the media server compressed the file ({_packing(headers)}), so its length cannot be checked"
    if length == 0:
        return "not-media", "the media server sent an empty file"
    if length is not None and length > LARGEST:
        return "too-large", f"the file has {length} bytes, more than {LARGEST}"
    return None


# --- the format of a file, by its first bytes ---

_NO_VIDEO = rb"avi[fs]|hei[cxms]|hev[cx]|mif[12]|msf1|miaf|crx |[MF]4[AB] "
"""Brands of pictures and sounds, which are in the same boxes."""
_VIDEO = re.compile(
    rb"(?P<mov>....ftypqt  |....(?:moov|mdat|wide|free|skip|pnot))|(?P<mp4>....ftyp(?!%b))|(?P<webm>\x1aE\xdf\xa3)"
    % _NO_VIDEO,
    re.DOTALL,
)
_PICTURE = re.compile(
    rb"(?P<jpg>\xff\xd8\xff)|(?P<png>\x89PNG\r\n\x1a\n)|(?P<webp>RIFF....WEBP)|(?P<gif>GIF8[79]a)|(?P<avif>....ftypavi[fs])",
    re.DOTALL,
)
KINDS: dict[Role, re.Pattern[bytes]] = {"video": _VIDEO, "thumbnail": _PICTURE, "last_frame": _PICTURE}
"""Old QuickTime files start with any of its boxes; in ISO/IEC 14496-12 section 4.3 ``ftyp`` comes first."""

ENDINGS = (*_VIDEO.groupindex, *_PICTURE.groupindex)
"""All endings of stored files."""


HEAD = 16
"""Bytes at the start of a file that show what it is."""


def ending_of(head: bytes, role: Role) -> str | None:
    """Return the ending for the format of a file that starts with *head*; None if it is not a format for *role*."""
    found = KINDS[role].match(head)
    return found and found.lastgroup


def not_media(head: bytes, role: Role, url: str | None) -> DownloadError:
    """Return the error for a file that starts with *head*."""
    start = head.lstrip(b"\xef\xbb\xbf\t\r\n ")[:1]
    came = {b"<": "a page", b"{": "JSON", b"[": "JSON"}.get(start, "something else")
    return DownloadError(f"what came is not a {role} but {came}, by its first bytes", reason="not-media", url=url)
