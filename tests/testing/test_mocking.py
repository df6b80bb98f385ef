"""aioresponses beside a client."""

from __future__ import annotations

import pytest
from aioresponses import core

from luma_async import LumaClient, ServerError
from luma_async.testing import aioresponses

RELAY = "https://relay.example"
URL = f"{RELAY}/luma/generations/task-1"


@pytest.mark.parametrize("mock", [aioresponses, core.aioresponses], ids=["ours", "theirs"])
async def test_a_client_reads_mocked_answers(mock: type[core.aioresponses]) -> None:
    """With the kit's mock, and with the original after the kit's was imported: a good answer, and a refusal."""
    with mock() as responses:
        responses.get(URL, payload={"id": "task-1", "state": "processing"})
        responses.get(URL, status=501, body="no")
        async with LumaClient(RELAY, "sk-test-0123456789") as luma:
            generation = await luma.get_generation("task-1")
            with pytest.raises(ServerError):
                await luma.get_generation("task-1")

    assert generation.id == "task-1"


async def test_the_fixture_is_such_a_mock(luma_responses: aioresponses) -> None:
    """Asking for it is all there is to do."""
    luma_responses.get(URL, payload={"id": "task-1", "state": "processing"})

    async with LumaClient(RELAY, "sk-test-0123456789") as luma:
        assert (await luma.get_generation("task-1")).id == "task-1"
