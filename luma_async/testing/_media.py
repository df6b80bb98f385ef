"""The files of the simulated relay: tiny, valid and different for each task; and their links and ranges."""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from attrs import field, frozen

from luma_async.testing.exchange import Reply

WIDTH, HEIGHT = 160, 90
"""Pixels, of the video and the pictures."""
DURATION = 2.0
"""Seconds of video."""

VIDEO, WATERMARKED, THUMBNAIL, LAST_FRAME = "video.mp4", "watermarked.mp4", "thumbnail.jpg", "last_frame.jpg"
_SOURCES = {VIDEO: "clip.mp4", WATERMARKED: "clip.mp4", THUMBNAIL: THUMBNAIL, LAST_FRAME: LAST_FRAME}


@frozen
class Medium:
    """One file of one task."""

    content: bytes = field(repr=False)
    content_type: str

    @classmethod
    def of(cls, task_id: str, name: str) -> Medium | None:
        """Return the file *name* of a task, with bytes that no other file has; None for an unknown name."""
        source = _SOURCES.get(name)
        if source is None:
            return None
        mark = f"{task_id}/{name}".encode()
        if source.endswith(".mp4"):
            # A box that players ignore (ISO/IEC 14496-12 section 8.1.2).
            return cls(_packaged(source) + struct.pack(">I4s", 8 + len(mark), b"free") + mark, "video/mp4")
        return cls(_commented(_packaged(source), mark), "image/jpeg")

    @property
    def etag(self) -> str:
        """The strong ETag of the file (RFC 9110 section 8.8.3)."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    def reply(self, headers: Mapping[str, str]) -> Reply:
        """Answer a request for the file: whole, a range, 304, 412 or 416 (RFC 9110 sections 13.2.2 and 14)."""
        size = len(self.content)
        if "If-Match" in headers and not _names(headers["If-Match"], self.etag):
            return Reply(status=412)
        version = {"ETag": self.etag, "Last-Modified": _LAST_MODIFIED}
        if "If-None-Match" in headers and _names(headers["If-None-Match"].replace("W/", ""), self.etag):
            return Reply(status=304, headers=version)
        always = {**version, "Accept-Ranges": "bytes", "Content-Type": self.content_type}
        wanted = _range_of(headers, self.etag, size)
        if wanted is None:
            return Reply(body=self.content, headers=always)
        if not wanted:
            return Reply(status=416, headers={**always, "Content-Range": f"bytes */{size}"})
        part = {"Content-Range": f"bytes {wanted.start}-{wanted.stop - 1}/{size}"}
        return Reply(status=206, body=self.content[wanted.start : wanted.stop], headers={**always, **part})


_LAST_MODIFIED = "Mon, 22 Jul 2024 12:47:28 GMT"


def _names(condition: str, etag: str) -> bool:
    """Whether a list of ETags holds *etag*; ``*`` stands for any (RFC 9110 sections 13.1.1 and 13.1.2)."""
    return condition.strip() == "*" or etag in [part.strip() for part in condition.split(",")]


_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def _range_of(headers: Mapping[str, str], etag: str, size: int) -> range | None:
    """Return the requested range, empty if it is outside the file; None for a request of the whole file."""
    found = _RANGE.fullmatch(headers.get("Range", "").strip())
    if found is None or found[0] == "bytes=-" or headers.get("If-Range", etag) not in (etag, _LAST_MODIFIED):
        return None
    first, last = found[1], found[2]
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(size, int(last) + 1) if last else size)


@cache
def _packaged(name: str) -> bytes:
    return files("luma_async.testing").joinpath(name).read_bytes()


def _commented(jpeg: bytes, mark: bytes) -> bytes:
    """Insert a comment segment after the JFIF header, which has to come first."""
    behind_header = 4 + int.from_bytes(jpeg[4:6])
    comment = struct.pack(">2sH", b"\xff\xfe", 2 + len(mark)) + mark
    return jpeg[:behind_header] + comment + jpeg[behind_header:]


@frozen(kw_only=True)
class Links:
    """Creates and checks presigned links, which expire like those of a CDN."""

    base_url: str
    secret: bytes = field(repr=False)
    lifetime: float
    """Relay seconds."""

    def to(self, task_id: str, name: str, now: float) -> str:
        """Return a link created at *now*, in relay seconds."""
        path = f"/media/{quote(task_id, safe='')}/{name}"
        expires = f"{now + self.lifetime:.3f}"
        return f"{self.base_url}{path}?expires={expires}&signature={self._sign(path, expires)}"

    def holds(self, path: str, query: Mapping[str, str], now: float) -> bool:
        """Whether the signature is valid, and the link has not expired at *now*."""
        expires = query.get("expires", "")
        signature = query.get("signature", "").encode(errors="replace")
        return hmac.compare_digest(self._sign(path, expires).encode(), signature) and now < float(expires)

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self.secret, f"{path}?{expires}".encode(), "sha256").hexdigest()


EXPIRED = Reply(
    status=403,
    body=b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired</Message></Error>",
    headers={"Content-Type": "application/xml"},
)
"""The answer of a CDN to a link that has expired, or was changed."""

WRONG_METHOD = Reply(
    status=403,
    body=b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SignatureDoesNotMatch</Code>'
    b"<Message>The request signature we calculated does not match the signature you provided.</Message></Error>",
    headers={"Content-Type": "application/xml"},
)
"""The answer of a store that signs the method of a link, to another method."""
