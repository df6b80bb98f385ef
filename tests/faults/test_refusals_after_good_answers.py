"""Refusals that contradict a good answer, and refusals under load, end no wait (architecture, rule 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from attrs import define

from luma_async import AuthenticationError, LumaClient, PollPolicy, State
from tests.kit import KEY
from tests.quick import quick
from tests.raw_server import RawServer, Reply, http, task

OFTEN = PollPolicy(
    min_interval=0.01, initial_interval=0.01, max_interval=0.02, max_consecutive_failures=4, max_outage=5.0
)
GOOD, DONE = task("t-1", "processing"), task("t-1", "completed", video={"url": "https://cdn.example/v.mp4"})
PAGE = b"<html><head><title>Just a moment...</title></head><body></body></html>"
BLIPS: dict[str, bytes] = {
    "401": http(401, {"error": {"message": "invalid token"}}),
    "401 of the gateway's upstream": http(401, {"detail": "Not authenticated"}),
    "403": http(403, {"error": {"message": "no access"}}),
    "403 with a firewall's page": http(403, PAGE, "Content-Type: text/html", "cf-mitigated: challenge"),
    "403 with a hint": http(403, {"message": "secondary rate limit"}, "Retry-After: 0"),
    "400": http(400, {"error": {"message": "bad request"}}),
    "400 unknown task": http(400, {"code": "fail_to_fetch_task", "message": "任务不存在", "data": None}),
    "409": http(409, {"error": {"message": "another operation on this task is in progress", "code": "conflict"}}),
    "422": http(422, {"detail": [{"loc": ["id"], "msg": "try later", "type": "value_error"}]}),
}


@pytest.mark.parametrize("blip", BLIPS.values(), ids=BLIPS)
@pytest.mark.parametrize("times", [1, 2])
async def test_a_blip_after_a_good_answer_ends_nothing(blip: bytes, times: int) -> None:
    """A wait that had a good answer goes on, and completes."""
    script: list[Reply] = [GOOD, *[blip] * times, DONE]
    async with RawServer(script) as server, LumaClient(server.base_url, KEY, polling=OFTEN, batch="never") as luma:
        generation = await luma.wait_until_done("t-1", timeout=10)

    assert generation.state is State.COMPLETED


async def test_a_refusal_that_lasts_is_final() -> None:
    """Past the outage budget, where that is shorter than half a minute."""
    polling = PollPolicy(min_interval=0.01, initial_interval=0.01, max_interval=0.02, max_outage=0.1)
    script: list[Reply] = [GOOD, BLIPS["401"]]
    async with RawServer(script) as server, LumaClient(server.base_url, KEY, polling=polling, batch="never") as luma:
        with pytest.raises(AuthenticationError):
            await luma.wait_until_done("t-1", timeout=10)


@define(eq=False)
class _LimitedServer(RawServer):
    """Takes one request in 10 ms, and refuses the others with nginx's page; its tasks are done after half a second."""

    replies: Sequence[Reply] = ()
    status: int = 503
    refused: int = 0
    _free_at: float = 0.0
    _done_at: float = 0.0

    def _next_reply(self) -> bytes:
        now = asyncio.get_running_loop().time()
        self._done_at = self._done_at or now + 0.5
        if now < self._free_at:
            self.refused += 1
            return http(self.status, b"<html><head><title>Temporarily Unavailable</title></head></html>")
        self._free_at = now + 0.01
        task_id = self.heads[-1].split()[1].decode().rpartition("/")[2]
        return task(task_id, "completed" if now > self._done_at else "processing", video={"url": "https://x.example/v"})


@pytest.mark.parametrize("status", quick([503, 429]))
async def test_a_limit_is_no_outage_whatever_its_status(status: int) -> None:
    """Sixty ids behind a limit of requests all complete, though the trouble outlasts their outage budget."""
    polling = PollPolicy(
        min_interval=0.025, initial_interval=0.025, max_interval=0.25, max_consecutive_failures=4, max_outage=0.15
    )
    async with (
        _LimitedServer(status=status) as server,
        LumaClient(server.base_url, KEY, polling=polling, batch="never") as luma,
    ):
        outcomes = await luma.wait_all([f"t-{number}" for number in range(60)], timeout=30)

    assert [outcome.error for outcome in outcomes if not outcome.ok] == []
    assert server.refused > 10
