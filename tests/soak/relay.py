"""A simulated relay in a process of its own: it knows every id that it is asked for, and has its bad moments."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from random import Random

from attrs import define, field

from luma_async.testing import Fault, RelayThread, Script, SimulatedRelay
from luma_async.testing.exchange import Asked, Kind, Reply
from tests.kit import KEY

_LOOKS = [
    Fault.bad_gateway(),
    Fault.connection_reset(),
    Fault.cut_body(),
    Fault.error_inside_200(),
    Fault.html_page(502),
    Fault.another_task(),
    Fault.slow(0.05),
    Fault.http(500),
]
_FILES = [Fault.bad_gateway(), Fault.connection_reset(), Fault.cut_body(200), Fault.html_page()]
FAULTS: Mapping[Kind, Sequence[Fault]] = {"look": _LOOKS, "batch": _LOOKS, "media": _FILES}
_SLOW_DOWN = Fault.rate_limited(0)
_HEALTHY = 20
"""Requests at the beginning without trouble, so that the client learns that there is a batch query."""
_REMEMBERED = 20_000
"""Tasks; the oldest ones are forgotten."""


def number_of(task_id: str) -> int:
    """Return the number that decides what becomes of a task."""
    return int(task_id.rpartition("-")[2])


def script_of(task_id: str) -> Script:
    """Return what becomes of a task: up to two seconds, every twentieth fails, every tenth says an unknown word."""
    number = number_of(task_id)
    seconds = number % 40 / 40
    word = "daydreaming" if number % 10 == 1 else "processing"
    return Script.of(("pending", seconds), (word, seconds), "completed" if number % 20 else "failed")


@define(eq=False, kw_only=True)
class MoodyRelay(SimulatedRelay):
    """Knows every id; a share of all requests meets a fault."""

    share: float = 0.1
    """Of requests that meet a fault; a fiftieth as many are told to slow down."""
    chance: Random = field(factory=lambda: Random(1), repr=False)  # noqa: S311 - a repeatable choice

    def take(self, asked: Asked) -> tuple[Reply, Fault]:
        """Meet the ids, perhaps with trouble, and answer."""
        for task_id in asked.ids or ():
            if task_id not in self._tasks:
                self.add(task_id, script=script_of(task_id))
        while len(self._tasks) > _REMEMBERED:
            del self._tasks[next(iter(self._tasks))]
        if len(self._seen) >= _HEALTHY:
            self._mood(asked.target.kind)
        return super().take(asked)

    def _mood(self, kind: Kind) -> None:
        if self.chance.random() < self.share:
            self.trouble(self.chance.choice(FAULTS[kind]), on=kind)
        elif kind != "media" and self.chance.random() < self.share / 50:
            self.trouble(_SLOW_DOWN, on=kind)


if __name__ == "__main__":
    with RelayThread(MoodyRelay(api_key=KEY, remember=1000)) as running:
        print(running.port, flush=True)  # noqa: T201 - whoever started us reads it
        sys.stdin.buffer.read()
