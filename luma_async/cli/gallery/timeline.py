"""Draws how long generations took: one bar for each, all from zero, at any width of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count

from luma_async.cli.gallery.entries import Entry, Section, Stage
from luma_async.cli.gallery.markup import Markup, element, joined

_MOST_TICKS = 4
_LATE = 0.76
"""A mark beyond this part of the axis has no name: a narrow page has no room for it."""
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
_DAY = 86400.0
_MINUTE, _HOUR = 60, 3600

_LOOKS: dict[Stage, tuple[str, str]] = {Stage.QUEUE: ("7", "6"), Stage.WAITED: ("5.5", "9")}
"""Top and height of a bar in pixels: stages also differ without colours."""
_FULL = ("3", "14")


def figure(entries: Sequence[Entry], label: str) -> Markup:
    """Return the times of *entries* as a figure named by the element with the id *label*."""
    rows = [(entry, entry.stages) for entry in entries]
    longest = max((sum(seconds for _, seconds in stages) for _, stages in rows), default=0.0) or 1.0
    seen = {stage for _, stages in rows for stage, _ in stages}
    return element(
        "figure",
        _axis(longest),
        element("ol", *(_row(entry, stages, longest) for entry, stages in rows), role="list"),
        element("figcaption", *(_legend(stage) for stage in Stage if stage in seen)),
        class_="timeline",
        aria_labelledby=label,
    )


def span(seconds: float) -> str:
    """Return *seconds* in words."""
    if seconds < _MINUTE:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s".removesuffix(" 0 s")
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min".removesuffix(" 0 min")


def _ticks(longest: float) -> Iterator[float]:
    """Yield the marks of an axis that ends at *longest* seconds."""
    steps = chain(_STEPS, (_DAY * 2**doubled for doubled in count()))
    step = next(step for step in steps if longest / step <= _MOST_TICKS)
    return (number * step for number in range(int(longest / step) + 1))


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}%"


def _axis(longest: float) -> Markup:
    """Return the marks with their names; every bar has the same marks behind it."""
    ticks = list(_ticks(longest))
    places = [_percent(tick, longest) for tick in ticks]
    lines = (element("line", x1=place, x2=place, y1="0", y2="100%") for place in places)
    names = (
        element("text", span(tick), x=place, y="14")
        for tick, place in zip(ticks, places, strict=True)
        if tick <= _LATE * longest
    )
    grid = element("defs", element("g", *lines, id="ticks"))
    return element("svg", grid, *names, class_="axis", aria_hidden="true", focusable="false")


def _row(entry: Entry, stages: list[tuple[Stage, float]], longest: float) -> Markup:
    lengths = ", ".join(f"{stage} {span(seconds)}" for stage, seconds in stages)
    return element(
        "li",
        element("span", entry.prompt or entry.task_id, class_="name", dir="auto"),
        element("span", lengths, "" if entry.section is Section.COMPLETED else f", {entry.section}", class_="told"),
        element("svg", *_bars(entry, stages, longest), aria_hidden="true", focusable="false"),
    )


def _bars(entry: Entry, stages: list[tuple[Stage, float]], longest: float) -> Iterator[Markup]:
    start, failed = 0.0, " failed" if entry.section is Section.FAILED else ""
    yield element("use", href="#ticks")
    for stage, seconds in stages:
        yield _bar(stage, failed, x=_percent(start, longest), width=_percent(seconds, longest))
        start += seconds


def _bar(stage: Stage, more: str = "", **place: str) -> Markup:
    top, height = _LOOKS.get(stage, _FULL)
    return element("rect", **place, y=top, height=height, rx="2", class_=f"{stage.name.lower()}{more}")


_EXPLAINED = {
    Stage.QUEUE: "in the relay's queue",
    Stage.PROCESSING: "in processing",
    Stage.RELAY: "at the relay, queue and processing together",
    Stage.WAITED: "our own waiting, where the relay gives no times",
}


def _legend(stage: Stage) -> Markup:
    swatch = element("svg", _bar(stage, x="0", width="100%"), aria_hidden="true", focusable="false")
    return element("span", joined(swatch, _EXPLAINED[stage]))
