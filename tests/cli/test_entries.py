"""What lines tell of generations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from luma_async import NotFoundError, TransportError
from luma_async.cli.gallery.entries import Collection, Entry, Section, Stage, Unreadable
from luma_async.models import Role
from tests.cli.batch import Told


def entries(*lines: bytes, stored: dict[tuple[str, Role], str] | None = None) -> list[Entry]:
    """Return what *lines* tell, beside files that are *stored*."""
    collection = Collection()
    collection.read("batch.jsonl", lines)
    return collection.entries(lambda record, _, role: (stored or {}).get((record.task_id, role)))


def entry(told: Told) -> Entry:
    """Return the entry of *told*."""
    (only,) = entries(told.line)
    return only


def test_a_completed_generation() -> None:
    """Everything that the page shows of it is there."""
    it = entry(Told(task_id="a", prompt="a fox"))

    assert (it.task_id, it.section, it.prompt, it.trouble) == ("a", Section.COMPLETED, "a fox", None)
    assert (it.size, it.duration, it.waited, it.polls) == ((1360, 752), 5.041667, 55.2, 9)
    assert it.created_at == datetime(2024, 7, 1, 7, 35, 13, 498000, UTC)
    assert (it.video, it.poster) == ("https://cdn.example/media/a.mp4", "https://cdn.example/media/a.jpg")


def test_a_failed_generation_says_why() -> None:
    """In the relay's words; without any, in ours, and without the id, which stands beside it."""
    refused, silent = entries(
        Told(status="FAILURE", task_id="a", reason="refused").line, Told(status="FAILURE", task_id="b").line
    )

    assert (refused.section, refused.trouble, refused.video) == (Section.FAILED, "refused", None)
    assert silent.trouble == "the generation failed: the relay gave no reason"


PAGES = [
    ("<html><head><title>502 Bad Gateway</title></head><body><hr>nginx</body></html>", "502 Bad Gateway"),
    ("<!DOCTYPE html><title>Error</title><pre>Cannot GET /luma/x</pre>", "Cannot GET /luma/x"),
    ("upstream: <html><body><h1>Service &amp; proxy down</h1></body></html>", "upstream: Service & proxy down"),
    ("the face is <b>not</b> visible", "the face is <b>not</b> visible"),
    ("width < 512 and height > 64", "width < 512 and height > 64"),
]


@pytest.mark.parametrize(("reason", "sense"), PAGES)
def test_a_reason_that_is_a_page_has_its_sense(reason: str, sense: str) -> None:
    """As in the error's message; a text with a tag, which is no page, stays as it is."""
    assert entry(Told(status="FAILURE", task_id="a", reason=reason)).trouble == sense


def test_what_is_not_done() -> None:
    """Late, lost on the way or unknown to the relay: the error says it, also where no look has succeeded."""
    late, lost, unknown = entries(
        Told(task_id="a", status="IN_PROGRESS").line,
        Told(task_id="b").lost(TransportError("the connection was cut", task_id="b")),
        Told(task_id="c").lost(NotFoundError("no such task", status=404, task_id="c")),
    )

    assert {it.section for it in (late, lost, unknown)} == {Section.NOT_DONE}
    assert (late.trouble or "").startswith("not done after 55.2 s, last state 'IN_PROGRESS'")
    assert (lost.trouble, lost.generation, lost.prompt, lost.size, lost.duration, lost.created_at) == (
        ("the connection was cut", *[None] * 5)
    )
    assert unknown.trouble == "no such task"


@pytest.mark.parametrize(
    ("status", "state"), [("SUCCESS", "completed"), ("IN_PROGRESS", "processing"), ("stitching", "stitching")]
)
def test_the_state_is_one_of_ours_or_the_relay_s(status: str, state: str) -> None:
    """A word that nobody knows is told as it is."""
    assert entry(Told(status=status)).state == state


def test_stored_files_come_before_links() -> None:
    """Each on its own; beside a stored video the relay's picture, whose link expires, is left out."""
    stored: dict[tuple[str, Role], str] = {("a", "video"): "a.video.mp4", ("b", "thumbnail"): "b.thumbnail.jpg"}
    a, b = entries(Told(task_id="a").line, Told(task_id="b").line, stored=stored)

    assert (a.video, a.poster, a.is_stored) == ("a.video.mp4", None, True)
    assert (b.video, b.poster, b.is_stored) == ("https://cdn.example/media/b.mp4", "b.thumbnail.jpg", False)


def test_the_last_frame_serves_for_a_poster() -> None:
    """Where there is no thumbnail."""
    assert entry(Told(links={"last_frame": {"url": "https://cdn.example/l.jpg"}})).poster == "https://cdn.example/l.jpg"


@pytest.mark.parametrize(
    ("links", "size", "duration"),
    [
        ({}, None, None),
        ({"video": {"url": "https://cdn.example/v", "width": 640, "height": 480}}, (640, 480), None),
        ({"artifact": {"video_raw": {"width": 640, "height": 480, "duration": 9.5}}}, (640, 480), 9.5),
        ({"video_raw": {"width": 640, "duration": 0}}, None, None),
        ({"video_raw": {"width": -640, "height": 480, "duration": -1}}, None, None),
        ({"video_raw": {"width": 640, "height": -480}}, None, None),
    ],
)
def test_size_and_duration(links: dict[str, Any], size: tuple[int, int] | None, duration: float | None) -> None:
    """From wherever the relay has them, and whole or not at all."""
    it = entry(Told(links=links))

    assert (it.size, it.duration) == (size, duration)


def times(told: Told, **row: Any) -> list[tuple[Stage, float]]:
    """Return the stages of *told* whose row has other fields too."""
    record = json.loads(told.line)
    record["generation"].update(row)
    return entries(json.dumps(record).encode())[0].stages


@pytest.mark.parametrize(
    ("told", "row", "stages"),
    [
        (Told(), {}, [(Stage.QUEUE, 12), (Stage.PROCESSING, 41)]),
        (Told(processing=None), {}, [(Stage.QUEUE, 12)]),
        (Told(), {"submit_time": 0}, [(Stage.PROCESSING, 41)]),
        (Told(), {"start_time": 0}, [(Stage.RELAY, 53)]),
        (Told(), {"submit_time": 0, "start_time": 0}, [(Stage.WAITED, 55.2)]),
        (Told(), {"start_time": "2024-07-01T07:35:20Z"}, [(Stage.QUEUE, 7), (Stage.PROCESSING, 46)]),
        (Told(), {"start_time": 1719819312}, [(Stage.PROCESSING, 54)]),
        (Told(), {"submit_time": "soon", "start_time": [], "finish_time": 1e30}, [(Stage.WAITED, 55.2)]),
        (Told(queue=None, processing=None), {}, [(Stage.WAITED, 55.2)]),
    ],
)
def test_times_are_told_and_never_guessed(told: Told, row: dict[str, Any], stages: list[tuple[Stage, float]]) -> None:
    """As far as the row has them; what is not set, no time, or runs backwards tells nothing."""
    assert times(told, **row) == stages


def test_without_an_answer_there_is_our_waiting() -> None:
    """It may be all that is known; a negative time is none."""
    line = json.loads(Told(waited=3.0).lost(TransportError("cut")))

    before, after = entries(
        json.dumps(line | {"task_id": "a"}).encode(), json.dumps(line | {"task_id": "b", "elapsed": -1}).encode()
    )

    assert (before.stages, after.stages) == ([(Stage.WAITED, 3.0)], [(Stage.WAITED, 0.0)])


# --- several lines ---


def test_lines_that_are_no_outcomes_are_named() -> None:
    """By source and number; blank lines are nothing, and a byte order mark is no part of a line."""
    collection = Collection()
    collection.read("one", [b"\xef\xbb\xbf" + Told(task_id="a").line, b"\n", b"{}\n", b"\xff\n", b'{"task_id": "x'])
    collection.read("two", [Told(task_id="b").line, b"no"])

    assert collection.unreadable == {"one": Unreadable(3, [3, 4, 5]), "two": Unreadable(1, [2])}
    assert [it.task_id for it in collection.entries(lambda *_: None)] == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ("IN_PROGRESS", "SUCCESS", "completed"),
        ("SUCCESS", "IN_PROGRESS", "completed"),
        ("FAILURE", "SUCCESS", "completed"),
        ("SUBMITTED", "IN_PROGRESS", "processing"),
    ],
)
def test_an_id_with_several_lines_is_shown_once(first: str, second: str, state: str) -> None:
    """The later line counts, but a deadline does not undo a video; the place is that of the first."""
    collection = Collection()
    collection.read("batch", [Told(status=first).line, Told(task_id="other").line, Told(status=second).line])

    its = collection.entries(lambda *_: None)

    assert [it.task_id for it in its] == ["luma_gen_1", "other"]
    assert its[0].generation is not None
    assert (its[0].generation.state, collection.replaced) == (state, 1)
