"""Reads one captured answer: a bare body, what ``curl -i`` printed, or a request with its answer as JSON; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict

from luma_async._relay.answer import Answer, request_id_in
from luma_async._relay.documents import NotJSONError, decode, encoded

_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_HEAD = re.compile(rb"HTTP/[0-9.]{1,3} ([0-9]{3})\b[^\n]*\n((?:[^\r\n][^\n]*\n)*)\r?(?:\n|$)")
_BLANK = b"\xef\xbb\xbf \t\r\n"


def read_captured(content: bytes) -> Answer:
    """Return the answer that *content* is.

    Args:
        content: The body alone, which then counts as a good answer; or the last answer that ``curl -i`` printed; or a
            JSON object with ``status``, ``headers`` and ``body``, which is JSON or a text. UTF-16 is as good as UTF-8.
    """
    content = _in_utf_8(content).lstrip(_BLANK)
    head = _HEAD.match(content)
    if head is None:
        return _from_json(content)
    while (following := _HEAD.match(content, head.end())) is not None:  # "100 Continue", a proxy, a redirect
        head = following
    lines = (line.decode("latin-1").partition(":") for line in head[2].splitlines())
    return _answer(int(head[1]), {name: value.strip() for name, _, value in lines}, content[head.end() :])


def _in_utf_8(content: bytes) -> bytes:
    encoding = _MARKS.get(content[:2])
    return content if encoding is None else content[2:].decode(encoding, "replace").encode()


def _from_json(content: bytes) -> Answer:
    try:
        document = decode(content)[0]
    except NotJSONError:
        return _answer(200, {}, content)
    if not _is_recorded(document):
        return _answer(200, {}, content)
    body, headers = document["body"], document.get("headers") or {}
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    return _answer(document["status"], texts, body.encode() if isinstance(body, str) else encoded(body))


def _is_recorded(document: Any) -> bool:
    """Whether *document* is a request with its answer, and not an answer itself."""
    if not isinstance(document, Mapping) or "body" not in document or type(document.get("status")) is not int:
        return False
    return isinstance(document.get("headers"), Mapping) or "request" in document


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    plain = CIMultiDict(headers)
    return Answer(
        status=status,
        body=body,
        content_type=plain.get("content-type", ""),
        retry_after=plain.get("retry-after"),
        date=plain.get("date"),
        is_challenge="cf-mitigated" in plain,
        request_id=request_id_in(plain),
    )
