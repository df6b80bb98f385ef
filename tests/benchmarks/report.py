"""What was found: medians and ratios as tables, and whether they are what was aimed at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from attrs import frozen

from tests.benchmarks import suites
from tests.benchmarks.suites import Column, Suite

Results = dict[str, list[dict[str, float]]]
"""What each round found, by the subject's label."""
Found = dict[str, Results]
"""By the suite's name."""


def middle(results: Results, label: str, key: str) -> float:
    """Return the median of the rounds."""
    return median(found[key] for found in results[label])


def ratio(results: Results, label: str, base: str, key: str) -> float:
    """Return the median of the ratios within each round: what slows the machine down slows both."""
    pairs = zip(results[label], results[base], strict=True)
    return median(found[key] / to[key] for found, to in pairs)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return *rows*, the first of which is the head, as Markdown; all but the first column are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |" for line in lines
    )


def table_of(suite: Suite, results: Results) -> str:
    """Return the table of one suite."""
    labels = [subject.label for subject in suite.subjects if subject.label in results]
    head = ["", *(title for column in suite.columns for title in _titles(column))]
    rows = [[label, *(cell for c in suite.columns for cell in _cells(c, suite, results, label))] for label in labels]
    return table([head, *rows])


def _titles(column: Column) -> list[str]:
    return [column.title, "ratio"] if column.compared else [column.title]


def _cells(column: Column, suite: Suite, results: Results, label: str) -> list[str]:
    cells = [format(middle(results, label, column.key), column.form)]
    if column.compared:
        cells.append(f"{ratio(results, label, suite.base, column.key):.2f}")
    return cells


# --- what was aimed at ---

_Figure = Callable[[Found], float]


@frozen
class Target:
    """One thing that was aimed at."""

    what: str
    figure: _Figure
    limit: float
    at_least: bool = False

    def row(self, found: Found) -> list[str]:
        """Return its row: the aim, what was found, and whether that is good enough."""
        sign = "≥" if self.at_least else "≤"
        try:
            value = self.figure(found)
        except KeyError:
            return [self.what, f"{sign} {self.limit:.4g}", "not measured", ""]
        good = value >= self.limit if self.at_least else value <= self.limit
        return [self.what, f"{sign} {self.limit:.4g}", f"{value:.3g}", "yes" if good else "no"]


def _one(suite: str, label: str, key: str) -> _Figure:
    return lambda found: middle(found[suite], label, key)


def _ratio(suite: str, key: str, label: str, base: str) -> _Figure:
    return lambda found: ratio(found[suite], label, base, key)


def _more(suite: str, key: str, label: str, base: str) -> _Figure:
    return lambda found: middle(found[suite], label, key) - middle(found[suite], base, key)


_WATCHED, _BARE = "luma_async, waiting", "aiohttp alone"
_ALONE, _TOGETHER = suites.OURS_ALONE, suites.OURS

TARGETS = [
    Target("One poll: CPU, to aiohttp alone", _ratio("polls", "cpu_us", _WATCHED, _BARE), 1.15),
    Target(
        "One poll: speed, to the official SDK on aiohttp",
        _ratio("polls", "per_second", _WATCHED, suites.SDK_AIOHTTP),
        3.5,
        at_least=True,
    ),
    Target(
        "One poll: speed, to the official SDK as installed",
        _ratio("polls", "per_second", _WATCHED, suites.SDK),
        12,
        at_least=True,
    ),
    Target("Small run: requests, to one by one", _ratio("small", "requests_each", _TOGETHER, _ALONE), 1 / 25),
    Target("Small run: late (p50), to one by one", _ratio("small", "late_p50_s", _TOGETHER, _ALONE), 1),
    Target("Small run: late (p95), to one by one", _ratio("small", "late_p95_s", _TOGETHER, _ALONE), 1),
    Target("Small run: CPU, to one by one", _ratio("small", "cpu_s", _TOGETHER, _ALONE), 1 / 6),
    Target("Small run: CPU, to the official SDK", _ratio("small", "cpu_s", _TOGETHER, suites.SDK), 1 / 50),
    Target("Small run, one by one: CPU, to the naive loop", _ratio("small", "cpu_s", _ALONE, suites.NAIVE), 1.15),
    Target(
        "Small run, one by one: CPU, to the naive loop with jitter",
        _ratio("small", "cpu_s", _ALONE, suites.JITTERED),
        0.7,
    ),
    Target(
        "Small run, one by one: late (p95), to the naive loop",
        _ratio("small", "late_p95_s", _ALONE, suites.NAIVE),
        0.6,
    ),
    Target("Called back: requests per task", _one("policies", suites.OURS_CALLED, "requests_each"), 3),
    Target("Called back: late, mean (s)", _one("policies", suites.OURS_CALLED, "late_mean_s"), 0.3),
    Target("Crowd: loop lag, p99 (ms)", _one("crowd", _TOGETHER, "lag_p99_ms"), 10),
    Target("Crowd: loop lag at most (ms)", _one("crowd", _TOGETHER, "lag_max_ms"), 50),
    Target("Waiting: KiB resident per task", _one("waiting", _TOGETHER, "resident_kib_each"), 10),
    Target("Waiting: seconds until all were seen once", _one("waiting", _TOGETHER, "all_seen_s"), 5),
    Target("Large run: late (p95), to the naive loop", _ratio("large", "late_p95_s", _TOGETHER, suites.NAIVE), 0.6),
    Target("Large run: CPU, to the naive loop", _ratio("large", "cpu_s", _TOGETHER, suites.NAIVE), 1),
    Target("Crowd: MiB at the peak", _one("crowd", _TOGETHER, "peak_mib"), 1024),
    Target(
        "Importing luma_async: CPU ms more than a bare interpreter",
        _more("imports", "cpu_ms", "import luma_async", "bare interpreter"),
        80,
    ),
]


def targets(found: Found) -> str:
    """Return what was aimed at and what was found, as Markdown."""
    return table([["", "aim", "found", "reached"], *(target.row(found) for target in TARGETS)])
