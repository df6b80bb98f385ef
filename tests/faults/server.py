"""A raw server with a script for each task: the bytes that one task gets are no other's business."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import define, field

from tests.raw_server import Act, RawServer, Reply, http, nth, task

BAD = "the-bad-one"
VIDEO = "https://cdn.example/v.mp4"
NO_BATCH_QUERY = http(404, {"error": {"message": "Invalid URL (POST /luma/tasks)"}})


def done(task_id: str = BAD) -> bytes:
    """Return the answer that ends a task well."""
    return task(task_id, "completed", video={"url": VIDEO})


@define(eq=False)
class FaultServer(RawServer):
    """Answers each request about a task with the next reply of that task's script; the last one serves for ever.

    A task without a script is pending once, and completed from then on.
    """

    replies: Sequence[Reply] = (NO_BATCH_QUERY,)
    """What requests get that are about no single task, such as batches."""
    scripts: Mapping[str, Sequence[Reply]] = field(factory=dict)
    greetings: Sequence[Act] = ()
    """What the first connections get before a request is read."""
    contexts: Sequence[ssl.SSLContext] = ()
    """For TLS: what each connection is secured with; the last one serves for ever."""
    order: list[str] = field(factory=list)
    """Whom each request was about; an empty name where it was about no single task."""
    times: list[float] = field(factory=list)
    """When each came: seconds on the event loop's clock."""
    asked: Counter[str] = field(factory=Counter)
    """How often each task was asked for."""

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections - 1
        if number < len(self.greetings):
            await self.greetings[number](reader, writer)
        if self.contexts:
            await writer.start_tls(self.contexts[min(number, len(self.contexts) - 1)])

    def _next_reply(self) -> Reply:
        place, _, name = self.heads[-1].split()[1].decode().rpartition("/")
        task_id = name if place.endswith("/generations") else ""
        self.order.append(task_id)
        self.times.append(asyncio.get_running_loop().time())
        self.asked[task_id] += 1
        return nth(self._script(task_id), self.asked[task_id])

    def _script(self, task_id: str) -> Sequence[Reply]:
        if not task_id:
            return self.replies
        return self.scripts.get(task_id) or (task(task_id, "pending"), done(task_id))


# --- what it can do besides sending an answer at once; see raw_server for hang_up, reset, cut_off and stay_silent ---


def dripping(answer: bytes, pause: float = 0.0, size: int = 1) -> Act:
    """Send *answer* in pieces of *size* bytes, *pause* seconds apart."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(answer), size):
            if writer.is_closing():
                return
            writer.write(answer[start : start + size])
            await writer.drain()
            await asyncio.sleep(pause)

    return act


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Act:
    """Send *head*, and then *piece* again and again until the client has had enough."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return act


def idle_then(answer: bytes, end: Act) -> Act:
    """Send *answer*, and a moment later, while the connection is idle, go on with *end*."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0.002)
        await end(reader, writer)

    return act
