"""Requests to media servers: without the key, to allowed addresses only, and never longer than they owe."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
from aiohttp.abc import ResolveResult
from attrs import define, evolve, field
from multidict import CIMultiDict
from yarl import URL

from luma_async._media.addresses import (
    WRONG_SERVER_ADDRESS,
    PrivateAddressError,
    Rules,
    bare,
    checked_url,
    guarded_socket,
    is_global,
    literal,
    refused,
)
from luma_async._network.credentials import hidden_headers, key_header
from luma_async._network.deadlines import Deadlines
from luma_async._network.redirects import follow
from luma_async._network.session import (
    CarefulRequest,
    Network,
    closed,
    connector_closed,
    new_session,
    translated_with,
)
from luma_async.errors import DownloadError, DownloadReason, LumaError, Verdict
from luma_async.settings import USER_AGENT, Limits, Secret, Settings

if TYPE_CHECKING:
    from aiohttp.connector import Connection

T = TypeVar("T")

SLOWEST = 1024
"""Bytes per second that a server has to send on average, over each ``request_timeout`` seconds of waiting for it."""
_CHUNK = 2**18
"""Bytes that go to the disk at once."""
_UNAUTHORIZED = 401
_REFUSALS = frozenset({_UNAUTHORIZED, 403})


@define(eq=False)
class Pace:
    """What a server owes: so many bytes within so many seconds of waiting for them, again and again."""

    seconds: float
    left: float = field(init=False)
    _owed: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._renew()

    def note(self, size: int, seconds: float) -> None:
        """Take note of *size* bytes that were waited for *seconds*: the disk's time and the caller's do not count."""
        self.left -= seconds
        self._owed -= size
        if self._owed <= 0:
            self._renew()

    def _renew(self) -> None:
        self.left, self._owed = self.seconds, self.seconds * SLOWEST


class _GuardedResolver(aiohttp.ThreadedResolver):
    """Refuses a name if any of its addresses is private: whoever answers so means no good, whichever is taken."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look *host* up."""
        found = await super().resolve(host, port, family)
        if all(is_global(each["host"]) for each in found):
            return found
        raise PrivateAddressError


class _GuardedRequest(CarefulRequest):
    """Is not sent to a private address through a connector of the user's, which knows no guard of ours."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send the request, unless the peer of *conn* is private."""
        peer = None if conn.transport is None else conn.transport.get_extra_info("peername")
        if isinstance(peer, tuple) and peer and literal(str(peer[0])) and not is_global(peer[0]):
            raise PrivateAddressError
        return await super().send(conn)


_CONNECTING = ("_create_connection", "_create_direct_connection", "_wrap_create_connection")


def _connects_directly(connector: aiohttp.BaseConnector) -> bool:
    """Whether the peers of *connector* are the servers: one with connections of its own may lead through a tunnel."""
    kind, plain = type(connector), aiohttp.TCPConnector
    return all(getattr(kind, name, None) is getattr(plain, name, None) for name in _CONNECTING)


@define(eq=False)
class MediaServers:
    """Sessions of their own, which never know the key: it goes along with single requests to the relay only."""

    network: Network
    limits: Limits
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    """Waits between tries, seconds."""
    relay: Settings | None = None
    """Whose media are fetched; None if nothing is the relay's own."""
    rules: Rules = field(init=False)
    _sessions: dict[bool, aiohttp.ClientSession] = field(factory=dict[bool, aiohttp.ClientSession], init=False)
    """By whether they check the final address of each connection."""
    _closed: bool = field(default=False, init=False)
    _deadlines: Deadlines = field(factory=Deadlines, init=False)
    """Closing ends these blocks too: aiohttp does not end a request that reads its body."""

    def __attrs_post_init__(self) -> None:
        own = None if self.relay is None else URL(self.relay.base_url)
        self.rules = Rules(allow_private=self.limits.allow_private_media, relay=own)

    async def aclose(self) -> None:
        """Close the sessions; requests under way end with ClientClosedError."""
        self._closed = True
        self._deadlines.expire_all()
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def open(self, url: URL, wanted: dict[str, str]) -> aiohttp.ClientResponse:
        """Return the answer at the end of all redirects.

        Where the relay itself refuses *url*, it is asked once more with the key, if ``key_for_relay_media`` allows it.
        """
        response = await self._followed(url, wanted)
        if self.limits.key_for_relay_media and self._is_refused_by_relay(url, response):
            response.close()
            response = await self._followed(url, wanted, with_key=True)
        return response

    async def _followed(self, url: URL, wanted: dict[str, str], *, with_key: bool = False) -> aiohttp.ClientResponse:
        """Follow redirects by hand, each checked like the first address; only the first request may have the key."""
        is_own, key = self.rules.are_own(url), self.relay.api_key if with_key and self.relay is not None else None

        async def sent(url: URL) -> aiohttp.ClientResponse:
            return await self._from_network(self._get(url, wanted, key, is_own=is_own), url, "status")

        async def redirected(url: URL, location: str, _: int) -> URL:
            nonlocal is_own, key
            if key is not None and key.reveal() in location:
                raise DownloadError("the relay redirects to a link that holds the key", reason="refused", url=bare(url))
            key, target = None, checked_url(location, self.rules, base=url)
            is_own = is_own and self.rules.are_own(target)
            return target

        response = await follow(url, await sent(url), sent, redirected)
        if response is None:
            raise DownloadError("the link redirects too often", reason="refused", url=bare(url))
        return response

    async def _get(
        self, url: URL, wanted: dict[str, str], key: Secret[str] | None, *, is_own: bool
    ) -> aiohttp.ClientResponse:
        if self._closed:
            raise closed()
        proxy = self._towards(url).proxy
        session = self._session(is_guarded=not (self.limits.allow_private_media or is_own or proxy is not None))
        if session.closed:  # its connector is the user's; aiohttp would raise a RuntimeError
            raise connector_closed()
        return await session.get(
            url,
            allow_redirects=False,
            auto_decompress=False,
            headers=self._headers(wanted, key),
            proxy=None if proxy is None else proxy.reveal(),
        )

    def _headers(self, wanted: dict[str, str], key: Secret[str] | None) -> CIMultiDict[str]:
        headers = CIMultiDict({"User-Agent": USER_AGENT})
        if self.relay is not None:
            headers.update(hidden_headers(self.relay.media_headers))
        headers.update({"Accept-Encoding": "identity", **wanted})
        if key is not None and self.relay is not None:
            headers.update(key_header(self.relay))
        return headers

    def _towards(self, url: URL) -> Network:
        return self.network.towards(url, trust_env=self.relay is not None and self.relay.trust_env)

    def _session(self, *, is_guarded: bool) -> aiohttp.ClientSession:
        """Return a session; a guarded one checks each connection at its final address, where it can be known."""
        if is_guarded not in self._sessions:
            self._sessions[is_guarded] = self._new_session(is_guarded=is_guarded)
        return self._sessions[is_guarded]

    def _new_session(self, *, is_guarded: bool) -> aiohttp.ClientSession:
        network, shared = evolve(self.network, proxy=None), self.network.connector
        if shared is not None:
            kind = _GuardedRequest if is_guarded and _connects_directly(shared) else CarefulRequest
            return new_session(network, shared, self.limits.max_downloads, kind)
        own: dict[str, Any] = {"socket_factory": guarded_socket, "resolver": _GuardedResolver()} if is_guarded else {}
        return new_session(network, None, self.limits.max_downloads, **own)

    def _is_refused_by_relay(self, url: URL, response: aiohttp.ClientResponse) -> bool:
        """Whether the relay refuses *url*, a link to its own origin, itself and not after a redirect."""
        return response.status in _REFUSALS and response.url == url and self.rules.are_own(url)

    def refusal(self, url: URL, response: aiohttp.ClientResponse, *, is_fresh: bool) -> DownloadError | None:
        """Return what it means that *url* is refused, unless it may have expired: then a fresh link may help.

        Args:
            url: The link.
            response: The answer.
            is_fresh: Whether the relay has just given the link, and it brought nothing.
        """
        if response.status not in _REFUSALS:
            return None
        by_relay = self._is_refused_by_relay(url, response)
        if by_relay and not self.limits.key_for_relay_media and (is_fresh or response.status == _UNAUTHORIZED):
            return _needs_key(response.status, bare(url))
        if not is_fresh:
            return None
        return _refused_with_key(response.status, bare(url)) if by_relay else _refused_fresh(response.status, bare(url))

    async def chunk(self, response: aiohttp.ClientResponse, pace: Pace) -> bytes:
        clock = asyncio.get_running_loop()
        begun = clock.time()
        chunk = await self._from_network(response.content.read(_CHUNK), response.url, "truncated", pace.left)
        pace.note(len(chunk), clock.time() - begun)
        return chunk

    async def _from_network(
        self, coming: Awaitable[T], url: URL, reason: DownloadReason, seconds: float | None = None
    ) -> T:
        """Await what a server owes, for *seconds* at most, or ``request_timeout``.

        Its errors become ours here alone, outside the handler: the user's callback may raise the same kinds, and no
        aiohttp object is to hang on what we raise.
        """
        try:
            return await self._until_closed(coming, self.limits.request_timeout if seconds is None else seconds)
        except (aiohttp.ClientError, OSError) as error:
            trouble = _translated(error, url, reason, self._towards(url))
            if self.rules.misses_the_relay(url):
                trouble.advice = trouble.advice or WRONG_SERVER_ADDRESS
        raise closed() if self._closed else trouble

    async def pause(self, seconds: float) -> None:
        try:
            await self._until_closed(self.sleep(seconds))
        except TimeoutError:
            raise closed() from None

    async def _until_closed(self, coming: Awaitable[T], seconds: float = math.inf) -> T:
        """Await *coming*.

        Raises:
            TimeoutError: It took longer than *seconds*, or the downloader was closed.
        """
        with self._deadlines.limit(asyncio.get_running_loop().time() + seconds):
            return await coming


def _needs_key(status: int, url: str) -> DownloadError:
    return DownloadError(
        f"the relay gives this medium only with the API key (HTTP {status})",
        reason="needs-key",
        url=url,
        advice="give Limits(key_for_relay_media=True)",
    )


def _refused_with_key(status: int, url: str) -> DownloadError:
    return DownloadError(
        f"the relay refuses its own link, also with the API key (HTTP {status})",
        reason="status",
        url=url,
        advice="ask the relay's support whether this key may download",
    )


def _refused_fresh(status: int, url: str) -> DownloadError:
    return DownloadError(
        f"the media server refuses a link that the relay has just given (HTTP {status}); it may refuse our User-Agent",
        reason="status",
        url=url,
        advice='try media_headers={"User-Agent": "..."} with that of a browser',
    )


def _translated(error: Exception, url: URL, reason: DownloadReason, network: Network) -> LumaError:
    """Return our error for aiohttp's."""
    if network.connector is not None and network.connector.closed:
        return connector_closed()
    causes = (error, error.__cause__, getattr(error, "os_error", None))
    if any(isinstance(cause, PrivateAddressError) for cause in causes):
        return refused(f"{url.raw_host} leads into a private network", url)
    if isinstance(error, TimeoutError) and reason == "truncated":
        return cut(f"{url.raw_host}:{url.port} sends less than {SLOWEST} bytes per second", bare(url))
    ours = translated_with(network, error, url)
    return DownloadError(ours.summary, reason=reason, url=bare(url), verdict=ours.verdict, advice=ours.advice)


def cut(summary: str, url: str | None) -> DownloadError:
    return DownloadError(summary, reason="truncated", url=url, verdict=Verdict.PASSING)
