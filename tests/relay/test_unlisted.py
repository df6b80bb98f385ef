"""Tasks in wrappers, or under spellings of keys, that no dialect lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from luma_async import LumaError, Outcome, State, outcome_from_json, outcome_to_json
from luma_async._relay.tasks import LastAnswer, read_batch, read_poll, read_task
from luma_async.errors import APIError, NotFoundError, ProtocolError
from tests.kit import TASK_ID, answer

V = "https://cdn.example/a"
"""Nothing in it says that it is a video."""
DONE = {"id": TASK_ID, "status": "completed", "video_url": V}
OTHER = {"id": "task-2", "status": "completed", "video_url": "https://cdn.example/w.mp4"}


@pytest.mark.parametrize(
    "body",
    [
        {"results": [DONE]},
        {"payload": DONE},
        {"Job": DONE},
        {"body": json.dumps(DONE)},
        {"video": {"id": TASK_ID, "status": "completed", "url": V}},
        {"data": {"list": [DONE]}},
        {"code": 0, "data": {"page": {"records": [DONE]}}},
        {"tasks": {TASK_ID: {"status": "completed", "video_url": V}}},
        {"Tasks": {TASK_ID: DONE}},
        {"taskInfo": {"taskId": TASK_ID, "status": "completed"}, "taskResult": {"videoUrl": V}},
        {"data": {"info": {"id": TASK_ID, "status": "success"}, "jobOutput": {"videos": [{"url": V}]}}},
        {"taskID": TASK_ID, "taskStatus": "SUCCESS", "videoURL": V},
        {"Id": TASK_ID, "State": "Completed", "Output": [{"Url": V}]},
        {"task-id": TASK_ID, "task-status": "success", "video-url": V},
        {"TASK_ID": TASK_ID, "STATUS": "SUCCESS", "RESULT": {"VIDEO_URL": V}},
        {"Response": {"TaskId": TASK_ID, "Status": "DONE", "Data": json.dumps({"VideoUrl": V})}},
    ],
)
def test_the_task_is_found_in_any_wrapper_and_spelling(body: dict[str, Any]) -> None:
    """Its link is not a guess, and the whole answer is kept."""
    generation = read_task(answer(body), TASK_ID)

    assert (generation.id, generation.state, generation.video_url) == (TASK_ID, State.COMPLETED, V)
    assert generation.problems == ()
    assert generation.raw == body
    recorded = outcome_to_json(Outcome(task_id=TASK_ID, generation=generation, error=None, elapsed=1.0, polls=1))
    assert outcome_from_json(recorded).generation == generation


def test_all_that_a_task_says_is_read_in_any_spelling() -> None:
    """The reason of a failure, the progress, the place in the queue, the request and the times."""
    failed = {"TaskID": TASK_ID, "TaskStatus": "FAILED", "ErrorMsg": "no face", "FailureCode": "x"}
    queued = {"ID": TASK_ID, "State": "queued", "QueuePosition": "3", "Progress": "40%", "Request": {"prompt": "a cat"}}

    generation = read_task(answer({"Response": failed}), TASK_ID)
    waiting = read_task(answer({"Job": queued}), TASK_ID)

    assert (generation.state, generation.failure_reason, generation.failure_code) == (State.FAILED, "no face", "x")
    assert (waiting.queue_position, waiting.progress, waiting.prompt) == (3, 0.4, "a cat")


def test_a_long_answer_in_an_unlisted_wrapper_is_remembered() -> None:
    """Only what fits is kept, with the link."""
    body = answer({"results": [{**DONE, "prompt": "x" * 5000}]})

    last, seen = read_poll(body, TASK_ID, None)

    assert seen is not None
    assert last.recall(TASK_ID).video_url == V
    assert read_poll(body, TASK_ID, last) == (last, None)


@pytest.mark.parametrize(
    "body",
    [
        {"input": DONE},
        {"params": {"task": DONE}},
        {"callback": {"body": DONE}},
        {"parent": DONE},
        {"errors": [{"id": TASK_ID, "status": "failed"}]},
        {"errorDetail": {"id": TASK_ID, "status": "failed"}},
        {"eventLog": [{"task_id": TASK_ID, "status": "failed"}]},
        {"steps": [{"task_id": TASK_ID, "status": "failed"}, {"task_id": TASK_ID, "status": "running"}]},
        {"meta": {"task_id": TASK_ID, "status": "ok"}},
        {"job": {"id": TASK_ID}, "status": "completed"},
        {"job": {"id": TASK_ID, "result": {"status": "completed"}}},
        {"job": {"name": TASK_ID, "status": "completed"}},
        {"states": {TASK_ID: {"status": "completed"}}},
        {"job": OTHER, "note": TASK_ID},
    ],
)
def test_only_an_object_with_the_id_and_a_state_is_the_task(body: dict[str, Any]) -> None:
    """Never one inside the user's own input, an error or a log, and never a word that may be about the request."""
    with pytest.raises(LumaError) as raised:
        read_task(answer(body), TASK_ID)

    assert raised.value.retryable


_STATE = {"state": "completed", "video_url": V}


@pytest.mark.parametrize("key", ["attributes", "Attributes", "info", "fields", "job", "video", "job_info", "_source"])
@pytest.mark.parametrize("body", [_STATE, {"Status": "succeeded", "VideoURL": V}, {**_STATE, "id": TASK_ID}], ids=str)
def test_the_state_may_be_in_an_object_beside_the_id(key: str, body: dict[str, Any]) -> None:
    """As in JSON:API; in a batch as in a single poll."""
    task = {"type": "generations", "id": TASK_ID, key: body}

    for around in (task, {"data": task}, {"data": [task]}, {"included": [OTHER], "data": task}, {"hits": [task]}):
        generation = read_task(answer(around), TASK_ID)
        assert (generation.state, generation.video_url) == (State.COMPLETED, V)
        assert read_batch(answer(around), {TASK_ID: None})[TASK_ID][0].recall(TASK_ID).video_url == V


@pytest.mark.parametrize("identity", [{"_id": "1"}, {"_id": TASK_ID}])
def test_a_document_of_a_search_is_a_task(identity: dict[str, str]) -> None:
    """As Elasticsearch has it around."""
    hits = [{"_index": "tasks", "_score": 1.0, **identity, "_source": {**DONE, "id": TASK_ID}}]

    assert read_task(answer({"took": 3, "hits": {"total": 1, "hits": hits}}), TASK_ID).video_url == V


@pytest.mark.parametrize(
    "fields",
    [
        {"attributes": {**_STATE, "id": "another"}},
        {"job": {**_STATE, "task_id": "another"}},
        {"attributes": _STATE, "info": {"state": "failed"}},
        {"video": {**_STATE, "type": "input"}},
        {"source": _STATE},
        {"moderation": _STATE},
        {"input": _STATE},
        {"relationships": {"parent": {"data": _STATE}}},
        {"attributes": {"upload_status": "completed"}},
        {"attributes": {"status": "success"}},
        {"author": {"status": "failed"}},
    ],
    ids=str,
)
def test_what_else_is_beside_the_id_does_not_have_the_state(fields: dict[str, Any]) -> None:
    """Another task, the user's own input, or objects that disagree."""
    with pytest.raises(LumaError) as raised:
        read_task(answer({"data": {"id": TASK_ID, **fields}}), TASK_ID)

    assert raised.value.retryable


@pytest.mark.parametrize("key", ["taskResult", "results", "videos"])
def test_the_result_of_another_task_is_not_adopted(key: str) -> None:
    """Only what belongs to no other task is searched for the link."""
    info = {"taskId": TASK_ID, "status": "completed"}

    assert read_task(answer({"taskInfo": info, key: [OTHER]}), TASK_ID).video_url is None
    assert read_task(answer({"taskInfo": info, key: {"jobId": "j", "url": V}}), TASK_ID).video_url is None


def test_a_known_place_is_read_first() -> None:
    """What nobody listed counts only where nothing else is found; an answer about another task stays one."""
    assert read_task(answer({"data": {"id": TASK_ID, "state": "queued"}, "job": DONE}), TASK_ID).state is State.PENDING
    with pytest.raises(ProtocolError) as raised:
        read_task(answer({"data": OTHER, "job": DONE}), TASK_ID)
    assert raised.value.foreign


@pytest.mark.parametrize("status", [404, 422, 500])
def test_an_error_status_has_only_failed_tasks_in_any_wrapper(status: int) -> None:
    """Another state does not make the error a passing one."""
    failed = {"detail": {"task": {"id": TASK_ID, "status": "failed"}}}
    running = {"detail": {"task": {"id": TASK_ID, "status": "running"}}}

    assert read_task(answer(failed, status), TASK_ID).state is State.FAILED
    with pytest.raises(APIError) as expected:
        read_task(answer({"detail": {}}, status), TASK_ID)
    with pytest.raises(APIError) as raised:
        read_task(answer(running, status), TASK_ID)
    assert raised.value.verdict is expected.value.verdict


def test_a_refusal_with_an_unknown_word_stays_a_refusal() -> None:
    """Without a refusal the word means that the task is still running."""
    gone = {"id": TASK_ID, "status": "not_found"}

    with pytest.raises(NotFoundError):
        read_task(answer({"detail": {**gone, "message": "no such task"}}), TASK_ID)
    assert read_task(answer({"job": gone}), TASK_ID).state is State.UNKNOWN


# --- batches ---

A, B = "task-a1", "task-b2"
ROWS = [{"id": A, "status": "completed", "video_url": V}, {"id": B, "status": "running"}]
BY_ID = {A: {"status": "completed", "video_url": V}, B: {"status": "running"}}
SPELLED = [{"TaskID": A, "Status": "Completed", "VideoURL": V}, {"TaskID": B, "Status": "Running"}]


@pytest.mark.parametrize(
    "body",
    [
        {"payload": {"jobs": ROWS}},
        {"payload": json.dumps({"jobs": ROWS})},
        {"results": BY_ID},
        {"results": ROWS},
        {"jobs": BY_ID},
        {"jobs": {"items": ROWS, "total": 2}},
        {"page": {"records": ROWS}},
        {"data": {"jobs": ROWS}},
        {"data": BY_ID},
        {"code": 0, "data": [], "jobs": ROWS},
        {"code": 0, "data": None, "jobs": ROWS},
        {"code": 200, "message": "ok", "body": {"list": ROWS}},
        {"first": ROWS[0], "second": ROWS[1]},
        {"jobs": [{"job": row} for row in ROWS]},
        {"jobs": [*ROWS, OTHER]},
        BY_ID,
        SPELLED,
        {"Response": {"TaskList": SPELLED}},
        {"code": 0, "data": SPELLED},
    ],
    ids=str,
)
def test_the_rows_of_a_batch_are_found_in_any_wrapper(body: Any) -> None:
    """By the ids that were asked for; what a row says is remembered, and recognised the next time."""
    known: dict[str, LastAnswer | None] = {A: None, B: None, "task-c3": None}

    seen = read_batch(answer(body), known)
    again = read_batch(answer(body), {**known, **{task_id: last for task_id, (last, _) in seen.items()}})

    assert {task_id: last.state for task_id, (last, _) in seen.items()} == {A: State.COMPLETED, B: State.PROCESSING}
    assert seen[A][0].recall(A).video_url == V
    assert again == {task_id: (last, None) for task_id, (last, _) in seen.items()}


@pytest.mark.parametrize(
    "body",
    [
        {"input": {"jobs": ROWS}},
        {"request": {"jobs": ROWS}},
        {"errors": BY_ID},
        {"states": BY_ID},
        {"logs": ROWS},
        {"jobs": [OTHER]},
        {"results": {"task-x9": {"status": "completed", "video_url": V}}},
        {"jobs": [{"name": A, "status": "completed", "video_url": V}]},
        {"jobs": [{"id": A.upper(), "status": "failed"}]},
        {"jobs": [{"parent_id": A, "status": "failed"}]},
        {"jobs": [{"id": A}, {"id": B}]},
        {"jobs": [{"id": A, "upload_status": "failed"}]},
        {"jobs": [{"id": A, "status": "failed"}, {"id": A, "status": "completed", "video_url": V}]},
        {"jobs": [{"id": A, "status": "ok"}]},
        {"code": 400, "message": "bad", "ids": [A, B]},
        {"code": 500, "message": "no such job", "job": {"id": A, "status": "not_found"}},
    ],
    ids=str,
)
def test_what_is_no_row_of_a_batch_is_not_taken(body: Any) -> None:
    """Another id, the user's own input, a log, an error, or rows that disagree."""
    with pytest.raises(LumaError):
        read_batch(answer(body), {A: None, B: None})


def test_rows_that_disagree_leave_the_others() -> None:
    """Only their own id is not in the result."""
    body = {"jobs": [*ROWS, {"id": B, "status": "failed"}]}

    assert read_batch(answer(body), {A: None, B: None}).keys() == {A}


def test_the_rows_of_other_ids_are_no_results() -> None:
    """In a map of tasks, whatever an id ends with."""
    body = {"results": {A: {"status": "completed"}, "my-video": {"url": "https://cdn.example/w.mp4"}}}

    assert read_batch(answer(body), {A: None})[A][0].recall(A).video_url is None


def test_an_id_may_be_a_number_in_a_batch() -> None:
    """As in the answer to a single poll."""
    assert read_batch(answer({"jobs": [{"ID": 12345, "Status": "failed"}]}), {"12345": None}).keys() == {"12345"}


@pytest.mark.parametrize("key", ["task_id", "taskId", "Job-ID", "generation_id"])
def test_a_number_beside_another_tasks_id_is_a_database_key(key: str) -> None:
    """At any depth; beside the asked id, or an unset one, it may be the id."""
    row = {"id": 12345, "status": "failed"}

    for body in ({"page": {"records": [{**row, key: "task_zzz"}]}}, {"job": {**row, key: "9"}}):
        with pytest.raises(LumaError) as raised:
            read_task(answer(body), "12345")
        assert raised.value.retryable
    for other in ("", None, "12345"):
        assert read_task(answer({"job": {**row, key: other}}), "12345").state is State.FAILED


def test_no_match_of_a_batch_stays_one() -> None:
    """Nothing is searched for in vain."""
    assert read_batch(answer({"code": "success", "data": None}), {A: None, B: None}) == {}
