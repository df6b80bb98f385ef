"""The headers of each request to the relay; they hold the key, and no repr shows it."""

from __future__ import annotations

from multidict import CIMultiDict

from luma_async.settings import USER_AGENT, Secret

_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": USER_AGENT}
"""The headers that the contract requires besides the key (section 1), and our own user agent."""


def request_headers(key: str) -> CIMultiDict[str]:
    """Return the headers of a request with *key*. They belong to a request, never to a session."""
    return CIMultiDict(_HEADERS, Authorization=Secret(f"Bearer {key}"))
