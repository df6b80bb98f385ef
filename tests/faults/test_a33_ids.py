"""A33: ids that cannot stand in a path, and collections of ids that are none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from enum import Enum
from typing import Any, Never

import pytest

from luma_async import ConfigurationError, LumaClient, Outcome, PollPolicy
from luma_async.testing import Script, SimulatedRelay

FAST = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.1)
HEALTHY = [f"healthy-{number}" for number in range(20)]


class Spelled(str):
    """A string whose text is another one."""

    __slots__ = ()

    def __str__(self) -> str:
        return "../admin"

    def __format__(self, _: str) -> str:
        return "../admin"


class Named(str, Enum):  # noqa: UP042 - a StrEnum's member prints as its value
    """An enum of ids, whose members print as ``Named.FIRST`` and hash as ``FIRST``."""

    FIRST = "healthy-0"


class Unspeakable:
    """Something whose repr fails."""

    def __repr__(self) -> Never:
        raise RuntimeError("no repr")


ODD = {
    "empty": "",
    "a dot": ".",
    "dots": "..",
    "up": "../x",
    "up in the middle": "a/../b",
    "up the other way": "..\\x",
    "a slash": "a/b",
    "a slash before": "/a",
    "a slash behind": "a/",
    "another host": "//evil.example/a",
    "a URL": "https://evil.example/a",
    "a query": "a?b",
    "a fragment": "a#b",
    "an escaped dot": "%2e%2e",
    "an escaped slash": "%2F",
    "escaped twice": "%252e",
    "a backslash": "a\\b",
    "a blank": "a b",
    "a blank before": " a",
    "a tab": "a\tb",
    "a newline": "a\n",
    "another header": "a\r\nX: 1",
    "NUL": "a\0",
    "DEL": "a\x7f",
    "a quote": 'a"b',
    "JSON": 'a", "b',
    "1,025 characters": "x" * 1025,
    "5,000 characters": "x" * 5000,
    "an accent": "é",
    "a wide letter": "ａ",
    "a digit of another script": "٣",
    "an invisible one": "a\u200b",
    "written backwards": "a\u202eb",
    "a surrogate": "\ud800",
    "a spelled one": Spelled("c/d"),
    "None": None,
    "5": 5,
    "True": True,
    "5,000 digits": 10**5000,
    "not a number": float("nan"),
    "bytes": b"abc",
    "a list": ["abc"],
    "a dict": {"id": "abc"},
    "a type": str,
    "unspeakable": Unspeakable(),
}


@pytest.fixture
async def relay() -> AsyncIterator[SimulatedRelay]:
    """Run a relay with twenty tasks that complete at once."""
    async with SimulatedRelay() as running:
        for task_id in HEALTHY:
            running.add(task_id, script=Script.of("completed"))
        yield running


@pytest.fixture
async def luma(relay: SimulatedRelay) -> AsyncIterator[LumaClient]:
    """Make a client that asks often."""
    async with LumaClient(relay.base_url, relay.api_key, polling=FAST) as client:
        yield client


def asked_for(relay: SimulatedRelay) -> set[str]:
    """Return all ids that the relay was asked for."""
    assert {seen.path for seen in relay.requests} <= {"/luma/tasks", *(f"/luma/generations/{i}" for i in HEALTHY)}
    return {task_id for seen in relay.requests for task_id in seen.task_ids}


async def collected(luma: LumaClient, task_ids: Any) -> list[Outcome]:
    """Return the outcomes as they come."""
    async with luma.as_completed(task_ids, timeout=15.0) as outcomes:
        return [outcome async for outcome in outcomes]


@pytest.mark.parametrize("task_id", [pytest.param(task_id, id=name) for name, task_id in ODD.items()])
async def test_a33_odd_ids_are_refused_alone(luma: LumaClient, relay: SimulatedRelay, task_id: Any) -> None:
    """Wherever it stands among twenty healthy ones, it has an outcome of its own, and the relay is not asked for it."""
    waited = await luma.wait_all([*HEALTHY[:10], task_id, *HEALTHY[10:], task_id], timeout=15.0)
    looked = await luma.get_generations([task_id, *HEALTHY])
    came = {id(outcome.task_id): outcome for outcome in await collected(luma, [*HEALTHY, task_id, task_id])}

    for refused in (waited[10], waited[21], looked[0], came[id(task_id)]):
        assert refused.task_id is task_id
        assert isinstance(refused.error, ConfigurationError)
        assert "is not a task id" in str(refused.error)
        assert str(refused.error).isprintable()
        assert len(str(refused.error)) < 300
    assert [outcome.unwrap().id for outcome in [*waited[:10], *waited[11:21]]] == HEALTHY
    assert [outcome.unwrap().id for outcome in looked[1:]] == HEALTHY
    assert len(came) == 21
    assert asked_for(relay) == set(HEALTHY)


@pytest.mark.parametrize("task_id", [pytest.param(task_id, id=name) for name, task_id in ODD.items()])
async def test_a33_an_odd_id_alone_is_refused_before_a_request(
    luma: LumaClient, relay: SimulatedRelay, task_id: Any
) -> None:
    """By each call that takes a single one; a watch says so when it is made."""
    with pytest.raises(ConfigurationError, match="is not a task id"):
        await luma.get_generation(task_id)
    with pytest.raises(ConfigurationError, match="is not a task id"):
        await luma.wait_until_done(task_id)
    with pytest.raises(ConfigurationError, match="is not a task id"):
        luma.watch(task_id)

    assert relay.requests == []


@pytest.mark.parametrize("task_id", [Named.FIRST, type("Text", (str,), {})("healthy-0"), Spelled("healthy-0")])
async def test_a33_a_string_of_another_class_is_what_it_says(
    luma: LumaClient, relay: SimulatedRelay, task_id: str
) -> None:
    """An enum's member is asked for by its value, however it prints and hashes, and stays the caller's own object."""
    waited = await luma.wait_all([task_id], timeout=15.0)
    looked = await luma.get_generations([task_id])
    alone = [await luma.wait_until_done(task_id, timeout=15.0), await luma.get_generation(task_id)]

    assert [outcome.task_id is task_id for outcome in [*waited, *looked]] == [True, True]
    assert [outcome.unwrap().id for outcome in [*waited, *looked]] == ["healthy-0", "healthy-0"]
    assert [generation.id for generation in alone] == ["healthy-0", "healthy-0"]
    assert asked_for(relay) == {"healthy-0"}


async def test_a33_the_same_id_twice_is_polled_once(luma: LumaClient, relay: SimulatedRelay) -> None:
    """The lists have its outcome at each of its places, and as_completed has it once."""
    task_id = relay.add(script=Script.completes(pending=0.1, processing=0.1))
    twice = [task_id, "a/b", "healthy-0", task_id, "a/b"]

    waited = await luma.wait_all(twice, timeout=15.0)
    polls = sum(seen.task_ids.count(task_id) for seen in relay.requests)
    came = await collected(luma, twice)

    assert [outcome.task_id for outcome in waited] == twice
    assert waited[0] is waited[3]
    assert polls == waited[0].polls
    assert sorted(outcome.task_id for outcome in came) == sorted([task_id, "a/b", "healthy-0"])


@pytest.mark.parametrize("task_ids", ["healthy-0", b"healthy-0", bytearray(b"x"), None, 5, True, object()])
async def test_a33_what_is_no_collection_is_refused_before_a_request(
    luma: LumaClient, relay: SimulatedRelay, task_ids: Any
) -> None:
    """An id or bytes in place of a list would be read letter by letter."""
    with pytest.raises(ConfigurationError, match="give a list of task ids"):
        await luma.wait_all(task_ids)
    with pytest.raises(ConfigurationError, match="give a list of task ids"):
        await luma.get_generations(task_ids)
    with pytest.raises(ConfigurationError, match="give a list of task ids"):
        luma.as_completed(task_ids)

    assert relay.requests == []


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, dict.fromkeys, iter])
async def test_a33_any_collection_will_do(luma: LumaClient, kind: Any) -> None:
    """Of a dict, the keys are the ids."""
    outcomes = await luma.wait_all(kind([*HEALTHY, "a/b"]), timeout=15.0)

    assert sorted(outcome.task_id for outcome in outcomes if outcome.ok) == sorted(HEALTHY)
    assert len(outcomes) == 21


def broken() -> Iterator[str]:
    """Yield two ids, one of them odd, and break."""
    yield "healthy-0"
    yield "a/b"
    raise LookupError("the user's own")


async def broken_stream() -> AsyncIterator[str]:
    """Break in the same way."""
    for task_id in broken():
        yield task_id


@pytest.mark.parametrize("source", [broken, broken_stream])
async def test_a33_a_source_that_raises_loses_nothing(luma: LumaClient, source: Any) -> None:
    """Its own error comes out, unchanged, after the outcomes of what it gave before."""
    async with luma.as_completed(source(), timeout=15.0) as outcomes:
        came = [await anext(outcomes), await anext(outcomes)]
        with pytest.raises(LookupError, match="the user's own"):
            await anext(outcomes)

    assert sorted((outcome.task_id, outcome.ok) for outcome in came) == [("a/b", False), ("healthy-0", True)]


async def test_a33_lists_of_a_source_that_raises_ask_for_nothing(luma: LumaClient, relay: SimulatedRelay) -> None:
    """What is to be listed is read whole before the first request."""
    with pytest.raises(LookupError):
        await luma.wait_all(broken())
    with pytest.raises(LookupError):
        await luma.get_generations(broken())

    assert relay.requests == []


async def test_a33_all_odd_ids_together_come_one_by_one(luma: LumaClient, relay: SimulatedRelay) -> None:
    """Each has an outcome, none is lost, and nothing is asked."""
    came = await collected(luma, iter(ODD.values()))

    assert [id(outcome.task_id) for outcome in came] == [id(task_id) for task_id in ODD.values()]
    assert relay.requests == []
