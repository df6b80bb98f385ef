"""Bodies and headers for hypothesis: anything at all, and what is nearly an answer of a relay."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from luma_async._relay.answer import Answer
from tests.kit import TASK_ID, as_bytes, sample, sample_names

OTHERS = ("luma_gen_b", "c", "task_0123456789")
"""Ids that are asked for together with the usual one."""

_TEXTS = [
    *(TASK_ID, *OTHERS, "completed", "FAILURE", "https://cdn.example/v.mp4", "ftp://x", "http://[", "\ud800"),
    *("2024-07-01T07:35:13Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "", "\x1b[31m", "\u202e"),
    *('{"code":"task_not_exist"}', '{"a":', '"', "upstream_load_saturated", "Invalid URL", "[[[["),
]
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**19), 10**19), st.floats(), st.text(max_size=20), st.sampled_from(_TEXTS)
)
_FIELDS = [
    *("data", "result", "response", "task", "tasks", "generation", "items", "id", "task_id", "state", "status"),
    *("video", "video_raw", "artifact", "assets", "thumbnail", "last_frame", "palette", "request", "url", "width"),
    *("download_url", "duration", "error", "message", "code", "type", "success", "detail", "created_at", "prompt"),
    *("submit_time", "fail_reason", "failure_reason", "result_url"),
]
json_values = st.recursive(
    _LEAVES,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3), st.dictionaries(st.sampled_from(_FIELDS), inside, max_size=6)
    ),
    max_leaves=20,
)


@st.composite
def tasks(draw: st.DrawFn) -> dict[str, Any]:
    """Draw something that looks like a task, or nearly."""
    fields = draw(st.dictionaries(st.sampled_from(_FIELDS), json_values, max_size=8))
    fields[draw(st.sampled_from(["id", "task_id"]))] = draw(st.sampled_from([TASK_ID, TASK_ID, *OTHERS, "x", 5, None]))
    fields[draw(st.sampled_from(["state", "status"]))] = draw(st.sampled_from(["completed", "failed", "odd", "", 1]))
    return fields


envelopes = st.one_of(
    st.lists(tasks(), max_size=4),
    st.builds(lambda inner: {"code": "success", "message": "", "data": inner}, st.lists(tasks(), max_size=4)),
    st.builds(lambda inner: {"data": inner}, tasks()),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a real body of a relay in which some bytes are others, missing, or there twice."""
    content = sample(draw(st.sampled_from(sample_names()))).content
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 20)))
    between = draw(st.one_of(st.binary(max_size=8), st.just(content[start:end] * 2)))
    return content[:start] + between + content[end:]


bodies = st.one_of(
    tasks().map(as_bytes),
    envelopes.map(as_bytes),
    json_values.map(as_bytes),
    st.builds(lambda task, tail: as_bytes(task) + tail, tasks(), st.binary(max_size=5)),
    damaged(),
    st.binary(max_size=200),
)
statuses = st.one_of(st.just(200), st.sampled_from([201, 400, 401, 403, 404, 429, 503]), st.integers(0, 999))
content_types = st.sampled_from(["application/json", "text/html", "", "text/plain; charset=bogus"])
header_texts = st.one_of(st.none(), st.sampled_from(["0", "3600", "soon"]), st.text(max_size=12))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw a whole answer with anything in it."""
    return Answer(
        status=draw(statuses),
        body=draw(bodies),
        content_type=draw(content_types),
        retry_after=draw(header_texts),
        request_id=draw(header_texts),
    )
