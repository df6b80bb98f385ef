"""The simulated relay's files: valid, each task's own, and served by the rules of HTTP."""

import re
import struct
from collections.abc import Iterator

import pytest

from luma_async.testing._media import DURATION, HEIGHT, WIDTH, Links, Medium

VIDEO_NAMES = ["video.mp4", "watermarked.mp4"]
PICTURE_NAMES = ["thumbnail.jpg", "last_frame.jpg"]


def medium(name: str, task_id: str = "task-1") -> Medium:
    """Return a file that is there."""
    found = Medium.of(task_id, name)
    assert found is not None
    return found


def boxes(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the boxes of an MP4, or of what is inside one of its boxes."""
    while content:
        size, kind = struct.unpack_from(">I4s", content)
        assert 8 <= size <= len(content), "a box reaches beyond its file"
        yield kind.decode(), content[8:size]
        content = content[size:]


def inner(content: bytes, *path: str) -> bytes:
    """Return what is in the box at *path*."""
    for kind in path:
        content = dict(boxes(content))[kind]
    return content


def segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker segments of a JPEG up to its scan."""
    assert content[:2] == b"\xff\xd8", "no start of image"
    at = 2
    while content[at + 1] != 0xDA:
        mark, code, length = struct.unpack_from(">BBH", content, at)
        assert mark == 0xFF, "a segment does not begin where the one before it ends"
        yield code, content[at + 4 : at + 2 + length]
        at += 2 + length


@pytest.mark.parametrize("name", VIDEO_NAMES)
def test_a_video_is_a_whole_mp4_that_starts_at_once(name: str) -> None:
    """The index comes before the pictures, and every box ends where the next begins."""
    kinds = [kind for kind, _ in boxes(medium(name).content)]

    assert kinds[0] == "ftyp"
    assert kinds.index("moov") < kinds.index("mdat")
    assert kinds[-1] == "free"


def test_a_video_has_the_size_and_length_that_answers_tell() -> None:
    """Width, height and duration stand in the file's own headers."""
    content = medium("video.mp4").content

    timescale, duration = struct.unpack_from(">II", inner(content, "moov", "mvhd"), 12)
    width, height = struct.unpack_from(">II", inner(content, "moov", "trak", "tkhd"), 76)

    assert (width / 2**16, height / 2**16, duration / timescale) == (WIDTH, HEIGHT, DURATION)


def test_a_video_is_h264_without_notes_from_its_encoder() -> None:
    """Each sample is made of picture slices alone, and the codec is the one that every player has."""
    content = medium("video.mp4").content
    described = inner(content, "moov", "trak", "mdia", "minf", "stbl", "stsd")

    stream = inner(content, "mdat")
    kinds = set()
    while stream:
        (length,) = struct.unpack_from(">I", stream)
        kinds.add(stream[4] & 0x1F)
        stream = stream[4 + length :]

    assert described[12:16] == b"avc1"
    assert kinds == {1, 5}


@pytest.mark.parametrize("name", PICTURE_NAMES)
def test_a_picture_is_a_whole_jpeg_of_the_size_that_answers_tell(name: str) -> None:
    """The JFIF header comes first, the frame has the size, and the image ends."""
    content = medium(name).content

    found = list(segments(content))

    assert found[0][0] == 0xE0
    assert struct.unpack_from(">HH", dict(found)[0xC0], 1) == (HEIGHT, WIDTH)
    assert content[-2:] == b"\xff\xd9"


@pytest.mark.parametrize("name", PICTURE_NAMES)
def test_a_picture_says_whose_it_is_in_a_comment(name: str) -> None:
    """The comment segment names task and file."""
    assert dict(segments(medium(name, "task-7").content))[0xFE] == f"task-7/{name}".encode()


@pytest.mark.parametrize("name", VIDEO_NAMES)
def test_a_video_says_whose_it_is_at_its_end(name: str) -> None:
    """The last box, which players skip, names task and file."""
    assert list(boxes(medium(name, "task-7").content))[-1] == ("free", f"task-7/{name}".encode())


def test_no_two_files_are_the_same() -> None:
    """Two tasks with four files each have eight contents and eight ETags."""
    found = [medium(name, task) for task in ("task-1", "task-2") for name in VIDEO_NAMES + PICTURE_NAMES]

    assert len({item.content for item in found}) == len({item.etag for item in found}) == 8


def test_files_are_a_few_kilobytes() -> None:
    """A test may fetch thousands."""
    assert max(len(medium(name).content) for name in VIDEO_NAMES + PICTURE_NAMES) < 8192


def test_there_is_no_other_file() -> None:
    """A name that is no file of a task gives none, whatever lies beside it."""
    assert Medium.of("task-1", "clip.mp4") is None
    assert Medium.of("task-1", "../relay.py") is None


def test_a_plain_request_gets_the_whole_file() -> None:
    """With its type, a strong ETag, and word that parts can be had."""
    video = medium("video.mp4")

    reply = video.reply({})

    assert (reply.status, reply.body) == (200, video.content)
    assert reply.headers == {
        "Content-Type": "video/mp4",
        "ETag": video.etag,
        "Last-Modified": "Mon, 22 Jul 2024 12:47:28 GMT",
        "Accept-Ranges": "bytes",
    }
    assert re.fullmatch('"[0-9a-f]{32}"', video.etag)


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=5-5", 5, 5),
        ("bytes=2000-", 2000, -1),
        ("bytes=-100", -100, -1),
        ("bytes=0-999999", 0, -1),
        ("bytes=-999999", 0, -1),
    ],
)
def test_a_range_gets_its_part(wanted: str, first: int, last: int) -> None:
    """The bytes asked for come, and Content-Range says which they are."""
    video = medium("video.mp4")
    size = len(video.content)
    start, stop = first % size, last % size + 1

    reply = video.reply({"Range": wanted})

    assert (reply.status, reply.body) == (206, video.content[start:stop])
    assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
    assert reply.headers["ETag"] == video.etag


@pytest.mark.parametrize("wanted", ["bytes=999999-", "bytes=999999-1000000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(wanted: str) -> None:
    """416 tells how long the file is."""
    video = medium("video.mp4")

    reply = video.reply({"Range": wanted})

    assert (reply.status, reply.body) == (416, b"")
    assert reply.headers["Content-Range"] == f"bytes */{len(video.content)}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=9-5"},
        {"Range": "bytes=-"},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=0-9"},
        {"Range": "bytes=a-b"},
        {"Range": "bytes=5-", "If-Range": '"another"'},
        {"Range": "bytes=5-", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_a_range_that_cannot_be_honoured_is_ignored(headers: dict[str, str]) -> None:
    """A malformed or foreign one, several, or one of another version of the file get it whole."""
    assert medium("video.mp4").reply(headers).status == 200


def test_a_range_of_this_very_version_is_honoured() -> None:
    """If-Range with the file's ETag leaves the range as it is."""
    video = medium("video.mp4")

    assert video.reply({"Range": "bytes=5-", "If-Range": video.etag}).status == 206


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"other", W/{etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Match": "{etag}"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": "W/{etag}"}, 412),
        ({"If-Match": '"other"', "If-None-Match": "*"}, 412),
        ({"Range": "bytes=5-", "If-Range": "Mon, 22 Jul 2024 12:47:28 GMT"}, 206),
    ],
)
def test_conditions_are_obeyed(headers: dict[str, str], status: int) -> None:
    """If-Match compares strongly and comes first; If-None-Match compares weakly (RFC 9110 sections 13.1 and 13.2.2)."""
    video = medium("video.mp4")

    reply = video.reply({name: value.replace("{etag}", video.etag) for name, value in headers.items()})

    assert reply.status == status
    assert bool(reply.body) is (status in (200, 206))


LINKS = Links(base_url="http://relay.example", secret=b"secret", lifetime=60.0)


def parts_of(link: str) -> tuple[str, dict[str, str]]:
    """Return a link's path and query."""
    path, query = link.removeprefix("http://relay.example").split("?")
    return path, dict(pair.split("=") for pair in query.split("&"))


@pytest.mark.parametrize(("now", "alive"), [(100.0, True), (159.9, True), (160.0, False), (1e6, False)])
def test_a_link_lives_its_time(now: float, *, alive: bool) -> None:
    """It dies as many seconds after its making as links live."""
    path, query = parts_of(LINKS.to("task-1", "video.mp4", 100.0))

    assert LINKS.holds(path, query, now) is alive


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/media/task-2/video.mp4", {}),
        ("/media/task-1/video.mp4", {"expires": "999999999.000"}),
        ("/media/task-1/video.mp4", {"signature": "0" * 64}),
        ("/media/task-1/video.mp4", {"signature": "\udcff"}),
        ("/media/task-1/video.mp4", {"expires": "soon"}),
    ],
)
def test_a_link_that_was_tampered_with_is_dead(path: str, query: dict[str, str]) -> None:
    """Another task, a later end or an invented signature open nothing."""
    _, genuine = parts_of(LINKS.to("task-1", "video.mp4", 0.0))

    assert not LINKS.holds(path, {**genuine, **query}, 0.0)


def test_a_link_without_its_query_is_dead() -> None:
    """Nothing is served to those who only guess the path."""
    assert not LINKS.holds("/media/task-1/video.mp4", {}, 0.0)


def test_the_secret_of_links_is_in_no_repr() -> None:
    """A log line of the relay signs nothing."""
    assert "secret" not in repr(LINKS)
