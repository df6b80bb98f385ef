"""One request, and what is known about it while it is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from attrs import define
from yarl import URL

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler


class Pace(Enum):
    """How long requests of this kind take, and whether a slow one gives up its slot."""

    EXEMPT = "never gives up its slot"
    USUAL = "a poll"
    SLOW = "a poll of an id whose last poll gave up its slot, or timed out"


@define(eq=False, repr=False)
class Request:
    """One request to the relay."""

    method: str
    path: str
    body: bytes | None = None
    asks_for_many: bool = False
    """Whether it asks for several ids at once."""
    pace: Pace = Pace.EXEMPT
    admitted_at: float | None = None
    """When it got its slot, in seconds on the event loop's clock; None while it waits for one."""
    url: URL | None = None
    """Built at the first use: all polls of an id use the same one."""
    sent: bool = False
    """Whether the relay may have got the body; without the body it cannot have done anything."""
    answered_on: ResponseHandler | None = None
    """The connection that brought the answer, if the connector is the user's: its other connections are not ours."""
    before_sending: Callable[[], Awaitable[object]] | None = None
    """Awaited once it has its slot and its turn; what it raises keeps the request from the relay."""
    before_reading: Callable[[], Awaitable[object]] | None = None
    """Awaited before its answer is read: reading takes time that others may need."""
    answered_at: float = 0.0
    """When its whole answer was there."""
    partial_answer: bytes = b""
    """What arrived of an incomplete answer to a POST; the key is redacted."""

    @property
    def lasted(self) -> float:
        """The seconds from its slot to its answer."""
        return 0.0 if self.admitted_at is None else self.answered_at - self.admitted_at


_PIECE = 2**16
"""Bytes."""


class Body(aiohttp.Payload):
    """The body of a request, which records in the request when it is sent.

    It is sent in pieces: aiohttp warns of a long body in one write.
    """

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self._request = request

    def __deepcopy__(self, memo: object) -> Self:
        """Return the same body: aioresponses copies what it is called with, and the request refers to the client."""
        return self

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        text: str = self._value.decode(encoding, errors)
        return text

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the body."""
        self._request.sent = True
        for at in range(0, len(self._value), _PIECE):
            await writer.write(self._value[at : at + _PIECE])
