"""Sends one request with the key: follows redirects, limits the answer, and translates the errors of aiohttp."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp
from attrs import define, field
from multidict import CIMultiDict
from yarl import URL

from luma_async._network.credentials import request_headers
from luma_async._network.proxies import refused
from luma_async._network.redaction import Redaction
from luma_async._network.redirects import REDIRECTED_POST, follow, location_in, same_origin
from luma_async._network.request import Body, Request
from luma_async._network.session import (
    LIMITS_OF_HEADS,
    LONGEST_FIELD,
    MOST_FIELDS,
    Network,
    Pool,
    closed,
    connector_closed,
    new_session,
    place_of,
    translated_with,
)
from luma_async._relay.answer import Answer, request_id_in
from luma_async._text import shown
from luma_async.errors import LumaError, ProtocolError, Verdict
from luma_async.settings import Secret, Settings

Turn = Callable[[], Awaitable[None]]
_PROXY_AUTHENTICATION = 407
"""Only a proxy answers so (RFC 9110 section 15.5.8), and it has not passed the request on."""


@define(eq=False, repr=False)
class Wire:
    """The connections to one relay. Belongs to one event loop."""

    settings: Settings
    network: Network
    redaction: Redaction = field(init=False)
    _headers: Secret[CIMultiDict[str]] = field(init=False)
    """Those of each request; aiohttp copies them."""
    requests: int = 0
    """Requests so far; each redirect counts as one more."""
    _pool: Pool | None = None
    _has_worked: bool = False
    """Whether an answer has come."""
    is_closed: bool = False
    """If set, requests under way raise ClientClosedError."""

    def __attrs_post_init__(self) -> None:
        settings = self.settings
        self.redaction = Redaction(settings.api_key)
        self._headers = Secret(request_headers(settings))
        self.network = self.network.towards(URL(self.settings.base_url), trust_env=self.settings.trust_env)

    @property
    def place(self) -> str:
        """Host and port of the relay, and the proxy in between."""
        return place_of(self.network, URL(self.settings.base_url))

    async def send(self, request: Request, turn: Turn) -> Answer:
        """Return the whole answer, and translate the errors of aiohttp; *turn* is awaited before each redirect.

        The translated error is raised outside the handler: an aiohttp error in its context would hold the key.

        Raises:
            LumaError: No answer came.
        """
        pool = self._pool = self._pool or self._new_pool()
        pool.under_way += 1
        try:
            url = request.url = request.url or URL(self.settings.base_url + request.path, encoded=True)
            response = await self._sent(pool.session, request, url)
            if location_in(response) is not None:
                response = await self._redirected(pool.session, request, response, turn)
            if self.network.connector is not None:
                request.answered_on = response._protocol  # noqa: SLF001 - after a whole answer, the connection is gone
            try:
                return await self._read(request, response)
            finally:
                response.release()
        except (aiohttp.ClientError, OSError) as error:
            trouble = self.translated(error)
        finally:
            pool.under_way -= 1
            if pool.retired:
                await pool.close_if_idle()
        raise trouble

    def translated(self, error: Exception) -> LumaError:
        """Return our error for an error of aiohttp or the system; after ``aclose`` it is ClientClosedError."""
        if self.is_closed:
            return closed()
        return translated_with(self.network, error, URL(self.settings.base_url), has_worked=self._has_worked)

    async def distrust(self, request: Request) -> None:
        """Close the connection that brought an answer about another task, and use new connections from now on."""
        if request.answered_on is not None:
            request.answered_on.close()
        await self._retire()

    async def aclose(self) -> None:
        """Close all connections except those of the user's connector."""
        self.is_closed = True
        await self._retire()

    async def _retire(self) -> None:
        """Retire all pooled connections: new requests open new ones, requests under way finish on the old ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.retire()
            if self.is_closed:
                await pool.session.close()
            await pool.close_if_idle()

    def _new_pool(self) -> Pool:
        return Pool(new_session(self.network, self.network.connector, self.settings.limits.max_concurrency))

    def _sent(self, session: aiohttp.ClientSession, request: Request, url: URL) -> Awaitable[aiohttp.ClientResponse]:
        if session.closed:  # its connector is the user's; aiohttp would raise a RuntimeError
            raise connector_closed()
        body = None if request.body is None else Body(request, request.body)
        self.requests += 1
        return session.request(
            request.method, url, headers=self._headers.reveal(), data=body, allow_redirects=False, **LIMITS_OF_HEADS
        )

    async def _redirected(
        self, session: aiohttp.ClientSession, request: Request, response: aiohttp.ClientResponse, turn: Turn
    ) -> aiohttp.ClientResponse:
        """Follow redirects within the same origin only: the key must not go anywhere else.

        Each redirect is one more request, and waits for its *turn*.
        """
        start = response.url

        def sent(url: URL) -> Awaitable[aiohttp.ClientResponse]:
            return self._sent(session, request, url)

        async def redirected(url: URL, location: str, status: int) -> URL:
            target = _joined(url, location)
            if request.method == "POST" and status < 307 and same_origin(target, start):  # noqa: PLR2004 - HTTP
                raise _moved_post(self.redaction.header(target.raw_path) or "/", request.path)
            if not same_origin(target, start):
                raise _refused_redirect(f"to {self.redaction.header(target.raw_host) or 'another scheme'}")
            await turn()
            return target

        end = await follow(start, response, sent, redirected)
        if end is None:
            raise _refused("too often: refused after 5 times")
        return end

    async def _read(self, request: Request, response: aiohttp.ClientResponse) -> Answer:
        if response.status == _PROXY_AUTHENTICATION and self.network.proxy is not None:
            request.sent = False
            raise refused(self.network.proxy, response.status, has_worked=self._has_worked)
        if request.method == "GET" or request.asks_for_many:  # what a submit was answered is read in any case
            self._check_head(response)
        content, limit = response.content, self.settings.limits.max_answer_bytes
        body, whole = b"", False
        try:
            body = content.read_nowait() if content.is_eof() else await content.readany()
            while not content.at_eof() and len(body) <= limit:
                body += await content.readany()
            whole = len(body) <= limit
        finally:
            if not whole and request.method == "POST":
                body += content._read_nowait(-1)  # noqa: SLF001 - the only way after a broken connection
                request.partial_answer = self.redaction.cut_body(body[:limit], response.status)
        if not whole:
            summary = f"the relay's answer is larger than {limit} bytes"
            advice = "Limits(max_answer_bytes=...) allows more: media inside answers are large"
            raise ProtocolError(summary, too_large=True, advice=advice, verdict=Verdict.PASSING)
        self._has_worked = True
        return Answer(
            status=response.status,
            body=self.redaction.body(body, response.status),
            content_type=response.headers.get("Content-Type", ""),
            retry_after=response.headers.get("Retry-After"),
            date=response.headers.get("Date"),
            is_challenge="cf-mitigated" in response.headers,
            request_id=self.redaction.header(request_id_in(response.headers)),
        )

    def _check_head(self, response: aiohttp.ClientResponse) -> None:
        """Refuse an answer with more or longer headers than aiohttp accepts by default.

        Raises:
            ProtocolError: It names the header and its size, or their number, and the limit.
        """
        fields = response.raw_headers
        if len(fields) > MOST_FIELDS:
            summary = f"the relay's answer has {len(fields)} headers, and the limit is {MOST_FIELDS}"
            raise ProtocolError(summary, verdict=Verdict.PASSING)
        for name, value in fields:
            if len(value) > LONGEST_FIELD:
                known = shown(self.redaction.header(name.decode("latin-1")), 80)
                summary = (
                    f"the header {known} of the relay's answer has {len(value)} bytes, and the limit is {LONGEST_FIELD}"
                )
                raise ProtocolError(summary, verdict=Verdict.PASSING)


def _joined(url: URL, location: str) -> URL:
    target = None
    with suppress(ValueError):
        target = url.join(URL(location))
    if target is None:
        raise _refused_redirect("to something that is not a URL")
    return target


def _refused_redirect(where: str) -> ProtocolError:
    return _refused(f"{shown(where, 100)}: refused, because the key goes to base_url only")


def _refused(how: str) -> ProtocolError:
    return ProtocolError(
        f"the relay redirects {how}", advice="check base_url: this address may not be a relay with Luma"
    )


def _moved_post(target: str, path: str) -> ProtocolError:
    """Return the error for a redirect to another path of the same relay, with which a POST would become a GET."""
    before = target.removesuffix(path)
    if before == target:
        needed = f"may begin with the path {shown(target, 100)}"
    else:
        needed = f"needs the path {shown(before, 100)}" if before else "needs no path"
    return ProtocolError(
        f"{REDIRECTED_POST} to {shown(target, 100)}: not followed, because that would make it a GET",
        advice=f"if the relay is there, base_url (LUMA_BASE_URL) {needed}",
    )
