"""Batches of submits, with receipts: each row is paid for once, however often the command is started."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from luma_async import GenerationOptions, Limits, LumaClient
from luma_async.cli.manifests import Row
from luma_async.cli.naming import ResumeCommand
from luma_async.cli.options import Output, Waiting
from luma_async.cli.receipts import Receipts
from luma_async.cli.retries import Retries
from luma_async.cli.rows import Rows
from luma_async.cli.running import concluded
from luma_async.cli.submitting import RowRecord, Submissions, Submitter, submit
from luma_async.cli.summary import Summary
from luma_async.events import Event, StateChanged
from luma_async.testing import FastTime, Fault, RelayThread, Script, SimulatedRelay
from tests.cli.command import FAST, Ended, finish, run, running, wait_until
from tests.cli.conftest import Command
from tests.quick import quick


@pytest.fixture
def relay() -> Iterator[SimulatedRelay]:
    """Run a relay fifty times faster than life, whose generations complete at once."""
    with RelayThread(SimulatedRelay(speed=50, script=Script.of("completed"))) as running:
        yield running


@pytest.fixture
def receipts(tmp_path: Path) -> Path:
    """The place of receipts that do not exist yet."""
    return tmp_path / "receipts.jsonl"


def manifest(directory: Path, *rows: str) -> str:
    """Write a CSV file of these rows, and return its path."""
    path = directory / "rows.csv"
    path.write_text("\n".join(["prompt,aspect_ratio,name", *rows, ""]), encoding="utf-8")
    return str(path)


def submitted(ended: Ended) -> list[tuple[str, str | None]]:
    """Return the prompts and ids of the lines about submits."""
    return [(line["prompt"], line["task_id"]) for line in ended.lines if "prompt" in line]


def paid(relay: SimulatedRelay) -> int:
    """Return how many submits the relay has taken."""
    return len(relay.task_ids)


def test_each_row_of_a_manifest_is_a_video_of_its_own(command: Command, relay: SimulatedRelay, tmp_path: Path) -> None:
    """Its options go before those of the command, and its name is in its line."""
    path = manifest(tmp_path, "a cat,1:1,first", "a dog,,")

    ended = command("submit", "a bird", "--from", path, "--aspect-ratio", "9:16", "--wait", *FAST, relay=relay)

    ratios = {line["generation"]["request"]["aspect_ratio"]: line["task_id"] for line in ended.lines if "state" in line}
    lines = {line["prompt"]: line for line in ended.lines if "prompt" in line}
    assert (ended.status, paid(relay)) == (0, 3)
    assert lines["a cat"] == {"name": "first", "prompt": "a cat", "task_id": ratios["1:1"], "error": None}
    assert "name" not in lines["a dog"]


def test_a_bad_row_costs_nothing(command: Command, relay: SimulatedRelay, tmp_path: Path) -> None:
    """Also if it is the last one: nothing is sent, and the message has the file, the line and the field."""
    path = manifest(tmp_path, "a cat,1:1,", "a dog,wide,")

    ended = command("submit", "--from", path, relay=relay)

    assert (ended.status, ended.out, relay.requests) == (2, "", [])
    assert "rows.csv, line 3 (row 2), column aspect_ratio: " in ended.err


def test_an_empty_manifest_is_an_error(command: Command, relay: SimulatedRelay, tmp_path: Path) -> None:
    """As is an empty list of prompts."""
    ended = command("submit", "--from", manifest(tmp_path), relay=relay)

    assert (ended.status, relay.requests) == (2, [])
    assert "there are no prompts" in ended.err


def test_a_batch_that_is_started_again_pays_for_new_rows_only(
    command: Command, relay: SimulatedRelay, tmp_path: Path, receipts: Path
) -> None:
    """The rows may have another order, equal rows count, and each row has its line with its id again."""
    options = ("--from", str(tmp_path / "rows.csv"), "--receipts", str(receipts))
    manifest(tmp_path, "a cat,,", "a cat,,", "a dog,,")
    first = command("submit", *options, relay=relay)
    manifest(tmp_path, "a dog,,named since", "a bird,,", "a cat,,", "a cat,,", "a cat,,")

    second = command("submit", *options, relay=relay)

    assert (first.status, second.status, paid(relay)) == (0, 0, 5)
    assert set(submitted(first)) < set(submitted(second))
    assert len(set(submitted(second))) == 5
    assert f"3 of 5 had been submitted, as {receipts} says" in second.err


def test_rows_that_were_submitted_before_are_waited_for(
    command: Command, relay: SimulatedRelay, receipts: Path
) -> None:
    """By the command that waits too, and by ``wait`` where it gets the receipts as a list of ids."""
    options = ("--receipts", str(receipts), "--at-once", "1")
    command("submit", "a cat", "a dog", *options, relay=relay)

    again = command("submit", "a cat", "a dog", "--wait", *options, *FAST, relay=relay)
    waited = command("wait", "--from", str(receipts), *FAST, relay=relay)

    assert (again.status, waited.status, paid(relay)) == (0, 0, 2)
    assert [line["task_id"] for line in again.lines if "state" in line] == relay.task_ids
    assert [line["task_id"] for line in waited.lines] == relay.task_ids


def test_a_refused_row_is_submitted_by_the_next_run(command: Command, relay: SimulatedRelay, receipts: Path) -> None:
    """The relay certainly did not take it."""
    options = ("a cat", "--receipts", str(receipts))
    relay.trouble(Fault.http(402, b'{"error": {"message": "no credit"}}'), on="submit")

    refused = command("submit", *options, relay=relay)
    taken = command("submit", *options, relay=relay)

    assert (refused.status, taken.status, paid(relay)) == (1, 0, 1)


def test_an_open_row_is_repeated_only_on_request(command: Command, relay: SimulatedRelay, receipts: Path) -> None:
    """Each run until then ends with status 1 and names it; a wait for the receipts does not pass it over."""
    options = ("a cat", "--receipts", str(receipts))
    relay.trouble(Fault.lost_answer(), on="submit")

    lost = command("submit", *options, relay=relay)
    again = command("submit", *options, relay=relay)
    waited = command("wait", "--from", str(receipts), relay=relay)
    paid_before = paid(relay)
    repeated = command("submit", *options, "--repeat-open", relay=relay)
    after = command("wait", "--from", str(receipts), *FAST, relay=relay)

    assert (lost.status, again.status, waited.status, repeated.status, after.status) == (1, 1, 1, 0, 0)
    assert (paid_before, paid(relay)) == (1, 2)
    assert again.lines[0]["error"]["type"] == "UncertainSubmitError"
    assert "--repeat-open submits them again:\na cat\n" in lost.err
    assert "--repeat-open submits them again:\na cat\n" in again.err


def test_a_prompt_that_is_none_has_no_receipt(relay: SimulatedRelay, receipts: Path) -> None:
    """It is an error of its own in a list of prompts; the others are submitted."""
    ended = run("submit", "--receipts", str(receipts), relay=relay, stdin="a \udcff cat\na dog\n")

    assert (ended.status, paid(relay)) == (1, 1)
    assert [json.loads(line)["prompt"] for line in receipts.read_text(encoding="ascii").splitlines()] == ["a dog"] * 2


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_batch_ends_when_a_receipt_cannot_be_recorded(
    command: Command,
    relay: SimulatedRelay,
    receipts: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: int,
) -> None:
    """No submit is sent without one, and an id that is paid for is in the results all the same."""
    system, writes = os.write, iter(range(written))

    def write(descriptor: int, data: bytes) -> int:
        if next(writes, None) is None:
            raise OSError(28, "No space left on device")
        return system(descriptor, data)

    monkeypatch.setattr("os.write", write)
    ended = command("submit", "a cat", "a dog", "--at-once", "1", "--receipts", str(receipts), relay=relay)

    assert (ended.status, paid(relay)) == (1, written and 1)
    assert [task_id for _, task_id in submitted(ended) if task_id is not None] == relay.task_ids
    assert "a receipt cannot be recorded in" in ended.err
    assert len(receipts.read_text(encoding="ascii").splitlines()) == written


@pytest.mark.parametrize(
    "option", quick([(("--repeat-open",),), (("--retry-failed", "1", "--wait"),)], ids=["open", "failed"])
)
def test_what_needs_receipts_says_so(command: Command, relay: SimulatedRelay, option: tuple[str, ...]) -> None:
    """Before anything is submitted."""
    ended = command("submit", "a cat", *option, relay=relay)

    assert (ended.status, relay.requests) == (2, [])
    assert f"{option[0]} needs --receipts" in ended.err


def test_a_retry_needs_a_wait(command: Command, relay: SimulatedRelay, receipts: Path) -> None:
    """Nobody else would see the failure."""
    ended = command("submit", "a cat", "--retry-failed", "1", "--receipts", str(receipts), relay=relay)

    assert (ended.status, relay.requests) == (2, [])


# --- what failed is submitted again ---


def test_a_failed_row_is_submitted_again_so_often(command: Command, relay: SimulatedRelay, receipts: Path) -> None:
    """Each attempt has its lines and its receipt, and another run does not start at zero."""
    relay.script = Script.fails(after=0.0)
    download = ("--download", str(receipts.parent / "videos"))
    options = ("a cat", "--receipts", str(receipts), *download, "--retry-failed", "2", *FAST)

    first = command("submit", *options, relay=relay)
    polls = [len(relay.asked_about(task_id)) for task_id in relay.task_ids]
    second = command("submit", *options, relay=relay)

    assert (first.status, second.status, paid(relay)) == (3, 3, 3)
    assert [task_id for _, task_id in submitted(first)] == relay.task_ids
    assert [line["task_id"] for line in first.lines if "state" in line] == relay.task_ids
    assert polls == [1, 1, 1]
    assert [line["task_id"] for line in second.lines] == [relay.task_ids[-1]] * 2


def test_an_id_that_a_relay_gives_twice_is_waited_for_once(
    command: Command, relay: SimulatedRelay, receipts: Path
) -> None:
    """For two rows, and for a retry: the command ends, although no second outcome comes."""
    relay.add("again", script=Script.fails(after=0.0))
    relay.trouble(Fault.http(200, b'{"task_id": "again"}'), times=None, on="submit")
    options = ("--receipts", str(receipts), "--at-once", "1", "--wait", "--retry-failed", "2", *FAST)

    ended = command("submit", "a cat", "a dog", *options, relay=relay)

    assert ended.status == 1
    assert "the relay gave the id again to two submits: a dog" in ended.err
    assert [line["task_id"] for line in ended.lines] == ["again"] * 4
    assert sum("state" in line for line in ended.lines) == 1


def test_a_failure_in_the_journal_is_submitted_again_by_the_next_run(
    command: Command, relay: SimulatedRelay, receipts: Path, tmp_path: Path
) -> None:
    """A run that was killed between the failure and its retry loses nothing."""
    relay.script = Script.fails(after=0.0)
    options = ("a cat", "--receipts", str(receipts), "--journal", str(tmp_path / "journal.jsonl"), *FAST)
    command("submit", *options, relay=relay)
    relay.script, (failed,) = Script.of("completed"), relay.task_ids
    before = len(relay.asked_about(failed))

    ended = command("submit", *options, "--retry-failed", "1", relay=relay)

    assert (ended.status, paid(relay)) == (0, 2)
    assert len(relay.asked_about(failed)) == before


def test_a_failure_that_is_final_stays_one_and_is_not_polled_again(
    command: Command, relay: SimulatedRelay, receipts: Path, tmp_path: Path
) -> None:
    """By its code in the journal: only what is new costs a request."""
    failed = {"id": "a", "state": "failed", "failure_code": "content_moderated"}
    relay.trouble(Fault.http(200, {"task_id": "a"}), times=None, on="submit")
    relay.trouble(Fault.http(200, failed), times=None, task_id="a")
    options = ("a cat", "--receipts", str(receipts), "--journal", str(tmp_path / "journal.jsonl"), *FAST)
    command("submit", *options, "--retry-failed", "1", relay=relay)
    before = len(relay.requests)

    ended = command("submit", *options, "--retry-failed", "1", relay=relay)

    assert (ended.status, [seen.kind for seen in relay.requests].count("submit")) == (3, 1)
    assert len(relay.requests) == before


def test_a_failure_that_an_earlier_run_has_told_is_counted_and_not_told_again(
    command: Command, relay: SimulatedRelay, receipts: Path, tmp_path: Path
) -> None:
    """It was retried often enough, so its row is over; of a row that is submitted again, only the new end is told."""
    kept = ("--receipts", str(receipts), "--journal", str(tmp_path / "journal.jsonl"))
    options = (*kept, "--at-once", "1", "--retry-failed", "1", "-v", *FAST)
    relay.script = Script.fails(after=0.0)
    command("submit", "a cat", *options, relay=relay)
    command("submit", "a cat", "a dog", *kept, *FAST, relay=relay)
    relay.script = Script.of("completed")

    ended = command("submit", "a cat", "a dog", "a bird", *options, relay=relay)

    assert (ended.status, paid(relay)) == (3, 5)
    assert [line["state"] for line in ended.lines if "state" in line] == ["completed", "completed"]
    assert "2 of 3 had ended, as " in ended.err
    assert "3 ended in " in ended.err
    assert ": 2 completed, 1 failed, 1 of them before; " in ended.err


async def test_a_retry_that_completes_makes_the_batch_a_success(
    luma_time: FastTime, luma_relay: SimulatedRelay, receipts: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Other rows are not held up by it, and the failed attempt is shown too."""

    def note(event: Event) -> None:
        if isinstance(event, StateChanged) and event.state == "failed":
            luma_relay.script = Script.of("completed")

    luma_relay.script = Script.fails(after=5.0)
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, on_event=note) as luma:
        kept = Receipts(receipts)
        rows = Rows.of(["a cat"], None, GenerationOptions())
        again = ResumeCommand((), None, frozenset())
        batch = Submissions(
            submitter=Submitter(luma, kept), rows=rows, at_once=1, again=again, retries=Retries(3, kept)
        )
        work = submit(batch, Waiting(), None, earlier=None, output=Output(as_json=True), summary=Summary(quiet=True))
        status = await concluded(work)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    assert status == 0
    assert [line.get("state", "") for line in lines] == ["", "failed", "", "completed"]
    assert luma_time.elapsed < 60


# --- kill -9 ---


@pytest.mark.parametrize("number", quick([signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"]))
def test_a_row_that_the_relay_refused_for_now_is_free_after_a_kill(
    command: Command, relay: SimulatedRelay, receipts: Path, number: signal.Signals
) -> None:
    """Nothing was sent that it could have taken: the next run submits it unasked."""
    options = ("a cat", "--receipts", str(receipts))
    relay.trouble(Fault.http(503, {"error": {"message": "no channel"}}), on="submit")

    with running("submit", *options, relay=relay) as process:
        wait_until(lambda: receipts.exists() and receipts.read_bytes().count(b"\n") == 2)
        process.send_signal(number)
        stopped = finish(process)
    again = command("submit", *options, relay=relay)

    assert "unknown" not in stopped.err
    assert ("not submitted" in stopped.err) is (number == signal.SIGINT)
    assert (again.status, paid(relay)) == (0, 1)


@pytest.mark.slow
def test_a_row_that_was_on_the_wire_is_open_after_a_kill(
    command: Command, relay: SimulatedRelay, receipts: Path
) -> None:
    """Also after a refusal of an earlier try: the relay may have taken this one."""
    options = ("a cat", "--receipts", str(receipts))
    relay.trouble(Fault.rate_limited(0.05), on="submit")
    relay.trouble(Fault.slow(60), on="submit")

    with running("submit", *options, relay=relay) as process:
        wait_until(lambda: len(relay.requests) == 2)
        process.send_signal(signal.SIGKILL)
        finish(process)
    again = command("submit", *options, relay=relay)

    assert again.status == 1
    assert again.lines[0]["error"]["type"] == "UncertainSubmitError"
    assert len(relay.requests) == 2


async def test_a_row_that_waits_for_its_turn_has_no_receipt(
    luma_time: FastTime, luma_relay: SimulatedRelay, receipts: Path
) -> None:
    """One request an hour: the second row is not sent before, so a kill leaves nothing open."""
    limits = Limits(requests_per_second=1 / 3600)
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, limits=limits) as luma, Receipts(receipts) as kept:
        submitter = Submitter(luma, kept)
        await submitter.submit(Row("a cat", GenerationOptions()))
        waiting = asyncio.create_task(submitter.submit(Row("a dog", GenerationOptions())))
        await asyncio.sleep(1800)
        waiting.cancel()
        await asyncio.wait([waiting])
    written = await asyncio.to_thread(receipts.read_text)

    assert waiting.cancelled()
    assert luma_time.elapsed < 3600
    assert "a dog" not in written


async def test_a_row_that_is_stopped_while_its_receipt_is_written_is_free(
    luma_relay: SimulatedRelay, receipts: Path
) -> None:
    """It was not sent, and the receipt says so."""
    row = Row("a cat", GenerationOptions())
    async with LumaClient(luma_relay.base_url, luma_relay.api_key) as luma, Receipts(receipts) as kept:
        writing = asyncio.create_task(RowRecord(row, kept, lambda _: None).before_sending())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        earlier = Submitter(luma, kept).earlier(row)
    written = await asyncio.to_thread(receipts.read_text)

    assert writing.cancelled()
    assert earlier is None
    assert written.count("\n") == 2


def kill_at_random(relay: SimulatedRelay, options: tuple[str, ...], receipts: Path, within: float) -> None:
    """Start the command, and kill it in some seconds after its first receipt."""
    before = receipts.stat().st_size if receipts.exists() else 0
    with running("submit", *options, relay=relay) as process:
        wait_until(lambda: process.poll() is not None or (receipts.exists() and receipts.stat().st_size > before))
        time.sleep(random.uniform(0.0, within))  # noqa: S311
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(("count", "kills"), [(12, 1), pytest.param(500, 2, marks=pytest.mark.slow)])
def test_a_batch_that_is_killed_pays_for_each_row_once(
    command: Command, relay: SimulatedRelay, tmp_path: Path, count: int, kills: int
) -> None:
    """Or reports it as open: whatever the relay took has a line with its id, or is one of those."""
    path, receipts = manifest(tmp_path, *(f"take {number % (count - 3)},," for number in range(count))), tmp_path / "r"
    options = ("--from", path, "--receipts", str(receipts))
    relay.trouble(Fault.slow(0.01), times=None, on="submit")

    for _ in range(kills):
        kill_at_random(relay, options, receipts, count / 600)
    ended = command("submit", *options, relay=relay)
    again = command("submit", *options, relay=relay)

    lines = submitted(ended)
    ids = [task_id for _, task_id in lines if task_id is not None]
    still_open = count - len(ids)
    assert Counter(prompt for prompt, _ in lines) == Counter(f"take {number % (count - 3)}" for number in range(count))
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(relay.task_ids)
    assert len(ids) <= paid(relay) <= count
    assert still_open <= 4 * kills
    assert ended.status == again.status == (1 if still_open else 0)
    assert Counter(submitted(again)) == Counter(lines)
