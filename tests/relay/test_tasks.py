"""What is asked for, and which task an answer is about (contract sections 1 and 2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from urllib.parse import quote

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from luma_async import APIError, ConfigurationError, Generation, LumaError, ProtocolError, State
from luma_async._ids import check_task_id
from luma_async._relay.answer import Answer
from luma_async._relay.requests import task_path
from luma_async._relay.search import kind_of, state_of, tasks_in
from luma_async._relay.tasks import LastAnswer, read_batch, read_documents, read_poll, read_task
from luma_async.dialect import RELAY
from luma_async.errors import Verdict
from tests.kit import TASK_ID, answer, sample, sample_names

CLEAN = "https://cdn.example/clean.mp4"
RAW = "https://cdn.example/raw.mp4"
MARKED = "https://cdn.example/watermarked.mp4"
OFFICIAL = "https://cdn.example/official.mp4"
ROW = "https://cdn.example/row.mp4"


def read(body: Any, task_id: str = TASK_ID) -> Generation:
    """Read *body* as the answer about *task_id*."""
    return read_task(answer(body), task_id)


def refused(body: Any) -> LumaError:
    """Return the error that a 200 with *body* is."""
    with pytest.raises(LumaError) as caught:
        read_task(answer(body), TASK_ID)
    return caught.value


# --- the samples ---


@frozen
class Told:
    """What a sample says of its task."""

    task_id: str
    state: State
    video_url: str | None = None
    created_at: datetime | None = None
    size: tuple[int | None, int | None] | None = None
    """Of the video, in pixels."""
    duration: float | None = None
    prompt: str | None = None
    thumbnail_url: str | None = None


_R2 = "https://dc53a917a6f427706a8ca3ecc7d70ea4.r2.cloudflarestorage.com"
_SIGNED = "&X-Amz-SignedHeaders=host&X-Amz-Signature=0000000000000000000000000000000000000000000000000000000000000000"
_CDN = "https://storage.cdn-luma.com/dream-machine/b0d67582-c6f0-4973-a89c-3fea9d46d5e9"
_FULL = Told(
    task_id=TASK_ID,
    state=State.COMPLETED,
    video_url=f"{_CDN}/35049450-c008-4607-b1d0-0b025599f15d/video0b6619468da8e409da860706bbf26bbad.mp4",
    created_at=datetime(2024, 12, 22, 13, 38, 40, 139_000, UTC),
    size=(1360, 752),
    duration=5.041667,
    prompt="cat dance",
    thumbnail_url=("https://imagedelivery.net/1KomXrSWiTojGGip43n0SQ/e4268de5-4a74-45ff-67b8-dc46df12de00/public"),
)
_EXTENDED = "9d4b7516-77e5-481a-b015-48313946f33b"

TOLD = {
    "get__completed__artifact": _FULL,
    "tasks__completed__bare_array": _FULL,
    "get__completed__minimal": Told(
        task_id="luma_gen_abc123",
        state=State.COMPLETED,
        video_url="https://storage.cdn-luma.com/...",
        created_at=datetime(2024, 3, 1, 12, tzinfo=UTC),
        size=(None, None),
    ),
    "get__completed__presigned": Told(
        task_id="d70f241f-dede-41ee-92bd-27e2d10d1cb3",
        state=State.COMPLETED,
        video_url=(
            f"{_R2}/ai-lumalabs-storage-private/dream_machine/42fec936-6419-4e45-8d7f-50b258582283/"
            "42fec936-6419-4e45-8d7f-50b258582283_raw_video_0_video0e7ae2e33eca140aba7a4ce29bf5c0431.mp4"
            "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=EXAMPLEKEY%2F20240722%2Fauto%2Fs3%2Faws4_request"
            f"&X-Amz-Date=20240722T070743Z&X-Amz-Expires=3600{_SIGNED}"
        ),
        created_at=datetime(2024, 7, 22, 7, 5, 31, 207_000, UTC),
        size=(512, 512),
        prompt="cat dance",
    ),
    "get__completed__video_only": Told(
        task_id="32ec5549-7b7a-4111-a43b-445b3a89c8ef",
        state=State.COMPLETED,
        video_url=(
            f"{_R2}/ai-lumalabs-storage/lit_lite_inference_v1.6-xl/5bf08990-71ed-4a56-b531-2c2f02e18f51/"
            "0af7d264-0ab5-45f1-befb-e382c81d8023_video05a8efbcf1ba2498bb02aa9dcefab47f8.mp4"
            "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=EXAMPLEKEY%2F20241015%2Fauto%2Fs3%2Faws4_request"
            f"&X-Amz-Date=20241015T085653Z&X-Amz-Expires=3600{_SIGNED}"
        ),
        size=(752, 1360),
    ),
    "tasks__in_progress__envelope": Told(
        task_id=_EXTENDED,
        state=State.PROCESSING,
        created_at=datetime(2024, 7, 1, 7, 35, 13, 498_000, UTC),
        prompt="cat dance",
    ),
    "submit__pending__12_keys": Told(
        task_id=TASK_ID, state=State.PENDING, created_at=datetime(2024, 12, 22, 13, 38, 40, 139_409, UTC)
    ),
    "submit__pending__201": Told(
        task_id="fc7fb008-7a5e-40ad-a7ff-dbb63db61be8",
        state=State.PENDING,
        created_at=datetime(2024, 7, 22, 12, 47, 28, 553_735, UTC),
        prompt="cat dance",
    ),
    "submit__queued__3_keys": Told(
        task_id="luma_gen_abc123", state=State.PENDING, created_at=datetime(2024, 3, 1, 12, tzinfo=UTC)
    ),
    "extend__pending__7_keys": Told(
        task_id=_EXTENDED,
        state=State.PENDING,
        created_at=datetime(2024, 7, 1, 7, 35, 13, 498_660, UTC),
        prompt="cat dance",
    ),
}
WITHOUT_TASK = {"download_video_url__ok", "tasks__no_match"}


def test_every_sample_of_a_good_answer_has_an_expectation() -> None:
    """A sample of a good answer that nobody reads here is a failure."""
    good = {name for name in sample_names() if not name.startswith("error__")}

    assert good == TOLD.keys() | WITHOUT_TASK


@pytest.mark.parametrize(("name", "told"), TOLD.items(), ids=TOLD)
def test_a_sample_is_read_exactly(name: str, told: Told) -> None:
    """Identity, state, links, sizes, duration and time come out as they stand in the sample, without a problem."""
    generation = read_task(sample(name).answer, told.task_id)

    video = generation.video
    seen = Told(
        task_id=generation.id,
        state=generation.state,
        video_url=generation.video_url,
        created_at=generation.created_at,
        size=(video.width, video.height) if video else None,
        duration=generation.video_raw.duration if generation.video_raw else None,
        prompt=generation.prompt,
        thumbnail_url=generation.link("thumbnail"),
    )
    assert seen == told
    assert generation.problems == ()


@pytest.mark.parametrize(("name", "told"), TOLD.items(), ids=TOLD)
def test_a_sample_is_found_among_the_tasks_of_its_documents(name: str, told: Told) -> None:
    """Reading many tasks finds the same one task as reading one does."""
    documents = read_documents(sample(name).answer)

    assert [found.task_id for document in documents for found in tasks_in(document)] == [told.task_id]


@pytest.mark.parametrize("name", sorted(WITHOUT_TASK))
def test_a_good_answer_without_a_task_has_none(name: str) -> None:
    """A clean link, or an answer to a batch query that matched nothing, is read without finding any task."""
    documents = read_documents(sample(name).answer)

    assert [found for document in documents for found in tasks_in(document)] == []


def test_the_fullest_sample_is_read_to_the_last_field() -> None:
    """Artifact, palettes, last frame, request and the zero time of the specification's example are all there."""
    generation = read_task(sample("get__completed__artifact").answer, TASK_ID)

    assert generation.artifact is not None
    assert generation.artifact.created_at is None
    assert generation.artifact.video == generation.video
    assert generation.artifact.video_raw == generation.video_raw
    assert generation.artifact.thumbnail == generation.thumbnail
    assert generation.artifact.last_frame == generation.last_frame
    assert generation.last_frame is not None
    assert generation.last_frame.palette is None
    assert generation.last_frame.media_type == "image"
    assert generation.thumbnail is not None
    assert generation.thumbnail.palette is not None
    assert (generation.thumbnail.palette.grid or "").startswith("em9csKqXYUgqdHVmmqeZLB8YaFpLjVw2bmFT")
    assert generation.request is not None
    assert generation.request.aspect_ratio == "16:9"
    assert generation.raw == sample("get__completed__artifact").body


# --- what to ask ---


@pytest.mark.parametrize(
    "task_id", [TASK_ID, "luma_gen_abc123", "task_" + "x" * 32, "a.b~c_d-e", "...", "0", "A" * 128]
)
def test_task_ids_of_all_relays_are_fine(task_id: str) -> None:
    """A UUID and the other forms of contract section 1 pass unchanged into the path."""
    assert check_task_id(task_id) == task_id
    assert task_path(RELAY, task_id) == f"/luma/generations/{task_id}"


_ODD_IDS = ["", ".", "..", "../x", "a/b", "a?b", "a#b", "%2e%2e", "%2F", "a\\b", "a b", "a\r\nX: 1", "a\n", "\0", "é"]


@pytest.mark.parametrize("task_id", [*_ODD_IDS, "\ud800", "x" * 1025, "x" * 5000, None, 5, b"abc", ["abc"]])
def test_whatever_could_change_the_path_is_no_task_id(task_id: object) -> None:
    """It is refused before any request, with a short and printable message."""
    with pytest.raises(ConfigurationError, match="is not a task id") as caught:
        check_task_id(task_id)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@given(st.one_of(st.text(max_size=8), st.text("ab.%/~-_ é", max_size=8), st.from_regex(r"[A-Za-z0-9._~-]{1,128}")))
def test_an_accepted_task_id_stays_as_it_is_in_any_path(task_id: str) -> None:
    """Neither urllib nor yarl would write it differently, and it cannot leave its folder."""
    try:
        path = task_path(RELAY, check_task_id(task_id))
    except ConfigurationError:
        return

    assert quote(task_id, safe="") == task_id
    assert URL("https://relay.example" + path).raw_path == path
    assert URL("https://relay.example/luma/generations/").join(URL(task_id)).raw_path == path


# --- the words for a state ---

_WORDS = {
    State.PENDING: ["pending", "queued", "NOT_START", "SUBMITTED", "QUEUED", "not_started"],
    State.PROCESSING: ["processing", "dreaming", "in_progress", "running", "IN_PROGRESS"],
    State.COMPLETED: [
        "completed",
        "Complete",
        "succeeded",
        "succeed",
        "success",
        "SUCCESS",
        "done",
        "finished",
        "finish",
        "ready",
        "generated",
        "ok",
    ],
    State.FAILED: [
        "failed",
        "fail",
        "error",
        "timeout",
        "timed-out",
        "rejected",
        "aborted",
        "expired",
        "cancelled",
        "canceled",
        "cancel",
        "deleted",
        "FAILURE",
    ],
    State.UNKNOWN: ["UNKNOWN", "COMPLETED_PARTIALLY", "moderating", "0", "排队中", "completed?"],
}
_PAIRS = [(word, state) for state, words in _WORDS.items() for word in words]


@pytest.mark.parametrize(("word", "state"), _PAIRS)
@pytest.mark.parametrize("form", [str, str.lower, str.upper, str.title, " {} ".format])
def test_each_word_for_a_state_is_known_in_any_case(word: str, state: State, form: Any) -> None:
    """Case and blanks do not matter; the relay's own word is kept; a strange word ends no wait."""
    generation = read({"id": TASK_ID, "state": form(word)})

    assert generation.state is state
    assert generation.state_text == form(word)
    assert generation.is_terminal is (state in (State.COMPLETED, State.FAILED))


@pytest.mark.parametrize("word", ["not start", "Not-Start", "IN PROGRESS"])
def test_a_state_may_be_written_with_blanks_or_hyphens(word: str) -> None:
    """``IN PROGRESS`` is ``in_progress``."""
    assert state_of(word) is not State.UNKNOWN


@pytest.mark.parametrize("state", [None, "", "  ", 2, True, ["completed"], {"note": "completed"}])
def test_a_task_whose_state_is_no_word_is_no_answer(state: Any) -> None:
    """Such an answer is asked for again, and never read as done."""
    error = refused({"id": TASK_ID, "state": state})

    assert type(error) is ProtocolError
    assert str(error) == "the relay's answer contains no task"
    assert error.retryable


# --- wrapped answers ---


def row(status: str, **rest: Any) -> dict[str, Any]:
    """Return a row as gateways keep it in their database."""
    return {"id": 13917, "task_id": TASK_ID, "status": status, "fail_reason": "", **rest}


_GENERATION = {"id": TASK_ID, "state": "completed", "video": {"download_url": CLEAN}}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_GENERATION, id="bare"),
        pytest.param({"data": _GENERATION}, id="data"),
        pytest.param({"code": "success", "message": "", "data": _GENERATION}, id="envelope"),
        pytest.param({"code": 200, "msg": "ok", "data": [_GENERATION]}, id="envelope-list"),
        pytest.param({"success": True, "result": _GENERATION}, id="result"),
        pytest.param({"generations": [_GENERATION], "count": 1, "has_more": False}, id="gallery"),
        pytest.param([_GENERATION], id="array"),
        pytest.param({"code": "success", "data": row("SUCCESS", data=_GENERATION)}, id="row"),
        pytest.param(row("SUCCESS", data=_GENERATION), id="bare-row"),
        pytest.param({"data": row("SUCCESS", data=str(_GENERATION).replace("'", '"'))}, id="row-of-text"),
        pytest.param({"data": row("SUCCESS", data=[_GENERATION])}, id="row-of-a-list"),
        pytest.param(row("SUCCESS", data={"code": 0, "data": _GENERATION}), id="row-around-an-envelope"),
        pytest.param(row("SUCCESS", data=row("SUCCESS", data=_GENERATION)), id="row-around-a-row"),
        pytest.param(row("SUCCESS", data={**_GENERATION, "id": "another-at-the-upstream"}), id="row-of-another-name"),
        pytest.param({**_GENERATION, "data": {"billing": 3}}, id="data-about-something-else"),
        pytest.param({"id": "req-1", "code": "success", "data": _GENERATION}, id="envelope-with-an-id"),
        pytest.param({"code": "success", "data": json.dumps(_GENERATION)}, id="envelope-of-text"),
        pytest.param({**_GENERATION, "error": None, "code": 0, "message": ""}, id="an-empty-error"),
        pytest.param({**_GENERATION, "seed": 2**63 - 1, "user_id": -(2**60)}, id="big-numbers"),
        pytest.param({**_GENERATION, "state": " Completed\n"}, id="blanks-around-its-state"),
        pytest.param('"{\\"id\\": \\"' + TASK_ID + '\\", \\"state\\": \\"completed\\", \\"video\\": '
                     '{\\"download_url\\": \\"' + CLEAN + '\\"}}"', id="text-of-text"),
    ],
)  # fmt: skip
def test_a_generation_is_found_in_any_wrapping(body: Any) -> None:
    """Bare, in an envelope, in a row, or wrapped by several relays: the task and its link are the same."""
    generation = read(body)

    assert generation.id == TASK_ID
    assert generation.state is State.COMPLETED
    assert generation.video_url == CLEAN
    assert generation.problems == ()


@pytest.mark.parametrize(
    "wrapper", ["data", "result", "response", "task", "tasks", "generation", "generations", "items"]
)
def test_each_wrapper_is_opened(wrapper: str) -> None:
    """Around a generation, around a list of them, and inside a row."""
    assert read({wrapper: _GENERATION}).video_url == CLEAN
    assert read({wrapper: [{"id": "another", "state": "failed"}, _GENERATION]}).video_url == CLEAN
    assert read({"task_id": TASK_ID, "status": "SUCCESS", wrapper: {**_GENERATION, "id": "u"}}).video_url == CLEAN


def test_eight_wrappings_are_opened_and_no_more() -> None:
    """Nobody wraps an answer nine times in good faith: lists and strings count like envelopes."""
    eight = [[{"data": {"result": [{"response": [{"data": _GENERATION}]}]}}]]

    assert read(eight).video_url == CLEAN
    assert type(refused([eight])) is ProtocolError
    assert type(refused({"data": eight})) is ProtocolError


def test_wrapping_in_strings_has_its_bounds() -> None:
    """Each string may hold sixty levels more: neither reading tasks nor reading complaints gives way."""
    body = "1"
    for _ in range(16):
        body = "[" * 60 + json.dumps(body) + "]" * 60

    assert type(refused(body)) is ProtocolError
    assert type(refused({"data": body})) is ProtocolError
    assert read({**_GENERATION, "data": body, "state": "failed", "error": body}).failure_reason == body


@pytest.mark.parametrize(
    ("status", "inner", "state"),
    [
        ("FAILURE", "processing", State.FAILED),
        ("SUCCESS", "processing", State.COMPLETED),
        ("IN_PROGRESS", "completed", State.PROCESSING),
        ("", "completed", State.COMPLETED),
        (None, "failed", State.FAILED),
    ],
)
def test_the_outer_status_of_a_row_wins(status: Any, inner: str, state: State) -> None:
    """A gateway's own time-out marks only the row; the inner state counts where the row says nothing."""
    generation = read({"data": row(status, data={"id": TASK_ID, "state": inner})})

    assert generation.state is state


def test_a_row_that_holds_its_generation_s_fields_goes_by_its_status() -> None:
    """Some gateways copy the generation into the row, where its state goes stale."""
    assert read({"task_id": TASK_ID, "status": "SUCCESS", "state": "processing"}).state is State.COMPLETED


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"status": "success", "task_status": "running"}, State.PROCESSING),
        ({"status": "error", "task_status": "running"}, State.PROCESSING),
        ({"status": "Success", "taskStatus": "FAIL"}, State.FAILED),
        ({"status": "OK", "data": {"task_status": "running"}}, State.PROCESSING),
        ({"status": "ok", "state": "queued"}, State.PENDING),
        ({"status": "success", "task_status": "success"}, State.COMPLETED),
    ],
)
def test_a_row_s_status_may_be_about_the_request(told: dict[str, Any], state: State) -> None:
    """A key that names the task is stronger, and *ok* says nothing about any task."""
    assert read({"task_id": TASK_ID, **told}).state is state


def test_a_bare_generation_goes_by_its_state() -> None:
    """Without a ``task_id`` it is no row, and a ``status`` beside the ``state`` is of less weight."""
    assert read({"id": TASK_ID, "state": "processing", "status": "success"}).state is State.PROCESSING
    assert read({"id": TASK_ID, "status": "success"}).state is State.COMPLETED


@pytest.mark.parametrize("key", ["fail_reason", "url", "result_url", "video_url"])
def test_a_row_without_a_generation_gives_its_own_link(key: str) -> None:
    """On success ``fail_reason`` may hold the link, and that is no failure."""
    generation = read({"code": "success", "data": {"task_id": TASK_ID, "status": "SUCCESS", "data": None, key: ROW}})

    assert generation.state is State.COMPLETED
    assert generation.video_url == ROW
    assert generation.failure_reason is None


def test_a_filled_fail_reason_is_no_failure() -> None:
    """Only the status fails a task, whatever the row's ``fail_reason`` says."""
    generation = read(row("SUCCESS", fail_reason="slow", data=_GENERATION))

    assert generation.state is State.COMPLETED
    assert generation.video_url == CLEAN
    assert generation.failure_reason is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(row("FAILURE", result_url="upstream: bad prompt"), "upstream: bad prompt", id="result_url"),
        pytest.param(row("FAILURE", fail_reason="out of time", result_url=""), "out of time", id="fail_reason"),
        pytest.param({"id": TASK_ID, "state": "failed", "failure_reason": "moderated"}, "moderated", id="bare"),
        pytest.param({"id": TASK_ID, "state": "failed", "error": {"message": "no"}}, "no", id="error-object"),
        pytest.param({"id": TASK_ID, "state": "failed", "error": "no"}, "no", id="error-text"),
        pytest.param({"task_id": TASK_ID, "status": "failed", "url": "", "error": "no"}, "no", id="flat-row"),
        pytest.param(row("FAILURE", fail_reason="任务超时", data={"state": "processing"}), "任务超时", id="timed-out"),
        pytest.param({"id": TASK_ID, "state": "failed", "message": "no"}, "no", id="message"),
        pytest.param({"id": TASK_ID, "state": "failed", "failure_reason": None}, None, id="null"),
        pytest.param({"id": TASK_ID, "state": "failed", "failure_reason": ""}, None, id="empty"),
        pytest.param({"id": TASK_ID, "state": "failed", "failure_reason": ROW}, None, id="only-a-link"),
        pytest.param(
            row("FAILURE", fail_reason="outer", data={"state": "failed", "failure_reason": "inner"}),
            "inner",
            id="the-inner-one-first",
        ),
        pytest.param(
            row("FAILURE", fail_reason='{"error": {"message": "{\\"message\\": \\"deep\\", \\"code\\": 1}"}}'),
            "deep",
            id="text-in-text",
        ),
        pytest.param(
            {"id": TASK_ID, "state": "failed", "failure_reason": "a", "error": "b", "message": "c"}, "a", id="order"
        ),
    ],
)
def test_why_it_failed_is_found(body: Any, reason: str | None) -> None:
    """The reason is looked for in the places of the contract, in their order; a link is none."""
    generation = read(body)

    assert generation.state is State.FAILED
    assert generation.failure_reason == reason
    assert generation.result_url is None


def test_a_reason_before_the_end_is_kept() -> None:
    """But only from the field that is meant for it."""
    early = {"id": TASK_ID, "state": "processing", "failure_reason": "first try lost"}

    assert read(early).failure_reason == "first try lost"
    assert read({**early, "failure_reason": None, "error": "x", "message": "y"}).failure_reason is None


def test_a_huge_reason_is_kept_whole() -> None:
    """Nothing is cut in the model, and control characters stay as they came: showing is another's business."""
    reason = "\x1b[31m" + "x" * 2**20

    assert read({"id": TASK_ID, "state": "failed", "failure_reason": reason}).failure_reason == reason


@pytest.mark.parametrize("unset", [None, "", 0, "0001-01-01T00:00:00Z"])
def test_what_the_generation_leaves_open_the_row_may_know(unset: Any) -> None:
    """When it was made: by the generation, else by the row, else when it was submitted."""
    inner = {**_GENERATION, "created_at": unset}
    made = {"created_at": "2024-07-01T07:35:13Z", "submit_time": 1_600_000_000}

    assert read(row("SUCCESS", data=inner, **made)).created_at == datetime(2024, 7, 1, 7, 35, 13, tzinfo=UTC)
    assert read(row("SUCCESS", data=inner, submit_time=1_719_819_313)).created_at == datetime(
        2024, 7, 1, 7, 35, 13, tzinfo=UTC
    )
    assert read(row("SUCCESS", data=inner, submit_time=0)).created_at is None


def test_the_raw_answer_loses_nothing() -> None:
    """The whole document is reachable, envelope and unknown fields included; of an array, the task's own part."""
    envelope = {"code": "success", "new": [1], "data": {**_GENERATION, "unheard_of": {"x": 1}}}

    assert read(envelope).raw == envelope
    assert read([{**_GENERATION, "id": "another"}, _GENERATION]).raw == _GENERATION


# --- whose answer it is ---


@pytest.mark.parametrize(
    "body",
    [
        {"id": "another", "state": "completed", "video": {"url": MARKED}},
        [{"id": "another", "state": "completed"}],
        row("SUCCESS", task_id="another", data=_GENERATION),
        {"data": [row("SUCCESS", task_id="another", data=_GENERATION)]},
        {"id": TASK_ID.upper(), "state": "completed"},
    ],
)
def test_another_tasks_answer_is_never_handed_out(body: Any) -> None:
    """Not even where the asked id stands inside: a row's ``task_id`` is its identity."""
    error = refused(body)

    assert isinstance(error, ProtocolError)
    assert error.foreign
    assert error.retryable
    assert str(error) == "the relay answered about another task"


def test_an_integer_id_is_no_identity() -> None:
    """A row's ``id`` is a database key; without a ``task_id`` only the generation in it can be meant."""
    assert read({"data": {"id": 13917, "status": "SUCCESS", "data": _GENERATION}}).video_url == CLEAN
    assert not getattr(refused({"id": 13917, "status": "SUCCESS"}), "foreign", True)


def test_a_row_goes_by_its_task_id_whatever_its_key_is() -> None:
    """A database key may be text, even one that looks like another task's id."""
    assert read({"id": "luma_gen_b", "task_id": TASK_ID, "status": "SUCCESS"}).id == TASK_ID
    assert getattr(refused({"id": TASK_ID, "task_id": "luma_gen_b", "status": "SUCCESS"}), "foreign", False)


def test_a_batch_that_is_about_strangers_alone_cannot_be_trusted() -> None:
    """Its connection is given up, as that of a single answer about another task."""
    with pytest.raises(ProtocolError) as caught:
        read_batch(answer([{"id": "another", "state": "pending"}]), {TASK_ID: None, "luma_gen_b": None})

    assert caught.value.foreign
    assert caught.value.retryable


def test_only_the_very_same_answer_is_known_already() -> None:
    """Anything else is read anew: other bytes, or the same ones with a status that says something else."""
    known, _ = read_poll(answer({"id": TASK_ID, "state": "pending"}), TASK_ID, None)

    assert read_poll(answer({"id": TASK_ID, "state": "pending"}), TASK_ID, known) == (known, None)
    _, changed = read_poll(answer({"id": TASK_ID, "state": "failed"}), TASK_ID, known)
    assert changed is not None
    assert changed.state is State.FAILED
    with pytest.raises(LumaError):
        read_poll(answer({"id": TASK_ID, "state": "pending"}, 500), TASK_ID, known)


def test_one_task_is_picked_out_of_several() -> None:
    """Order does not matter, nor do the strangers around it."""
    others = [{"id": f"other-{n}", "state": "failed"} for n in range(3)]

    assert read({"data": [*others, _GENERATION, *others]}).video_url == CLEAN


def test_of_two_documents_the_one_about_the_task_counts() -> None:
    """An error and a task run together are an answer."""
    generation = read('{"code": 400, "message": "fail_to_fetch_task"}{"id": "' + TASK_ID + '", "state": "pending"}')

    assert generation.state is State.PENDING


# --- which link is the video? ---

_ALL: dict[str, Any] = {
    "id": TASK_ID,
    "state": "completed",
    "video": {"url": MARKED, "download_url": CLEAN},
    "video_raw": {"url": RAW},
    "assets": {"video": OFFICIAL},
    "url": ROW,
}


@pytest.mark.parametrize(
    ("change", "link"),
    [
        ({}, CLEAN),
        ({"video": {"url": MARKED}}, RAW),
        ({"video": None}, RAW),
        ({"video": {"url": MARKED, "download_url": ""}}, RAW),
        ({"video": {"url": MARKED, "download_url": "/relative.mp4"}}, RAW),
        ({"video": {"url": MARKED}, "video_raw": None}, MARKED),
        ({"video": MARKED, "video_raw": {}}, MARKED),
        ({"video": None, "video_raw": None}, OFFICIAL),
        ({"video": None, "video_raw": None, "assets": None}, ROW),
        ({"video": None, "video_raw": None, "assets": None, "url": None, "result_url": CLEAN}, CLEAN),
        ({"video": None, "video_raw": None, "assets": None, "url": "none"}, None),
        ({"video": None, "artifact": {"video": {"url": MARKED, "download_url": CLEAN}}}, CLEAN),
        ({"video": {"url": MARKED}, "artifact": {"video": {"download_url": CLEAN}}}, RAW),
        ({"video": None, "video_raw": None, "artifact": {"video_raw": {"url": RAW}}}, RAW),
        ({"video": {}, "video_raw": {}, "artifact": {"video": {"url": MARKED}}}, MARKED),
    ],
)
def test_the_best_link_is_preferred(change: dict[str, Any], link: str | None) -> None:
    """The order is the contract's; where a top-level object has no link, the artifact's serves."""
    assert read({**_ALL, **change}).video_url == link


@pytest.mark.parametrize("state", ["processing", "failed", "queued"])
def test_a_rows_link_counts_only_when_it_is_completed(state: str) -> None:
    """Before, or after a failure, it may be anything."""
    assert read({"task_id": TASK_ID, "status": state, "url": ROW}).video_url is None


def test_other_media_have_links_too() -> None:
    """A thumbnail may be a string, stand inside the video, or in the artifact; so may the last frame."""
    thumb, frame = "https://cdn.example/t.jpg", "https://cdn.example/f.jpg"
    inside = read({**_ALL, "video": {"url": MARKED, "thumbnail": thumb}})
    beside = read({**_ALL, "thumbnail": thumb, "artifact": {"last_frame": {"url": frame}}})
    nowhere = read(_ALL)

    assert (inside.link("thumbnail"), inside.link("last_frame")) == (thumb, None)
    assert (beside.link("thumbnail"), beside.link("last_frame")) == (thumb, frame)
    assert nowhere.link("thumbnail") is None


# --- bodies that are no answer ---


@pytest.mark.parametrize(
    "body",
    ["", "  \n", "null", "[]", "{}", '"completed"', "42", "{'a':1}", '{"id": "', "[1, [2]]", "true", "\x00", "data: 1"],
)
def test_a_body_that_is_no_answer_is_asked_for_again(body: str) -> None:
    """It is a ProtocolError that passes, whatever the content type says."""
    for content_type in ("application/json", "", "text/plain"):
        with pytest.raises(ProtocolError) as caught:
            read_task(answer(body, content_type=content_type), TASK_ID)

        assert caught.value.retryable
        assert not caught.value.foreign


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 400, "1" * 5000, "-" + "9" * 21]
)
def test_numbers_beyond_all_bounds_are_no_answer(number: str) -> None:
    """Nothing comes in that could not go out again as JSON."""
    body = f'{{"id": "{TASK_ID}", "state": "completed", "n": {number}}}'
    error = refused(body)

    assert type(error) is ProtocolError
    assert len(str(error)) < 300
    with pytest.raises(ProtocolError, match="the relay's answer is JSON with "):
        read_batch(answer(f"[{body}]"), {TASK_ID: None})


@pytest.mark.parametrize("depth", [65, 2_000, 200_000])
@pytest.mark.parametrize("brackets", ["[]", ('{"a":', "}")])
def test_deep_nesting_is_no_answer(depth: int, brackets: Any) -> None:
    """Neither the decoder's recursion nor ours gives way."""
    opening, closing = brackets
    inner = "1" if opening != "[" else ""

    error = refused(f'{{"id": "{TASK_ID}", "state": "completed", "n": {opening * depth}{inner}{closing * depth}}}')

    assert type(error) is ProtocolError


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_other_encodings_are_no_answer(encoding: str) -> None:
    """JSON is UTF-8; half-read text is worse than none."""
    error = refused(f'{{"id": "{TASK_ID}", "state": "completed", "prompt": "é"}}'.encode(encoding))

    assert type(error) is ProtocolError
    assert error.retryable


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/octet-stream", "application/json; charset=bogus", "text/html"]
)
def test_good_json_counts_whatever_it_is_called(content_type: str) -> None:
    """Also ``text/html``, as some gateways call their JSON; and a byte-order mark is no obstacle."""
    body = b"\xef\xbb\xbf" + answer(_GENERATION).body

    assert read_task(answer(body, content_type=content_type), TASK_ID).video_url == CLEAN


def test_odd_but_valid_json_is_tolerated() -> None:
    """Of duplicate keys the last counts; lone surrogates and NUL in a prompt are text."""
    generation = read('{"id":"x","id":"' + TASK_ID + '","state":"pending","prompt":"a\\ud800\\u0000b"}')

    assert generation.prompt == "a\ud800\0b"


@pytest.mark.parametrize("status", [200, 201, 202, 203])
def test_every_success_with_a_body_is_an_answer(status: int) -> None:
    """A submit's 201 is no error."""
    assert read_task(answer(_GENERATION, status), TASK_ID).video_url == CLEAN


@pytest.mark.parametrize("status", [0, 101, 204, 205, 206, 226, 300, 302, 304, 600, 999])
def test_no_other_status_is_an_answer(status: int) -> None:
    """Not even with a completed task in it: half an answer, a redirect and nonsense are asked for again."""
    with pytest.raises(ProtocolError, match=f"HTTP {status}") as caught:
        read_task(answer(_GENERATION, status), TASK_ID)

    assert caught.value.retryable


# --- a list of rows, read row by row ---


def told(body: bytes, ids: Sequence[str], known: Mapping[str, LastAnswer] | None = None) -> dict[str, str | None]:
    """Return the word that *body* newly has for each of *ids*, None where it is known."""
    sighted = read_batch(Answer(200, body), {task_id: (known or {}).get(task_id) for task_id in ids})
    return {task_id: None if news is None else news.word for task_id, (_, news) in sighted.items()}


ROW_A = b'{"id": "a", "state": "pending", "prompt": "\xe7\x8c\xab"}'
ROW_B = b'{"task_id": "b", "id": 7, "status": "IN_PROGRESS"}'


@pytest.mark.parametrize(
    "body",
    [
        b"[%s,%s]",
        b" [ %s ,\r\n\t%s ] ",
        b"\xef\xbb\xbf[%s, %s]",
        b'{"code":"success","message":"","data":[%s,%s]}',
        b'{ "data" : [ %s , %s ] , "total": 2, "code": 0 }',
        b'{"message": "a \\"data\\": [ in a text", "data": [%s, %s]}',
        b'{"data": {"items": [%s, %s]}}',
        b'{"meta": {"data": []}, "data": [%s, %s]}',
        b'{"other": [], "data": [%s, %s]}',
    ],
)
@pytest.mark.parametrize("rows", [(ROW_A, ROW_B), (ROW_B, ROW_A)], ids=["asked order", "other order"])
def test_rows_are_recognised_in_any_list_and_order(body: bytes, rows: tuple[bytes, bytes]) -> None:
    """The first time each row is read, the second time all are known, and one that changed is the only news."""
    ids = ["a", "b"]
    first = read_batch(Answer(200, body % rows), dict.fromkeys(ids))
    known = {task_id: kept for task_id, (kept, _) in first.items()}
    changed = (body % rows).replace(b"IN_PROGRESS", b"SUCCESS")

    again, later = told(body % rows, ids, known), told(changed, ids, known)

    assert told(body % rows, ids) == {"a": "pending", "b": "IN_PROGRESS"}
    assert again == {"a": None, "b": None}
    assert later == {"a": None, "b": "SUCCESS"}
    assert known["a"].recall("a").prompt == "\u732b"


@pytest.mark.parametrize(
    "body",
    [
        b"[%s,]",
        b"[%s %s]",
        b"[%s, %s",
        b"[%s, %s]]",
        b"[%s, %s}",
        b'{"data": [%s, %s]',
        b"[%s, NaN]",
        b"[%s, %s, " + b"[" * 70 + b"]" * 70 + b"]",
    ],
)
def test_a_broken_list_is_no_answer_though_its_rows_are_known(body: bytes) -> None:
    """Whatever is recognised in it: half an answer is never taken for one."""
    known = {"a": LastAnswer(ROW_A), "b": LastAnswer(ROW_B)}
    whole = body.replace(b"%s", ROW_A, 1).replace(b"%s", ROW_B)

    with pytest.raises(ProtocolError):
        read_batch(Answer(200, whole), known)


def test_the_lists_inside_a_single_task_are_not_rows() -> None:
    """Where the answer is one task, what it lists is not taken for tasks."""
    body = b'{"id": "a", "state": "pending", "assets": [{"id": "b", "state": "failed"}]}'

    assert told(body, ["a", "b"])["a"] == "pending"
    assert "b" not in told(body, ["a", "b"])


@pytest.mark.parametrize("listed", [[None], [], [{"id": "b", "state": "failed"}]], ids=["nothing", "none", "a task"])
def test_a_single_task_with_a_list_can_be_recalled_whole(listed: list[object]) -> None:
    """The list is the task's own, not an envelope's rows around nothing."""
    task = {"id": "a", "state": "pending", "data": listed}

    kept, _ = read_batch(answer(task), {"a": None})["a"]

    assert kept.recall("a").raw == task


@pytest.mark.parametrize("envelope", [b"[%s,%s]", b'{"message": "\xe5\xa5\xbd", "data": [%s,%s]}'])
def test_a_row_is_utf_8_or_none(envelope: bytes) -> None:
    """Where it begins and ends is sought byte by byte; what it says is text."""
    sighted = read_batch(Answer(200, envelope % (ROW_A, ROW_B)), dict.fromkeys("ab"))

    news = sighted["a"][1]
    assert news is not None
    assert news.generation().prompt == "\u732b"
    with pytest.raises(ProtocolError, match="not UTF-8"):
        read_batch(Answer(200, envelope % (ROW_B, ROW_A.replace(b"\xe7\x8c\xab", b"\xe9"))), dict.fromkeys("ab"))
    with pytest.raises(ProtocolError, match="not UTF-8"):
        read_batch(Answer(200, b'{"message": "\xff", "data": [%s]}' % ROW_A), dict.fromkeys("ab"))


def test_a_text_that_begins_like_a_known_one_is_read() -> None:
    """The beginning finds the candidate; the whole text decides."""
    long = b'{"x": "%s", "id": "a", "state": "pending"}' % (b"x" * 100)
    known = {"a": LastAnswer(long)}

    assert told(b"[%s]" % long.replace(b"pending", b"running"), ["a"], known)["a"] == "running"
    assert told(b"[%s]" % long, ["a"], known)["a"] is None


def test_rows_about_others_are_another_tasks_answer() -> None:
    """All rows strangers: the answer is foreign; one of ours among them: it counts."""
    with pytest.raises(ProtocolError) as caught:
        read_batch(Answer(200, b"[%s]" % ROW_B), {"a": None})

    assert caught.value.foreign
    assert set(read_batch(Answer(200, b"[%s,%s]" % (ROW_B, ROW_A)), {"a": None})) == {"a"}


@pytest.mark.parametrize("order", list(permutations(["pending", "completed", "processing"])))
def test_of_several_rows_for_one_id_the_row_that_tells_an_end_counts(order: tuple[str, ...]) -> None:
    """In a batch as in a single poll, in any order, and although another row is known already."""
    rows = [{"task_id": "a", "status": state, "data": {"id": "a", "state": state}} for state in order]
    both = answer({"code": "success", "data": rows})
    known = {"a": LastAnswer(json.dumps(rows[order.index("pending")], separators=(",", ":")).encode())}

    _, batch = read_batch(both, {"a": None, "b": None})["a"]
    _, known_batch = read_batch(both, {**known, "b": None})["a"]
    _, single = read_poll(both, "a", None)

    assert [seen and seen.state for seen in (batch, known_batch, single)] == [State.COMPLETED] * 3


_ROWS_OF_ONE: dict[str, Callable[[list[Any]], Any]] = {
    "a bare list": lambda rows: rows,
    "data": lambda rows: {"code": "success", "data": rows},
    "items": lambda rows: {"items": rows},
    "deep": lambda rows: {"code": 0, "data": {"page": 1, "items": rows}},
    "two wrappers": lambda rows: {"data": rows[:1], "items": rows[1:]},
    "two depths": lambda rows: {"data": rows[0], "result": {"data": rows[1:]}},
    "nobody listed": lambda rows: {"jobs": rows},
}


@pytest.mark.parametrize("ends", list(permutations(["FAILURE", "SUCCESS", "running"])))
@pytest.mark.parametrize("around", _ROWS_OF_ONE)
def test_of_two_ends_for_one_id_none_counts(around: str, ends: tuple[str, ...]) -> None:
    """There is no telling which is right: the id is polled again."""
    rows = [{"task_id": "a", "status": status} for status in ends]
    body = answer(_ROWS_OF_ONE[around](rows))

    with pytest.raises(ProtocolError) as raised:
        read_poll(body, "a", None)
    assert (raised.value.verdict, raised.value.foreign) == (Verdict.PASSING, False)
    if around != "nobody listed":
        assert read_batch(body, {"a": None}) == {}


@pytest.mark.parametrize("ends", [("FAILURE", "SUCCESS"), ("SUCCESS", "FAILURE")])
def test_two_ends_for_one_id_leave_the_others(ends: tuple[str, ...]) -> None:
    """Also where one of the rows is known already."""
    rows = [{"task_id": "a", "status": status} for status in ends] + [{"task_id": "b", "status": "SUCCESS"}]
    first, _ = read_batch(answer(rows[:1]), {"a": None})["a"]

    assert read_batch(answer(rows), {"a": None, "b": None}).keys() == {"b"}
    assert read_batch(answer(rows), {"a": first, "b": None}).keys() == {"b"}


@pytest.mark.parametrize("status", [400, 500])
def test_two_ends_inside_an_error_status_stay_the_error(status: int) -> None:
    """As without a task."""
    rows = [{"task_id": "a", "status": status} for status in ("FAILURE", "SUCCESS")]

    with pytest.raises(APIError):
        read_poll(answer({"data": rows}, status), "a", None)


@pytest.mark.parametrize("outer", ["completed", "failed"])
def test_an_object_inside_a_row_does_not_contradict_it(outer: str) -> None:
    """The upstream's own answer, which the row has already told of; nor does the same end twice."""
    inner = {"id": "a", "state": "failed" if outer == "completed" else "completed"}
    for row in ({"id": "a", "state": outer, "data": inner}, {"task_id": "a", "status": outer, "result": inner}):
        for body in (row, [row], {"data": [row]}):
            _, single = read_poll(answer(body), "a", None)
            _, batch = read_batch(answer(body), {"a": None})["a"]
            assert [seen and seen.word for seen in (single, batch)] == [outer] * 2


# --- what a waiting id keeps ---


PADDED = {
    "blanks": b'{"id":"a","state":"processing"' + b" " * 100_000 + b"}",
    "junk": json.dumps({"id": "a", "junk": "x" * 100_000, "state": "processing", "prompt": "a cat"}).encode(),
    "much junk": json.dumps({**dict.fromkeys(map(str, range(20_000)), 1), "id": "a", "state": "processing"}).encode(),
    "wrapped": json.dumps(
        {"task_id": "a", "status": "processing", "data": json.dumps({"junk": ["x"] * 9000})}
    ).encode(),
    "a long word": json.dumps({"id": "a", "state": "processing " * 9000}).encode(),
}


@pytest.mark.parametrize("what", PADDED)
def test_of_a_long_answer_a_digest_and_what_fits_is_kept(what: str) -> None:
    """The same answer is recognised, another one is not, and what is kept has the id and the state."""
    kept, seen = read_poll(Answer(200, PADDED[what]), "a", None)

    assert seen is not None
    assert len(kept.text) < 8192
    assert read_poll(Answer(200, PADDED[what]), "a", kept) == (kept, None)
    assert read_poll(Answer(200, PADDED[what] + b" "), "a", kept)[1] is not None
    assert (kept.recall("a").id, kept.recall("a").state) == ("a", seen.state)
    assert kept.recall("a").state_text == seen.word


def test_what_fits_of_a_long_answer_is_not_lost() -> None:
    """Only the part that is too long is."""
    kept, _ = read_poll(Answer(200, PADDED["junk"]), "a", None)

    assert kept.recall("a").prompt == "a cat"


def test_a_long_row_is_recognised_in_a_batch() -> None:
    """By its digest, like a single answer."""
    body = b"[" + PADDED["junk"] + b',{"id":"b","state":"pending"}]'
    seen = read_batch(Answer(200, body), {"a": None, "b": None})

    again = read_batch(Answer(200, body), {task_id: last for task_id, (last, _) in seen.items()})

    assert [answer for _, answer in again.values()] == [None, None]
    assert len(seen["a"][0].text) < 8192


def test_a_long_list_of_strangers_around_the_own_rows_is_read() -> None:
    """Rows that nobody asked for do not hide those that were asked for."""
    strangers: list[object] = [{"task_id": f"zz-{n}", "status": "SUCCESS"} for n in range(30_000)]
    strangers[15_000:15_000] = [{"task_id": "a", "status": "IN_PROGRESS"}, {"task_id": "b", "status": "SUCCESS"}]
    body = json.dumps({"code": "success", "data": strangers}).encode()

    seen = read_batch(Answer(200, body), {"a": None, "b": None})

    assert {task_id: last.state for task_id, (last, _) in seen.items()} == {
        "a": State.PROCESSING,
        "b": State.COMPLETED,
    }


@pytest.mark.parametrize("word", ["generating 37%", "Generating 38 %", "step 3/10", "x" * 100_000])
def test_a_word_is_cut(word: str) -> None:
    """Words go into events, logs and what a waiting id keeps."""
    _, seen = read_poll(Answer(200, json.dumps({"id": "a", "state": word}).encode()), "a", None)

    assert seen is not None
    assert seen.word == word[:200]
    assert seen.generation().state_text == word[:200]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("generating 37%", "generating 38%", True),
        ("generating 9%", "Generating 10.5%", True),
        ("step 3/10", "step 4/10", True),
        ("generating", "generating...", True),
        ("[##  ]", "[### ]", True),
        ("生成中 37%", "生成中", True),
        ("step 3", "stage 3", False),
        ("rendering", "upscaling", False),
    ],
)
def test_only_letters_make_a_new_kind_of_word(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """Digits, signs and capitals do not (architecture, rule 5)."""
    assert (kind_of(one) == kind_of(other)) is same
