"""Answers that other people's clients met in the field, read without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from luma_async import APIError, Generation, GenerationFailedError, ServerError, State, UncertainSubmitError
from luma_async._relay.submissions import read_submitted
from luma_async._relay.tasks import read_task
from luma_async.errors import Verdict
from tests.kit import TASK_ID, answer

_FIELD = Path(__file__).parent.parent / "samples" / "field"
_ID = "7d3c2a10-5b6e-4f00-9a4e-0123456789ab"
_VIDEO = "https://cdn.example/dream/7d3c2a10/video.mp4"


def case(name: str) -> dict[str, Any]:
    """Return the case that starts with *name*."""
    (path,) = _FIELD.glob(f"{name}_*.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f01", {"state": State.PROCESSING, "created_at": datetime(2024, 8, 4, 11, 5, 57, 708000, UTC)}),
        ("f03", {"state": State.COMPLETED, "video_url": _VIDEO, "problems": ()}),
        ("f05", {"state": State.COMPLETED, "video_url": _VIDEO}),
        ("f08", {"state": State.COMPLETED, "video_url": _VIDEO, "link thumbnail": "https://cdn.example/t.jpg"}),
        ("f10", {"state": State.COMPLETED, "video_url": _VIDEO, "problems": ()}),
        ("f12", {"video_url": "data:video/mp4;base64,AAAAIGZ0eXBpc29tAAACAGlzb21pc28yYXZjMW1wNDE=", "problems": ()}),
        ("f14", {"state": State.FAILED, "failure_reason": None}),
        ("f16", {"state": State.FAILED, "failure_reason": "the prompt did not pass content moderation"}),
        ("f19", {"state": State.FAILED, "failure_reason": "content policy: input image rejected"}),
        ("f27", {"state": State.COMPLETED, "video_url": _VIDEO, "problems": ()}),
        ("f30", {"created_at": datetime(2024, 8, 4, 11, 5, 57, 708000, UTC), "problems": ()}),
        ("p04", {"state": State.PENDING, "created_at": None}),
    ],
)
def test_an_answer_from_the_field_says_what_it_means(name: str, expected: dict[str, Any]) -> None:
    """State, link, reason and times are found wherever this kind of relay puts them."""
    met = case(name)

    generation = read_task(answer(met["body"], met["status"]), _ID)

    for what, value in expected.items():
        *call, role = what.split(" ")
        assert (generation.link(role) if call else getattr(generation, what)) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        (case("f33")["body"], "774d9a7dd608a0e49293903095e45a4c"),
        (case("f35")["body"], case("f35")["body"]["id"]),
        (case("p02")["body"], case("p02")["body"]["task_id"]),
        ({"code": "0", "data": {"job_id": "j-1"}}, "j-1"),
        ({"code": "SUCCESS", "message": "", "data": "t-1"}, "t-1"),
        ({"code": "OK", "data": ["t-1"]}, "t-1"),
        ({"code": 0, "data": {"task_ids": ["t-1"]}}, "t-1"),
        ({"code": 200, "data": 90211}, "90211"),
        ({"code": 200, "data": {"id": 77, "task_id": "t-1"}}, "t-1"),
        ([{"id": "t-1", "state": "queued"}], "t-1"),
        ({"request_id": "fal-1", "status": "IN_QUEUE"}, "fal-1"),
        ({"code": 0, "request_id": "r-1", "data": {"task_id": "t-1", "task_status": "submitted"}}, "t-1"),
        ({"id": "projects/x", "task_id": "a!$&'()*+,;=:@b"}, "a!$&'()*+,;=:@b"),
    ],
)
def test_the_id_of_a_submit_is_found(body: Any, task_id: str) -> None:
    """At any key for task ids, as text or number, and as the data itself."""
    assert read_submitted(answer(body, 201)) == task_id


@pytest.mark.parametrize(
    "body", [{"code": 0, "message": "ok", "request_id": "r-1"}, {"code": 0, "data": 1}, {"code": 0, "data": {"id": 0}}]
)
def test_what_names_something_else_is_not_the_id_of_a_submit(body: dict[str, Any]) -> None:
    """A request's id and a count are candidates at most."""
    with pytest.raises(UncertainSubmitError):
        read_submitted(answer(body, 200))


@pytest.mark.parametrize(
    ("body", "is_failed"),
    [
        ({"id": TASK_ID, "state": "failed"}, True),
        ({"task_id": TASK_ID, "status": "FAILURE", "fail_reason": "no"}, True),
        ({"error": "no", "data": {"id": TASK_ID, "state": "failed"}}, True),
        ({"id": TASK_ID, "status": "error", "message": "upstream"}, False),
        ({"id": TASK_ID, "status": "Timed-Out", "message": "upstream"}, False),
        ({"id": TASK_ID, "status": "fail", "message": "temporarily locked"}, False),
        ({"status": "Fail", "taskId": TASK_ID, "data": {"prompt": "too long"}}, False),
        ({"id": TASK_ID, "state": "fail", "failure_reason": "no"}, True),
        ({"id": TASK_ID, "status": "failed", "message": "no face"}, True),
        ({"id": TASK_ID, "state": "timeout", "message": "took too long"}, True),
        ({"id": "req-7", "status": "failed"}, False),
        ({"id": TASK_ID, "data": {"state": "failed"}}, False),
        ({"id": TASK_ID, "state": "processing"}, False),
        ({"id": TASK_ID, "state": "completed"}, False),
    ],
)
@pytest.mark.parametrize("status", [400, 422, 500, 502])
def test_only_a_failed_task_is_read_inside_an_error_status(body: dict[str, Any], is_failed: bool, status: int) -> None:  # noqa: FBT001
    """The object with the state must carry the id too; another state is passing trouble."""
    if is_failed:
        assert read_task(answer(body, status), TASK_ID).state is State.FAILED
        return
    with pytest.raises(APIError) as raised:
        read_task(answer(body, status), TASK_ID)
    if status >= 500 or body.get("state"):
        assert raised.value.verdict is Verdict.PASSING
    assert isinstance(raised.value, ServerError) is (status >= 500)


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"status": "success", "data": {"id": TASK_ID, "state": "processing"}}, State.PROCESSING),
        ({"state": "completed", "code": 0, "data": {"task_id": TASK_ID, "task_status": "submitted"}}, State.PENDING),
        ({"id": TASK_ID, "status": "ok", "data": {"state": "dreaming"}}, State.PROCESSING),
        ({"id": TASK_ID, "status": "success", "state": "queued"}, State.PENDING),
        ({"task_id": TASK_ID, "status": "SUCCESS", "data": {"state": "dreaming"}}, State.COMPLETED),
        ({"generation_id": TASK_ID, "id": 5, "status": "done"}, State.COMPLETED),
        ({"job_id": TASK_ID, "job_status": "running"}, State.PROCESSING),
    ],
)
def test_a_word_tells_a_state_only_in_the_object_of_the_task(body: dict[str, Any], state: State) -> None:
    """An envelope's words never do."""
    assert read_task(answer(body), TASK_ID).state is state


@pytest.mark.parametrize(
    ("reason", "may_retry"),
    [
        ("400: Advanced moderation failed: Prompt not allowed", False),
        ("the prompt violates our content policy", False),
        ("内容违规", False),
        ("the machine went away", None),
        (None, None),
    ],
)
def test_a_reason_that_speaks_of_moderation_is_not_to_be_retried(reason: str | None, may_retry: object) -> None:
    """Many relays give no code; whoever submits the same again would pay for the same refusal."""
    failed = Generation(
        id=TASK_ID, state=State.FAILED, state_text="failed", failure_reason=reason, failure_code="new_code"
    )

    assert GenerationFailedError(failed).may_retry is may_retry


@pytest.mark.parametrize(
    ("code", "may_retry"), [("content_moderated", False), ("generation_failed", True), ("new_code", None), (None, None)]
)
def test_the_code_of_a_failure_says_whether_another_submit_may_succeed(
    code: str | None,
    may_retry: bool | None,  # noqa: FBT001
) -> None:
    """Moderation does not change its mind, machinery does; other codes say nothing."""
    error = GenerationFailedError(read_task(answer({"id": TASK_ID, "state": "failed", "failure_code": code}), TASK_ID))

    assert (error.code, error.may_retry) == (code, may_retry)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("success", None), ("OK", None), ("", None), (" Success. ", None), ("no face found", "no face found")],
)
@pytest.mark.parametrize(
    "key", ["fail_reason", "message", "error", "task_status_msg", "msg", "failMsg", "err_msg", "errorMsg"]
)
def test_words_that_say_all_is_well_are_no_reason(key: str, reason: str, kept: str | None) -> None:
    """At any key for reasons, in the task's own object or around it."""
    inner = {"task_id": TASK_ID, "status": "FAILURE"}

    assert read_task(answer({"code": 1, "data": {**inner, key: reason}}), TASK_ID).failure_reason == kept
    assert read_task(answer({"code": 1, key: reason, "data": inner}), TASK_ID).failure_reason == kept


@pytest.mark.parametrize(
    ("told", "share"),
    [
        *[
            ("30%", 0.3),
            (30, 0.3),
            (0.3, 0.3),
            ("0.3", 0.3),
            ("1%", 0.01),
            (1, 0.01),
            (1.0, 1.0),
            ("100%", 1.0),
            (0, 0.0),
        ],
        *[("fast", None), (250, None), (-1, None), (True, None)],
    ],
)
def test_progress_is_a_share(told: Any, share: float | None) -> None:
    """Per cent, as text or whole number, or the share itself."""
    assert read_task(answer({"id": TASK_ID, "state": "processing", "progress": told}), TASK_ID).progress == share


@pytest.mark.parametrize(
    "told", [{"createdAt": 1_719_819_313}, {"createTime": "2024-07-01T07:35:13Z"}, {"created": "1719819313"}]
)
def test_the_time_of_creation_is_read_under_other_names(told: dict[str, Any]) -> None:
    """A value that is not a time is passed over."""
    made = datetime(2024, 7, 1, 7, 35, 13, tzinfo=UTC)

    assert read_task(answer({"id": TASK_ID, "state": "queued", **told}), TASK_ID).created_at == made
    assert read_task(answer({"id": TASK_ID, "state": "queued", "create_time": {}, **told}), TASK_ID).problems == ()


@pytest.mark.parametrize("key", ["queue_position", "queueIndex", "position"])
@pytest.mark.parametrize(("told", "position"), [(7, 7), ("7", 7), (0, 0), ("7th", None), (-1, None), ({"x": 1}, None)])
def test_a_position_is_a_number_also_as_text(key: str, told: Any, position: int | None) -> None:
    """Under any of the names."""
    assert read_task(answer({"id": TASK_ID, "state": "queued", key: told}), TASK_ID).queue_position == position
