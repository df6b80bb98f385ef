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
REPORTS = ROOT / ".hypothesis" / "fuzz"
_NOTHING_TO_RUN = 5
"""pytest's exit status."""
_COUNT = re.compile(r"^(tests/\S+):$|^ +- (\d+) passing\D+(\d+) failing", re.MULTILINE)
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


def one_round(seed: int, select: str, where: str) -> tuple[int, str]:
    """Run every property once with the examples that follow from *seed*; pytest's exit status, and its report."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", "-k", select, "-p", "no:cacheprovider"]
    command += ["--hypothesis-profile=fuzz", "--hypothesis-show-statistics", f"--hypothesis-seed={seed}", where]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - ours
    return done.returncode, _EVENT.sub("", done.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run rounds until the time is over, and print what was run; 1 if a property does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="no round begins after that time")
    parser.add_argument("--only", default="", help="part of a property's name, as pytest's -k takes it")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round; the next ones follow")
    parser.add_argument("where", nargs="?", default="tests", help="a file or directory with properties")
    wanted = parser.parse_args(arguments)
    began, number, status, counts = time.monotonic(), 0, 0, Counter[str]()
    while not status and (not number or time.monotonic() < began + 60 * wanted.minutes):
        status, report = one_round(wanted.seed + number, wanted.only, wanted.where)
        counts += counted(report)
        number += 1
        sys.stderr.write(f"round {number}: seed {wanted.seed + number - 1}, {counts.total()} examples so far\n")
    for name, count in sorted(counts.items()):
        sys.stdout.write(f"{count:>9} {name}\n")
    sys.stdout.write(f"{counts.total():>9} examples of {len(counts)} properties in {number} rounds\n")
    if status:
        sys.stdout.write(f"{report}\nkept as {_kept(report)}\n")
    return 1 if status else 0


def _kept(report: str) -> Path:
    """Write the report of a round that failed to a file of its own."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{time.strftime('%Y%m%d-%H%M%S')}.txt"
    path.write_text(report, encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
