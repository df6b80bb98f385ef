"""The commands in a pipe: what comes out, and with which exit status."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from luma_async.cli.demo import EXAMPLES, _varied
from luma_async.cli.options import Flavour
from luma_async.testing import Script, SimulatedRelay
from luma_async.testing._flavours import FLAVOURS
from tests.cli.batch import Told
from tests.cli.command import ENDLESS, FAST, add, environment, finish, next_ids, running, send
from tests.cli.conftest import Command
from tests.quick import quick

SCHEMA = ["task_id", "state", "video_url", "path", "error", "elapsed", "polls", "generation"]


def test_wait_gives_one_line_for_each_id(command: Command, luma_relay: SimulatedRelay) -> None:
    """Each id has one line of the documented schema with its own link; nothing else is on standard output."""
    ids = add(luma_relay, [Script.completes()] * 2)

    ended = command("wait", ids[1], ids[0], ids[1], *FAST, relay=luma_relay)

    assert (ended.status, ended.err) == (0, "")
    assert sorted(line["task_id"] for line in ended.lines) == sorted(ids)
    assert all(list(line) == SCHEMA for line in ended.lines)
    assert all(line["state"] == "completed" and task_id in line["video_url"] for task_id, line in ended.by_id.items())


def test_ids_come_from_a_file_and_from_standard_input(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path
) -> None:
    """Arguments and a file add up; standard input is read where there are neither, and where it is asked for."""
    ids = add(luma_relay, [Script.of("completed")] * 3)
    file = tmp_path / "ids.txt"
    file.write_bytes(f"\ufeff# mine\r\n{ids[1]}\r\n\r\n{ids[2]}\r\n{ids[1]}\r\n".encode())

    from_both = command("get", ids[0], "--from", str(file), relay=luma_relay)
    from_stdin = command("get", relay=luma_relay, stdin=f"{ids[0]}\n# no\n{ids[1]}")
    when_asked = command("get", ids[2], "--from", "-", relay=luma_relay, stdin=ids[0])

    assert sorted(from_both.by_id) == sorted(ids)
    assert sorted(from_stdin.by_id) == sorted(ids[:2])
    assert sorted(when_asked.by_id) == sorted([ids[0], ids[2]])


def test_an_outcome_is_out_while_ids_still_come(luma_relay: SimulatedRelay) -> None:
    """In a pipeline the first result is there before the last id is, and the end of the ids ends the command."""
    first, second = add(luma_relay, [Script.of("completed")] * 2)

    with running("wait", *FAST, relay=luma_relay) as process:
        send(process, first)
        early = next_ids(process, 1)
        send(process, second)
        ended = finish(process)

    assert (early, list(ended.by_id), ended.status) == ([first], [second], 0)


@pytest.mark.parametrize(
    ("scripts", "extra", "status"),
    [
        ([Script.of("completed"), Script.fails(reason="坏了 \x1b[31m", after=0.1)], [], 3),
        ([Script.of("completed"), Script.fails(after=0.1), ENDLESS], [], 4),
        ([Script.of("completed"), Script.fails(after=0.1), ENDLESS], ["no-such-task"], 1),
        ([Script.of("completed")], ["../secret"], 1),
    ],
)
def test_the_worst_outcome_makes_the_status(
    command: Command, luma_relay: SimulatedRelay, scripts: list[Script], extra: list[str], status: int
) -> None:
    """One bad id never harms another: each has its line, and the status tells the worst."""
    ids = [*add(luma_relay, scripts), *extra]

    ended = command("wait", *ids, *FAST, "--timeout", "0.8", relay=luma_relay)

    assert ended.status == status
    assert sorted(ended.by_id) == sorted(ids)
    assert ended.by_id[ids[0]]["error"] is None


def test_ids_that_were_not_done_in_time_are_told(command: Command, luma_relay: SimulatedRelay) -> None:
    """Standard error lists the unfinished ids, one a line; their outcomes hold the last state."""
    done, endless = add(luma_relay, [Script.of("completed"), ENDLESS])

    ended = command("wait", done, endless, *FAST, "--timeout", "0.5", relay=luma_relay)

    assert ended.status == 4
    assert ended.err.splitlines() == ["luma-async: 1 not done in time; their generations go on at the relay:", endless]
    assert ended.by_id[endless]["state"] == "processing"
    assert ended.by_id[endless]["error"]["type"] == "WaitTimeoutError"


def test_no_timeout_waits_for_ever(command: Command, luma_relay: SimulatedRelay) -> None:
    """*none* is a timeout."""
    task_id = luma_relay.add()

    ended = command("wait", task_id, *FAST, "--timeout", "none", relay=luma_relay)

    assert (ended.status, ended.by_id[task_id]["state"]) == (0, "completed")


def test_get_takes_any_state_for_an_answer(command: Command, luma_relay: SimulatedRelay) -> None:
    """A pending generation is no error for ``get``, and a failed one makes status 3."""
    pending, failed = add(luma_relay, [Script.of(("pending", 1e6)), Script.fails(after=0.0)])

    looked = command("get", pending, relay=luma_relay)
    both = command("get", pending, failed, relay=luma_relay)

    assert (looked.status, looked.by_id[pending]["state"], looked.by_id[pending]["error"]) == (0, "pending", None)
    assert (both.status, both.by_id[failed]["state"], both.by_id[failed]["error"]) == (3, "failed", None)


def test_download_stores_what_completed(command: Command, luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """The file of each completed generation is there when its line is, and a failed one leaves the others alone."""
    good, bad = add(luma_relay, [Script.completes(), Script.fails(after=0.1)])

    ended = command("download", good, bad, "-o", str(tmp_path), "--private-media", *FAST, relay=luma_relay)

    assert (ended.status, ended.by_id[good]["error"], ended.by_id[bad]["state"]) == (3, None, "failed")
    assert [path.name for path in tmp_path.iterdir()] == [f"{good}.video.mp4"]
    assert f"stored {tmp_path}/{good}.video.mp4" in ended.err


def test_wait_stores_beside_the_waiting(command: Command, luma_relay: SimulatedRelay, tmp_path: Path) -> None:
    """``--download`` stores what completed while others are still waited for."""
    good, endless = add(luma_relay, [Script.of("completed"), ENDLESS])
    options = ("--download", str(tmp_path), "--private-media", *FAST, "--timeout", "1")

    ended = command("wait", good, endless, *options, relay=luma_relay)

    assert (ended.status, ended.by_id[good]["error"]) == (4, None)
    assert [path.name for path in tmp_path.iterdir()] == [f"{good}.video.mp4"]


def test_a_file_that_cannot_be_stored_keeps_the_generation_s_line(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path
) -> None:
    """The line of an id whose file is there already holds both the error and the generation; the other is stored."""
    first, second = add(luma_relay, [Script.of("completed")] * 2)
    (tmp_path / f"{first}.thumbnail.jpg").write_text("mine")
    arguments = ("download", first, second, "-o", str(tmp_path), "--role", "thumbnail", "--private-media")

    kept = command(*arguments, relay=luma_relay)
    was_kept = (tmp_path / f"{first}.thumbnail.jpg").read_text(errors="replace")
    replaced = command(*arguments, "--overwrite", relay=luma_relay)

    assert (kept.status, was_kept, replaced.status) == (1, "mine", 0)
    assert kept.by_id[first]["error"]["type"] == "DownloadError"
    assert kept.by_id[first]["generation"]["id"] == first
    assert kept.by_id[first]["video_url"]
    assert (kept.by_id[first]["path"], kept.by_id[second]["path"]) == (None, str(tmp_path / f"{second}.thumbnail.jpg"))
    assert kept.by_id[second]["error"] is None
    assert (tmp_path / f"{first}.thumbnail.jpg").stat().st_size > 4


def test_a_command_runs_beside_the_main_thread(command: Command, luma_relay: SimulatedRelay) -> None:
    """Where signals cannot be heard, everything else is the same."""
    task_id = luma_relay.add(script=Script.of("completed"))

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(command, "wait", task_id, relay=luma_relay).result()

    assert (ended.status, list(ended.by_id)) == (0, [task_id])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["wait"], "there are no task ids"),
        (["wait", "--from", "missing.txt"], "missing.txt cannot be read: No such file"),
        (["wait", "a", "--timeout", "0"], "timeout"),
        (["wait", "a", "--timeout", "nan"], "timeout"),
        (["wait", "a", "--initial-interval", "20"], "--max-interval"),
        (["wait", "a", "--max-in-flight", "0"], "--max-in-flight 0 is not"),
        (["get", "a", "--base-url", "http://relay.example"], "--insecure-http"),
        (["get", "a", "--key-file", "missing.key"], "missing.key cannot be read"),
        (["get", "a", "--requests-per-second", "0"], "--requests-per-second 0.0 is not a number above 0"),
        (["get", "a", "--request-timeout", "0"], "--request-timeout 0.0 is not"),
        (["download", "a", "--max-downloads", "0"], "--max-downloads 0 is not"),
        (["get", "a", "--proxy", "http://u:s3cret@p:1"], "set LUMA_PROXY to that URL instead"),
        (["get", "a", "--proxy", "socks5://p:1"], "--proxy is not the URL of an HTTP proxy"),
        (["get", "a", "--ca-file", "missing.pem"], "--ca-file missing.pem cannot be used: No such file"),
        (["get", "a", "--ca-file", __file__], "it holds no certificates in PEM"),
        (["download", "a", "--name", "{prompt}"], "lacks {id}"),
        (["wait", "a", "--download", "v", "--name", "{id.x}"], "is not a template"),
        (["wait", "a", "--name", "{id}"], "--name is only for files (give --download DIR too)"),
        (["submit", "a", "--exec", "true"], "--exec is only for files (give --download DIR too)"),
        (["download", "a", "--exec", "no-such-program {}"], "there is no program no-such-program"),
        (["download", "a", "--exec", "'"], "--exec cannot be split: No closing quotation"),
        (["submit", "a", "--download", "v", "--exec", " "], "--exec is empty"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    command: Command, luma_relay: SimulatedRelay, arguments: list[str], complaint: str
) -> None:
    """Nothing is asked, and one line on standard error says what is wrong."""
    ended = command(*arguments, relay=luma_relay)

    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert complaint in ended.err
    assert not luma_relay.requests


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({"LUMA_BASE_URL": "https://relay.example"}, "set LUMA_API_KEY or LUMA_API_KEY_FILE, or give --key-file"),
        ({}, "set LUMA_BASE_URL or give --base-url, and set LUMA_API_KEY or LUMA_API_KEY_FILE, or give --key-file"),
        ({"LUMA_API_KEY": "sk-test-0123456789"}, "set LUMA_BASE_URL or give --base-url"),
    ],
)
def test_what_is_missing_is_called_by_its_option(command: Command, env: dict[str, str], complaint: str) -> None:
    """The way out is told in the words of the command line."""
    ended = command("get", "a", env=env)

    assert (ended.status, complaint in ended.err) == (2, True)


@pytest.mark.parametrize("arguments", [["wait", "a", "--api-key", "k"], ["bogus"], ["wait", "--timeout", "soon", "a"]])
def test_what_cannot_be_parsed_is_status_2(command: Command, arguments: list[str]) -> None:
    """An unknown option, command or value ends with the usual status of a usage error; a key is no option."""
    ended = command(*arguments)

    assert (ended.status, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def interpreted(script: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run *script* in an interpreter of its own."""
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment(None), cwd=cwd
    )


def test_without_the_extra_the_way_out_is_told() -> None:
    """A missing CLI library is one line and status 2, not a traceback."""
    script = "import sys; sys.modules['cyclopts'] = None; from luma_async.cli import main; sys.exit(main(['demo']))"

    ended = interpreted(script)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "luma-async: the command line is not installed: pip install 'luma-async[cli]'\n"


def test_a_gallery_imports_no_http(tmp_path: Path) -> None:
    """It reads outcomes and asks no relay."""
    (tmp_path / "outcomes.jsonl").write_bytes(Told().line)
    script = (
        "import sys; from luma_async.cli import main; main(['gallery', 'outcomes.jsonl']);"
        "print('aiohttp' in sys.modules)"
    )

    ended = interpreted(script, tmp_path)

    assert ended.stdout == "False\n"
    assert (tmp_path / "gallery.html").exists()


def test_help_and_version_import_no_http() -> None:
    """``--help`` answers at once: it loads neither aiohttp nor asyncio, and every command stands in it."""
    script = (
        "import sys; from luma_async.cli import main; main(['--help']); main(['wait', '--help']); main(['--version']);"
        "print(sorted({'aiohttp', 'asyncio', 'rich.live', 'luma_async.testing'} & set(sys.modules)))"
    )

    ended = interpreted(script)

    *_, version, imported = ended.stdout.splitlines()
    assert imported == "[]"
    assert version.startswith("luma-async ")
    assert all(f" {name} " in ended.stdout for name in ("get", "wait", "download", "demo", "simulate"))


@pytest.mark.slow
def test_demo_needs_nothing_and_can_be_run_again(
    command: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Five files, over those of an earlier run, and one failure, which is no failure of the command."""
    (tmp_path / "demo-1.video.mp4").write_text("from an earlier run")
    env = {"LUMA_BASE_URL": "https://relay.invalid", "LUMA_API_KEY": "bad key", "PYTHONIOENCODING": "ascii"}

    ended = command("demo", "--directory", str(tmp_path), env=env)

    assert ended.status == 0
    assert sorted(line["state"] for line in ended.lines) == ["completed"] * 5 + ["failed"]
    assert [line["error"]["reason"] for line in ended.lines if line["error"]] == ["the prompt was refused"]
    assert all(path.read_bytes()[4:8] == b"ftyp" for path in tmp_path.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"demo-{number}.video.mp4" for number in range(1, 6)]
    assert f"the videos are in {tmp_path}; next, " in ended.err
    assert "unknown state 'stitching'" in caplog.text


TROUBLE = ("503-limit", "401-blip", "job-limit", "row-cap")


@pytest.mark.parametrize(
    "options",
    quick(
        [
            [],
            ["--flavour", "new-api", "--spread", "0.5"],
            ["--envelope", *(word for name in TROUBLE for word in ("--trouble", name))],
        ],
        ids=["plain", "flavour", "trouble"],
    ),
)
def test_simulate_prints_what_a_client_needs(command: Command, tmp_path: Path, options: list[str]) -> None:
    """Its lines are a file for ``wait --from``, with address and key in comments, until Ctrl-C.

    It knows the ids of the documentation, too.
    """
    with running("simulate", "--speed", "500", "--count", "5", *options) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline().decode() for _ in range(7)]
        (tmp_path / "ids.txt").write_text("".join(printed), encoding="ascii")
        env = dict(line.strip().removeprefix("# export ").split("=") for line in printed[:2])
        waited = command("wait", "--from", str(tmp_path / "ids.txt"), *FAST, env=env)
        looked = command("get", *EXAMPLES, env=env)
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    assert (waited.status, len(waited.lines)) == (3, 5)
    assert sorted(looked.by_id) == sorted(EXAMPLES)
    assert all(line["state"] for line in looked.lines)
    assert (ended.status, ended.err) == (130, "")


def test_simulate_refuses_a_flavour_that_it_does_not_have(command: Command) -> None:
    """It takes those of the test kit, and the message names them."""
    ended = command("simulate", "--flavour", "one-api")

    assert ended.status == 2
    assert "luma-api" in ended.err
    assert get_args(Flavour) == tuple(FLAVOURS)


@pytest.mark.parametrize(("spread", "varied"), [(0.0, False), (0.5, True)])
def test_simulate_varies_durations_within_the_spread(spread: float, *, varied: bool) -> None:
    """Each step keeps its word, and its time within the spread."""
    script = Script.completes(pending=5.0, processing=15.0)

    found = [_varied(script, randomness=Random(seed), spread=spread) for seed in range(50)]  # noqa: S311

    assert {tuple(step.state for step in each.steps) for each in found} == {("pending", "processing")}
    assert all(1 - spread <= each.duration / 20.0 <= 1 + spread for each in found)
    assert (len({each.duration for each in found}) > 40) is varied


def test_simulate_needs_no_tasks() -> None:
    """Without ready-made tasks there are only address and key, and SIGTERM ends it too."""
    with running("simulate", "--count", "0") as process:
        assert process.stdout is not None
        names = [process.stdout.readline().split(b"=")[0] for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        ended = finish(process)

    assert names == [b"# export LUMA_BASE_URL", b"# export LUMA_API_KEY"]
    assert (ended.status, ended.out, ended.err) == (143, "", "")


def test_simulate_says_that_a_port_is_taken(command: Command, luma_relay: SimulatedRelay) -> None:
    """A taken port is one line and status 2."""
    port = luma_relay.base_url.rpartition(":")[2]

    ended = command("simulate", "--port", port)

    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert f"port {port} cannot be used" in ended.err
