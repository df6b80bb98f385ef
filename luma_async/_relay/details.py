"""What a task's object says besides its state: the link, the reason of a failure, progress and times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from luma_async._relay.documents import Reading
from luma_async._relay.links import (
    FIELDS_OF_VIDEOS,
    Levels,
    clean_link,
    declared_link,
    has_another_role,
    known_link,
    last_resort,
    link_of_row,
    results_only,
)
from luma_async._relay.reasons import failure_of
from luma_async._relay.search import Found, state_of
from luma_async._relay.structure import generation, moment_or_none
from luma_async.models import Generation, State, Video

_NOT_SET: tuple[Any, ...] = (None, "", 0, "0001-01-01T00:00:00Z")
"""Values of a field that is not set (contract section 1, *Times*); the same field of an outer level may be set."""


def generation_of(found: Found, raw: Mapping[str, Any], reading: Reading | None = None) -> Generation:
    """Structure what was *found*, a bare generation or a row around one; *raw* is the whole answer."""
    reading = reading or Reading()
    levels = [level for level in found.levels if level is found.task or _is_about_task(level, reading)]
    state = state_of(found.word, reading.dialect)
    fields = {key: value for level in levels for key, value in level.items() if value not in _NOT_SET}
    given = fields.get("failure_reason")
    for name in _OURS.intersection(fields):
        del fields[name]
    fields["id"] = found.task_id
    fields["state"] = state
    fields["state_text"] = found.word
    fields["raw"] = raw
    if "created_at" not in fields:
        times = (fields[key] for key in _CREATED if key in fields)
        fields["created_at"] = next((time for time in times if moment_or_none(time) is not None), None)
    request = fields.get("request")
    if "prompt" not in fields and isinstance(request, Mapping):
        fields["prompt"] = request.get("prompt")
    if not _DETAILS.isdisjoint(levels[0] if len(levels) == 1 else set().union(*levels)):
        fields |= _details(levels, state)
    if state is State.FAILED:
        fields["failure_reason"], fields["failure_code"] = failure_of(found, raw, reading)
    elif isinstance(given, str):
        fields["failure_reason"] = given
    if state is not State.COMPLETED:
        return generation(fields)
    fields |= {key: results_only(fields[key], reading) for key in FIELDS_OF_VIDEOS if key in fields}
    return _with_link(generation(fields), found.task, levels, reading)


def _is_about_task(inner: Mapping[str, Any], reading: Reading) -> bool:
    """Whether an *inner* object belongs to the task: one without a state may be about the user's own medium."""
    return not (reading.keys.states.isdisjoint(inner) and has_another_role(inner))


def _details(levels: Levels, state: State) -> dict[str, Any]:
    """Return how far the task is, and its times, which most answers do not have."""
    return {
        "progress": _progress(levels, state),
        "queue_position": _position(levels),
        "submitted_at": _moment(levels, _SUBMITTED),
        "started_at": _moment(levels, _STARTED),
        "finished_at": _moment(levels, _FINISHED),
    }


def _with_link(made: Generation, task: Mapping[str, Any], levels: Levels, reading: Reading) -> Generation:
    """Return *made* with a link from where the dialect says, or from another place if it has none."""
    declared = declared_link(levels, reading)
    if declared is None and (made.video is None or made.video.download_url is None):
        declared = clean_link(levels, reading)
    if declared is not None:
        video = evolve(made.video or Video(), download_url=declared)
        return evolve(made, video=video, result_url=link_of_row(levels))
    if made.video_url is not None:
        row = link_of_row(levels)
        return made if row is None else evolve(made, result_url=row)
    known = known_link(levels, reading)
    if known is not None:
        return evolve(made, result_url=known)
    link, places = last_resort(task, reading)
    return evolve(made, result_url=link, problems=(*made.problems, *(p for p in places if p not in made.problems)))


def has_link(found: Found, reading: Reading) -> bool:
    """Whether the task has a link to a video, in any state."""
    return known_link(found.levels, reading) is not None or last_resort(found.task, reading)[0] is not None


# --- how far it is ---
_CREATED = ("createdAt", "createTime", "create_time", "created", "submit_time")
_SUBMITTED = ("submit_time", "submitted_at", "submitTime", "submittedAt", "queued_at", "queuedAt")
_STARTED = ("start_time", "started_at", "startTime", "startedAt")
_FINISHED = (
    *("finish_time", "finished_at", "finishTime", "completed_at", "completedAt", "finishedAt", "ended_at", "endedAt"),
    *("complete_time", "completeTime", "end_time", "endTime"),
)
_POSITIONS = (
    *("queue_position", "queuePosition", "position_in_queue", "positionInQueue", "queue_index", "queueIndex"),
    "position",
)
_PROGRESS = (
    *("progress", "percentage", "percent", "task_progress", "taskProgress", "progress_percent", "progressPercent"),
    *("progress_percentage", "progressPercentage", "percent_complete", "percentComplete"),
)
_POSITION = re.compile(r"\s*[0-9]{1,9}\s*")
_PERCENT = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*(%?)\s*")
_WHOLE = 100
_DETAILS = frozenset(_SUBMITTED + _STARTED + _FINISHED + _POSITIONS + _PROGRESS)
"""For a look at all keys at once: most answers have none of these."""
NAMES = (*_CREATED, *_DETAILS)
"""The keys that are read here, in their usual spelling."""
_OURS = frozenset(
    {
        *("failure_reason", "failure_code", "result_url", "progress", "queue_position"),
        *("submitted_at", "started_at", "finished_at", "problems", "state_text"),
    }
)
"""Fields that are set here, whatever the answer has under the same name."""


def _values(levels: Levels, keys: tuple[str, ...]) -> Iterator[Any]:
    return (level[key] for key in keys for level in levels if level.get(key) not in (None, ""))


def _moment(levels: Levels, keys: tuple[str, ...]) -> Any:
    return next(filter(None, map(moment_or_none, _values(levels, keys))), None)


def _position(levels: Levels) -> int | None:
    """Return a number of at most 9 digits, also as text."""
    texts = (str(value) for value in _values(levels, _POSITIONS) if type(value) in (int, str))
    return next((int(text) for text in texts if _POSITION.fullmatch(text)), None)


def _progress(levels: Levels, state: State) -> float | None:
    """Return the share that is done: a text with a per cent sign, a whole number of per cents, or a share itself."""
    for value in _values(levels, _PROGRESS):
        text = str(value) if type(value) in (int, float, str) else ""
        found = _PERCENT.fullmatch(text)
        if found is None:
            continue
        number = float(found[1])
        is_share = not found[2] and (number < 1 or (number == 1 and ("." in found[1] or state.is_terminal)))
        share = number if is_share else number / _WHOLE
        if share <= 1:
            return share
    return None
