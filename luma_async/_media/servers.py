"""Requests to media servers: without the key, to allowed addresses only, and never longer than they owe."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from aiohttp.abc import ResolveResult
from attrs import define, evolve, field
from yarl import URL

from luma_async._media.addresses import PrivateAddressError, bare, checked_url, guarded_socket, is_global, refused
from luma_async._network.deadlines import Deadlines
from luma_async._network.redirects import follow
from luma_async._network.session import Network, closed, new_session, translated_with
from luma_async.errors import DownloadError, DownloadReason, Verdict
from luma_async.settings import USER_AGENT, Limits

T = TypeVar("T")

SLOWEST = 1024
"""Bytes per second that a server has to send on average, over each ``request_timeout`` seconds of waiting for it."""
_CHUNK = 2**18
"""Bytes that go to the disk at once."""
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}


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


@define(eq=False)
class MediaServers:
    """A session of its own, which never knows the key."""

    network: Network
    limits: Limits
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    """Waits between tries, seconds."""
    _session: aiohttp.ClientSession | None = None
    _closed: bool = False
    _deadlines: Deadlines = field(factory=Deadlines)
    """Closing ends these blocks too: aiohttp does not end a request that reads its body."""

    async def aclose(self) -> None:
        """Close the session; requests under way end with ClientClosedError."""
        self._closed = True
        self._deadlines.expire_all()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def open(self, url: URL, wanted: dict[str, str]) -> aiohttp.ClientResponse:
        """Follow redirects by hand, each checked like the first address; return the answer at their end."""

        async def redirected(url: URL, location: str, _: int) -> URL:
            return checked_url(location, allow_private=self.limits.allow_private_media, base=url)

        response = await follow(url, lambda url: self._from_network(self._get(url, wanted), url, "status"), redirected)
        if response is None:
            raise DownloadError("the link redirects too often", reason="refused", url=bare(url))
        return response

    async def _get(self, url: URL, wanted: dict[str, str]) -> aiohttp.ClientResponse:
        if self._closed:
            raise closed()
        self._session = self._session or self._new_session()
        headers = {**_HEADERS, **wanted}
        return await self._session.get(url, allow_redirects=False, auto_decompress=False, headers=headers)

    def _new_session(self) -> aiohttp.ClientSession:
        """Return a session whose every connection is checked at its final address, unless a proxy makes them."""
        guarded = self.network.proxy is None and not self.limits.allow_private_media
        own: dict[str, Any] = {"socket_factory": guarded_socket, "resolver": _GuardedResolver()} if guarded else {}
        return new_session(self.network, None, self.limits.max_downloads, **own)

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
            trouble = _translated(error, url, reason, self.network)
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


def _translated(error: Exception, url: URL, reason: DownloadReason, network: Network) -> DownloadError:
    """Return our error for aiohttp's."""
    if isinstance(getattr(error, "os_error", error), PrivateAddressError):
        return refused(f"{url.raw_host} leads into a private network", url)
    if isinstance(error, TimeoutError) and reason == "truncated":
        return cut(f"{url.raw_host}:{url.port} sends less than {SLOWEST} bytes per second", bare(url))
    ours = translated_with(evolve(network, connector=None), error, f"{url.raw_host}:{url.port}")
    return DownloadError(ours.summary, reason=reason, url=bare(url), verdict=ours.verdict, advice=ours.advice)


def cut(summary: str, url: str | None) -> DownloadError:
    return DownloadError(summary, reason="truncated", url=url, verdict=Verdict.PASSING)
