"""Sessions and connections: what the user brings, and what aiohttp must not do."""

from __future__ import annotations

import math
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import aiohttp
from attrs import define, field, frozen

from luma_async._text import shown
from luma_async.errors import (
    LumaError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
    Verdict,
)

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection


@frozen(kw_only=True)
class Network:
    """What the user brings for the way to the relay and to the media."""

    connector: aiohttp.BaseConnector | None = None
    """Shared, and never closed by us."""
    proxy: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = None

    @property
    def connections(self) -> list[float]:
        """Bounds of the shared connector, where 0 is none: who waits for one of its connections waits for a slot."""
        shared = self.connector
        return [math.inf] if shared is None else [shared.limit or math.inf, shared.limit_per_host or math.inf]


@define(eq=False, repr=False)
class Pool:
    """One set of connections; retired as a whole, and closed when its last request has ended."""

    session: aiohttp.ClientSession
    under_way: int = 0
    retired: bool = False

    def retire(self) -> None:
        """Let it have no more connections than requests, or those of several pools could be more than the limit."""
        self.retired = True
        if isinstance(self.session.connector, _Connector):
            self.session.connector.retire()

    async def close_if_idle(self) -> None:
        if self.retired and not self.under_way:
            await self.session.close()


class _Connector(aiohttp.TCPConnector):
    """Gives up an idle connection on which something came: nobody asked for it, so it is no answer (RFC 9112, 9.2).

    aiohttp would hand it to whoever asks next, who could take another task's refusal for his own.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lent_before: WeakSet[ResponseHandler] = WeakSet()
        self._lent: set[ResponseHandler] = set()
        self._retired = False

    def retire(self) -> None:
        """Close what is idle now, and everything else when it comes back."""
        self._retired = True
        for protocol in set(self._lent_before) - self._lent:
            protocol.close()

    def _returns(self, protocol: ResponseHandler) -> None:
        self._lent.discard(protocol)
        if self._retired:
            protocol.force_close()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        """Lend a connection; a new one whose server speaks first is lent as it is."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = cast("ResponseHandler", connection.protocol)
            if not protocol.should_close or protocol not in self._lent_before:
                self._lent_before.add(protocol)
                self._lent.add(protocol)
                connection.add_callback(partial(self._returns, protocol))
                return connection
            connection.close()


def new_session(
    network: Network, connector: aiohttp.BaseConnector | None, limit: int, **own: object
) -> aiohttp.ClientSession:
    """Return a session that keeps no cookies, heeds no environment, and has no timeout of its own.

    Args:
        network: The user's proxy and TLS context.
        connector: One to use and leave open; None for one of our own with *limit* connections.
        limit: Connections at most.
        own: Further arguments for our own connector.
    """
    return aiohttp.ClientSession(
        connector=connector or _Connector(limit=limit, ssl=network.ssl_context or True, **own),
        connector_owner=connector is None,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=network.proxy,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
    )


_DROPPED_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""A connection that broke inside TLS, which says nothing about certificates."""


def translated(error: Exception, host: str) -> LumaError:
    """Return our error for aiohttp's or the system's; *host* is ``name:port``."""
    cause = getattr(error, "os_error", error)
    reason = shown(getattr(cause, "strerror", None) or type(cause).__name__, 120)
    if isinstance(error, TimeoutError):
        return RequestTimeoutError(f"{host} did not answer in time", verdict=Verdict.PASSING)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError) and not isinstance(cause, _DROPPED_TLS):
        told = shown(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or reason, 120)
        return TransportError(
            f"no secure connection to {host}: {told}", advice="check the address and the certificate; see ssl_context="
        )
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return ProtocolError(f"{host} did not answer in good HTTP", verdict=Verdict.PASSING)
    if isinstance(error, aiohttp.ClientPayloadError):
        return TransportError(f"{host} broke off in the middle of its answer", verdict=Verdict.PASSING)
    return TransportError(f"no answer from {host}: {reason}", verdict=Verdict.PASSING)
