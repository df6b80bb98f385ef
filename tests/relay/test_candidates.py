"""What may be a task's id in an answer that nobody understands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async._relay.candidates import candidates_in
from tests.kit import TASK_ID


@pytest.mark.parametrize(
    "key",
    [
        *("id", "ids", "Id", "ID", "task_id", "taskId", "taskID", "taskIds", "TASK_ID", "Task-Id", "job_id", "jobId"),
        *("job_ids", "request_id", "x-request-id", "requestId", "generation_id", "uuid", "UUID", "guid", "uid"),
        *("taskid", "jobid", "_id", "external.id"),
    ],
)
def test_a_key_that_ends_in_the_word_id_names_one(key: str) -> None:
    """However its words are set apart."""
    assert candidates_in(json.dumps({key: TASK_ID})) == (TASK_ID,)


@pytest.mark.parametrize(
    "key",
    ["paid", "valid", "grid", "void", "idle", "identity", "android", "Paid", "status", "video_grid", "name", "msg"],
)
def test_other_keys_name_none(key: str) -> None:
    """Though they end in the two letters, or begin with them."""
    assert candidates_in(json.dumps({key: TASK_ID})) == ()


@pytest.mark.parametrize(
    ("said", "candidates"),
    [
        ({"data": "a/1"}, ["a/1"]),
        ({"code": 1, "result": "1712345678901234"}, ["1712345678901234"]),
        ({"result": "ok", "task": "none"}, []),
        ({"data": ["x"], "list": ["y"]}, []),
        ({"ids": ["a", 5, {"x": "y", "id": "b"}, "c"], "x": "d"}, ["a", "5", "b", "c"]),
        ({"id": -7}, ["-7"]),
        ({"id": True, "task_id": None, "job_id": 1.5, "uuid": 0, "request_id": " "}, []),
        ({"id": "a", "task_id": "a", "job_id": "b"}, ["a", "b"]),
        ({"id": {"x": "no"}, "y": "no"}, []),
        ({"id": [["a"]]}, ["a"]),
        ([[{"a": [{"b": {"taskId": "deep"}}]}]], ["deep"]),
        ({"data": json.dumps({"x": json.dumps({"task_id": "inner"})})}, ["inner"]),
        ({"id": "{4665a07c-7641}"}, ["{4665a07c-7641}"]),
        ({"id": '\u6d77 "quoted" \n'}, ['\u6d77 "quoted"']),
        ({"id": "x" * 182}, ["x" * 182]),
        ({"id": "x" * 5000}, []),
        ({"id": "[]"}, ["[]"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_under_such_a_key_may_be_an_id(said: Any, candidates: list[str]) -> None:
    """Nested anywhere, in JSON inside strings, each once and in order; integers as text, and no other value."""
    assert list(candidates_in(json.dumps(said))) == candidates


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ('{"id":"a"}{"id":"b"}\n{"id":"c"}', ["a", "b", "c"]),
        ('data: {"id":"a"}\n\ndata: [DONE]', ["a"]),
        (')]}\',\n{"id": "a"}', ["a"]),
        ('{"id": "a", "task_id": "b', ["a"]),
        ('{"id": "a\\', []),
        ('{"id": "a\tb"}', ["a\tb"]),
        ('{"id": "a\\qb"}', ["a\\qb"]),
        ('{"id": NaN, "uuid": "b"}', ["b"]),
        (']}{"id": "a"}', ["a"]),
        ('<html><p id="a">no</p></html>', []),
        ('"just text"', []),
        ("", []),
    ],
)
def test_it_need_not_be_good_json(text: str, candidates: list[str]) -> None:
    """Several documents, events, a cut: but a text that was cut is not whole, so it is no candidate."""
    assert list(candidates_in(text)) == candidates


def test_there_are_not_many() -> None:
    """Twenty at most, the first ones."""
    assert candidates_in(json.dumps({"ids": list(range(1, 1000))})) == tuple(str(number) for number in range(1, 21))


@pytest.mark.parametrize(
    "text", ['\\"' * 1_000_000, '"' * 2_000_001, "[" * 2_000_000, '{"a":' * 400_000, "id" * 1_000_000]
)
def test_megabytes_keep_nobody_busy(text: str) -> None:
    """The time grows with the length alone: what goes back over it would take hours here."""
    assert candidates_in(text) == ()


@given(st.text(st.sampled_from(list('{}[]":,\\ui0d \n')), max_size=60))
def test_any_text_is_read(text: str) -> None:
    """To texts that are not blank, each once."""
    found = candidates_in(text)

    assert len(set(found)) == len(found)
    assert all(found)
