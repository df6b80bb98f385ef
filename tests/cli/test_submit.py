"""``luma-async submit``: each id is told as soon as there is one, and none is lost, whatever ends the command."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from luma_async import GenerationOptions, LumaClient
from luma_async.cli.exit import Status
from luma_async.cli.naming import ResumeCommand
from luma_async.cli.options import Output
from luma_async.cli.rows import Prompts, Rows
from luma_async.cli.running import _Stop, concluded
from luma_async.cli.submitting import Submissions, Submitter, submit
from luma_async.cli.summary import Summary
from luma_async.testing import FastTime, Fault, JobLimit, RelayThread, Script, SimulatedRelay
from tests.cli.command import FAST, Ended, close, finish, run, running, wait_until_polled
from tests.cli.conftest import Command
from tests.quick import quick

LOST = "it is not known whether the relay accepted the submit"


@pytest.fixture
def relay() -> Iterator[SimulatedRelay]:
    """Run a relay fifty times faster than life."""
    with RelayThread(SimulatedRelay(speed=50)) as running:
        yield running


def submissions(ended: Ended) -> list[dict[str, Any]]:
    """Return the lines of submits."""
    return [line for line in ended.lines if "prompt" in line]


def asked(relay: SimulatedRelay) -> list[str]:
    """Return what kinds of requests the relay got."""
    return [seen.kind for seen in relay.requests]


def test_each_prompt_gets_a_line_with_its_id(relay: SimulatedRelay) -> None:
    """In a process of its own, with nothing left over; the ids are those of the relay."""
    ended = run("submit", "a cat", "海", "--at-once", "1", relay=relay)

    assert (ended.status, ended.err) == (0, "")
    assert ended.lines == [
        {"prompt": prompt, "task_id": task_id, "error": None}
        for prompt, task_id in zip(["a cat", "海"], relay.task_ids, strict=True)
    ]


def test_prompts_are_lines_of_a_file_and_of_standard_input(
    command: Command, relay: SimulatedRelay, tmp_path: Path
) -> None:
    """Blank lines and comments are skipped, a # later on is none, and what comes twice is meant twice."""
    (tmp_path / "prompts.txt").write_text("\ufeffa cat\r\n\n# no prompt\ntake #3 of a cat\na cat\n", encoding="utf-8")

    from_file = command("submit", "a dog", "--from", str(tmp_path / "prompts.txt"), "--at-once", "1", relay=relay)
    from_stdin = command("submit", stdin="a bird\n", relay=relay)

    prompts = [line["prompt"] for line in [*from_file.lines, *from_stdin.lines]]
    assert prompts == ["a dog", "a cat", "take #3 of a cat", "a cat", "a bird"]


@pytest.mark.parametrize("encoding", quick(["utf-16", "utf-16-be", "utf-16-le", "utf-8-sig"]))
def test_prompts_as_windows_writes_them(relay: SimulatedRelay, encoding: str, tmp_path: Path) -> None:
    """What is paid for is what was written."""
    (tmp_path / "prompts.txt").write_bytes("a cat\r\na dog\tand café\r\n".encode(encoding))

    ended = run("submit", "--from", str(tmp_path / "prompts.txt"), "--at-once", "1", relay=relay)

    assert (ended.status, [line["prompt"] for line in ended.lines]) == (0, ["a cat", "a dog\tand café"])


@pytest.mark.parametrize(
    "content",
    quick(
        ["海上日出\n".encode("utf-16-le"), "кот\n".encode("utf-16-be"), "a cat\n".encode("utf-32"), b"a cat\n\0\n"],
        ids=["Chinese", "Russian", "UTF-32", "NUL"],
    ),
)
def test_what_is_no_text_is_one_complaint(relay: SimulatedRelay, content: bytes, tmp_path: Path) -> None:
    """Nothing of it is submitted, and the way out is told."""
    (tmp_path / "prompts.txt").write_bytes(content)

    ended = run("submit", "--from", str(tmp_path / "prompts.txt"), relay=relay)

    assert (ended.status, ended.out, len(ended.err.splitlines()), relay.requests) == (2, "", 1, [])
    assert "the prompts are not text in UTF-8 or UTF-16" in ended.err
    assert "save them as UTF-8" in ended.err


def test_a_line_in_another_encoding_is_an_error_of_its_own(relay: SimulatedRelay, tmp_path: Path) -> None:
    """As are controls; the other lines are submitted."""
    (tmp_path / "prompts.txt").write_bytes("海\n".encode("gbk") + b"a cat\n\x1b[31m a dog\na\rbird\n")

    ended = run("submit", "--from", str(tmp_path / "prompts.txt"), "--at-once", "1", relay=relay)

    assert ended.status == 1
    assert [line["task_id"] is None for line in ended.lines] == [True, False, True, True]
    assert ["UTF-8" in line["error"]["message"] for line in ended.lines if line["error"]] == [True] * 3
    assert asked(relay) == ["submit"]


@pytest.mark.parametrize("blank", ["", "  ", "\u2003", "\x1b[31m"], ids=ascii)
def test_a_blank_prompt_is_a_wrong_command(command: Command, relay: SimulatedRelay, blank: str) -> None:
    """Its number is told, with advice for a person, and no other prompt is sent."""
    wrong = command("submit", "a cat", blank, "--download", "videos", relay=relay)

    assert (wrong.status, wrong.out, asked(relay)) == (2, "", [])
    assert wrong.err.startswith(f"luma-async: PROMPT 2: {blank!r} is not a prompt")
    assert ("(give text that says what the video shows)" in wrong.err) is (not blank.strip())


def test_a_line_of_any_blanks_is_not_a_prompt() -> None:
    """Also of those that other languages have."""
    assert list(Prompts(iter(())).texts_in(["\u2003\u3000", "a cat", "\u200a"])) == ["a cat"]


def test_without_prompts_there_is_nothing_to_do(command: Command, relay: SimulatedRelay) -> None:
    """Status 2, and nothing is asked."""
    ended = command("submit", relay=relay, stdin="\n# none\n")

    assert ended.status == 2
    assert "there are no prompts" in ended.err
    assert relay.requests == []


def test_the_options_are_those_of_the_library(command: Command, relay: SimulatedRelay) -> None:
    """The relay makes what was asked for; what cannot be is status 2, and costs nothing."""
    relay.script = Script.of("completed")
    wrong = command("submit", "a cat", "--aspect-ratio", "wide", relay=relay)
    right = command("submit", "a cat", "--aspect-ratio", "1:1", "--loop", "--wait", *FAST, relay=relay)

    assert (wrong.status, right.status) == (2, 0)
    assert right.lines[-1]["generation"]["request"]["aspect_ratio"] == "1:1"
    assert len(relay.task_ids) == 1


@pytest.mark.slow
@pytest.mark.luma_relay(rules=[JobLimit(1)], script=Script.of(("pending", 150.0), "completed"))
async def test_a_limit_of_jobs_holds_a_batch_up_and_ends_nothing(
    luma_time: FastTime, luma_relay: SimulatedRelay, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each prompt is submitted once, when a generation before it has ended, after pauses of a minute at most."""
    async with LumaClient(luma_relay.base_url, luma_relay.api_key) as luma:
        given = [f"cat {number}" for number in range(3)]
        rows = Rows.of(given, None, GenerationOptions())
        again = ResumeCommand((), None, frozenset())
        batch = Submissions(submitter=Submitter(luma), rows=rows, at_once=2, again=again)
        status = await concluded(
            submit(batch, None, None, earlier=None, output=Output(as_json=True, no_progress=True), summary=Summary())
        )
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    pauses = [float(line.split(" in ")[1].removesuffix(" s")) for line in err.splitlines()]

    assert status == 0
    assert sorted(line["prompt"] for line in lines) == given
    assert sorted(line["task_id"] for line in lines) == sorted(luma_relay.task_ids)
    assert all("429" in line for line in err.splitlines())
    assert 20 < max(pauses) <= 60
    assert 300 <= luma_time.elapsed < 600
    assert len(luma_relay.requests) < 150


@pytest.fixture
def _handlers_stay() -> Iterator[None]:
    """At its end a command ignores signals, and so would all that this process starts."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def stop_a_submit(relay: SimulatedRelay, prompts: list[str], at_once: int, after: float) -> None:
    """Submit *prompts*, and send the command a signal when it has run for *after* seconds."""
    stop, luma = _Stop(), LumaClient(relay.base_url, relay.api_key)
    rows, again = Rows.of(prompts, None, GenerationOptions()), ResumeCommand((), None, frozenset())
    rest = ResumeCommand(("submit",), None, frozenset(), what="prompts")
    batch = Submissions(submitter=Submitter(luma), rows=rows, at_once=at_once, again=again, rest=rest)

    command = asyncio.create_task(
        concluded(submit(batch, None, None, earlier=None, output=Output(), summary=Summary()), stop)
    )
    await asyncio.sleep(after)
    stop.status = Status.INTERRUPTED
    command.cancel()
    await asyncio.wait([command])
    assert command.cancelled()


@pytest.mark.usefixtures("_handlers_stay")
async def test_nothing_is_submitted_after_a_signal(
    luma_time: FastTime, luma_relay: SimulatedRelay, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that the relay refuses for now, in the answer that the command still waits for, is not sent again."""
    luma_relay.trouble(evolve(Fault.http(503, {"error": {"message": "no channel"}}), delay=5.0), on="submit")

    await stop_a_submit(luma_relay, ["a cat", "a dog"], at_once=1, after=1.0)

    assert asked(luma_relay) == ["submit"]
    assert 5.0 <= luma_time.elapsed < 10.0
    said = capsys.readouterr().err
    assert "unknown" not in said
    assert said.endswith(
        "luma-async: not submitted:\na cat\na dog\nluma-async: to go on: luma-async submit 'a cat' 'a dog'\n"
    )


@pytest.mark.usefixtures("_handlers_stay")
async def test_prompts_that_were_not_submitted_are_named_in_their_order(
    luma_time: FastTime, luma_relay: SimulatedRelay, capsys: pytest.CaptureFixture[str]
) -> None:
    """In whatever order the relay refuses them, and those that were never sent after them."""
    delays = [3.0, 2.0, 1.0]
    for delay in delays:
        luma_relay.trouble(evolve(Fault.rate_limited(600), delay=delay), on="submit")
    prompts = [f"cat {number}" for number in range(5)]

    await stop_a_submit(luma_relay, prompts, at_once=3, after=10.0)

    assert luma_time.elapsed < 12.0
    assert capsys.readouterr().err.split("not submitted:\n")[1].splitlines()[:-1] == prompts


@pytest.mark.parametrize("prompts", quick([(("a cat", "a dog"),), (("a cat",),)], ids=["2", "1"]))
def test_a_signal_ends_the_pause_of_a_batch(relay: SimulatedRelay, prompts: tuple[str, ...]) -> None:
    """At once: a prompt that the relay has refused is known not to be submitted."""
    relay.trouble(Fault.rate_limited(600), times=None, on="submit")

    with running("submit", *prompts, "--at-once", "1", relay=relay) as process:
        assert process.stderr is not None
        heard = process.stderr.readline().decode()
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    assert "HTTP 429" in heard
    assert "the next try is in 600 s" in heard
    assert ended.status == 130
    assert ended.err.split("not submitted:")[1].split("\n")[1:-2] == list(prompts)
    assert ended.err.splitlines()[-1].split(" submit ")[1].endswith(f"--at-once 1 {shlex.join(prompts)}")
    assert asked(relay) == ["submit"]


def test_waiting_adds_the_lines_of_wait(command: Command, relay: SimulatedRelay) -> None:
    """First the id, then what became of it; the worst end is the status."""
    relay.script = Script.fails(after=1.0)

    ended = command("submit", "a cat", "--wait", *FAST, relay=relay)

    first, last = ended.lines
    assert (first["prompt"], last["state"], last["task_id"]) == ("a cat", "failed", first["task_id"])
    assert ended.status == 3


def test_a_submit_that_waits_sums_up(command: Command, relay: SimulatedRelay) -> None:
    """With ``-v`` the states and the summary are told, as ``wait`` tells them; one that does not wait has none."""
    waited = command("submit", "a cat", "--wait", "-v", *FAST, relay=relay)
    left = command("submit", "a dog", "-v", relay=relay)

    assert "1 ended in " in waited.err
    assert "completed (request " in waited.err
    assert " ended in " not in left.err


def test_a_download_waits_and_stores(command: Command, relay: SimulatedRelay, tmp_path: Path) -> None:
    """With a journal, each end is in it."""
    journal = tmp_path / "batch.jsonl"
    options = ("--download", str(tmp_path / "videos"), "--private-media", "--journal", str(journal))

    ended = command("submit", "a cat", "a dog", *options, *FAST, relay=relay)

    assert ended.status == 0
    assert {file.name for file in (tmp_path / "videos").iterdir()} == {f"{i}.video.mp4" for i in relay.task_ids}
    assert {json.loads(line)["task_id"] for line in journal.read_text().splitlines()} == set(relay.task_ids)


def test_a_journal_alone_waits(command: Command, relay: SimulatedRelay, tmp_path: Path) -> None:
    """It would have nothing to record otherwise."""
    ended = command("submit", "a cat", "--journal", str(tmp_path / "batch.jsonl"), *FAST, relay=relay)

    assert [line["task_id"] for line in ended.lines] == relay.task_ids * 2


def test_one_prompt_in_trouble_harms_no_other(relay: SimulatedRelay) -> None:
    """It has a line that says so, and is not submitted again."""
    relay.trouble(Fault.lost_answer(), on="submit")

    ended = run("submit", "a cat", "a dog", "--at-once", "1", "--wait", *FAST, relay=relay)

    lost, taken = submissions(ended)
    assert ended.status == 1
    assert (lost["prompt"], lost["task_id"], lost["error"]["type"]) == ("a cat", None, "UncertainSubmitError")
    assert LOST in lost["error"]["message"]
    assert (taken["prompt"], taken["error"]) == ("a dog", None)
    assert asked(relay).count("submit") == 2


def test_what_a_lost_submit_was_answered_is_in_its_line(relay: SimulatedRelay) -> None:
    """The body, short and escaped, and what may be the id; other errors have neither."""
    body = '{"data":\n{"taskId": "a/1"}}' + " " * 600
    relay.trouble(Fault.http(200, body.encode()), on="submit")

    ended = run("submit", "a cat", "--at-once", "1", relay=relay)

    (line,) = ended.lines
    assert line["error"]["candidates"] == ["a/1"]
    assert line["error"]["body"] == body[:500].replace("\n", "\\n") + "…"
    assert "a/1" in line["error"]["message"]


def test_a_prompt_that_is_none_is_an_error_of_its_own(relay: SimulatedRelay) -> None:
    """Bytes that are no text are not sent."""
    ended = run("submit", "--from", "-", relay=relay, stdin="a \udcff cat\na dog\n")

    assert ended.status == 1
    assert {line["error"] and line["error"]["type"] for line in ended.lines} == {"ConfigurationError", None}
    assert asked(relay) == ["submit"]


def test_no_more_submits_go_on_at_once_than_asked_for(relay: SimulatedRelay) -> None:
    """The third prompt is not sent while two are without an answer."""
    relay.trouble(Fault.slow(60), times=None, on="submit")

    with running("submit", "a", "b", "c", "--at-once", "2", relay=relay) as process:
        _until(relay, 2)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    assert ended.status == 130
    assert asked(relay) == ["submit", "submit"]
    assert ended.err.split("not submitted:\n")[1].splitlines()[0] == "c"


def _until(relay: SimulatedRelay, count: int) -> None:
    """Wait for so many requests."""
    while len(relay.requests) < count:
        signal.sigtimedwait([], 0.01)


@pytest.mark.parametrize("prompts", quick([(("a cat", "a dog"),), (("a cat",),)], ids=["2", "1"]))
@pytest.mark.parametrize(
    ("number", "status"), quick([(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
)
def test_a_signal_in_the_middle_of_a_submit_loses_no_id(
    relay: SimulatedRelay, number: signal.Signals, status: int, prompts: tuple[str, ...]
) -> None:
    """The answer is waited for, its line is out, and the other prompts are not submitted."""
    relay.trouble(Fault.slow(0.8), on="submit")

    with running("submit", *prompts, "--at-once", "1", relay=relay) as process:
        _until(relay, 1)
        process.send_signal(number)
        ended = finish(process)

    assert ended.status == status
    assert [line["task_id"] for line in ended.lines] == relay.task_ids
    assert len(relay.task_ids) == 1
    assert ("not submitted:\na dog\n" in ended.err) is ("a dog" in prompts)
    assert "unknown" not in ended.err


def test_a_second_signal_gives_the_answer_up(relay: SimulatedRelay) -> None:
    """It then says which prompt may have been taken."""
    relay.trouble(Fault.slow(60), on="submit")

    with running("submit", "a cat", relay=relay) as process:
        _until(relay, 1)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        heard = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    assert b"waiting 10 s for their ids" in heard
    assert ended.status == 130
    assert "it is unknown whether the relay took these: look at its log:\na cat\n" in ended.err


def test_a_signal_while_waiting_tells_the_ids_that_are_not_done(relay: SimulatedRelay) -> None:
    """As the command wait does."""
    relay.script = Script.of("processing")

    with running("submit", "a cat", "--wait", *FAST, relay=relay) as process:
        assert process.stdout is not None
        task_id = json.loads(process.stdout.readline())["task_id"]
        wait_until_polled(relay, task_id)
        process.send_signal(signal.SIGINT)
        ended = finish(process)

    assert ended.status == 130
    assert f"their generations go on at the relay:\n{task_id}\n" in ended.err


def test_an_id_that_standard_output_does_not_take_is_on_standard_error(relay: SimulatedRelay) -> None:
    """The reader has gone by the time the answer comes."""
    relay.trouble(Fault.slow(0.3), on="submit")

    with running("submit", "a cat", relay=relay) as process:
        _until(relay, 1)
        close(process, "stdout")
        ended = finish(process)

    assert ended.status == 141
    assert relay.task_ids[0] in ended.err
