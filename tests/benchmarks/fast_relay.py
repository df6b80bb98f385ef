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
    polls_left: int | None = None
    """Completed when this many polls have come, for runs that count polls and not time."""
    asked: bool = False
    told_at: float | None = None

    def page(self, now: float) -> Page:
        """Return what to say *now*."""
        self.asked = True
        if self.polls_left is not None:
            self.polls_left -= 1
        if now >= self.completed_at or self.polls_left == 0:
            self.told_at = self.told_at or now
            return COMPLETED
        return PROCESSING if now >= self.processing_at else PENDING


@frozen(kw_only=True)
class Order:
    """The tasks that a run wants."""

    count: int
    polls: int | None = None
    """Polls until each completes; None for completion by time."""
    medians: tuple[float, float] | None = None
    """Seconds pending and processing, lognormal; None for ever."""
    sigmas: tuple[float, float] = (0.5, 0.2)
    over: float = 0.0
    """Seconds over which they are submitted, evenly."""
    seed: int = 1

    def tasks(self, clock: Callable[[], float]) -> list[Task]:
        """Make them; the first is submitted when all are made."""
        lives = [self._life(random.Random(self.seed * 1_000_003 + n)) for n in range(self.count)]  # noqa: S311 - repeatable
        began = clock()
        submitted = [began + self.over * n / self.count for n in range(self.count)]
        return [
            Task(at + pending, at + pending + processing, self.polls)
            for at, (pending, processing) in zip(submitted, lives, strict=True)
        ]

    def _life(self, chance: random.Random) -> tuple[float, float]:
        if self.medians is None:
            return float("inf"), float("inf")
        pending, processing = self.medians
        slow, steady = self.sigmas
        return pending * chance.lognormvariate(0, slow), processing * chance.lognormvariate(0, steady)


def ids_of(count: int) -> list[str]:
    """Return the ids of the tasks of an order, each as long as a UUID."""
    return [f"bench-{number:0{_ID_LENGTH - 6}d}" for number in range(count)]


@define(eq=False)
class Book:
    """All tasks of the run under way, and what has been asked."""

    clock: Callable[[], float] = time.monotonic
    tasks: dict[bytes, Task] = field(factory=dict)
    requests: int = 0
    polls: int = 0
    worked: float = 0.0
    hook: int | None = None
    """The port that hears of each change of a task of later runs."""
    calls: list[asyncio.Task[None]] = field(factory=list)

    def call_back(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Call the port of *wanted* back; None for nobody any more."""
        self.hook = wanted["port"]
        for call in self.calls:
            call.cancel()
        self.calls.clear()
        return {}

    def register(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Begin a new run with the tasks of an ``Order``; say when it began."""
        order = Order(**wanted)
        self.requests = self.polls = 0
        made = order.tasks(self.clock)
        self.tasks = {i.encode(): task for i, task in zip(ids_of(order.count), made, strict=True)}
        self.worked = time.process_time()
        if self.hook is not None:
            self.calls = [asyncio.create_task(_call(self.hook, i, task, self.clock)) for i, task in self.tasks.items()]
        return {"began": self.clock()}

    def count(self, _: object) -> dict[str, Any]:
        """Return what has been asked since then, and how many tasks have been asked for at all."""
        return {
            "requests": self.requests,
            "polls": self.polls,
            "asked": sum(task.asked for task in self.tasks.values()),
            "cpu": time.process_time() - self.worked,
        }

    def lateness(self, _: object) -> dict[str, Any]:
        """Return when each task completed, and how long after that its end was first told, in seconds."""
        ended = {i.decode(): task for i, task in self.tasks.items() if task.completed_at <= self.clock()}
        return {
            "completed_at": {i: task.completed_at for i, task in ended.items()},
            "late": [task.told_at - task.completed_at for task in ended.values() if task.told_at is not None],
        }

    def one(self, path: bytes) -> bytes:
        """Answer a poll the task that *path* ends with."""
        task_id = path[-_ID_LENGTH:]
        task = self.tasks.get(task_id)
        if task is None:
            return _NOT_FOUND
        self.requests += 1
        self.polls += 1
        return task.page(self.clock()).answer(task_id)

    def many(self, body: bytes) -> bytes:
        """Answer a batch query with a bare array; unknown ids are left out."""
        ids = [task_id.encode() for task_id in json.loads(body)["ids"]]
        now = self.clock()
        self.requests += 1
        self.polls += len(ids)
        rows = b",".join([self.tasks[i].page(now).about(i) for i in ids if i in self.tasks])
        return _HEAD % (len(rows) + 2) + b"[" + rows + b"]"


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
            if data.startswith((b"GET /luma/generations/", b"GET /dream-machine/v1/generations/")):
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
            b"POST /control/hook": self.book.call_back,
            b"POST /control/count": self.book.count,
            b"POST /control/lateness": self.book.lateness,
        }
        if start not in controls:
            return _NOT_FOUND
        said = json.dumps(controls[start](json.loads(body))).encode()
        return _HEAD % len(said) + said


async def _call(port: int, task_id: bytes, task: Task, clock: Callable[[], float]) -> None:
    """Post the generation to the hook at *port* at each change of its state."""
    for at in (task.processing_at, task.completed_at):
        await asyncio.sleep(at - clock())
        body = (COMPLETED if at == task.completed_at else PROCESSING).about(task_id)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /hook HTTP/1.1\r\nHost: app\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await reader.read()
        writer.close()


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
