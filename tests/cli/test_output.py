"""The options of the output, and what stands on which stream."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.cells import cell_len

from luma_async import LumaClient
from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids
from luma_async.cli.options import Lines, Waiting
from luma_async.cli.output import say
from luma_async.cli.show import Board
from luma_async.cli.summary import Summary
from luma_async.cli.work import open_job, run_job, wait
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay
from tests.cli.command import ENDLESS, FAST, add, wait_until
from tests.cli.conftest import Command
from tests.cli.test_endings import closed, fork, read

FAILS = Script.fails(reason="too violent", after=0.1)


def test_brief_lines_have_no_answer_of_the_relay(command: Command, luma_relay: SimulatedRelay) -> None:
    """All else is as in whole lines, of each command."""
    ids = add(luma_relay, [Script.of("completed"), FAILS])

    for name in (("wait", *FAST), ("get",)):
        ended = command(*name, *ids, "--brief", relay=luma_relay)
        whole = command(*name, *ids, relay=luma_relay).by_id

        assert sorted(ended.by_id) == sorted(ids)
        for task_id, line in ended.by_id.items():
            assert line.keys() == whole[task_id].keys() - {"generation"}


def test_quiet_leaves_ids_paths_and_errors(command: Command, luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """Ids where nothing is stored, else paths; standard error has the failure, and the id that was not done in time."""
    done, fails, endless = ids = add(luma_relay, [Script.of("completed"), FAILS, ENDLESS])
    options = (*FAST, "--timeout", "0.5", "--quiet")

    waited = command("wait", *ids, *options, relay=luma_relay)
    stored = command("download", done, *FAST, "-q", "--private-media", "-o", str(tmp_path / "videos"), relay=luma_relay)

    assert waited.out == f"{done}\n"
    assert waited.err.splitlines() == [
        f"luma-async: task {fails}: the generation failed: too violent",
        "luma-async: 1 not done in time; their generations go on at the relay:",
        endless,
    ]
    assert (stored.status, stored.out, stored.err) == (0, f"{tmp_path}/videos/{done}.video.mp4\n", "")


def test_a_submit_feeds_a_wait(command: Command, luma_relay: SimulatedRelay) -> None:
    """By its lines or quietly; a prompt that was refused is counted, and makes the status 1."""
    luma_relay.script = Script.of("completed")
    luma_relay.trouble(Fault.http(400, {"message": "no"}), on="submit")
    submitted = command("submit", "a dog", "a cat", "--at-once", "1", relay=luma_relay)
    quiet = command("submit", "a fox", "--quiet", relay=luma_relay)

    waited = command("wait", *FAST, relay=luma_relay, stdin=submitted.out + quiet.out)

    assert sorted(waited.by_id) == sorted(luma_relay.task_ids)
    assert (waited.status, waited.err) == (1, "luma-async: 1 JSON line without a task_id\n")
    assert quiet.out == f"{luma_relay.task_ids[1]}\n"


def test_a_journal_and_durations_are_arguments(command: Command, luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """The ids of a journal can be waited for, those that have ended too, for an hour and a half each."""
    journal = tmp_path / "batch.jsonl"
    ids = add(luma_relay, [Script.of("completed"), FAILS])
    command("wait", *ids, *FAST, "--journal", str(journal), relay=luma_relay)

    again = command("wait", "--from", str(journal), *FAST, "--timeout", "1h30m", relay=luma_relay)
    wrong = command("wait", *ids, "--timeout", "30min", relay=luma_relay)

    assert (again.status, sorted(again.by_id)) == (3, sorted(ids))
    assert (wrong.status, wrong.out) == (2, "")
    assert "1h30m" in wrong.err


@pytest.mark.parametrize(("output", "lines"), [(Lines(), 1), (Lines(no_progress=True), 0), (Lines(quiet=True), 0)])
async def test_a_pipe_gets_a_line_each_minute(
    luma_time: FastTime, luma_relay: SimulatedRelay, capsys: pytest.CaptureFixture[str], output: Lines, lines: int
) -> None:
    """With what is wrong at the relay, which is also told at its fifth second, unless progress is not wanted."""
    task_id = luma_relay.add()
    luma_relay.trouble(Fault.unavailable(), times=None)
    summary = Summary(Board(luma_time.clock))
    client = LumaClient(luma_relay.base_url, luma_relay.api_key, on_event=summary.note)
    opening = open_job(client, Ids.of([task_id], None), output, summary=summary)

    status = await run_job(opening, partial(wait, waiting=Waiting(timeout=65.0)))
    err = capsys.readouterr().err.splitlines()

    assert status is not Status.DONE
    assert sum(line.startswith("luma-async: 0/1 ended; 1 waiting; ") for line in err) == lines
    assert sum(line.startswith("luma-async: the relay answered HTTP 503 for ") for line in err) == 2 * lines


@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_a_warning_is_one_line_of_the_command(
    command: Command, luma_relay: SimulatedRelay, options: tuple[str, ...]
) -> None:
    """And none where only errors are wanted."""
    [task_id] = add(luma_relay, [Script.of("stitching")])

    ended = command("wait", task_id, "--timeout", "0.3", *FAST, *options, relay=luma_relay)

    told = f"luma-async: task {task_id}: unknown state 'stitching': polling goes on"
    assert ended.err.splitlines().count(told) == (not options)
    assert ended.err.count("stitching") == (not options)


@pytest.mark.parametrize("no_progress", [False, True])
async def test_an_unknown_state_is_told_once_on_a_terminal(
    luma_time: FastTime,
    luma_relay: SimulatedRelay,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    no_progress: bool,
) -> None:
    """Below the bar, where there is one; else as a warning."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    task_id = luma_relay.add(script=Script.of("stitching"))
    summary = Summary(Board(luma_time.clock))
    client = LumaClient(luma_relay.base_url, luma_relay.api_key, on_event=summary.note)
    output = Lines(no_progress=no_progress, as_json=True)
    opening = open_job(client, Ids.of([task_id], None), output, summary=summary)

    await run_job(opening, partial(wait, waiting=Waiting(timeout=3.0)))
    err = " ".join(capsys.readouterr().err.split())  # lines are wrapped

    assert err.count("unknown state 'stitching': polling goes on") == no_progress
    assert ("unknown state 'stitching' for " in err) is not no_progress


WORDS = "no answer from 127.0.0.1:1 for 12 s: the relay's owner may know more (海上日出 海上日出 海上日出)"


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_a_line_is_wrapped_between_words_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """No line is wider than the terminal, unless its one word is: an id stays whole."""
    identifier = "x" * 100
    monkeypatch.setenv("COLUMNS", str(width))
    say(WORDS)
    in_a_pipe = capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    say(f"{WORDS}\n{identifier}")
    *lines, last = capsys.readouterr().err.splitlines()

    assert in_a_pipe == f"luma-async: {WORDS}\n"
    assert last == identifier
    assert len(lines) > 1
    assert all(cell_len(line) <= width for line in lines)
    assert " ".join(line.removeprefix("  ") for line in lines) == f"luma-async: {WORDS}"


def test_a_command_that_is_wrapped_is_still_one_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell reads the same words from its lines."""
    words = ["luma-async", "wait", "--name", "{prompt:.40} it's {id}", "--from", "a file with blanks.txt", "luma_1"]
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    say("to go on:", shlex.join(words))
    first, *lines = capsys.readouterr().err.splitlines()

    assert first == "luma-async: to go on:"
    assert len(lines) > 1
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == words  # as a shell joins them


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_shows_progress_while_results_go_to_a_file(
    luma_relay: SimulatedRelay, tmp_path: Path, width: int
) -> None:
    """Table, counts, time and trouble are on the terminal, and the file has each line; no line is too wide."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])
    out = tmp_path / "outcomes.jsonl"
    pid, terminal = fork("wait", done, endless, *FAST, relay=luma_relay, stdout=out, size=str(width))
    text = until(terminal, "1/2", "1 processing", "so far")
    luma_relay.trouble(Fault.unavailable(), times=None)

    text += until(terminal, "the relay answered HTTP 503 for ")
    wait_until(lambda: done in out.read_text(encoding="ascii"))

    assert closed(pid, terminal) == 129
    assert endless in text
    assert len(out.read_text(encoding="ascii").splitlines()) == 1


@pytest.mark.slow
def test_result_lines_stand_whole_above_a_table_on_the_same_terminal(luma_relay: SimulatedRelay) -> None:
    """JSON lines and the table are on one terminal, and the line is not broken by the picture."""
    done, endless = add(luma_relay, [Script.of(("pending", 30.0), "completed"), ENDLESS])
    pid, terminal = fork("wait", done, endless, *FAST, "--json", "--brief", relay=luma_relay)

    text = until(terminal, "1/2")

    assert closed(pid, terminal) == 129
    assert f'{{"task_id": "{done}", "state": "completed", ' in text
    assert '"polls": ' in text.partition(f'{{"task_id": "{done}"')[2].partition("}\r\n")[0]


@pytest.mark.slow
def test_a_terminal_that_goes_away_harms_no_result_in_a_file(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """As with ``nohup``: the table has nowhere to be drawn, and the wait goes on to its end."""
    first, later = add(luma_relay, [Script.of("completed"), Script.of("completed")])
    luma_relay.trouble(Fault.unavailable(), times=None, task_id=later)  # until the terminal has gone
    out = tmp_path / "outcomes.jsonl"
    pid, terminal = fork("wait", first, later, *FAST, relay=luma_relay, stdout=out, ignoring=signal.SIGHUP)
    until(terminal, "1/2")

    os.close(terminal)
    luma_relay.calm(later)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(out.read_text(encoding="ascii").splitlines()) == 2


def until(terminal: int, *words: str) -> str:
    """Return what stands on the terminal when all *words* have come."""
    text = ""
    while not all(word in text for word in words):
        piece = read(terminal)
        assert piece is not None, text
        text += piece
    return text
