"""aiohttp sessions and connections: the user's network settings, and the aiohttp features that are off."""

from __future__ import annotations

import asyncio
import math
import re
import ssl
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import aiohttp
from attrs import define, evolve, frozen
from yarl import URL

from luma_async._network.proxies import address_of, environment_proxy, is_proxy_ignored, proxys_own
from luma_async._text import shown
from luma_async.errors import (
    ClientClosedError,
    ConfigurationError,
    LumaError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
    Verdict,
)
from luma_async.settings import Secret

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection


@frozen(kw_only=True)
class Network:
    """The user's settings for connections to the relay and to the media."""

    connector: aiohttp.BaseConnector | None = None
    """Shared; this package never closes it."""
    proxy: Secret[str] | None = None
    ssl_context: ssl.SSLContext | None = None

    def towards(self, url: URL, *, trust_env: bool) -> Network:
        """Return the settings for requests to *url*: with *trust_env*, the environment may name their proxy.

        Raises:
            ConfigurationError: The environment names something else than an HTTP proxy.
        """
        if self.proxy is not None or not trust_env:
            return self
        return evolve(self, proxy=environment_proxy(url))

    @property
    def connections(self) -> list[float]:
        """The limits of the shared connector: the slots are as few, so that no request waits inside the connector."""
        shared = self.connector
        return [math.inf] if shared is None else [shared.limit or math.inf, shared.limit_per_host or math.inf]


@define(eq=False, repr=False)
class Pool:
    """One set of connections; retired as a whole, and closed after its last request."""

    session: aiohttp.ClientSession
    under_way: int = 0
    retired: bool = False

    def retire(self) -> None:
        """Keep no idle connections: otherwise several pools together could exceed the limit."""
        self.retired = True
        if isinstance(self.session.connector, _Connector):
            self.session.connector.retire()

    async def close_if_idle(self) -> None:
        if self.retired and not self.under_way:
            await self.session.close()


class _Connector(aiohttp.TCPConnector):
    """Closes an idle connection on which bytes came: without a request, they are not an answer (RFC 9112, 9.2).

    aiohttp would take them for the answer to the next request, which could be a refusal of another task.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lent_before: WeakSet[ResponseHandler] = WeakSet()
        self._lent: set[ResponseHandler] = set()
        self._retired = False

    def retire(self) -> None:
        """Close the idle connections now, and each other connection when its request ends."""
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
        """Lend a connection. A new connection is lent even if the server sends bytes first."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = cast("ResponseHandler", connection.protocol)
            if not protocol.should_close or protocol not in self._lent_before:
                self._lent_before.add(protocol)
                self._lent.add(protocol)
                connection.add_callback(partial(self._returns, protocol))
                return connection
            connection.close()


class _StrayBytesError(aiohttp.ClientConnectionError):
    """Bytes came on a connection before its request was sent."""


class CarefulRequest(aiohttp.ClientRequest):
    """Is not sent on a connection on which bytes have come already: they are not its answer (RFC 9112, 9.2).

    A connector of the user's cannot look after that, as ``_Connector`` does.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send the request, if nothing has come on *conn* before it."""
        if cast("ResponseHandler", conn.protocol).should_close:
            raise _StrayBytesError
        return await super().send(conn)


_MOST_STRAYS = 10
"""Connections with stray bytes before a request fails: a server that talks first does it on each new one."""


async def _on_clean_connection(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send *request* on the first connection without stray bytes; aiohttp closes the others."""
    for _ in range(_MOST_STRAYS):
        with suppress(_StrayBytesError):
            return await handler(request)
    raise _StrayBytesError


LONGEST_FIELD = 8190
"""Bytes of a header's value, as in aiohttp by default."""
MOST_FIELDS = 128
"""Headers of an answer, as in aiohttp by default."""
LIMITS_OF_HEADS: dict[str, Any] = {"max_field_size": 2**16, "max_headers": 2**8}
"""What aiohttp reads: its error has neither the name nor the size of a header, so it reads more than is accepted."""


def new_session(
    network: Network,
    connector: aiohttp.BaseConnector | None,
    limit: int,
    request_class: type[aiohttp.ClientRequest] = CarefulRequest,
    **own: object,
) -> aiohttp.ClientSession:
    """Return a session without cookies, without settings from the environment, and without a timeout.

    Args:
        network: The user's proxy and TLS context.
        connector: A connector to use and leave open; None for a new one with *limit* connections.
        limit: Connections at most.
        request_class: How requests are sent through *connector*.
        own: Further arguments for the new connector.

    Raises:
        ConfigurationError: The connector belongs to another event loop.
    """
    if connector is not None and connector._loop is not asyncio.get_running_loop():  # noqa: SLF001 - no other way
        raise ConfigurationError(
            "the connector belongs to another event loop", advice="make it in the loop in which the client runs"
        )
    careful: dict[str, Any] = {"request_class": request_class, "middlewares": [_on_clean_connection]}
    return aiohttp.ClientSession(
        connector=connector or _Connector(limit=limit, ssl=network.ssl_context or True, **own),
        connector_owner=connector is None,
        **{} if connector is None else careful,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=None if network.proxy is None else network.proxy.reveal(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
    )


def closed() -> ClientClosedError:
    """Return the error of a request after ``aclose``."""
    return ClientClosedError("the client is closed", advice="make a new LumaClient")


def connector_closed() -> ClientClosedError:
    """Return the error of a request after the application has closed the connector that it shares."""
    return ClientClosedError(
        "the shared connector is closed", advice="close it after the client, or make a new LumaClient with an open one"
    )


def place_of(network: Network, url: URL) -> str:
    """Return host and port of *url*, and the proxy in *network* if there is one, as errors name them."""
    host = f"{url.host_subcomponent}:{url.port}"
    return host if network.proxy is None else f"{host} through the proxy {address_of(network.proxy)}"


_DROPPED_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""A connection that broke inside TLS: this is not a problem of certificates."""


def translated_with(network: Network, error: Exception, url: URL, *, has_worked: bool = False) -> LumaError:
    """Return our error as ``translated`` does; the user's connector and proxy in *network* have errors of their own.

    Args:
        network: The user's settings.
        error: The error.
        url: The address of the server.
        has_worked: Whether an answer has come from it before.
    """
    place = place_of(network, url)
    if network.connector is not None and network.connector.closed:
        return connector_closed()
    if network.proxy is None:
        ours = translated(error, place)
        is_far = isinstance(error, TimeoutError | aiohttp.ClientConnectorError) and not has_worked
        if is_far and network.connector is None and is_proxy_ignored(url):
            ours.advice = "the environment names a proxy that is not used: give trust_env=True"
        return ours
    own = proxys_own(error, network.proxy, has_worked=has_worked)
    return own or translated(error, place)


def translated(error: Exception, host: str) -> LumaError:
    """Return our error for aiohttp's or the system's; *host* is ``name:port``."""
    cause = getattr(error, "os_error", error)
    reason = shown(getattr(cause, "strerror", None) or type(cause).__name__, 120)
    if isinstance(error, TimeoutError):
        advice = "give it more time: Limits(request_timeout=...)"
        return RequestTimeoutError(f"{host} did not answer in time", advice=advice, verdict=Verdict.PASSING)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError) and not isinstance(cause, _DROPPED_TLS):
        detail = shown(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or reason, 120)
        return TransportError(
            f"no secure connection to {host}: {detail}",
            advice="check the address and the certificate; see ssl_context=",
        )
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL | _StrayBytesError):
        return ProtocolError(f"{host} {_fault_in_head(error)}", verdict=Verdict.PASSING)
    if isinstance(error, aiohttp.ClientPayloadError):
        return TransportError(f"the connection to {host} broke in the middle of an answer", verdict=Verdict.PASSING)
    return TransportError(f"no answer from {host}: {reason}", verdict=Verdict.PASSING)


def _fault_in_head(error: Exception) -> str:
    """Return what is wrong with an answer that aiohttp could not parse; its own words may hold the key."""
    words = str(getattr(error, "message", ""))
    if (limit := re.search(r"Got more than ([0-9]{1,9}) bytes", words)) is not None:
        return f"answered with a header or a status line of more than {limit[1]} bytes"
    if "Too many headers" in words:
        return f"answered with more headers than the limit of {MOST_FIELDS}"
    return "did not answer with valid HTTP"
