"""The headers of each request to the relay; the key is in them, and in no repr."""

from __future__ import annotations

from multidict import CIMultiDict

from luma_async.settings import USER_AGENT, Secret

_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": USER_AGENT}
"""With the key, the three that the contract requires (section 1); and who we are."""


def request_headers(key: str) -> CIMultiDict[str]:
    """Return the headers of a request with *key*. They belong to one request each, never to a session."""
    return CIMultiDict(_HEADERS, Authorization=Secret(f"Bearer {key}"))
