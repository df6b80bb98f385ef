"""The soak in seconds instead of minutes, and what it would say of a process that leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from luma_async import Generation, Outcome, ServerError, State
from tests.soak.__main__ import Sample, by_minute, complaints, main
from tests.soak.load import Load, client

FLAT = [
    Sample(
        at=10.0 * number,
        ended=2000 * number,
        failed=100 * number,
        files=80 * number,
        given_up=number,
        wrong=0,
        resident=60.0 + number % 2,
        used=26.0,
        descriptors=15 + number % 5,
        tasks=0,
    )
    for number in range(60)
]


def grown(what: str, by: float) -> list[Sample]:
    """Return samples in which one figure grows by a little each time."""
    return [evolve(sample, **{what: getattr(sample, what) + by * number}) for number, sample in enumerate(FLAT)]


def test_what_only_goes_up_and_down_is_flat() -> None:
    """Idle connections come and go, and pages are taken and given back."""
    assert complaints(FLAT) == []


@pytest.mark.parametrize(("what", "by"), [("resident", 0.2), ("used", 0.1), ("descriptors", 0.5), ("tasks", 0.1)])
def test_what_grows_is_told(what: str, by: float) -> None:
    """However slowly, if it goes on."""
    (complaint,) = complaints(grown(what, by))

    assert complaint.startswith(f"{what} grew by ")


def test_the_warm_up_is_not_judged() -> None:
    """Caches and pools fill up at the beginning."""
    cold = [evolve(sample, resident=30.0, descriptors=5) for sample in FLAT[:12]]

    assert complaints([*cold, *FLAT[12:]]) == []


def test_a_single_wrong_outcome_is_told() -> None:
    """However flat the rest."""
    assert complaints([*FLAT, evolve(FLAT[-1], wrong=1)]) == ["1 wrong"]


def test_the_table_has_a_line_for_each_minute() -> None:
    """What was seen last in it."""
    assert [sample.at for sample in by_minute(FLAT)] == [
        50.0,
        110.0,
        170.0,
        230.0,
        290.0,
        350.0,
        410.0,
        470.0,
        530.0,
        590.0,
    ]


def done(task_id: str, **facts: Any) -> Generation:
    """Return a generation that has completed."""
    return Generation(id=task_id, state=State.COMPLETED, state_text="completed", **facts)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(task_id="soak-1", error=ServerError("no", status=500)),
        Outcome(task_id="soak-1", generation=done("soak-2")),
        Outcome(task_id="soak-20", generation=done("soak-20")),
    ],
    ids=["an error", "another's", "a failure that completed"],
)
async def test_a_wrong_outcome_is_noticed(outcome: Outcome, tmp_path: Path) -> None:
    """What becomes of each id is known beforehand."""
    async with client(1) as luma:
        load = Load(luma, tmp_path, at_once=1)
        load._judge(outcome)

    assert load.counts["wrong"] == 1


async def test_a_file_that_cannot_be_had_is_counted(tmp_path: Path) -> None:
    """As one that was given up, not as a wrong one."""
    async with client(1) as luma:
        load = Load(luma, tmp_path, at_once=1)
        await load._fetch(done("soak-1", result_url="ftp://nowhere.example/v.mp4"))

    assert (load.counts["given up"], load.counts["wrong"]) == (1, 0)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux tells it")
def test_a_soak_of_a_moment_is_flat(capsys: pytest.CaptureFixture[str]) -> None:
    """All its parts work together: the relay in its process, waits, files, those who pass by, and the table."""
    status = main(["--minutes", "0.01", "--at-once", "100"])

    header, first, verdict = capsys.readouterr().out.splitlines()
    assert status == 0
    assert header.split()[:2] == ["minute", "ended"]
    assert first.split()[:3] == ["1", "100", "5"]
    assert "1 rounds; growth: resident +0.0" in verdict
