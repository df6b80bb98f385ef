"""The two pictures that matter, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.report import Results, middle
from tests.benchmarks.suites import SEPARATOR

REQUESTS, CPU = "requests-against-latency.svg", "cpu-against-tasks.svg"
PICTURES = {
    "policies": f"![A point for each policy: requests per task, and seconds until it is noticed]({REQUESTS})",
    "load": f"![A line for each client: tasks in flight, and the share of a core]({CPU})",
}
"""What shows them in a page, by the suite that they belong to."""


def draw(found: dict[str, Results], directory: Path) -> list[Path]:
    """Draw what there are results for; return the files."""
    drawn = []
    if "policies" in found:
        drawn.append(_draw_policies(found["policies"], directory / REQUESTS))
    if "load" in found:
        drawn.append(_draw_load(found["load"], directory / CPU))
    return drawn


def _draw_policies(results: Results, path: Path) -> Path:
    """Draw a point for each policy; down and to the left is better."""
    figure, axes = _canvas("requests per task", "mean seconds from done to noticed")
    for label in results:
        x, y = middle(results, label, "requests_each"), middle(results, label, "late_mean_s")
        axes.plot(x, y, "o", color="tab:red" if label.startswith("luma_async") else "tab:gray")
        axes.annotate(label, (x, y), xytext=(6, 4), textcoords="offset points")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.margins(x=0.25)
    return _save(figure, path)


def _draw_load(results: Results, path: Path) -> Path:
    """Draw a line for each client."""
    figure, axes = _canvas("tasks in flight", "% of a core")
    lines: dict[str, list[tuple[int, float]]] = {}
    for label in results:
        who, _, count = label.partition(SEPARATOR)
        lines.setdefault(who, []).append((int(count.replace(",", "")), middle(results, label, "percent")))
    for who, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=who)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend()
    return _save(figure, path)


def _canvas(x: str, y: str) -> tuple[Any, Any]:
    import matplotlib as mpl  # noqa: PLC0415 - of the extra, and only where it is drawn
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "luma_async", "font.size": 9})
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    return path
