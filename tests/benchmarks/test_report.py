"""What is made of results: medians, ratios, tables, aims, the page and its pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import page, plots, suites
from tests.benchmarks.__main__ import main
from tests.benchmarks.report import TARGETS, Target, middle, ratio, table, table_of
from tests.benchmarks.running import Subject
from tests.benchmarks.suites import QUICK, SUITES, Suite

ALL = [make(QUICK) for make in SUITES.values()]


def made_up(suite: Suite) -> dict[str, list[dict[str, float]]]:
    """Return results of two rounds in which each row is twice as large as the one before."""
    return {
        subject.label: [{column.key: (1.0 + n) * 2**row for column in suite.columns} for n in range(2)]
        for row, subject in enumerate(suite.subjects)
    }


@pytest.fixture
def document() -> dict[str, Any]:
    """All that a run keeps."""
    return {
        "day": "2026-11-22",
        "quick": True,
        "surroundings": page.surroundings(),
        "found": {name: made_up(make(QUICK)) for name, make in SUITES.items()},
    }


def test_a_figure_is_the_median_of_its_rounds() -> None:
    """One round in which the machine was busy does not count."""
    results = {"a": [{"cpu": 3.0}, {"cpu": 1.0}, {"cpu": 90.0}]}

    assert middle(results, "a", "cpu") == 3


def test_a_ratio_compares_what_ran_in_the_same_round() -> None:
    """A busy round slows both alike, so the ratio of the medians would be another one."""
    results = {"a": [{"cpu": 2.0}, {"cpu": 20.0}, {"cpu": 9.0}], "base": [{"cpu": 1.0}, {"cpu": 10.0}, {"cpu": 1.0}]}

    assert ratio(results, "a", "base", "cpu") == 2


def test_a_table_is_aligned() -> None:
    """Names to the left, numbers to the right."""
    text = table([["", "µs"], ["aiohttp", "9"], ["ours", "11"]])

    assert text.splitlines() == ["|         | µs |", "| ------- | -: |", "| aiohttp |  9 |", "| ours    | 11 |"]


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_each_suite_has_a_row_for_each_subject(suite: Suite) -> None:
    """And a base among them that ratios can refer to."""
    labels = [subject.label for subject in suite.subjects]

    rows = table_of(suite, made_up(suite)).splitlines()[2:]

    assert [row.split("|")[1].strip() for row in rows] == labels
    assert len(set(labels)) == len(labels)
    assert suite.base in labels


def test_a_row_that_was_not_measured_is_left_out() -> None:
    """As where a version cannot do it yet."""
    suite = suites.imports(QUICK)
    results = made_up(suite)
    del results["import aiohttp"]

    assert "import aiohttp" not in table_of(suite, results)


@pytest.mark.parametrize(
    ("at_least", "found", "reached"),
    [(False, 1.0, "yes"), (False, 1.5, "yes"), (False, 1.6, "no"), (True, 1.4, "no"), (True, 1.5, "yes")],
)
def test_an_aim_is_reached_or_not(at_least: bool, found: float, reached: str) -> None:  # noqa: FBT001 - a column
    """The limit itself is good enough."""
    target = Target("it", lambda _: found, 1.5, at_least=at_least)

    assert target.row({})[3] == reached


def test_an_aim_that_was_not_measured_says_so() -> None:
    """Rather than nothing, or that it was reached."""
    assert {target.row({})[2] for target in TARGETS} == {"not measured"}


def test_each_aim_is_about_something_that_is_measured(document: dict[str, Any]) -> None:
    """A label or key that no suite has would never be reached, and nobody would notice."""
    rows = [target.row(document["found"]) for target in TARGETS]

    assert {row[3] for row in rows} <= {"yes", "no"}


def test_the_page_has_all_that_was_found(document: dict[str, Any]) -> None:
    """The machine, the versions, the aims, and a section for each suite with what belongs to it."""
    text = page.measured(document)

    assert "aiohttp 3." in text
    assert "CPython" in text
    assert [f"## {suite.title}" in text for suite in ALL] == [True] * len(ALL)
    assert text.count("](") == len(plots.PICTURES)


def test_the_measured_part_of_a_page_is_replaced(tmp_path: Path) -> None:
    """What stands before and after it stays, however often."""
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", encoding="utf-8")

    page.write(file, "first")
    page.write(file, "second")

    assert file.read_text(encoding="utf-8") == f"before\n{page.BEGIN}\n\nsecond\n\n{page.END}\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """It may be any file."""
    file = tmp_path / "page.md"
    file.write_text("all by hand", encoding="utf-8")

    with pytest.raises(ValueError, match="has no <!-- measured: begin -->"):
        page.write(file, "text")
    assert file.read_text(encoding="utf-8") == "all by hand"


def test_the_page_of_the_docs_was_written_by_the_program() -> None:
    """It has what the program measures between its marks, and each picture that it shows lies beside it."""
    docs = Path(__file__).parent.parent.parent / "docs"
    text = (docs / "performance.md").read_text(encoding="utf-8")

    measured = text.partition(page.BEGIN)[2].partition(page.END)[0]

    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", measured)
    assert "What was aimed at" in measured
    assert [name for name in shown if not (docs / name).is_file()] == []


@pytest.mark.slow
def test_pictures_are_drawn_of_what_was_found(document: dict[str, Any], tmp_path: Path) -> None:
    """One for the policies and one for the load; each client and policy has its name in it."""
    pytest.importorskip("matplotlib", reason="matplotlib belongs to the extra bench")

    drawn = plots.draw(document["found"], tmp_path)

    assert [path.name for path in drawn] == [plots.REQUESTS, plots.CPU]
    requests, load = (path.read_text(encoding="utf-8") for path in drawn)
    assert [subject.label in requests for subject in suites.policies(QUICK).subjects] == [True] * 7
    assert suites.OURS_ALONE in load
    assert suites.SEPARATOR not in load


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    """Where neither suite ran, no picture is touched."""
    assert plots.draw({}, tmp_path) == []


def test_results_can_be_shown_again(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without measuring anything."""
    file = tmp_path / "results.json"
    file.write_text(json.dumps(document), encoding="utf-8")

    main(["--redraw", "--json", str(file)])

    assert capsys.readouterr().out == page.measured(document) + "\n"


def test_an_unknown_suite_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, before anything is measured."""
    with pytest.raises(SystemExit):
        main(["--only", "polls,nonsense"])

    assert "no suite is called 'nonsense'" in capsys.readouterr().err


def test_what_runs_one_by_one_does_not_ask_for_many() -> None:
    """A row that says so has the batch query off, and a row that does not has it on."""
    batches = {
        subject.label: subject.options.batch
        for suite in (suites.small_run(QUICK), suites.waiting(QUICK))
        for subject in suite.subjects
        if isinstance(subject, Subject) and subject.client == "luma_async"
    }

    assert batches == {suites.OURS_ALONE: "never", suites.OURS_UVLOOP: "never", suites.OURS: "auto"}
