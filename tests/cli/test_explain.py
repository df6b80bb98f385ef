"""``check --explain``: what is read from one captured answer, from where, and what is missing."""

from __future__ import annotations

import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from luma_async import Dialect, State
from luma_async._relay.submissions import read_submitted
from luma_async._relay.tasks import read_task
from luma_async.cli.check.captured import read_captured
from luma_async.cli.check.explained import Field, explain
from luma_async.cli.check.explanation import draw
from luma_async.dialect import RELAY
from tests.cli.command import Ended
from tests.cli.conftest import Command
from tests.cli.test_entries import PAGES
from tests.kit import TASK_ID, answer

_SAMPLES = Path(__file__).parents[1] / "samples"
_FIELD_ID = "7d3c2a10-5b6e-4f00-9a4e-0123456789ab"
_VIDEO = "https://cdn.example/dream/7d3c2a10/video.mp4"


def explained(body: Any, dialect: Dialect = RELAY, task_id: str | None = None) -> tuple[dict[str, Field], bool]:
    """Return the rows by their fields, and whether a wait can use the answer."""
    rows, is_usable = explain(answer(body), dialect, task_id)
    return {row.field: row for row in rows}, is_usable


# --- what is read, and from where ---


@pytest.mark.parametrize(("reason", "sense"), PAGES)
def test_a_reason_that_is_a_page_is_shown_without_markup(reason: str, sense: str) -> None:
    """Its place is the one of the page."""
    rows, _ = explained({"id": TASK_ID, "state": "failed", "failure_reason": reason})

    assert (rows["reason"].value, rows["reason"].place) == (sense, "failure_reason")


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("field/f01", {"id": "data.task_id", "state": "data.task_status", "created_at": "data.created_at"}),
        ("field/f03", {"state": "data.task_status", "link": "data.task_result.videos.0.url"}),
        ("field/f05", {"state": "state", "link": "video.url"}),
        ("field/f08", {"state": "data.status", "link": "data.output.video_raw.url"}),
        ("field/f10", {"state": "status", "link": "videos.0.url"}),
        ("field/f12", {"link": "video.url"}),
        ("field/f14", {"state": "state", "reason": None}),
        ("field/f16", {"state": "data.status", "reason": "message"}),
        ("field/f19", {"id": "id", "state": "state", "reason": "failure_reason"}),
        ("field/f27", {"link": "video.url"}),
        ("field/f30", {"created_at": "created_at"}),
        ("field/p04", {"id": "data.task_id", "state": "data.status", "link": None}),
        ("gateways/composed__agents", {"id": "id", "state": "state", "link": "output.0.url"}),
        ("gateways/new_api__get_fresh", {"id": "data.task_id", "progress": "data.progress"}),
        ("tasks__in_progress", {"id": "data.0.task_id", "state": "data.0.status", "started_at": "data.0.start_time"}),
        ("get__completed__artifact", {"link": "video.download_url", "thumbnail": "thumbnail.url"}),
    ],
)
def test_each_field_is_explained_by_its_place(name: str, places: dict[str, str | None]) -> None:
    """A captured answer with its request and headers is one form; what a wait can use has the status 0."""
    (path,) = _SAMPLES.glob(f"{name}*.json")

    rows, is_usable = explain(read_captured(path.read_bytes()), RELAY)

    assert is_usable
    assert {row.field: row.place for row in rows if row.field in places} == places


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"id": "a", "state": "completed", "url": _VIDEO, "video": {"download_url": _VIDEO}}, "video.download_url"),
        ({"id": "a", "state": "completed", "copy": {"mp4": _VIDEO}, "url": _VIDEO}, "url"),
        ({"id": "a", "state": "completed", "data": json.dumps({"videos": [{"url": _VIDEO}]})}, "data.videos.0.url"),
        ({"id": "a", "state": "completed", "url": f" {_VIDEO}\n"}, "url"),
    ],
)
def test_a_value_in_several_places_is_explained_by_the_one_that_counts(body: dict[str, Any], place: str) -> None:
    """Also in JSON that is a text itself."""
    rows, is_usable = explained(body)

    assert (rows["link"].value, rows["link"].place, is_usable) == (_VIDEO, place, True)


def test_a_link_is_known_declared_or_guessed() -> None:
    """The note says which, and a guess says how to declare it."""
    body = {"id": "a", "state": "completed", "media": [{"hd": _VIDEO}]}
    own = Dialect(name="own", link_keys=["media.hd"])

    known, declared, guessed = explained({**body, "url": _VIDEO}), explained(body, own), explained(body)

    assert known[0]["link"].note == "a known place"
    assert declared[0]["link"].note == "a place of the dialect own"
    assert str(guessed[0]["link"].note).startswith("a guess")
    assert 'link_keys = ["media.hd"]' in str(guessed[0]["link"].note)


def test_the_relays_word_is_told_with_its_state() -> None:
    """A word that no state is known for makes the answer unusable, though a wait goes on."""
    rows, is_usable = explained({"id": "a", "status": "SUCCEED", "url": _VIDEO})
    unknown, is_unknown_usable = explained({"id": "a", "status": "moderating"})

    assert (rows["state"].value, is_usable) == ("completed", True)
    assert '"SUCCEED"' in str(rows["state"].note)
    assert (unknown["state"].value, unknown["state"].place, is_unknown_usable) == ("unknown", "status", False)
    assert "state_words" in str(unknown["state"].note)


def test_all_of_a_failure_is_explained() -> None:
    """Reason, code, and whether another submit may succeed."""
    body = {"id": "a", "state": "failed", "data": {"why": 1, "message": "no", "failure_code": "content_moderated"}}
    rows, is_usable = explained(body)

    assert (rows["reason"].value, rows["reason"].place, is_usable) == ("no", "data.message", True)
    assert (rows["code"].value, rows["code"].place) == ("content_moderated", "data.failure_code")
    assert rows["code"].note == "another submit would fail, too"


@pytest.mark.parametrize(
    ("told", "value"), [("7%", 0.07), (7, 0.07), (0.07, 0.07), ("0.3", 0.3), (0, 0.0), ("100%", 1.0)]
)
def test_numbers_are_explained_in_our_units(told: Any, value: float) -> None:
    """Progress as a share, whatever its unit in the answer."""
    rows, _ = explained({"id": "a", "state": "queued", "n": 55, "progress": told, "queue_position": 3})

    assert (rows["progress"].value, rows["progress"].place) == (value, "progress")
    assert (rows["queue_position"].value, rows["queue_position"].place) == (3, "queue_position")


def test_links_that_are_not_the_video_for_certain_are_shown() -> None:
    """A completed task without a link is not usable, and its candidates have rows."""
    body = {"id": "a", "state": "completed", "media": {"hd": _VIDEO, "sd": "https://cdn.example/small.mp4"}}
    rows, is_usable = explain(answer(body), RELAY)

    assert not is_usable
    assert {row.place: row.value for row in rows if row.field == "problem"} == {
        "media.hd": _VIDEO,
        "media.sd": "https://cdn.example/small.mp4",
    }


def test_a_data_link_is_explained_in_part() -> None:
    """Its medium is not shown."""
    link = f"data:video/mp4;base64,{'AAAA' * 500}"
    rows, is_usable = explained({"id": "a", "state": "completed", "url": link, "input": {"x": link}, "y": [link]})

    assert is_usable
    assert rows["link"].value == f"{link[:59]}…"
    assert "AAAA" * 12 not in "".join(row.line() for row in rows.values())


# --- the id ---


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"request_id": "r", "data": {"generation_id": "g", "status": "done", "url": _VIDEO}}, "g"),
        ({"code": 0, "data": {"id": 9, "task_id": "t", "status": "queued"}}, "t"),
        ({"id": 9, "status": "queued"}, "9"),
        ([{"id": "a", "state": "queued"}, {"id": "b", "state": "queued"}], "a"),
    ],
)
def test_the_id_is_the_one_that_the_answer_carries(body: Any, found: str) -> None:
    """Unless another one is given, whose row is then explained; with a state, it is an answer to a poll."""
    rows, is_usable = explained(body)

    assert (rows["id"].value, is_usable) == (found, True)
    assert rows["state"].value in ("completed", "pending")


def test_of_several_tasks_one_can_be_chosen() -> None:
    """An id that the answer does not have is another task's."""
    body = [{"id": "a", "state": "queued"}, {"id": "b", "state": "failed"}]

    assert "2 tasks" in str(explained(body)[0]["id"].note)
    assert explained(body, task_id="b")[0]["state"].value == "failed"
    assert explained(body, task_id="c")[0]["error"].value == "ProtocolError"


# --- a submit ---


@pytest.mark.parametrize(
    ("body", "value", "place"),
    [
        ({"task_id": "t-1"}, "t-1", "task_id"),
        ({"code": 1, "description": "ok", "result": "1320098173412546"}, "1320098173412546", "result"),
        ({"code": "success", "message": "", "data": "03e14331-5faf"}, "03e14331-5faf", "data"),
        ({"code": 200, "data": {"taskId": 4711}}, "4711", "data.taskId"),
        ({"code": 0, "request_id": "r-1", "data": {"task_ids": ["t-1"]}}, "t-1", "data.task_ids.0"),
        ({"data": '{"task_id": "t-1"}', "result": "t-1"}, "t-1", "data.task_id"),
    ],
)
def test_the_id_of_a_submits_answer_is_explained_by_its_place(body: dict[str, Any], value: str, place: str) -> None:
    """It has no state, and none is called missing; a submit reads the same id."""
    rows, is_usable = explained(body)

    assert (rows["id"].value, rows["id"].place, is_usable) == (value, place, True)
    assert "the answer to a submit" in str(rows["id"].note)
    assert list(rows) == ["id", "request_id"]
    assert read_submitted(answer(body)) == value


@pytest.mark.parametrize(
    "name", ["luma_api__submit_201", "luma_api__submit_slash", "express__submit", "new_api__submit_data"]
)
def test_each_captured_answer_to_a_submit_has_its_id(name: str) -> None:
    """Those with a state are explained like the answer to a poll."""
    (path,) = _SAMPLES.glob(f"gateways/{name}*.json")
    captured = read_captured(path.read_bytes())

    rows, is_usable = explain(captured, RELAY)

    assert (rows[0].field, rows[0].value, is_usable) == ("id", read_submitted(captured), True)


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"code": "success", "message": "", "data": "03e14331"}, "03e14331"),
        ({"code": "fail_to_fetch_task", "message": "no", "data": "03e14331"}, None),
        ({"code": "success", "message": "", "data": []}, None),
        ({"code": 1, "description": "queue full", "result": ""}, None),
    ],
    ids=["a poll", "a refusal", "an empty batch", "no id"],
)
def test_what_is_not_the_answer_to_a_submit_is_not_explained_as_one(body: dict[str, Any], task_id: str | None) -> None:
    """With --id it was a poll."""
    rows, is_usable = explained(body, task_id=task_id)

    assert (rows["id"].value if "id" in rows else None, is_usable) == (None, False)
    assert "error" in rows


# --- what is missing ---


@pytest.mark.parametrize(
    "body",
    [
        {"ticketId": "x-1", "phase": "done", "url": _VIDEO},
        {"code": 0, "message": "SUCCEED", "payload": {"ticketId": "x-1", "phase": "done", "url": _VIDEO}},
        {"ok": True, "job": {"handle": "x-1", "phase": "DONE", "files": {"mp4": _VIDEO}}},
        {"id": "x-1", "detail": {"status": "done"}, "url": _VIDEO},
        {"reply": [{"ticket": "x-1", "progress_state": "finished", "media": [{"hd": _VIDEO}]}]},
    ],
)
def test_the_notes_lead_to_a_dialect(body: dict[str, Any]) -> None:
    """What they say to add, added, makes an unknown relay's answer usable, and a wait reads it."""
    dialect = RELAY
    for _ in range(3):
        rows, is_usable = explain(answer(body), dialect, "x-1")
        added: dict[str, list[str]] = {}
        for row in rows:
            for key, names in re.findall(r"(\w+) = (\[[^]]+\])", row.note or ""):
                added.setdefault(key, []).extend(tomllib.loads(f"names = {names}")["names"])
        if not added:
            break
        given: dict[str, Any] = {key: [*names, *getattr(dialect, key)] for key, names in added.items()}
        dialect = evolve(dialect, **given)

    assert is_usable
    assert read_task(answer(body), "x-1", dialect).video_url == _VIDEO


def test_what_cannot_be_told_apart_is_listed() -> None:
    """The texts that may be the id or the state are named."""
    rows, is_usable = explained({"ticket": "x-1", "phase": "cooking"})

    assert not is_usable
    assert "ticket, phase" in str(rows["id"].note)
    assert "state_keys" in str(rows["state"].note)


def test_a_word_about_the_request_is_not_proposed_for_the_state() -> None:
    """Though it is one that tells a state elsewhere."""
    rows, _ = explained({"ticket": "x-1", "message": "SUCCEED", "phase": "cooking"}, task_id="x-1")

    assert rows["state"].place is None
    assert "one of phase" in str(rows["state"].note)


# --- an error ---


@pytest.mark.parametrize(
    ("name", "error", "verdict"),
    [
        ("error__401_invalid_key", "AuthenticationError", "final"),
        ("error__400_task_not_exist", "NotFoundError", "unconfirmed"),
        ("error__429_request", "RateLimitError", "slow_down"),
        ("error__520_html", "ServerError", "passing"),
        ("error__200_html", "ProtocolError", "passing"),
        ("gateways/luma_api__get_500", "ServerError", "passing"),
        ("gateways/nginx__503", "ServerError", "passing"),
    ],
)
def test_an_error_is_the_one_that_a_wait_sees(name: str, error: str, verdict: str) -> None:
    """With its verdict, what a wait does, and the request id of any gateway."""
    path, *_ = sorted(_SAMPLES.glob(f"{name}*.json"))

    rows, is_usable = explain(read_captured(path.read_bytes()), RELAY)
    found = {row.field: row.value for row in rows}

    assert (found["error"], found["verdict"], is_usable) == (error, verdict, False)
    assert found["wait"]


# --- the forms of a file ---

_BODY = json.dumps({"id": TASK_ID, "state": "queued", "note": "é"}).encode()
_BODY_AS_TEXT = json.dumps({"id": TASK_ID, "state": "queued", "note": "é"}, ensure_ascii=False)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: r-1\r\n\r\n"


@pytest.mark.parametrize(
    ("content", "request_id"),
    [
        (_BODY, None),
        (b"\xef\xbb\xbf\r\n" + _BODY_AS_TEXT.encode(), None),
        (b"\xff\xfe" + _BODY_AS_TEXT.encode("utf-16-le"), None),
        (_HEAD + _BODY, "r-1"),
        (_HEAD.replace(b"\r", b"") + _BODY, "r-1"),
        (b"\xff\xfe" + (_HEAD + _BODY).decode().encode("utf-16-le"), "r-1"),
        (b"HTTP/2 200 \r\nx-oneapi-request-id: r-1\r\n\r\n" + _BODY, "r-1"),
        (b"HTTP/2 200 \r\nX-Trace-Id: r-2\r\n\r\n" + _BODY, "r-2"),
        (b"HTTP/1.1 200 Connection established\r\n\r\n" + _HEAD + _BODY, "r-1"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + _HEAD + _BODY, "r-1"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n" + _HEAD + _BODY, "r-1"),
        (
            json.dumps(
                {"request": "GET /x", "status": 200, "headers": {"X-Request-ID": "r-1"}, "body": json.loads(_BODY)}
            ).encode(),
            "r-1",
        ),
        (json.dumps({"status": 200, "headers": {}, "body": _BODY.decode()}).encode(), None),
    ],
)
def test_an_answer_may_be_captured_in_several_forms(content: bytes, request_id: str | None) -> None:
    """The body alone, with headers as curl prints them, or JSON about both; in UTF-8 or UTF-16."""
    captured = read_captured(content)

    assert (captured.status, captured.request_id) == (200, request_id)
    assert read_task(captured, TASK_ID).state is State.PENDING


@pytest.mark.parametrize("status", [403, 429, 500])
def test_headers_that_change_the_meaning_are_heeded(status: int) -> None:
    """A firewall's mark and a hint when to come back."""
    head = f"HTTP/2 {status}\ncf-mitigated: challenge\nretry-after: 7\ndate: Sat, 28 Nov 2026 13:00:00 GMT\n\n<html>"
    captured = read_captured(head.encode())

    assert (captured.status, captured.is_challenge, captured.retry_after, captured.body) == (
        status,
        True,
        "7",
        b"<html>",
    )


@pytest.mark.parametrize(
    "body",
    [
        {"id": TASK_ID, "status": "queued", "body": {"fat": 1}},
        {"id": TASK_ID, "status": "queued", "headers": {}, "body": {}},
    ],
)
def test_a_task_with_such_keys_is_not_taken_for_a_captured_answer(body: dict[str, Any]) -> None:
    """Its status is a word."""
    assert read_task(read_captured(json.dumps(body).encode()), TASK_ID).state is State.PENDING


# --- the command ---


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give neither address nor key."""
    for name in ("LUMA_BASE_URL", "LUMA_API_KEY", "LUMA_API_KEY_FILE", "LUMA_DIALECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("offline")
def test_the_command_needs_neither_address_nor_key(command: Command, tmp_path: Path) -> None:
    """It reads a file or standard input, and writes one line for each row; the status says whether it can be used."""
    (tmp_path / "answer.json").write_bytes(_BODY)

    by_file = command("check", "--explain", str(tmp_path / "answer.json"))
    by_pipe = command("check", "--explain", "-", stdin=_BODY_AS_TEXT)
    unusable = command("check", "--explain", "-", "--id", "x", stdin=_BODY_AS_TEXT)

    assert (by_file.status, by_file.err) == (0, "")
    assert by_file.out == by_pipe.out
    assert all(list(row) == ["field", "value", "place", "note"] for row in by_file.lines)
    assert by_file.lines[0]["value"] == TASK_ID
    assert unusable.status == 1


@pytest.mark.parametrize("width", [30, 100])
def test_a_terminal_shows_each_row_and_obeys_nothing(width: int) -> None:
    """Value, place and note, whole, also where the terminal is narrow."""
    live = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, highlight=False)

    draw(explain(answer({"id": "a\x1b[2J", "state": "failed", "message": "[bold]no\x1b[2J"}), RELAY)[0], live)

    assert isinstance(live.file, io.StringIO)
    text = live.file.getvalue()
    assert "\x1b[2J" not in text
    assert "[bold]no" in text
    assert "at message" in text


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_command_reads_in_a_dialect(command: Command, tmp_path: Path, how: str) -> None:
    """Of a file, by option or variable."""
    (tmp_path / "own.toml").write_text('id_keys = ["ticket"]\n[state_words]\nklar = "failed"', encoding="utf-8")
    path = str(tmp_path / "own.toml")
    given = ["--dialect", path] if how == "option" else []
    env = {"LUMA_DIALECT": path} if how == "variable" else {}

    ended = command("check", "--explain", "-", "--id", "x", *given, stdin='{"ticket": "x", "status": "klar"}', env=env)

    assert ended.status == 0
    assert [row["value"] for row in ended.lines[:2]] == ["x", "failed"]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--explain", "nowhere.json"), "nowhere.json cannot be read"),
        (("--id", "x"), "--id is only for --explain"),
        (("--explain", "-", "--id", "../x"), "is not a task id"),
        (("--explain", "-", "--dialect", "klingon"), "dialect 'klingon' is not known"),
        (("--explain", "-", "--dialect", "./no.toml"), "cannot be read"),
    ],
)
def test_what_cannot_be_explained_is_a_wrong_use(command: Command, arguments: tuple[str, ...], said: str) -> None:
    """With status 2 and one message."""
    ended: Ended = command("check", *arguments)

    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
