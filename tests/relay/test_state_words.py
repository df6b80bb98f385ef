"""Words for a state under keys that no dialect lists, and in objects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from luma_async import LumaError, State
from luma_async._relay.tasks import read_batch, read_poll, read_task
from tests.kit import TASK_ID, answer

V = "https://cdn.example/a.mp4"


def state_in(body: dict[str, Any]) -> State | None:
    """Return the state of the task in *body*; None if it has none."""
    try:
        return read_task(answer(body), TASK_ID).state
    except LumaError:
        return None


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"generation_status": "completed"}, State.COMPLETED),
        ({"video_status": "failed"}, State.FAILED),
        ({"jobState": "running"}, State.PROCESSING),
        ({"generationStatus": "SUCCESS"}, State.COMPLETED),
        ({"current_status": "queued"}, State.PENDING),
        ({"render-state": "done"}, State.COMPLETED),
        ({"prediction_status": "succeeded"}, State.COMPLETED),
        ({"video_generation_status": "rendering frames"}, State.UNKNOWN),
        ({"state": None, "video_status": "completed"}, State.COMPLETED),
        ({"status": "", "workflow_state": "failed"}, State.FAILED),
        ({"data": {"generation_status": "completed"}}, State.COMPLETED),
        ({"video_status": "completed", "render_status": "processing"}, State.PROCESSING),
        ({"status": "processing", "video_status": "completed"}, State.PROCESSING),
        ({"status": {"code": 2, "name": "completed"}}, State.COMPLETED),
        ({"state": {"value": "failed", "reason": "no"}}, State.FAILED),
        ({"status": {"state": "running", "progress": 3}}, State.PROCESSING),
        ({"status": {"name": "SUCCESS", "id": 3}}, State.COMPLETED),
        ({"status": {"code": "FAILED", "message": "no"}}, State.FAILED),
        ({"task_status": {"label": "in queue"}}, State.PENDING),
        ({"status": '{"name": "completed"}'}, State.COMPLETED),
        ({"status": {"name": "done", "code": "completed"}}, State.COMPLETED),
        ({"generation_state": {"status": "dreaming"}}, State.PROCESSING),
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["id", "task_id"])
def test_a_word_about_the_task_is_found(key: str, fields: dict[str, Any], state: State) -> None:
    """Under another key where the listed ones have nothing, or inside of an object; in a batch too."""
    row = {key: TASK_ID, **fields}

    assert state_in(row) is state
    assert state_in({"code": 0, "data": row}) is state
    assert read_batch(answer([row]), {TASK_ID: None})[TASK_ID][0].state is state


@pytest.mark.parametrize(
    "fields",
    [
        *(
            {key: word}
            for word in ("completed", "failed")
            for key in (
                *("upload_status", "payment_status", "moderation_status", "callback_status", "webhookState"),
                *("billing_state", "audio_status", "notify_status", "user_status", "refund_status", "image_status"),
                *("review_status", "previous_status", "parent_task_status", "input_video_status", "http_status"),
                *("upload_video_status", "sourceVideoStatus", "subscription_status", "publish_state", "status_text"),
            )
        ),
        {"upload": {"status": "completed"}},
        {"status": {"code": "completed", "name": "failed"}},
        {"status": {"upload": "completed", "download": "failed"}},
        {"status": {"message": "failed", "code": 3}},
        {"status": {"code": "ok", "message": "success"}},
        {"status": {"code": 200, "message": "completed"}},
        {"video_status": "completed", "job_result_status": "failed", "task_video_status": "failed"},
    ],
    ids=str,
)
def test_a_word_about_another_thing_is_not(fields: dict[str, Any]) -> None:
    """It ends no wait; nor do words that disagree, or a text for a person."""
    assert state_in({"id": TASK_ID, **fields}) is None


def test_an_envelope_has_no_word_for_the_task() -> None:
    """Whatever the key is."""
    running = {"id": TASK_ID, "state": "processing"}

    assert state_in({"video_status": "completed", "data": {"id": TASK_ID}}) is None
    assert state_in({"generation_status": "failed", "data": running}) is State.PROCESSING
    assert state_in({"status": {"name": "completed"}, "data": running}) is State.PROCESSING


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"state": {"value": "failed", "reason": "no face found"}}, "no face found"),
        ({"status": {"code": "failed", "message": "no face found"}}, "no face found"),
        ({"status": {"name": "failed", "message": "done"}, "fail_reason": "outer"}, "outer"),
        ({"status": {"name": "failed", "message": "OK"}}, None),
    ],
)
def test_a_reason_beside_the_word_is_one(fields: dict[str, Any], reason: str | None) -> None:
    """Where the task itself has none."""
    assert read_task(answer({"id": TASK_ID, **fields}), TASK_ID).failure_reason == reason


def test_a_failed_task_in_an_error_status_may_have_such_words() -> None:
    """The object with the id has the word."""
    for fields in ({"video_status": "failed"}, {"status": {"name": "failed"}}):
        assert read_task(answer({"id": TASK_ID, **fields}, 422), TASK_ID).state is State.FAILED


def test_such_an_answer_is_remembered() -> None:
    """With its word, also where it is too long to be kept."""
    body = {"id": TASK_ID, "status": {"name": "completed"}, "video_url": V, "prompt": "x" * 5000}

    last, seen = read_poll(answer(json.dumps(body)), TASK_ID, None)

    assert seen is not None
    assert seen.generation().state_text == "completed"
    assert (last.recall(TASK_ID).state, last.recall(TASK_ID).video_url) == (State.COMPLETED, V)
