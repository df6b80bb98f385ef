"""A42: media servers that break off, lie, dawdle or expire: the right file, or a typed error; never a mixed one.

Where the list has a request timeout of 2 s, these have 0.05 s where it is to pass, and 5 s where it is not.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from attrs import evolve

from luma_async import DownloadError, Limits, LumaClient, Role
from luma_async.errors import DownloadReason
from luma_async.testing._media import Medium
from tests.downloads import HASTY, OPEN, Renewals, downloading, names, soon
from tests.faults.media_server import (
    Deed,
    MediaServer,
    blind,
    cut,
    dripping,
    honest,
    medium,
    of_another,
    ranged,
    reset_at,
    says,
    stalled_at,
    whole,
    with_etag,
    with_header,
)
from tests.raw_server import RawServer, http, task

HALF = len(medium("film").content) // 2
REST = f"bytes={HALF}-"


async def fetched(directory: Path, *deeds: Deed, limits: Limits = OPEN) -> list[str | None]:
    """Download the video of a server that does *deeds*; return the ranges that it was asked for."""
    async with MediaServer({"film": deeds}) as media, downloading(limits=limits) as downloader:
        path = await soon(downloader.download(media.made("film"), directory))

    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(medium("film").content).digest()
    assert names(directory) == ["film.video.mp4"]
    return media.ranges("film")


async def refused(directory: Path, *deeds: Deed, limits: Limits = OPEN) -> tuple[DownloadReason, bool]:
    """Return why the download from a server that does *deeds* failed, and whether it is retryable; nothing is left."""
    async with MediaServer({"film": deeds}) as media, downloading(limits=limits) as downloader:
        with pytest.raises(DownloadError) as caught:
            await soon(downloader.download(media.made("film"), directory))

    assert names(directory) == []
    return caught.value.reason, caught.value.retryable


# --- going on ---


WHOLES: dict[str, tuple[Deed, Deed]] = {
    "no ranges": (honest, whole),
    "changed": (of_another(honest), honest),
    "no ETag any more": (honest, with_etag(whole, "")),
    "weak ETag now": (honest, with_etag(whole, 'W/"1"')),
}
LINES: dict[str, tuple[list[Deed], list[str | None]]] = {
    "reset": ([reset_at(0.5), honest], [None, REST]),
    "end": ([cut(0.5), honest], [None, REST]),
    "a 500 between two halves": ([cut(0.5), says(500), honest], [None, REST, REST]),
    "a rest that was refused once": ([cut(0.5), says(416), says(500), honest], [None, REST, None, None]),
    **{
        f"without a strong ETag: {etag}": ([cut(0.5, with_etag(honest, etag)), honest], [None, None])
        for etag in ("", 'W/"1"', "1", '"a"b"', '""')
    },
    **{f"the whole: {name}": ([cut(0.5, first), second], [None, REST]) for name, (first, second) in WHOLES.items()},
}


@pytest.mark.parametrize(("deeds", "ranges"), LINES.values(), ids=LINES)
async def test_a_file_that_breaks_off_is_gone_on_with_or_begun_again(
    tmp_path: Path, deeds: list[Deed], ranges: list[str | None]
) -> None:
    """Only the rest of the same version is asked for, and a server that sends the whole is taken at its word."""
    assert await fetched(tmp_path, *deeds) == ranges


async def test_a_file_that_stalls_is_gone_on_with(tmp_path: Path) -> None:
    """After the request's time, like one that breaks off."""
    limits = evolve(OPEN, request_timeout=0.3)

    assert await fetched(tmp_path, stalled_at(0.5), honest, limits=limits) == [None, REST]


async def test_going_on_asks_for_the_very_version_that_was_begun(tmp_path: Path) -> None:
    """If-Range holds the strong ETag of the first answer."""
    async with MediaServer({"film": [cut(0.5), honest]}) as media, downloading() as downloader:
        await downloader.download(media.made("film"), tmp_path)

    assert [headers.get("If-Range") for _, headers in media.asked] == [None, medium("film").etag]


async def test_a_line_that_breaks_eight_times_brings_the_file_in_the_end(tmp_path: Path) -> None:
    """As long as each try brings a tenth of it, no try is the last."""
    ninths = [cut(1 / (9 - n)) for n in range(8)]

    assert len(await fetched(tmp_path, *ninths, honest)) == 9


async def test_a_line_that_brings_next_to_nothing_is_given_up(tmp_path: Path) -> None:
    """After three tries in a row."""
    async with MediaServer({"film": [cut(0.5), cut(0.01)]}) as media, downloading() as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(media.made("film"), tmp_path)

    assert (caught.value.reason, caught.value.retryable) == ("truncated", True)
    assert len(media.asked) == 4
    assert names(tmp_path) == []


async def test_progress_goes_on_where_it_was(tmp_path: Path) -> None:
    """The callback hears of each byte once."""
    steps: list[tuple[int, int]] = []
    async with MediaServer({"film": [cut(0.5), honest]}) as media, downloading() as downloader:
        await downloader.download(media.made("film"), tmp_path, on_progress=lambda *step: steps.append(step))

    assert steps == sorted(set(steps))
    assert steps[-1] == (2 * HALF, 2 * HALF)


# --- beginning again ---


TOTAL = 2 * HALF
WRONG_RESTS: dict[str, Deed] = {
    "nothing there": says(416, f"Content-Range: bytes */{TOTAL}"),
    "from the beginning": ranged(f"bytes 0-{TOTAL - 1}/{TOTAL}"),
    "a byte early": ranged(f"bytes {HALF - 1}-{TOTAL - 1}/{TOTAL}"),
    "a byte late": ranged(f"bytes {HALF + 1}-{TOTAL - 1}/{TOTAL}"),
    "not to the end": ranged(f"bytes {HALF}-{TOTAL - 2}/{TOTAL}"),
    "of a longer file": ranged(f"bytes {HALF}-{TOTAL - 1}/{TOTAL + 1}"),
    "of no told length": ranged(f"bytes {HALF}-{TOTAL - 1}/*"),
    "in other units": ranged(f"lines {HALF}-{TOTAL - 1}/{TOTAL}"),
    "garbled": ranged("bytes"),
    "no range": ranged(""),
    "two ranges": with_header(honest, "Content-Range: bytes 0-9/10"),
    "shorter than told": lambda found, headers: http(
        206, b"short", f"ETag: {found.etag}", f"Content-Range: {headers['Range'].replace('=', ' ')}{TOTAL - 1}/{TOTAL}"
    ),
    "packed": with_header(honest, "Content-Encoding: gzip"),
    "of unknown version": with_etag(honest, ""),
    "of a weak version": lambda found, headers: with_etag(honest, f"W/{found.etag}")(found, headers),
    "of two versions": with_header(honest, 'ETag: "1"'),
    "of another version": of_another(blind),
}


@pytest.mark.parametrize("rest", WRONG_RESTS.values(), ids=list(WRONG_RESTS))
async def test_a_rest_that_is_not_the_one_asked_for_is_not_read(tmp_path: Path, rest: Deed) -> None:
    """The file is begun again at once, by a request for the whole of it."""
    assert await fetched(tmp_path, cut(0.5), rest, honest) == [None, REST, None]


@pytest.mark.parametrize("rest", WRONG_RESTS.values(), ids=list(WRONG_RESTS))
async def test_a_part_that_nobody_asked_for_is_no_file(tmp_path: Path, rest: Deed) -> None:
    """A server that answers everything so is told of as what it is."""
    reason, _ = await refused(tmp_path, cut(0.5), rest, says(206, f"Content-Range: bytes 0-9/{TOTAL}", body=bytes(10)))

    assert reason == "status"


async def test_a_rest_that_is_too_long_is_thrown_away_with_what_there_was(tmp_path: Path) -> None:
    """In chunks a server can send more than it has told; nothing goes on behind that."""

    def too_long(found: Medium, headers: Mapping[str, str]) -> bytes:
        rest = honest(found, headers).replace(f"Content-Length: {HALF}".encode(), b"Transfer-Encoding: chunked")
        head, _, body = rest.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n%x\r\n%sx\r\n0\r\n\r\n" % (len(body) + 1, body)

    assert await fetched(tmp_path, cut(0.5), too_long, honest) == [None, REST, None]


# --- expired links ---


async def test_a_link_that_expires_on_the_way_is_renewed_and_gone_on_with(tmp_path: Path) -> None:
    """The fresh link has the same version, so only the rest is asked for."""
    deeds = [cut(0.5), says(403), honest]
    async with MediaServer({"film": deeds}) as media, downloading(media.made("film")) as downloader:
        path = await downloader.download(media.made("film"), tmp_path)

    assert path.read_bytes() == medium("film").content
    assert media.ranges("film") == [None, REST, REST]
    assert isinstance(downloader.renew, Renewals)
    assert downloader.renew.asked == ["film"]


async def test_links_are_renewed_as_long_as_each_brings_something(tmp_path: Path) -> None:
    """One that had just been renewed may expire, too."""
    deeds = [says(403), cut(0.3), says(403), cut(0.3), says(410), honest]
    async with MediaServer({"film": deeds}) as media, downloading(*[media.made("film")] * 3) as downloader:
        path = await downloader.download(media.made("film"), tmp_path)

    assert path.read_bytes() == medium("film").content


async def test_links_are_not_renewed_for_ever(tmp_path: Path) -> None:
    """Five times is enough, however much each brings."""
    deeds = [cut(0.2), says(403)] * 9
    async with MediaServer({"film": deeds}) as media, downloading(*[media.made("film")] * 9) as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(media.made("film"), tmp_path)

    assert caught.value.reason == "expired"
    assert isinstance(downloader.renew, Renewals)
    assert len(downloader.renew.asked) == 5
    assert names(tmp_path) == []


# --- too slow ---


@pytest.mark.parametrize("deed", [dripping, stalled_at(0.0), stalled_at(0.5)], ids=["drops", "head alone", "half"])
async def test_a_server_that_is_too_slow_is_given_up(tmp_path: Path, deed: Deed) -> None:
    """Less than 1,024 bytes per second, over ``request_timeout`` seconds of waiting, are as good as none."""
    assert await refused(tmp_path, deed, limits=HASTY) == ("truncated", True)


async def test_a_slow_server_is_told_of_with_the_limit(tmp_path: Path) -> None:
    """And with its name."""
    async with MediaServer({"film": [dripping]}) as media, downloading(limits=HASTY) as downloader:
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1:\d+ sends less than 1024 bytes per second"):
            await downloader.download(media.made("film"), tmp_path)


# --- all the rest of the row, and the others ---


async def test_media_come_from_another_origin_without_the_key(tmp_path: Path) -> None:
    """All three, each under its own name, whatever becomes of one of them."""
    async with MediaServer({"gone.jpg": [says(404)]}) as media:
        links = {"thumbnail": {"url": media.link("still.jpg")}, "last_frame": {"url": media.link("gone.jpg")}}
        answer = task("film", "completed", video={"download_url": media.link("film")}, **links)
        async with RawServer([answer]) as relay, LumaClient(relay.base_url, "sk-test-0123456789", limits=OPEN) as luma:
            found = await luma.wait_until_done("film")
            video, still, gone = await asyncio.gather(
                *(luma.download(found, tmp_path, role=role) for role in get_args(Role)), return_exceptions=True
            )

    assert isinstance(video, Path)
    assert isinstance(still, Path)
    assert isinstance(gone, DownloadError)
    assert [video.read_bytes(), still.read_bytes()] == [medium("film").content, medium("still.jpg").content]
    assert gone.reason == "expired"
    assert names(tmp_path) == ["film.thumbnail.jpg", "film.video.mp4"]
    assert not any("Authorization" in headers for _, headers in media.asked)


TROUBLED: dict[str, tuple[list[Deed], str]] = {
    "expired": ([says(404)], "expired"),
    "twice-500": ([says(500), says(500), honest], ""),
    "reset": ([reset_at(0.5), honest], ""),
    "no-ranges": ([reset_at(0.5), whole], ""),
    "wrong-range": ([reset_at(0.5), ranged("bytes 0-9/10"), honest], ""),
    "nothing-there": ([reset_at(0.5), says(416), honest], ""),
    "too-long": ([cut(0.5)], "truncated"),
    "page": ([says(200, "Content-Type: video/mp4", body=b"<html>Sorry</html>")], "not-media"),
    "silent": ([stalled_at(0.5)], "truncated"),
    "slow": ([dripping], "truncated"),
}


async def test_no_trouble_harms_the_others(tmp_path: Path) -> None:
    """Twenty healthy ones are stored beside all of them, eight connections at a time."""
    healthy = [f"healthy-{n}" for n in range(20)]
    ids = [*TROUBLED, *healthy]
    limits = evolve(OPEN, request_timeout=0.4)
    deeds = {name: deeds for name, (deeds, _) in TROUBLED.items()}
    async with MediaServer(deeds) as media, downloading(media.made("expired"), limits=limits) as downloader:
        results = await asyncio.gather(
            *(downloader.download(media.made(name), tmp_path) for name in ids), return_exceptions=True
        )

    ends = {
        name: result.reason if isinstance(result, DownloadError) else ""
        for name, result in zip(ids, results, strict=True)
    }
    assert ends == {**{name: end for name, (_, end) in TROUBLED.items()}, **dict.fromkeys(healthy, "")}
    assert names(tmp_path) == sorted(f"{name}.video.mp4" for name in ids if not ends[name])
    assert all((tmp_path / f"{name}.video.mp4").read_bytes() == medium(name).content for name in ids if not ends[name])
    assert media.open_most <= 8
