"""The work of reading an answer is bounded by its length, for any body: counted in calls, never in seconds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import FrameType
from typing import Any

import pytest

from luma_async import LumaError
from luma_async._relay import documents
from luma_async._relay.answer import Answer
from luma_async._relay.candidates import candidates_in
from luma_async._relay.causes import cause_of
from luma_async._relay.documents import Reading
from luma_async._relay.submissions import read_clean_url, read_submitted
from luma_async._relay.tasks import LastAnswer, read_batch, read_poll
from luma_async.models import State
from tests.quick import quick

SIZE = 16_000
CALLS_PER_BYTE = 10
CONSTANT = 2000
"""Calls besides these."""
MOST_CALLS = 2_500_000
"""For an answer of any length."""


def repeated(unit: bytes, before: bytes = b"[", after: bytes = b"]", size: int = SIZE) -> bytes:
    """Return a list of *unit* that fills *size* bytes."""
    return before + b",".join([unit] * ((size - len(before) - len(after)) // (len(unit) + 1))) + after


def wrapped(inside: bytes, key: str, levels: int, **more: str) -> bytes:
    """Return JSON in a string in JSON, and so on."""
    text = inside.decode()
    for _ in range(levels):
        text = json.dumps({**more, key: text})
    return text.encode()


def nested(pattern: bytes, levels: int) -> bytes:
    """Put *pattern* into itself."""
    value = b"1"
    for _ in range(levels):
        value = pattern % value
    return value


@cache
def bodies(size: int) -> dict[str, bytes]:
    """Return bodies of about *size* bytes, each made to be read slowly."""

    def many(unit: bytes, before: bytes = b"[", after: bytes = b"]") -> bytes:
        return repeated(unit, before, after, size)

    return {
        "empty objects": many(b"{}"),
        "empty lists": many(b"[]"),
        "numbers": many(b"1"),
        "fractions": many(b"1.5"),
        "nothing": many(b"null"),
        "objects in strings": many(b'"{}"'),
        "lists in strings": many(b'"[1]"'),
        "strings in strings": many(rb'"\"x\""'),
        "broken JSON in strings": many(b'"["'),
        "ids": many(b'{"id":"a"}'),
        "whole ids": many(b'{"id":1}'),
        "rows of others": many(b'{"task_id":"a","status":"SUCCESS"}'),
        "rows of one id": many(b'{"task_id":"x","status":"IN_PROGRESS"}', b'{"code":"success","data":['),
        "ends of one id": many(b'{"task_id":"x","status":"SUCCESS","data":{}}'),
        "wrappers": many(b'{"data":{}}'),
        "wrappers with a string": many(b'{"id":"a","data":"{}"}'),
        "wrappers in wrappers": many(nested(b'{"id":"a","data":%s}', 7)),
        "lists in wrappers": many(nested(b'{"id":"a","data":[%s]}', 7)),
        "lists in lists": many(b"[[[[[[{}]]]]]]"),
        "errors": many(b"{}", b'{"errors":[', b"]}"),
        "messages": many(b'{"message":"task not"}', b'{"errors":[', b"]}"),
        "wordings": many(b'"' + b"task " * 20 + b'"', b'{"detail":[', b"]}"),
        "long wordings": many(b'"' + b"invalid " * 70 + b'"', b'{"detail":[', b"]}"),
        "codes": many(b'{"code":"x"}'),
        "errors in strings": many(b'{"error":"[]"}'),
        "reasons": many(b'{"message":"x"}', b'{"id":"x","state":"failed","failure_reason":[', b"]}"),
        "reasons below": many(b'{"err":{}}', b'{"id":"x","state":"failed","outputs":[', b"]}"),
        "ids for candidates": many(b'"x_id":"a"', b"{", b"}"),
        "unlisted tasks": many(b'{"ID":"x","status":"ok"}', b'{"results":[', b"]}"),
        "unlisted tasks with parts": many(b'{"ID":"x","status":"ok","a":{"b":[{"c":1}]}}', b'{"results":[', b"]}"),
        "unlisted keys": many(b'"A":{"Url":"x"}', b'{"Id":"x","State":"done","Z":[{', b"}]}"),
        "other states": many(b'{"id":"x","a_status":{},"video_status":{"a":1}}'),
        "keys of states": many(b'"video_status":1', b'{"id":"x",', b"}"),
        "states in objects": many(b'{"id":"x","status":{"name":1,"code":"a"}}'),
        "new tasks": many(b'{"id":"x"}', b'{"jobs":[', b"]}"),
        "new tasks in objects": many(b'{"a":{"b":{"job":{"id":"x"}}}}', b'{"payload":[', b"]}"),
        "running things": many(b'{"a":{"id":"x","b_status":"queued"}}', b'{"payload":[', b"]}"),
        "unlisted rows": many(b'{"ID":"x","status":"failed"}', b'{"payload":{"jobs":[', b"]}}"),
        "unlisted rows of others": many(b'{"ID":"a","status":"x"}', b'{"payload":{"jobs":[', b"]}}"),
        "a map of rows": many(b'"y":{"status":"failed"}', b'{"results":{"x":{},', b"}}"),
        "a long string": b'{"message":"' + b"task " * (size // 5) + b'"}',
        "a long word": b'{"id":"x","state":"' + b"x " * (size // 2) + b'"}',
        "a list in strings": wrapped(many(b"1"), "data", 7, id="x", state="processing"),
        "objects in strings in strings": wrapped(many(b"{}"), "data", 7, id="x"),
        "an error in strings": wrapped(many(b"{}"), "error", 7),
        "titles": b"<html>" + b"<title " * (size // 7),
        "a cut list": many(b"{}")[:-1],
        "blanks": b'{"id":"x","state":"processing"' + b" " * size + b"}",
        "one digit after the other": b"[" + b"1" * 4000 + b"]",
    }


def polled(body: bytes, status: int) -> None:
    """Read *body* as a poll's answer, and structure it twice."""
    last, seen = read_poll(Answer(status, body), "x", None)
    assert seen is not None
    seen.generation()
    last.recall("x")


def asked_twice(body: bytes, status: int) -> None:
    """Read *body* as a batch's answer, and once more when its rows are known."""
    known: dict[str, LastAnswer | None] = {"x": None, "y": None}
    seen = read_batch(Answer(status, body), known)
    read_batch(Answer(status, body), {**known, **{task_id: last for task_id, (last, _) in seen.items()}})


READERS: dict[str, Callable[[bytes, int], Any]] = {
    "poll": polled,
    "batch": asked_twice,
    "submit": lambda body, status: read_submitted(Answer(status, body)),
    "link": lambda body, status: read_clean_url(Answer(status, body), "x"),
}


def calls(work: Callable[[], Any]) -> int:
    """Return how many functions *work* calls, those written in C included."""
    counted = 0

    def count(_: FrameType, event: str, __: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with suppress(LumaError):
            work()
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize("status", quick([200, 500]))
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("what", quick(bodies(100), 12))
def test_no_body_needs_more_calls_than_its_length_allows(what: str, reader: str, status: int) -> None:
    """Neither good answers nor refusals, alone or in a batch; the work does not grow faster than the body either."""
    short, long = (bodies(size)[what] for size in (SIZE // 4, SIZE))

    few = calls(lambda: READERS[reader](short, status))
    many = calls(lambda: READERS[reader](long, status))

    assert many <= CALLS_PER_BYTE * len(long) + CONSTANT
    assert many <= 5 * few + CONSTANT


@pytest.mark.parametrize("reader", ["batch", "link"])
def test_a_list_of_tasks_is_read_to_a_limit(reader: str) -> None:
    """Beyond it, rows that are shorter than any real one are left out."""
    body = repeated(b'{"id":"a"}', size=2**21)

    assert calls(lambda: READERS[reader](body, 200)) < MOST_CALLS


def test_a_row_that_is_repeated_is_structured_never() -> None:
    """Which of several rows counts is decided by their states, and those of known rows are remembered."""
    row = b'{"task_id":"x","status":"IN_PROGRESS","data":{"id":"x","state":"processing"}}'
    body = repeated(row, size=50_000)
    known: dict[str, LastAnswer | None] = {"x": LastAnswer(row, State.PROCESSING)}

    rows = body.count(row)

    assert calls(lambda: read_batch(Answer(200, body), known)) < 12 * rows


def test_an_end_that_is_repeated_is_read_once() -> None:
    """The first row that tells an end decides; a poll stops soon, and a batch only looks for other ids."""
    row = b'{"task_id":"x","status":"SUCCESS"}'
    body = repeated(row, size=50_000)

    rows = body.count(row)

    assert calls(lambda: read_poll(Answer(200, body), "x", None)) < 4 * rows
    assert calls(lambda: read_batch(Answer(200, body), {"x": None, "y": None})) < 70 * rows


@pytest.mark.parametrize("reader", READERS)
def test_a_long_string_is_opened_once_for_all_that_reads_an_answer(
    reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all that reads one answer; of the next answer nothing is known yet."""
    inside = json.dumps({"message": "x" * 2000})
    body = json.dumps({"error": inside, "data": inside}).encode()
    decoded: list[bytes] = []

    def decode(text: bytes) -> list[Any]:
        decoded.append(text)
        return [json.loads(text)]

    monkeypatch.setattr(documents, "decode", decode)
    for _ in range(2):
        with suppress(LumaError):
            READERS[reader](body, 500)

    assert 4 <= decoded.count(inside.encode()) <= 6  # two strings in each of two answers; a refusal is decoded again


def test_objects_that_cannot_be_tasks_are_not_visited() -> None:
    """They have no id, and nothing that is wrapped around a task."""
    body = repeated(b'{"a":1}')

    assert calls(lambda: read_clean_url(Answer(200, body), "x")) < 10 * body.count(b"a")


def test_a_string_is_opened_once() -> None:
    """Each level of a wrapped answer asks for it again."""
    reading, text = Reading(), '{"id": "x"}'

    assert reading.opened(text) is reading.opened(text)


def test_candidates_are_searched_in_the_first_tokens() -> None:
    """The error holds the whole answer anyway."""
    text = repeated(b"{}", size=2**19).decode()

    assert candidates_in(f'{{"task_id":"a"}},{text}') == ("a",)
    assert candidates_in(f'{text},{{"task_id":"a"}}') == ()


def test_a_wording_is_searched_in_the_first_texts() -> None:
    """A thousand long texts would take seconds."""
    texts = ["nothing here " * 30] * 100

    assert cause_of(400, ["no such task", *texts]) != cause_of(400, texts)
    assert cause_of(400, [*texts, "no such task"]) == cause_of(400, texts)
