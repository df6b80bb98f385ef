"""The recipe for Taskiq as a user completes it: outcomes go into the file KEPT."""

from __future__ import annotations

import os
from pathlib import Path

import on_taskiq

from luma_async import Outcome

_tried, _file = set[str](), Path(os.environ["KEPT"]).open("a", encoding="utf-8")  # noqa: SIM115 - as long as it runs


async def keep(outcome: Outcome) -> None:
    """Keep the outcome of each id at the second call, as a store that is away at the first one."""
    if outcome.task_id not in _tried:
        _tried.add(outcome.task_id)
        raise RuntimeError("the store is away")
    print(outcome.task_id, file=_file, flush=True)


on_taskiq.keep, on_taskiq.PAUSE = keep, 0.5
on_taskiq.waits.slice = float(os.environ.get("SLICE", on_taskiq.waits.slice))
broker = on_taskiq.broker
