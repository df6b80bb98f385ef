"""``check``: what is asked, what comes out, and with which exit status."""

from __future__ import annotations

import json
from contextlib import aclosing

import pytest

from luma_async import Dialect, Limits, PollPolicy
from luma_async._network.cooldown import Cooldown
from luma_async._network.session import Network
from luma_async._network.transport import Transport
from luma_async.cli.check.command import examine
from luma_async.dialect import RELAY
from luma_async.settings import Settings
from luma_async.testing import FastTime, Fault, RequestLimit, SimulatedRelay
from luma_async.testing._flavours import FLAVOURS
from luma_async.testing.exchange import Flavour
from tests.cli.command import Ended, run
from tests.cli.conftest import Command
from tests.cli.test_endings import on_terminal
from tests.raw_server import free_port

WRONG = {"LUMA_API_KEY": "sk-wrong-0123456789"}


def results(ended: Ended) -> dict[str, str]:
    """Return the results by the names of the checks."""
    return {row["check"]: row["result"] for row in map(json.loads, ended.out.splitlines())}


def test_a_good_relay_is_four_good_rows(command: Command, luma_relay: SimulatedRelay) -> None:
    """Status 0, nothing on standard error, and nothing is asked that could cost anything."""
    ended = command("check", relay=luma_relay)

    assert (ended.status, ended.err) == (0, "")
    assert results(ended) == dict.fromkeys(["address", "key", "batch query", "latency"], "ok")
    kinds = [*["look"] * 5, "unknown", "unknown", "look", "unknown", "batch"]
    assert [seen.kind for seen in luma_relay.requests] == kinds
    assert {task_id for seen in luma_relay.requests for task_id in seen.task_ids}.isdisjoint(luma_relay.task_ids)


def test_a_relay_without_the_batch_query_is_fine(command: Command, luma_relay: SimulatedRelay) -> None:
    """What only makes waiting cheaper is no reason for another status."""
    luma_relay.trouble(Fault.http(404), times=None, on="batch")

    ended = command("check", relay=luma_relay)

    assert (ended.status, results(ended)["batch query"]) == (0, "note")


def test_a_wrong_key_is_told_after_one_poll(command: Command, luma_relay: SimulatedRelay) -> None:
    """Status 1; the key is shown nowhere, and is not tried over and over."""
    env = {"LUMA_BASE_URL": luma_relay.base_url, **WRONG}

    ended = command("check", env=env)

    assert (ended.status, results(ended)["key"]) == (1, "bad")
    assert "0123456789" not in ended.out + ended.err
    assert [seen.kind for seen in luma_relay.requests] == ["look", "unknown", "unknown", "look", "unknown", "batch"]


BATCHES = {"contract": "ok", "new-api": "ok", "new-api-2026": "ok", "litellm": "ok", "web-proxy": "ok"}


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_each_gateway_is_approved_and_a_wrong_key_is_not(luma_time: FastTime, flavour: Flavour) -> None:
    """Address and key are good, or the key is bad; the batch query is there or not; another address is bad."""
    async with SimulatedRelay(clock=luma_time.clock, flavour=flavour) as relay:
        good = await checked(relay.base_url, relay.api_key)
        bad = await checked(relay.base_url, "sk-wrong-0123456789")
        nowhere = await checked(f"{relay.base_url}/v1", relay.api_key)

    batch = BATCHES.get(flavour, "note")
    assert good == {"address": "ok", "key": "ok", "batch query": batch, "latency": "ok"}
    assert (bad["address"], bad["key"]) == ("ok", "bad")
    assert (nowhere["address"], nowhere["key"]) == ("bad", "unsure")


async def test_a_dialect_without_the_batch_query_is_fine(luma_time: FastTime) -> None:
    """It is not asked, and the status stays good."""
    async with SimulatedRelay(clock=luma_time.clock) as relay:
        found = await checked(relay.base_url, relay.api_key, Dialect(tasks_path=None))
        kinds = {seen.kind for seen in relay.requests}

    assert found == {"address": "ok", "key": "ok", "batch query": "note", "latency": "ok"}
    assert "batch" not in kinds


async def test_a_limit_of_one_request_a_second_spoils_no_check(luma_time: FastTime) -> None:
    """What the limit refuses is asked again a little later."""
    async with SimulatedRelay(clock=luma_time.clock, rules=[RequestLimit(per_second=1)]) as relay:
        found = await checked(relay.base_url, relay.api_key)

    assert found == dict.fromkeys(["address", "key", "batch query", "latency"], "ok")


async def checked(base_url: str, key: str, dialect: Dialect = RELAY) -> dict[str, str]:
    """Return the results by the names of the checks."""
    ours, theirs = (
        Transport(Settings.load(base_url, each, Limits(), dialect=dialect), Network(), Cooldown(PollPolicy()))
        for each in (key, "other")
    )
    async with aclosing(ours), aclosing(theirs):
        return {row.check: row.result for row in await examine(ours, theirs)}


def test_a_path_without_luma_is_told(command: Command, luma_relay: SimulatedRelay) -> None:
    """A gateway that says *Invalid URL* is no relay with Luma at this address."""
    ended = command("check", "--base-url", f"{luma_relay.base_url}/v1", relay=luma_relay)

    assert (ended.status, results(ended)["address"]) == (1, "bad")


def test_the_path_that_is_added_anyway_is_named(command: Command, luma_relay: SimulatedRelay) -> None:
    """With it twice, a relay has no task there."""
    named = command("check", env={"LUMA_BASE_URL": f"{luma_relay.base_url}/luma", "LUMA_API_KEY": luma_relay.api_key})
    other = command("check", env={"LUMA_BASE_URL": f"{luma_relay.base_url}/v9", "LUMA_API_KEY": luma_relay.api_key})

    assert (named.status, other.status) == (1, 1)
    assert "remove /luma from the end of the address" in named.out
    assert "remove" not in other.out


def test_where_nobody_answers_it_is_told_after_two_looks(luma_relay: SimulatedRelay) -> None:
    """A port on which nobody listens makes the address bad, and the rest cannot be told."""
    ended = run("check", "--base-url", f"http://127.0.0.1:{free_port()}", relay=luma_relay)

    assert ended.status == 1
    assert results(ended) == {"address": "bad", "key": "unsure", "batch query": "unsure", "latency": "unsure"}


def test_one_passing_trouble_is_invisible(command: Command, luma_relay: SimulatedRelay) -> None:
    """A single 502 changes no verdict, even where the looks alone have to tell."""
    luma_relay.trouble(Fault.http(404), times=None, on="batch")
    luma_relay.trouble(Fault.bad_gateway())

    ended = command("check", relay=luma_relay)

    assert (ended.status, results(ended)["address"]) == (0, "ok")


def test_a_terminal_shows_rows(luma_relay: SimulatedRelay) -> None:
    """On a terminal there is a table and no JSON; ``--json`` gives JSON there too."""
    shown = on_terminal("check", relay=luma_relay, encoding="ascii")
    asked = on_terminal("check", "--json", relay=luma_relay, encoding="ascii")

    assert (shown.status, asked.status) == (0, 0)
    assert "a relay with Luma answers" in shown.out
    assert "{" not in shown.out
    assert results(asked)["key"] == "ok"
