"""Each measurement in its smallest size: that it works at all, not what it finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, define, evolve

from tests.benchmarks import suites
from tests.benchmarks.__main__ import main, rounds_of
from tests.benchmarks.catalogue import CLIENTS
from tests.benchmarks.child import measured
from tests.benchmarks.clients import Options
from tests.benchmarks.running import Subject, fast_relay
from tests.benchmarks.suites import QUICK, SUITES, Imported, Suite
from tests.quick import quick

TINY = evolve(QUICK, rounds=1, long_rounds=1, polls_each=2)
FACTS: dict[str, dict[str, Any]] = {
    "polls": {"concurrency": 3, "polls_each": 4},
    "waiting": {"count": 200},
    "run": {"count": 4, "medians": [0.05, 0.05], "speed": 1.0, "over": 0.0},
    "load": {"count": 5, "window": 0.1},
}
OLD = {"bare interpreter": [{"cpu_ms": 9.0}]}
SOON = Options(first=0.02, most=0.05, factor=1.5)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The fast relay's."""
    with fast_relay() as port:
        yield port


def order(measure: str, client: str, port: int, **facts: Any) -> dict[str, Any]:
    """Return what a child is told."""
    subject = Subject(label="", client=client, options=SOON, measure=measure, facts={**FACTS[measure], **facts})
    return {**asdict(subject), "port": port}


@pytest.mark.parametrize("client", ["aiohttp", "luma_async"])
@pytest.mark.parametrize("measure", ["polls", "run", "load"])
async def test_each_measurement_finds_what_its_tables_show(measure: str, client: str, port: int) -> None:
    """Each column of each suite that takes this measurement has its figure."""
    made = [make(TINY) for make in SUITES.values()]
    columns = {
        column.key
        for suite in made
        if isinstance(suite.subjects[0], Subject) and suite.subjects[0].measure == measure
        for column in suite.columns
    }

    found = await measured(order(measure, client, port))

    assert columns
    assert columns <= found.keys()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux tells it")
@pytest.mark.parametrize("client", quick(["luma_async", "aiohttp"]))
async def test_waiting_tasks_are_seen_and_weighed(client: str, port: int) -> None:
    """Some memory is in use for each, and it took some time to see all."""
    options = asdict(Options(first=60, most=60))

    found = await measured({**order("waiting", client, port), "options": options})

    assert 0.1 < found["used_kib_each"] < 100
    assert found["all_seen_s"] > 0


@pytest.mark.parametrize("client", [name for name in CLIENTS if not name.startswith("sdk")])
async def test_each_client_polls_exactly_as_often_as_it_should(client: str, port: int) -> None:
    """Three ids with four polls each are twelve requests; one more or less would make figures incomparable."""
    found = await measured(order("polls", client, port))

    assert found["polls"] == 12


@pytest.mark.parametrize("client", [name for name in CLIENTS if name.startswith("sdk")])
async def test_the_official_sdk_polls_exactly_as_often_as_it_should(client: str, port: int) -> None:
    """With both back ends."""
    pytest.importorskip("lumaai", reason="the official SDK belongs to the extra bench")

    found = await measured(order("polls", client, port))

    assert found["polls"] == 12


@pytest.mark.parametrize("client", ["aiohttp", "luma_async"])
async def test_tasks_can_come_one_after_the_other(client: str, port: int) -> None:
    """None is lost, and none is polled long before it is submitted."""
    found = await measured(order("run", client, port, over=0.2))

    assert found["lost"] == 0
    assert found["seconds"] > 0.2


async def test_a_relay_that_calls_back_saves_requests(port: int) -> None:
    """Each change is told, so that a client with long pauses sees an end at once, with few polls."""
    options = asdict(Options(first=0.01, most=30.0, factor=30.0))

    found = await measured(
        {**order("run", "luma_async called back", port, medians=[0.3, 0.3], warm=3), "options": options}
    )

    assert found["lost"] == 0
    assert found["late_mean_s"] < 0.3


@pytest.mark.parametrize("client", ["aiohttp", "luma_async"])
async def test_nothing_is_noticed_before_it_is_told(client: str, port: int) -> None:
    """Both are told in the seconds of a relay that is as fast as life, whatever the speed."""
    found = await measured(order("run", client, port, speed=2.0))

    assert 0 < found["told_p50_s"] <= found["late_p50_s"]


def test_a_child_tells_its_figures(port: int) -> None:
    """A measurement in a process of its own comes back as numbers."""
    subject = Subject(label="it", client="aiohttp", measure="polls", facts=FACTS["polls"])

    found = subject.take(port)

    assert found["cpu_us"] > 0


def test_an_import_is_weighed() -> None:
    """An interpreter takes some CPU time, even for nothing."""
    assert Imported("nothing", "pass").take(0)["cpu_ms"] > 0


def test_an_import_that_fails_is_no_figure() -> None:
    """Rather than the time that it took to fail."""
    with pytest.raises(RuntimeError, match="'import nowhere_at_all' failed"):
        Imported("nothing", "import nowhere_at_all").take(0)


@define
class Noted:
    """A subject that notes when it is taken."""

    label: str
    taken: list[str]

    def take(self, _port: int) -> dict[str, float]:
        """Note it."""
        self.taken.append(self.label)
        return {"number": len(self.taken)}


def test_rounds_are_interleaved(capsys: pytest.CaptureFixture[str]) -> None:
    """Each subject once, and then each once more, and whoever polls on is told so."""
    taken: list[str] = []
    subjects = [Noted("a", taken), Noted("b", taken)]
    suite = Suite(name="notes", title="", note="", subjects=subjects, columns=[], base="a", rounds=2)

    results = rounds_of(suite, port=0)

    assert taken == ["a", "b", "a", "b"]
    assert results == {"a": [{"number": 1}, {"number": 3}], "b": [{"number": 2}, {"number": 4}]}
    assert capsys.readouterr().err.splitlines()[-1] == "notes, round 2 of 2: b"


@pytest.mark.slow
def test_what_a_run_finds_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside what the file has of other suites, and it is shown as tables."""
    file = tmp_path / "results.json"
    file.write_text(json.dumps({"found": {"imports": OLD}}), encoding="utf-8")

    main(["--only", "steps", "--json", str(file)], tiny=TINY)

    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["found"]["imports"] == OLD
    assert kept["found"]["steps"].keys() == {subject.label for subject in suites.steps(TINY).subjects}
    assert "## Where the microseconds go" in capsys.readouterr().out
