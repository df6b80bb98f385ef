"""Follows redirects: aiohttp would send the key along, and would not check where they lead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
from yarl import URL

_STATUSES = frozenset({301, 302, 303, 307, 308})
_MOST = 5
REDIRECTED_POST = "the relay redirects a POST"
"""The start of what an error says where only the path is another, and a GET would be sent there."""


def same_origin(url: URL, start: URL) -> bool:
    """Whether the key may go to *url* too. A user name in *url* would be another key."""
    is_same = (url.scheme, url.raw_host, url.port) == (start.scheme, start.raw_host, start.port)
    return is_same and "@" not in url.raw_authority


async def follow(
    url: URL,
    response: aiohttp.ClientResponse,
    send: Callable[[URL], Awaitable[aiohttp.ClientResponse]],
    redirected: Callable[[URL, str, int], Awaitable[URL]],
) -> aiohttp.ClientResponse | None:
    """Return the answer at the end of all redirects; None if there are more than five.

    Args:
        url: Where the first request went.
        response: Its answer.
        send: Sends a request to a URL.
        redirected: Returns the next URL for a URL, the ``Location`` of its answer and its status, or raises.
    """
    for _ in range(_MOST):
        location = location_in(response)
        if location is None:
            return response
        response.release()
        url = await redirected(url, location, response.status)
        response = await send(url)
    if location_in(response) is None:
        return response
    response.release()
    return None


def location_in(response: aiohttp.ClientResponse) -> str | None:
    """Return where *response* redirects to, or None if it is no redirect."""
    return response.headers.get("Location") if response.status in _STATUSES else None
