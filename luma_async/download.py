"""Finished media to files: whole or not at all, under names of our own, from addresses that are allowed."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
from attrs import define, field, frozen
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter
from yarl import URL

from luma_async import _wire
from luma_async._text import shown
from luma_async._transport import Network, new_session, translated
from luma_async.errors import ConfigurationError, DownloadError, DownloadReason, LumaError, Verdict
from luma_async.models import Generation, Role
from luma_async.settings import Limits

Progress = Callable[[int, int], None]
Renew = Callable[[str], Awaitable[Generation]]

_CONNECTIONS = 8
_TRIES = 3
_MAX_REDIRECTS = 5
_LARGEST = 16 * 2**30
"""Bytes of one medium; the longest generation has some hundred MiB."""
_CHUNK = 2**18
"""Bytes that go to the disk at once."""
_EXPIRED = frozenset({401, 403, 404, 410})
"""What CDNs answer to a presigned link after its hour (contract section 1)."""
_PASSING = frozenset({408, 425, 429})
"""What may pass, as all 5xx may."""

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
        names = (self.directory / f"{self.task_id}.{self.role}.{ending}" for ending in _ENDINGS.values())
        return next((name for name in names if os.path.lexists(name)), None)


@define(eq=False)
class Downloader:
    """Stores media through a session of its own, which never knows the key."""

    network: Network
    limits: Limits
    renew: Renew
    """Asks for the task again, which gives a fresh link."""
    _session: aiohttp.ClientSession | None = None
    _places: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_CONNECTIONS))

    async def download(
        self, generation: Generation, directory: Path, *, role: Role, overwrite: bool, on_progress: Progress | None
    ) -> Path:
        """Store one medium; see ``LumaClient.download``."""
        order = _Order(
            task_id=_wire.check_task_id(generation.id),
            directory=directory,
            role=_checked_role(role),
            overwrite=overwrite,
            on_progress=on_progress,
        )
        async with self._places:
            await asyncio.to_thread(_prepare, order)
            return await self._fetch_through_trouble(order, generation.link(order.role))

    async def aclose(self) -> None:
        """Close the session; downloads under way end with DownloadError."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _fetch_through_trouble(self, order: _Order, link: str | None) -> Path:
        """Fetch *link*; renew it once if there is none or it has expired; repeat what may pass."""
        attempt = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, DownloadError) and error.retryable),
            stop=stop_after_attempt(_TRIES),
            wait=wait_exponential_jitter(initial=1, max=10),
            reraise=True,
        )
        try:
            return await attempt(self._fetch, order, link)
        except DownloadError as error:
            if error.reason not in ("no-link", "expired"):
                raise
            trouble = error
        return await attempt.copy()(self._fetch, order, await self._fresh_link(order, trouble))

    async def _fresh_link(self, order: _Order, trouble: DownloadError) -> str | None:
        try:
            return (await self.renew(order.task_id)).link(order.role)
        except LumaError as error:
            trouble.add_note(f"The link could not be renewed: {error}")
        raise trouble

    async def _fetch(self, order: _Order, link: str | None) -> Path:
        if link is None:
            raise DownloadError(
                f"the generation has no link for its {order.role}",
                reason="no-link",
                task_id=order.task_id,
                advice="only a completed generation has media; look at it again",
            )
        url = _checked_url(link, order.task_id, self.limits)
        try:
            async with await self._open(url, order) as response:
                return await self._store(order, response)
        except (aiohttp.ClientError, OSError) as error:
            trouble = _translated(error, url, order.task_id)
        raise trouble

    async def _open(self, url: URL, order: _Order) -> aiohttp.ClientResponse:
        """Follow redirects by hand, each checked like the first address; return a good answer."""
        self._session = self._session or self._new_session()
        for _ in range(_MAX_REDIRECTS + 1):
            async with asyncio.timeout(self.limits.request_timeout):
                response = await self._session.get(
                    url, allow_redirects=False, headers={"Accept-Encoding": "identity", "User-Agent": "luma-async"}
                )
            location = response.headers.get("Location") if response.status // 100 == 3 else None  # noqa: PLR2004
            if location is None:
                _check_answer(response, url, order.task_id)
                return response
            response.release()
            url = _checked_url(str(url.join(URL(location))), order.task_id, self.limits)
        raise _error(url, order.task_id, "refused", "the link redirects too often")

    def _new_session(self) -> aiohttp.ClientSession:
        """Return a session whose every connection is checked at its final address, unless a proxy makes them."""
        guarded = self.network.proxy is None and not self.limits.allow_private_media
        own: dict[str, Any] = {"socket_factory": _guarded_socket} if guarded else {}
        return new_session(self.network, None, _CONNECTIONS, **own)

    async def _store(self, order: _Order, response: aiohttp.ClientResponse) -> Path:
        target = order.target(response.headers.get("Content-Type", ""))
        part = order.directory / f".{target.name}.{secrets.token_hex(8)}.part"
        file = await asyncio.to_thread(_create, part)
        try:
            await self._copy(order, response, file)
            await asyncio.to_thread(_finish, file, part, target, overwrite=order.overwrite)
        except FileExistsError:
            raise _exists(order, target) from None
        finally:
            _tidy(file, part)
        return target

    async def _copy(self, order: _Order, response: aiohttp.ClientResponse, file: BinaryIO) -> None:
        total = int(response.headers["Content-Length"])
        stored = 0
        while True:
            async with asyncio.timeout(self.limits.request_timeout):
                chunk = await response.content.read(_CHUNK)
            if not chunk:
                break
            await asyncio.to_thread(file.write, chunk)
            stored += len(chunk)
            if order.on_progress is not None:
                order.on_progress(stored, total)
        if stored != total:
            raise _error(response.url, order.task_id, "truncated", f"{stored} of {total} bytes came")


def _checked_role(role: Role) -> Role:
    if role in _USUAL_ENDING:
        return role
    raise ConfigurationError(
        f"role={shown(repr(role), 40)} is not known", advice="give 'video', 'thumbnail' or 'last_frame'"
    )


def _prepare(order: _Order) -> None:
    """Make the directory, and refuse early what would be refused at the end."""
    try:
        order.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _disk(error, order.task_id) from None
    existing = None if order.overwrite else order.existing()
    if existing is not None:
        raise _exists(order, existing)


def _create(part: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, flags, 0o666), "wb")


def _finish(file: BinaryIO, part: Path, target: Path, *, overwrite: bool) -> None:
    """Bring the bytes to the disk, then the name into being, atomically, then the name to the disk.

    Raises:
        FileExistsError: *target* appeared meanwhile and is not to be overwritten.
    """
    file.flush()
    os.fsync(file.fileno())
    file.close()
    if overwrite:
        part.replace(target)
    else:
        _name_exclusively(part, target)
    _sync_directory(target.parent)


_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def _name_exclusively(part: Path, target: Path) -> None:
    """Give *part* its name unless that is taken; where there are no hard links, reserve the name first."""
    try:
        os.link(part, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        part.replace(target)


def _sync_directory(directory: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _tidy(file: BinaryIO, part: Path) -> None:
    """Leave nothing behind; a full disk, which was told already, can make closing fail too."""
    with suppress(OSError):
        file.close()
    part.unlink(missing_ok=True)


def _checked_url(link: str, task_id: str, limits: Limits) -> URL:
    """Refuse, before a byte is sent, what is no link to a public server (DESIGN: Safety, Media)."""
    try:
        url = URL(link)
    except ValueError:
        raise _refused(None, task_id, "the link is no URL") from None
    if not url.host or url.scheme not in ("https", "http"):
        raise _refused(url, task_id, "the link is no absolute http(s) URL")
    if limits.allow_private_media:
        return url
    if url.scheme != "https":
        raise _refused(url, task_id, "the link is not https")
    if _is_literal(url.host) and not is_global(url.host):
        raise _refused(url, task_id, "the link leads into a private network")
    return url


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_global(address: str) -> bool:
    """Whether *address* is one that anybody on the internet can reach; IPv4 inside IPv6 counts as what it is."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast


class _PrivateAddressError(OSError):
    """A name that resolved to an address which is not global."""


def _guarded_socket(address: Any) -> socket.socket:
    """Open a socket for *address* (as getaddrinfo gives it) unless it is a private one."""
    family, kind, protocol, _, where = address
    if not is_global(where[0]):
        raise _PrivateAddressError(f"{where[0]} is no public address")
    return socket.socket(family, kind, protocol)


def _check_answer(response: aiohttp.ClientResponse, url: URL, task_id: str) -> None:
    """Refuse every answer that is not one whole medium of known length; closes it then."""
    trouble = _trouble_with(response, url, task_id)
    if trouble is not None:
        response.close()
        raise trouble


def _trouble_with(response: aiohttp.ClientResponse, url: URL, task_id: str) -> DownloadError | None:
    if response.status in _EXPIRED:
        return _error(url, task_id, "expired", f"the link is no longer valid (HTTP {response.status})")
    if response.status != 200:  # noqa: PLR2004
        told = _error(url, task_id, "status", f"the media server answered HTTP {response.status}")
        told.verdict = Verdict.PASSING if response.status in _PASSING or response.status // 100 == 5 else Verdict.FINAL  # noqa: PLR2004
        return told
    found = _unfit(response)
    return found and _error(url, task_id, *found)


def _unfit(response: aiohttp.ClientResponse) -> tuple[DownloadReason, str] | None:
    """Return why a good status brings no medium that can be checked."""
    kind = response.headers.get("Content-Type", "").lower()
    if kind.startswith(_NO_MEDIA):
        return "not-media", f"{shown(kind, 60)} came where a medium belongs"
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return "refused", "the media server packed the file, so its length cannot be checked"
    if response.content_length is None:
        return "truncated", "the media server does not say how long the file is"
    if response.content_length > _LARGEST:
        return "too-large", f"the file would have {response.content_length} bytes"
    return None


def _translated(error: Exception, url: URL, task_id: str) -> DownloadError:
    """Return our error for aiohttp's or the disk's."""
    if _has_private_address(error):
        return _refused(url, task_id, f"{url.host} leads into a private network")
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError | TimeoutError):
        return _disk(error, task_id)
    ours = translated(error, f"{url.host}:{url.port}")
    cut = isinstance(error, aiohttp.ClientPayloadError | TimeoutError)
    told = _error(url, task_id, "truncated" if cut else "status", ours.summary)
    told.verdict = ours.verdict
    return told


def _has_private_address(error: Exception) -> bool:
    return isinstance(getattr(error, "os_error", error), _PrivateAddressError)


def _error(url: URL, task_id: str, reason: DownloadReason, summary: str) -> DownloadError:
    bare = str(url.with_query(None).with_fragment(None).with_user(None))
    return DownloadError(summary, reason=reason, url=bare, task_id=task_id)


def _refused(url: URL | None, task_id: str, summary: str) -> DownloadError:
    told = _error(url or URL(), task_id, "refused", summary)
    told.advice = "Limits(allow_private_media=True) allows http and private addresses"
    return told


def _exists(order: _Order, path: Path) -> DownloadError:
    return DownloadError(
        f"{path} exists", reason="exists", task_id=order.task_id, advice="give overwrite=True, or another directory"
    )


def _disk(error: OSError, task_id: str) -> DownloadError:
    return DownloadError(
        f"the file cannot be stored: {error.strerror or type(error).__name__}",
        reason="disk",
        task_id=task_id,
        advice="check the directory, its permissions and the space left",
    )
