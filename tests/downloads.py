"""Generations with links, and downloaders whose clock and relay a test holds in its hands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Never, TypeVar

import pytest
from attrs import define, evolve, field

from luma_async import DownloadError, Generation, Image, Limits, LumaError, State, Video
from luma_async._media.download import Downloader
from luma_async._network.session import Network
from luma_async.models import Link
from tests.raw_server import RawServer, Reply, http

T = TypeVar("T")

ID = "9d4b7516-77e5-481a-b015-48313946f33b"
NAME = f"{ID}.video.mp4"
OPEN = Limits(request_timeout=5.0, allow_private_media=True)
HASTY = evolve(OPEN, request_timeout=0.05)


def box(kind: bytes, content: bytes) -> bytes:
    """Return a box of an MP4 (ISO/IEC 14496-12 section 4.2)."""
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def mp4(content: bytes) -> bytes:
    """Return what passes for a video by its structure."""
    return box(b"ftyp", b"isom\0\0\2\0isomiso2") + box(b"mdat", content)


BODY = mp4(bytes(range(256)) * 3)
PATIENT = evolve(OPEN, request_timeout=3600.0)
MP4 = "Content-Type: video/mp4"
GOOD = http(200, BODY, MP4)
HALF = http(200, BODY[: len(BODY) // 2], MP4, length=len(BODY))


def generation(link: str | None, task_id: str = ID) -> Generation:
    """Return a completed generation whose media all are at *link*."""
    image = Image(url=Link(link)) if link else None
    video = Video(download_url=Link(link)) if link else None
    return Generation(
        id=task_id, state=State.COMPLETED, state_text="completed", video=video, thumbnail=image, last_frame=image
    )


def with_link(link: Any) -> Generation:
    """Return a generation whose link is made by hand, of anything."""
    return evolve(generation(None), result_url=link, video=Video(download_url=link))


async def soon(coming: Awaitable[T]) -> T:
    """Await what comes in a moment; what never comes is a failure and not a test that hangs."""
    return await asyncio.wait_for(coming, 20)


def names(directory: Path) -> list[str]:
    """Return what is in *directory*, hidden files too."""
    return sorted(path.name for path in directory.iterdir())


@define(eq=False)
class Renewals:
    """What asking for the task again gives, one after the other."""

    answers: list[Generation | LumaError]
    asked: list[str] = field(factory=list)

    async def __call__(self, task_id: str) -> Generation:
        """Ask."""
        self.asked.append(task_id)
        answer = self.answers.pop(0)
        if isinstance(answer, LumaError):
            raise answer
        return answer


@define(eq=False)
class Naps:
    """Notes how long it was told to wait, and does not."""

    taken: list[float] = field(factory=list)

    async def __call__(self, seconds: float) -> None:
        """Wait."""
        self.taken.append(seconds)


@asynccontextmanager
async def downloading(
    *renewed: Generation | LumaError, limits: Limits = OPEN, network: Network | None = None, **more: Any
) -> AsyncIterator[Downloader]:
    """Give a downloader that gets *renewed* when it asks again and does not sleep between tries; close it."""
    made = Downloader(network or Network(), limits, **{"renew": Renewals(list(renewed)), "sleep": Naps(), **more})
    try:
        yield made
    finally:
        await made.aclose()


async def stored(replies: Sequence[Reply], directory: Path, **options: Any) -> Path:
    """Download the video from a server with *replies*."""
    async with RawServer(replies) as server, downloading() as downloader:
        return await downloader.download(generation(f"{server.base_url}/v.mp4"), directory, **options)


@define
class Failure:
    """What a download that failed came to."""

    error: DownloadError
    requests: int
    pauses: int

    @property
    def told(self) -> tuple[str, bool, int]:
        """The reason, whether it is retryable, and the requests made."""
        return self.error.reason, self.error.retryable, self.requests


async def failure(replies: Sequence[Reply], directory: Path, *, limits: Limits = OPEN, **options: Any) -> Failure:
    """Return how the download from a server with *replies* failed, having left nothing."""
    before = names(directory)
    async with RawServer(replies) as server, downloading(limits=limits) as downloader:
        with pytest.raises(DownloadError) as caught:
            await soon(downloader.download(generation(f"{server.base_url}/v.mp4"), directory, **options))

    assert names(directory) == before
    assert isinstance(downloader.sleep, Naps)
    return Failure(caught.value, len(server.heads), len(downloader.sleep.taken))


def refusing(code: int) -> Callable[..., Never]:
    """Return a system call that always fails with *code*."""

    def call(*_: object) -> Never:
        raise OSError(code, os.strerror(code))

    return call


def put_directory(path: Path) -> None:
    """Put a directory there."""
    path.mkdir()
