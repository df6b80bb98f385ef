"""A simulated relay in a process of its own, four times faster than life: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import sys
import time
from random import Random

from luma_async.testing import RelayThread, Script, SimulatedRelay

SPEED = 4.0
"""Relay seconds in a second."""


def added(relay: SimulatedRelay, count: int, shortest: float, longest: float) -> dict[str, float]:
    """Add *count* tasks that take so many seconds of life's time; return when each ends, in seconds since the epoch."""
    ends, random = {}, Random(1)  # noqa: S311 - a repeatable choice
    for _ in range(count):
        lasts = random.uniform(shortest, longest)
        task_id = relay.add(script=Script.completes(pending=lasts / 4, processing=lasts * 3 / 4))
        ends[task_id] = time.time() + lasts / SPEED
    return ends


def main() -> None:
    """Serve until standard input ends; ``[count, shortest, longest]`` adds tasks, anything else counts requests."""
    with RelayThread(SimulatedRelay(speed=SPEED)) as relay:
        print(json.dumps([relay.base_url, relay.api_key]), flush=True)  # noqa: T201 - its answer
        for line in sys.stdin:
            asked = json.loads(line)
            answer = added(relay, *asked) if asked else len(relay.requests)
            print(json.dumps(answer), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
