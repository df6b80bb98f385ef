"""Processes: the fast relay, and one child for each measurement, rounds interleaved."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def fast_relay() -> Iterator[str]:
    """Run the fast relay in a process of its own; its address."""
    command = [sys.executable, "-m", "tests.benchmarks.fast_relay"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def measure(**order: Any) -> dict[str, Any]:
    """Run one measurement in a fresh process and return what it found."""
    command = [sys.executable, "-m", "tests.benchmarks.child", json.dumps(order)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def interleaved(orders: dict[str, dict[str, Any]], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run each of the *orders* once in each round: A B C, A B C, so that the machine's moods hit all alike."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in orders}
    for _ in range(rounds):
        for name, order in orders.items():
            found[name].append(measure(**order))
    return found
