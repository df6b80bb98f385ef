"""Trouble of a simulated relay that depends on time or load."""

from __future__ import annotations

import json

import pytest

from luma_async import LumaClient, PollPolicy, RateLimitError, State
from luma_async.testing import (
    FastTime,
    Fault,
    JobLimit,
    RequestLimit,
    RowCap,
    Rule,
    Script,
    SessionLoss,
    SimulatedRelay,
)
from tests.kit import Clock, sample
from tests.testing.test_gateway import ask, desk_at

PATH = "/luma/generations/a"
CAT = {"user_prompt": "a cat"}


def test_a_limit_of_requests_is_nginxs() -> None:
    """It serves one request each half second, refuses the others with nginx's page, and does not count those."""
    clock = Clock()
    desk = desk_at(clock, rules=[RequestLimit(per_second=2)])
    desk.add("a")
    statuses = []

    for _ in range(10):
        reply = ask(desk, "GET", PATH)
        statuses.append(reply.status)
        clock.now += 0.25

    assert statuses == [200, 503] * 5
    captured = sample("gateways/nginx__503_limit_req")
    assert reply.body == captured.content
    assert reply.headers["Content-Type"] == captured.headers["Content-Type"]


def test_a_limit_may_allow_a_burst_and_say_429() -> None:
    """So many requests above the limit are served, and then none until time has passed."""
    clock = Clock()
    desk = desk_at(clock, rules=[RequestLimit(per_second=1, burst=3, fault=Fault.rate_limited(1))])
    desk.add("a")

    first = [ask(desk, "GET", PATH).status for _ in range(6)]
    clock.now += 2
    later = [ask(desk, "GET", PATH).status for _ in range(3)]

    assert first == [200] * 4 + [429] * 2
    assert later == [200, 200, 429]


def test_a_rule_judges_each_relay_anew() -> None:
    """What one relay has served does not count at another."""
    rule = RequestLimit(per_second=1)

    for _ in range(2):
        assert ask(desk_at(Clock(), rules=[rule]), "GET", PATH).status == 400


def test_a_lost_session_is_a_401_for_some_seconds() -> None:
    """Before and after it the key is good; media do not care."""
    clock = Clock()
    desk = desk_at(clock, rules=[SessionLoss(starts_at=10, seconds=5)])
    desk.add("a", script=Script.of("completed"))
    link = json.loads(ask(desk, "GET", PATH).body)["video"]["url"]
    statuses = []

    for _ in range(4):
        statuses.append(ask(desk, "GET", PATH).status)
        clock.now += 5

    assert statuses == [200, 200, 401, 200]
    clock.now -= 9
    assert ask(desk, "GET", PATH).status == 401
    assert ask(desk, "GET", link, headers={}).status == 200


def test_a_limit_of_jobs_takes_a_submit_when_one_has_ended() -> None:
    """A submit beyond it is a 429, and registers nothing; polls go on."""
    clock = Clock()
    desk = desk_at(clock, rules=[JobLimit(most=1)], script=Script.completes(pending=5, processing=5))
    statuses = []

    for _ in range(3):
        statuses.append(ask(desk, "POST", "/luma/generations", CAT).status)
        clock.now += 5

    assert statuses == [201, 429, 201]
    assert len(desk.task_ids) == 2
    assert ask(desk, "GET", f"/luma/generations/{desk.task_ids[0]}").status == 200


def test_a_cap_leaves_rows_out_in_silence() -> None:
    """Of a batch of five, the first two are answered; single polls are not affected."""
    desk = desk_at(Clock(), rules=[RowCap(most=2)])
    for name in "abcde":
        desk.add(name)

    reply = ask(desk, "POST", "/luma/tasks", {"ids": list("abcde")})

    assert {row["id"] for row in json.loads(reply.body)} == {"a", "b"}
    assert ask(desk, "GET", "/luma/generations/e").status == 200


async def test_a_client_gets_through_all_of_it(luma_time: FastTime) -> None:
    """Every id completes, whatever limit, lost session and cap come together."""
    rules: list[Rule] = [RequestLimit(per_second=1), SessionLoss(starts_at=60, seconds=20), RowCap(most=3)]
    async with (
        SimulatedRelay(clock=luma_time.clock, rules=rules) as relay,
        LumaClient(relay.base_url, relay.api_key, polling=PollPolicy()) as luma,
    ):
        ids = [relay.add(script=Script.completes(pending=20, processing=10.0 * number)) for number in range(8)]
        outcomes = await luma.wait_all(ids, timeout=1200)

    assert {outcome.unwrap().state for outcome in outcomes} == {State.COMPLETED}
    assert {503, 401} <= {seen.status for seen in relay.requests}


async def test_a_submit_beyond_the_limit_of_jobs_is_not_taken(luma_time: FastTime) -> None:
    """The client reports the 429, and nothing is uncertain."""
    async with (
        SimulatedRelay(clock=luma_time.clock, rules=[JobLimit(most=0)]) as relay,
        LumaClient(relay.base_url, relay.api_key) as luma,
    ):
        with pytest.raises(RateLimitError):
            await luma.submit("a cat")

    assert relay.task_ids == []
