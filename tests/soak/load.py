"""What one client is put through, round after round: waits of many kinds, and downloads."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from attrs import Factory, define, field

from luma_async import DownloadError, Generation, GenerationFailedError, Limits, LumaClient, Outcome, PollPolicy
from luma_async.testing._media import VIDEO, Medium
from tests.kit import KEY
from tests.soak.relay import number_of

POLLING = PollPolicy(min_interval=0.1, initial_interval=0.2, max_interval=1.0, max_consecutive_failures=1000)
LIMITS = Limits(max_concurrency=16, request_timeout=10.0, allow_private_media=True)
_PASSERS_BY = 20
"""Waits and watchers in each round that leave before their end."""


def client(port: int) -> LumaClient:
    """Return the client for the relay at *port*."""
    return LumaClient(f"http://127.0.0.1:{port}", KEY, polling=POLLING, limits=LIMITS)


@define(eq=False)
class Load:
    """Uses one client in all the ways there are, and counts what comes of it."""

    luma: LumaClient
    directory: Path
    at_once: int
    chance: Random = field(factory=lambda: Random(2))  # noqa: S311 - a repeatable choice
    counts: Counter[str] = Factory(Counter)
    """Of ``ended``, ``failed``, ``files``, ``given up`` and ``wrong``."""
    _next: int = 0

    async def round(self) -> None:
        """Wait for some thousand ids; some are downloaded, some are also waited for by those who leave early."""
        ids = [f"soak-{self._next + number}" for number in range(self.at_once)]
        self._next += self.at_once
        missing = set(ids)
        async with asyncio.TaskGroup() as group:
            for task_id in self.chance.sample(ids, min(_PASSERS_BY, len(ids))):
                group.create_task(self._pass_by(task_id))
            async with self.luma.as_completed(ids, timeout=300.0) as outcomes:
                async for outcome in outcomes:
                    missing.discard(outcome.task_id)
                    self._judge(outcome)
                    if outcome.ok and number_of(outcome.task_id) % 25 == 1:
                        group.create_task(self._fetch(outcome.unwrap()))
        self.counts["wrong"] += len(missing)

    def _judge(self, outcome: Outcome) -> None:
        failed = isinstance(outcome.error, GenerationFailedError)
        self.counts["ended"] += 1
        self.counts["failed"] += failed
        fails = number_of(outcome.task_id) % 20 == 0
        is_right = failed if fails else outcome.ok and outcome.unwrap().id == outcome.task_id
        self.counts["wrong"] += not is_right

    async def _fetch(self, generation: Generation) -> None:
        """Store the video, compare it byte for byte, and remove it."""
        try:
            path = await self.luma.download(generation, self.directory, overwrite=True)
        except DownloadError:
            self.counts["given up"] += 1
            return
        medium = Medium.of(generation.id, VIDEO)
        self.counts["files"] += 1
        self.counts["wrong"] += medium is None or path.read_bytes() != medium.content
        path.unlink()

    async def _pass_by(self, task_id: str) -> None:
        """Wait a moment and leave; or take the first snapshot; or look once."""
        match self.chance.randrange(3):
            case 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.chance.random()):
                        await self.luma.wait_until_done(task_id, raise_on_failure=False)
            case 1:
                async with self.luma.watch(task_id) as snapshots:
                    self.counts["wrong"] += (await anext(snapshots)).id != task_id
            case _:
                (outcome,) = await self.luma.get_generations([task_id])
                known = outcome.error is None or outcome.error.retryable  # a failed generation is an answer
                self.counts["wrong"] += not known


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
