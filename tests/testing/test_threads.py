"""The simulated relay in a thread of its own."""

import asyncio
import json
import threading
import urllib.request
from typing import Any

import aiohttp
import pytest

from luma_async.testing import RelayThread, Script, SimulatedRelay


def look(relay: SimulatedRelay, task_id: str) -> Any:
    """Return the JSON of a look, without any event loop."""
    request = urllib.request.Request(  # noqa: S310 - http on loopback
        f"{relay.base_url}/luma/generations/{task_id}", headers={"Authorization": f"Bearer {relay.api_key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - http on loopback
        return json.load(response)


def relay_threads() -> list[str]:
    """Return the names of the threads that run relays."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("simulated-relay")]


def test_it_answers_synchronous_code() -> None:
    """What is registered from the test's thread is there at once."""
    with RelayThread(SimulatedRelay()) as relay:
        task_id = relay.add(script=Script.of("completed"))
        answer = look(relay, task_id)

    assert (answer["id"], answer["state"]) == (task_id, "completed")
    assert [seen.task_ids for seen in relay.requests] == [(task_id,)]


def test_without_a_relay_it_makes_one() -> None:
    """The usual one, at its usual speed."""
    with RelayThread() as relay:
        assert relay.speed == 1.0


async def test_it_answers_another_event_loop() -> None:
    """Any async plug-in may ask it from a loop of its own."""
    with RelayThread() as relay:
        headers = {"Authorization": f"Bearer {relay.api_key}"}
        link = f"{relay.base_url}/luma/generations/{relay.add()}"

        async with aiohttp.ClientSession() as session, session.get(link, headers=headers) as response:
            assert response.status == 200


def test_it_ends_with_its_block() -> None:
    """No thread stays, and nobody answers any more."""
    with RelayThread() as relay:
        before = relay_threads()

    assert (len(before), relay_threads()) == (1, [])
    with pytest.raises(OSError, match="refused"):
        look(relay, "a")


def test_it_ends_when_the_block_raises() -> None:
    """The error comes out as it is."""
    with pytest.raises(KeyError, match="mine"), RelayThread():
        raise KeyError("mine")

    assert relay_threads() == []


def test_a_relay_that_cannot_start_says_so_at_once() -> None:
    """The error of the thread comes out where the block begins, and the thread is gone."""
    with pytest.raises(OSError, match=r"192\.0\.2\.1"), RelayThread(SimulatedRelay(host="192.0.2.1")):
        raise AssertionError

    assert relay_threads() == []


def test_many_threads_may_register_at_once() -> None:
    """No id is lost or made up twice."""
    with RelayThread() as relay:
        ids: list[str] = []
        threads = [threading.Thread(target=lambda: ids.extend(relay.add() for _ in range(200))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(set(ids)) == 1600


def test_it_needs_no_running_loop() -> None:
    """The test's own thread has none, before and after."""
    with RelayThread(), pytest.raises(RuntimeError):
        asyncio.get_running_loop()
