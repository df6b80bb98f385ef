"""The ids in what relays post: of any dialect, and of bodies that mean harm."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async.webhooks import task_ids_in

ID = "9d4b7516-77e5-481a-b015-48313946f33b"
ROW = {"id": 77, "task_id": ID, "status": "SUCCESS", "data": {"id": "its-upstream", "state": "completed"}}


@pytest.mark.parametrize(
    ("body", "first"),
    [
        pytest.param({"id": ID, "state": "dreaming", "request": {"prompt": "x"}}, ID, id="Luma"),
        pytest.param({"id": ID}, ID, id="without a state"),
        pytest.param(ROW, ID, id="row"),
        pytest.param({"code": "success", "data": ROW}, ID, id="envelope"),
        pytest.param({"event": "task.done", "payload": {"generation": {"uuid": ID}}}, ID, id="an envelope of its own"),
        pytest.param(
            {"request_id": "r-1", "data": {"taskId": ID, "status": "done"}}, ID, id="a request's id beside it"
        ),
        pytest.param({"data": json.dumps({"task_id": ID, "status": "running"})}, ID, id="JSON inside a string"),
        pytest.param([{"id": "a", "state": "failed"}, {"id": "b", "state": "pending"}], "a", id="list"),
        pytest.param({"task_id": 123456, "status": "done"}, "123456", id="integer"),
    ],
)
def test_whatever_a_relay_posts_the_task_comes_first(body: Any, first: str) -> None:
    """As text, as bytes, and behind a byte order mark."""
    text = json.dumps(body)

    assert task_ids_in(text)[0] == first
    assert task_ids_in(text.encode()) == task_ids_in(b"\xef\xbb\xbf" + text.encode()) == task_ids_in(text)


def test_a_form_is_read_too() -> None:
    """Some gateways post one."""
    assert task_ids_in(urlencode({"task_id": ID, "status": "SUCCESS"})) == [ID]


def test_each_id_is_given_once() -> None:
    """In the order of the body."""
    rows = [{"id": task_id, "state": "failed"} for task_id in ("b", "a", "b")]

    assert task_ids_in(json.dumps(rows)) == ["b", "a"]


def test_no_more_than_a_hundred_ids_are_read() -> None:
    """A forged list must not cost a poll for each entry."""
    assert len(task_ids_in(json.dumps([{"id": f"t-{n}", "state": "failed"} for n in range(5000)]))) == 100


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"<html>no</html>", id="page"),
        pytest.param(b"[" * 100_000, id="deep and broken"),
        pytest.param(b"[" * 5000 + b"]" * 5000, id="deep"),
        pytest.param(json.dumps({"id": "../../etc/passwd", "state": "x"}), id="no id"),
        pytest.param(json.dumps({"id": True, "task_id": None, "uuid": ["a"]}), id="other types"),
        pytest.param(json.dumps({"id": ID, "pad": "x" * 2**20}), id="too long"),
        pytest.param("&".join(f"id{n}=a" for n in range(1000)), id="many fields"),
        pytest.param('{"id": "a\ud800"}', id="lone surrogate"),
    ],
)
def test_a_body_that_means_harm_has_no_ids(body: bytes | str) -> None:
    """It raises nothing either."""
    assert task_ids_in(body) == []


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_no_body_raises(body: bytes | str) -> None:
    """Whatever comes, it is a list of ids."""
    assert all(isinstance(task_id, str) for task_id in task_ids_in(body))


def test_another_type_is_a_mistake_of_the_caller() -> None:
    """Such as a document that was decoded already."""
    with pytest.raises(TypeError, match="bytes or text, not dict"):
        task_ids_in({"id": ID})  # type: ignore[arg-type]
