"""Servers that close idle connections, and readers that are slower than a server that closes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from attrs import define, field

from luma_async import Limits, LumaClient, PollPolicy
from luma_async.events import Event, PollFailed
from tests.downloads import generation, mp4
from tests.kit import KEY
from tests.raw_server import RawServer, closing, http, task

pytestmark = pytest.mark.slow

_FILM = {"url": "https://cdn.example/film.mp4"}
_POLLS = 4
"""Of each id, until it is completed."""


@define(eq=False)
class Impatient:
    """A relay that takes a while for each answer, and closes a connection that is idle for 150 ms."""

    polls: dict[str, int] = field(factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                async with asyncio.timeout(0.15):
                    head = await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(0.03)
                task_id = head.split(b" ")[1].rpartition(b"/")[2].decode()
                self.polls[task_id] = self.polls.get(task_id, 0) + 1
                is_done = self.polls[task_id] >= _POLLS
                writer.write(task(task_id, "completed" if is_done else "processing", video=_FILM))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            """It is idle, or gone."""
        finally:
            writer.close()


async def test_connections_that_were_closed_while_idle_end_no_wait() -> None:
    """Nor do those whose poll was cancelled in the middle of an answer; no id fails twice in a row."""
    told: list[Event] = []
    server = await asyncio.start_server(Impatient().serve, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    pace = PollPolicy(initial_interval=0.3, max_interval=0.3, min_interval=0.05)
    async with server, LumaClient(base_url, KEY, polling=pace, batch="never", on_event=told.append) as luma:
        for number in range(10):
            poll = asyncio.create_task(luma.get_generation(f"cancelled-{number}"))
            await asyncio.sleep(0.015)
            poll.cancel()
        outcomes = await luma.wait_all([f"id-{number}" for number in range(30)])

    assert [outcome.ok for outcome in outcomes] == [True] * 30
    assert [event for event in told if isinstance(event, PollFailed) and event.failures > 1] == []


async def test_a_slow_reader_gets_the_whole_file_of_a_server_that_closes(tmp_path: Path) -> None:
    """With one request, though the connection is gone long before the file is read."""
    film = mp4(b"\0" * 24 * 2**20)
    async with RawServer([closing(http(200, film, "Content-Type: video/mp4"))]) as server:
        done = generation(f"{server.base_url}/a.mp4")
        async with LumaClient("https://relay.example", KEY, limits=Limits(allow_private_media=True)) as luma:
            path = await luma.download(done, tmp_path, on_progress=lambda *_: time.sleep(0.02))

    assert path.stat().st_size == len(film)
    assert len(server.heads) == 1
