"""Downloads beside a wait: what they hold up, and what they do not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from luma_async import Generation, Journal, Limits, LumaClient, Outcome, State
from luma_async.cli.ids import Ids
from luma_async.cli.options import Files, Waiting
from luma_async.cli.show import Board, Show
from luma_async.cli.storing import is_stored
from luma_async.cli.work import EarlierRuns, Job, wait
from luma_async.testing import Fault, Script, SimulatedRelay
from tests.cli.command import FAST, Ended
from tests.cli.conftest import Command

FAILS = Script.of("failed", failure_reason="no")


@pytest.mark.usefixtures("luma_time")
async def test_videos_that_come_slowly_hold_up_no_other_id(
    luma_relay: SimulatedRelay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids that failed and healthy videos have their lines first, behind more slow videos than places or ids in flight.

    In the journal are all of them by then.
    """
    slow = [luma_relay.add(script=Script.of("completed")) for _ in range(12)]
    failed = [luma_relay.add(script=FAILS) for _ in range(5)]
    healthy = [luma_relay.add(script=Script.of("completed")) for _ in range(5)]
    for task_id in slow:
        luma_relay.trouble(Fault.slow(20.0), times=None, task_id=task_id, on="media")
    limits = Limits(allow_private_media=True, max_downloads=4)
    recorded: list[int] = []

    class Noting(Show):
        """Notes how many ids are in the journal at each line."""

        async def end(self, *outcome: object, is_followed: bool = False) -> None:
            recorded.append(len(journal))
            await super().end(*outcome, is_followed=is_followed)  # type: ignore[arg-type]

    async with (
        LumaClient(luma_relay.base_url, luma_relay.api_key, limits=limits) as luma,
        Journal(tmp_path / "batch.jsonl") as journal,
    ):
        files = Files(directory=tmp_path / "videos")
        job = Job(luma, Ids.of([*slow, *failed, *healthy], None), Noting(Board()), EarlierRuns(journal, files))
        await wait(job, Waiting(max_in_flight=4), files)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["task_id"] for line in lines[:5]] == failed
    assert {line["task_id"] for line in lines[5:10]} == set(healthy)
    assert {line["task_id"] for line in lines[10:]} == set(slow)
    assert {line["path"] for line in lines[5:]} == set(map(str, (tmp_path / "videos").iterdir()))
    assert recorded[5:] == [22] * 17


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def download(command: Command, relay: SimulatedRelay, *arguments: str) -> Ended:
    """Run ``download`` for *arguments*."""
    return command("download", *arguments, "--private-media", *FAST, relay=relay)


@pytest.mark.parametrize("name", ["", "--name={prompt:.10}-{id}"])
@pytest.mark.parametrize("journal", ["", "--journal=batch.jsonl"])
def test_the_same_command_again_keeps_the_files_and_succeeds(
    command: Command, luma_relay: SimulatedRelay, place: Path, journal: str, name: str
) -> None:
    """With a journal and a file's own name, too; ``--overwrite`` fetches it again."""
    task_id = luma_relay.add(script=Script.of("completed"))
    options = (task_id, "-o", "v", *filter(None, (name, journal)))

    first = download(command, luma_relay, *options)
    (video,) = (place / "v").iterdir()
    written = video.stat().st_mtime_ns
    again = download(command, luma_relay, *options)
    kept = video.stat().st_mtime_ns
    replaced = download(command, luma_relay, *options, "--overwrite")

    assert [first.status, again.status, replaced.status] == [0, 0, 0]
    assert (kept, [*again.by_id]) == (written, [] if journal else [task_id])
    assert f"v/{video.name} was there" in again.err or journal
    assert (replaced.by_id[task_id]["path"], video.stat().st_mtime_ns > kept) == (f"v/{video.name}", True)
    assert video.name.startswith("a sunrise,-" if name else task_id)


@pytest.mark.parametrize("words", [("download", "a", "-o"), ("wait", "a", "--download"), ("submit", "a", "--download")])
def test_a_file_in_place_of_the_directory_is_refused_at_once(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Nothing is asked or paid for before."""
    (tmp_path / "v").write_text("")

    ended = command(*words, str(tmp_path / "v"), relay=luma_relay)

    assert (ended.status, luma_relay.requests) == (2, [])
    assert "is a file, not a directory" in ended.err


def test_a_file_that_changed_since_the_journal_is_not_taken_for_whole(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path
) -> None:
    """It may be cut, or be the user's work: it is neither skipped nor replaced."""
    task_id = luma_relay.add(script=Script.of("completed"))
    options = (task_id, "-o", str(tmp_path / "v"), "--journal", str(tmp_path / "batch.jsonl"))
    download(command, luma_relay, *options)
    (video,) = (tmp_path / "v").iterdir()
    video.write_bytes(cut := video.read_bytes()[:40])

    again = download(command, luma_relay, *options)

    assert (again.status, video.read_bytes()) == (1, cut)
    assert again.by_id[task_id]["error"]["code"] == "exists"


async def test_a_journal_of_an_earlier_version_says_where_files_are(tmp_path: Path) -> None:
    """Without roles and sizes; a file in another directory, of another kind or not there is none of them."""
    generation = Generation(id="a", state=State.COMPLETED, state_text="")
    video = tmp_path / "v" / "a clip.mp4"
    video.parent.mkdir()
    video.write_bytes(b"....ftypisom")

    async with Journal(tmp_path / "batch.jsonl") as journal:
        await journal.record(Outcome(task_id="a", generation=generation), file=video)
        here, elsewhere = Files(directory=tmp_path / "v"), Files(directory=tmp_path)

        assert is_stored(journal, "a", "video", here)
        assert not is_stored(journal, "a", "thumbnail", here)
        assert not is_stored(journal, "a", "video", elsewhere)
        video.unlink()
        assert not is_stored(journal, "a", "video", here)
        os.mkfifo(tmp_path / "v" / "b.video.mp4")
        assert not is_stored(journal, "b", "video", here)


def test_several_roles_are_stored_and_one_that_fails_loses_no_other(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path
) -> None:
    """The line names each file, ``path`` that of the first role; the next run fetches only what is missing."""
    task_id = luma_relay.add(script=Script.of("completed"))
    roles = ("--role", "video", "--role", "thumbnail", "--role", "video")
    options = (task_id, "-o", str(tmp_path / "v"), *roles, "--journal", str(tmp_path / "batch.jsonl"))
    video, picture = (str(tmp_path / "v" / f"{task_id}.{end}") for end in ("video.mp4", "thumbnail.jpg"))
    luma_relay.trouble(Fault.http(410), times=2, on="media")  # a link, and the fresh one

    first, again = (download(command, luma_relay, *options) for _ in range(2))
    quiet = download(command, luma_relay, task_id, "-o", str(tmp_path / "v"), *roles, "--quiet")

    (lost,), (whole,) = first.lines, again.lines
    assert (first.status, lost["error"]["type"], lost["path"]) == (1, "DownloadError", None)
    assert (lost["paths"], lost["generation"]["id"]) == ({"thumbnail": picture}, task_id)
    assert (again.status, whole["path"], whole["paths"]) == (0, video, {"video": video, "thumbnail": picture})
    assert whole["sizes"] == {role: Path(path).stat().st_size for role, path in whole["paths"].items()}
    assert f"stored {video}" in again.err
    assert f"{picture} was there" in again.err
    assert quiet.out == f"{video}\n{picture}\n"


def test_a_gallery_shows_files_with_names_of_ones_own(
    command: Command, luma_relay: SimulatedRelay, place: Path
) -> None:
    """Of several roles, each is found by the journal."""
    task_id = luma_relay.add(script=Script.of("completed"))
    name = ("--name", "clip {id}", "--role", "thumbnail", "--role", "video")
    download(command, luma_relay, task_id, "-o", "v", *name, "--journal", "batch.jsonl")

    command("gallery", "batch.jsonl")

    page = (place / "gallery.html").read_text(encoding="utf-8")
    assert f'poster="v/clip%20{task_id}.thumbnail.jpg"' in page
    assert f'src="v/clip%20{task_id}.video.mp4"' in page
