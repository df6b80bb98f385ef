"""Outcomes on disk: what is recorded, what is repaired, and what is refused and left alone."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luma_async import (
    APIError,
    ConfigurationError,
    DownloadError,
    Generation,
    GenerationFailedError,
    Journal,
    JournalError,
    LumaError,
    NotFoundError,
    Outcome,
    ServerError,
    State,
    WaitTimeoutError,
    outcome_to_json,
)
from luma_async._disk.line_file import LineFile, LineKind
from luma_async._records import LONGEST_LINE
from luma_async._relay.search import tasks_in
from luma_async._relay.tasks import read_task
from tests import loops
from tests.downloads import refusing
from tests.kit import answer, sample, sample_names

LINK = "https://cdn.example/v.mp4"


def generation(task_id: str, state: str = "completed", **more: Any) -> Generation:
    """Return what a relay answers about a task."""
    body = {"id": task_id, "state": state, "video": {"url": LINK}, "prompt": "海上日出\n", **more}
    return read_task(answer(body), task_id)


def completed(task_id: str) -> Outcome:
    """Return a good end."""
    return Outcome(task_id=task_id, generation=generation(task_id), elapsed=12.5, polls=3)


def refused(body: Any, status: int) -> LumaError:
    """Return the error that an answer is."""
    with pytest.raises(LumaError) as caught:
        read_task(answer(body, status), "a")
    return caught.value


def line(outcome: Outcome) -> bytes:
    """Return a journal's line."""
    return f"{outcome_to_json(outcome)}\n".encode()


A, B, C = (line(completed(task_id)) for task_id in "abc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The name of a journal that is not there yet."""
    return tmp_path / "batch.jsonl"


def put(path: Path, content: bytes) -> None:
    """Make a file of *content*."""
    path.write_bytes(content)


def held(path: Path) -> bytes:
    """Return what a file holds."""
    return path.read_bytes()


def mode_of(path: Path) -> int:
    """Return who may do what with a file."""
    return path.stat().st_mode & 0o777


async def ended(path: Path) -> list[str]:
    """Return the ids that stand in the journal at *path*."""
    async with Journal(path) as journal:
        return [outcome.task_id async for outcome in journal.outcomes()]


# --- what is recorded ---


async def test_an_outcome_is_a_line_that_stays(path: Path) -> None:
    """It is the command line's line, in a file that nobody else can read, and the next journal knows it."""
    async with Journal(path) as journal:
        assert await journal.record(completed("a"))
        assert held(path) == A
        assert await journal.record(completed("b"))

    async with Journal(str(path)) as journal:
        assert ("a" in journal, "b" in journal, "c" in journal, len(journal)) == (True, True, False, 2)
    assert held(path) == A + B
    assert mode_of(path) == 0o600


ENDS = [
    (Outcome(task_id="a", generation=generation("a")), State.COMPLETED),
    (Outcome(task_id="a", generation=generation("a", "failed")), State.FAILED),
    (Outcome(task_id="a", error=GenerationFailedError(generation("a", "failed"))), State.FAILED),
    (Outcome(task_id="a", error=refused({"code": "task_not_exist", "message": ""}, 400)), None),
    (Outcome(task_id="a", error=refused({"error": {"message": "Task not found"}}, 404)), None),
    (Outcome(task_id="a", error=refused({"message": "no more"}, 410)), None),
]
_LAST = generation("a", "processing")
NO_ENDS = [
    Outcome(task_id="a", generation=_LAST),
    Outcome(task_id="a", generation=generation("a", "dreaming")),
    Outcome(task_id="a", error=WaitTimeoutError("a", waited=5.0, last=_LAST, last_error=None)),
    Outcome(task_id="a", error=refused({"error": {"message": "no such key"}}, 401)),
    Outcome(task_id="a", error=refused({"detail": "Not Found"}, 404)),
    Outcome(task_id="task_not_found", error=refused({"detail": "Not Found"}, 404).for_task("task_not_found")),
    Outcome(task_id="a", error=refused({"error": {"message": "Invalid URL (GET /luma/generations/a)"}}, 404)),
    Outcome(task_id="a", error=ServerError("bad gateway", status=502)),
    Outcome(task_id="a", error=APIError("task_not_exist", status=400, code="task_not_exist")),
    Outcome(task_id="a", error=DownloadError("no room", reason="disk")),
    Outcome(task_id="a/b", error=ConfigurationError("no id")),
]


@pytest.mark.parametrize(("outcome", "state"), ENDS)
async def test_an_end_is_recorded(path: Path, outcome: Outcome, state: State | None) -> None:
    """Completed, failed, and what the relay itself says that it does not know; in this run and to the next."""
    async with Journal(path) as journal:
        assert await journal.record(outcome)
        assert ("a" in journal, journal.state("a")) == (True, state)
    async with Journal(path) as journal:
        assert ("a" in journal, journal.state("a")) == (True, state)


@pytest.mark.parametrize("outcome", NO_ENDS)
async def test_what_the_next_run_may_do_better_is_not_recorded(path: Path, outcome: Outcome) -> None:
    """A deadline, a wrong key or a wrong address marks no id as done."""
    async with Journal(path) as journal:
        assert not await journal.record(outcome)
        assert outcome.task_id not in journal
    assert held(path) == b""


@pytest.mark.parametrize("outcome", NO_ENDS)
async def test_lines_of_standard_output_are_a_journal(path: Path, outcome: Outcome) -> None:
    """Those of them that are no end are passed over."""
    put(path, line(outcome) + B)

    async with Journal(path) as journal:
        assert [task_id async for task_id in journal.missing([outcome.task_id, "b"])] == [outcome.task_id]
        assert [outcome.task_id async for outcome in journal.outcomes()] == ["b"]


def earlier(outcome: Outcome) -> bytes:
    """Return the line that the first version wrote: its error has no facts beside its text."""
    record = json.loads(outcome_to_json(outcome))
    record["error"] = record["error"] and {key: record["error"][key] for key in ("type", "message", "retryable")}
    del record["path"]
    return f"{json.dumps(record)}\n".encode()


@pytest.mark.parametrize(
    ("outcome", "ids"), [*((outcome, ["a"]) for outcome, _ in ENDS), *((outcome, []) for outcome in NO_ENDS)]
)
async def test_a_line_of_an_earlier_version_is_read_by_its_text(path: Path, outcome: Outcome, ids: list[str]) -> None:
    """An end is one there too, and nothing else becomes one."""
    put(path, earlier(outcome))

    assert await ended(path) == ids


async def test_the_text_of_an_error_ends_no_id(path: Path) -> None:
    """Only its facts do."""
    error = NotFoundError("the relay answered HTTP 404: task not found, HTTP 410, task_not_exist", status=404)
    put(path, line(Outcome(task_id="a", error=error)))

    assert await ended(path) == []


async def test_a_file_that_could_not_be_stored_does_not_undo_the_end(path: Path) -> None:
    """The generation has completed; what is recorded is the generation."""
    error = DownloadError("no room", reason="disk", generation=generation("a"))

    async with Journal(path) as journal:
        assert await journal.record(Outcome(task_id="a", error=error))
        (back,) = [outcome async for outcome in journal.outcomes()]

    assert back.unwrap() == generation("a")


async def test_an_id_is_recorded_once(path: Path) -> None:
    """However often, and however nearly at the same time."""
    async with Journal(path) as journal:
        together = await asyncio.gather(*(journal.record(completed(task_id)) for task_id in "aabab"))
        again = await journal.record(completed("a"))

    assert (together, again) == ([True, False, True, False, False], False)
    assert held(path) == A + B


async def test_a_file_is_recorded_after_the_end(path: Path) -> None:
    """It has a line of its own, stays for the next run, and makes no second outcome."""
    async with Journal(path) as journal:
        told = [
            await journal.record(completed("a")),
            *await asyncio.gather(journal.record(completed("a"), file=Path("v/a.mp4")), journal.record(completed("b"))),
            await journal.record(completed("a"), file=Path("v/a.mp4")),
        ]
        before = journal.file("a"), journal.file("b")
    async with Journal(path) as journal:
        after = [outcome.task_id async for outcome in journal.outcomes()]

        assert (journal.file("a"), journal.file("b"), len(journal)) == (Path("v/a.mp4"), None, 2)
    assert (told, before, after) == ([True, True, True, False], (Path("v/a.mp4"), None), ["a", "b"])
    assert [json.loads(line)["path"] for line in held(path).splitlines()] == [None, "v/a.mp4", None]


async def test_an_end_and_its_file_at_once_are_both_recorded(path: Path) -> None:
    """The line of the file comes after that of the end."""
    async with Journal(path) as journal:
        await asyncio.gather(journal.record(completed("a")), journal.record(completed("a"), file=Path("a.mp4")))

    assert [json.loads(line)["path"] for line in held(path).splitlines()] == [None, "a.mp4"]


async def test_odd_task_ids_are_missing(path: Path) -> None:
    """What is no text stands in no journal."""
    async with Journal(path) as journal:
        await journal.record(completed("5"))

        assert 5 not in journal
        assert ["5"] not in journal


# --- what is missing ---


async def test_missing_takes_any_iterable_lazily(path: Path) -> None:
    """Nothing is read ahead, so that endless ids are fine; what ended meanwhile is left out."""
    taken: list[str] = []

    def ids() -> Iterator[str]:
        while True:
            taken.append(f"t-{len(taken)}")
            yield taken[-1]

    async with Journal(path) as journal:
        await journal.record(completed("t-0"))
        missing = journal.missing(ids())
        first = await anext(missing)
        await journal.record(completed("t-2"))
        second = await anext(missing)

    assert (first, second, len(taken)) == ("t-1", "t-3", 4)


async def test_missing_takes_an_async_iterable(path: Path) -> None:
    """A queue or a pipeline."""

    async def ids() -> AsyncIterator[str]:
        for task_id in "abc":
            yield task_id

    async with Journal(path) as journal:
        await journal.record(completed("b"))

        assert [task_id async for task_id in journal.missing(ids())] == ["a", "c"]


@pytest.mark.parametrize("ids", ["abc", b"abc", 5, None])
async def test_a_single_id_is_refused(path: Path, ids: Any) -> None:
    """It would be read letter by letter."""
    async with Journal(path) as journal:
        with pytest.raises(ConfigurationError, match="task_ids is a single"):
            journal.missing(ids)


# --- reading it back ---


def _answered(name: str) -> Outcome:
    """Return the end that a real answer is."""
    found = next(tasks_in(json.loads(sample(name).content)))
    task_id = found.task_id
    return Outcome(task_id=task_id, generation=read_task(sample(name).answer, task_id), elapsed=1.25, polls=2)


@pytest.mark.parametrize("name", [name for name in sample_names() if "completed" in name])
async def test_a_completed_generation_comes_back_whole(path: Path, name: str) -> None:
    """Every real answer, in whatever envelope it came."""
    outcome = _answered(name)

    async with Journal(path) as journal:
        await journal.record(outcome)
        (back,) = [outcome async for outcome in journal.outcomes()]

    assert back == outcome
    assert back.unwrap().raw == outcome.unwrap().raw != {}


async def test_a_generation_without_its_answer_keeps_its_link(path: Path) -> None:
    """One that a test made by hand, say."""
    made = Generation(id="a", state=State.COMPLETED, state_text="completed", result_url=generation("a").link("video"))  # type: ignore[arg-type]

    async with Journal(path) as journal:
        await journal.record(Outcome(task_id="a", generation=made))
        (back,) = [outcome.unwrap() async for outcome in journal.outcomes()]

    assert (back.id, back.state, back.video_url) == ("a", State.COMPLETED, LINK)


async def test_a_long_journal_is_read_piece_by_piece(path: Path) -> None:
    """Each line once, in order, blank ones passed over."""
    ids = [f"t-{number}" for number in range(4000)]
    put(path, b"\n".join(line(completed(task_id)) for task_id in ids))
    assert len(held(path)) > 2**20

    assert await ended(path) == ids


async def test_a_line_that_is_being_written_is_not_read(path: Path) -> None:
    """Only whole ones are."""
    async with Journal(path) as journal:
        put(path, A + B[:-1])

        assert [outcome.task_id async for outcome in journal.outcomes()] == ["a"]


# --- torn, damaged, foreign ---


@pytest.mark.parametrize("kept", [b"", A, A + B], ids=["first", "second", "third"])
async def test_a_torn_last_line_is_removed_wherever_it_was_torn(
    path: Path, kept: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is missing then, and recorded again on a line of its own."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of them are too many here
    for end in range(1, len(C) - 1):
        put(path, kept + C[:end])

        async with Journal(path) as journal:
            assert held(path) == kept
            assert "c" not in journal
            await journal.record(completed("c"))

        assert held(path) == kept + C


async def test_a_last_line_that_lacks_only_its_end_gets_it(path: Path) -> None:
    """Its outcome is whole, and stays."""
    put(path, A + B[:-1])

    async with Journal(path) as journal:
        assert "b" in journal
        assert held(path) == A + B


DAMAGED = [
    (A + B[:50] + b"\n" + C, 2),
    (A + B + C[:-5] + b"\n", 3),
    (A + b"\0" * 100 + b"\n" + C, 2),
    (A + B[:50] + C, 2),
    (A + b"\xff\n", 2),
    (A + b"hello", 2),
    (A + b"\0\0\0", 2),
    (b"hello", 1),
    (b"# ids\nabc\n", 1),
    (b"\x89PNG\r\n\x1a\n", 1),
    (b'{"name": "package"}', 1),
    (b'{"name": "pack', 1),
    (b"{}\n", 1),
    (b"[]\n", 1),
    (b"\n[]\n", 1),
    (b"{" * 100_000 + b"\n", 1),
    (b'{"task_id": "a"}\n', 1),
    (A.replace(b'"polls": 3', b'"polls": null'), 1),
    (A.replace(b'"elapsed": 12.5', b'"elapsed": NaN'), 1),
    (A.replace(b'"elapsed": 12.5', b'"elapsed": 1e400'), 1),
    (A.replace(b'"elapsed": 12.5', b'"elapsed": ' + b"9" * 21), 1),
    (A.replace(b'"elapsed": 12.5', b'"elapsed": ' + b"9" * 5000), 1),
]


@pytest.mark.parametrize(("content", "number"), DAMAGED, ids=[str(number) for number in range(len(DAMAGED))])
async def test_what_is_no_journal_is_refused_and_left_alone(path: Path, content: bytes, number: int) -> None:
    """The error names the line; only the beginning of a line of ours is ever removed."""
    put(path, content)

    with pytest.raises(
        ConfigurationError, match=f"is not a journal: line {number} is not an outcome .*delete that line"
    ):
        await ended(path)
    assert held(path) == content


_PIECE = st.one_of(st.sampled_from([A, B, C, A[:-1], B[:30], b"\n", b"{", b"hello\n"]), st.binary(max_size=5))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_PIECE))
def test_no_line_is_ever_lost(path: Path, pieces: list[bytes]) -> None:
    """Whatever a file holds: it stays as it is, but that a last line gets its end, or goes as a torn one of ours."""
    content = b"".join(pieces)
    put(path, content)
    whole, last = content[: content.rfind(b"\n") + 1], content[content.rfind(b"\n") + 1 :]

    try:
        loops.run(ended(path))
        is_journal = True
    except ConfigurationError:
        is_journal = False

    torn = is_journal and b'{"task_id": "'.startswith(last[:13])
    assert held(path) in ({content, content + b"\n", whole} if torn else {content, content + b"\n"})


# --- files that cannot serve ---


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, "it is not a regular file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
async def test_what_is_no_file_is_refused(path: Path, make: Callable[[Path], None], reason: str) -> None:
    """The error names it, and says why."""
    make(path)

    with pytest.raises(ConfigurationError, match=rf"batch\.jsonl cannot be used as a journal: {reason}"):
        await ended(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere/batch.jsonl", "No such file or directory"), ("a\0b", "embedded null (byte|character)")],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    """A directory is not made on the way."""
    with pytest.raises(ConfigurationError, match=reason):
        loops.run(ended(tmp_path / name))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [5, None, b"batch.jsonl"])
def test_what_is_no_name_is_refused(name: Any) -> None:
    """When the journal is made, not when it is opened."""
    with pytest.raises(ConfigurationError, match="is not a file name"):
        Journal(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_file_is_refused(path: Path) -> None:
    """What it holds is left alone."""
    put(path, A)
    path.chmod(0o400)

    with pytest.raises(ConfigurationError, match="Permission denied"):
        loops.run(ended(path))


async def test_a_journal_that_is_not_open_is_told(path: Path) -> None:
    """Before and after its block; what it knew it still knows. One that is open is not opened again."""
    journal = Journal(path)
    with pytest.raises(ConfigurationError, match="is not open"):
        journal.missing([])
    async with journal:
        await journal.record(completed("a"))
        with pytest.raises(ConfigurationError, match="is open already"):
            await journal.__aenter__()

    with pytest.raises(ConfigurationError, match="is not open"):
        await journal.record(completed("b"))
    assert "a" in journal
    async with journal:
        assert len(journal) == 1


# --- one at a time ---


async def test_two_journals_on_one_file_are_one_too_many(path: Path) -> None:
    """The second is told so, and can have it when the first has left."""
    async with Journal(path) as first:
        with pytest.raises(ConfigurationError, match=r"is in use as the journal of another run .*give another file"):
            await ended(path)
        await first.record(completed("a"))

    assert await ended(path) == ["a"]


async def test_a_file_system_without_locks_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lock two runs could spoil each other's lines."""
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))

    with pytest.raises(ConfigurationError, match="No locks available"):
        await ended(path)


_ON_WINDOWS = """
import asyncio, os, sys, types
import luma_async.client
held = set()
def locking(descriptor, mode, count):
    place = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
    if place in held or (mode, count) != (2, 1) or place[1] < 2**40:
        raise PermissionError(13, "Permission denied")
    held.add(place)
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
sys.platform = "win32"
import luma_async.journal
sys.platform = "linux"
async def main():
    async with luma_async.Journal(sys.argv[1]):
        try:
            await luma_async.Journal(sys.argv[1]).__aenter__()
        except luma_async.ConfigurationError as error:
            print(error)
asyncio.run(main())
"""


def test_windows_locks_a_byte_that_no_journal_has(path: Path) -> None:
    """So that the file can be read meanwhile, and a second journal is told the same as elsewhere."""
    put(path, A)

    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "error", "-c", _ON_WINDOWS, str(path)], capture_output=True, text=True, check=True
    )

    assert "is in use as the journal of another run" in done.stdout


# --- a disk that is slow, full or broken ---


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond *size* bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_loses_nothing(path: Path) -> None:
    """Each record that found no room is told so, the file holds whole lines, and the same call works when there is."""
    async with Journal(path) as journal:
        await journal.record(completed("a"))
        with room_for(len(A) + 100):
            errors = await asyncio.gather(*(journal.record(completed(i)) for i in "bc"), return_exceptions=True)
        then = held(path)
        await journal.record(completed("b"))

    assert [type(error) for error in errors] == [JournalError, JournalError]
    assert "task b: the outcome cannot be recorded in" in str(errors[0])
    assert "File too large (make room" in str(errors[0])
    assert (errors[0] is errors[1], then, held(path)) == (False, A, A + B)


async def test_a_disk_that_takes_half_a_line_gets_the_rest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is no failure."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))

    async with Journal(path) as journal:
        await journal.record(completed("a"))

    assert held(path) == A


@pytest.mark.parametrize("left", [20, len(A)], ids=["half a line", "a line"])
async def test_what_a_failed_write_left_is_removed_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """Where it cannot be removed at once either: nothing is ever written behind half a line, or one that failed."""
    truncate, write = os.ftruncate, os.write

    def write_half(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:left])
        raise OSError(errno.EIO, "Input/output error")

    async with Journal(path) as journal:
        monkeypatch.setattr(os, "ftruncate", refusing(errno.EIO))
        monkeypatch.setattr(os, "write", write_half)
        for _ in range(2):
            with pytest.raises(JournalError, match="Input/output error"):
                await journal.record(completed("a"))
        assert held(path) == A[:left]
        monkeypatch.setattr(os, "ftruncate", truncate)
        monkeypatch.setattr(os, "write", write)
        await journal.record(completed("b"))

    assert held(path) == B


@pytest.mark.parametrize("rest", [b"", A, A[:5], A + B[:-1], A + A[:-7]], ids=len)
async def test_nothing_is_written_behind_half_a_line_of_another_program(path: Path, rest: bytes) -> None:
    """Somebody has cut the open journal, or added a half line to it: whole lines stay, and the new one is found."""
    async with Journal(path) as journal:
        await journal.record(completed("a"))
        put(path, rest)
        assert await journal.record(completed("b"))

    whole = rest[: rest.rfind(b"\n") + 1]
    assert held(path) == whole + B
    async with Journal(path) as journal:
        assert "b" in journal


async def test_a_foreign_half_line_is_not_removed(path: Path) -> None:
    """It is not ours; the record is refused, and can be repeated once the file is right again."""
    async with Journal(path) as journal:
        await journal.record(completed("a"))
        put(path, A + b"see above")
        with pytest.raises(JournalError, match="half a line of its own"):
            await journal.record(completed("b"))
        assert held(path) == A + b"see above"
        put(path, A)
        assert await journal.record(completed("b"))

    assert held(path) == A + B


async def test_a_flush_that_fails_is_a_line_that_is_not_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be on the disk or not is taken back, so that it can be recorded again."""
    async with Journal(path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: os.write(-1, b""))
            with pytest.raises(JournalError, match="Bad file descriptor"):
                await journal.record(completed("a"))
        assert held(path) == b""
        assert await journal.record(completed("a"))


async def test_a_new_name_is_brought_to_the_disk_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first line is: a power cut must not take the whole file away."""
    flushed: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(stat.S_ISDIR(os.fstat(descriptor).st_mode)))

    async with Journal(path) as journal:
        early = flushed.copy()
        await journal.record(completed("a"))

    assert (early, flushed) == ([False, True], [False, True, False])


async def test_a_file_that_was_deleted_is_noticed(path: Path) -> None:
    """Lines that nobody could find again are not written."""
    async with Journal(path) as journal:
        os.unlink(path)  # noqa: PTH108 - as somebody else would

        with pytest.raises(JournalError, match="it has been deleted"):
            await journal.record(completed("a"))
        with pytest.raises(ConfigurationError, match="No such file"):
            await anext(aiter(journal.outcomes()))


def replace(path: Path) -> None:
    """Put an empty file in the place of *path*, as an editor or ``mv`` does; the old one is kept beside it."""
    path.rename(path.with_suffix(".1"))
    path.touch()


def remove_directory(path: Path) -> None:
    """Move the directory of *path* away."""
    path.parent.rename(path.parent.with_suffix(".old"))


@pytest.mark.parametrize(
    "move",
    [lambda path: path.rename(path.with_suffix(".1")), replace, remove_directory],
    ids=["renamed", "replaced", "directory"],
)
async def test_a_journal_that_was_moved_records_nothing_until_it_is_back(
    tmp_path: Path, move: Callable[[Path], None]
) -> None:
    """A line under another name would be lost to the next run, so ``record`` raises; reading does not mix two files."""
    path = tmp_path / "place" / "batch.jsonl"
    path.parent.mkdir()
    async with Journal(path) as journal:
        await journal.record(completed("a"))
        move(path)
        with pytest.raises(JournalError, match="it has been moved"):
            await journal.record(completed("b"))
        with pytest.raises(ConfigurationError, match=r"moved|No such file"):
            await anext(aiter(journal.outcomes()))

        for moved, place in ((path.parent.with_suffix(".old"), path.parent), (path.with_suffix(".1"), path)):
            if moved.exists():
                moved.replace(place)
        assert await journal.record(completed("b"))

    assert held(path) == A + B


async def test_a_journal_stays_where_it_is_when_the_process_changes_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path names the file that was opened."""
    monkeypatch.chdir(tmp_path)
    async with Journal("batch.jsonl") as journal:
        (tmp_path / "below").mkdir()
        monkeypatch.chdir("below")
        assert await journal.record(completed("a"))
        assert [outcome.task_id async for outcome in journal.outcomes()] == ["a"]


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o777])
async def test_a_file_that_others_could_read_becomes_private(path: Path, mode: int) -> None:
    """The lines of standard output are in such a file; answers hold prompts and links."""
    put(path, A)
    os.chmod(path, mode)  # noqa: PTH101 - not awaited

    assert await ended(path) == ["a"]
    assert mode_of(path) == 0o600


async def test_that_others_can_read_a_journal_is_logged(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another owner's file, or a file system without permissions, keeps its mode."""
    put(path, A)
    os.chmod(path, 0o644)  # noqa: PTH101 - not awaited
    monkeypatch.setattr(os, "fchmod", refusing(errno.EPERM))

    assert await ended(path) == ["a"]
    assert [record.getMessage() for record in caplog.records] == [
        f"other users of this machine can open the journal {path}"
    ]


async def test_a_refused_file_keeps_its_permissions(path: Path) -> None:
    """What is not a journal is not changed."""
    put(path, b"a video")
    os.chmod(path, 0o644)  # noqa: PTH101 - not awaited

    with pytest.raises(ConfigurationError):
        await ended(path)
    assert mode_of(path) == 0o644


async def test_a_line_without_an_end_is_refused_with_little_memory(path: Path) -> None:
    """A line is read up to a limit, so a file that is no journal does not fill the memory."""
    with path.open("wb") as file:
        file.write(A + b'{"task_id": "')
        file.truncate(2**30)

    tracemalloc.start()
    with pytest.raises(ConfigurationError, match="line 2 is not an outcome"):
        await ended(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 4 * LONGEST_LINE


async def test_a_line_that_the_next_run_would_refuse_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is too long for a line is an error of ``record``, and the file stays a journal."""
    monkeypatch.setattr("luma_async.journal.LONGEST_LINE", len(A) - 1)
    async with Journal(path) as journal:
        with pytest.raises(JournalError, match="more than"):
            await journal.record(completed("a"))

    assert held(path) == b""


class Disk:
    """A disk whose flushes can be counted and held up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flushes = self.under_way = 0
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._flush)

    def _flush(self, descriptor: int) -> None:
        self.flushes += 1
        self.under_way += 1
        try:
            assert self.goes_on.wait(20)
            self._fsync(descriptor)
        finally:
            self.under_way -= 1

    async def is_busy(self, flushes: int) -> None:
        """Wait until so many flushes have started."""
        while self.flushes < flushes:  # noqa: ASYNC110 - a thread brings it about
            await asyncio.sleep(0.001)

    async def hold(self, journal: Journal) -> asyncio.Task[bool]:
        """Start to record task a, and return when the disk has got its line and is busy with it."""
        before = self.flushes
        self.goes_on.clear()
        record = asyncio.create_task(journal.record(completed("a")))
        await self.is_busy(before + 1)
        return record


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk of this test."""
    return Disk(monkeypatch)


async def test_a_thousand_outcomes_at_once_cost_two_flushes(path: Path, disk: Disk) -> None:
    """Those that come while the disk is busy wait together."""
    async with Journal(path) as journal:
        before = disk.flushes
        first = await disk.hold(journal)
        others = [asyncio.create_task(journal.record(completed(f"t-{number}"))) for number in range(1000)]
        await asyncio.sleep(0)
        disk.goes_on.set()
        await asyncio.gather(first, *others)

        assert (disk.flushes - before, len(journal)) == (2, 1001)


async def test_a_line_is_on_the_disk_before_record_returns(path: Path, disk: Disk) -> None:
    """The event loop goes on meanwhile, and the id has not ended until then."""
    async with Journal(path) as journal:
        record = await disk.hold(journal)
        early = record.done(), "a" in journal
        disk.goes_on.set()
        await record

        assert (early, "a" in journal) == ((False, False), True)


async def test_leaving_waits_for_what_is_being_recorded(path: Path, disk: Disk) -> None:
    """A record that was cancelled stops waiting at once, but its line is whole, and so are those behind it."""
    journal = Journal(path)
    async with journal:
        records = [await disk.hold(journal)]
        records += [asyncio.create_task(journal.record(completed(task_id))) for task_id in "bc"]
        await asyncio.sleep(0)
        for record in records[:2]:
            record.cancel()
        await asyncio.wait(records[:2])
        threading.Timer(0.05, disk.goes_on.set).start()

    assert [record.cancelled() for record in records[:2]] == [True, True]
    assert await records[2]
    assert held(path) == A + B + C


async def test_one_who_gives_up_leaves_the_other_alone(path: Path, disk: Disk) -> None:
    """Two record the same id, and the first is cancelled."""
    async with Journal(path) as journal:
        first = await disk.hold(journal)
        second = asyncio.create_task(journal.record(completed("a")))
        await asyncio.sleep(0)
        first.cancel()
        disk.goes_on.set()

        assert await second is False
        assert first.cancelled()


async def test_cancelled_while_opening_it_gives_up_the_lock(path: Path, disk: Disk) -> None:
    """Cancelling ends the waiting at once; the file that is opened for nobody is closed again."""
    disk.goes_on.clear()
    opening = asyncio.create_task(Journal(path).__aenter__())
    await disk.is_busy(1)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()

    disk.goes_on.set()

    assert await opened_in_the_end(path) == []


async def opened_in_the_end(path: Path) -> list[str]:
    """Return the ids in the journal at *path* as soon as nobody else has it open."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await ended(path)
            except ConfigurationError:
                await asyncio.sleep(0.001)


def test_a_file_that_was_closed_writes_nowhere(path: Path, tmp_path: Path) -> None:
    """Not into the file either that has got its number since."""
    file = LineFile.opened(path, LineKind(name="", line="", start=b"", advice=""), lambda _: None)
    file.close()
    with (tmp_path / "other").open("w+b") as other:
        assert other.fileno() == file.descriptor

        with pytest.raises(OSError, match="it is closed"):
            file.append(A)
        file.close()

        assert other.read() == b""


@pytest.mark.parametrize("starts", [True, False])
async def test_a_writer_that_is_cancelled_leaves_nobody_waiting(path: Path, disk: Disk, *, starts: bool) -> None:
    """Each ``record`` ends in an error when the writer's task is cancelled, before its first step or in a write."""
    async with Journal(path) as journal:
        records = [asyncio.create_task(journal.record(completed(task_id))) for task_id in "ab"]
        if starts:
            disk.goes_on.clear()
            await disk.is_busy(3)
            records.append(asyncio.create_task(journal.record(completed("c"))))
        await asyncio.sleep(0)
        [task.cancel() for task in asyncio.all_tasks() if task.get_name() == "luma_async journal"]
        await asyncio.wait(records, timeout=5)
        disk.goes_on.set()

        assert [type(record.exception()) for record in records] == [JournalError] * len(records)
        assert await journal.record(completed("d"))


async def test_any_error_of_a_write_reaches_the_caller(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor that has been shut down raises RuntimeError, for example."""

    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures")

    async with Journal(path) as journal:
        monkeypatch.setattr(LineFile, "append", refuse)

        with pytest.raises(JournalError, match="cannot schedule new futures"):
            await asyncio.wait_for(journal.record(completed("a")), 5)


async def test_closing_does_not_wait_for_a_stalled_disk(path: Path, disk: Disk) -> None:
    """Cancelled twice, the block ends while the disk is busy; the lock is gone as soon as the write has ended."""

    async def record() -> None:
        async with Journal(path) as journal:
            disk.goes_on.clear()
            await journal.record(completed("a"))

    task = asyncio.create_task(record())
    await disk.is_busy(3)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
    await asyncio.wait([task], timeout=5)
    early = task.cancelled(), disk.under_way
    disk.goes_on.set()

    assert early == (True, 1)
    assert await opened_in_the_end(path) == ["a"]


def test_an_event_loop_that_ends_in_the_middle_leaves_whole_lines(path: Path, disk: Disk) -> None:
    """Everything is cancelled at once, the journal's own task too."""

    async def main() -> None:
        async with Journal(path) as journal:
            _ = await disk.hold(journal)
            for task in asyncio.all_tasks():
                task.cancel()
            threading.Timer(0.05, disk.goes_on.set).start()

    with pytest.raises(asyncio.CancelledError):
        loops.run(main())

    assert held(path) == A


async def test_several_files_are_recorded_by_their_roles(path: Path, tmp_path: Path) -> None:
    """With their sizes, also one that is stored in a later run; the others stay."""
    video, picture = tmp_path / "a.mp4", tmp_path / "a.jpg"
    video.write_bytes(b"12345")
    async with Journal(path) as journal:
        told = [await journal.record(completed("a"), files={"video": video, "thumbnail": None}) for _ in range(2)]
    async with Journal(path) as journal:
        await journal.record(completed("a"), files={"thumbnail": picture})

        found = [(journal.file("a", role), journal.size("a", role)) for role in ("video", "thumbnail", "last_frame")]
        assert (told, found) == ([True, False], [(video, 5), (picture, None), (None, None)])
        assert journal.file("a") == video
    lines = [json.loads(line) for line in held(path).splitlines()]
    assert [(line["path"], line.get("paths"), line.get("sizes")) for line in lines] == [
        (str(video), {"video": str(video)}, {"video": 5}),
        (str(picture), {"thumbnail": str(picture)}, None),
    ]


async def test_a_journal_that_an_editor_has_saved_goes_on(path: Path) -> None:
    """With a byte order mark before its first line."""
    async with Journal(path) as journal:
        await journal.record(completed("a"))
    put(path, b"\xef\xbb\xbf" + held(path))

    async with Journal(path) as journal:
        await journal.record(completed("b"))

        assert ["a" in journal, len(journal)] == [True, 2]
        assert [outcome.task_id async for outcome in journal.outcomes()] == ["a", "b"]


async def test_a_journal_in_utf_16_is_named(path: Path) -> None:
    """PowerShell's ``>`` writes one; no line of it is to be deleted."""
    put(path, '{"task_id": "a"}'.encode("utf-16"))

    with pytest.raises(ConfigurationError, match="is in UTF-16, and a journal is ASCII"):
        async with Journal(path):
            raise AssertionError
