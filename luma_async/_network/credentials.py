"""The headers of each request to the relay; they hold the key, and no repr shows it."""

from __future__ import annotations

from collections.abc import Mapping

from multidict import CIMultiDict

from luma_async.settings import USER_AGENT, Secret, Settings

_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": USER_AGENT}
"""The headers that the contract requires besides the key (section 1), and our own user agent."""


class _HiddenText(str):
    """The value of a header: aiohttp needs a str. Its repr and its slices hide it in aiohttp's local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[secret]'"

    def __getitem__(self, _: object) -> str:
        return "[secret]"


def request_headers(settings: Settings) -> CIMultiDict[str]:
    """Return the headers of a request with the key. They belong to a request, never to a session.

    The user's headers replace ours of the same names, but never the key.
    """
    headers = CIMultiDict(_HEADERS)
    headers.update(settings.dialect.headers)
    headers.update(hidden_headers(settings.headers))
    headers.update(key_header(settings))
    return headers


def hidden_headers(headers: Secret[Mapping[str, str]]) -> dict[str, str]:
    """Return headers whose values no repr shows."""
    return {name: _HiddenText(value) for name, value in headers.reveal().items()}


def key_header(settings: Settings) -> dict[str, str]:
    """Return the header that carries the key, as the API wants it."""
    dialect = settings.dialect
    return {dialect.key_header: _HiddenText(f"{dialect.key_prefix}{settings.api_key.reveal()}")}
