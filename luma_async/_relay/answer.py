"""One HTTP answer, reduced to the parts that this package reads."""

from __future__ import annotations

from attrs import define, field


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
