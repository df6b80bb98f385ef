"""Processes: the fast relay, and one child for each measurement, the rounds interleaved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from tests.benchmarks.clients import Options

ROOT = Path(__file__).parent.parent.parent

_LONGEST = 1200.0
"""Seconds that one measurement may take; the longest needs a quarter of them."""


@frozen(kw_only=True)
class Subject:
    """What stands in one row: a measurement of one client."""

    label: str
    client: str
    options: Options = field(factory=Options)
    measure: str
    facts: dict[str, Any]

    def take(self, port: int) -> dict[str, float]:
        """Measure once, in a fresh process.

        Raises:
            CalledProcessError: The process failed; its standard error has said why.
            TimeoutExpired: It did not come to an end.
        """
        order = {**asdict(self), "port": port}
        command = [sys.executable, "-m", "tests.benchmarks.child", json.dumps(order)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=_LONGEST)  # noqa: S603 - ours
        found: dict[str, float] = json.loads(done.stdout)
        return found


def fast_relay() -> AbstractContextManager[int]:
    """Run the fast relay in a process of its own; its port."""
    return serving("tests.benchmarks.fast_relay")


@contextmanager
def serving(module: str) -> Iterator[int]:
    """Run *module*, a server that prints its port and ends with its standard input, in a process of its own."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def import_cost(statement: str) -> dict[str, float]:
    """CPU milliseconds of a fresh interpreter that runs *statement*."""
    command = [sys.executable, "-c", statement]
    process = os.posix_spawn(sys.executable, command, os.environ)
    _, status, used = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{statement!r} failed")
    return {"cpu_ms": (used.ru_utime + used.ru_stime) * 1e3}
