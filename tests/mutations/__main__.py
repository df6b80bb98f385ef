"""Break each rule in a copy of the project, and see whether a test fails; those that nobody notices are listed."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent.parent
_UNBROKEN = 1200.0
"""Seconds for all tests together where nothing is broken."""
_TESTS_FAILED = 1
"""pytest's exit status."""


@frozen
class Copy:
    """A copy of the project that may be broken."""

    root: Path
    limit: float = 200.0
    """Seconds for the tests of one mutation; a test that hangs has noticed."""

    @classmethod
    def of(cls, project: Path, place: Path) -> Copy:
        """Copy what the tests need."""
        for name in ("luma_async", "tests", "docs"):
            if (project / name).is_dir():
                shutil.copytree(project / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
        for path in (*project.glob("*.*"), project / "LICENSE", *project.glob(".ci/*")):
            if path.is_file():
                copied = place / path.relative_to(project)
                copied.parent.mkdir(exist_ok=True)
                shutil.copy2(path, copied)
        return cls(place)

    def passes(self, tests: Sequence[str], limit: float | None = None) -> bool | None:
        """Run *tests* for *limit* seconds at most; None where they could not be run. A test that hangs has failed."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-qx",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",  # one process, the slow tests too
            *(f"tests/{name}" for name in tests),
        ]
        # A stale .pyc would hide a change of the same length within the same second.
        env = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        seconds = limit or self.limit
        try:
            done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, timeout=seconds, check=False)  # noqa: S603 - ours
        except subprocess.TimeoutExpired:
            return False
        return {0: True, _TESTS_FAILED: False}.get(done.returncode)

    def judge(self, mutation: Mutation) -> str:
        """Break the rule, run the tests, and mend it again; return what came of it."""
        found = places(self.root, mutation.old)
        if len(found) != 1:
            return "NO LONGER APPLIES"
        [path] = found
        source = path.read_text(encoding="utf-8")
        path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
        try:
            return {True: "SURVIVED", False: "noticed", None: "CANNOT BE RUN"}[self.passes(mutation.tests)]
        finally:
            path.write_text(source, encoding="utf-8")


def places(root: Path, text: str) -> list[Path]:
    """Return the modules of the package in which *text* stands, each as often as it does."""
    return [path for path, source in sources(root).items() for _ in range(source.count(text))]


def sources(root: Path) -> dict[Path, str]:
    """Return the text of each module of the package."""
    return {path: path.read_text(encoding="utf-8") for path in sorted((root / "luma_async").rglob("*.py"))}


def judged(copy: Copy, mutations: Sequence[Mutation]) -> Iterator[str]:
    """Yield what comes of each, after the tests have shown that they pass where nothing is broken."""
    tests = sorted({name for mutation in mutations for name in mutation.tests})
    if not copy.passes(tests, _UNBROKEN):
        raise SystemExit(f"the tests do not pass as it is: {' '.join(tests)}")
    for mutation in mutations:
        began = time.monotonic()
        verdict = copy.judge(mutation)
        seconds = time.monotonic() - began
        sys.stdout.write(f"{verdict:<17} {seconds:5.1f} s  {mutation.rule}\n")
        sys.stdout.flush()
        yield verdict


def main(
    arguments: Sequence[str] | None = None, project: Path = ROOT, mutations: Sequence[Mutation] = MUTATIONS
) -> int:
    """Judge all of them, or those whose rule or tests have a word; 1 unless each was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="part of a rule, or of the name of its tests")
    word = parser.parse_args(arguments).only
    chosen = [mutation for mutation in mutations if word in f"{mutation.rule} {mutation.tests}"]
    with TemporaryDirectory() as place:
        verdicts = list(judged(Copy.of(project, Path(place)), chosen))
    noticed = verdicts.count("noticed")
    sys.stdout.write(f"{noticed} of {len(verdicts)} noticed\n")
    return 0 if noticed == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
