"""Which id in the answer to a submit is the new task's, and which answers name none for certain."""

from __future__ import annotations

from typing import Any

import pytest

from luma_async import UncertainSubmitError
from luma_async._relay.submissions import read_submitted
from tests.kit import TASK_ID, answer

OTHER_ID = "7d0cf4a2-3f0e-4a53-9a0c-0f6f2c7f3b11"
RUNNING = {"id": "task-9", "state": "pending"}


def _uncertain(body: Any) -> UncertainSubmitError:
    with pytest.raises(UncertainSubmitError) as caught:
        read_submitted(answer(body))
    return caught.value


# --- an envelope's id ---


@pytest.mark.parametrize(
    "body",
    [
        {"id": 17, "code": "success", "data": {"task_id": "task-9"}},
        {"id": "req-1", "status": "success", "data": {"task_id": "task-9"}},
        {"id": "req-1", "object": "response", "data": {"task_id": "task-9", "status": "queued"}},
        {"id": "log-1", "code": 0, "data": RUNNING},
        {"id": "req-1", "success": True, "result": {"id": "task-9"}},
        {"id": "req-1", "message": "ok", "generation": RUNNING},
        {"id": "req-1", "generations": [RUNNING]},
        {"id": "req-1", "response": {"jobId": "task-9"}},
        {"uuid": OTHER_ID, "data": {"task_id": "task-9"}},
        {"uuid": OTHER_ID, "output": {"task_id": "task-9", "task_status": "PENDING"}},
        {"id": "req-1", "code": 0, "data": {"task_id": "task-9", "data": {"id": "luma-1", "state": "pending"}}},
        {"id": "req-1", "code": 0, "data": {"id": 17, "taskId": "task-9"}},
        {"jsonrpc": "2.0", "id": 1, "result": RUNNING},
        {"jsonrpc": "2.0", "id": "req-1", "result": {"id": "task-9"}},
        {"task_id": "task-9", "data": {"id": "luma-1", "state": "pending"}},
        {"task_id": "task-9", "code": 0, "data": {"task_id": "luma-1"}},
        {"id": "task-9", "state": "pending", "task": {"id": "inner-1"}},
        {"id": "task-9", "state": "pending", "data": {"id": "luma-1", "state": "processing"}},
        {"id": "task-9", "code": 0, "data": {"id": "task-9"}},
        {"id": "task-9", "output": [{"id": "asset-1"}]},
    ],
    ids=str,
)
def test_the_tasks_id_comes_before_the_envelopes(body: dict[str, Any]) -> None:
    """But a row's ``task_id``, or the id of what has the state of a task, comes before one further inside."""
    assert read_submitted(answer(body)) == "task-9"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "task-9", "task": {"id": "inner-1"}},
        {"id": "task-9", "data": {"id": "inner-1", "model": "ray-2"}},
        {"id": "task-9", "code": 0, "job": {"id": "inner-1"}},
        {"id": "task-9", "code": 0, "status": "submitted", "data": {"id": "inner-1", "status": "queued"}},
    ],
    ids=str,
)
def test_two_ids_that_may_be_the_tasks_are_both_candidates(body: dict[str, Any]) -> None:
    """None is taken where nothing tells which is the task's."""
    assert _uncertain(body).candidates == ("task-9", "inner-1")


def test_a_bare_id_beside_another_is_uncertain() -> None:
    """An envelope's id, and a UUID as data."""
    assert _uncertain({"id": "req-1", "data": TASK_ID}).candidates == ("req-1", TASK_ID)


def test_the_bare_id_in_an_envelope_with_an_id_is_the_tasks() -> None:
    """Where the words of an envelope are beside the other."""
    assert read_submitted(answer({"id": "req-1", "code": 0, "data": TASK_ID})) == TASK_ID


@pytest.mark.parametrize("result", [None, "queued", "", 7, [], {}, {"ok": True}], ids=str)
@pytest.mark.parametrize("request_id", [1, 4711, "7", "req-1"], ids=str)
def test_the_id_of_a_remote_procedure_call_is_never_the_tasks(result: Any, request_id: Any) -> None:
    """It numbers the requests of one connection."""
    _uncertain({"jsonrpc": "2.0", "id": request_id, "result": result})


# --- several ids ---


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "data": {"task_ids": ["one-1", "two-2"]}},
        {"code": 200, "data": {"taskIds": ["one-1", "two-2"]}},
        {"ids": ["one-1", "two-2"]},
        {"task_id": "one-1", "task_ids": ["one-1", "two-2"]},
        {"id": ["one-1", "two-2"], "state": "queued"},
        {"code": "success", "data": ["one-1", "two-2"]},
        {"result": ["one-1", "two-2"]},
        {"data": [{"id": "one-1"}, {"id": "two-2"}]},
        {"data": [{"job_id": "one-1"}, {"job_id": "two-2"}]},
        {"data": {"tasks": [{"task_id": "one-1"}, {"task_id": "two-2"}]}},
        {"generations": [{"id": "one-1", "state": "queued"}, {"id": "two-2", "state": "queued"}]},
        [{"id": "one-1", "state": "queued"}, {"id": "two-2", "state": "queued"}],
        ["one-1", "two-2"],
        {"total": 2, "data": [{"id": "one-1", "state": "completed"}, {"id": "two-2", "state": "failed"}]},
    ],
    ids=str,
)
def test_several_ids_are_all_candidates(body: Any) -> None:
    """The first one may be the wrong one, and the others would be lost."""
    assert _uncertain(body).candidates == ("one-1", "two-2")


@pytest.mark.parametrize(
    "body",
    [
        [TASK_ID, OTHER_ID],
        {"data": [TASK_ID, OTHER_ID]},
        {"data": f"{TASK_ID},{OTHER_ID}"},
        {"data": {"task_id": f"{TASK_ID} {OTHER_ID}"}},
        {"data": {"task_id": f"{TASK_ID};{OTHER_ID}"}},
    ],
    ids=str,
)
def test_two_uuids_are_two_ids(body: Any) -> None:
    """Also in one text."""
    assert _uncertain(body).candidates == (TASK_ID, OTHER_ID)


@pytest.mark.parametrize(
    "body",
    [
        {"count": 1, "has_more": False, "generations": [{"id": "old-1", "state": "completed"}]},
        {"total": 1, "page": 1, "data": [{"task_id": "old-1", "status": "FAILURE"}]},
    ],
    ids=str,
)
def test_a_listing_is_of_older_tasks(body: dict[str, Any]) -> None:
    """One that has ended is not the new one."""
    assert _uncertain(body).candidates == ("old-1",)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "data": {"task_ids": ["task-9"]}},
        {"ids": ["task-9"]},
        {"id": ["task-9"], "state": "queued"},
        [{"id": "task-9", "state": "queued"}],
        {"data": ["task-9", "task-9"]},
        {"data": {"tasks": [{"id": "task-9", "status": "queued"}, {"error": "too many"}]}},
        {"count": 1, "data": [{"id": "task-9", "state": "queued"}]},
        {"id": "task-9", "state": "queued", "items": [{"id": "part-1"}, {"id": "part-2"}]},
        {"task_id": "task-9", "result": [{"id": "part-1"}, {"id": "part-2"}]},
        {"id": "task-9", "state": "completed", "output": [{"id": "a-1"}, {"id": "a-2"}]},
    ],
    ids=str,
)
def test_a_list_of_one_id_is_that_id(body: Any) -> None:
    """And a task's parts have ids of their own."""
    assert read_submitted(answer(body)) == "task-9"


# --- the number of a row ---


@pytest.mark.parametrize("empty", ["", None, " ", 0, "null"], ids=repr)
@pytest.mark.parametrize("key", ["task_id", "taskId", "TaskID"])
@pytest.mark.parametrize("number", [17, "17"], ids=repr)
def test_a_rows_number_is_no_id(key: str, empty: Any, number: Any) -> None:
    """Beside an empty ``task_id`` it is the key of a database; an id further inside is the upstream's."""
    row = {"id": number, key: empty, "status": "NOT_START"}

    _uncertain({"code": "success", "data": row})
    _uncertain(row)
    assert "luma-7" in _uncertain({"code": "success", "data": {**row, "data": {"id": "luma-7"}}}).candidates


def test_a_gateways_row_without_a_task_id_has_none() -> None:
    """Its other keys show what it is."""
    _uncertain({"code": "success", "data": {"id": 17, "platform": "36", "channel_id": 3, "status": "NOT_START"}})
    assert read_submitted(answer({"id": 4711, "state": "pending", "platform": "web"})) == "4711"


def test_a_text_beside_an_empty_task_id_is_the_id() -> None:
    """It is no number of a row."""
    assert read_submitted(answer({"id": TASK_ID, "task_id": None, "state": "pending"})) == TASK_ID


# --- the id of a request ---


@pytest.mark.parametrize(
    "words",
    [
        *({"status": word} for word in ("error", "failed", "FAILURE", "rejected", "ok", "success", "forbidden")),
        {"state": "error", "msg": "no channel"},
        {"status": "ok", "data": {}},
        {"status": "success", "data": None},
        {"success": True},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["request_id", "requestId", "rid", "trace_id", "log_id", "RequestId"])
def test_a_requests_id_is_no_tasks(key: str, words: dict[str, Any]) -> None:
    """Of a request that failed, or of which nothing is said."""
    _uncertain({**words, key: "rq-77"})


@pytest.mark.parametrize("word", ["IN_QUEUE", "queued", "processing", "COMPLETED"])
def test_a_requests_id_beside_the_state_of_a_task_is_the_tasks(word: str) -> None:
    """Some queues have no other."""
    assert read_submitted(answer({"status": word, "request_id": TASK_ID})) == TASK_ID


# --- marks of an error ---

_ERRORS = [
    *((key, code) for key in ("errorCode", "errCode", "err_no", "errno", "ret", "retcode") for code in (1001, -1, "7")),
    *(
        (key, "no channel")
        for key in ("err", "error", "error_msg", "errorMessage", "errMsg", "fault", "exception", "ERROR")
    ),
    *((key, {"message": "no channel"}) for key in ("err", "fault", "errors", "exception")),
    *((key, False) for key in ("success", "succeeded", "isOk", "isSuccess", "ok", "status", "result")),
    *(("success", word) for word in ("False", "FALSE", "no", "0")),
    *(("result", word) for word in ("fail", "error", "FAILED")),
    *((key, code) for key in ("statusCode", "status_code", "http_status", "status") for code in (403, 500, "502")),
    *((key, value) for key in ("error", "hasError", "failed", "rejected") for value in (True, 1, "true")),
    ("ok", 0),
    ("errors", {"prompt": ["too long"]}),
    ("errors", ["too long"]),
    ("object", "error"),
    ("type", "error"),
    ("base_resp", {"status_code": 1008, "status_msg": "no credit"}),
]


@pytest.mark.parametrize(("key", "value"), _ERRORS, ids=str)
def test_an_error_beside_an_id_leaves_it_open(key: str, value: Any) -> None:
    """In the envelope, or in the same object; the id is a candidate."""
    assert _uncertain({key: value, "task_id": "tt-9"}).candidates == ("tt-9",)
    if (key, value) != ("result", False):
        assert _uncertain({key: value, "message": "no", "data": {"task_id": "tt-9"}}).candidates == ("tt-9",)


_SUCCESSES = [
    *((key, code) for key in ("errorCode", "errCode", "err_no", "errno", "ret", "retcode") for code in (0, "0", None)),
    *((key, "") for key in ("err", "error", "error_msg", "errorMessage", "errMsg", "fault", "exception")),
    *((key, "ok") for key in ("errmsg", "error_msg", "result", "status", "ret")),
    *((key, None) for key in ("err", "error", "errors", "fault", "exception", "success", "result", "status")),
    *((key, {}) for key in ("err", "error", "errors", "node_errors")),
    *((key, word) for key in ("success", "isOk", "ok", "succeeded", "status") for word in (True, "True")),
    *((key, code) for key in ("statusCode", "status_code", "http_status", "status") for code in (200, 201, "202", 0)),
    *((key, value) for key in ("error", "hasError", "failed", "rejected") for value in (False, 0, "false")),
    ("success", 1),
    ("errors", []),
    ("error", {"code": 0, "message": "success"}),
    ("ret", ["SUCCESS::ok"]),
    ("result", "success"),
    ("object", "video"),
    ("type", "video"),
    ("base_resp", {"status_code": 0, "status_msg": "success"}),
    ("warnings", ["slow"]),
    ("failed_count", 3),
]


@pytest.mark.parametrize(("key", "value"), _SUCCESSES, ids=str)
def test_the_same_keys_may_tell_of_a_success(key: str, value: Any) -> None:
    """Nothing, a zero, or a word that all is well."""
    assert read_submitted(answer({key: value, "task_id": "tt-9"})) == "tt-9"
    assert read_submitted(answer({key: value, "data": {"task_id": "tt-9"}})) == "tt-9"


def test_a_task_that_failed_at_once_has_its_id() -> None:
    """Its error is the task's own."""
    assert read_submitted(answer({"id": "f-1", "state": "failed", "error": True, "errorCode": 7})) == "f-1"


def test_a_problem_has_no_task() -> None:
    """Its id is the problem's (RFC 9457)."""
    _uncertain({"type": "about:blank", "status": 400, "title": "Bad Request", "traceId": "00-1", "id": "rq-77"})


# --- other spellings ---


@pytest.mark.parametrize(
    "body",
    [
        {"Code": 0, "Message": "OK", "Data": {"TaskId": "net-77"}},
        {"Response": {"JobId": "net-77", "RequestId": "5a0b6e64-1b2c"}},
        {"StatusCode": 200, "Result": {"TaskID": "net-77"}},
        {"DATA": {"TASK_ID": "net-77"}},
        {"Success": True, "Data": {"Result": {"Id": "net-77", "State": "Queued"}}},
        {"code": 10000, "message": "request successfully submitted", "data": {"task_id": "net-77"}},
        {"code": 1000, "msg": "Your request has been accepted.", "data": {"task_id": "net-77"}},
        {"code": 1000, "msg": "Task created", "data": {"task_id": "net-77"}},
        {"code": 1000, "msg": "任务已提交", "data": {"task_id": "net-77"}},
    ],
    ids=str,
)
def test_capitals_and_sentences_are_read(body: dict[str, Any]) -> None:
    """The same keys in capitals; and a sentence that says that the submit was taken."""
    assert read_submitted(answer(body)) == "net-77"


@pytest.mark.parametrize(
    "body",
    [
        {"Code": 500, "Message": "down", "Data": {"TaskId": "net-77"}},
        {"Success": False, "Data": {"TaskId": "net-77"}},
        {"Error": {"Message": "down"}, "Data": {"TaskId": "net-77"}},
        {"code": 10000, "message": "request could not be submitted", "data": {"task_id": "net-77"}},
        {"code": 10000, "message": "a task was already created today: limit", "data": {"task_id": "net-77"}},
        {"code": 10000, "message": "任务未提交", "data": {"task_id": "net-77"}},
    ],
    ids=str,
)
def test_capitals_and_sentences_may_tell_of_an_error(body: dict[str, Any]) -> None:
    """As the small letters do."""
    assert _uncertain(body).candidates == ("net-77",)


def test_the_id_of_a_request_is_no_candidate_beside_another() -> None:
    """Alone it is one: it is what the relay's support asks for."""
    said = {"Response": {"JobId": "a/1", "RequestId": "5a0b6e64-1b2c"}}

    assert _uncertain(said).candidates == ("a/1",)
    assert _uncertain({"Response": {"RequestId": "5a0b6e64-1b2c"}}).candidates == ("5a0b6e64-1b2c",)
