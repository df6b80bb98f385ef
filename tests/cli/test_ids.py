"""Where ids come from, without a process."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import sys
from pathlib import Path

import pytest

from luma_async import ConfigurationError
from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids, _Pipe, lines_of
from luma_async.cli.output import report_error
from luma_async.cli.rows import Prompts


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"\n  \n\t\r\na\n", ["a"]),
        (b"# first\na\n  # second\n#b\n", ["a"]),
        (b"  a  # a note\nb\t# another\n", ["a", "b"]),
        (b"a#b\n", ["a#b"]),
        (b"a b\n", ["a b"]),
        (b"\xff\n", ["\udcff"]),
        (b"a\x0bb\xe2\x80\xa8c\n", ["a\x0bb\u2028c"]),
    ],
)
def test_a_line_is_an_id_or_nothing(text: bytes, ids: list[str]) -> None:
    """Blank lines, comments, CRLF and a byte order mark are no part of an id; anything odd stays for the client."""
    assert list(Ids(iter(())).texts_in(lines_of(io.BytesIO(text), "task ids"))) == ids


async def taken(ids: Ids) -> list[str]:
    """Return all *ids*."""
    return [task_id async for task_id in ids]


async def test_arguments_come_before_the_file_and_each_id_once(tmp_path: Path) -> None:
    """An id that stands in the arguments and twice in the file is taken once, in the order of the first time."""
    file = tmp_path / "ids.txt"
    file.write_text("c\nb\nc\na\n")

    assert await taken(Ids.of(["a", "b", "a"], str(file))) == ["a", "b", "c"]


async def test_what_nobody_took_up_is_the_rest(tmp_path: Path) -> None:
    """The rest holds neither ids that were taken up nor any id twice."""
    file = tmp_path / "ids.txt"
    file.write_text("b\nc\nc\na\n")
    ids = Ids.of(["a"], str(file))

    first, second = await anext(ids), await anext(ids)

    assert (first, second, ids.remaining()) == ("a", "b", ["c"])


async def test_a_pipe_is_read_as_it_comes() -> None:
    """An id is handed out while the pipe is still open, and the end of the pipe is the end of the ids."""
    reading, writing = os.pipe()
    ids = Ids.of([], f"/dev/fd/{reading}")
    os.write(writing, b"a\n")

    first = await asyncio.wait_for(anext(ids), 5)
    os.write(writing, b"b\nb\n\nc")
    os.close(writing)
    others = await taken(ids)
    os.close(reading)

    assert (first, others) == ("a", ["b", "c"])


async def test_a_pipe_may_hold_more_than_is_read_ahead() -> None:
    """The thread that reads goes on whenever ids have been taken up."""
    reading, writing = os.pipe()
    many = [f"task-{number}" for number in range(2500)]
    ids = Ids.of([], f"/dev/fd/{reading}")
    os.write(writing, "\n".join(many).encode())
    os.close(writing)

    all_of_them = await asyncio.wait_for(taken(ids), 20)
    os.close(reading)

    assert all_of_them == many


async def test_the_rest_of_a_pipe_is_told_without_waiting() -> None:
    """The rest is what has arrived, though the pipe is open and more may come."""
    reading, writing = os.pipe()
    ids = Ids.of([], f"/dev/fd/{reading}")
    os.write(writing, b"a\nb\nc\nd\n")

    first, second = await anext(ids), await anext(ids)
    rest = ids.remaining()
    os.close(writing)
    os.close(reading)

    assert (first, second) == ("a", "b")
    assert rest == ["c", "d"][: len(rest)]


class Broken(io.BytesIO):
    """A file whose device goes away after the first line."""

    error: Exception = OSError(errno.EIO, "Input/output error")

    def read1(self, _: int | None = -1) -> bytes:
        """Return the first line, and fail from then on."""
        if self.tell():
            raise self.error
        return self.readline()


async def test_a_source_that_breaks_off_is_a_mistake_after_its_ids() -> None:
    """What was read before is handed out, and then the reason."""
    ids = Ids(iter(()), _Pipe(Broken(b"a\nb\n")))

    first = await anext(ids)

    assert first == "a"
    with pytest.raises(ConfigurationError, match="the task ids cannot be read: Input/output error"):
        await asyncio.wait_for(anext(ids), 5)


@pytest.mark.parametrize("error", [io.UnsupportedOperation("read"), MemoryError()])
async def test_any_error_of_reading_ends_the_ids(error: Exception) -> None:
    """An error without a number of the system leaves no command waiting for a next line."""
    broken = Broken(b"a\nb\n")
    broken.error = error
    ids = Ids(iter(()), _Pipe(broken))

    await anext(ids)

    with pytest.raises(ConfigurationError, match=f"cannot be read: {type(error).__name__}"):
        await asyncio.wait_for(anext(ids), 5)


async def test_a_file_that_breaks_off_is_a_mistake_too() -> None:
    """One that is no pipe can be read as little; what was read of it is told."""
    ids = Ids(lines_of(Broken(b"a\nb\n"), "task ids"))

    assert await anext(ids) == "a"
    assert ids.remaining() == []
    with pytest.raises(ConfigurationError, match="the task ids cannot be read: Input/output error") as broken:
        await taken(Ids(lines_of(Broken(b"a\nb\n"), "task ids")))
    assert broken.value.__notes__ == ["lines that had been read before: 1"]


def test_a_file_that_cannot_be_read_is_told_with_the_lines_before(capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with the reason, and says how far it came."""
    trouble = ConfigurationError("the task ids cannot be read")
    trouble.add_note("lines that had been read before: 7")

    assert report_error(trouble) is Status.USAGE

    lines = capsys.readouterr().err.splitlines()
    assert lines == ["luma-async: the task ids cannot be read", "luma-async: lines that had been read before: 7"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("piped", [True, False])
async def test_ids_as_windows_writes_them(tmp_path: Path, encoding: str, piped: bool) -> None:  # noqa: FBT001
    """From a file and from a pipe, with a mark and without, the last line without a break."""
    file = tmp_path / "ids.txt"
    file.write_bytes("u-1\r\n# ü\r\n\r\nu-2\r\nu-3".encode(encoding))
    reading, writing = os.pipe()
    os.write(writing, file.read_bytes())
    os.close(writing)

    ids = await taken(Ids.of([], f"/dev/fd/{reading}" if piped else str(file)))
    os.close(reading)

    assert ids == ["u-1", "u-2", "u-3"]


async def test_a_pipe_in_utf_16_is_read_as_it_comes() -> None:
    """A line is handed out while the pipe is open, though the byte of its break is not its last."""
    reading, writing = os.pipe()
    ids = Ids.of([], f"/dev/fd/{reading}")
    os.write(writing, "a\r\n".encode("utf-16"))

    first = await asyncio.wait_for(anext(ids), 5)
    os.write(writing, "b\r\n".encode("utf-16-le"))
    second = await asyncio.wait_for(anext(ids), 5)
    os.close(writing)
    os.close(reading)

    assert (first, second) == ("a", "b")


def test_what_comes_after_the_command_s_end_is_left_alone() -> None:
    """The thread that reads a pipe ends quietly when its event loop has."""
    reading, writing = os.pipe()
    ids = Ids.of([], f"/dev/fd/{reading}")
    os.write(writing, b"a\n")

    first = asyncio.run(anext_of(ids))
    assert ids._pipe is not None
    reader = ids._pipe._reader
    assert reader is not None
    os.write(writing, b"b\n")
    reader.join(5)
    os.close(writing)
    os.close(reading)

    assert first == "a"
    assert not reader.is_alive()


async def anext_of(ids: Ids) -> str:
    """Return the next of *ids*: ``asyncio.run`` takes a coroutine, and ``anext`` gives none."""
    return await anext(ids)


@pytest.mark.parametrize("content", ["", "\n# none\n"])
async def test_a_source_without_any_id_is_a_mistake(tmp_path: Path, content: str) -> None:
    """An empty file of ids is told, for a command that did nothing would look like success."""
    file = tmp_path / "ids.txt"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match="no task ids"):
        await taken(Ids.of([], str(file)))


@pytest.mark.parametrize("name", ["missing.txt", ".", "nul\0"])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path, name: str) -> None:
    """A missing file, a directory and an impossible name are refused with the name in the text."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Ids.of([], f"{tmp_path}/{name}")


def test_without_standard_input_ids_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose standard input is closed says what is missing."""
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(ConfigurationError, match="no task ids"):
        Ids.of([], None)


OURS = [
    b'{"task_id": "j-1", "state": "completed", "video_url": null, "error": null, "elapsed": 1.0, "polls": 2}',
    b'{"prompt": "a {cat} # not a comment", "task_id": "j-2", "error": null}',
    b'{"task_id": 4711, "generation": {"task_id": "inner", "prompt": "%s"}}' % (b"x" * 2**21),
    b'{"task_id": "deep-4", "generation": ' + b'{"a":' * 64 + b"1" + b"}" * 65,
    b"  plain-5 # a comment",
]
OUR_IDS = ["j-1", "j-2", "4711", "deep-4", "plain-5"]
WITHOUT = [
    b'{"prompt": "a dog", "task_id": null, "error": {"type": "UncertainSubmitError"}}',
    b'{"generation": {"task_id": "inner"}}',
    b'{"task_id": true}',
    b'{"task_id": ["a"]}',
    b'{"task_id": "cut',
    b"{}",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("piped", [True, False])
async def test_our_own_lines_are_ids(tmp_path: Path, encoding: str, piped: bool) -> None:  # noqa: FBT001
    """Each JSON line gives its own task id, ended or not, however long it is; one without is counted."""
    file = tmp_path / "lines"
    file.write_bytes(b"\r\n".join([*OURS[:2], *WITHOUT, *OURS[2:], OURS[0]]).decode().encode(encoding))
    source = str(file)
    if piped:
        source = str(tmp_path / "pipe")
        os.mkfifo(source)
        writer = asyncio.create_task(asyncio.to_thread(lambda: Path(source).write_bytes(file.read_bytes())))

    ids = await asyncio.to_thread(Ids.of, [], source)

    assert ids.known() == (None if piped else OUR_IDS)
    assert await asyncio.wait_for(taken(ids), 5) == OUR_IDS
    assert ids.without == len(WITHOUT)
    if piped:
        await writer


async def test_lines_without_any_id_are_counted_not_refused(tmp_path: Path) -> None:
    """A batch of submits that were all refused has nothing to wait for, and says so by its count."""
    file = tmp_path / "submitted.jsonl"
    file.write_bytes(b"\n".join(WITHOUT))
    ids = Ids.of([], str(file))

    assert (await taken(ids), ids.without) == ([], len(WITHOUT))


def test_an_argument_that_is_a_file_gets_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An id may be the name of a file by chance, so it stays an id; a prompt costs money, so it is refused."""
    file = tmp_path / "ids.txt"
    file.write_text("a\n")

    assert Ids.of([str(file), "no-file"], None).known() == [str(file), "no-file"]
    assert capsys.readouterr().err.count("--from") == 1
    with pytest.raises(ConfigurationError, match=r"is a file.*--from"):
        Prompts.of([str(file)], None)
