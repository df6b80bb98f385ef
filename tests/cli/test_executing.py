"""``--exec``: a program for each stored file, which never holds up a result and never outlives the command."""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from luma_async.cli.executing import Execution, Program, executing
from luma_async.testing import Script, SimulatedRelay
from tests.cli.command import FAST, add, finish, running, wait_until
from tests.cli.conftest import Command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its programs are those of a shell")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ls -l", ["ls", "-l", "/v/a b;$(c).mp4"]),
        ("ls {} -l {}", ["ls", "/v/a b;$(c).mp4", "-l", "/v/a b;$(c).mp4"]),
        ("ls 'in={} --of'", ["ls", "in=/v/a b;$(c).mp4 --of"]),
        ("ls $HOME *", ["ls", "$HOME", "*", "/v/a b;$(c).mp4"]),
    ],
)
def test_a_line_is_split_once_and_the_file_is_one_word(line: str, words: list[str]) -> None:
    """Nothing in its name is read by a shell; without a place it comes last."""
    assert Program.of(line).words_for(Path("/v/a b;$(c).mp4")) == words


def test_a_program_gets_no_key_and_no_input_and_writes_to_standard_error(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets an absolute path, and the lines of results stay whole."""
    task_id = luma_relay.add(script=Script.of("completed"))
    seen = "sh -c 'cat; env | grep -c LUMA_; echo got $0'"
    monkeypatch.chdir(tmp_path)

    ended = command("download", task_id, "-o", "v", "--exec", seen, "--private-media", *FAST, relay=luma_relay)

    assert (ended.status, list(ended.by_id)) == (0, [task_id])
    assert f"0\ngot {tmp_path}/v/{task_id}.video.mp4\n" in ended.err


@pytest.mark.parametrize(
    ("program", "warning"),
    [("sh -c 'exit 3'", "sh ended with status 3"), ("sh -c 'kill -9 $$'", "sh was ended by signal 9")],
)
def test_a_program_that_fails_is_a_warning_and_status_1(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, program: str, warning: str
) -> None:
    """Each id has its line as if nothing had happened; a file that was there before is not handed on again."""
    ids = add(luma_relay, [Script.of("completed")] * 2)
    options = ("download", *ids, "-o", str(tmp_path), "--exec", program, "--private-media", *FAST)

    ended, again = (command(*options, relay=luma_relay) for _ in range(2))

    assert (ended.status, [line["error"] for line in ended.lines]) == (1, [None, None])
    assert ended.err.count(f"luma-async: {warning}: {tmp_path}/") == 2
    assert (again.status, again.err.count(warning)) == (0, 0)


def is_over(pid: str, *, may_be_zombie: bool = False) -> bool:
    """Whether that process is gone; a grandchild is left to process 1, which may not have looked at it yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return may_be_zombie and state == "Z"


@pytest.mark.parametrize("trap", ["", "trap '' TERM HUP INT; "])
async def test_two_run_at_once_and_none_outlives_a_stop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], trap: str
) -> None:
    """Nor what they have started, nor one that heeds no SIGTERM; the files of those that never ran are named."""
    script, pids, failures = tmp_path / "program", tmp_path / "pids", list[None]()
    script.write_text(f"#!/bin/sh\n{trap}sleep 60 & echo $$ $! >> {pids}\nwait; wait; wait\n")
    script.chmod(0o700)
    execution = Execution(Program.of(str(script)), lambda: failures.append(None), moment=0.05)
    for number in range(3):
        execution.start(Path(f"{number}.mp4"))
    await asyncio.to_thread(wait_until, lambda: pids.exists() and pids.read_text().count("\n") == 2)

    await execution.stop()

    (one, below_one), (two, below_two) = (line.split() for line in pids.read_text().splitlines())
    assert is_over(one)
    assert is_over(two)
    for pid in (below_one, below_two):
        await asyncio.to_thread(wait_until, partial(is_over, pid, may_be_zombie=True))
    assert "--exec was not run for stored files:\n2.mp4\n" in capfd.readouterr().err
    assert len(failures) == 3


async def test_a_block_waits_for_its_programs(tmp_path: Path) -> None:
    """All have ended when it ends."""
    done = tmp_path / "done"

    async with executing(Program.of(f"sh -c 'echo x >> {done}'"), lambda: None) as execution:
        assert execution is not None
        for number in range(5):
            execution.start(Path(f"{number}.mp4"))

    assert done.read_text() == "x\n" * 5


async def test_a_program_that_cannot_start_is_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is there, and it is not a program."""
    program, failures = tmp_path / "picture", list[None]()
    program.write_bytes(b"\x89PNG")
    program.chmod(0o700)

    async with executing(Program.of(str(program)), lambda: failures.append(None)) as execution:
        assert execution is not None
        execution.start(Path("a.mp4"))

    assert "luma-async: picture cannot be run: Exec format error: a.mp4\n" in capfd.readouterr().err
    assert len(failures) == 1


async def test_a_closed_standard_error_takes_no_program_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it writes is lost, and it runs to its end."""
    monkeypatch.setattr("sys.stderr", None)

    async with executing(Program.of(f"sh -c 'echo x && touch {tmp_path}/done'"), lambda: None) as execution:
        assert execution is not None
        execution.start(Path("a.mp4"))

    assert (tmp_path / "done").exists()


@pytest.mark.slow
def test_a_signal_ends_the_programs_and_loses_no_line(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """The line of a file is out while its program still runs; it has an empty input, whatever ours is."""
    task_id, pid = luma_relay.add(script=Script.of("completed")), tmp_path / "pid"
    program = f"sh -c 'cat; echo $$ > {pid}; exec sleep 60'"
    options = ("-o", str(tmp_path / "v"), "--exec", program, "--private-media", *FAST)

    with running("download", task_id, *options, relay=luma_relay) as process:
        wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    assert (ended.status, list(ended.by_id)) == (130, [task_id])
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
