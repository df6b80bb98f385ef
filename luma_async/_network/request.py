"""One request, and its body on the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from attrs import define
from yarl import URL

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler


@define(eq=False, repr=False)
class Request:
    """One request, and when it got its slot (seconds on the event loop's clock; None while it waits for one)."""

    method: str
    path: str
    body: bytes | None = None
    asks_for_many: bool = False
    """Whether it asks for several ids at once."""
    admitted_at: float | None = None
    url: URL | None = None
    """Made at the first use: a poll asks the same question again and again."""
    sent: bool = False
    """Whether the relay may have got the body; without it, it cannot have done anything."""
    answered_on: ResponseHandler | None = None
    """The connection that brought the answer, where the connector is the user's: its other connections are not ours."""
    heard: bytes = b""
    """What came of an answer to a POST that is not whole; the key is blanked out."""


_PIECE = 2**16
"""Bytes."""


class Body(aiohttp.Payload):
    """A request's body, which tells the request when it goes out; aiohttp warns of long ones that go out in one go."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self._request = request

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return it as text."""
        text: str = self._value.decode(encoding, errors)
        return text

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it."""
        self._request.sent = True
        for at in range(0, len(self._value), _PIECE):
            await writer.write(self._value[at : at + _PIECE])
