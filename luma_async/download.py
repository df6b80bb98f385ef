"""Finished media to files: whole or not at all, under names of our own, from addresses that are allowed."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, TypeVar, cast

import aiohttp
from attrs import define, field, frozen
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter
from yarl import URL

from luma_async import _wire
from luma_async._text import shown
from luma_async._transport import Network, new_session, translated
from luma_async.errors import (
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    DownloadReason,
    LumaError,
    Verdict,
)
from luma_async.models import Generation, Role
from luma_async.settings import Limits

Progress = Callable[[int, int], object]
Renew = Callable[[str], Awaitable[Generation]]
T = TypeVar("T")

_CONNECTIONS = 8
_TRIES = 3
_MAX_REDIRECTS = 5
_LARGEST = 16 * 2**30
"""Bytes of one medium; the longest generation has some hundred MiB."""
_CHUNK = 2**18
"""Bytes that go to the disk at once."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPIRED = frozenset({401, 403, 404, 410})
"""What CDNs answer to a presigned link after its hour (contract section 1)."""
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "luma-async"}

_ENDINGS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
}
_USUAL_ENDING: dict[Role, str] = {"video": "mp4", "thumbnail": "jpg", "last_frame": "jpg"}
_NO_MEDIA = ("text/", "application/json", "application/xml", "application/problem+json")


@frozen(kw_only=True)
class _Order:
    """What one download was asked to do."""

    task_id: str
    directory: Path
    role: Role
    overwrite: bool
    on_progress: Progress | None

    def target(self, content_type: str) -> Path:
        """Return the final name, made of nothing that a server chose but the kind of medium."""
        kind = content_type.partition(";")[0].strip().lower()
        return self.directory / f"{self.task_id}.{self.role}.{_ENDINGS.get(kind, _USUAL_ENDING[self.role])}"

    def existing(self) -> Path | None:
        """Return a file that this download would replace, whatever its ending."""
        return stored(self.task_id, self.directory, self.role)


def stored(task_id: str, directory: Path, role: Role) -> Path | None:
    """Return the file in *directory* that has the medium *role* of a task, whatever its ending; None without one."""
    names = (directory / f"{task_id}.{role}.{ending}" for ending in _ENDINGS.values())
    return next((name for name in names if os.path.lexists(name)), None)


@define(eq=False)
class Downloader:
    """Stores media through a session of its own, which never knows the key."""

    network: Network
    limits: Limits
    renew: Renew
    """Asks for the task again, which gives a fresh link."""
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    """Waits between tries, seconds."""
    _session: aiohttp.ClientSession | None = None
    _closed: bool = False
    _waits: set[asyncio.Timeout] = field(factory=set[asyncio.Timeout])
    """What closing has to end: aiohttp leaves those alone who read a body while it closes."""
    _places: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_CONNECTIONS))

    async def download(
        self,
        generation: Generation,
        directory: str | os.PathLike[str],
        *,
        role: Role = "video",
        overwrite: bool = False,
        on_progress: Progress | None = None,
    ) -> Path:
        """Store one medium; see ``LumaClient.download``."""
        found = _checked_generation(generation)
        order = _Order(
            task_id=_wire.check_task_id(found.id),
            directory=_checked_directory(directory),
            role=_checked_role(role),
            overwrite=_checked_flag(overwrite),
            on_progress=_checked_progress(on_progress),
        )
        async with self._places:
            try:
                await _on_disk(_prepare, order)
                return await self._fetch_through_trouble(order, found.link(order.role))
            except DownloadError as error:
                error.task_id = order.task_id
                raise

    async def aclose(self) -> None:
        """Close the session; downloads under way end with ClientClosedError."""
        self._closed = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(asyncio.get_running_loop().time())
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _fetch_through_trouble(self, order: _Order, link: str | None) -> Path:
        """Fetch *link*; renew it once if there is none or it has expired; repeat what may pass."""
        try:
            return await self._tries()(self._fetch, order, link)
        except DownloadError as error:
            if error.reason not in ("no-link", "expired"):
                raise
            trouble = error
        return await self._tries()(self._fetch, order, await self._fresh_link(order, trouble))

    def _tries(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, DownloadError) and error.retryable),
            stop=stop_after_attempt(_TRIES),
            wait=wait_exponential_jitter(initial=1, max=10),
            sleep=self._pause,
            reraise=True,
        )

    async def _fresh_link(self, order: _Order, trouble: DownloadError) -> str | None:
        """Ask for the task again.

        Raises:
            DownloadError: *trouble*, where that did not help; it is retryable if asking may help later.
        """
        try:
            return (await self.renew(order.task_id)).link(order.role)
        except ClientClosedError:
            raise
        except LumaError as error:
            trouble.add_note(f"The link could not be renewed: {error}")
            trouble.verdict = Verdict.PASSING if error.retryable else Verdict.FINAL
        raise trouble

    async def _fetch(self, order: _Order, link: str | None) -> Path:
        if link is None:
            raise DownloadError(
                f"the generation has no link for its {order.role}",
                reason="no-link",
                advice="only a completed generation has media; look at it again",
            )
        async with await self._open(_checked_url(link, self.limits)) as response:
            return await self._store(order, response)

    async def _open(self, url: URL) -> aiohttp.ClientResponse:
        """Follow redirects by hand, each checked like the first address; return a good answer."""
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._from_network(self._get(url), url, "status")
            location = response.headers.get("Location") if response.status in _REDIRECTS else None
            if location is None:
                _check_answer(response)
                return response
            response.close()
            url = _checked_url(location, self.limits, base=url)
        raise _error("refused", "the link redirects too often", url)

    async def _get(self, url: URL) -> aiohttp.ClientResponse:
        if self._closed:
            raise _closed()
        self._session = self._session or self._new_session()
        return await self._session.get(url, allow_redirects=False, auto_decompress=False, headers=_HEADERS)

    def _new_session(self) -> aiohttp.ClientSession:
        """Return a session whose every connection is checked at its final address, unless a proxy makes them."""
        guarded = self.network.proxy is None and not self.limits.allow_private_media
        own: dict[str, Any] = {"socket_factory": _guarded_socket} if guarded else {}
        return new_session(self.network, None, _CONNECTIONS, **own)

    async def _store(self, order: _Order, response: aiohttp.ClientResponse) -> Path:
        target = order.target(response.headers.get("Content-Type", ""))
        part = _Part(order.directory / f".{target.name}.{secrets.token_hex(8)}.part")
        try:
            await _on_disk(part.create)
            await self._copy(order, response, part)
            if not await _on_disk(part.finish, target, overwrite=order.overwrite):
                raise _exists(target)
        finally:
            part.discard()
        return target

    async def _copy(self, order: _Order, response: aiohttp.ClientResponse, part: _Part) -> None:
        total = int(response.headers["Content-Length"])
        stored = 0
        while chunk := await self._from_network(response.content.read(_CHUNK), response.url, "truncated"):
            await _on_disk(part.write, chunk)
            stored += len(chunk)
            if order.on_progress is not None:
                order.on_progress(stored, total)
        if stored != total:
            raise _error("truncated", f"{stored} of {total} bytes came", response.url, Verdict.PASSING)

    async def _from_network(self, coming: Awaitable[T], url: URL, reason: DownloadReason) -> T:
        """Await what a server owes, for ``request_timeout`` at most.

        Its errors become ours here alone, outside the handler: the user's callback may raise the same kinds, and no
        aiohttp object is to hang on what we raise.
        """
        try:
            return await self._until_closed(coming, self.limits.request_timeout)
        except (aiohttp.ClientError, OSError) as error:
            trouble = _translated(error, url, reason)
        raise _closed() if self._closed else trouble

    async def _pause(self, seconds: float) -> None:
        try:
            await self._until_closed(self.sleep(seconds), None)
        except TimeoutError:
            raise _closed() from None

    async def _until_closed(self, coming: Awaitable[T], seconds: float | None) -> T:
        """Await *coming*.

        Raises:
            TimeoutError: It took longer than *seconds*, or the downloader was closed.
        """
        async with asyncio.timeout(seconds) as wait:
            self._waits.add(wait)
            try:
                return await coming
            finally:
                self._waits.discard(wait)


# --- what the user gave ---


def _checked_generation(generation: object) -> Generation:
    if isinstance(generation, Generation):
        return generation
    raise _unusable("generation", generation, "give a Generation, as get_generation or wait_until_done returned it")


def _checked_directory(directory: str | os.PathLike[str]) -> Path:
    try:
        path = Path(directory)
        if b"\0" not in os.fsencode(path):
            return path
    except (TypeError, ValueError):
        pass
    raise _unusable("directory", directory, "give a path as str or Path")


def _checked_role(role: object) -> Role:
    if isinstance(role, str) and role in _USUAL_ENDING:
        return role
    raise _unusable("role", role, "give 'video', 'thumbnail' or 'last_frame'")


def _checked_flag(overwrite: object) -> bool:
    if isinstance(overwrite, bool):
        return overwrite
    raise _unusable("overwrite", overwrite, "give True or False")


def _checked_progress(on_progress: object) -> Progress | None:
    if on_progress is None or callable(on_progress):
        return on_progress
    raise _unusable("on_progress", on_progress, "give a function of two numbers")


def _unusable(name: str, value: object, advice: str) -> ConfigurationError:
    return ConfigurationError(f"{name}={shown(repr(value), 40)} cannot work", advice=advice)


# --- what is allowed to be asked for ---

_URL = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
"""RFC 3986; such a link is sent as it is, since signatures may cover its spelling."""
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


def _checked_url(link: object, limits: Limits, *, base: URL | None = None) -> URL:
    """Return what *link* (of a redirect: relative to *base*) leads to, if it may be asked for.

    Raises:
        DownloadError: "refused", before a byte is sent (DESIGN: Safety, Media).
    """
    url = _parsed(link, base)
    if url is None:
        raise _error("refused", "the link is no absolute http(s) URL", base)
    if limits.allow_private_media:
        return url
    if url.scheme != "https":
        raise _refused("the link is not https", url)
    address = _literal(url.raw_host or "")
    if address is not None and not _is_global(address):
        raise _refused("the link leads into a private network", url)
    return url


def _parsed(link: object, base: URL | None) -> URL | None:
    """Return *link* as a URL, or None where it is none that aiohttp could ask for."""
    if not isinstance(link, str) or not link.isprintable():
        return None
    try:
        url = URL(link, encoded=_URL.fullmatch(link) is not None)
        url = base.join(url) if base is not None else url
        host, port = url.raw_host or "", url.port
    except ValueError:
        return None
    fit = url.scheme in ("https", "http") and port and (_literal(host) or _NAME.fullmatch(host))
    return url if fit else None


def _literal(host: str) -> str | None:
    """Return the address that *host* spells, in any form that a resolver takes for one (``0x7f.1``), or None."""
    host = host.rstrip(".")
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    with suppress(OSError, ValueError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return None


_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PROTOCOLS = ipaddress.IPv4Network("192.0.0.0/24")
"""Not for the internet (RFC 6890), which older Pythons do not know; a cloud's metadata are served there."""


def _is_global(address: str) -> bool:
    """Whether anybody on the internet can reach *address*; an IPv4 address inside IPv6 counts as what it is."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _ipv4_inside(ip)
        if inner is None:
            return ip.is_global and ip in _GLOBAL_IPV6
        ip = inner
    return ip.is_global and not ip.is_multicast and ip not in _PROTOCOLS


def _ipv4_inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


class _PrivateAddressError(OSError):
    """A name that resolved to an address which is not global.

    Its text is always the same: where a name has several addresses, aiohttp hands on one of their errors only if all
    have the same text.
    """


def _guarded_socket(address: Any) -> socket.socket:
    """Open a socket for *address* (as getaddrinfo gives it) unless it is a private one."""
    family, kind, protocol, _, where = address
    if not _is_global(where[0]):
        raise _PrivateAddressError("no public address")
    return socket.socket(family, kind, protocol)


# --- what came instead of a medium ---


def _check_answer(response: aiohttp.ClientResponse) -> None:
    """Refuse every answer that is not one whole medium of known length; closes it then."""
    trouble = _trouble_with(response)
    if trouble is not None:
        response.close()
        raise trouble


def _trouble_with(response: aiohttp.ClientResponse) -> DownloadError | None:
    status = response.status
    if status in _EXPIRED:
        return _error("expired", f"the link is no longer valid (HTTP {status})", response.url)
    if status != 200:  # noqa: PLR2004 - the one good status where no range was asked for
        verdict = Verdict.PASSING if status in _PASSING else Verdict.FINAL
        return _error("status", f"the media server answered HTTP {status}", response.url, verdict)
    found = _unfit(response)
    return found and _error(*found, response.url)


def _unfit(response: aiohttp.ClientResponse) -> tuple[DownloadReason, str] | None:
    """Return why a good status brings no medium that can be checked."""
    kind = response.headers.get("Content-Type", "").lower()
    if kind.startswith(_NO_MEDIA):
        return "not-media", f"{shown(kind, 60)} came where a medium belongs"
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return "refused", "the media server packed the file, so its length cannot be checked"
    if response.content_length is None:
        return "truncated", "the media server does not say how long the file is"
    if response.content_length == 0:
        return "not-media", "an empty file came where a medium belongs"
    if response.content_length > _LARGEST:
        return "too-large", f"the file would have {response.content_length} bytes"
    return None


def _translated(error: Exception, url: URL, reason: DownloadReason) -> DownloadError:
    """Return our error for aiohttp's."""
    if isinstance(getattr(error, "os_error", error), _PrivateAddressError):
        return _refused(f"{url.raw_host} leads into a private network", url)
    ours = translated(error, f"{url.raw_host}:{url.port}")
    return _error(reason, ours.summary, url, ours.verdict, ours.advice)


def _error(
    reason: DownloadReason, summary: str, url: URL | None, verdict: Verdict = Verdict.FINAL, advice: str = ""
) -> DownloadError:
    bare = None if url is None else str(url.with_query(None).with_fragment(None).with_user(None))
    return DownloadError(summary, reason=reason, url=bare, verdict=verdict, advice=advice)


def _refused(summary: str, url: URL) -> DownloadError:
    return _error("refused", summary, url, advice="Limits(allow_private_media=True) allows http and private addresses")


def _closed() -> ClientClosedError:
    return ClientClosedError("the client is closed", advice="make a new LumaClient")


# --- the disk ---


async def _on_disk(step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run *step* in a thread; the system's errors become ours, outside the handler."""
    try:
        return await asyncio.to_thread(step, *args, **kwargs)
    except OSError as error:
        trouble = DownloadError(
            f"the file cannot be stored: {error.strerror or type(error).__name__}",
            reason="disk",
            advice="check the directory, its permissions and the space left",
        )
    raise trouble


def _prepare(order: _Order) -> None:
    """Make the directory, and refuse early what would be refused at the end."""
    order.directory.mkdir(parents=True, exist_ok=True)
    existing = None if order.overwrite else order.existing()
    if existing is not None:
        raise _exists(existing)


def _exists(path: Path) -> DownloadError:
    return DownloadError(f"{shown(path)} exists", reason="exists", advice="give overwrite=True, or another directory")


@define(eq=False)
class _Part:
    """A file on its way to its name.

    Its steps run in threads that nobody can cancel, so a step may still be under way when ``discard`` is called, or
    begin after it: nothing comes of it then.
    """

    path: Path
    _file: BinaryIO | None = None
    _discarded: bool = False
    _lock: Lock = field(factory=Lock)
    """Held for the moments in which a name appears or goes."""

    def create(self) -> None:
        """Make the file; a name that somebody has put there, link or not, is refused."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with self._lock:
            if not self._discarded:
                self._file = os.fdopen(os.open(self.path, flags, 0o666), "wb")

    def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        self._opened.write(chunk)

    def finish(self, target: Path, *, overwrite: bool) -> bool:
        """Bring the bytes to the disk, then the name into being, atomically, then the name to the disk.

        Returns:
            Whether the file has its name; False if that was taken, and not to be taken over.
        """
        file = self._opened
        file.flush()
        os.fsync(file.fileno())
        with self._lock:
            if self._discarded:
                return False
            file.close()
            named = _named(self.path, target, overwrite=overwrite)
        sync_directory(target.parent)
        return named

    def discard(self) -> None:
        """Leave nothing behind but what has got its name; a disk in trouble was told of already."""
        with self._lock:
            self._discarded = True
            with suppress(OSError):
                if self._file is not None:
                    self._file.close()
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    @property
    def _opened(self) -> BinaryIO:
        return cast("BinaryIO", self._file)


def _named(part: Path, target: Path, *, overwrite: bool) -> bool:
    """Give *part* its name, atomically; return False if that is taken, and not to be taken over."""
    if not overwrite:
        try:
            os.link(part, target)
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links. What appears between these two steps is lost: whole, and by a hair.
            if os.path.lexists(target):
                return False
        else:
            return True
    part.replace(target)
    return True


def sync_directory(directory: Path) -> None:
    """Bring names to the disk, where the system can do that: the file is whole and in its place already."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
