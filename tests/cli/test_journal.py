"""``--journal``: batches that survive their process."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from luma_async.testing import Fault, RelayThread, Script, SimulatedRelay
from tests.cli.command import (
    ENDLESS,
    FAST,
    PATIENCE,
    Ended,
    add,
    environment,
    finish,
    next_ids,
    run,
    running,
    wait_until_polled,
)
from tests.cli.conftest import Command

FAILS = Script.of("failed", failure_reason="the prompt was refused")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The name of a journal that is not there yet."""
    return tmp_path / "batch.jsonl"


def recorded(journal: Path) -> list[str]:
    """Return the ids in *journal*, each as often as it stands there; every line is whole."""
    return [json.loads(line)["task_id"] for line in journal.read_text(encoding="ascii").splitlines()]


def asked(relay: SimulatedRelay, since: int = 0) -> set[str]:
    """Return the ids that *relay* was asked about, the first *since* requests left out."""
    return {task_id for seen in relay.requests[since:] for task_id in seen.task_ids}


def test_started_again_it_waits_for_what_is_missing(
    command: Command, luma_relay: SimulatedRelay, journal: Path
) -> None:
    """Standard output has what is new, the journal has all, in the same lines; the status is that of all ids."""
    ids = add(luma_relay, [Script.of("completed"), FAILS, Script.of("completed")])
    first = command("wait", *ids[:2], "--journal", str(journal), *FAST, relay=luma_relay)
    before = len(luma_relay.requests)

    again = command("wait", *ids, "--journal", str(journal), *FAST, relay=luma_relay)

    assert (first.status, first.err, sorted(first.by_id)) == (3, "", sorted(ids[:2]))
    assert (again.status, again.err) == (3, f"luma-async: 2 of 3 had ended, as {journal} says\n")
    assert (list(again.by_id), asked(luma_relay, before)) == ([ids[2]], {ids[2]})
    assert first.out + again.out == journal.read_text(encoding="ascii")


@pytest.mark.parametrize(("state", "status"), [("completed", 0), ("failed", 3), ("unknown", 1)])
def test_the_status_tells_of_earlier_runs_too(
    command: Command, luma_relay: SimulatedRelay, journal: Path, state: str, status: int
) -> None:
    """A run that finds nothing left to do ends as the one before it ended."""
    task_id = "nobody-s" if state == "unknown" else luma_relay.add(script=Script.of(state))

    statuses = [command("wait", task_id, "--journal", str(journal), *FAST, relay=luma_relay).status for _ in range(2)]

    assert (statuses, recorded(journal)) == ([status] * 2, [task_id])


def test_what_may_go_better_next_time_is_waited_for_again(
    command: Command, luma_relay: SimulatedRelay, journal: Path
) -> None:
    """A wrong key, a deadline and an id that cannot be one leave nothing in the journal."""
    done, slow = add(luma_relay, [Script.of("completed"), ENDLESS])
    options = ("--journal", str(journal), *FAST, "--timeout", "0.3")

    refused = command("wait", done, slow, *options, env={"LUMA_BASE_URL": luma_relay.base_url, "LUMA_API_KEY": "sk-no"})
    held = recorded(journal)
    late = command("wait", done, slow, "a/b", *options, relay=luma_relay)

    assert (refused.status, held) == (1, [])
    assert (late.status, sorted(late.by_id), recorded(journal)) == (1, sorted([done, slow, "a/b"]), [done])


@pytest.mark.slow
def test_killed_again_and_again_each_id_stands_there_once(journal: Path) -> None:
    """``kill -9`` at any moment, until a run comes to its end; what was on standard output is in the journal."""
    shown: list[str] = []
    moments = random.Random(20)  # noqa: S311 - no secret
    with RelayThread(SimulatedRelay(speed=10)) as relay:
        ids = [relay.add(script=Script.completes(pending=10 + number)) for number in range(60)]
        status = -signal.SIGKILL
        while status == -signal.SIGKILL:
            with running("wait", *ids, "--journal", str(journal), *FAST, relay=relay) as process:
                shown += ids_until_killed(process, moments.randrange(1, 8), moments.random() / 20)
                ended = finish(process)
            status = ended.status

    assert (status, ended.err.splitlines()[1:]) == (0, [])
    assert sorted(recorded(journal)) == sorted(ids)
    assert Counter(shown) <= Counter(recorded(journal))


def ids_until_killed(process: subprocess.Popen[bytes], count: int, pause: float) -> list[str]:
    """Kill *process* so many seconds after its outcome number *count*, unless it ends before; return what it showed."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    if all(lines):
        time.sleep(pause)
        process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    process.stdout = None
    return [json.loads(line)["task_id"] for line in lines if line.endswith(b"\n")]


def test_a_second_process_is_refused(luma_relay: SimulatedRelay, journal: Path) -> None:
    """With one line and status 2, before it has asked anything; the first goes on unharmed."""
    done, slow, other = add(luma_relay, [Script.of("completed"), ENDLESS, ENDLESS])

    with running("wait", done, slow, "--journal", str(journal), *FAST, relay=luma_relay) as process:
        next_ids(process, 1)
        second = run("wait", other, "--journal", str(journal), relay=luma_relay)
        process.send_signal(signal.SIGINT)
        first = finish(process)

    assert (second.status, second.out, len(second.err.splitlines())) == (2, "", 1)
    assert f"{journal} is in use as the journal of another run" in second.err
    assert (first.status, asked(luma_relay), recorded(journal)) == (130, {done, slow}, [done])


def test_a_full_disk_ends_it_and_loses_nothing(luma_relay: SimulatedRelay, journal: Path) -> None:
    """One line and status 1; what was recorded is whole, and the next run records the rest."""
    ids = add(luma_relay, [Script.of("completed")] * 12)
    command = [sys.executable, "-m", "luma_async", "wait", *ids, "--journal", str(journal), *FAST]

    ended = limited("8", command, luma_relay)
    held = recorded(journal)
    again = run("wait", *ids, "--journal", str(journal), *FAST, relay=luma_relay)

    assert (ended.status, len(ended.err.splitlines())) == (1, 1)
    assert f"the outcome cannot be recorded in {journal}: File too large (make room" in ended.err
    assert set(ended.by_id) <= set(held) < set(ids)
    assert (again.status, sorted(recorded(journal))) == (0, sorted(ids))


def limited(blocks: str, command: list[str], relay: SimulatedRelay) -> Ended:
    """Run *command* where no file can grow beyond so many blocks of 512 or 1024 bytes."""
    measured = {name: value for name, value in environment(relay).items() if not name.startswith("COVERAGE")}
    env = {**measured, "PYTHONDONTWRITEBYTECODE": "1"}  # what else writes files would be stopped too
    shell = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *command]
    done = subprocess.run(shell, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("content", [None, "ids.txt\n", '{"name": "package"}'])
def test_a_file_that_is_no_journal_is_refused(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, content: str | None
) -> None:
    """A directory or somebody's file is left alone, and nothing is asked."""
    path = tmp_path / "other"
    path.write_text(content or "", encoding="utf-8")
    target = path if content else tmp_path

    ended = command("wait", "a", "--journal", str(target), relay=luma_relay)

    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert str(target) in ended.err
    assert (path.read_text(encoding="utf-8"), luma_relay.requests) == (content or "", [])


def test_standard_output_into_the_journal_is_refused(luma_relay: SimulatedRelay, journal: Path) -> None:
    """Each line would stand there twice."""
    with journal.open("ab") as out, running("wait", "a", "--journal", str(journal), relay=luma_relay, stdout=out) as it:
        ended = finish(it)

    assert (ended.status, journal.read_bytes(), luma_relay.requests) == (2, b"", [])
    assert f"standard output goes to the journal {journal} too" in ended.err


def test_a_signal_tells_only_what_is_missing(luma_relay: SimulatedRelay, journal: Path) -> None:
    """An id that ended in an earlier run is not among those that are not done, whether it was met again or not."""
    done, other, *slow = add(luma_relay, [Script.of("completed"), Script.of("completed"), ENDLESS, ENDLESS])
    run("wait", done, other, "--journal", str(journal), *FAST, relay=luma_relay)
    options = ("--journal", str(journal), *FAST, "--max-in-flight", "1")

    with running("wait", done, slow[0], other, slow[1], *options, relay=luma_relay) as process:
        wait_until_polled(luma_relay, slow[0])
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    again = ("luma-async", "wait", "--max-in-flight", "1", *FAST, "--journal", str(journal))
    assert ended.status == 130
    assert ended.err.splitlines()[1:] == [
        "luma-async: stopped with 2 not done; their generations go on at the relay:",
        *slow,
        f"luma-async: to go on: {' '.join([*again, *slow])}",
    ]


def test_wait_and_download_share_a_journal(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, journal: Path
) -> None:
    """An id is done when it has ended and its file is there; one whose file has gone is fetched again."""
    done, failed = add(luma_relay, [Script.of("completed"), FAILS])
    options = ("--journal", str(journal), *FAST)
    fetching = ("download", done, failed, "--private-media", "-o", str(tmp_path / "videos"), *options)
    command("wait", done, failed, *options, relay=luma_relay)
    video = tmp_path / "videos" / f"{done}.video.mp4"

    first = command(*fetching, relay=luma_relay)
    stored, before = video.stat(), len(luma_relay.requests)
    second = command(*fetching, relay=luma_relay)
    after = len(luma_relay.requests)
    video.unlink()
    third = command(*fetching, relay=luma_relay)

    assert [ended.status for ended in (first, second, third)] == [3, 3, 3]
    assert [list(ended.by_id) for ended in (first, second, third)] == [[done], [], [done]]
    assert (after, video.stat().st_size) == (before, stored.st_size)
    assert sorted(recorded(journal)) == sorted([done, done, failed])  # the file has a line, too


@pytest.mark.parametrize("storing", [("download", "--directory"), ("wait", "--download")])
def test_a_file_that_cannot_be_stored_is_stored_next_time(
    command: Command, luma_relay: SimulatedRelay, tmp_path: Path, journal: Path, storing: tuple[str, str]
) -> None:
    """The journal has what the relay said; the file is still to come."""
    task_id = luma_relay.add(script=Script.of("completed"))
    name, option = storing
    options = (name, task_id, option, str(tmp_path / "videos"), "--journal", str(journal), *FAST)

    luma_relay.trouble(Fault.http(410), times=2, on="media")  # a link, and the fresh one

    refused = command(*options, relay=luma_relay)
    held = recorded(journal)
    fetched = command(*options, relay=luma_relay)

    assert (refused.status, refused.lines[0]["error"]["type"], held) == (1, "DownloadError", [task_id])
    assert (fetched.status, recorded(journal)) == (0, [task_id, task_id])  # the file has a line, too
    assert (tmp_path / "videos" / f"{task_id}.video.mp4").exists()
