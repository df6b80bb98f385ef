"""Finished media to files: whole or not at all, under names of our own, from addresses that are allowed."""

from __future__ import annotations

import asyncio
import binascii
import inspect
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiohttp
from attrs import Factory, define, evolve, field, frozen
from tenacity import RetryCallState, wait_exponential_jitter
from yarl import URL

from luma_async._checks import medium_or_none
from luma_async._ids import check_task_id
from luma_async._listeners import Listeners
from luma_async._media.addresses import bare, checked_url, host_of
from luma_async._media.boxes import ends_early, is_whole
from luma_async._media.files import Leftovers, Part, existing, stem_of
from luma_async._media.formats import (
    HEAD,
    KINDS,
    LARGEST,
    ending_of,
    has_end,
    not_media,
    total_in,
    trouble_with,
    version_in,
)
from luma_async._media.names import NameTemplate
from luma_async._media.places import GivenUpError, Place, Places
from luma_async._media.servers import MediaServers, Pace, cut
from luma_async._network.backoff import repeated
from luma_async._network.session import Network
from luma_async._text import shown, spelled
from luma_async.errors import (
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    LumaError,
    Verdict,
)
from luma_async.events import DownloadEnded, DownloadProgress
from luma_async.models import Generation, Role
from luma_async.settings import Limits, Settings

Progress = Callable[[int, int], object]
Renew = Callable[[str], Awaitable[Generation]]
T = TypeVar("T")

_TRIES = 3
_WORTH_IT = 2**20
"""Bytes for which a try was not in vain, however large the file."""
_RENEWALS = 5


@frozen(kw_only=True)
class _Order:
    """What one download was asked to do, and what there is of it."""

    task_id: str
    directory: Path
    stem: str
    """The final name without its ending."""
    role: Role
    overwrite: bool
    on_progress: Progress | None
    place: Place = field(factory=Place)
    part: Part = field(init=False, default=Factory(lambda self: Part(self.directory, self.stem), takes_self=True))

    def existing(self) -> Path | None:
        """Return a file that this download would replace, whatever its ending."""
        return existing(self.directory, self.stem)


@define(eq=False)
class _Patience:
    """Gives up after three tries in a row of which none has brought a further tenth of the file, or MiB."""

    part: Part
    _most: int = field(init=False)
    _in_vain: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._most = self.part.kept

    def __call__(self, _: RetryCallState) -> bool:
        """Whether it is over."""
        version, gained = self.part.version, self.part.kept - self._most
        fruitful = version is not None and gained >= min(version.total / 10, _WORTH_IT)
        self._in_vain = 0 if fruitful else self._in_vain + 1
        self._most = max(self._most, self.part.kept)
        return self._in_vain >= _TRIES


@define(eq=False)
class Downloader:
    """Stores media: what breaks off is gone on with, what has expired is renewed."""

    network: Network
    limits: Limits
    renew: Renew
    """Asks for the task again, which gives a fresh link."""
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    """Waits between tries, seconds."""
    largest: int = LARGEST
    """Bytes of a file whose length its server does not tell beforehand."""
    listeners: Listeners = field(factory=Listeners)
    relay: Settings | None = None
    """Whose media are fetched, and what goes along; None if nothing is the relay's own."""
    _servers: MediaServers = field(init=False)
    _places: Places = field(init=False)
    _leftovers: Leftovers = field(factory=Leftovers)

    def __attrs_post_init__(self) -> None:
        self._servers = MediaServers(self.network, self.limits, self.sleep, self.relay)
        half = min(self.network.connections) / 2  # the other half is for polls
        self._places = Places(max(1, int(min(self.limits.max_downloads, half))))

    async def aclose(self) -> None:
        """Close the session; downloads under way end with ClientClosedError."""
        await self._servers.aclose()

    async def ready(self, directory: str | os.PathLike[str]) -> Path:
        """Make *directory*, before anything is paid for that could not be stored there.

        Raises:
            DownloadError: It cannot be made.
            ConfigurationError: It is no path.
        """
        path = _checked_directory(directory)
        await _on_disk(_make, path)
        return path

    async def download(  # noqa: PLR0913 - as of LumaClient
        self,
        generation: Generation,
        directory: str | os.PathLike[str],
        *,
        role: Role = "video",
        name: str | None = None,
        overwrite: bool = False,
        on_progress: Progress | None = None,
    ) -> Path:
        """Store one medium; see ``LumaClient.download``."""
        found = _checked_generation(generation)
        task_id, kind = check_task_id(found.id), _checked_role(role)
        order = _Order(
            task_id=task_id,
            directory=_checked_directory(directory),
            stem=stem_of(task_id, kind) if name is None else NameTemplate.of(name).stem(found, kind),
            role=kind,
            overwrite=_checked_flag(overwrite),
            on_progress=_checked_progress(on_progress),
        )
        host, has_given_up = host_of(found.link(order.role)), False
        while True:
            try:
                async with self._places.taken(host, is_slow=has_given_up) as place:
                    return await self._store(evolve(order, place=place), found)
            except GivenUpError:
                has_given_up = True

    async def _store(self, order: _Order, found: Generation) -> Path:
        try:
            await _on_disk(_prepare, order, self._leftovers)
            path = await self._fetch_through_trouble(order, found.link(order.role))
        except DownloadError as error:
            error.task_id, error.generation = order.task_id, found
            self._tell_end(order, error=error)
            raise
        finally:
            order.part.discard()
        self._tell_end(order, path)
        return path

    def _tell_end(self, order: _Order, path: Path | None = None, error: DownloadError | None = None) -> None:
        if self.listeners.active:
            self.listeners.tell(DownloadEnded(task_id=order.task_id, role=order.role, path=path, error=error))

    def _tell_progress(self, order: _Order, stored: int, total: int) -> None:
        if self.listeners.active:
            self.listeners.tell(DownloadProgress(task_id=order.task_id, role=order.role, stored=stored, total=total))

    async def _fetch_through_trouble(self, order: _Order, link: str | None) -> Path:
        """Fetch *link*; renew it if there is none or it has expired; repeat what may pass.

        A fresh link that is no better is the last one, unless it has brought something before it expired, too.
        """
        renewals = 0
        while True:
            kept = order.part.kept
            try:
                return await repeated(
                    partial(self._fetch, order, link, fresh_at=kept if renewals else None),
                    lambda error: isinstance(error, DownloadError) and error.retryable,
                    stop=_Patience(order.part),
                    wait=wait_exponential_jitter(initial=1, max=10),
                    sleep=self._servers.pause,
                )
            except DownloadError as error:
                hopeless = renewals == _RENEWALS or (renewals and order.part.kept <= kept)
                if error.reason not in ("no-link", "expired") or hopeless:
                    raise
                trouble = error
            renewals += 1
            link = await self._fresh_link(order, trouble)

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

    async def _fetch(self, order: _Order, link: str | None, *, fresh_at: int | None) -> Path:
        """Fetch *link*, which the relay has just given when *fresh_at* bytes were kept; None if it may be old."""
        if link is None:
            raise DownloadError(
                f"the generation has no link for its {order.role}",
                reason="no-link",
                advice="only a completed generation has media; look at it again",
            )
        if _is_data(link, order.role):
            return await _on_disk(_unpack, order, link)
        url = checked_url(link, self._servers.rules)
        async with await self._ask(order.part, url) as response:
            if not _goes_on(order.part, response):
                is_fresh = fresh_at is not None and order.part.kept <= fresh_at
                _check(response, self._servers.refusal(url, response, is_fresh=is_fresh))
                await _on_disk(order.part.begin, version_in(response.headers))
            await self._copy(order, response)
            with order.place.kept():
                return await _on_disk(_finish, order, bare(response.url), has_end(response.headers))

    async def _ask(self, part: Part, url: URL) -> aiohttp.ClientResponse:
        """Ask for the rest of what there is, or for all where there is nothing, or no such rest."""
        wanted = part.version.request(part.kept) if part.version is not None and part.kept else {}
        response = await self._servers.open(url, wanted)
        if wanted and response.status in _NO_REST and not _goes_on(part, response):
            response.close()
            part.drop()
            response = await self._servers.open(url, {})
        return response

    async def _copy(self, order: _Order, response: aiohttp.ClientResponse) -> None:
        """Append what comes, up to its end.

        Raises:
            DownloadError: It ended too early, went on for too long, or came too slowly.
        """
        try:
            await self._append(order, response)
        except DownloadError:
            if order.part.version is not None:
                await _on_disk(order.part.write, _last_of(response.content))
            raise

    async def _append(self, order: _Order, response: aiohttp.ClientResponse) -> None:
        part, total = order.part, _total(order.part, response)
        pace, head = Pace(self.limits.request_timeout), b""
        starts = part.size == 0
        while chunk := await self._servers.chunk(response, pace):
            if starts and len(head) < HEAD:
                head += chunk[:HEAD]
                _check_head(head, order.role, bare(response.url))
            if part.size + len(chunk) > (total or self.largest):
                raise _too_long(part, total, bare(response.url))
            await _on_disk(part.write, chunk)
            order.place.note(part.size, total)
            self._tell_progress(order, part.size, total)
            if order.on_progress is not None:
                order.on_progress(part.size, total)
        if total and part.size != total:
            raise cut(f"{part.size} of {total} bytes came", bare(response.url))


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
    if isinstance(role, str) and role in KINDS:
        return role
    raise _unusable("role", role, "give 'video', 'thumbnail' or 'last_frame'")


def _checked_flag(overwrite: object) -> bool:
    if isinstance(overwrite, bool):
        return overwrite
    raise _unusable("overwrite", overwrite, "give True or False")


def _checked_progress(on_progress: object) -> Progress | None:
    if on_progress is None or (callable(on_progress) and not inspect.iscoroutinefunction(on_progress)):
        return on_progress
    raise _unusable("on_progress", on_progress, "give a plain function of two numbers")


def _unusable(name: str, value: object, advice: str) -> ConfigurationError:
    return ConfigurationError(f"{name}={shown(spelled(value), 40)} cannot work", advice=advice)


# --- what came ---

_NO_REST = frozenset({206, 416})
"""Answers to a request for the rest that bring neither that nor the whole."""


def _goes_on(part: Part, response: aiohttp.ClientResponse) -> bool:
    """Whether *response* brings just the bytes that *part* lacks."""
    version = part.version
    return version is not None and part.kept > 0 and version.goes_on(part.kept, response.status, response.headers)


def _check(response: aiohttp.ClientResponse, refusal: DownloadError | None) -> None:
    """Refuse an answer that does not bring a whole medium, and close it then; *refusal* is known already."""
    trouble = refusal or trouble_with(response.status, response.headers, bare(response.url))
    if trouble is not None:
        response.close()
        raise trouble


def _total(part: Part, response: aiohttp.ClientResponse) -> int:
    """Return the bytes of the whole file; 0 where the server does not tell."""
    return part.version.total if part.version is not None else total_in(response.headers) or 0


def _check_head(head: bytes, role: Role, url: str) -> None:
    """Refuse a page at its start, and not at its end: it may not have one.

    Raises:
        DownloadError: It is not a medium.
    """
    if len(head) >= HEAD and ending_of(head, role) is None:
        raise not_media(head, role, url)


def _last_of(content: aiohttp.StreamReader) -> bytes:
    """Return what came before a connection broke: aiohttp hands out nothing more then, and it may be half the file."""
    content.set_exception(None)  # type: ignore[arg-type]
    return content.read_nowait()


def _too_long(part: Part, total: int, url: str) -> DownloadError:
    part.drop()
    if total:
        return cut(f"more than {total} bytes came", url)
    return DownloadError("the file does not end", reason="too-large", url=url)


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)


def _prepare(order: _Order, leftovers: Leftovers) -> None:
    """Make the directory, take up what a killed run has left, and refuse early what would be refused at the end."""
    _make(order.directory)
    order.part.take_up(leftovers.of(order.directory, order.stem))
    existing = None if order.overwrite else order.existing()
    if existing is not None:
        raise _exists(existing)


def _is_data(link: str, role: Role) -> bool:
    """Whether *link* is a ``data:`` link for a medium *role*."""
    kind: Literal["video", "image"] = "video" if role == "video" else "image"
    return str(link).startswith("data:") and medium_or_none(link, kind) is not None


def _unpack(order: _Order, link: str) -> Path:
    """Store the medium inside a ``data:`` link (RFC 2397); nothing is asked for.

    Raises:
        DownloadError: It is not a medium in strict base64.
    """
    content = b""
    with suppress(ValueError):
        content = binascii.a2b_base64(link.strip().partition(",")[2], strict_mode=True)
    if not content:
        raise DownloadError("the data: link does not hold a file in base64", reason="not-media")
    order.part.begin(None)
    order.part.write(content)
    return _finish(order, None, has_end=True)


def _finish(order: _Order, url: str | None, has_end: bool) -> Path:  # noqa: FBT001 - called in a thread
    """Look at what has come, and give it its name.

    Args:
        order: The download.
        url: Where it came from; None for a ``data:`` link.
        has_end: Whether the server said where the file ends; if not, the file itself must show it.

    Raises:
        DownloadError: It is not a whole medium, or the name is taken.
    """
    part = order.part
    with part.in_use():
        ending = _checked_ending(order, url, has_end=has_end)
        target = order.directory / f"{order.stem}.{ending}"
        if not part.finish(target, overwrite=order.overwrite):
            raise _exists(target)
        return target


def _checked_ending(order: _Order, url: str | None, *, has_end: bool) -> str:
    """Return the ending for what the file is; raise the error of a file that is not a whole medium."""
    part, content = order.part, order.part.content()
    content.seek(0)
    head = content.read(HEAD)
    ending = ending_of(head, order.role)
    if ending is None:
        raise not_media(head, order.role, url)
    if has_end and ends_early(content, part.size):
        part.drop()
        raise cut("the file ends in the middle", url)
    if not has_end and not is_whole(content, part.size):
        raise _endless(url, may_pass=ending in _BOXED)
    return ending


_BOXED = ("mp4", "mov")
"""The formats that show whether they are whole."""


def _endless(url: str | None, *, may_pass: bool) -> DownloadError:
    """Return the error for a file whose end nobody knows; *may_pass* where another try may show it."""
    return DownloadError(
        "the media server does not say where the file ends, and the file does not show it",
        reason="truncated",
        url=url,
        advice="it may have been cut",
        verdict=Verdict.PASSING if may_pass else Verdict.FINAL,
    )


def _exists(path: Path) -> DownloadError:
    advice = "give overwrite=True, or another directory"
    return DownloadError(f"{shown(path)} exists", reason="exists", path=path, advice=advice)


async def _on_disk(step: Callable[..., T], *args: Any) -> T:
    """Run *step* in a thread; the system's errors become ours, outside the handler."""
    try:
        return await asyncio.to_thread(step, *args)
    except (OSError, UnicodeEncodeError) as error:  # the latter for a name that this system cannot spell
        trouble = DownloadError(
            f"the file cannot be stored: {getattr(error, 'strerror', None) or type(error).__name__}",
            reason="disk",
            advice="check the directory, its permissions and the space left",
        )
    raise trouble
