"""Premature ends (FAULTS: A41): signals, a reader that goes or stops reading, a full disk; and terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from luma_async.testing import Fault, Script, SimulatedRelay
from tests.cli.command import ENDLESS, FAST, PATIENCE, Ended, add, environment, finish, next_ids, run, running

FULL = Path("/dev/full")
STOPPED = "luma-async: stopped with 1 not done; their generations go on at the relay:"
NOWHERE = {"LUMA_BASE_URL": "http://127.0.0.1:1", "LUMA_API_KEY": "sk-test-0123456789"}


@pytest.mark.parametrize(
    ("signals", "status"),
    [([signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130)],
)
def test_a41_a_signal_keeps_what_was_done(luma_relay: SimulatedRelay, signals: list[int], status: int) -> None:
    """Two of five results are out, the other ids are told on standard error, and all is over within two seconds."""
    ids = add(luma_relay, [Script.of("completed")] * 2 + [ENDLESS] * 3)

    with running("wait", *ids, *FAST, "--max-in-flight", "2", relay=luma_relay) as process:
        done = next_ids(process, 2)
        signalled = time.monotonic()
        for number in signals:
            process.send_signal(number)
        ended = finish(process)
        took = time.monotonic() - signalled

    assert took < 2.0  # the bound is the point: FAULTS.md, A41
    assert (ended.status, sorted(done)) == (status, sorted(ids[:2]))
    assert ended.err.splitlines() == [
        "luma-async: stopped with 3 not done; their generations go on at the relay:",
        *ids[2:],
    ]


@pytest.mark.parametrize("command", ["get", "download"])
def test_a41_a_signal_ends_every_command(luma_relay: SimulatedRelay, command: str, tmp_path: Path) -> None:
    """The line of what is done is out; what is under way, be it a look or a wait, is given up and told."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])
    luma_relay.batch = False
    luma_relay.trouble(Fault.slow(60.0), times=None, task_id=endless, on="look")
    options = {"get": [], "download": [*FAST, "-o", str(tmp_path), "--private-media"]}[command]

    with running(command, done, endless, *options, relay=luma_relay) as process:
        assert next_ids(process, 1) == [done]
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    assert (ended.status, ended.out) == (130, "")
    assert ended.err.splitlines()[-2:] == [STOPPED, endless]


def test_a41_a_signal_reaches_a_command_that_waits_for_ids(luma_relay: SimulatedRelay) -> None:
    """A standard input that stays open keeps no process alive."""
    with running("wait", "--json", *FAST, relay=luma_relay) as process:
        assert process.stdin is not None
        process.stdin.write(f"{luma_relay.add(script=Script.of('completed'))}\n".encode())
        process.stdin.flush()
        next_ids(process, 1)
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=PATIENCE) == 143


def test_a41_a_signal_ends_a_command_whose_reader_has_stopped_reading(luma_relay: SimulatedRelay) -> None:
    """A full pipe holds up neither the polling nor the end."""
    ids = add(luma_relay, [Script.of("completed")] * 60)
    endless = luma_relay.add(script=ENDLESS)

    with running("wait", *ids, endless, *FAST, relay=luma_relay) as process:
        next_ids(process, 1)
        asked = sum(endless in seen.task_ids for seen in luma_relay.requests)
        wait_until(lambda: sum(endless in seen.task_ids for seen in luma_relay.requests) > asked + 5)
        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=PATIENCE) == 130


def test_a41_a_reader_that_has_enough_ends_it_quietly(luma_relay: SimulatedRelay) -> None:
    """After ``head -1`` the command ends at once, without a word, even if the next outcome never comes."""
    ids = add(luma_relay, [Script.of("completed"), ENDLESS])

    with running("wait", *ids, *FAST, relay=luma_relay) as process:
        next_ids(process, 1)
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        ended = finish(process)

    assert (ended.status, ended.err) == (141, "")


def test_a41_help_for_nobody_ends_quietly() -> None:
    """A reader that has gone before there was anything to read is no error either."""
    with running("--help") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        ended = finish(process)

    assert (ended.status, ended.err) == (141, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["wait", "get", "--help"])
def test_a41_a_full_disk_is_one_line_and_status_1(luma_relay: SimulatedRelay, command: str) -> None:
    """Results that cannot be written are told once, and nothing else is."""
    ids = add(luma_relay, [Script.of("completed")] * 5) if command != "--help" else []

    with FULL.open("wb") as full, running(command, *ids, relay=luma_relay, stdout=full) as process:
        ended = finish(process)

    assert ended.status == 1
    assert ended.err == "luma-async: standard output cannot be written: No space left on device\n"


def test_a41_closed_standard_streams_are_no_traceback(luma_relay: SimulatedRelay) -> None:
    """With standard output closed there is one line; with standard error closed there is none."""
    task_id = luma_relay.add(script=Script.of("completed"))
    command = f'"{sys.executable}" -m luma_async get {task_id}'

    without_out = shell(f"{command} >&-", luma_relay)
    without_err = shell(f"{command} --base-url nonsense 2>&-", luma_relay)

    assert (without_out.status, len(without_out.err.splitlines())) == (1, 1)
    assert (without_err.status, without_err.out) == (2, "")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&-", "2>&- <&-"])
def test_a41_results_need_no_other_stream(luma_relay: SimulatedRelay, redirection: str) -> None:
    """Without standard input, or with a standard error that takes nothing, every outcome is out, and the status."""
    ids = add(luma_relay, [Script.of("completed"), ENDLESS])
    command = f'"{sys.executable}" -W error -m luma_async wait {" ".join(ids)} {" ".join(FAST)} --timeout 0.5'

    ended = shell(f"{command} {redirection}", luma_relay)

    assert (ended.status, sorted(ended.by_id)) == (4, sorted(ids))
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a41_a_signal_is_heard_without_standard_error(luma_relay: SimulatedRelay, number: int, status: int) -> None:
    """Though there is nowhere to tell what is not done, what is done is out."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])

    with running("wait", done, endless, *FAST, relay=luma_relay) as process:
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
        assert next_ids(process, 1) == [done]
        process.send_signal(number)

        assert process.wait(timeout=PATIENCE) == status


def test_a41_a_complaint_in_ascii_takes_any_name(tmp_path: Path) -> None:
    """A name for which the encoding has no word is escaped."""
    ended = run("wait", "--from", str(tmp_path / "编号.txt"), env={"PYTHONIOENCODING": "ascii", **NOWHERE})

    assert (ended.status, ended.out) == (2, "")
    assert r"\u7f16\u53f7.txt cannot be read" in ended.err
    assert "Traceback" not in ended.err


def test_a_terminal_shows_a_table(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """States, a bar, the stored file and a reason in any script stand on the terminal, and no JSON does."""
    scripts = [Script.of("completed"), Script.of("dreaming"), Script.of("polishing"), Script.fails(reason="内容违规")]
    ids = add(luma_relay, scripts)
    options = ("-o", str(tmp_path), "--private-media", *FAST, "--timeout", "1")

    ended = on_terminal("download", *ids, *options, relay=luma_relay, encoding="utf-8")

    assert ended.status == 4
    assert all(word in ended.out for word in ("dreaming", "polishing", "4/4", "内容违规", "not done"))
    assert f"{ids[0]}.video.mp4" in ended.out.replace("\r\n", "")
    assert '"task_id"' not in ended.out


def test_a41_a_terminal_without_chinese_or_colours_shows_it_all(luma_relay: SimulatedRelay) -> None:
    """Where the encoding has no word for a character it is escaped, and NO_COLOR is heeded."""
    task_id = luma_relay.add(script=Script.fails(reason="内容违规", after=0.1))

    ended = on_terminal("wait", task_id, *FAST, relay=luma_relay, encoding="ascii")

    assert ended.status == 3
    assert r"\u5185\u5bb9\u8fdd\u89c4" in ended.out
    assert "\x1b[31m" not in ended.out


def test_json_lines_can_be_had_on_a_terminal(luma_relay: SimulatedRelay) -> None:
    """``--json`` does on a terminal what a pipe does."""
    task_id = luma_relay.add(script=Script.of("completed"))

    ended = on_terminal("get", task_id, "--json", relay=luma_relay, encoding="utf-8")

    assert ended.status == 0
    assert ended.lines[0]["task_id"] == task_id


def test_a41_ctrl_c_on_a_terminal_leaves_what_was_done(luma_relay: SimulatedRelay) -> None:
    """The line of what is done and the list of what is not are on the terminal, with the cursor back."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])

    ended = on_terminal(
        "wait",
        done,
        endless,
        *FAST,
        relay=luma_relay,
        encoding="utf-8",
        then=lambda text: b"\x03" if "1/2" in text else b"",
    )

    assert ended.status == 130
    assert "completed" in ended.out
    assert f"stopped with 1 not done; their generations go on at the relay:\r\n{endless}" in ended.out
    assert ended.out.rindex("\x1b[?25h") > ended.out.rindex("\x1b[?25l")
    assert "Traceback" not in ended.out


def test_no_ids_on_a_terminal_is_a_mistake_at_once(luma_relay: SimulatedRelay) -> None:
    """A forgotten id is told, and the terminal is not read."""
    ended = on_terminal("wait", relay=luma_relay, encoding="utf-8")

    assert ended.status == 2
    assert "there are no task ids" in ended.out


def test_a41_a_pipe_in_ascii_takes_any_prompt(luma_relay: SimulatedRelay) -> None:
    """JSON lines are ASCII whatever the prompt is."""
    task_id = luma_relay.add(script=Script.of("completed", prompt="海上日出"))

    ended = run("get", task_id, relay=luma_relay, env={"PYTHONIOENCODING": "ascii"})

    assert ended.by_id[task_id]["generation"]["request"]["prompt"] == "海上日出"


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shell(command: str, relay: SimulatedRelay) -> Ended:
    """Run *command* by a shell, which can close streams."""
    ended = subprocess.run(  # noqa: S602 - redirections are the shell's
        command, shell=True, capture_output=True, text=True, check=False, env=environment(relay)
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def on_terminal(
    *arguments: str,
    relay: SimulatedRelay,
    encoding: str,
    then: Callable[[str], bytes] = lambda _: b"",
) -> Ended:
    """Run a command on a terminal of its own; *then* says what is typed once it has shown something."""
    env = {"TERM": "xterm", "PYTHONIOENCODING": encoding, "COLUMNS": "", "LINES": "", "NO_COLOR": "1"}
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child becomes another program
        os.execve(  # noqa: S606 - our own program
            sys.executable, [sys.executable, "-m", "luma_async", *arguments], environment(relay, env)
        )
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    text, typed = "", b""
    while (piece := read(terminal)) is not None:
        text += piece
        if not typed and (typed := then(text)):
            os.write(terminal, typed)
    os.close(terminal)
    return Ended(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text, "")


def read(terminal: int) -> str | None:
    """Return what stands on the terminal next, or None when its last user has gone."""
    try:
        return os.read(terminal, 65536).decode(errors="replace") or None
    except OSError:
        return None
