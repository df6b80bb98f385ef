"""Downloads: whole under their name or not at all, whatever servers, disks, callers and cancellations do."""

from __future__ import annotations

import asyncio
import errno
import pickle
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_args

import aiohttp
import pytest
from attrs import define, evolve
from multidict import CIMultiDict
from yarl import URL

import luma_async
from luma_async import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    LumaClient,
    LumaError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    Role,
    ServerError,
    TransportError,
)
from luma_async._media.download import Downloader, _Order
from luma_async.errors import Verdict
from luma_async.testing import Fault, Script, SimulatedRelay
from luma_async.testing._media import Medium
from tests.downloads import (
    BODY,
    GOOD,
    HALF,
    HASTY,
    ID,
    MP4,
    NAME,
    OPEN,
    PATIENT,
    Naps,
    Renewals,
    box,
    downloading,
    failure,
    generation,
    mp4,
    names,
    put_directory,
    soon,
    stored,
)
from tests.raw_server import Act, RawServer, Reply, closing, hang_up, http, reset, stay_silent, then

P = ParamSpec("P")
T = TypeVar("T")


@asynccontextmanager
async def relayed(**options: Any) -> AsyncIterator[tuple[SimulatedRelay, LumaClient]]:
    """Give a relay whose tasks are done at once, and a client of it."""
    async with (
        SimulatedRelay(script=Script.of("completed"), **options) as relay,
        LumaClient(relay.base_url, relay.api_key, limits=OPEN) as luma,
    ):
        yield relay, luma


def kinds(relay: SimulatedRelay) -> list[str]:
    """Return what the relay was asked for, in order."""
    return [request.kind for request in relay.requests]


# --- what is stored, and where ---


@pytest.mark.parametrize(
    ("role", "file", "name"),
    [
        ("video", "video.mp4", "{}.video.mp4"),
        ("thumbnail", "thumbnail.jpg", "{}.thumbnail.jpg"),
        ("last_frame", "last_frame.jpg", "{}.last_frame.jpg"),
    ],
)
async def test_each_role_is_stored_whole_under_task_id_and_role(
    tmp_path: Path, role: Role, file: str, name: str
) -> None:
    """The bytes are the relay's, the name is ours, and nothing else is in the directory."""
    async with relayed() as (relay, luma):
        task_id = relay.add()

        path = await luma.download(await luma.get_generation(task_id), tmp_path, role=role)

    medium = Medium.of(task_id, file)
    assert medium is not None
    assert path == tmp_path / name.format(task_id)
    assert path.read_bytes() == medium.content
    assert names(tmp_path) == [path.name]


def test_every_role_has_its_test() -> None:
    """A role that is added has to be added above, too."""
    assert set(get_args(Role)) == {"video", "thumbnail", "last_frame"}


@pytest.mark.parametrize(
    ("role", "content", "ending"),
    [
        ("video", BODY, "mp4"),
        ("video", box(b"ftyp", b"qt  \0\0\2\0") + box(b"mdat", b"x"), "mov"),
        ("video", b"\x1aE\xdf\xa3" + bytes(20), "webm"),
        ("thumbnail", b"\xff\xd8\xff\xe0" + bytes(20), "jpg"),
        ("last_frame", b"\x89PNG\r\n\x1a\n" + bytes(20), "png"),
        ("thumbnail", b"RIFF\x14\0\0\0WEBP" + bytes(12), "webp"),
    ],
)
@pytest.mark.parametrize("content_type", ["image/gif", "../../evil", None])
async def test_server_chooses_nothing_of_the_name(
    tmp_path: Path, role: Role, content: bytes, ending: str, content_type: str | None
) -> None:
    """Path, Content-Disposition and Content-Type are not heeded: the ending tells what the file is."""
    disposition = 'Content-Disposition: attachment; filename="/../evil.sh"'
    kind = [] if content_type is None else [f"Content-Type: {content_type}"]

    path = await stored([http(200, content, disposition, *kind)], tmp_path, role=role)

    assert path == tmp_path / f"{ID}.{role}.{ending}"
    assert path.read_bytes() == content


async def test_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    """A path as text that does not exist yet is fine."""
    async with RawServer([GOOD]) as server, downloading() as downloader:
        path = await downloader.download(generation(server.base_url), str(tmp_path / "new" / "videos"))

    assert path == tmp_path / "new" / "videos" / NAME
    assert path.read_bytes() == BODY


async def test_many_small_pieces_make_one_file(tmp_path: Path) -> None:
    """A server that sends one byte at a time delivers the same file, and the callback sees each and the total."""
    body = mp4(bytes(8))
    steps: list[tuple[int, int]] = []
    arrived = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(200, b"", MP4, length=len(body)))
        for byte in body:
            arrived.clear()
            writer.write(bytes([byte]))
            await soon(arrived.wait())

    def note(*step: int) -> None:
        steps.append((step[0], step[1]))
        arrived.set()

    path = await stored([drip], tmp_path, on_progress=note)

    assert path.read_bytes() == body
    assert steps == [(n, 40) for n in range(1, 41)]


async def test_two_tasks_at_once_get_each_its_own(tmp_path: Path) -> None:
    """Files of different tasks are never mixed up."""
    async with relayed() as (relay, luma):
        ids = [relay.add(f"task-{n}") for n in range(20)]
        found = [await luma.get_generation(task_id) for task_id in ids]

        paths = await asyncio.gather(*(luma.download(one, tmp_path) for one in found))

    media = [Medium.of(task_id, "video.mp4") for task_id in ids]
    assert [path.name for path in paths] == [f"{task_id}.video.mp4" for task_id in ids]
    assert [path.read_bytes() for path in paths] == [medium and medium.content for medium in media]
    assert len(names(tmp_path)) == 20


async def test_the_same_task_twice_at_once_is_stored_once(tmp_path: Path) -> None:
    """One of the two gets the name, the other is told that it exists, and the file is whole."""
    arrived = asyncio.Barrier(2)

    async def together(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.wait()
        writer.write(GOOD)

    async with RawServer([together]) as server, downloading() as downloader:
        one = generation(server.base_url)
        results = await asyncio.gather(*(downloader.download(one, tmp_path) for _ in range(2)), return_exceptions=True)

    errors = [result for result in results if isinstance(result, DownloadError)]
    assert [error.reason for error in errors] == ["exists"]
    assert tmp_path / NAME in results
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == BODY


@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_no_more_are_fetched_at_once_than_the_limit_says(tmp_path: Path, limit: int) -> None:
    """The others wait for their turn."""
    all_of_them = asyncio.Barrier(limit)

    async def wait_for_all(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await soon(all_of_them.wait())
        writer.write(GOOD)

    limits = evolve(OPEN, max_downloads=limit)
    async with RawServer([wait_for_all]) as server, downloading(limits=limits) as downloader:
        many = [generation(server.base_url, f"task-{n}") for n in range(24)]
        paths = await soon(asyncio.gather(*(downloader.download(one, tmp_path) for one in many)))

    assert len(set(paths)) == 24
    assert server.open_most == limit


# --- what goes out ---


async def test_relays_media_are_asked_for_without_the_key(tmp_path: Path) -> None:
    """The look has the key; the request for the file, at the same origin even, has none."""
    async with relayed() as (relay, luma):
        await luma.download(await luma.get_generation(relay.add()), tmp_path)

    assert [(request.kind, request.had_key) for request in relay.requests] == [("look", True), ("media", False)]


async def test_request_tells_nothing_but_what_http_needs(tmp_path: Path) -> None:
    """No key, cookie, referer or range; the file is wanted as it is."""
    async with RawServer([GOOD]) as server, downloading() as downloader:
        await downloader.download(generation(server.base_url), tmp_path)
        host = f"Host: 127.0.0.1:{server.port}"

    lines = server.heads[0].decode().split("\r\n")
    assert lines[0] == "GET / HTTP/1.1"
    assert sorted(line for line in lines[1:] if line) == [
        "Accept-Encoding: identity",
        "Accept: */*",
        host,
        f"User-Agent: luma-async/{luma_async.__version__}",
    ]


PRESIGNED = "/a%2Fb/%7Ec?X-Amz-Credential=A%2F2026&s=a%2Bb%3d&t=x+y"


@pytest.mark.parametrize(
    ("spelled", "sent"),
    [
        (PRESIGNED, PRESIGNED),
        ("/v.mp4#t=1", "/v.mp4"),
        ("/a clip.mp4?q=日", "/a%20clip.mp4?q=%E6%97%A5"),
        ("/50%.mp4", "/50%25.mp4"),
        ("/猫.mp4?S=ab%2Fcd~ef%2Bgh__&K=K2", "/%E7%8C%AB.mp4?S=ab%2Fcd~ef%2Bgh__&K=K2"),
        ("/a/../%7eb//c/.?x=%zz&y=a|b&z=[1]", "/a/../%7eb//c/.?x=%25zz&y=a%7Cb&z=[1]"),
        ("?response-content-disposition=attachment%3Bfilename%3Dé&Signature=a~b%2Bc%2Fd__", None),
    ],
)
async def test_a_good_link_is_sent_as_it_is_spelled(tmp_path: Path, spelled: str, sent: str | None) -> None:
    """Signatures may cover the spelling; only what HTTP cannot carry is encoded."""
    async with RawServer([GOOD]) as server, downloading() as downloader:
        await downloader.download(generation(server.base_url + spelled), tmp_path)

    expected = sent or f"/{spelled.replace('é', '%C3%A9')}"
    assert server.heads[0].split(b"\r\n")[0] == f"GET {expected} HTTP/1.1".encode()


# --- trouble that passes, and links that expire ---


async def test_500_twice_and_then_good_is_invisible(tmp_path: Path) -> None:
    """The file is stored at the third try, after two pauses of which the second is longer."""
    async with relayed() as (relay, luma), downloading(renew=luma.get_generation) as downloader:
        relay.trouble(Fault.http(500), times=2, on="media")

        path = await downloader.download(await luma.get_generation(relay.add("task-1")), tmp_path)

    medium = Medium.of("task-1", "video.mp4")
    assert medium is not None
    assert path.read_bytes() == medium.content
    assert kinds(relay) == ["look", "media", "media", "media"]
    assert isinstance(downloader.sleep, Naps)
    first, second = downloader.sleep.taken
    assert 1 <= first <= second <= 10


@pytest.mark.parametrize("broken", [hang_up, reset, closing(HALF), closing(b"HTTP/1.1 2"), http(200, BODY, length=-1)])
async def test_an_answer_that_breaks_off_is_asked_for_again(tmp_path: Path, broken: Reply) -> None:
    """The good answer after it is stored, with nothing of the first."""
    path = await stored([broken, GOOD], tmp_path)

    assert path.read_bytes() == BODY
    assert names(tmp_path) == [NAME]


FILM = Medium.of(ID, "video.mp4").content  # type: ignore[union-attr]


def endless(content: bytes, version: str = "1.1", *headers: str) -> bytes:
    """Return an answer that does not say where it ends."""
    return "\r\n".join([f"HTTP/{version} 200 OK", MP4, *headers, "", ""]).encode() + content


async def reset_halfway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send half a file, and reset the connection when it has been read."""
    writer.write(HALF)
    await writer.drain()
    await asyncio.sleep(0.01)
    await reset(reader, writer)


async def stall_halfway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send half a file, and no more."""
    writer.write(HALF)
    await writer.drain()
    await stay_silent(reader, writer)


FAILURES: dict[tuple[str, bool, int], dict[str, Reply]] = {
    ("status", True, 3): {
        **{f"{status}": http(status) for status in (408, 425, 429, 500, 501, 502, 503, 504, 505, 520, 529, 599)},
        "more bytes than its length, all at once": http(200, BODY, MP4, length=100),
        "another protocol": closing(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        "two lengths": closing(http(200, BODY, "Content-Length: 5")),
        "length and chunks": closing(http(200, b"3\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=3)),
        "a header of 9 KB": closing(http(200, BODY, f"X-Long: {'x' * 9000}")),
    },
    ("status", False, 1): {
        **{f"{status}": http(status, BODY, MP4) for status in (201, 206, 300, 302, 307, 400, 402, 405, 416, 451, 600)},
        **{f"{status}": http(status, b"", MP4) for status in (204, 304)},
        **{f"{status} with a Location": http(status, b"", "Location: /there") for status in (300, 304, 305, 306)},
    },
    ("truncated", True, 3): {
        "half a file": closing(HALF),
        "half a file of HTTP/1.0": closing(HALF.replace(b"1.1", b"1.0", 1)),
        "half a file and a reset": reset_halfway,
        "a video whose last box is cut": closing(http(200, BODY[:500], MP4)),
        "no length, and no box that ends the file": closing(endless(BODY)),
        "no length, and a box that is cut": closing(endless(FILM[:-1])),
    },
    # Nothing could tell a connection that was cut from the file's end.
    ("truncated", False, 1): {"a format that does not show its end": closing(endless(b"\x1aE\xdf\xa3" + bytes(100)))},
    ("not-media", False, 1): {
        "an empty file": http(200, b"", MP4),
        "an empty file of no length": closing(endless(b"")),
    },
    ("too-large", False, 1): {"more than 16 GiB": closing(http(200, BODY, MP4, length=16 * 2**30 + 1))},
    # Whether or not aiohttp could unpack it: its length is that of the packed bytes.
    ("refused", False, 1): {
        **{
            encoding: http(200, BODY, MP4, f"Content-Encoding: {encoding}")
            for encoding in ("gzip", "br", "zstd", "GZIP", "identity, gzip", "compress")
        },
        **{
            link: http(302, b"", f"Location: {link}")
            for link in (
                *("file:///etc/passwd", "data:video/mp4,x", "ftp://cdn.example/v.mp4", "http://[bad"),
                *("http://x:99999/", "https://", "http://a..b/"),
            )
        },
    },
    ("refused", False, 6): {"endless redirects": http(302, b"", "Location: /v.mp4")},
}


@pytest.mark.parametrize(
    ("told", "reply"),
    [pytest.param(told, reply, id=name) for told, all_of in FAILURES.items() for name, reply in all_of.items()],
)
async def test_what_is_no_whole_file_fails_with_its_reason(
    tmp_path: Path, told: tuple[str, bool, int], reply: Reply
) -> None:
    """Passing trouble is retryable after three requests, other trouble is final after one, and no file is left."""
    assert (await failure([reply], tmp_path)).told == told


@pytest.mark.parametrize(("reply", "reason"), [(stall_halfway, "truncated"), (stay_silent, "status")])
async def test_a_silent_server_is_given_up(tmp_path: Path, reply: Reply, reason: str) -> None:
    """Silence for longer than ``request_timeout``, from the start or in the middle, ends each try."""
    failed = await failure([reply], tmp_path, limits=HASTY)

    assert (failed.error.reason, failed.error.retryable, failed.pauses) == (reason, True, 2)


@define
class FewBytes:
    """An answer as aiohttp would give it if it did not compare lengths itself."""

    content: asyncio.StreamReader
    headers: CIMultiDict[str]
    url: URL


@pytest.mark.parametrize("told", [1, 11])
async def test_lengths_are_compared_here_too(tmp_path: Path, told: int) -> None:
    """Should aiohttp ever let a wrong length pass, the file would still not be stored."""
    content = asyncio.StreamReader()
    content.feed_data(bytes(10))
    content.feed_eof()
    response: Any = FewBytes(content, CIMultiDict({"Content-Length": str(told)}), URL("https://cdn.example/v.mp4"))
    order = _Order(task_id=ID, directory=tmp_path, stem="a", role="video", overwrite=False, on_progress=None)
    order.part.begin(None)

    async with downloading() as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader._copy(order, response)
    order.part.discard()

    assert (caught.value.reason, caught.value.retryable) == ("truncated", True)


async def test_a_connection_that_nobody_takes_is_told_as_passing(tmp_path: Path) -> None:
    """The message names host and port."""
    async with RawServer([GOOD]) as server:
        where = f"127.0.0.1:{server.port}"

    async with downloading() as downloader:
        with pytest.raises(DownloadError, match=where) as caught:
            await downloader.download(generation(f"http://{where}/v.mp4"), tmp_path)

    assert (caught.value.reason, caught.value.retryable) == ("status", True)


@pytest.mark.parametrize("role", get_args(Role))
async def test_an_expired_link_is_renewed_by_asking_for_the_task_again(tmp_path: Path, role: Role) -> None:
    """One look gives the fresh link, and one more request the file."""
    now = [0.0]
    async with relayed(clock=lambda: now[0], link_ttl=60.0) as (relay, luma):
        found = await luma.get_generation(relay.add("task-1"))
        now[0] = 61.0

        path = await luma.download(found, tmp_path, role=role)

    medium = Medium.of("task-1", f"{role}.mp4" if role == "video" else f"{role}.jpg")
    assert medium is not None
    assert path.read_bytes() == medium.content
    assert names(tmp_path) == [path.name]
    assert kinds(relay) == ["look", "media", "look", "media"]
    assert [request.status for request in relay.requests] == [200, 403, 200, 200]


@pytest.mark.parametrize(("status", "reason"), [(401, "status"), (403, "status"), (404, "expired"), (410, "expired")])
async def test_a_link_that_stays_refused_is_renewed_once(tmp_path: Path, status: int, reason: str) -> None:
    """When the fresh link is no better, that is final; a refusal of a fresh link is not an expired link."""
    async with RawServer([http(status)]) as server:
        found = generation(server.base_url)
        async with downloading(found, found, found) as downloader:
            with pytest.raises(DownloadError) as caught:
                await downloader.download(found, tmp_path)

    assert (caught.value.reason, caught.value.retryable) == (reason, False)
    assert ("media_headers=" in str(caught.value)) is (reason == "status")
    assert isinstance(downloader.renew, Renewals)
    assert (len(server.heads), downloader.renew.asked) == (2, [ID])
    assert names(tmp_path) == []


async def test_trouble_behind_a_fresh_link_is_repeated_like_any_other(tmp_path: Path) -> None:
    """Renewing does not use up the tries."""
    async with RawServer([http(502), http(403), http(502), http(502), GOOD]) as server:
        found = generation(server.base_url)
        async with downloading(found) as downloader:
            path = await downloader.download(found, tmp_path)

    assert path.read_bytes() == BODY


async def test_a_missing_link_is_asked_for_once(tmp_path: Path) -> None:
    """``completed`` can come before any link does."""
    async with relayed() as (relay, luma):
        path = await luma.download(generation(None, relay.add("task-1")), tmp_path)

    assert names(tmp_path) == [path.name]
    assert kinds(relay) == ["look", "media"]


async def test_no_link_at_all_is_told(tmp_path: Path) -> None:
    """Where asking again brings none, no medium is asked for."""
    async with relayed() as (relay, luma):
        relay.add("task-1", script=Script.of("processing"))

        with pytest.raises(DownloadError, match="no link for its thumbnail") as caught:
            await luma.download(generation(None, "task-1"), tmp_path, role="thumbnail")

    assert (caught.value.reason, caught.value.url, caught.value.task_id) == ("no-link", None, "task-1")
    assert kinds(relay) == ["look"]


RENEWAL_TROUBLE = [
    AuthenticationError("wrong key", status=401),
    NotFoundError("no such task", status=400),
    RateLimitError("slowly", status=429, verdict=Verdict.SLOW_DOWN),
    ServerError("oh", status=502, verdict=Verdict.PASSING),
    TransportError("cut", verdict=Verdict.PASSING),
    RequestTimeoutError("late", verdict=Verdict.PASSING),
    ProtocolError("garbled"),
    ConfigurationError("no"),
]


@pytest.mark.parametrize("link_status", [403, None])
@pytest.mark.parametrize("trouble", RENEWAL_TROUBLE, ids=lambda error: type(error).__name__)
async def test_a_renewal_that_fails_is_a_download_error_with_a_note(
    tmp_path: Path, trouble: LumaError, link_status: int | None
) -> None:
    """It tells of the link and of the renewal, and is retryable if the renewal is."""
    async with RawServer([http(403)]) as server, downloading(trouble) as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(generation(server.base_url if link_status else None), tmp_path)

    assert caught.value.reason == ("expired" if link_status else "no-link")
    assert caught.value.retryable is trouble.retryable
    assert caught.value.__notes__ == [f"The link could not be renewed: {trouble}"]
    assert names(tmp_path) == []


async def test_a_relay_that_refuses_the_renewal_does_not_show_as_its_own_error(tmp_path: Path) -> None:
    """A 401 to the look comes out of ``LumaClient.download`` as DownloadError."""
    async with relayed() as (relay, luma):
        found = await luma.get_generation(relay.add())
        relay.trouble(Fault.http(403), times=None, on="media")
        relay.trouble(Fault.http(401, {"error": {"message": "no"}}), times=None, on="look")

        with pytest.raises(DownloadError) as caught:
            await luma.download(found, tmp_path)

    assert caught.value.reason == "expired"
    assert kinds(relay) == ["look", "media", "look"]


# --- answers that are no media ---


PAGES = {
    "a page": b"\xef\xbb\xbf\r\n <!DOCTYPE html><html>",
    "JSON": b'{"error": {"message": "no"}}',
    "something else": b"%PDF-1.7 and more bytes",
}


@pytest.mark.parametrize("told", PAGES)
async def test_a_page_with_status_200_is_no_medium(tmp_path: Path, told: str) -> None:
    """The message says what came, by its bytes; the next lines of the page are not waited for."""
    page = then(http(200, PAGES[told], MP4, length=10**9), stay_silent)

    failed = await failure([page], tmp_path)

    assert failed.told == ("not-media", False, 1)
    assert told in str(failed.error)


LABELLED: dict[str, Reply] = {
    "aws-chunked": http(200, FILM, MP4, "Content-Encoding: aws-chunked"),
    "a character set": http(200, FILM, "Content-Encoding: UTF-8", "Content-Type: text/html"),
    "not packed": http(200, FILM, "Content-Encoding: identity"),
    "a text": http(200, FILM, "Content-Type: text/plain; charset=ISO-8859-1"),
    "a 206 of all": http(206, FILM, MP4, f"Content-Range: bytes 0-{len(FILM) - 1}/{len(FILM)}"),
    "no length": closing(endless(FILM, "1.1", "Connection: close")),
    "HTTP/1.0": closing(endless(FILM, "1.0")),
    "not in chunks": closing(endless(FILM, "1.1", "Transfer-Encoding: identity")),
}


@pytest.mark.parametrize("reply", LABELLED.values(), ids=list(LABELLED))
async def test_a_whole_file_is_taken_whatever_its_server_calls_it(tmp_path: Path, reply: Reply) -> None:
    """The bytes show what it is and that it is whole, so one request is enough."""
    async with RawServer([reply]) as server, downloading() as downloader:
        path = await downloader.download(generation(server.base_url), tmp_path)

    assert path.read_bytes() == FILM
    assert len(server.heads) == 1


async def test_a_bad_answer_is_not_kept_waiting_for_its_end(tmp_path: Path) -> None:
    """Its connection is given up at once, however much is still to come."""
    given_up = asyncio.Event()

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(400, b"no, because", length=10**9))
        await stay_silent(reader, writer)
        given_up.set()

    async with RawServer([go_on]) as server, downloading() as downloader:
        with pytest.raises(DownloadError) as caught:
            await soon(downloader.download(generation(server.base_url), tmp_path))
        await soon(given_up.wait())

    assert caught.value.reason == "status"


def chunked(content: bytes, *headers: str, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return an answer in chunks of 100 bytes, whose length is not told beforehand."""
    pieces = [content[at : at + 100] for at in range(0, len(content), 100)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return "\r\n".join(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, "", ""]).encode() + body + end


async def test_a_file_in_chunks_is_taken_for_its_last_chunk_ends_it(tmp_path: Path) -> None:
    """The callback is told that the whole is not known."""
    totals = set()

    path = await stored([chunked(BODY, MP4)], tmp_path, on_progress=lambda *step: totals.add(step[1]))

    assert path.read_bytes() == BODY
    assert totals == {0}


@pytest.mark.parametrize("end", [b"", b"0\r\n", b"64\r\nabc", b"x\r\n"])
async def test_a_file_in_chunks_without_the_last_one_is_none(tmp_path: Path, end: bytes) -> None:
    """Wherever it was cut; each time it is begun afresh."""
    failed = await failure([closing(chunked(BODY, MP4, 'ETag: "1"', end=end))], tmp_path)

    assert failed.told[1:] == (True, 3)
    assert failed.error.reason in {"truncated", "status"}


async def test_a_file_in_chunks_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    """At 16 GiB; here, at 1,000 bytes."""
    async with RawServer([chunked(BODY * 2)]) as server, downloading(largest=1000) as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(generation(server.base_url), tmp_path)

    assert (caught.value.reason, caught.value.retryable, len(server.heads)) == ("too-large", False, 1)
    assert names(tmp_path) == []


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate,chunked", "gzip"])
async def test_a_file_packed_on_its_way_is_refused(tmp_path: Path, coding: str) -> None:
    """Transfer codings pack like content codings."""
    reply = closing(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n".encode())

    assert (await failure([reply], tmp_path)).error.reason in {"refused", "status"}


@pytest.mark.parametrize(
    ("role", "content"),
    [
        ("video", b"<!DOCTYPE html><html><body>Sorry</body></html>"),
        ("video", b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>'),
        ("video", b'{"error": {"message": "no"}}'),
        ("video", bytes(1000)),
        ("video", b"\x00\x00"),
        ("video", b"\xff\xd8\xff\xe0" + bytes(20)),
        ("thumbnail", BODY),
        ("last_frame", b"GIF87 was here" + bytes(20)),
        ("last_frame", b"RIFF\x14\0\0\0WAVE" + bytes(12)),
    ],
)
async def test_what_does_not_begin_like_a_medium_is_none(tmp_path: Path, role: Role, content: bytes) -> None:
    """Whatever type and length its server tells, and a picture is no video."""
    failed = await failure([http(200, content, MP4)], tmp_path, role=role)

    assert failed.told == ("not-media", False, 1)


# --- redirects ---


async def test_redirects_are_followed(tmp_path: Path) -> None:
    """Relative ones, to another host name, and with each of the statuses, up to five in a row."""
    async with RawServer([]) as server, downloading() as downloader:
        there = f"http://localhost:{server.port}"
        server.replies = [
            http(301, b"moved", "Location: /a%2Fb?s=%2F"),
            http(302, b"", "Location: ?q=2"),
            http(303, b"", f"Location: {there}/c"),
            http(307, b"", "Location: d"),
            http(308, b"", "Location: ../e"),
            GOOD,
        ]

        path = await downloader.download(generation(f"{server.base_url}/v"), tmp_path)

    asked = [head.split()[1].decode() for head in server.heads]
    assert asked == ["/v", "/a%2Fb?s=%2F", "/a%2Fb?q=2", "/c", "/d", "/e"]
    assert path.read_bytes() == BODY
    assert path.name == NAME


async def test_a_redirect_is_not_kept_waiting_for_its_end(tmp_path: Path) -> None:
    """Its connection is given up, and not left to the garbage collector, which complains in debug mode."""
    asyncio.get_running_loop().set_debug(True)

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(302, b"it has", "Location: /there", length=10**9))
        await stay_silent(reader, writer)

    path = await soon(stored([go_on, GOOD], tmp_path))

    assert path.read_bytes() == BODY


# --- callers ---


class _Whim(Exception):  # noqa: N818 - no error of anybody's
    """What only the caller knows."""


@pytest.mark.parametrize(
    "trouble",
    [
        _Whim(),
        FileExistsError(errno.EEXIST, "not ours"),
        OSError(errno.ENOSPC, "not ours"),
        TimeoutError(),
        ConnectionResetError(),
        aiohttp.ClientPayloadError(),
        ValueError(),
        TransportError("another client's", verdict=Verdict.PASSING),
        asyncio.CancelledError(),
        BaseExceptionGroup("several", [GeneratorExit()]),
    ],
    ids=repr,
)
async def test_a_callback_that_raises_is_heard_as_it_is(tmp_path: Path, trouble: BaseException) -> None:
    """The very same exception comes out, after one request, and nothing is left."""

    def raise_it(*_: int) -> None:
        raise trouble

    async with RawServer([GOOD]) as server, downloading() as downloader:
        with pytest.raises(type(trouble)) as caught:
            await downloader.download(generation(server.base_url), tmp_path, on_progress=raise_it)

    assert caught.value is trouble
    assert len(server.heads) == 1
    assert names(tmp_path) == []


NO_IDS: list[Any] = ["", ".", "..", "../x", "a/b", "a\\b", "ü", "nul\0", "x" * 1025, 5, None]


@pytest.mark.parametrize(
    "given",
    [
        {"generation": ID},
        {"generation": None},
        {"generation": {"id": ID}},
        *({"generation": generation("https://cdn.example/", task_id)} for task_id in NO_IDS),
        {"directory": 5},
        {"directory": b"bytes"},
        {"directory": None},
        {"directory": "nul\0"},
        {"directory": "\ud800"},
        {"role": "sound"},
        {"role": None},
        {"role": ["video"]},
        {"overwrite": "no"},
        {"overwrite": 1},
        {"on_progress": 5},
        pytest.param({"on_progress": asyncio.sleep}, id="an async on_progress"),
    ],
    ids=repr,
)
async def test_an_argument_that_cannot_work_is_told_before_anything_happens(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    """As ConfigurationError; nothing is asked for, and not even the directory is made."""
    arguments = {"generation": generation("https://cdn.example/"), "directory": tmp_path / "new", **given}

    async with downloading() as downloader:
        with pytest.raises(ConfigurationError):
            await downloader.download(**arguments)

        assert not downloader._servers._sessions
    assert names(tmp_path) == []


async def test_a_client_tells_of_bad_arguments_too(tmp_path: Path) -> None:
    """An id in the place of a generation is the likeliest mistake."""
    async with relayed() as (relay, luma):
        mistakes: list[Any] = [relay.add("task-1"), generation(None, "../task-1")]
        for wrong in mistakes:
            with pytest.raises(ConfigurationError):
                await luma.download(wrong, tmp_path)

    assert kinds(relay) == []


async def test_an_error_tells_what_is_needed_and_no_secret(tmp_path: Path) -> None:
    """It names task and link, without the link's secrets, and pickles; no object of aiohttp's hangs on it."""
    async with RawServer([closing(HALF)]) as server, downloading() as downloader:
        where = f"127.0.0.1:{server.port}/v.mp4"
        link = f"http://{where}?X-Amz-Signature=secret#secret"
        with pytest.raises(DownloadError) as caught:
            await downloader.download(generation(link), tmp_path)

    error = caught.value
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (error.task_id, error.url) == (ID, f"http://{where}")
    assert "secret" not in f"{error!s} {error!r} {vars(error) | {'generation': None}}"
    assert vars(copied) == vars(error)
    assert copied.generation == error.for_task("other").generation == generation(link)
    assert (error.__cause__, error.__context__) == (None, None)


async def test_a_disk_error_names_its_task_and_hangs_on_nothing(tmp_path: Path) -> None:
    """Like every other."""
    put_directory(tmp_path / NAME)

    error = (await failure([GOOD], tmp_path, overwrite=True)).error

    assert error.task_id == ID
    assert (error.__cause__, error.__context__) == (None, None)


# --- cancelling and closing ---


@asynccontextmanager
async def under_way(reply: Act, directory: Path) -> AsyncIterator[tuple[Downloader, asyncio.Task[Path]]]:
    """Give a download of which some bytes have come, or whose request *reply* has got."""
    begun = asyncio.Event()

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply is stay_silent:
            begun.set()
        await reply(reader, writer)

    async with RawServer([tell]) as server, downloading(limits=PATIENT) as downloader:
        download = downloader.download(generation(server.base_url), directory, on_progress=lambda *_: begun.set())
        task = asyncio.create_task(download)
        await soon(begun.wait())
        yield downloader, task


@pytest.mark.parametrize("reply", [stay_silent, stall_halfway])
async def test_cancelling_in_the_middle_leaves_no_file(tmp_path: Path, reply: Act) -> None:
    """CancelledError comes out, and the directory is empty at once."""
    async with under_way(reply, tmp_path) as (_, task):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert names(tmp_path) == []


class LateThreads(ThreadPoolExecutor):
    """One thread, in which the step with number *late* begins only when it is told to."""

    def __init__(self, late: int, reached: Callable[[], object]) -> None:
        super().__init__(1)
        self.steps = 0
        self.late = late
        self.reached = reached
        self.go_on = threading.Event()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Take a step in hand."""
        self.steps += 1
        if self.steps != self.late:
            return super().submit(fn, *args, **kwargs)

        def begin_late() -> T:
            self.reached()
            assert self.go_on.wait(10)
            return fn(*args, **kwargs)

        return super().submit(begin_late)


@pytest.mark.parametrize("late", range(1, 5), ids=["prepare", "create", "write", "finish"])
@pytest.mark.parametrize("overwrite", [True, False])
async def test_cancelling_a_step_on_the_disk_leaves_no_file(tmp_path: Path, late: int, *, overwrite: bool) -> None:
    """A step that is in its thread already, where nothing can stop it, comes to nothing."""
    loop, reached = asyncio.get_running_loop(), asyncio.Event()
    threads = LateThreads(late, lambda: loop.call_soon_threadsafe(reached.set))
    loop.set_default_executor(threads)

    async with RawServer([GOOD]) as server, downloading() as downloader:
        download = downloader.download(generation(server.base_url), tmp_path, overwrite=overwrite)
        task = asyncio.create_task(download)
        await soon(reached.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        threads.go_on.set()
        await asyncio.to_thread(int)

    assert threads.steps == late + 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("reply", [stay_silent, stall_halfway])
async def test_closing_in_the_middle_is_told_and_leaves_no_file(tmp_path: Path, reply: Act) -> None:
    """The download ends with ClientClosedError, not with what its connection came to."""
    async with under_way(reply, tmp_path) as (downloader, task):
        await downloader.aclose()
        with pytest.raises(ClientClosedError):
            await soon(task)

        assert names(tmp_path) == []
    assert not downloader._servers._sessions


async def test_closing_between_two_tries_ends_the_download(tmp_path: Path) -> None:
    """No new session is opened that nobody would close."""

    async def close(_: float) -> None:
        await downloader.aclose()

    async with RawServer([http(500)]) as server, downloading(sleep=close) as downloader:
        with pytest.raises(ClientClosedError):
            await downloader.download(generation(server.base_url), tmp_path)

    assert len(server.heads) == 1
    assert not downloader._servers._sessions


async def test_closing_during_the_pause_between_two_tries_ends_it(tmp_path: Path) -> None:
    """However long the pause has yet to last."""
    pausing = asyncio.Event()

    async def pause(_: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    async with RawServer([http(500)]) as server, downloading(sleep=pause) as downloader:
        task = asyncio.create_task(downloader.download(generation(server.base_url), tmp_path))
        await soon(pausing.wait())
        await downloader.aclose()
        with pytest.raises(ClientClosedError):
            await soon(task)

    assert len(server.heads) == 1


async def test_a_download_after_closing_opens_nothing(tmp_path: Path) -> None:
    """One that had to wait for its turn may come so late."""
    async with RawServer([GOOD]) as server, downloading() as downloader:
        await downloader.aclose()
        with pytest.raises(ClientClosedError):
            await downloader.download(generation(server.base_url), tmp_path)

    assert not downloader._servers._sessions
    assert server.connections == 0


async def test_a_client_closed_before_a_renewal_says_so(tmp_path: Path) -> None:
    """That is no trouble of the link's."""
    async with downloading(ClientClosedError("closed")) as downloader:
        with pytest.raises(ClientClosedError):
            await downloader.download(generation(None), tmp_path)


async def test_closing_a_client_closes_its_downloads(tmp_path: Path) -> None:
    """Those under way are told, and so are those that begin later."""
    begun = asyncio.Event()
    async with RawServer([stall_halfway]) as server:
        luma = LumaClient("https://relay.invalid", "sk-test-0123456789", limits=PATIENT)
        found = generation(server.base_url)
        task = asyncio.create_task(luma.download(found, tmp_path, on_progress=lambda *_: begun.set()))
        await soon(begun.wait())
        await luma.aclose()

        with pytest.raises(ClientClosedError):
            await soon(task)
        with pytest.raises(ClientClosedError):
            await luma.download(found, tmp_path)

    assert names(tmp_path) == []


async def test_one_download_in_trouble_leaves_the_others_alone(tmp_path: Path) -> None:
    """Failing, cancelled and stalled ones take neither connections nor files from them."""
    async with relayed() as (relay, luma):
        good = [await luma.get_generation(relay.add()) for _ in range(10)]
        bad = [generation("file:///etc/passwd", f"bad-{n}") for n in range(10)]
        tasks = [
            asyncio.create_task(luma.download(one, tmp_path)) for pair in zip(bad, good, strict=True) for one in pair
        ]
        tasks[3].cancel()

        results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results[::2]] == [DownloadError] * 10
    assert sorted(path.name for path in results[1::2] if isinstance(path, Path)) == names(tmp_path)
    assert len(names(tmp_path)) == 9
