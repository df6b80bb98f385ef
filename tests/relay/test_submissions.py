"""What a submit, an extension and the clean link are answered (contract section 3)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from luma_async import (
    APIError,
    LumaError,
    NotFoundError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UncertainSubmitError,
)
from luma_async._relay.answer import Answer
from luma_async._relay.requests import clean_url_path, submit_body, submit_path
from luma_async._relay.submissions import read_clean_url, read_submitted
from luma_async.dialect import RELAY
from tests.kit import TASK_ID, answer, sample, sample_names

LINK = "https://cdn.example/clean.mp4"
ORDERED = [name for name in sample_names() if name.startswith(("submit__", "extend__"))]


def test_the_paths_are_the_contracts() -> None:
    """Without a trailing slash."""
    assert submit_path(RELAY) == "/luma/generations"
    assert submit_path(RELAY, "a-1") == "/luma/generations/a-1/extend"
    assert clean_url_path(RELAY, "a-1") == "/luma/generations/a-1/download_video_url"


def test_an_order_is_sent_as_json() -> None:
    """With every character of the prompt."""
    order = {"prompt": '海 "quoted"\n', "loop": False}

    assert json.loads(submit_body(RELAY, order)) == {"user_prompt": '海 "quoted"\n', "loop": False}


# --- the id, wherever it is ---


@pytest.mark.parametrize("name", ORDERED)
def test_a_real_answer_names_the_new_task(name: str) -> None:
    """With 200 as with 201, with twelve keys as with three."""
    assert read_submitted(sample(name).answer) == sample(name).body["id"]


@pytest.mark.parametrize(
    "body",
    [
        {"id": TASK_ID},
        {"task_id": TASK_ID},
        {"id": 4711, "task_id": TASK_ID, "status": "SUBMITTED"},
        {"data": {"task_id": TASK_ID}},
        {"data": {"id": TASK_ID, "state": "pending"}},
        {"code": "success", "message": "", "data": {"task_id": TASK_ID, "id": 4711}},
        {"code": "success", "message": "", "data": TASK_ID},
        {"code": 1, "msg": "success", "data": {"task_id": TASK_ID}},
        {"code": "1", "message": "Submit success.", "data": TASK_ID},
        {"id": TASK_ID, "state": "failed", "error": {"message": "moderated"}},
        {"code": 10000, "message": "Success", "data": {"task_id": TASK_ID}},
        {"code": "000000", "msg": "成功", "data": {"taskId": TASK_ID}},
        {"code": 202, "message": "accepted", "data": {"jobId": TASK_ID}},
        {"code": True, "result": TASK_ID},
        {"error": "none", "id": TASK_ID},
        {"status": "success", "data": {"id": TASK_ID}},
        {"taskID": TASK_ID},
        {"code": 0, "data": {"task-id": TASK_ID, "Status": "queued"}},
        {"videoId": TASK_ID, "status": "queued"},
        [TASK_ID],
        json.dumps(TASK_ID),
        json.dumps({"data": json.dumps({"task_id": TASK_ID})}),
    ],
    ids=str,
)
def test_the_id_is_found_wherever_it_is(body: Any) -> None:
    """At ``id``, ``task_id`` or inside ``data``; an integer is a database key."""
    assert read_submitted(answer(body, 201)) == TASK_ID


@pytest.mark.parametrize(
    ("result", "is_taken"),
    [
        ("1320098173412546", True),
        (TASK_ID, True),
        (TASK_ID.replace("-", "").upper(), True),
        ("", False),
        ("queue is full", False),
        ("4711", False),
        (None, False),
    ],
)
def test_code_1_is_a_success_where_its_result_is_an_id(result: str | None, *, is_taken: bool) -> None:
    """To other relays 1 is an error; that stays one of which it is not known whether the relay has taken the submit."""
    told = answer({"code": 1, "description": "Submit success", "result": result})

    if is_taken:
        assert read_submitted(told) == result
    else:
        assert isinstance(_trouble(told), UncertainSubmitError)


# --- refused, or not known ---


def _trouble(told: Answer) -> LumaError:
    with pytest.raises(LumaError) as caught:
        read_submitted(told)
    return caught.value


SATURATED = answer({"error": {"message": '{"code":"upstream_load_saturated"}', "type": "upstream_error"}}, 403)
NO_CREDIT = answer({"code": "quota_not_enough", "message": "no credit", "data": None})


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429, 501, 505])
def test_a_refusal_is_the_usual_error(status: int) -> None:
    """The same class as for a poll, so nothing was taken."""
    error = _trouble(answer({"error": {"message": "no"}}, status))

    assert isinstance(error, APIError)
    assert error.status == status


_GATEWAYS = Path(__file__).parent.parent / "samples" / "gateways"


@pytest.mark.parametrize("path", sorted(_GATEWAYS.glob("*.json")), ids=lambda path: path.stem)
def test_what_a_gateway_says_to_a_submit_is_shown_without_markup(path: Path) -> None:
    """And the advice to a submit does not speak of a task id."""
    told = json.loads(path.read_text(encoding="utf-8"))
    said = ""
    try:
        read_submitted(answer(told["body"], told["status"], told["headers"].get("Content-Type", "")))
    except LumaError as error:
        said = str(error)

    assert not re.search(r"<[a-z!/]|task id[^s]", said)


def test_the_advice_fits_a_submit() -> None:
    """A picture can be too large, and generations too many; only an extension speaks of a task."""
    page = "<html><head><title>413 Request Entity Too Large</title></head></html>"
    gone = answer({"message": "no"}, 404)
    with pytest.raises(NotFoundError) as extended:
        read_submitted(gone, extends=True)

    assert "the picture is too large" in _trouble(answer(page, 413, "text/html")).advice
    assert "generations" in _trouble(answer({"detail": "Too many concurrent jobs"}, 429)).advice
    assert "base_url" in _trouble(gone).advice
    assert "task id" in extended.value.advice


@pytest.mark.parametrize(
    ("told", "kind", "retryable"),
    [
        (sample("error__503_no_channel").answer, ServerError, True),
        (sample("error__429_empty_body").answer, RateLimitError, True),
        (sample("error__429_upstream_saturated").answer, RateLimitError, True),
        (SATURATED, RateLimitError, True),
        (NO_CREDIT, QuotaExceededError, False),
    ],
    ids=["a gateway's own 503", "429", "429 saturated", "403 saturated", "no credit inside 200"],
)
def test_these_refusals_are_certain(told: Answer, kind: type[APIError], *, retryable: bool) -> None:
    """So the contract says (section 3): nothing was taken, and what passes may be submitted again."""
    error = _trouble(told)

    assert isinstance(error, kind)
    assert error.retryable is retryable


@pytest.mark.parametrize("status", [204, 408, 500, 502, 504, 520, 524, 529])
def test_trouble_upstream_leaves_it_open(status: int) -> None:
    """The gateway may have handed it on before; to submit again is no advice then."""
    error = _trouble(answer({"error": {"message": "upstream"}}, status, request_id="r-1"))

    assert isinstance(error, UncertainSubmitError)
    assert error.retryable is False
    assert str(status) in str(error)
    assert "check the relay's log before you submit again" in str(error)


@pytest.mark.parametrize("body", ["", " ", "<html>no</html>", "upstream connect error or disconnect/reset"])
@pytest.mark.parametrize("retry_after", [None, "5"])
def test_a_proxys_503_leaves_it_open(body: str, retry_after: str | None) -> None:
    """A proxy says so too when the relay's answer was lost on the way."""
    error = _trouble(answer(body, 503, "text/plain", retry_after=retry_after))

    assert isinstance(error, UncertainSubmitError)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "<!doctype html><title>Console</title>",
        {},
        [],
        "null",
        {"code": "success", "data": None},
        {"code": 400, "message": "fail_to_fetch_task", "id": "req-1"},
        {"success": False, "message": "busy", "task_id": "req-1"},
        {"id": "req-1", "error": {"message": "no credit", "type": "invalid_request_error"}},
        {"id": "req-1", "error": "no credit"},
        {"code": 1, "msg": "no quota", "data": {"task_id": "req-1"}},
        {"id": "no/id"},
        {"id": ".."},
        {"code": 500, "message": "success", "data": {"task_id": "req-1"}},
        {"code": 30001, "message": "busy", "data": {"task_id": "req-1"}},
        {"success": 0, "msg": "no", "taskId": "req-1"},
        {"status": "fail", "message": "no credit", "data": {"id": "req-1"}},
    ],
    ids=str,
)
def test_a_200_without_a_task_leaves_it_open(body: Any) -> None:
    """A complaint's own id is none of a task."""
    assert isinstance(_trouble(answer(body)), UncertainSubmitError)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "data": "ok"},
        {"code": "success", "data": "submitted"},
        {"status": "success", "result": "queued"},
        {"success": True, "task": "created"},
        {"code": 0, "data": "null"},
        {"id": "null"},
        {"task_id": "None", "status": "queued"},
        {"taskId": "undefined"},
    ],
    ids=str,
)
def test_a_word_is_no_id(body: Any) -> None:
    """A state, a success, or what programs write for nothing: the submit may be paid for, so its answer is kept."""
    error = _trouble(answer(body))

    assert isinstance(error, UncertainSubmitError)
    assert (error.body, error.candidates) == (json.dumps(body), ())


# --- what an answer said is not lost ---

LONG_ID = "/cHJvamVjdHMv" * 15


@pytest.mark.parametrize(
    ("body", "candidates"),
    [
        ({"code": 500, "msg": "upstream", "data": {"taskId": TASK_ID}}, (TASK_ID,)),
        ({"id": LONG_ID, "status": "queued"}, (LONG_ID,)),
        ({"code": 500, "id": 4711}, ("4711",)),
        ({"id": "no/id"}, ("no/id",)),
        ({"success": False, "message": "busy", "task_id": "req-1"}, ("req-1",)),
        ("", ()),
        ("no id here", ()),
        ("task-0815\n", ("task-0815",)),
        (["task-0815"], ("task-0815",)),
        ("accepted", ()),
        ("503", ()),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 502])
def test_what_the_answer_said_is_in_the_error(body: Any, candidates: tuple[str, ...], status: int) -> None:
    """The whole body, and what may be the id in it, as attributes and in the text."""
    error = _trouble(told := answer(body, status))

    assert isinstance(error, UncertainSubmitError)
    assert (error.body, error.candidates) == (told.body.decode(), candidates)
    assert all(candidate in str(error) for candidate in candidates)


def test_a_body_is_text_whatever_its_bytes() -> None:
    """Bytes that are not UTF-8 are replaced; the text of the error is one line and short, the attribute is whole."""
    error = _trouble(answer(b'\xff\n{"id": "a/1"}' + b" " * 100_000))

    assert isinstance(error, UncertainSubmitError)
    assert error.body == '\ufffd\n{"id": "a/1"}' + " " * 100_000
    assert error.candidates == ("a/1",)
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def test_the_key_is_in_no_candidate() -> None:
    """However it is escaped; and a short key, which is blanked out of successes here only, is in no text."""

    def discreet(text: str) -> str:
        return text.replace("s3cr3t", "[key]")

    with pytest.raises(UncertainSubmitError) as caught:
        read_submitted(
            answer(r'{"code": 7, "msg": "s3cr3t", "req_id": "\u00733cr3t", "taskId": "a s3cr3t", "uuid": "b"}'),
            discreet,
        )

    assert "s3cr3t" not in f"{caught.value} {caught.value.body} {caught.value.trouble}"
    assert caught.value.candidates == ("a [key]", "b")


def test_a_short_key_does_not_hide_an_id() -> None:
    """Blanking is for errors: an id that is the key as well is read."""
    assert read_submitted(answer({"id": "pending"}), lambda _: "[key]") == "pending"


# --- the clean link ---


@pytest.mark.parametrize(
    "body", [{"url": LINK}, {"data": {"url": LINK}}, {"code": "success", "data": LINK}, {"download_url": LINK}], ids=str
)
def test_the_clean_link_is_found(body: Any) -> None:
    """Bare or in an envelope."""
    assert read_clean_url(answer(body), TASK_ID) == LINK


def test_a_real_clean_link_is_read() -> None:
    """Presigned, whole."""
    real = sample("download_video_url__ok")

    assert read_clean_url(real.answer, TASK_ID) == real.body["url"]


def test_one_fork_answers_with_the_generation() -> None:
    """Then its best link is the one."""
    body = {"id": TASK_ID, "state": "completed", "video": {"url": "https://cdn.example/m.mp4", "download_url": LINK}}

    assert read_clean_url(answer(body), TASK_ID) == LINK


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"id": TASK_ID, "state": "pending", "url": ""}, ProtocolError),
        ({"id": "another", "state": "completed", "url": LINK}, ProtocolError),
        ({"url": "javascript:alert(1)"}, ProtocolError),
        ([], ProtocolError),
        ({"code": "task_not_exist", "message": "task_not_exist", "data": None}, APIError),
    ],
    ids=str,
)
def test_no_link_is_no_answer(body: Any, kind: type[LumaError]) -> None:
    """Neither is a stranger's."""
    with pytest.raises(kind):
        read_clean_url(answer(body), TASK_ID)


# --- wrappers that nobody listed ---


@pytest.mark.parametrize(
    "body",
    [
        {"job": {"id": TASK_ID}},
        {"payload": {"task": {"id": TASK_ID}}},
        {"payload": json.dumps({"job": {"id": TASK_ID}})},
        {"video": {"id": TASK_ID}},
        {"Job": {"Id": TASK_ID}},
        {"newTask": {"taskId": TASK_ID}},
        {"video_job": {"id": TASK_ID}},
        {"prediction": {"id": TASK_ID, "status": "starting"}},
        {"code": 0, "body": {"generation": {"id": TASK_ID}}},
        {"success": True, "jobs": [{"id": TASK_ID}]},
        {"record": {"task_id": TASK_ID, "id": 55}},
        {"foo": {"id": TASK_ID, "status": "queued"}},
        {"data": {"submission": {"id": TASK_ID, "state": "pending"}}},
        {"result": {"video": {"id": TASK_ID, "status": "processing"}}},
        {"job": {"id": TASK_ID}, "user": {"id": "user-1"}, "model": {"id": "ray-2"}, "request": {"id": "req-1"}},
        {"job": {"id": TASK_ID}, "video": {"job_id": TASK_ID}},
        {"video": {"id": TASK_ID, "owner": {"id": "user-1", "status": "pending"}}},
    ],
    ids=str,
)
def test_the_id_of_the_only_task_is_found_in_any_wrapper(body: dict[str, Any]) -> None:
    """The wrapper's name or a state of a running task says that the object is the task."""
    assert read_submitted(answer(body)) == TASK_ID


@pytest.mark.parametrize(
    "body",
    [
        *(
            {key: {"id": TASK_ID, "status": "queued"}}
            for key in (
                *("user", "account", "channel", "model", "request", "payment", "upload", "webhook", "order", "batch"),
                *("parent_task", "original_video", "source_video", "job_queue", "video_model", "event", "apiKey"),
            )
        ),
        {"foo": {"id": TASK_ID}},
        {"foo": {"id": TASK_ID, "status": "completed"}},
        {"last_job": {"id": TASK_ID}},
        {"input": {"video": {"id": TASK_ID}}},
        {"user": {"job": {"id": TASK_ID}}},
        {"job": {"name": TASK_ID}},
        {"job": {"request_id": TASK_ID}},
        {"job": {"id": "null"}},
        {"jobs": [{"id": TASK_ID}, {"id": "job-2"}]},
        {"job": {"id": TASK_ID}, "video": {"id": "video-2"}},
        {"job": {"id": TASK_ID, "video": {"id": "video-2"}}},
        {"a": {"id": TASK_ID, "status": "queued"}, "b": {"id": "b-2", "status": "queued"}},
        {"error": "no", "job": {"id": TASK_ID}},
        {"code": 500, "job": {"id": TASK_ID}},
        {"success": False, "job": {"id": TASK_ID}},
        {"status": "failed", "job": {"id": TASK_ID}},
    ],
    ids=str,
)
def test_what_may_not_be_the_new_task_stays_uncertain(body: dict[str, Any]) -> None:
    """Another thing with an id, several ids, or beside an error."""
    with pytest.raises(UncertainSubmitError):
        read_submitted(answer(body))


def test_a_listed_place_of_an_id_comes_first() -> None:
    """What nobody listed is the last resort."""
    assert read_submitted(answer({"task": {"id": TASK_ID}, "job": {"id": "job-2"}})) == TASK_ID
