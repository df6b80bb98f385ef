"""Listing the key's newest generations, to find ids that were lost."""

from __future__ import annotations

import json

import pytest

from luma_async import ConfigurationError, LumaClient, LumaError, PollPolicy, State
from luma_async._relay.tasks import read_list
from luma_async.cli.exit import Status
from luma_async.cli.options import Lines
from luma_async.cli.work import list_recent
from luma_async.dialect import Dialect
from tests.kit import KEY, answer
from tests.raw_server import RawServer, Reply, http

LUMA = Dialect.named("luma")
PENDING, FAILED, DONE = (
    {"id": "a", "state": "queued", "created_at": "2024-11-01T10:11:12.123Z"},
    {"id": "b", "state": "failed", "failure_reason": "too violent"},
    {"id": "c", "state": "completed", "assets": {"video": "https://cdn.example/c.mp4"}},
)


def page(*rows: object) -> bytes:
    """Return one page of Luma's own API."""
    return http(200, {"has_more": True, "count": 99, "generations": rows})


def client(base_url: str) -> LumaClient:
    """Return a client of Luma's own API that tries again soon."""
    return LumaClient(base_url, KEY, dialect=LUMA, polling=PollPolicy(min_interval=0.02, initial_interval=0.02))


@pytest.mark.parametrize(
    ("replies", "limit", "found"),
    [
        pytest.param([page(PENDING, FAILED), page(FAILED, DONE), page()], 9, "abc", id="pages that shift meanwhile"),
        pytest.param([page(PENDING, FAILED)], 9, "ab", id="an API without pages"),
        pytest.param([page(PENDING, FAILED, DONE)], 2, "ab", id="more than was asked for"),
        pytest.param([page()], 5, "", id="none"),
        pytest.param([http(502), page(DONE), page()], 5, "c", id="trouble that passes"),
    ],
)
async def test_each_generation_is_listed_once(replies: list[Reply], limit: int, found: str) -> None:
    """In the API's order, and never more than were asked for."""
    async with RawServer(replies) as server, client(server.base_url) as luma:
        generations = await luma.recent(limit)

    assert "".join(generation.id for generation in generations) == found
    assert server.heads[0].startswith(b"GET /dream-machine/v1/generations?limit=%d&offset=0 " % limit)


async def test_a_page_begins_after_the_ones_before() -> None:
    """And asks for what is missing only."""
    async with RawServer([page(PENDING), page(FAILED, DONE)]) as server, client(server.base_url) as luma:
        states = [generation.state for generation in await luma.recent(3)]

    assert states == [State.PENDING, State.FAILED, State.COMPLETED]
    assert b"?limit=2&offset=1 " in server.heads[1]


async def test_an_api_without_a_list_is_asked_nothing() -> None:
    """The error says what has one."""
    async with RawServer([page(DONE)]) as server, LumaClient(server.base_url, KEY, dialect="relay") as luma:
        with pytest.raises(ConfigurationError, match="the dialect relay has no list of tasks"):
            await luma.recent()

    assert server.heads == []


@pytest.mark.parametrize("limit", [0, -1, 10_001, 2.0, True, "5", None])
async def test_a_limit_that_is_none_is_refused(limit: object) -> None:
    """Before anything is sent."""
    async with RawServer([page(DONE)]) as server, client(server.base_url) as luma:
        with pytest.raises(ConfigurationError, match="limit="):
            await luma.recent(limit)  # type: ignore[arg-type]

    assert server.heads == []


@pytest.mark.parametrize(
    "body",
    [[], {"generations": []}, {"generations": None, "count": 0}, {"code": 0, "message": "success", "data": None}],
)
def test_a_list_without_entries_is_no_refusal(body: object) -> None:
    """However it is written."""
    assert read_list(answer(body), LUMA) == []


@pytest.mark.parametrize("body", [{"detail": "no", "data": None}, {"error": {"message": "no"}, "data": None}, {"a": 1}])
def test_a_refusal_is_no_list_without_entries(body: object) -> None:
    """Inside a 200, too."""
    with pytest.raises(LumaError):
        read_list(answer(body), LUMA)


async def test_the_command_writes_lines_that_are_ids_again(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON line each; a failed generation is no failure of the command."""
    async with RawServer([page(PENDING, FAILED), page()]) as server:
        status = await list_recent(client(server.base_url), 5, Lines(brief=True))

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["task_id"], line["state"]) for line in lines] == [("a", "pending"), ("b", "failed")]
    assert status is Status.DONE


async def test_a_key_without_generations_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error."""
    async with RawServer([page()]) as server:
        status = await list_recent(client(server.base_url), 5, Lines())

    assert capsys.readouterr() == ("", "luma-async: the key has no generations\n")
    assert status is Status.DONE


async def test_a_quiet_list_has_every_id(capsys: pytest.CaptureFixture[str]) -> None:
    """Lost ids are open ones more often than not."""
    async with RawServer([page(PENDING, FAILED, DONE), page()]) as server:
        await list_recent(client(server.base_url), 5, Lines(quiet=True))

    assert capsys.readouterr() == ("a\nb\nc\n", "")
