"""Compare luma_async with the official SDK, with aiohttp alone and with a naive loop, in one interleaved run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve

from tests.benchmarks import page, plots
from tests.benchmarks.report import Results
from tests.benchmarks.running import ROOT, fast_relay
from tests.benchmarks.suites import FULL, QUICK, SUITES, Sizes, Suite

PAGE = ROOT / "docs" / "performance.md"


def main(arguments: Sequence[str] | None = None, tiny: Sizes | None = None) -> None:
    """Run what is asked for, in *tiny* sizes if there are any, print the tables, and keep them where that is wanted."""
    wanted = _parser().parse_args(arguments)
    document = _kept(wanted.json)
    if not wanted.redraw:
        sizes = tiny or _with_rounds(QUICK if wanted.quick else FULL, wanted.rounds)
        document |= {"day": f"{datetime.now(UTC):%Y-%m-%d}", "quick": wanted.quick, "surroundings": page.surroundings()}
        for name, results in run(sizes, wanted.only):
            document["found"][name] = results
            _keep(document, wanted.json)
    text = page.measured(document)
    sys.stdout.write(f"{text}\n")
    if wanted.write:
        page.write(wanted.write, text)
        plots.draw(document["found"], wanted.write.parent)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: minutes, rough figures")
    parser.add_argument("--only", type=_suites, default=list(SUITES), help=f"some of: {', '.join(SUITES)}")
    parser.add_argument("--rounds", type=int, help="rounds of every suite, instead of the usual number")
    parser.add_argument("--json", type=Path, help="keep the results in this file, and what it has of other suites")
    parser.add_argument("--redraw", action="store_true", help="measure nothing, show what the file of --json has")
    parser.add_argument("--write", type=Path, nargs="?", const=PAGE, help="put tables and pictures into this page")
    return parser


def _suites(names: str) -> list[str]:
    wanted = names.split(",")
    if unknown := [name for name in wanted if name not in SUITES]:
        raise argparse.ArgumentTypeError(f"no suite is called {unknown[0]!r}")
    return wanted


def _with_rounds(sizes: Sizes, rounds: int | None) -> Sizes:
    return sizes if rounds is None else evolve(sizes, rounds=rounds, long_rounds=rounds)


def _kept(path: Path | None) -> dict[str, Any]:
    """Return what earlier runs found, to be completed by this one."""
    empty: dict[str, Any] = {"found": {}}
    return {**empty, **json.loads(path.read_text(encoding="utf-8"))} if path and path.exists() else empty


def _keep(document: dict[str, Any], path: Path | None) -> None:
    if path:
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def run(sizes: Sizes, names: Sequence[str]) -> Iterator[tuple[str, Results]]:
    """Run the suites *names* one after the other, and give what each found as it ends."""
    with fast_relay() as port:
        for name in names:
            yield name, rounds_of(SUITES[name](sizes), port)


def rounds_of(suite: Suite, port: int) -> Results:
    """Take each subject once in each round, A B C, A B C, so that the machine's moods hit all alike."""
    results: Results = {subject.label: [] for subject in suite.subjects}
    for number in range(suite.rounds):
        for subject in suite.subjects:
            sys.stderr.write(f"{suite.name}, round {number + 1} of {suite.rounds}: {subject.label}\n")
            results[subject.label].append(subject.take(port))
    return results


if __name__ == "__main__":
    main()
