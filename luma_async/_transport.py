"""One exchange with the relay: key, limits, shared cool-down; aiohttp's errors are translated here and stop here."""

from __future__ import annotations

import asyncio
import html
import math
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from attrs import define, field, frozen
from multidict import CIMultiDict
from yarl import URL

from luma_async._cooldown import Cooldown
from luma_async._deadlines import Deadline, Deadlines
from luma_async._rate import Rate
from luma_async._telling import Herald
from luma_async._text import shown
from luma_async._wire import Answer
from luma_async.errors import (
    APIError,
    ClientClosedError,
    LumaError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
    Verdict,
)
from luma_async.events import CooldownBegan, CooldownEnded
from luma_async.settings import Secret, Settings

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

T = TypeVar("T")


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
class Request:
    """One request, and when it got its slot (seconds on the event loop's clock; None while it waits for one)."""

    method: str
    path: str
    body: bytes | None = None
    admitted_at: float | None = None
    url: URL | None = None
    """Made at the first use: a poll asks the same question again and again."""
    sent: bool = False
    """Whether the relay may have got the body; without it, it cannot have done anything."""
    answered_on: ResponseHandler | None = None
    """The connection that brought the answer, where the connector is the user's: its other connections are not ours."""


_PIECE = 2**16
"""Bytes."""


class _Body(aiohttp.Payload):
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


@define(eq=False, repr=False)
class _Pool:
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


_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "luma-async"}
"""With the key, the three that the contract requires (section 1); and who we are."""
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHORTEST_PLAIN_KEY = 8
"""A shorter key may be an ordinary word or number: it is blanked out as a whole word, and in refusals alone."""
_REFUSALS = 400


@define(eq=False, repr=False)
class Transport:
    """Sends requests to one relay with one key. Belongs to one event loop."""

    settings: Settings
    network: Network
    cooldown: Cooldown
    herald: Herald = field(factory=Herald)
    note: Callable[[Request, Answer], None] | None = None
    """Called with each answer; for a log."""
    requests: int = 0
    """Made so far; each redirect that is followed is one more."""
    _pool: _Pool | None = None
    _slots: asyncio.Semaphore = field(init=False)
    _headers: CIMultiDict[str] = field(init=False)
    _spellings: tuple[bytes, ...] = field(init=False)
    """What to blank out in answers; empty where the key is short."""
    _in_texts: re.Pattern[str] = field(init=False)
    """The same, in any case."""
    _deadlines: Deadlines = field(factory=Deadlines)
    """What closing has to end, too: aiohttp leaves those alone who read a body while it closes."""
    _rate: Rate | None = field(init=False)
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(int(min(self.settings.limits.max_concurrency, *self.network.connections)))
        rate = self.settings.limits.requests_per_second
        self._rate = None if rate is None else Rate(rate)
        key = self.settings.api_key
        spellings = _spellings(key)
        either = "|".join(re.escape(told.decode()) for told in spellings)
        self._spellings = spellings if len(key) >= _SHORTEST_PLAIN_KEY else ()
        self._in_texts = re.compile(either if self._spellings else rf"(?<![\w-])(?:{either})(?![\w-])", re.IGNORECASE)
        self._headers = CIMultiDict(_HEADERS, Authorization=Secret(f"Bearer {self.settings.api_key}"))

    async def exchange(self, request: Request, read: Callable[[Answer], T], *, deadline: float = math.inf) -> T:
        """Send *request*, let *read* make sense of the answer, and take note of what its errors mean for all ids.

        Waiting for the cool-down, the rate limit and a free slot does not count as the request's time.

        Args:
            request: What to ask.
            read: Turns the answer into a value, or raises a LumaError.
            deadline: The event loop's time at which to give up, if that comes before ``request_timeout``.

        Raises:
            LumaError: Whatever *read* raises; TransportError, ProtocolError or ClientClosedError if no answer came.
        """
        probing = await self._admitted()
        welcome = False
        try:
            answer = await self._answer(request, deadline)
            if self.note is not None:
                self.note(request, answer)
            result = read(answer)
            welcome = True
        except LumaError as error:
            welcome = error.verdict is not Verdict.SLOW_DOWN
            await self._take_note(request, error, probing=probing)
            raise error.with_traceback(None)  # noqa: B904 - the frames below hold what the relay said, maybe the key
        finally:
            self._slots.release()
            if probing:
                self._probe_ended(welcome=welcome)
        return result

    async def aclose(self) -> None:
        """Close every connection of our own; requests under way end with ClientClosedError."""
        self._closed = True
        self._deadlines.expire_all()
        await self._retire()

    async def _admitted(self) -> bool:
        """Wait for leave to send, for a slot and for a turn; return whether this is the cool-down's probe."""
        while True:
            probing = not self.cooldown.is_open and await self.cooldown.passage()
            try:
                await self._slot_and_turn()
            except asyncio.CancelledError:
                if probing:
                    self.cooldown.probe_ended(welcome=False)
                raise
            if probing or self.cooldown.is_open:
                return probing
            self._slots.release()
            if self._rate is not None:
                self._rate.give_back()

    async def _slot_and_turn(self) -> None:
        """Take a slot first, so that nobody who has a turn lets it pass while he waits for one."""
        await self._slots.acquire()
        if self._rate is not None:
            try:
                await self._rate.turn()
            except asyncio.CancelledError:
                self._slots.release()
                raise

    async def _next_turn(self, limit: Deadline, deadline: float) -> None:
        """Wait for one more turn, which does not count as the request's time either, but for its *deadline*."""
        if self._rate is not None:
            clock = asyncio.get_running_loop()
            left = limit.at - clock.time()
            limit.move(deadline)
            await self._rate.turn()
            limit.move(min(clock.time() + left, deadline))

    async def _take_note(self, request: Request, error: LumaError, *, probing: bool) -> None:
        if error.verdict is Verdict.SLOW_DOWN:
            hint = error.retry_after if isinstance(error, APIError) else None
            pause = self.cooldown.slow_down(hint, probing=probing)
            if pause is not None and self.herald.listeners:
                self.herald.tell(CooldownBegan(seconds=pause, error=error))
        if isinstance(error, ProtocolError) and error.foreign:
            if request.answered_on is not None:
                request.answered_on.close()
            await self._retire()

    def _probe_ended(self, *, welcome: bool) -> None:
        lasted = self.cooldown.probe_ended(welcome=welcome)
        if lasted is not None and self.herald.listeners:
            self.herald.tell(CooldownEnded(seconds=lasted))

    async def _retire(self) -> None:
        """Give up all pooled connections: new requests open new ones, those under way finish on the old."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.retire()
            if self._closed:
                await pool.session.close()
            await pool.close_if_idle()

    async def _answer(self, request: Request, deadline: float) -> Answer:
        """Return the whole answer, with every foreign error translated.

        The translation is raised outside the handler, so that no aiohttp object, which would hold the key, hangs on it.
        """
        if self._closed:
            raise _closed()
        request.admitted_at = asyncio.get_running_loop().time()
        expires = request.admitted_at + self.settings.limits.request_timeout
        pool = self._pool = self._pool or self._new_pool()
        pool.under_way += 1
        try:
            with self._deadlines.limit(min(expires, deadline)) as limit:
                return await self._follow(pool.session, request, partial(self._next_turn, limit, deadline))
        except (aiohttp.ClientError, OSError) as error:
            trouble = translated(error, self._host())
        finally:
            pool.under_way -= 1
            if pool.retired:
                await pool.close_if_idle()
        raise self._really(trouble)

    def _really(self, trouble: LumaError) -> LumaError:
        """Whatever a request ends with while the client closes, the closing is why."""
        return _closed() if self._closed else trouble

    def _host(self) -> str:
        url = URL(self.settings.base_url)
        return f"{url.host_subcomponent}:{url.port}"

    def _new_pool(self) -> _Pool:
        return _Pool(new_session(self.network, self.network.connector, self.settings.limits.max_concurrency))

    async def _follow(
        self, session: aiohttp.ClientSession, request: Request, turn: Callable[[], Awaitable[None]]
    ) -> Answer:
        """Send *request*, following redirects within the same origin only: the key must not go anywhere else.

        Each of them is one more request, and waits for its *turn*.
        """
        start = url = request.url = request.url or URL(self.settings.base_url + request.path, encoded=True)
        for hop in range(_MAX_REDIRECTS + 1):
            if hop:
                await turn()
            body = None if request.body is None else _Body(request, request.body)
            self.requests += 1
            response = await session.request(
                request.method, url, data=body, headers=self._headers, allow_redirects=False
            )
            if self.network.connector is not None:
                request.answered_on = response._protocol  # noqa: SLF001 - a whole answer has given its connection back
            try:
                location = response.headers.get("Location") if response.status in _REDIRECTS else None
                if location is None:
                    return await self._read(response)
            finally:
                response.release()
            url = _redirected(url, location)
            if not _same_origin(url, start) or (request.method == "POST" and response.status < 307):  # noqa: PLR2004
                raise _refused_redirect(f"to {self._discreet(url.raw_host) or 'another scheme'}")
        raise _refused_redirect("too often")

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        content, limit = response.content, self.settings.limits.max_answer_bytes
        body = content.read_nowait() if content.is_eof() else await content.readany()
        while not content.at_eof() and len(body) <= limit:
            body += await content.readany()
        if len(body) > limit:
            raise ProtocolError(f"the relay's answer is larger than {limit} bytes", verdict=Verdict.PASSING)
        return Answer(
            status=response.status,
            body=self._without_key(body, response.status),
            content_type=response.headers.get("Content-Type", ""),
            retry_after=response.headers.get("Retry-After"),
            request_id=self._discreet(response.headers.get("X-Oneapi-Request-Id")),
        )

    def _without_key(self, said: bytes, status: int) -> bytes:
        """Some relays repeat the key in their complaint; it must not get into an error or a log."""
        if not self._spellings and status >= _REFUSALS:
            return self._in_texts.sub("[key]", said.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        for spelling in self._spellings:
            if spelling in said:
                said = said.replace(spelling, b"[key]")
        return said

    def _discreet(self, text: str | None) -> str | None:
        """Do the same for a header's text; a host's name comes in small letters."""
        return self._in_texts.sub("[key]", text) if text else text


def _spellings(key: str) -> tuple[bytes, ...]:
    """Return the ways in which relays write *key*: as it is, in JSON like PHP or like Go, and on a web page."""
    plain = key.replace("\\", r"\\").replace('"', r"\"")
    for_html = plain.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    spellings = (key, plain, plain.replace("/", r"\/"), for_html, html.escape(key))
    return tuple({spelling.encode(): None for spelling in spellings})


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


def _redirected(url: URL, location: str) -> URL:
    target = None
    with suppress(ValueError):
        target = url.join(URL(location))
    if target is None:
        raise _refused_redirect("to no URL at all")
    return target


def _same_origin(url: URL, start: URL) -> bool:
    """Whether the key may go there too; a user name in *url* would be another key."""
    is_same = (url.scheme, url.raw_host, url.port) == (start.scheme, start.raw_host, start.port)
    return is_same and "@" not in url.raw_authority


def _refused_redirect(where: str) -> ProtocolError:
    return ProtocolError(
        f"the relay redirects {shown(where, 100)}: refused, the key stays with its origin",
        advice="check base_url: this address may be no relay with Luma",
    )


def _closed() -> ClientClosedError:
    return ClientClosedError("the client is closed", advice="make a new LumaClient")


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
