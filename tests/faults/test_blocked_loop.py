"""An application that blocks its event loop for longer than a request may take."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from luma_async import Limits, LumaClient, PollPolicy
from tests.kit import KEY
from tests.raw_server import http, task

_BLOCKED = 0.5
_LIMITS = Limits(request_timeout=0.2)


class _Server:
    """Answers one request after a moment, from a thread of its own: a blocked event loop does not block it."""

    def __init__(self, reply: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._reply = reply
        self.answered = threading.Event()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            connection.recv(65536)
            time.sleep(0.05)
            connection.sendall(self._reply)
            self.answered.set()
            connection.recv(1)

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[_Server]:
    """Return a server that gives the parameter as its answer."""
    server = _Server(request.param)
    yield server
    server.close()


def block(server: _Server) -> None:
    """Stand still until the answer is in the socket, and the request's time is over."""
    server.answered.wait(5)
    time.sleep(_BLOCKED)


PADDED = b'{"id": "paid-1", "state": "pending", "note": "%s"}' % (b"x" * 60_000)


@pytest.mark.parametrize("server", [task("paid-1", "pending"), http(200, PADDED)], indirect=True)
async def test_a_submit_reads_the_answer_that_is_there(server: _Server) -> None:
    """What the relay answered while the loop was blocked past the request's timeout is the submit's result."""
    async with LumaClient(server.url, KEY, limits=_LIMITS) as luma:
        submit = asyncio.create_task(luma.submit("a cat"))
        await asyncio.sleep(0.02)
        block(server)

        assert await submit == "paid-1"


@pytest.mark.parametrize("server", [task("t-1", "completed")], indirect=True)
async def test_a_wait_reads_the_answer_that_is_there(server: _Server) -> None:
    """A poll that was answered while the loop was blocked over the wait's deadline is its end."""
    polling = PollPolicy(min_interval=0.1, initial_interval=0.1, max_interval=0.2)
    async with LumaClient(server.url, KEY, limits=_LIMITS, polling=polling, batch="never") as luma:
        wait = asyncio.create_task(luma.wait_until_done("t-1", timeout=0.3))
        await asyncio.sleep(0.02)
        block(server)

        assert (await wait).state == "completed"
