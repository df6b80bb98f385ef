"""A relay that only benchmarks use: prebuilt bytes over a bare protocol, so that it is never the bottleneck.

It runs in a process of its own (``python -m tests.benchmarks.fast_relay``), prints its port, and ends with its standard
input. Tasks are registered on a control path, which also reports what was asked for and how late that was.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from tests.kit import TASK_ID, sample

_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Dec 2024 13:38:40 GMT\r\n"
    b"Content-Type: application/json; charset=utf-8\r\nX-Oneapi-Request-Id: 2024122213384013940912345678\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID_LENGTH = len(TASK_ID)


@frozen
class Page:
    """One answer about any task: its bytes around the id, which all have the same length."""

    before: bytes
    after: bytes

    @classmethod
    def of(cls, name: str, **changes: object) -> Page:
        """Take the sample *name*, with *changes* to its fields."""
        body = json.dumps({**sample(name).body, **changes}).encode()
        before, after = body.split(TASK_ID.encode())
        return cls(before, after)

    def about(self, task_id: bytes) -> bytes:
        """Return the generation as JSON."""
        return self.before + task_id + self.after

    def answer(self, task_id: bytes) -> bytes:
        """Return the whole HTTP answer."""
        return _HEAD % (len(self.before) + _ID_LENGTH + len(self.after)) + self.before + task_id + self.after


PENDING = Page.of("submit__pending__12_keys")
PROCESSING = Page.of("submit__pending__12_keys", state="processing")
COMPLETED = Page.of("get__completed__artifact")


@define(eq=False)
class Task:
    """One task: when it changes, on the machine's monotonic clock in seconds, and when its end was first told."""

    processing_at: float
    completed_at: float
    looks_left: int = sys.maxsize
    """Completed when this many looks have come, for runs that count looks and not time."""
    told_at: float | None = None

    def page(self, now: float) -> Page:
        """Return what to say *now*."""
        self.looks_left -= 1
        if now >= self.completed_at or self.looks_left <= 0:
            self.told_at = self.told_at or now
            return COMPLETED
        return PROCESSING if now >= self.processing_at else PENDING


@frozen(kw_only=True)
class Order:
    """The tasks that a run wants."""

    count: int
    looks: int | None = None
    """Looks until each completes; None for completion by time."""
    medians: tuple[float, float] | None = None
    """Seconds pending and processing, lognormal; None for ever."""
    sigmas: tuple[float, float] = (0.5, 0.2)
    seed: int = 1
    delay: float = 0.0
    """Seconds from now until the first of them counts as submitted."""
    spread: float = 0.0
    """Seconds over which they are submitted, evenly."""

    def tasks(self, now: float) -> list[Task]:
        """Make them."""
        return [self._task(now + self.delay + self.spread * n / self.count, n) for n in range(self.count)]

    def _task(self, submitted: float, number: int) -> Task:
        if self.medians is None:
            return Task(float("inf"), float("inf"), sys.maxsize if self.looks is None else self.looks)
        chance = random.Random(self.seed * 1_000_003 + number)  # noqa: S311 - repeatable on purpose
        pending, processing = (
            median * chance.lognormvariate(0, sigma) for median, sigma in zip(self.medians, self.sigmas, strict=True)
        )
        return Task(submitted + pending, submitted + pending + processing)


@define(eq=False)
class Book:
    """All tasks of the run under way, and what has been asked."""

    tasks: dict[bytes, Task] = field(factory=dict)
    requests: int = 0
    looks: int = 0
    by_second: dict[int, int] = field(factory=dict)
    busy_from: float = 0.0

    def register(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Begin a new run with the tasks of an ``Order``; return their ids, each as long as a UUID."""
        made = Order(**wanted).tasks(time.monotonic())
        ids = [f"bench-{number:0{_ID_LENGTH - 6}d}" for number in range(len(made))]
        self.tasks = {task_id.encode(): task for task_id, task in zip(ids, made, strict=True)}
        self.requests = self.looks = 0
        self.by_second = {}
        self.busy_from = time.process_time()
        return {"ids": ids}

    def report(self, _: object) -> dict[str, Any]:
        """Return what has been asked since, and how long after its completion each task's end was first told."""
        ends = {task_id.decode(): task.completed_at for task_id, task in self.tasks.items()}
        late = [t.told_at - t.completed_at for t in self.tasks.values() if t.told_at is not None]
        timed = [seconds for seconds in late if seconds >= 0]
        return {
            "requests": self.requests,
            "looks": self.looks,
            "cpu": time.process_time() - self.busy_from,
            "completed_at": {k: v for k, v in ends.items() if v != float("inf")},
            "late": sorted(timed),
            "per_second": sorted(self.by_second.items()),
        }

    def one(self, path: bytes) -> bytes:
        """Answer a look at the task that *path* ends with."""
        task_id = path[-_ID_LENGTH:]
        task = self.tasks.get(task_id)
        if task is None:
            return _NOT_FOUND
        return task.page(self._note(1)).answer(task_id)

    def many(self, body: bytes) -> bytes:
        """Answer a batch query with a bare array."""
        ids = [task_id.encode() for task_id in json.loads(body)["ids"]]
        now = self._note(len(ids))
        rows = b",".join([self.tasks[i].page(now).about(i) for i in ids if i in self.tasks])
        return _HEAD % (len(rows) + 2) + b"[" + rows + b"]"

    def _note(self, looks: int) -> float:
        now = time.monotonic()
        self.requests += 1
        self.looks += looks
        self.by_second[int(now)] = self.by_second.get(int(now), 0) + 1
        return now


@define(eq=False)
class Exchange(asyncio.Protocol):
    """One kept-alive connection."""

    book: Book
    _transport: asyncio.Transport = field(init=False)
    _received: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        if self._received:
            data = self._received + data
        while (end := data.find(b"\r\n\r\n") + 4) > 3:
            if data.startswith(b"GET /luma/generations/") or data.startswith(b"GET /dream-machine/"):
                self._transport.write(self.book.one(data[4 : data.index(b" ", 4)]))
            else:
                length = _LENGTH.search(data, 0, end)
                whole = end + (int(length[1]) if length else 0)
                if len(data) < whole:
                    break
                self._transport.write(self._posted(data[: data.index(b" ", 5)], data[end:whole]))
                end = whole
            data = data[end:]
        self._received = data

    def _posted(self, start: bytes, body: bytes) -> bytes:
        if start == b"POST /luma/tasks":
            return self.book.many(body)
        controls: dict[bytes, Callable[[Any], dict[str, Any]]] = {
            b"POST /control/register": self.book.register,
            b"POST /control/report": self.book.report,
        }
        if start not in controls:
            return _NOT_FOUND
        said = json.dumps(controls[start](json.loads(body))).encode()
        return _HEAD % len(said) + said


async def _serve() -> None:
    book = Book()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(book), "127.0.0.1", 0, backlog=4096)
    over = asyncio.Event()
    threading.Thread(target=_wait_for_the_end, args=(loop, over), daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started us reads it
    await over.wait()


def _wait_for_the_end(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(over.set)


if __name__ == "__main__":
    asyncio.run(_serve())
