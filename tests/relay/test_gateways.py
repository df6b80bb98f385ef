"""Answers as relays of many kinds would give them: by rule, none of them has a line of its own in the package."""

from __future__ import annotations

from typing import Any

import pytest

from luma_async import (
    APIError,
    AuthenticationError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    State,
)
from luma_async._relay.tasks import read_task
from luma_async.errors import Verdict
from tests.kit import TASK_ID, answer

_VIDEO = "https://storage.cdn-luma.com/dream_machine/0c11/video0e7a.mp4"
_OTHER = "https://storage.cdn-luma.com/dream_machine/0c11/watermarked_video0e7a.mp4"
_THUMB = "https://storage.cdn-luma.com/dream_machine/0c11/video_0_thumb.jpg"

_COMPLETED: dict[str, Any] = {
    "official": {
        "id": TASK_ID,
        "generation_type": "video",
        "state": "completed",
        "failure_reason": None,
        "created_at": "2025-02-19T11:05:43.12Z",
        "assets": {"video": _VIDEO, "image": None, "progress_video": None},
        "model": "ray-2",
        "request": {"generation_type": "video", "prompt": "a car", "keyframes": {"frame0": None}, "loop": False},
    },
    "string-thumbnail-and-empty-ids": {
        "id": TASK_ID,
        "liked": None,
        "state": "completed",
        "video": {"url": _OTHER, "width": 656, "height": 1552, "thumbnail": _THUMB, "download_url": _VIDEO},
        "prompt": "In a modern airport, travelers rush.",
        "user_id": "",
        "batch_id": "48990573-7235-4654-9f2a-58ce5f30ec5f",
        "thumbnail": {"url": _THUMB, "width": 656, "height": 1552},
        "video_raw": {"url": _VIDEO, "width": 656, "height": 1552},
        "created_at": "2024-11-01T10:20:34.197000Z",
        "last_frame": {"url": _THUMB, "width": 656, "height": 1552},
        "estimate_wait_seconds": None,
    },
    "watermarked-with-an-empty-download-url": {
        "id": TASK_ID,
        "state": "completed",
        "video": {"url": _OTHER, "width": 1360, "height": 752, "download_url": ""},
        "video_raw": {"url": _VIDEO, "width": 1360, "height": 752},
        "queue_state": None,
    },
    "official-in-an-envelope": {
        "code": "success",
        "message": "",
        "data": {"id": TASK_ID, "state": "completed", "assets": {"video": _VIDEO}, "failure_reason": None},
    },
    "database-row": {
        "code": "success",
        "message": "",
        "data": {
            "id": 90211,
            "created_at": 1_741_083_620,
            "updated_at": 1_741_083_711,
            "task_id": TASK_ID,
            "platform": "luma",
            "user_id": 7,
            "quota": 175_000,
            "action": "generate",
            "status": "SUCCESS",
            "fail_reason": "",
            "submit_time": 1_741_083_620,
            "start_time": 1_741_083_634,
            "finish_time": 1_741_083_711,
            "progress": "100%",
            "properties": {"input": "a car"},
            "data": {"id": "0a1b", "state": "completed", "video": {"url": _OTHER, "download_url": _VIDEO}},
        },
    },
    "row-with-the-link-as-fail-reason": {
        "code": "success",
        "message": "",
        "data": {"task_id": TASK_ID, "status": "SUCCESS", "fail_reason": _VIDEO, "progress": "100%", "data": None},
    },
    "row-with-a-result-url": {
        "code": "success",
        "data": {"id": 4, "task_id": TASK_ID, "status": "SUCCESS", "result_url": _VIDEO, "data": {}},
    },
    "flat-row": {"task_id": TASK_ID, "status": "completed", "url": _VIDEO, "error": ""},
    "flat-row-of-lower-case-success": {"task_id": TASK_ID, "status": "succeeded", "video_url": _VIDEO, "progress": 100},
    "stale-generation-in-a-finished-row": {
        "data": [
            {
                "task_id": TASK_ID,
                "status": "SUCCESS",
                "data": {"id": TASK_ID, "state": "processing", "video": {"download_url": _VIDEO}},
            }
        ]
    },
    "a-relay-behind-a-relay": {
        "code": "success",
        "data": {
            "task_id": TASK_ID,
            "status": "SUCCESS",
            "data": {
                "code": "success",
                "message": "",
                "data": {
                    "task_id": "task_Zk3",
                    "status": "SUCCESS",
                    "data": {"id": "u-1", "state": "completed", "video": {"download_url": _VIDEO}},
                },
            },
        },
    },
    "generation-as-text-in-a-row": {
        "task_id": TASK_ID,
        "status": "SUCCESS",
        "data": '{"id":"u-1","state":"completed","video":{"url":"' + _VIDEO + '","width":1280}}',
    },
    "php-with-empty-lists-for-objects": {
        "id": TASK_ID,
        "state": "completed",
        "video": [],
        "artifact": [],
        "assets": {"video": _VIDEO},
        "request": "",
    },
    "only-the-artifact": {
        "id": TASK_ID,
        "state": "completed",
        "video": None,
        "video_raw": None,
        "artifact": {"video": {"url": _OTHER, "download_url": _VIDEO}, "created_at": "0001-01-01T00:00:00Z"},
    },
    "video-as-a-string": {"id": TASK_ID, "state": "COMPLETED", "video": _VIDEO, "created_at": 1_741_083_620},
    "numbers-as-text": {
        "id": TASK_ID,
        "state": "completed",
        "video": {"url": _VIDEO, "width": "1360", "height": "752", "duration": "5s"},
        "video_raw": {"url": None, "duration": "5.04"},
        "created_at": "2024/12/22 13:38",
    },
    "answer-of-a-list-endpoint": {
        "has_more": False,
        "count": 2,
        "generations": [
            {"id": "u-9", "state": "failed", "assets": None},
            {"id": TASK_ID, "state": "completed", "assets": {"video": _VIDEO}},
        ],
    },
    "task-in-a-response": {
        "id": "9c1f",
        "created_at": 1_741_083_620.3,
        "request": {"prompt": "a car"},
        "response": {
            "success": True,
            "task_id": TASK_ID,
            "state": "completed",
            "video_url": _VIDEO,
            "video_width": 1360,
        },
    },
}


@pytest.mark.parametrize("body", _COMPLETED.values(), ids=_COMPLETED)
def test_a_completed_answer_gives_the_right_link(body: dict[str, Any]) -> None:
    """State and best link are found, and the answer stays reachable as it was."""
    generation = read_task(answer(body), TASK_ID)

    assert generation.state is State.COMPLETED
    assert generation.video_url == _VIDEO
    assert generation.raw == body


_ENVOY = "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
_NGINX = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><hr><center>nginx</center></body>\r\n</html>"
_CHALLENGE = '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head></html>'
_NESTED = '{"error":{"message":"{\\"code\\":\\"upstream_load_saturated\\",\\"message\\":\\"busy\\"}","type":"error"}}'

_REFUSED: dict[str, tuple[int, Any, type[LumaError], Verdict]] = {
    "used-up-key": (
        401,
        {"error": {"message": "该令牌额度已用尽 [sk-8pe***Wqz] (request id: 2025a)", "type": "new_api_error"}},
        AuthenticationError,
        Verdict.FINAL,
    ),
    "address-not-allowed": (
        403,
        {"error": {"message": "您的 IP 不在令牌允许访问的列表中", "type": "new_api_error", "code": "access_denied"}},
        PermissionDeniedError,
        Verdict.FINAL,
    ),
    "challenge-of-a-cdn": (403, _CHALLENGE, PermissionDeniedError, Verdict.PASSING),
    "quota-by-its-code": (
        403,
        {"error": {"message": "用户额度不足", "type": "new_api_error", "param": "", "code": "insufficient_user_quota"}},
        QuotaExceededError,
        Verdict.FINAL,
    ),
    "quota-inside-a-text": (
        403,
        {
            "code": "fail_to_fetch_task",
            "message": 'bad response 403: {"code":"insufficient_user_quota", ...',
            "data": None,
        },
        QuotaExceededError,
        Verdict.FINAL,
    ),
    "payment-required": (402, {"detail": "Insufficient credits"}, QuotaExceededError, Verdict.FINAL),
    "saturation-behind-403": (403, _NESTED, RateLimitError, Verdict.SLOW_DOWN),
    "saturation-behind-500": (
        500,
        {"error": {"message": "当前分组上游负载已饱和，请稍后再试 (request id: 2025b)", "type": "new_api_error"}},
        RateLimitError,
        Verdict.SLOW_DOWN,
    ),
    "unknown-task-behind-400": (
        400,
        {"error": {"message": "task_not_exist", "type": "invalid_request_error"}},
        NotFoundError,
        Verdict.UNCONFIRMED,
    ),
    "unknown-task-behind-500": (
        500,
        {"code": "fail_to_fetch_task", "message": "task not found", "data": None},
        NotFoundError,
        Verdict.UNCONFIRMED,
    ),
    "official-unknown-task": (404, {"detail": "Generation not found"}, NotFoundError, Verdict.UNCONFIRMED),
    "path-unknown-to-gin": (404, "404 page not found", NotFoundError, Verdict.UNCONFIRMED),
    "path-unknown-in-plain-text": (404, "Invalid URL (GET /luma/generations/x)", NotFoundError, Verdict.FINAL),
    "method-not-allowed": (405, {"detail": "Method Not Allowed"}, APIError, Verdict.FINAL),
    "fastapi-validation": (
        422,
        {"detail": [{"loc": ["path", "task_id"], "msg": "value is not a valid uuid", "type": "type_error.uuid"}]},
        APIError,
        Verdict.FINAL,
    ),
    "limit-of-a-cdn": (429, "error code: 1015", RateLimitError, Verdict.SLOW_DOWN),
    "limit-of-a-framework": (429, {"message": "Too Many Attempts."}, RateLimitError, Verdict.SLOW_DOWN),
    "nginx": (502, _NGINX, ServerError, Verdict.PASSING),
    "envoy": (503, _ENVOY, ServerError, Verdict.PASSING),
    "no-channel": (
        503,
        {"error": {"code": "model_not_found", "message": "分组 default 下模型 luma_video_api 无可用渠道"}},
        ServerError,
        Verdict.PASSING,
    ),
    "cdn-timed-out": (524, "error code: 524", ServerError, Verdict.PASSING),
    "masked-error-of-a-proxy": (
        500,
        {"detail": {"reason": 'Post "https://internal": EOF', "code": 1}},
        ServerError,
        Verdict.PASSING,
    ),
    "spring": (
        500,
        {"timestamp": 1_741_083_620, "status": 500, "error": "Internal Server Error", "path": "/luma"},
        ServerError,
        Verdict.PASSING,
    ),
    "bad-key-inside-200": (200, {"code": 401, "msg": "Unauthorized"}, AuthenticationError, Verdict.PASSING),
    "no-success-inside-200": (200, {"success": False, "message": "无权进行此操作"}, APIError, Verdict.PASSING),
    "openai-error-inside-200": (
        200,
        {"error": {"message": "upstream timeout", "type": "server_error", "code": None}},
        APIError,
        Verdict.PASSING,
    ),
    "parked-domain": (200, "<!doctype html><title>Buy this domain</title>", ProtocolError, Verdict.PASSING),
    "xml-of-a-store": (200, '<?xml version="1.0"?><Error><Code>No</Code></Error>', ProtocolError, Verdict.PASSING),
    "a-warning-before-the-json": (200, "<br />\n<b>Warning</b>: x{}", ProtocolError, Verdict.PASSING),
}


@pytest.mark.parametrize(("status", "body", "kind", "verdict"), _REFUSED.values(), ids=_REFUSED)
def test_a_refusal_is_of_the_right_class(status: int, body: Any, kind: type[LumaError], verdict: Verdict) -> None:
    """Class and verdict follow from status and words, and the message says something."""
    with pytest.raises(LumaError) as caught:
        read_task(answer(body, status), TASK_ID)

    error = caught.value
    assert type(error) is kind
    assert error.verdict is verdict
    assert error.retryable is (verdict in (Verdict.PASSING, Verdict.SLOW_DOWN))
    assert str(error).isprintable()
