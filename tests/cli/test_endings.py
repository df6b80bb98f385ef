"""Premature ends (FAULTS: A41): signals, a reader that goes or stops reading, a full disk; and terminals."""

from __future__ import annotations

import asyncio
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

from luma_async.cli import main
from luma_async.cli.exit import Status
from luma_async.cli.running import run as run_command
from luma_async.testing import Fault, Script, SimulatedRelay
from tests.cli.command import (
    ENDLESS,
    FAST,
    PATIENCE,
    SIGNALS,
    Ended,
    add,
    close,
    environment,
    finish,
    next_ids,
    run,
    running,
    send,
    starting,
    wait_until,
    wait_until_polled,
)
from tests.quick import quick

FULL = Path("/dev/full")
STOPPED = "luma-async: stopped with 1 not done; their generations go on at the relay:"
NOWHERE = {"LUMA_BASE_URL": "http://127.0.0.1:1", "LUMA_API_KEY": "sk-test-0123456789"}


@pytest.mark.parametrize(
    ("signals", "status"),
    quick(
        [
            ([signal.SIGINT], 130),
            ([signal.SIGHUP, signal.SIGTERM], 129),
            ([signal.SIGTERM], 143),
            ([signal.SIGHUP], 129),
            ([signal.SIGINT, signal.SIGINT], 130),
        ],
        2,
    ),
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
        f"luma-async: to go on: luma-async wait --max-in-flight 2 {' '.join([*FAST, *ids[2:]])}",
    ]


_SIGNALLED_AT_ITS_EXIT = """
import os, signal, sys
from luma_async.cli import main

class Last:
    # An attribute of the program that goes when the interpreter has restored the default handlers.
    def __del__(self, kill=os.kill, pid=os.getpid(), second=signal.SIGTERM):
        kill(pid, second)

last = Last()
sys.exit(main(sys.argv[1:]))
"""


def test_a41_a_second_signal_at_the_exit_of_the_interpreter_changes_nothing(luma_relay: SimulatedRelay) -> None:
    """The status is that of the first signal, although the second one arrives after the last line of the program."""
    (endless,) = add(luma_relay, [ENDLESS])
    program = (sys.executable, "-c", _SIGNALLED_AT_ITS_EXIT)

    with running("wait", endless, *FAST, relay=luma_relay, program=program) as process:
        wait_until_polled(luma_relay, endless)
        process.send_signal(signal.SIGHUP)
        ended = finish(process)

    assert ended.status == 129


@pytest.mark.parametrize("number", quick(SIGNALS))
def test_a41_a_signal_that_was_ignored_at_the_start_stays_so(luma_relay: SimulatedRelay, number: int) -> None:
    """As ``nohup`` and a shell's jobs in the background have it: another one ends the command."""
    done, later, endless = add(luma_relay, [Script.of("completed"), Script.of(("pending", 20.0), "completed"), ENDLESS])
    other = signal.SIGTERM if number != signal.SIGTERM else signal.SIGHUP

    with running("wait", done, later, endless, *FAST, relay=luma_relay, ignoring=number) as process:
        assert next_ids(process, 1) == [done]
        process.send_signal(number)
        assert next_ids(process, 1) == [later]
        process.send_signal(other)
        ended = finish(process)

    assert ended.status == 128 + other


@pytest.mark.parametrize(("options", "name"), [((), "uvloop"), (("no uvloop",), "asyncio")])
def test_the_fast_loop_is_used_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], name: str
) -> None:
    """The command works without it, too."""
    for _ in options:
        monkeypatch.setitem(sys.modules, "uvloop", None)

    async def module_of_the_loop() -> Status:
        used.append(type(asyncio.get_running_loop()).__module__.partition(".")[0])
        return Status.DONE

    used: list[str] = []

    assert run_command(module_of_the_loop()) is Status.DONE
    assert used == [name]


def test_ctrl_c_while_the_command_is_imported_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with the usual status, and without a traceback."""

    class Interrupted:
        """Where any module is looked for."""

        def find_spec(self, name: str, *_: object) -> None:
            """Interrupt the import of the first module of the command."""
            if name == "luma_async.cli.entry":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "luma_async.cli.entry", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])

    assert main(["wait", "a"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", quick(["get", "download"]))
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
    assert ended.err.splitlines()[-3:-1] == [STOPPED, endless]
    assert ended.err.splitlines()[-1].startswith(f"luma-async: to go on: luma-async {command} ")


def test_a41_a_signal_reaches_a_command_that_waits_for_ids(luma_relay: SimulatedRelay) -> None:
    """A standard input that stays open keeps no process alive."""
    with running("wait", "--json", *FAST, relay=luma_relay) as process:
        send(process, luma_relay.add(script=Script.of("completed")))
        next_ids(process, 1)
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=PATIENCE) == 143


@pytest.mark.slow
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
        close(process, "stdout")
        ended = finish(process)

    assert (ended.status, ended.err) == (141, "")


def test_a41_help_for_nobody_ends_quietly() -> None:
    """A reader that has gone before there was anything to read is no error either."""
    with running("--help") as process:
        close(process, "stdout")
        ended = finish(process)

    assert (ended.status, ended.err) == (141, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", quick(["wait", "get", "--help"]))
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


@pytest.mark.parametrize("redirection", quick(["2>&- <&-", "2>/dev/full", "<&-", "2>&-"]))
def test_a41_results_need_no_other_stream(luma_relay: SimulatedRelay, redirection: str) -> None:
    """Without standard input, or with a standard error that takes nothing, every outcome is out, and the status."""
    ids = add(luma_relay, [Script.of("completed"), ENDLESS])
    command = f'"{sys.executable}" -W error -m luma_async wait {" ".join(ids)} {" ".join(FAST)} --timeout 0.5'

    ended = shell(f"{command} {redirection}", luma_relay)

    assert (ended.status, sorted(ended.by_id)) == (4, sorted(ids))
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("number", "status"), quick([(signal.SIGINT, 130), (signal.SIGTERM, 143)]))
def test_a41_a_signal_is_heard_without_standard_error(luma_relay: SimulatedRelay, number: int, status: int) -> None:
    """Though there is nowhere to tell what is not done, what is done is out."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])

    with running("wait", done, endless, *FAST, relay=luma_relay) as process:
        close(process, "stderr")
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
    assert "luma-async: stored" not in ended.out
    assert '"task_id"' not in ended.out


def test_a41_a_terminal_without_chinese_or_colours_shows_it_all(luma_relay: SimulatedRelay) -> None:
    """Where the encoding has no word for a character it is escaped, and NO_COLOR is heeded."""
    task_id = luma_relay.add(script=Script.fails(reason="内容违规", after=0.1))

    ended = on_terminal("wait", task_id, *FAST, relay=luma_relay, encoding="ascii")

    assert ended.status == 3
    assert r"\u5185\u5bb9\u8fdd\u89c4" in ended.out
    assert "\x1b[31m" not in ended.out


@pytest.mark.parametrize("size", quick(["0", "-1", "99999999"]))
@pytest.mark.parametrize("command", quick(["wait", "get"]))
def test_a_size_that_no_terminal_has_hides_no_result(luma_relay: SimulatedRelay, command: str, size: str) -> None:
    """The environment can hold any number of columns and lines; the terminal's own size is taken then."""
    task_id = luma_relay.add(script=Script.of("completed"))

    ended = on_terminal(command, task_id, relay=luma_relay, encoding="utf-8", size=size)

    assert ended.status == 0
    assert task_id in ended.out


def test_json_lines_can_be_had_on_a_terminal(luma_relay: SimulatedRelay) -> None:
    """``--json`` does on a terminal what a pipe does; without progress there is nothing else."""
    task_id = luma_relay.add(script=Script.of("completed"))

    ended = on_terminal("get", task_id, "--json", "--no-progress", relay=luma_relay, encoding="utf-8")

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


# --- a terminal that is closed, and who is named where ---

MANY = 13


def open_file(place: Path) -> tuple[list[str], int]:
    """Return the ids in the file that a command has left in *place*, and the file's mode."""
    (path,) = place.glob("luma-async-open-*.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")], path.stat().st_mode & 0o777


@pytest.mark.parametrize("options", quick([[], ["--json"], ["--verbose"]], ids=["table", "lines", "verbose"]))
@pytest.mark.parametrize("apart", quick([True, False], ids=["error apart", "error on it"]))
def test_a41_a_terminal_that_is_closed_ends_it_quietly(
    luma_relay: SimulatedRelay, tmp_path: Path, options: list[str], *, apart: bool
) -> None:
    """Within two seconds, by SIGHUP, without a traceback; ids that the user has are in no file of ours."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])
    err = tmp_path / "err"

    pid, terminal = fork(
        "wait", done, endless, *FAST, *options, relay=luma_relay, cwd=tmp_path, stderr=err if apart else None
    )
    read_until(terminal, done)
    wait_until_polled(luma_relay, endless)
    closing = time.monotonic()
    status = closed(pid, terminal)

    assert time.monotonic() - closing < 2.0  # the bound is the point: FAULTS.md, A41
    assert status == 129
    assert list(tmp_path.glob("luma-async-open-*")) == []
    if apart:
        told = err.read_text(encoding="utf-8")
        assert "Traceback" not in told
        assert "Exception ignored" not in told
        assert f"{STOPPED}\n{endless}\n" in told


@pytest.mark.parametrize("options", quick([[], ["--json"]], ids=["table", "lines"]))
def test_a41_ids_of_a_pipe_are_in_a_file_when_the_terminal_is_closed(
    luma_relay: SimulatedRelay, tmp_path: Path, options: list[str]
) -> None:
    """All of those that are not done, for their owner alone; it is what ``--from`` takes."""
    done, *endless = add(luma_relay, [Script.of("completed"), *[ENDLESS] * MANY])
    stdin = "".join(f"{task_id}\n" for task_id in [done, *endless]).encode()

    pid, terminal = fork("wait", "--from", "-", *FAST, *options, relay=luma_relay, cwd=tmp_path, stdin=stdin)
    read_until(terminal, done)
    wait_until_polled(luma_relay, endless[-1])
    status = closed(pid, terminal)

    assert status == 129
    assert open_file(tmp_path) == (endless, 0o600)


@pytest.mark.parametrize("options", quick([[], ["--wait"]], ids=["submit", "submit and wait"]))
def test_a41_what_was_paid_for_is_in_a_file_when_the_terminal_is_closed(
    luma_relay: SimulatedRelay, tmp_path: Path, options: list[str]
) -> None:
    """Though it stood on the terminal; a prompt that may have been taken is a comment there."""
    luma_relay.script = ENDLESS
    luma_relay.trouble(Fault.http(200, b'{"data": {"taskId": "a/1"}}'), on="submit")

    prompts = b"lost\na cat\na dog\n"

    pid, terminal = fork(
        "submit", "--from", "-", "--at-once", "1", *options, *FAST, relay=luma_relay, cwd=tmp_path, stdin=prompts
    )
    wait_until(lambda: len(luma_relay.task_ids) == 2)
    read_until(terminal, luma_relay.task_ids[1])
    status = closed(pid, terminal)

    ids, mode = open_file(tmp_path)
    (path,) = tmp_path.glob("luma-async-open-*")
    assert (status, sorted(set(ids)), mode) == (129, sorted(luma_relay.task_ids), 0o600)
    assert "# lost (a/1)\n" in path.read_text(encoding="utf-8")


def test_a41_ids_of_a_pipe_are_all_on_standard_error(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """Where that is a pipe, and no file is left."""
    ids = add(luma_relay, [ENDLESS] * MANY)

    with running("wait", *FAST, relay=luma_relay, cwd=tmp_path) as process:
        send(process, *ids)
        wait_until_polled(luma_relay, ids[-1])
        process.send_signal(signal.SIGHUP)
        ended = finish(process)

    assert ended.status == 129
    assert ended.err.splitlines()[1:-1] == ids  # the command that goes on is the last line
    assert list(tmp_path.iterdir()) == []


def test_a41_ids_of_a_pipe_are_in_a_file_where_nobody_reads_standard_error(
    luma_relay: SimulatedRelay, tmp_path: Path
) -> None:
    """Nor may anybody read them but their owner; what another file of that name holds stays."""
    endless = luma_relay.add(script=ENDLESS)

    with running("wait", *FAST, relay=luma_relay, cwd=tmp_path) as process:
        (tmp_path / f"luma-async-open-{process.pid}.txt").write_text("older\n", encoding="utf-8")
        close(process, "stderr")
        send(process, endless)
        wait_until_polled(luma_relay, endless)
        process.send_signal(signal.SIGHUP)

        assert process.wait(timeout=PATIENCE) == 129
    assert open_file(tmp_path) == (["older", endless], 0o600)


def test_a41_a_terminal_gets_ten_and_a_file_the_rest(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """Named, with the command that goes on with it."""
    ids = add(luma_relay, [ENDLESS] * MANY)
    stdin = "".join(f"{task_id}\n" for task_id in ids).encode()

    options = ("--json", "--no-progress")
    command = ("wait", "--from", "-", *FAST, *options)
    pid, terminal = fork(*command, relay=luma_relay, cwd=tmp_path, stdin=stdin, size="300")
    wait_until_polled(luma_relay, ids[-1])
    os.kill(pid, signal.SIGTERM)
    text = ""
    while (piece := read(terminal)) is not None:
        text += piece
    status = closed(pid, terminal)

    name = f"luma-async-open-{pid}.txt"
    assert status == 143
    assert open_file(tmp_path) == (ids, 0o600)
    assert [task_id for task_id in ids if task_id in text] == ids[:10]
    assert f"all {MANY} are in {name}; to go on: luma-async wait {' '.join([*FAST, *options])} --from {name}" in text


def test_a41_of_a_file_s_ids_ten_are_named(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """With how many there are, and the command that goes on, with the same file and journal and without the key."""
    ids = add(luma_relay, [ENDLESS] * MANY)
    (tmp_path / "my ids.txt").write_text("\n".join(ids), encoding="utf-8")
    options = ("--from", "my ids.txt", "--journal", "batch.jsonl")

    with running("wait", *options, *FAST, relay=luma_relay, cwd=tmp_path) as process:
        wait_until_polled(luma_relay, ids[-1])
        process.send_signal(signal.SIGTERM)
        ended = finish(process)

    assert ended.err.splitlines() == [
        f"luma-async: stopped with {MANY} not done; their generations go on at the relay:",
        *ids[:10],
        "luma-async: and 3 more",
        f"luma-async: to go on: luma-async wait {' '.join(FAST)} --journal batch.jsonl --from 'my ids.txt'",
    ]


def test_a41_that_generations_go_on_is_said_of_a_relay_that_knows_them(luma_relay: SimulatedRelay) -> None:
    """One that never answered may know none of them."""
    task_id = luma_relay.add()
    luma_relay.trouble(Fault.bad_gateway(), times=None)

    with running("wait", task_id, *FAST, relay=luma_relay) as process:
        wait_until(lambda: len(luma_relay.requests) > 1)  # then the first answer has been read
        process.send_signal(signal.SIGTERM)
        ended = finish(process)

    assert ended.err.splitlines()[:2] == ["luma-async: stopped with 1 not done:", task_id]
    assert ended.err.splitlines()[-1].startswith("luma-async: trouble: the relay answered HTTP 502")
    assert "at the relay" not in ended.err


def test_a41_ids_of_a_pipe_are_named_when_a_disk_is_full(luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """Nobody else has them, whatever ends the command."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])

    with FULL.open("wb") as full, running("wait", *FAST, relay=luma_relay, stdout=full, cwd=tmp_path) as process:
        send(process, endless, done)
        close(process, "stdin")
        ended = finish(process)

    assert ended.status == 1
    assert endless in ended.err.splitlines()


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
    size: str = "",
) -> Ended:
    """Run a command on a terminal of its own; *then* says what is typed once it has shown something."""
    _, terminal = forked = fork(*arguments, relay=relay, encoding=encoding, size=size)
    text, typed = "", b""
    while (piece := read(terminal)) is not None:
        text += piece
        if not typed and (typed := then(text)):
            os.write(terminal, typed)
    return Ended(closed(*forked), text, "")


def fork(  # noqa: PLR0913 - what a shell could give
    *arguments: str,
    relay: SimulatedRelay,
    encoding: str = "utf-8",
    cwd: Path | None = None,
    stdin: bytes | None = None,
    stdout: Path | None = None,
    stderr: Path | None = None,
    ignoring: int | None = None,
    size: str = "",
) -> tuple[int, int]:
    """Start a command on a terminal of its own, and return its process and the terminal.

    Its standard input can be a pipe instead, which stays open, and its outputs files.
    """
    env = {"TERM": "xterm", "PYTHONIOENCODING": encoding, "COLUMNS": size, "LINES": size, "NO_COLOR": "1"}
    reading, writing = os.pipe()
    with starting(ignoring):
        pid, terminal = pty.fork()
        if pid == 0:  # pragma: no cover - the child becomes another program
            os.chdir(cwd or Path.cwd())
            if stdin is not None:
                os.dup2(reading, 0)
                os.set_inheritable(writing, True)  # noqa: FBT003 - so that the pipe stays open
            if stdout is not None:
                os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT), 1)
            if stderr is not None:
                os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT), 2)
            os.execve(  # noqa: S606 - our own program
                sys.executable, [sys.executable, "-m", "luma_async", *arguments], environment(relay, env)
            )
    os.write(writing, stdin or b"")
    os.close(reading)
    os.close(writing)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    return pid, terminal


def closed(pid: int, terminal: int) -> int:
    """Close the terminal, and return the exit status of the process."""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read_until(terminal: int, word: str) -> None:
    """Read what stands on the terminal until there is *word*."""
    text = ""
    while word not in text:
        piece = read(terminal)
        assert piece is not None, text
        text += piece


def read(terminal: int) -> str | None:
    """Return what stands on the terminal next, or None when its last user has gone."""
    try:
        return os.read(terminal, 65536).decode(errors="replace") or None
    except OSError:
        return None
