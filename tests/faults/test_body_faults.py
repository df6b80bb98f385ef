"""Cases A18 to A28: answers that are none, odd ones that are, and more than anybody can hold."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from luma_async import Generation, GenerationFailedError, ProtocolError, State, WaitTimeoutError
from tests.cli.command import FAST, Ended, run
from tests.faults.server import BAD, VIDEO, FaultServer, done, endless
from tests.faults.trials import ALONE_AND_AMONG, Trial, each, fault, run_case
from tests.kit import KEY
from tests.raw_server import Reply, http, task

JSON = "Content-Type: application/json"
DONE = {"id": BAD, "state": "completed", "video": {"url": VIDEO}}


def text(body: str) -> bytes:
    """Return an answer with *body*, which need not be JSON."""
    return http(200, body.encode(), JSON)


# --- what is no answer ---


@each(
    *(
        fault(name, http(200, body, JSON), ProtocolError)
        for name, body in {
            "empty": b"",
            "blanks": b" \r\n\t ",
            "null": b"null",
            "list": b"[]",
            "string": b'"completed"',
            "number": b"42",
            "page": b"<!doctype html><html><title>Hi</title>",
            "Python": b"{'id': 'the-bad-one', 'state': 'completed'}",
            "half": json.dumps(DONE).encode()[:-1],
        }.items()
    ),
    fault("page by its type", http(200, b"<!doctype html><html>", "Content-Type: text/html"), ProtocolError),
)
async def test_a18_bodies_without_a_task(trial: Trial) -> None:
    """What says nothing about the task is retried."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.passes
    assert ended.asked == 2 or trial.lasts


def typed(content_type: str | None) -> bytes:
    """Return the good end, called *content_type*."""
    return http(200, DONE, *([f"Content-Type: {content_type}"] if content_type is not None else []))


@each(
    *(
        fault(str(name), typed(name), Generation)
        for name in (
            None,
            "text/plain",
            "application/octet-stream",
            "application/json; charset=bogus",
            "",
            ";;=",
            "text/html",
        )
    ),
    lasting=(True,),
)
async def test_a19_json_under_other_names(trial: Trial) -> None:
    """What is a task is one, whatever it is called."""
    ended = await trial.run()

    assert ended.kind is Generation
    assert ended.asked == 1


ENCODED = json.dumps(DONE)


@each(
    fault("BOM", http(200, b"\xef\xbb\xbf" + ENCODED.encode(), JSON), Generation),
    fault("UTF-16", http(200, ENCODED.encode("utf-16"), JSON + "; charset=utf-16"), ProtocolError),
    fault("UTF-16 without BOM", http(200, ENCODED.encode("utf-16-le"), JSON), ProtocolError),
    fault("invalid UTF-8", http(200, ENCODED.encode().replace(b"completed", b"completed\xff"), JSON), ProtocolError),
    fault("Latin-1", http(200, {"id": BAD, "state": "x"}).replace(b'"x"', b'"\xe9"'), ProtocolError),
)
async def test_a20_encodings(trial: Trial) -> None:
    """UTF-8 is read, with a mark before it or without; nothing else is guessed at."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.passes


# --- what is an answer, however odd ---


@ALONE_AND_AMONG
@pytest.mark.parametrize(
    ("word", "state"),
    [("queued", State.PENDING), ("dreaming", State.PROCESSING), ("COMPLETED_PARTIALLY", State.UNKNOWN)],
)
async def test_a21_states_that_are_no_end(word: str, state: State, healthy: int) -> None:
    """They keep the wait going; at the deadline the caller has the relay's own word."""
    ended = await run_case([task(BAD, word)], healthy=healthy, patience=1.0)

    assert isinstance(ended.error, WaitTimeoutError)
    assert ended.error.last is not None
    assert (ended.error.last.state_text, ended.error.last.state) == (word, state)
    assert ended.asked >= 2


OBJECTS = ("video", "artifact", "thumbnail", "video_raw", "last_frame", "request")


@ALONE_AND_AMONG
@pytest.mark.parametrize("empty", [None, {}, "", []], ids=repr)
async def test_a22_objects_that_are_not_there_yet(empty: object, healthy: int) -> None:
    """A pending task may leave out any object, or hold nothing in its place."""
    pending = task(BAD, "pending", **dict.fromkeys(OBJECTS, empty))

    ended = await run_case([task(BAD, "pending"), pending, done()], healthy=healthy)

    assert ended.kind is Generation
    assert ended.outcome.polls == 3
    assert ended.outcome.unwrap().problems == ()


FIELDS: list[tuple[str, object, object, int]] = [
    ("url", None, None, 0),
    ("url", 5, None, 1),
    ("url", "None", None, 1),
    ("width", "1360", None, 1),
    ("width", 1360.0, 1360, 0),
    ("width", 1360.5, None, 1),
    ("width", True, None, 1),
    ("width", {}, None, 1),
    ("duration", "5", None, 1),
    ("duration", False, None, 1),
]


@ALONE_AND_AMONG
@pytest.mark.parametrize(("name", "value", "kept", "problems"), FIELDS)
async def test_a23_fields_of_the_wrong_type(
    name: str, value: object, kept: object, problems: int, healthy: int
) -> None:
    """The task is completed all the same; the field is None and told of, and nothing is made up."""
    media = {"url": VIDEO, name: value}

    ended = await run_case([task(BAD, "completed", video_raw=media, result_url=VIDEO)], healthy=healthy)

    generation = ended.outcome.unwrap()
    assert generation.video_raw is not None
    told = getattr(generation.video_raw, name)
    assert (told, type(told)) == (kept, type(kept))
    assert generation.problems == (f"video_raw.{name}",) * problems
    assert generation.video_url == VIDEO


@ALONE_AND_AMONG
async def test_a24_the_link_is_in_the_raw_video(healthy: int) -> None:
    """Without video, video_raw has the link."""
    ended = await run_case([task(BAD, "completed", video=None, video_raw={"url": VIDEO})], healthy=healthy)

    assert ended.outcome.unwrap().video_url == VIDEO
    assert ended.asked == 1


@pytest.fixture(params=["UTC", "America/New_York"])
def _somewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Live there for a while."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@ALONE_AND_AMONG
@pytest.mark.usefixtures("_somewhere")
@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59-12:00",
        "2024-13-99",
        "",
        0,
        -1e18,
        1e18,
        True,
    ],
)
async def test_a25_times_that_are_none(moment: object, healthy: int) -> None:
    """They become None wherever one lives, and the answer keeps them as they came."""
    ended = await run_case([task(BAD, "completed", result_url=VIDEO, created_at=moment)], healthy=healthy)

    generation = ended.outcome.unwrap()
    assert generation.created_at is None
    assert generation.raw["created_at"] == moment


# --- failures, and what the command line makes of them ---

HUGE = "x" * 2**20
REASONS: dict[str, tuple[str | None, str]] = {
    "a reason": ("content moderation", "content moderation"),
    "none": (None, "gave no reason"),
    "a huge one": (HUGE, "xxx…"),
    "with escapes": ("\x1b[2J\x1b]0;x\x07no\r\n", r"\x1b[2J\x1b]0;x\x07no\r\n"),
}


@ALONE_AND_AMONG
@pytest.mark.parametrize(("reason", "told"), REASONS.values(), ids=REASONS)
async def test_a26_failed_generations(reason: str | None, told: str, healthy: int) -> None:
    """They are not asked for again; the reason is kept whole, and shown short and harmless."""
    ended = await run_case([task(BAD, "failed", failure_reason=reason)], healthy=healthy)

    assert isinstance(ended.error, GenerationFailedError)
    assert ended.error.generation.failure_reason == reason
    assert told in str(ended.error)
    assert len(str(ended.error)) < 500
    assert ended.asked == 1


async def on_the_command_line(*ids: str, scripts: dict[str, list[Reply]]) -> Ended:
    """Wait for *ids* with the command, at a server with *scripts*, on an ASCII terminal's encoding."""
    async with FaultServer(scripts=scripts) as server:
        env = {"LUMA_BASE_URL": server.base_url, "LUMA_API_KEY": KEY, "PYTHONIOENCODING": "ascii"}
        return await asyncio.to_thread(run, "wait", *ids, *FAST, "--timeout", "1", env=env)


async def test_a26_a_failure_is_not_a_success_for_the_command_line() -> None:
    """The exit status tells a failed generation, and nothing on the terminal obeys its reason."""
    failed = [
        task(f"r{number}", "failed", failure_reason=reason) for number, (reason, _) in enumerate(REASONS.values())
    ]
    scripts: dict[str, list[Reply]] = {f"r{number}": [answer] for number, answer in enumerate(failed)}

    ended = await on_the_command_line(*scripts, "good", scripts=scripts)

    assert ended.status == 3
    assert {name: line["state"] for name, line in ended.by_id.items()} == dict.fromkeys(scripts, "failed") | {
        "good": "completed"
    }
    assert "\x1b" not in ended.out + ended.err


# --- more than anybody can hold ---

MIB = 2**20


PACKED = gzip.compress(b" " * 50 * MIB, compresslevel=1)
WITHOUT_END = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
A_CHUNK = b"10000\r\n" + b" " * 2**16 + b"\r\n"
TOO_LARGE: dict[str, Reply] = {
    "gzip": http(200, PACKED, "Content-Encoding: gzip"),
    "gzip of a refusal": http(401, PACKED, "Content-Encoding: gzip"),
    "100 MiB": endless(http(200, length=100 * MIB), b" " * 2**16),
    "body without end": endless(WITHOUT_END + b"\r\n", b" " * 2**16),
    "chunks without end": endless(WITHOUT_END + b"Transfer-Encoding: chunked\r\n\r\n", A_CHUNK),
}


@each(*(fault(name, reply, ProtocolError) for name, reply in TOO_LARGE.items()))
async def test_a27_bodies_that_are_too_large(trial: Trial) -> None:
    """They are not read to their end, and are no answer."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert "larger than" in str(ended.outcome.error) or not trial.lasts


PROBE = """
import asyncio, json, pathlib, re, sys
from luma_async import Limits, LumaClient, LumaError, PollPolicy

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) * 1024

async def main(address, names):
    often = PollPolicy(initial_interval=0.01, max_interval=0.02, max_consecutive_failures=3, max_outage=0.01)
    async with LumaClient(address, "sk-probe-0123456789", polling=often) as luma:
        await luma.wait_until_done("warm-up")
        before = peak()
        outcomes = await luma.wait_all(names)
    print(json.dumps({"grown": peak() - before, "kinds": [type(outcome.error).__name__ for outcome in outcomes]}))

asyncio.run(main(sys.argv[1], sys.argv[2:]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as Linux tells it")
async def test_a27_memory_for_bodies_that_are_too_large() -> None:
    """All of them at once, three times each, take less than 64 MiB of a process's memory."""
    names = [f"large-{number}" for number in range(len(TOO_LARGE))]
    scripts = {name: [reply] for name, reply in zip(names, TOO_LARGE.values(), strict=True)}
    async with FaultServer(scripts=scripts) as server:
        probe = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROBE, server.base_url, *names, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await probe.communicate()

    told: dict[str, Any] = json.loads(out)
    assert told["kinds"] == ["ProtocolError"] * len(names)
    assert told["grown"] < 64 * MIB


# --- JSON at its edges ---

DEEP = "[" * 2000 + "]" * 2000


def with_field(value: str, name: str = "extra") -> bytes:
    """Return the good end with one more field, *value* being its JSON."""
    return text(f'{json.dumps(DONE)[:-1]}, "{name}": {value}}}')


@each(
    *(
        fault(name, with_field(value), ProtocolError)
        for name, value in {
            "NaN": "NaN",
            "Infinity": "-Infinity",
            "1e400": "1e400",
            "an int of 400 digits": "9" * 400,
            "an int of 5,000 digits": "9" * 5000,
            "nested 2,000 deep": DEEP,
            "objects 2,000 deep": '{"data":' * 2000 + "1" + "}" * 2000,
        }.items()
    )
)
async def test_a28_numbers_and_depths_beyond_bounds(trial: Trial) -> None:
    """They make an answer none."""
    ended = await trial.run()

    assert ended.kind in trial.kinds


PROMPTS = {"lone surrogate": r"\ud800", "NUL": r"\u0000", "escape": r"\u001b[2J", "Chinese": "一只猫"}


@each(
    *(fault(name, with_field(f'"{prompt}"', "prompt"), Generation) for name, prompt in PROMPTS.items()),
    fault("duplicate keys", text(f'{{"id": "x", "state": "failed", "id": "{BAD}", "state": "completed"}}'), Generation),
    fault("deep in a string", with_field(json.dumps(DEEP)), Generation),
    fault("nested 60 deep", with_field("[" * 60 + "]" * 60), Generation),
    fault("an int of 20 digits", with_field("9" * 20), Generation),
    lasting=(True,),
)
async def test_a28_odd_but_valid_json(trial: Trial) -> None:
    """It is an answer."""
    ended = await trial.run()

    assert ended.kind is Generation
    assert ended.outcome.unwrap().state is State.COMPLETED
    assert repr(ended.outcome).isprintable()


async def test_a28_the_command_line_writes_json_whatever_came() -> None:
    """Its lines are valid JSON, and its table survives an ASCII terminal."""
    scripts: dict[str, list[Reply]] = {
        f"p{number}": [
            text(f'{{"id": "p{number}", "state": "completed", "result_url": "{VIDEO}", "prompt": "{prompt}"}}')
        ]
        for number, prompt in enumerate(PROMPTS.values())
    }
    scripts["nan"] = [text('{"id": "nan", "state": "completed", "width": NaN}')]

    ended = await on_the_command_line(*scripts, scripts=scripts)

    assert ended.status == 4
    assert {line["state"] for name, line in ended.by_id.items() if name != "nan"} == {"completed"}
    assert [line["generation"]["prompt"] for name, line in sorted(ended.by_id.items()) if name != "nan"] == [
        json.loads(f'"{prompt}"') for prompt in PROMPTS.values()
    ]
