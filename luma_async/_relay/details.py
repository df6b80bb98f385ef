"""What a task's object says besides its state: the link, the reason of a failure, progress and times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from luma_async._checks import medium_or_none
from luma_async._relay.documents import Reading
from luma_async._relay.links import Levels, declared_link, known_link, last_resort, link_of_row
from luma_async._relay.refusals import innermost_text
from luma_async._relay.search import levels_of, state_of, word_of
from luma_async._relay.structure import generation, moment_or_none
from luma_async.models import Generation, State, Video

_NOT_SET: tuple[Any, ...] = (None, "", 0, "0001-01-01T00:00:00Z")
"""Values of a field that is not set (contract section 1, *Times*); the same field of an outer level may be set."""


def generation_of(
    task: Mapping[str, Any], task_id: str, raw: Mapping[str, Any], reading: Reading | None = None
) -> Generation:
    """Structure *task*, a bare generation or a row around one; *raw* is the whole answer."""
    reading = reading or Reading()
    levels = levels_of(task, reading)
    word = word_of(levels, reading) or ""
    state = state_of(word, reading.dialect)
    merged = {key: value for level in levels for key, value in level.items() if value not in _NOT_SET}
    request = merged.get("request")
    present = set().union(*levels)
    has_times = not _TIMES.isdisjoint(present)
    submitted, started, finished = (
        (_moment(levels, keys) for keys in (_SUBMITTED, _STARTED, _FINISHED)) if has_times else (None, None, None)
    )
    fields = {
        **merged,
        "id": task_id,
        "state": state,
        "state_text": word,
        "created_at": merged.get("created_at") or merged.get("submit_time"),
        "prompt": merged.get("prompt") or (request.get("prompt") if isinstance(request, Mapping) else None),
        "failure_reason": None,
        "failure_code": _code(levels) if state is State.FAILED else None,
        "result_url": link_of_row(levels) if state is State.COMPLETED else None,
        "progress": None if _PROGRESS_KEYS.isdisjoint(present) else _progress(levels, state),
        "queue_position": None if _POSITION_KEYS.isdisjoint(present) else _position(levels),
        "submitted_at": submitted,
        "started_at": started,
        "finished_at": finished,
        "problems": (),
        "raw": raw,
    }
    if state is State.FAILED:
        fields["failure_reason"] = _reason(levels, reading) or (None if raw is task else _reason([raw], reading))
    elif isinstance(merged.get("failure_reason"), str):
        fields["failure_reason"] = merged["failure_reason"]
    made = generation(fields)
    return _with_link(made, task, levels, reading) if state is State.COMPLETED else made


def _with_link(made: Generation, task: Mapping[str, Any], levels: Levels, reading: Reading) -> Generation:
    """Return *made* with a link from where the dialect says, or from another place if it has none."""
    declared = declared_link(levels, reading)
    if declared is not None:
        return evolve(made, video=evolve(made.video or Video(), download_url=declared))
    if made.video_url is not None:
        return made
    known = known_link(levels, reading)
    if known is not None:
        return evolve(made, result_url=known)
    link, places = last_resort(task, reading)
    return evolve(made, result_url=link, problems=(*made.problems, *(p for p in places if p not in made.problems)))


def has_link(task: Mapping[str, Any], reading: Reading) -> bool:
    """Whether *task* has a link to a video, in any state."""
    levels = levels_of(task, reading)
    return known_link(levels, reading) is not None or last_resort(task, reading)[0] is not None


# --- why it failed ---
_NO_REASON = frozenset({"", "success", "succeed", "succeeded", "successful", "ok", "okay", "none", "null", "done"})
"""Words that say that all is well (design, *Reading what relays say*)."""


def _reason(levels: Levels, reading: Reading) -> str | None:
    """Return why the task failed: the first text in the places of contract section 1; a link is not a reason."""
    for value in (level.get(key) for key in reading.dialect.reason_keys for level in reversed(levels)):
        text = innermost_text(value)
        if text and text.strip(" .!").casefold() not in _NO_REASON and medium_or_none(text, "video") is None:
            return text
    return None


_CODES = ("failure_code", "failureCode", "error_code", "errorCode")


def _code(levels: Levels) -> str | None:
    codes = [level.get(key) for key in _CODES for level in reversed(levels)]
    codes += [level["error"].get("code") for level in reversed(levels) if isinstance(level.get("error"), Mapping)]
    return next((str(code) for code in codes if code and type(code) in (str, int)), None)


# --- how far it is ---
_SUBMITTED = ("submit_time", "submitted_at", "submitTime", "submittedAt")
_STARTED = ("start_time", "started_at", "startTime", "startedAt")
_FINISHED = ("finish_time", "finished_at", "finishTime", "completed_at", "completedAt", "finishedAt", "ended_at")
_POSITIONS = ("queue_position", "queuePosition", "position_in_queue", "queue_index")
_PROGRESS = ("progress", "percentage", "percent", "task_progress")
_PERCENT = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*(%?)\s*")
_WHOLE = 100
_TIMES = frozenset(_SUBMITTED + _STARTED + _FINISHED)
_PROGRESS_KEYS, _POSITION_KEYS = frozenset(_PROGRESS), frozenset(_POSITIONS)
"""For a look at all keys at once: most answers have none of these."""


def _values(levels: Levels, keys: tuple[str, ...]) -> Iterator[Any]:
    return (level[key] for key in keys for level in levels if level.get(key) not in (None, ""))


def _moment(levels: Levels, keys: tuple[str, ...]) -> Any:
    return next(filter(None, map(moment_or_none, _values(levels, keys))), None)


def _position(levels: Levels) -> int | None:
    return next((value for value in _values(levels, _POSITIONS) if type(value) is int and value >= 0), None)


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
