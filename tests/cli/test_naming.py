"""What leaves no id unnamed, without a process."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Literal

import pytest

from luma_async import GenerationOptions, LumaClient
from luma_async._text import shown
from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids, _Pipe
from luma_async.cli.manifests import Row
from luma_async.cli.naming import ResumeCommand, name_all, name_few
from luma_async.cli.options import Files, GenerationFlags, Output, Relay, Storing, Waiting, words_of
from luma_async.cli.output import OutputLostError
from luma_async.cli.rows import Prompts, Rows
from luma_async.cli.running import _Stop, _stops
from luma_async.cli.show import Board
from luma_async.cli.work import _open_ids_named

AGAIN = ResumeCommand(("wait", "--journal", "a b.jsonl"), "ids.txt", frozenset({"t-0", "t-1"}))
IDS = [f"t-{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([Relay(), Waiting(), Storing(), Output()], ""),
        ([Relay(base_url="https://a.b", key_file=Path("k"))], "--base-url https://a.b --key-file k"),
        ([Relay(insecure_http=True, requests_per_second=1.5)], "--insecure-http --requests-per-second 1.5"),
        (
            [Waiting(timeout=None, initial_interval=3.0, journal=Path("j"))],
            "--timeout none --initial-interval 3.0 --journal j",
        ),
        ([Storing(download=Path("v"), private_media=True)], "--private-media --download v"),
        (
            [Files(directory=Path("v"), role=("video", "thumbnail"), overwrite=True, exec_="ls -l")],
            "--role video --role thumbnail --overwrite --exec ls -l --directory v",
        ),
        (
            [
                Relay(header=("X-Team=s3cret", "X=")),
                Storing(download=Path("v"), media_header=("User-Agent=a b",), key_for_relay_media=True),
            ],
            "--header X-Team=... --header X=... --media-header User-Agent=... --key-for-relay-media --download v",
        ),
        ([Output(as_json=True, verbose=True, bell=True)], "--json --verbose --bell"),
    ],
)
def test_options_become_the_words_that_give_them(options: list[object], words: str) -> None:
    """Those that are as by default have none."""
    assert " ".join(words_of(*options)) == words


def test_a_few_arguments_stand_in_the_line() -> None:
    """Many do not, and ids of the file never do."""
    many = ResumeCommand(("wait",), None, frozenset(IDS))

    assert AGAIN.for_ids(IDS) == "luma-async wait --journal 'a b.jsonl' --from ids.txt t-0 t-1"
    assert AGAIN.for_ids(["t-1"]).endswith("ids.txt t-1")
    assert many.for_ids(IDS) == f"luma-async wait {' '.join(IDS[:10])} ... (the same ids as before)"


@pytest.mark.parametrize(
    ("count", "last"),
    [
        (2, "luma-async: to go on: luma-async wait --brief luma_0 luma_1"),
        (11, "luma-async: to go on, save these ids in a file: luma-async wait --brief --from ids.txt"),
    ],
)
def test_ids_of_a_pipe_or_a_submit_have_the_command_that_goes_on(
    capsys: pytest.CaptureFixture[str], count: int, last: str
) -> None:
    """It holds a few of them; more are to be saved. All are named before it."""
    ids = [f"luma_{number}" for number in range(count)]

    name_all("not done", ids, ResumeCommand(("wait", "--brief"), None, frozenset()))

    assert capsys.readouterr().err.splitlines() == ["luma-async: not done:", *ids, last]


def test_nothing_is_said_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither way."""
    name_few("none", [], AGAIN)
    name_all("none", [], AGAIN)

    assert capsys.readouterr().err == ""


def test_without_a_line_to_go_on_there_are_names_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A relay that ends with the process has nothing more to tell."""
    name_few("two", ["a", "b\n"], None)

    assert capsys.readouterr().err == "luma-async: two:\na\nb\\n\n"


class Terminal:
    """A standard error that is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> Literal[True]:
        """Say so."""
        return True

    def write(self, text: str) -> None:
        """Keep *text*."""
        self.text += text

    def flush(self) -> None:
        """Do nothing."""

    def fileno(self) -> int:
        """Have none."""
        raise OSError


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_terminal_shows_all_where_no_file_can_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_writable: bool
) -> None:
    """Else ten of them, and prompts are comments in the file."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"luma-async-open-{os.getpid()}.txt"
    if not is_writable:
        path.mkdir()

    name_all("not submitted", IDS)

    assert terminal.text.count("t-") == (10 if is_writable else 12)
    if is_writable:
        assert path.read_text(encoding="utf-8") == "\n".join(["# not submitted:", *(f"# {i}" for i in IDS), ""])
        assert terminal.text.endswith(f"luma-async: all 12 are in {path.name}\n")


def test_a_signal_names_open_ids_whatever_error_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A write to a terminal that has gone can fail before the signal cancels anything."""
    stopping = _Stop(status=Status.HUNG_UP)
    before = _stops.set(stopping)
    board, ids = Board(), Ids.of(["a"], None)
    luma, again = LumaClient("https://relay.example", "key"), ResumeCommand(("wait",), None, frozenset({"a"}))
    try:
        with pytest.raises(OutputLostError), _open_ids_named(board, ids, luma, None, again):
            raise OutputLostError(OSError(5, "gone"))
    finally:
        _stops.reset(before)

    assert "stopped with 1 not done:\na\n" in capsys.readouterr().err


UNFIT = "one has line breaks, is longer than 2000 characters, or would not be read as a prompt"
OWN = "leave only these rows in the manifest, and start the same command"
OPTIONS = GenerationOptions(aspect_ratio="16:9")
LONG = "a cat " * 400


@pytest.mark.parametrize(
    ("rest", "last"),
    [
        (["it's a cat", "-x"], "to go on: luma-async submit --aspect-ratio 16:9 -- 'it'\"'\"'s a cat' -x"),
        (
            ["a cat"] * 11,
            "to go on, save these prompts in a file: luma-async submit --aspect-ratio 16:9 --from prompts.txt",
        ),
        (["a cat", "a\ndog"], f"no command goes on with these: {UNFIT}"),
        ([LONG], f"no command goes on with these: {UNFIT}"),
        (["# a cat"], f"no command goes on with these: {UNFIT}"),
        ([Row("a cat", OPTIONS, name="x")], f"no command goes on with these: {OWN}"),
        ([Row("a cat", GenerationOptions(loop=True))], f"no command goes on with these: {OWN}"),
        ([], None),
    ],
    ids=["few", "many", "lines", "long", "comment", "name", "options", "none"],
)
def test_prompts_that_were_not_submitted_have_the_command_that_submits_exactly_these(
    capsys: pytest.CaptureFixture[str], rest: list[str | Row], last: str | None
) -> None:
    """Or the reason why there is none: a command with less, with more or with other options would cost money."""
    rows = [each if isinstance(each, Row) else Row(each, OPTIONS) for each in rest]
    command = ResumeCommand(("submit", "--aspect-ratio", "16:9"), None, frozenset(), what="prompts")

    Rows.of(["any"], None, OPTIONS).name_rest(rows, command)

    lines = capsys.readouterr().err.splitlines()
    assert lines[-1:] == ([] if last is None else [f"luma-async: {last}"])
    assert lines[1:-1] == [shown(row.prompt, 2000) for row in rows]


def test_a_pipe_may_have_more_prompts_than_were_read(capsys: pytest.CaptureFixture[str]) -> None:
    """The command submits those that were, and the line above them says so."""
    rows = Rows(OPTIONS, Prompts(iter(()), _Pipe(io.BytesIO())))

    rows.name_rest([Row("a cat", OPTIONS)], ResumeCommand(("submit",), None, frozenset(), what="prompts"))

    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "luma-async: not submitted, of what was read of standard input:"


def test_prompts_in_a_file_are_those_that_a_submit_reads_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a terminal; it is not the file of open ids, which would be submitted as prompts."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.chdir(tmp_path)
    prompts, path = [f"cat {number}" for number in range(12)], f"luma-async-prompts-{os.getpid()}.txt"
    command = ResumeCommand(("submit",), None, frozenset(), what="prompts")

    Rows.of(["any"], None, OPTIONS).name_rest([Row(prompt, OPTIONS) for prompt in prompts], command)

    said = " ".join(terminal.text.split())
    assert said.endswith(f"all 12 are in {path}; to go on: luma-async submit --from {path}")
    assert [row.prompt for row in Rows.of([], path, OPTIONS).known() or []] == prompts


def test_pictures_and_hooks_are_left_out_of_a_command() -> None:
    """A picture may have megabytes, and the path of a hook may be a secret."""
    flags = GenerationFlags(image_url="https://a.b/c?signature=d", notify_hook="https://a.b/secret", loop=True)

    assert " ".join(words_of(flags)) == "--image-url ... --notify-hook ... --loop"
