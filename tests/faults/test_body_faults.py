"""Cases A18 to A28: answers that are none, odd ones that are, and more than anybody can hold."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from luma_async import Generation, GenerationFailedError, ProtocolError, State, WaitTimeoutError
from tests.cli.command import FAST, Ended, run
from tests.faults.server import BAD, VIDEO, FaultServer, done, endless
from tests.faults.trials import ALONE_AND_AMONG, Trial, each, fault, run_case
from tests.kit import KEY
from tests.raw_server import Act, Reply, http, task

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
    )
)
async def test_a18_bodies_without_a_task(trial: Trial) -> None:
    """What says nothing about the task is retried."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.asked == 2 or trial.lasts


def typed(content_type: str | None) -> bytes:
    """Return the good end, called *content_type*."""
    return http(200, DONE, *([f"Content-Type: {content_type}"] if content_type is not None else []))


@each(
    *(
        fault(str(name), typed(name), Generation)
        for name in (None, "text/plain", "application/octet-stream", "application/json; charset=bogus", "", ";;=", "text/html")
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


# --- what is an answer, however odd ---


@ALONE_AND_AMONG
@pytest.mark.parametrize(
    ("word", "state"),
    [("queued", State.PENDING), ("dreaming", State.PROCESSING), ("COMPLETED_PARTIALLY", State.UNKNOWN)],
)
async def test_a21_states_that_are_no_end(word: str, state: State, healthy: int) -> None:
    """They keep the wait going; at the deadline the caller has the relay's own word."""
    ended = await run_case([task(BAD, word)], healthy=healthy, patience=0.3)

    assert isinstance(ended.error, WaitTimeoutError)
    assert ended.error.last is not None
    assert (ended.error.last.state_text, ended.error.last.state) == (word, state)
    assert ended.error.last_error is None
    assert ended.asked > 2


OBJECTS = ("video", "artifact", "thumbnail", "video_raw", "last_frame", "request")


@ALONE_AND_AMONG
@pytest.mark.parametrize("empty", [None, {}, "", []], ids=repr)
async def test_a22_objects_that_are_not_there_yet(empty: object, healthy: int) -> None:
    """A pending task may leave out any object, or hold nothing in its place."""
    pending = task(BAD, "pending", **dict.fromkeys(OBJECTS, empty))

    ended = await run_case([task(BAD, "pending"), pending, done()], healthy=healthy)

    assert ended.kind is Generation
    assert ended.outcome.looks == 3
    assert ended.outcome.unwrap().problems == ()


FIELDS: list[tuple[str, object, object, bool]] = [
    ("url", None, None, False),
    ("url", 5, None, True),
    ("url", "None", None, True),
    ("width", "1360", None, True),
    ("width", 1360.0, 1360, False),
    ("width", 1360.5, None, True),
    ("width", True, None, True),
    ("width", {}, None, True),
    ("duration", "5", None, True),
    ("duration", False, None, True),
]


@ALONE_AND_AMONG
@pytest.mark.parametrize(("name", "value", "kept", "is_problem"), FIELDS)
async def test_a23_fields_of_the_wrong_type(name: str, value: object, kept: object, is_problem: bool, healthy: int) -> None:  # noqa: FBT001 - a parameter
    """The task is completed all the same; the field is None and told of, and nothing is made up."""
    media = {"url": VIDEO, name: value}

    ended = await run_case([task(BAD, "completed", video_raw=media, result_url=VIDEO)], healthy=healthy)

    generation = ended.outcome.unwrap()
    assert generation.video_raw is not None
    told = getattr(generation.video_raw, name)
    assert (told, type(told)) == (kept, type(kept))
    assert generation.problems == ((f"video_raw.{name}",) if is_problem else ())
    assert generation.video_url == VIDEO


@ALONE_AND_AMONG
async def test_a24_the_link_is_in_the_raw_video(healthy: int) -> None:
    """Without video, video_raw has the link."""
    ended = await run_case([task(BAD, "completed", video=None, video_raw={"url": VIDEO})], healthy=healthy)

    assert ended.outcome.unwrap().video_url == VIDEO
    assert ended.asked == 1


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def _somewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Live there for a while."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@ALONE_AND_AMONG
@pytest.mark.usefixtures("_somewhere")
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59-12:00", "2024-13-99", "", 0, -1e18, 1e18, True])
async def test_a25_times_that_are_none(moment: object, healthy: int) -> None:
    """They become None wherever one lives, and the answer keeps them as they came."""
    ended = await run_case([task(BAD, "completed", result_url=VIDEO, created_at=moment)], healthy=healthy)

    generation = ended.outcome.unwrap()
    assert generation.created_at is None
    assert generation.raw["created_at"] == moment
