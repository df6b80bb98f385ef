"""Cases A18 to A28: bodies that are not an answer, odd ones that are, and bodies that are too large.

A21 to A25 are read without a server in tests/relay.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from luma_async import Generation, GenerationFailedError, ProtocolError, State
from tests.cli.command import FAST, Ended, run
from tests.faults.server import BAD, VIDEO, FaultServer, endless
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
            "null": b"null",
            "page": b"<!doctype html><html><title>Hi</title>",
            "half": json.dumps(DONE).encode()[:-1],
            "NaN": json.dumps({**DONE, "extra": math.nan}).encode(),
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
    *(fault(str(name), typed(name), Generation) for name in (None, "", ";;=", "application/json; charset=bogus")),
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


def with_field(value: str, name: str = "extra") -> bytes:
    """Return the good end with one more field, *value* being its JSON."""
    return text(f'{json.dumps(DONE)[:-1]}, "{name}": {value}}}')


PROMPTS = {"lone surrogate": r"\ud800", "NUL": r"\u0000", "escape": r"\u001b[2J", "Chinese": "一只猫"}


@each(
    *(fault(name, with_field(f'"{prompt}"', "prompt"), Generation) for name, prompt in PROMPTS.items()),
    fault("duplicate keys", text(f'{{"id": "x", "state": "failed", "id": "{BAD}", "state": "completed"}}'), Generation),
    fault("deep in a string", with_field(json.dumps("[" * 2000 + "]" * 2000)), Generation),
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
