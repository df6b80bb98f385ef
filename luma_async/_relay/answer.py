"""One HTTP answer, as far as it matters."""

from __future__ import annotations

from attrs import define, field


@define(eq=False)
class Answer:
    """One whole HTTP answer, as far as it matters."""

    status: int
    body: bytes
    content_type: str = field(default="", repr=False)
    retry_after: str | None = field(default=None, repr=False)
    request_id: str | None = None
    date: str | None = field(default=None, repr=False)
    """When the relay sent it, by its own clock."""
    is_challenge: bool = field(default=False, repr=False)
    """Whether a CDN in front of the relay says that it wants to see a browser (``cf-mitigated``)."""

    @property
    def is_html(self) -> bool:
        """Whether a page came where JSON belongs. The body decides: some gateways call their JSON ``text/html``."""
        start = self.body[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        return start == b"<" or ("html" in self.content_type.lower() and start not in (b"{", b"[", b""))
