"""One exchange with the relay: key, limits, shared cool-down; aiohttp's errors are translated here and stop here."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from attrs import define, field
from multidict import CIMultiDict
from yarl import URL

from luma_async._listeners import Listeners
from luma_async._network.cooldown import Cooldown
from luma_async._network.deadlines import Deadline, Deadlines
from luma_async._network.rate import Rate
from luma_async._relay.answer import Answer
from luma_async._relay.health import Health
from luma_async._text import shown
from luma_async.errors import (
    APIError,
    ClientClosedError,
    LumaError,
    ProtocolError,
    Verdict,
)
from luma_async.events import CooldownEnded, CooldownStarted
from luma_async.settings import Secret, Settings

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
from luma_async._network.redaction import _REFUSALS, _SHORTEST_PLAIN_KEY, _spellings
from luma_async._network.session import Network, _Pool, new_session, translated

T = TypeVar("T")


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


_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "luma-async"}
"""With the key, the three that the contract requires (section 1); and who we are."""
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHORTEST_CUT_KEY = 4
"""Less of a key tells nothing."""


@define(eq=False, repr=False)
class Transport:
    """Sends requests to one relay with one key. Belongs to one event loop."""

    settings: Settings
    network: Network
    cooldown: Cooldown
    listeners: Listeners = field(factory=Listeners)
    health: Health = field(factory=Health)
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
            self.health.answered(request.path, asyncio.get_running_loop().time())
        except LumaError as error:
            welcome = not self._slows_down(request, error, probing=probing)
            await self._mistrust(request, error)
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

    def _slows_down(self, request: Request, error: LumaError, *, probing: bool) -> bool:
        """Shut the cool-down where *error* asks everybody to slow down; return whether it does."""
        now = asyncio.get_running_loop().time()
        if not self.health.weigh(error, request.path, now, together=request.asks_for_many):
            return False
        hint = error.retry_after if isinstance(error, APIError) else None
        pause = self.cooldown.slow_down(hint, probing=probing)
        if pause is not None and self.listeners.active:
            self.listeners.tell(CooldownStarted(seconds=pause, error=error))
        return True

    async def _mistrust(self, request: Request, error: LumaError) -> None:
        """Give up the connection that brought an answer about another task, and open new ones."""
        if isinstance(error, ProtocolError) and error.foreign:
            if request.answered_on is not None:
                request.answered_on.close()
            await self._retire()

    def _probe_ended(self, *, welcome: bool) -> None:
        lasted = self.cooldown.probe_ended(welcome=welcome)
        if lasted is not None and self.listeners.active:
            self.listeners.tell(CooldownEnded(seconds=lasted))

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
                    return await self._read(request, response)
            finally:
                response.release()
            url = _redirected(url, location)
            if not _same_origin(url, start) or (request.method == "POST" and response.status < 307):  # noqa: PLR2004
                raise _refused_redirect(f"to {self._discreet(url.raw_host) or 'another scheme'}")
        raise _refused_redirect("too often")

    async def _read(self, request: Request, response: aiohttp.ClientResponse) -> Answer:
        content, limit = response.content, self.settings.limits.max_answer_bytes
        body, whole = b"", False
        try:
            body = content.read_nowait() if content.is_eof() else await content.readany()
            while not content.at_eof() and len(body) <= limit:
                body += await content.readany()
            whole = len(body) <= limit
        finally:
            if not whole and request.method == "POST":
                body += content._read_nowait(-1)  # noqa: SLF001 - no other way leads to it once the connection broke
                request.heard = self._without_cut_key(self._without_key(body[:limit], response.status))
        if not whole:
            raise ProtocolError(f"the relay's answer is larger than {limit} bytes", verdict=Verdict.PASSING)
        return Answer(
            status=response.status,
            body=self._without_key(body, response.status),
            content_type=response.headers.get("Content-Type", ""),
            retry_after=response.headers.get("Retry-After"),
            date=response.headers.get("Date"),
            is_challenge="cf-mitigated" in response.headers,
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

    def _without_cut_key(self, said: bytes) -> bytes:
        """Blank out the beginning of the key at the end of an answer that was cut."""
        key = self.settings.api_key.encode()
        lengths = (length for length in range(len(key), _SHORTEST_CUT_KEY - 1, -1) if said.endswith(key[:length]))
        cut = next(lengths, 0)
        return said[:-cut] + b"[key]" if cut else said

    def _discreet(self, text: str | None) -> str | None:
        """Do the same for a header's text; a host's name comes in small letters."""
        return self.discreet(text) if text else text

    def discreet(self, text: str) -> str:
        """Return *text* with the key blanked out in any case, a short one as a whole word."""
        return self._in_texts.sub("[key]", text)


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
