"""``luma-async gallery``: lines in, a page out, and nothing lost on the way."""

from __future__ import annotations

import json
import os
import pty
import stat
from pathlib import Path

import pytest

from luma_async.cli import main
from luma_async.testing import SimulatedRelay
from tests.cli.batch import Told
from tests.cli.command import FAST
from tests.cli.conftest import Command
from tests.cli.parsed import parsed

OTHER = Told(task_id="luma_gen_2", prompt="a fox").line


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that the command runs in; it holds outcomes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outcomes.jsonl").write_bytes(Told().line)
    return tmp_path


def headings(page: Path) -> list[str]:
    """Return the headings of the generations on *page*."""
    return parsed(page.read_text(encoding="utf-8")).text("h3")


def test_outcomes_become_a_page(command: Command, place: Path) -> None:
    """The usual name is gallery.html; standard output stays empty; only its owner can read it, as with a journal."""
    ended = command("gallery", "outcomes.jsonl")

    page = place / "gallery.html"
    assert (ended.status, ended.out, ended.err) == (0, "", "luma-async: 1 shown in gallery.html\n")
    assert headings(page) == ["a sunrise, timelapse"]
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert sorted(path.name for path in place.iterdir()) == ["gallery.html", "outcomes.jsonl"]


def test_outcomes_may_be_in_utf_16(command: Command, place: Path) -> None:
    """As PowerShell's ``>`` writes them."""
    (place / "outcomes.jsonl").write_bytes(
        (place / "outcomes.jsonl").read_text().replace("\n", "\r\n").encode("utf-16")
    )

    ended = command("gallery", "outcomes.jsonl")

    assert (ended.status, ended.err.count("not an outcome")) == (0, 0)


def test_complaints_are_cut_at_ten(command: Command, place: Path) -> None:
    """A video instead of outcomes has thousands of lines; of more than ten such files, the others are counted."""
    names = [f"{number}.mp4" for number in range(12)]
    for name in names:
        (place / name).write_bytes(b"\xff\n" * 1000)

    ended = command("gallery", "outcomes.jsonl", *names)

    numbers = ", ".join(map(str, range(1, 11)))
    assert ended.err.splitlines() == [
        *(f"luma-async: {name}: not an outcome in lines {numbers} and 990 more" for name in names[:10]),
        "luma-async: 2 more files have lines that are not outcomes",
        "luma-async: 1 shown in gallery.html",
    ]
    assert "12000 lines could not be read" in (place / "gallery.html").read_text(encoding="utf-8")


def test_a_line_without_an_end_is_no_outcome(command: Command, place: Path) -> None:
    """It is refused at a limit; a file of zeros would otherwise be read into the memory."""
    with (place / "video.mp4").open("wb") as file:
        file.truncate(2**30)

    ended = command("gallery", "video.mp4")

    assert ended.err.startswith("luma-async: video.mp4 has no outcomes: line 1 is longer than any")
    assert ended.status == 2


@pytest.mark.parametrize("arguments", [[], ["-"], ["-", "outcomes.jsonl"], ["outcomes.jsonl", "-"]])
def test_files_and_standard_input(command: Command, place: Path, arguments: list[str]) -> None:
    """In the order given; without any file, standard input."""
    ended = command("gallery", *arguments, "-o", "page.html", stdin=OTHER.decode())

    order = {"-": "a fox", "outcomes.jsonl": "a sunrise, timelapse"}
    assert (ended.status, headings(place / "page.html")) == (0, [order[name] for name in arguments or ["-"]])


def test_what_other_commands_write_can_be_shown(command: Command, luma_relay: SimulatedRelay, place: Path) -> None:
    """A journal, with the files that were stored beside it; nothing is asked for the page."""
    task_id = luma_relay.add()
    fetching = ("--journal", "batch.jsonl", "--private-media", "-o", "videos", *FAST)
    command("download", task_id, *fetching, relay=luma_relay)
    asked = len(luma_relay.requests)

    ended = command("gallery", "batch.jsonl", "-o", "page.html", relay=luma_relay)

    (video,) = parsed((place / "page.html").read_text(encoding="utf-8")).all("video")
    assert (ended.status, video["src"], len(luma_relay.requests)) == (0, f"videos/{task_id}.video.mp4", asked)
    assert (place / (video["src"] or "")).is_file()
    assert "left out" not in (place / "page.html").read_text(encoding="utf-8")


def test_links_to_stored_files_are_relative_to_the_page(command: Command, place: Path) -> None:
    """Both can be moved together; signs that have a meaning in links are written so that they have none."""
    media = place / "50% off #1"
    media.mkdir()
    (media / "luma_gen_1.video.webm").write_bytes(b"")
    (media / "luma_gen_1.thumbnail.jpg").write_bytes(b"")
    (place / "pages").mkdir()

    command("gallery", "outcomes.jsonl", "--media", str(media), "-o", "pages/page.html")

    (video,) = parsed((place / "pages" / "page.html").read_text(encoding="utf-8")).all("video")
    assert video["src"] == "../50%25%20off%20%231/luma_gen_1.video.webm"
    assert video["poster"] == "../50%25%20off%20%231/luma_gen_1.thumbnail.jpg"


@pytest.mark.parametrize("command_line", ["wait --download videos", "download -o videos"])
def test_a_batch_that_stored_its_videos_needs_no_second_run(
    command: Command, luma_relay: SimulatedRelay, place: Path, command_line: str
) -> None:
    """The lines name the files, wherever the page is made, and beside a line of the same id that names none."""
    task_id = luma_relay.add()
    stored = command(*command_line.split(), task_id, "--private-media", *FAST, relay=luma_relay)
    waited = command("wait", task_id, *FAST, relay=luma_relay)
    (place / "outcomes.jsonl").write_text(stored.out + waited.out, encoding="utf-8")
    (place / "elsewhere").mkdir()

    os.chdir(place / "elsewhere")
    ended = command("gallery", "../outcomes.jsonl", "-o", "page.html")

    (video,) = parsed((place / "elsewhere" / "page.html").read_text(encoding="utf-8")).all("video")
    assert (ended.status, video["src"]) == (0, f"../videos/{task_id}.video.mp4")


@pytest.mark.parametrize("path", ["gone.mp4", "outcomes.jsonl", "x\0.mp4", f"{'x' * 999}.mp4", "dir.mp4", "p.jpg", 5])
def test_a_path_without_a_video_is_no_link(command: Command, place: Path, path: object) -> None:
    """It is gone, no file, or something else: the relay's link is used, and the page is there."""
    (place / "dir.mp4").mkdir()
    (place / "p.jpg").write_bytes(b"")
    line = json.loads(Told().line) | {"path": path}
    (place / "outcomes.jsonl").write_text(json.dumps(line) + "\n" + Told(task_id="other").line.decode())

    ended = command("gallery", "outcomes.jsonl")

    first, *_ = parsed((place / "gallery.html").read_text(encoding="utf-8")).all("video")
    assert ended.status == (1 if path == 5 else 0)
    assert (first["src"] or "").startswith("https://cdn.example/media/")


def test_an_id_is_no_way_out_of_the_directory(command: Command, place: Path) -> None:
    """A line may have any id, and a file outside is never linked."""
    (place / "videos").mkdir()
    (place / "x.video.mp4").write_bytes(b"")
    (place / "outcomes.jsonl").write_bytes(Told(task_id="../x", status="FAILURE").line)

    ended = command("gallery", "outcomes.jsonl", "--media", "videos")

    assert (ended.status, parsed((place / "gallery.html").read_text(encoding="utf-8")).all("video")) == (0, [])


def test_lines_that_are_no_outcomes_are_named(command: Command, place: Path) -> None:
    """With file and number; the others are shown, and the status tells that something is missing."""
    (place / "bad.jsonl").write_bytes(b"{}\n" + OTHER + b"oh no\n")

    ended = command("gallery", "outcomes.jsonl", "bad.jsonl", "-", stdin="neither\n")

    assert (ended.status, len(headings(place / "gallery.html"))) == (1, 2)
    assert ended.err.splitlines()[:2] == [
        "luma-async: bad.jsonl: not an outcome in lines 1, 3",
        "luma-async: standard input: not an outcome in line 1",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.jsonl"], "missing.jsonl cannot be read: No such file or directory"),
        (["."], ". cannot be read: Is a directory"),
        (["a\0b"], "a\\x00b cannot be read: that is not a file name"),
        (["empty.jsonl"], "there are no outcomes to show"),
        ([], "there are no outcomes to show"),
        (["outcomes.jsonl", "-o", "."], ". is a directory"),
        (["outcomes.jsonl", "-o", "outcomes.jsonl", "--overwrite"], "outcomes.jsonl is one of the sources"),
        (["outcomes.jsonl", "-o", "empty.jsonl"], "empty.jsonl exists (give --overwrite, or another name)"),
    ],
)
def test_what_cannot_work_is_refused(command: Command, place: Path, arguments: list[str], told: str) -> None:
    """With status 2 and one line that says why; no file is made or changed."""
    (place / "empty.jsonl").write_bytes(b"\n")

    ended = command("gallery", *arguments)

    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert told in ended.err
    assert sorted(path.name for path in place.iterdir()) == ["empty.jsonl", "outcomes.jsonl"]
    assert (place / "outcomes.jsonl").read_bytes() == Told().line


def test_a_terminal_is_not_waited_for(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without any file; who wants to type lines says so with a dash."""
    above, below = pty.openpty()
    with os.fdopen(above, "wb") as keyboard, os.fdopen(below) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        unasked = main(["gallery"])
        keyboard.write(b"typed\n\x04")
        keyboard.flush()
        asked = main(["gallery", "-"])

    told = capfd.readouterr().err.splitlines()
    assert (unasked, told[0]) == (2, "luma-async: there are no outcomes (give a file, or outcomes on standard input)")
    assert (asked, told[1]) == (2, "luma-async: standard input: not an outcome in line 1")


def test_a_process_without_standard_input_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is as if there were nobody at the terminal."""
    monkeypatch.setattr("sys.stdin", None)

    statuses = main(["gallery"]), main(["gallery", "-"])

    assert (statuses, capfd.readouterr().err.count("there are no outcomes (give a file")) == ((2, 2), 2)


def test_a_name_that_is_taken_at_the_last_moment_stays(command: Command, place: Path) -> None:
    """Such as a link to nowhere: it is not there for who asks, and there for who makes it."""
    (place / "gallery.html").symlink_to("nowhere")

    ended = command("gallery", "outcomes.jsonl")

    assert (ended.status, "gallery.html exists" in ended.err) == (2, True)
    assert sorted(path.name for path in place.iterdir()) == ["gallery.html", "outcomes.jsonl"]


def test_a_page_is_replaced_only_when_asked(command: Command, place: Path) -> None:
    """And whole, by one that was written beside it."""
    page = place / "gallery.html"
    page.write_text("mine", encoding="utf-8")

    refused = command("gallery", "outcomes.jsonl")
    kept = page.read_text(encoding="utf-8")
    asked = command("gallery", "outcomes.jsonl", "--overwrite")

    assert (refused.status, kept, asked.status) == (2, "mine", 0)
    assert headings(page) == ["a sunrise, timelapse"]


def test_a_page_that_cannot_be_written(command: Command, place: Path) -> None:
    """Is one line and status 1, and leaves nothing behind."""
    ended = command("gallery", "outcomes.jsonl", "-o", "missing/page.html")

    assert ended.status == 1
    assert ended.err == (
        "luma-async: missing/page.html cannot be written: No such file or directory (check the place)\n"
    )
    assert [path.name for path in place.iterdir()] == ["outcomes.jsonl"]
