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
_LUMAS_WORDS = {"pending": "queued", "processing": "dreaming"}
"""The words of Luma's own API for those of its website (contract section 6)."""


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
    speed: float = 1.0
    """Relay seconds per real second."""

    def at(self, age: float) -> datetime:
        """Return the time in UTC when the task is *age* relay seconds old; it is never ahead of the real time."""
        return self.created_at + timedelta(seconds=age / self.speed)


def submitted(task: Task) -> JSON:
    """Answer a submit; its time has six fraction digits, the time of a poll has three."""
    return {
        "id": task.task_id,
        "prompt": task.script.prompt,
        "state": "pending",
        "created_at": _stamp(task.created_at, "microseconds"),
        **dict.fromkeys(("video", "thumbnail", "last_frame", "liked", "estimate_wait_seconds")),
    }


def generation(task: Task, age: float, link: LinkTo) -> JSON:
    """Answer a poll at *age*, in relay seconds: with all fields once there are links, with few fields before."""
    moment = task.script.at(age)
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


def official(task: Task, age: float, link: LinkTo) -> JSON:
    """Answer as Luma's own API does (contract section 6)."""
    script, moment = task.script, task.script.at(age)
    request = {
        "generation_type": "video",
        "prompt": script.prompt,
        "aspect_ratio": script.aspect_ratio,
        "loop": False,
        **dict.fromkeys(("keyframes", "callback_url", "concepts")),
        "model": "ray-2",
        "resolution": "720p",
        "duration": "5s",
    }
    media = {"video": link(_media.VIDEO), "image": link(_media.THUMBNAIL), "progress_video": None}
    return {
        "id": task.task_id,
        "generation_type": "video",
        "state": _LUMAS_WORDS.get(moment.word, moment.word),
        "failure_reason": script.failure_reason if moment.state is State.FAILED else None,
        "created_at": _stamp(task.created_at, "milliseconds"),
        "assets": media if moment.has_links else None,
        "model": "ray-2",
        "request": request,
    }


def row(task: Task, age: float, link: LinkTo) -> JSON:
    """Wrap the generation in a row of a gateway's database (contract, *Wrapped answers*)."""
    return {
        "id": task.number,
        "created_at": _stamp(task.created_at, "milliseconds"),
        "updated_at": _stamp(task.at(age), "milliseconds"),
        "task_id": task.task_id,
        "platform": "luma",
        "action": "LUMA_VIDEO",
        **_course(task, age, link),
    }


def row_of_2025(task: Task, age: float | None, link: LinkTo) -> JSON:
    """Return a row of nine keys (contract section 6); an *age* of None is before the gateway's first round."""
    return {"task_id": task.task_id, "action": "", **(_fresh(task) if age is None else _course(task, age, link))}


def row_of_2026(task: Task, age: float | None, link: LinkTo) -> JSON:
    """Return a row with the newer fields (contract section 6); times are Unix seconds."""
    course = _fresh(task) if age is None else _course(task, age, link)
    has_links = age is not None and task.script.at(age).has_links
    return {
        "id": task.number,
        "created_at": _seconds(task, 0),
        "updated_at": _seconds(task, age or 0),
        "task_id": task.task_id,
        "platform": "36",
        "user_id": 1,
        "group": "default",
        "channel_id": 3,
        "quota": 500_000,
        "action": "textGenerate",
        "result_url": link(_media.VIDEO) if has_links else "",
        "properties": {"input": task.script.prompt},
        **course,
    }


def _fresh(task: Task) -> JSON:
    """Return what a row says until the gateway has looked at its upstream for the first time."""
    return {
        "status": "NOT_START",
        "fail_reason": "",
        "submit_time": _seconds(task, 0),
        "start_time": 0,
        "finish_time": 0,
        "progress": "0%",
        "data": None,
    }


def _course(task: Task, age: float, link: LinkTo) -> JSON:
    """Return how far a task has come, and its generation."""
    script = task.script
    moment = script.at(age)
    started, finished = age >= script.starts_after, moment.state.is_terminal
    return {
        "status": _OUTER_WORDS.get(moment.state, moment.word),
        "fail_reason": (script.failure_reason or "") if moment.state is State.FAILED else "",
        "submit_time": _seconds(task, 0),
        "start_time": _seconds(task, script.starts_after) if started else 0,
        "finish_time": _seconds(task, script.duration) if finished else 0,
        "progress": _progress(moment),
        "data": generation(task, age, link),
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
    return int(task.at(age).timestamp())


def _progress(moment: Moment) -> str:
    return "100%" if moment.state.is_terminal else f"{min(99, int(moment.progress * 100))}%"


def enveloped(data: Any) -> JSON:
    """Wrap *data* in the envelope of gateways."""
    return {"code": "success", "message": "", "data": data}


def refusal(code: str, message: str | None = None) -> JSON:
    """Refuse a request."""
    return {"code": code, "message": message or code, "data": None}


def invalid_url(method: str, path: str) -> JSON:
    """Refuse an unknown path."""
    error = {"message": f"Invalid URL ({method} {path})", "type": "invalid_request_error", "param": "", "code": ""}
    return {"error": error}
