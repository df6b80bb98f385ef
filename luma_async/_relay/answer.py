"""One HTTP answer, reduced to the parts that this package reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import define, field

_REQUEST_IDS = ("X-Oneapi-Request-Id", "X-Any2api-Request-Id", "x-litellm-call-id")
"""Gateways' own headers; a proxy in front may add an id of its own as another one (contract section 6)."""
_NAMES_A_REQUEST = re.compile(r"(?:.*-)?(?:request|call|trace)-?id", re.IGNORECASE)
_ENDS = frozenset({"id", "Id", "ID", "iD"})
"""For a look before the pattern: this is done for each answer."""


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """Return the id of a request from the headers of its answer, or None.

    *headers* ignore case. A gateway's own header goes before others that name a request.
    """
    known = next(filter(None, map(headers.get, _REQUEST_IDS)), None)
    if known:
        return known
    for name, value in headers.items():
        if name[-2:] in _ENDS and value and _NAMES_A_REQUEST.fullmatch(name):
            return value
    return None


@define(eq=False)
class Answer:
    """One whole HTTP answer."""

    status: int
    body: bytes
    content_type: str = field(default="", repr=False)
    retry_after: str | None = field(default=None, repr=False)
    request_id: str | None = None
    date: str | None = field(default=None, repr=False)
    """When the relay sent it, by the relay's clock."""
    is_challenge: bool = field(default=False, repr=False)
    """Whether a CDN in front of the relay asks for a browser (``cf-mitigated``)."""

    @property
    def is_html(self) -> bool:
        """Whether the body is a web page. The body decides: some gateways send JSON as ``text/html``."""
        start = self.body[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        return start == b"<" or ("html" in self.content_type.lower() and start not in (b"{", b"[", b""))
