"""The answers of the simulated relay as JSON values: one function for each shape in the contract."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from luma_async.models import State
from luma_async.testing import _media
from luma_async.testing.scripts import Moment, Script

JSON = dict[str, Any]
LinkTo = Callable[[str], str]
"""Returns a new link to one of a task's files."""

GO_ZERO_TIME = "0001-01-01T00:00:00Z"

_PALETTE = b64encode(bytes(range(75))).decode()
_OUTER_WORDS = {
    State.PENDING: "SUBMITTED",
    State.PROCESSING: "IN_PROGRESS",
    State.COMPLETED: "SUCCESS",
    State.FAILED: "FAILURE",
}


@frozen(kw_only=True)
class Task:
    """One task of the simulated relay."""

    task_id: str
    number: int
    """The database key, which a row shows as its ``id``."""
    script: Script
    registered_at: float
    """When the task was registered, in relay seconds."""
    created_at: datetime
    """The same moment in UTC."""


def submitted(task: Task) -> JSON:
    """Answer a submit; its time has six fraction digits, the time of a poll has three."""
    return {
        "id": task.task_id,
        "prompt": task.script.prompt,
        "state": "pending",
        "created_at": _stamp(task.created_at, "microseconds"),
        **dict.fromkeys(("video", "thumbnail", "last_frame", "liked", "estimate_wait_seconds")),
    }


def generation(task: Task, now: float, link: LinkTo) -> JSON:
    """Answer a poll at *now*, in relay seconds: with all fields once there are links, with few fields before."""
    moment = task.script.at(now - task.registered_at)
    created_at = _stamp(task.created_at, "milliseconds")
    if moment.has_links:
        return {"id": task.task_id, "state": moment.word, "created_at": created_at, **_result(task.script, link)}
    answer = {
        "id": task.task_id,
        "liked": None,
        "state": moment.word,
        "video": None,
        "prompt": task.script.prompt,
        "created_at": created_at,
        "estimate_wait_seconds": None,
    }
    if moment.state is State.FAILED:
        answer["failure_reason"] = task.script.failure_reason
    return answer


def row(task: Task, now: float, link: LinkTo) -> JSON:
    """Wrap the generation in a row of a gateway's database (contract, *Wrapped answers*)."""
    script, age = task.script, now - task.registered_at
    moment = script.at(age)
    started, finished = age >= script.starts_after, moment.state.is_terminal
    return {
        "id": task.number,
        "created_at": _stamp(task.created_at, "milliseconds"),
        "updated_at": _stamp(task.created_at + timedelta(seconds=age), "milliseconds"),
        "task_id": task.task_id,
        "platform": "luma",
        "action": "LUMA_VIDEO",
        "status": _OUTER_WORDS.get(moment.state, moment.word),
        "fail_reason": (script.failure_reason or "") if moment.state is State.FAILED else "",
        "submit_time": _seconds(task, 0),
        "start_time": _seconds(task, script.starts_after) if started else 0,
        "finish_time": _seconds(task, script.duration) if finished else 0,
        "progress": _progress(moment),
        "data": generation(task, now, link),
    }


def _result(script: Script, link: LinkTo) -> JSON:
    size = {"width": _media.WIDTH, "height": _media.HEIGHT}
    request = {"prompt": script.prompt, "aspect_ratio": script.aspect_ratio}
    if script.watermarked_only:
        return {"video": {"url": link(_media.WATERMARKED), **size}, "request": request}
    clean = link(_media.VIDEO)
    media = {
        "video": {"url": link(_media.WATERMARKED), **size, "download_url": clean},
        "thumbnail": {"url": link(_media.THUMBNAIL), **size, "palette": {"grid": _PALETTE}, "media_type": "image"},
        "video_raw": {"url": clean, **size, "duration": _media.DURATION, "media_type": "video"},
        "last_frame": {"url": link(_media.LAST_FRAME), **size, "palette": None, "media_type": "image"},
    }
    return {"request": request, "artifact": {**media, "created_at": GO_ZERO_TIME}, **media}


def _stamp(moment: datetime, digits: str) -> str:
    return moment.astimezone(UTC).isoformat(timespec=digits).replace("+00:00", "Z")


def _seconds(task: Task, age: float) -> int:
    return int((task.created_at + timedelta(seconds=age)).timestamp())


def _progress(moment: Moment) -> str:
    return "100%" if moment.state.is_terminal else f"{min(99, int(moment.progress * 100))}%"


def enveloped(data: Any) -> JSON:
    """Wrap *data* in the envelope of gateways; empty data is null."""
    return {"code": "success", "message": "", "data": data or None}


def refusal(code: str, message: str | None = None) -> JSON:
    """Refuse a request."""
    return {"code": code, "message": message or code, "data": None}


def bad_key(request_id: str) -> JSON:
    """Refuse a key."""
    return {"error": {"message": f"无效的令牌 (request id: {request_id})", "type": "new_api_error"}}


def invalid_url(method: str, path: str) -> JSON:
    """Refuse an unknown path."""
    error = {"message": f"Invalid URL ({method} {path})", "type": "invalid_request_error", "param": "", "code": ""}
    return {"error": error}
