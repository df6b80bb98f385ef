"""A43: whatever is in the way of a file, and whatever becomes of its disk and its process."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import secrets
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from luma_async import DownloadError
from luma_async._media.files import Leftovers, Part, _boot, _name, stem_of
from luma_async._media.formats import Version
from tests.downloads import (
    BODY,
    GOOD,
    HALF,
    ID,
    NAME,
    downloading,
    failure,
    generation,
    names,
    put_directory,
    refusing,
    soon,
    stored,
)
from tests.faults.media_server import Deed, MediaServer, honest, medium, stalled_at
from tests.raw_server import RawServer, closing


def put_file(path: Path) -> None:
    """Put a file there."""
    path.write_bytes(b"old")


def put_link_to_nothing(path: Path) -> None:
    """Put a symlink there that leads nowhere yet."""
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("put", [put_file, put_link_to_nothing, put_directory])
@pytest.mark.parametrize("ending", ["mp4", "mov", "webm", "jpg", "png", "webp", "gif"])
async def test_what_exists_is_told_before_anything_is_asked_for(
    tmp_path: Path, put: Callable[[Path], None], ending: str
) -> None:
    """Whatever it is, and whichever ending the file would get."""
    put(tmp_path / f"{ID}.video.{ending}")

    failed = await failure([GOOD], tmp_path)

    assert failed.told == ("exists", False, 0)
    assert "overwrite=True" in str(failed.error)


async def test_files_of_other_roles_and_tasks_are_no_obstacle(tmp_path: Path) -> None:
    """The name is made of both."""
    put_file(tmp_path / f"{ID}.thumbnail.mp4")
    put_file(tmp_path / f"{ID}0.video.mp4")

    assert (await stored([GOOD], tmp_path)).read_bytes() == BODY


async def test_overwriting_replaces_the_old_file_at_once(tmp_path: Path) -> None:
    """Up to the last byte the old one is there, whole."""
    put_file(tmp_path / NAME)
    seen: list[bytes] = []

    await stored([GOOD], tmp_path, overwrite=True, on_progress=lambda *_: seen.append((tmp_path / NAME).read_bytes()))

    assert set(seen) == {b"old"}
    assert (tmp_path / NAME).read_bytes() == BODY
    assert names(tmp_path) == [NAME]


async def test_a_failed_download_does_not_overwrite(tmp_path: Path) -> None:
    """The old file outlives a server that breaks off."""
    put_file(tmp_path / NAME)

    await failure([closing(HALF)], tmp_path, overwrite=True)

    assert (tmp_path / NAME).read_bytes() == b"old"


async def test_a_symlink_in_the_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What it leads to stays as it is."""
    target, directory = tmp_path / "precious", tmp_path / "videos"
    directory.mkdir()
    put_file(target)
    (directory / NAME).symlink_to(target)

    path = await stored([GOOD], directory, overwrite=True)

    assert target.read_bytes() == b"old"
    assert not path.is_symlink()
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
async def test_what_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    """A file that somebody else puts there during the download stays."""
    if not links:
        monkeypatch.setattr(os, "link", refusing(errno.EPERM))  # as exFAT does

    async with RawServer([GOOD]) as server, downloading() as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(
                generation(server.base_url), tmp_path, on_progress=lambda *_: put_file(tmp_path / NAME)
            )

    assert caught.value.reason == "exists"
    assert (tmp_path / NAME).read_bytes() == b"old"
    assert names(tmp_path) == [NAME]


async def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is stored there too."""
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))  # as exFAT does

    assert (await stored([GOOD], tmp_path)).read_bytes() == BODY
    assert names(tmp_path) == [NAME]


# --- the disk ---


async def test_bytes_gather_in_a_hidden_file_beside_the_place(tmp_path: Path) -> None:
    """Within the same directory, so that renaming is atomic; the final name comes last."""
    seen: list[list[str]] = []

    await stored([GOOD], tmp_path, on_progress=lambda *_: seen.append(names(tmp_path)))

    (hidden,) = seen[0]
    assert hidden.startswith(f".{ID}.video+")
    assert hidden.endswith(".part")


def is_directory(handle: int) -> bool:
    """Tell what is open."""
    return stat.S_ISDIR(os.fstat(handle).st_mode)


async def test_bytes_are_on_the_disk_before_the_name_is_there_and_the_name_soon_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced while it is hidden and complete, and its directory when it is not hidden any more."""
    synced: list[tuple[bool, int]] = []

    def fsync(handle: int) -> None:
        synced.append(((tmp_path / NAME).exists(), is_directory(handle) or os.fstat(handle).st_size))

    monkeypatch.setattr(os, "fsync", fsync)

    await stored([GOOD], tmp_path)

    assert synced == [(False, len(BODY)), (True, True)]


async def test_a_directory_that_cannot_be_synced_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems refuse that; the file is whole and in its place."""

    def fsync(handle: int) -> None:
        if is_directory(handle):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", fsync)

    assert (await stored([GOOD], tmp_path)).read_bytes() == BODY


async def test_bytes_that_cannot_be_synced_are_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails at the last moment is told, and nothing is left."""
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))

    assert (await failure([GOOD], tmp_path)).told == ("disk", False, 1)


@pytest.mark.parametrize("below", ["", "videos"])
async def test_a_directory_that_is_a_file_is_told(tmp_path: Path, below: str) -> None:
    """As such, and before anything is asked for."""
    put_file(tmp_path / "file")

    async with RawServer([GOOD]) as server, downloading() as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(generation(server.base_url), tmp_path / "file" / below)

    assert (caught.value.reason, server.heads) == ("disk", [])
    assert (tmp_path / "file").read_bytes() == b"old"


async def test_a_directory_in_the_place_of_the_file_is_not_replaced(tmp_path: Path) -> None:
    """Not even where overwriting is allowed."""
    put_directory(tmp_path / NAME)

    assert (await failure([GOOD], tmp_path, overwrite=True)).told == ("disk", False, 1)


IN_TROUBLE = """
import asyncio, os, resource, signal, sys
from luma_async import DownloadError, Limits, LumaClient
from luma_async.testing import Script, SimulatedRelay

_, MOST = resource.getrlimit(resource.RLIMIT_FSIZE)

def fill_the_disk():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, MOST))

def lose_the_right_to_write():
    if os.getuid() == 0:
        os.seteuid(65534)

async def main():
    limits = Limits(allow_private_media=True)
    async with (
        SimulatedRelay(script=Script.of("completed")) as relay,
        LumaClient(relay.base_url, relay.api_key, limits=limits) as luma,
    ):
        generation = await luma.get_generation(relay.add())
        await luma.download(generation, "../before")
        globals()[sys.argv[1]]()
        try:
            await luma.download(generation, ".")
        except DownloadError as error:
            print(error.reason, error.retryable, os.listdir("."), error)
        finally:
            os.seteuid(os.getuid())
            resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, MOST))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("trouble", "told"), [("fill_the_disk", errno.EFBIG), ("lose_the_right_to_write", errno.EACCES)]
)
def test_a_disk_that_takes_nothing_is_told_and_keeps_nothing(tmp_path: Path, trouble: str, told: int) -> None:
    """Neither one on which a file of more than 1,000 bytes has no room, nor a directory that is read-only."""
    videos = tmp_path / "videos"
    videos.mkdir(0o555 if trouble == "lose_the_right_to_write" else 0o755)

    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", "-c", IN_TROUBLE, trouble],
        capture_output=True,
        check=False,
        cwd=videos,
        text=True,
        timeout=60,
    )

    assert ended.stdout.startswith("disk False [] ")
    assert os.strerror(told) in ended.stdout
    assert (ended.returncode, ended.stderr) == (0, "")


# --- names ---


async def test_tasks_that_share_everything_but_their_ids_get_each_its_own_file(tmp_path: Path) -> None:
    """Also where an id looks like the name of another's file, is hidden, or is as long as an id can be."""
    ids = ["a", "a.video", "a.video.mp4", ".a", "-", "~", "a" * 128, "a" * 127]
    async with RawServer([GOOD]) as server, downloading() as downloader:
        paths = [await downloader.download(generation(server.base_url, one), tmp_path) for one in ids]

    assert [path.name for path in paths] == [f"{stem_of(one, 'video')}.mp4" for one in ids]
    assert len(names(tmp_path)) == len(ids)
    assert names(tmp_path) == sorted(path.name for path in paths)


async def test_a_directory_whose_name_is_too_long_is_told(tmp_path: Path) -> None:
    """300 characters are more than file systems take."""
    async with downloading() as downloader:
        with pytest.raises(DownloadError, match="File name too long") as caught:
            await downloader.download(generation("https://cdn.example/"), tmp_path / ("x" * 300))

    assert caught.value.reason == "disk"


async def test_a_disk_in_trouble_leaves_the_other_tasks_alone(tmp_path: Path) -> None:
    """They are stored elsewhere, at the same time."""
    put_file(tmp_path / "no-directory")
    places = [tmp_path / ("no-directory" if n % 2 else "videos") for n in range(20)]
    async with RawServer([GOOD]) as server, downloading() as downloader:
        coming = [downloader.download(generation(server.base_url, f"task-{n}"), at) for n, at in enumerate(places)]
        results = await asyncio.gather(*coming, return_exceptions=True)

    assert [type(result) for result in results[1::2]] == [DownloadError] * 10
    assert all(isinstance(result, Path) and result.read_bytes() == BODY for result in results[::2])


# --- what killed runs have left ---

KILLED = """
import asyncio, sys
from pathlib import Path
from luma_async import Generation, Limits, LumaClient, State, Video

async def main():
    link, directory = sys.argv[1:]
    video = Video(download_url=link)
    film = Generation(id="film", state=State.COMPLETED, state_text="completed", video=video)
    async with LumaClient("https://relay.invalid", "sk-test", limits=Limits(allow_private_media=True)) as luma:
        await luma.download(film, directory, on_progress=lambda done, _: print(done, flush=True))

asyncio.run(main())
"""


@asynccontextmanager
async def stuck_halfway(media: MediaServer, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Give a process that has half of ``film``, and kill it in the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, media.link("film"), str(directory), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        await soon(process.stdout.readuntil(f"{HALF_FILM}\n".encode()))
        yield process
    finally:
        process.kill()
        await process.wait()


FILM = medium("film")
HALF_FILM = len(FILM.content) // 2
REST = f"bytes={HALF_FILM}-"


async def test_what_a_killed_run_has_begun_the_next_one_finishes(tmp_path: Path) -> None:
    """It asks for the rest of the same version, and nothing but the file is left."""
    async with MediaServer({"film": [stalled_at(0.5), honest]}) as media, downloading() as downloader:
        async with stuck_halfway(media, tmp_path):
            (hidden,) = names(tmp_path)

        path = await downloader.download(media.made("film"), tmp_path)

    assert hidden.startswith(".film.video+")
    assert media.ranges("film") == [None, REST]
    assert names(tmp_path) == ["film.video.mp4"]
    assert path.read_bytes() == FILM.content


async def test_what_another_process_is_writing_is_not_touched(tmp_path: Path) -> None:
    """The second fetches the whole for itself."""
    async with (
        MediaServer({"film": [stalled_at(0.5), honest]}) as media,
        downloading() as downloader,
        stuck_halfway(media, tmp_path),
    ):
        (hidden,) = names(tmp_path)
        await downloader.download(media.made("film"), tmp_path)

    assert media.ranges("film") == [None, None]
    assert names(tmp_path) == [hidden, "film.video.mp4"]


def leave(
    directory: Path, content: bytes, *, total: int | None = None, boot: str | None = None, etag: str = ""
) -> Path:
    """Leave what a killed run would have left of ``film``."""
    version = Version(etag or FILM.etag, len(FILM.content) if total is None else total)
    path = directory / _name("film.video", version, _boot() if boot is None else boot)
    path.write_bytes(content)
    return path


async def film_stored(directory: Path, *deeds: Deed, **options: Any) -> list[str | None]:
    """Download ``film``; return the ranges that were asked for."""
    async with MediaServer({"film": deeds or [honest]}) as media, downloading() as downloader:
        path = await downloader.download(media.made("film"), directory, **options)

    assert path.read_bytes() == FILM.content
    return media.ranges("film")


WHOLE = len(FILM.content)


@pytest.mark.parametrize(
    ("had", "first"),
    [([1], 1), ([HALF_FILM], HALF_FILM), ([WHOLE - 1], WHOLE - 1), ([WHOLE], WHOLE - 1), ([100, 3000, 200], 3000)],
    ids=["a byte", "half", "nearly all", "all, and the server must still have it", "the longest of several"],
)
async def test_a_proven_leftover_is_gone_on_with(tmp_path: Path, had: list[int], first: int) -> None:
    """The rest is asked for, at least the last byte, and no leftover stays."""
    for size in had:
        leave(tmp_path, FILM.content[:size])

    assert await film_stored(tmp_path) == [f"bytes={first}-"]
    assert names(tmp_path) == ["film.video.mp4"]


async def test_a_leftover_of_another_version_is_begun_again(tmp_path: Path) -> None:
    """The server says so by sending the whole."""
    leave(tmp_path, b"of another version", etag='"1"')

    assert await film_stored(tmp_path) == ["bytes=18-"]
    assert names(tmp_path) == ["film.video.mp4"]


def with_another_name(directory: Path) -> None:
    """Leave a file that has another name, too."""
    os.link(leave(directory, b"mixed"), directory / "other")


UNPROVEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda directory: leave(directory, b""),
    "longer than its version": lambda directory: leave(directory, bytes(101), total=100),
    "of an empty version": lambda directory: leave(directory, b"", total=0),
    "from before the system started": lambda directory: leave(directory, b"mixed", boot="0" * 18),
    "of a weak version": lambda directory: leave(directory, b"mixed", etag='W/"1"'),
    "of an unreadable version": lambda directory: put_file(
        directory / f".film.video+64+{_boot()}+_w+0123456789abcdef.part"
    ),
    "of no known version": lambda directory: put_file(directory / ".film.video+0123456789abcdef.part"),
    "with another name": with_another_name,
}


@pytest.mark.parametrize("put", UNPROVEN.values(), ids=list(UNPROVEN))
async def test_a_leftover_that_proves_nothing_is_removed(tmp_path: Path, put: Callable[[Path], object]) -> None:
    """The file is begun afresh."""
    put(tmp_path)

    assert await film_stored(tmp_path) == [None]
    assert set(names(tmp_path)) <= {"film.video.mp4", "other"}


async def test_a_leftover_of_another_user_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory that everybody may write to, he could have put anything into it."""
    leave(tmp_path, b"mixed")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    assert await film_stored(tmp_path) == [None]


@pytest.mark.parametrize("put", [put_link_to_nothing, put_directory, os.mkfifo])
async def test_what_is_no_file_under_a_leftovers_name_is_left_alone(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    """Nothing is followed, nothing waits, and nothing outside the directory comes into being."""
    (tmp_path / "videos").mkdir()
    name = _name("film.video", Version(FILM.etag, len(FILM.content)), _boot())
    put(tmp_path / "videos" / name)

    assert await soon(film_stored(tmp_path / "videos")) == [None]
    assert names(tmp_path / "videos") == [name, "film.video.mp4"]
    assert names(tmp_path) == ["videos"]


async def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Those of other tasks and roles, and those that only look similar."""
    others = [
        ".film.thumbnail+0123456789abcdef.part",
        ".film.video.video+0123456789abcdef.part",
        ".film2.video+0123456789abcdef.part",
        ".film.video+0123.part",
        "film.video.mp4.part",
    ]
    for name in others:
        put_file(tmp_path / name)

    await film_stored(tmp_path)

    assert names(tmp_path) == sorted([*others, "film.video.mp4"])


async def test_a_leftover_beside_its_finished_file_is_removed(tmp_path: Path) -> None:
    """That the file exists is told all the same."""
    leave(tmp_path, FILM.content[:100])
    put_file(tmp_path / "film.video.mp4")

    async with MediaServer() as media, downloading() as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.download(media.made("film"), tmp_path)

    assert (caught.value.reason, media.asked) == ("exists", [])
    assert names(tmp_path) == ["film.video.mp4"]


async def test_a_directory_is_looked_through_once(tmp_path: Path) -> None:
    """A client that stores thousands of files in one does not read it thousands of times."""
    async with RawServer([GOOD]) as server, downloading() as downloader:
        await downloader.download(generation(server.base_url, "one"), tmp_path)
        leave(tmp_path, FILM.content[:100])
        await downloader.download(generation(server.base_url, "film"), tmp_path)

    assert len(names(tmp_path)) == 3


def test_only_some_directories_are_kept_in_mind(tmp_path: Path) -> None:
    """A client may use one for each task."""
    leftovers = Leftovers()
    for n in range(200):
        (tmp_path / str(n)).mkdir()
        leftovers.of(tmp_path / str(n), "film.video")

    assert len(leftovers._found) == 64


# --- the hidden file ---


def begun(directory: Path) -> Part:
    """Return a part with some bytes."""
    part = Part(directory, "film.video")
    part.begin(Version(FILM.etag, len(FILM.content)))
    part.write(b"some")
    return part


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_discarded_while_it_is_synced_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool
) -> None:
    """Syncing takes long, so it is then that most are cancelled."""
    part = begun(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: part.discard())

    named = part.finish(tmp_path / NAME, overwrite=overwrite)

    assert not named
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_discarding_does_not_wait_for_a_stalled_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Cancelling leaves the file to the thread that the disk holds up, which removes it."""
    part, real = begun(tmp_path), getattr(os, step)
    entered, goes_on = threading.Event(), threading.Event()

    def stalled(*arguments: Any) -> None:
        entered.set()
        assert goes_on.wait(20)
        real(*arguments)

    monkeypatch.setattr(os, step, stalled)
    thread = threading.Thread(target=part.finish, args=(tmp_path / NAME,), kwargs={"overwrite": False})
    thread.start()
    assert entered.wait(20)
    part.discard()
    is_stalled = thread.is_alive()
    monkeypatch.undo()
    goes_on.set()
    thread.join()

    assert is_stalled
    assert names(tmp_path) == ([NAME] if step == "link" else [])


def test_a_discarded_file_takes_up_nothing_more(tmp_path: Path) -> None:
    """Neither a new file nor a left-over, by a step that comes too late."""
    leftover = leave(tmp_path, FILM.content[:100])
    part = begun(tmp_path)

    part.discard()
    part.begin(None)
    part.take_up([leftover])

    assert names(tmp_path) == []


def test_a_name_that_somebody_has_put_in_the_way_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hidden file is always a new one, even where its name was guessed."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: "0" * 16)
    put_file(tmp_path / "precious")
    (tmp_path / _name("film.video", None, "")).symlink_to(tmp_path / "precious")

    with pytest.raises(FileExistsError):
        Part(tmp_path, "film.video").begin(None)

    assert (tmp_path / "precious").read_bytes() == b"old"


def test_a_new_file_that_another_process_has_taken_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the other has its lock still, or has removed it already."""
    real, turns = fcntl.flock, iter(["locked", "removed", "free"])

    def flock(descriptor: int, operation: int) -> None:
        turn = next(turns)
        if turn == "locked":
            raise BlockingIOError
        if turn == "removed":
            max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns).unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    part = begun(tmp_path)

    assert part.finish(tmp_path / NAME, overwrite=False)
    assert (tmp_path / NAME).read_bytes() == b"some"
    part.discard()


def test_a_leftover_that_has_made_room_for_another_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had it before may have finished and begun anew between the opening and the lock."""
    leftover = leave(tmp_path, FILM.content[:100])

    def flock(_descriptor: int, _operation: int) -> None:
        leftover.unlink()
        leftover.write_bytes(b"somebody else's")

    monkeypatch.setattr(fcntl, "flock", flock)
    part = Part(tmp_path, "film.video")
    part.take_up([leftover])

    assert part.kept == 0
    assert leftover.read_bytes() == b"somebody else's"


def test_a_system_that_does_not_tell_when_it_started_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what is left there is removed, and new files do not pretend to be more."""
    leftover = leave(tmp_path, FILM.content[:100])

    def nothing_there(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", nothing_there)
    part = begun(tmp_path)
    part.take_up([leftover])

    (hidden,) = names(tmp_path)
    assert hidden.count("+") == 1
    part.discard()


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is stored; left-overs stay, since nobody can tell whether they are in use."""
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
    leftover = leave(tmp_path, FILM.content[:100])
    part = begun(tmp_path)
    part.take_up([leftover])

    assert part.finish(tmp_path / NAME, overwrite=False)
    part.discard()
    assert names(tmp_path) == [leftover.name, NAME]


def test_a_name_that_would_be_too_long_proves_nothing() -> None:
    """A long ETag is gone on with by this process alone, and file systems take 255 bytes."""
    usual, long = (_name(f"{'x' * 128}.last_frame", Version(f'"{"e" * n}"', 2**34), _boot()) for n in (36, 60))

    assert "+" in usual.removesuffix(".part").rpartition("+")[0]
    assert len(usual) <= 255
    assert long.count("+") == 1
