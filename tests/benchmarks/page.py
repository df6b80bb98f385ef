"""The measured part of a page: written by the program that measured, never by hand."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks import report
from tests.benchmarks.plots import PICTURES
from tests.benchmarks.suites import FULL, QUICK, SUITES

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

_PACKAGES = ("luma-async", "aiohttp", "attrs", "cattrs", "tenacity", "lumaai", "httpx", "httpx-aiohttp", "pydantic")


def surroundings() -> dict[str, Any]:
    """Return the machine and the versions that figures depend on."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _processor() -> str:
    """Return the processor's name as Linux knows it, else as Python does."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def measured(document: dict[str, Any]) -> str:
    """Return all that *document* holds as Markdown: the aims first, then a section for each suite."""
    around = document["surroundings"]
    versions = ", ".join(f"{name} {number}" for name, number in around["versions"].items())
    sizes = QUICK if document["quick"] else FULL
    parts = [
        f"Measured on {document['day']}: {around['machine']}; {around['python']}; {versions}.",
        f"The machine's load average was {around['load']} at the beginning.",
        "## What was aimed at, and what was found",
        report.targets(document["found"]),
    ]
    found = document["found"]
    for name in filter(found.__contains__, SUITES):
        suite = SUITES[name](sizes)
        parts += [f"## {suite.title}", suite.note, report.table_of(suite, found[name])]
        parts += [PICTURES[name]] if name in PICTURES else []
    return "\n\n".join(parts)


def write(page: Path, text: str) -> None:
    """Put *text* between the marks of *page*, in place of what stood there.

    Raises:
        ValueError: The page lacks its marks.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no {BEGIN} with {END} after it")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
