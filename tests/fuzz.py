"""Run every property of the project with new examples, round after round, for as long as you like.

All tests that hypothesis feeds take part, the mixture of waits and trouble included. A failing example is kept in
``.hypothesis``, is tried first in the next run, and its round's report says how to repeat it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
_COUNT = re.compile(r"^(\S+::\S+):$|^ +- (\d+) passing\D+(\d+) failing", re.MULTILINE)
_EVENT = re.compile(r"^ +\* .*\n", re.MULTILINE)
"""What hypothesis tells of its own work, in lines of any length."""


def counted(report: str) -> Counter[str]:
    """Return how many examples of each property a round's *report* tells of."""
    counts: Counter[str] = Counter()
    name = ""
    for property_, passing, failing in _COUNT.findall(report):
        name = property_ or name
        counts[name] += int(passing or 0) + int(failing or 0)
    return counts


def one_round(home: Path, where: str, select: str) -> tuple[int, str]:
    """Run every property once with new examples; return pytest's exit status, and its report."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", "-k", select, "-p", "no:cacheprovider"]
    command += ["-o", "addopts="]  # one process, the slow ones too
    command += ["--hypothesis-profile=fuzz", "--hypothesis-show-statistics", where]
    done = subprocess.run(command, cwd=home, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - ours
    return done.returncode, _EVENT.sub("", done.stdout)


def main(arguments: Sequence[str] | None = None, home: Path = ROOT) -> int:
    """Run rounds of the project at *home* until the time is over, and print what was run; 1 if a property fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="no round begins after that time")
    parser.add_argument("--only", default="", help="part of a property's name, as pytest's -k takes it")
    parser.add_argument("where", nargs="?", default="tests", help="a file or directory with properties")
    wanted = parser.parse_args(arguments)
    began, rounds, status, counts = time.monotonic(), 0, 0, Counter[str]()
    while not status and (not rounds or time.monotonic() < began + 60 * wanted.minutes):
        status, report = one_round(home, wanted.where, wanted.only)
        counts += counted(report)
        rounds += 1
        sys.stderr.write(f"round {rounds}: {counts.total()} examples so far\n")
    for name, count in sorted(counts.items()):
        sys.stdout.write(f"{count:>9} {name}\n")
    sys.stdout.write(f"{counts.total():>9} examples of {len(counts)} properties in {rounds} rounds\n")
    if status:
        sys.stdout.write(f"{report}\nkept as {_kept(home, report)}\n")
    return 1 if status else 0


def _kept(home: Path, report: str) -> Path:
    """Write the report of a round that failed to a file of its own."""
    reports = home / ".hypothesis" / "fuzz"
    reports.mkdir(parents=True, exist_ok=True)
    path = reports / f"{time.strftime('%Y%m%d-%H%M%S')}.txt"
    path.write_text(report, encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
