"""Times, drawn: bars by the numbers, and words for those who cannot see them."""

from __future__ import annotations

import pytest

from luma_async.cli.gallery.entries import Collection
from luma_async.cli.gallery.timeline import figure, span
from tests.cli.batch import Told
from tests.cli.parsed import Parsed, parsed


def drawn(*told: Told) -> Parsed:
    """Return the figure of *told*."""
    collection = Collection()
    collection.read("batch.jsonl", [it.line for it in told])
    return parsed(figure(collection.entries(lambda *_: None), label="times"))


def bars(it: Parsed) -> list[tuple[str | None, str | None, str | None]]:
    """Return class, start and width of each bar but those of the legend."""
    return [(rect["class"], rect["x"], rect["width"]) for rect in it.all("rect") if rect["x"] != "0"]


def test_bars_follow_each_other_on_one_scale() -> None:
    """Each row begins at zero; the longest one ends at the right margin."""
    it = drawn(Told(task_id="a", queue=20, processing=80), Told(task_id="b", queue=10, processing=25))

    assert bars(it) == [
        ("queue", "0.00%", "20.00%"),
        ("processing", "20.00%", "80.00%"),
        ("queue", "0.00%", "10.00%"),
        ("processing", "10.00%", "25.00%"),
    ]


def test_a_failure_is_told_apart() -> None:
    """In its processing, and in words."""
    it = drawn(Told(status="FAILURE", queue=30, processing=10))

    assert bars(it) == [("queue failed", "0.00%", "75.00%"), ("processing failed", "75.00%", "25.00%")]
    assert "queue 30 s, processing 10 s, failed" in it.text("span")


def test_words_say_what_the_bars_show() -> None:
    """A screen reader is told of no drawing."""
    it = drawn(Told(task_id="a", prompt="a fox"), Told(task_id="b", prompt=None, queue=None, processing=None))

    assert all(svg["aria-hidden"] == "true" for svg in it.all("svg"))
    assert it.text("span")[:4] == ["a fox", "queue 12 s, processing 41 s", "b", "waited for 55.2 s"]
    assert it.all("figure") == [{"class": "timeline", "aria-labelledby": "times"}]


def test_the_legend_has_what_is_drawn_and_nothing_else() -> None:
    """Each kind of bar with the same looks."""
    it = drawn(Told())

    assert it.text("span")[-2:] == ["in the relay's queue", "in processing"]
    assert [(rect["class"], rect["height"]) for rect in it.all("rect")] == [("queue", "6"), ("processing", "14")] * 2


@pytest.mark.parametrize(
    ("waited", "names", "count"),
    [
        (0.0, ["0 s", "0.5 s"], 3),
        (0.35, ["0 s", "0.1 s", "0.2 s"], 4),
        (61, ["0 s", "30 s"], 3),
        (100, ["0 s", "30 s", "1 min"], 4),
        (7000, ["0 s", "30 min", "1 h"], 4),
        (1e6, ["0 s", "96 h", "192 h"], 3),
    ],
)
def test_marks_are_round_and_few(waited: float, names: list[str], count: int) -> None:
    """Those near the end have no name, or it would not fit on a narrow page."""
    it = drawn(Told(queue=None, processing=None, waited=waited))

    assert (it.text("text"), len(it.all("line"))) == (names, count)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (12.34, "12.3 s"),
        (59.96, "60 s"),
        (60, "1 min"),
        (61.5, "1 min 2 s"),
        (3599.6, "1 h"),
        (3660, "1 h 1 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_spans_of_time_in_words(seconds: float, words: str) -> None:
    """As exact as somebody wants to know it."""
    assert span(seconds) == words
