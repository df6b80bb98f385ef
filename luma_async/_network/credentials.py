"""The headers of each request to the relay; they hold the key, and no repr shows it."""

from __future__ import annotations

from multidict import CIMultiDict

from luma_async.dialect import RELAY, Dialect
from luma_async.settings import USER_AGENT, Secret

_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": USER_AGENT}
"""The headers that the contract requires besides the key (section 1), and our own user agent."""


class _Authorization(str):
    """The value of the header: aiohttp needs a str. Its repr and its slices hide it in aiohttp's local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"

    def __getitem__(self, _: object) -> str:
        return "[secret]"


def request_headers(key: Secret[str], dialect: Dialect = RELAY) -> CIMultiDict[str]:
    """Return the headers of a request with *key*. They belong to a request, never to a session."""
    headers = CIMultiDict(_HEADERS)
    headers.update(dialect.headers)
    headers[dialect.key_header] = _Authorization(f"{dialect.key_prefix}{key.reveal()}")
    return headers
