"""Put one client under load for minutes, and see whether memory, descriptors or tasks grow. Linux with glibc."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from attrs import frozen

from tests.benchmarks.memory import held
from tests.benchmarks.running import serving
from tests.soak.load import Load, client, descriptors

_WARM_UP = 0.2
"""Share of the samples that are not judged: pools and caches fill up then."""
_MEBI = 2**20


@frozen(kw_only=True)
class Sample:
    """What the process holds while nothing is under way."""

    at: float
    """Seconds since the beginning."""
    ended: int
    failed: int
    files: int
    given_up: int
    """Downloads that met trouble three times in a row."""
    wrong: int
    """Ids that were lost or mixed up, and files that are not what they should be."""
    resident: float
    """MiB, as the system counts it."""
    used: float
    """MiB that are given out by the allocators."""
    descriptors: int
    tasks: int
    """Of asyncio, beside the one that looks."""


ALLOWED = {"resident": 4.0, "used": 2.0, "descriptors": 8.0, "tasks": 0.0}
"""By how much the median of the last third may exceed that of the first third."""
_COLUMNS = ("minute", "ended", "failed", "files", "given up", "wrong", "RSS MiB", "used MiB", "descriptors", "tasks")
_ROW = "{:>6} {:>9} {:>7} {:>6} {:>8} {:>6} {:>8} {:>8} {:>11} {:>5}"


def row(sample: Sample) -> str:
    """Return the line of the table for the minute in which *sample* was taken."""
    return _ROW.format(
        1 + int(sample.at // 60),
        sample.ended,
        sample.failed,
        sample.files,
        sample.given_up,
        sample.wrong,
        f"{sample.resident:.1f}",
        f"{sample.used:.1f}",
        sample.descriptors,
        sample.tasks,
    )


def by_minute(samples: Sequence[Sample]) -> list[Sample]:
    """Return the last sample of each minute."""
    return list({int(sample.at // 60): sample for sample in samples}.values())


def growth(samples: Sequence[Sample], what: str) -> float:
    """Return by how much the median of the last third after the warm-up exceeds that of the first third."""
    warm = samples[int(len(samples) * _WARM_UP) :]
    third = -(-len(warm) // 3)
    figures = [getattr(sample, what) for sample in warm]
    return float(median(figures[-third:]) - median(figures[:third]))


def complaints(samples: Sequence[Sample]) -> list[str]:
    """Return what is not as it should be."""
    grown = {what: growth(samples, what) for what in ALLOWED}
    found = [f"{what} grew by {by:.1f}" for what, by in grown.items() if by > ALLOWED[what]]
    return found + [f"{samples[-1].wrong} wrong" for _ in range(1) if samples[-1].wrong]


async def soak(port: int, seconds: float, at_once: int) -> list[Sample]:
    """Run round after round for *seconds*, and return what was seen after each."""
    samples: list[Sample] = []
    with TemporaryDirectory() as directory:
        async with client(port) as luma:
            load = Load(luma, Path(directory), at_once)
            began = time.monotonic()
            while not samples or samples[-1].at < seconds:
                await load.round()
                await asyncio.sleep(0.05)
                samples.append(_sample(load, time.monotonic() - began))
                sys.stderr.write(f"\r{row(samples[-1])}")
    sys.stderr.write("\n")
    return samples


def _sample(load: Load, at: float) -> Sample:
    memory, counts = held(), load.counts
    return Sample(
        at=at,
        ended=counts["ended"],
        failed=counts["failed"],
        files=counts["files"],
        given_up=counts["given up"],
        wrong=counts["wrong"],
        resident=memory["resident"] / _MEBI,
        used=memory["used"] / _MEBI,
        descriptors=descriptors(),
        tasks=len(asyncio.all_tasks()) - 1,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print the table and the verdict; 1 if anything grew or was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--at-once", type=int, default=2000, help="ids in each round")
    wanted = parser.parse_args(arguments)
    with serving("tests.soak.relay") as port:
        samples = asyncio.run(soak(port, 60 * wanted.minutes, wanted.at_once))
    found = complaints(samples)
    grown = ", ".join(f"{what} {growth(samples, what):+.1f}" for what in ALLOWED)
    lines = [_ROW.format(*_COLUMNS), *map(row, by_minute(samples)), f"{len(samples)} rounds; growth: {grown}", *found]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
