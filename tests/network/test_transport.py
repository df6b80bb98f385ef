"""The network edge against servers that misbehave, byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable, Sequence
from traceback import walk_tb

import pytest
from aiohttp import TCPConnector

from luma_async import (
    APIError,
    ClientClosedError,
    Generation,
    Limits,
    LumaClient,
    LumaError,
    NotFoundError,
    PollPolicy,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    State,
    WaitTimeoutError,
)
from luma_async._network.cooldown import Cooldown
from luma_async._network.request import Request
from luma_async._network.session import Network
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async.settings import Settings
from tests.kit import KEY
from tests.raw_server import Act, RawServer, Reply, hang_up, http, stay_silent, task

ID = "9d4b7516-77e5-481a-b015-48313946f33b"
FAST = PollPolicy(
    min_interval=0.01, initial_interval=0.01, max_interval=0.05, max_consecutive_failures=3, max_outage=0.1
)
LIMITS = Limits(request_timeout=0.4)
DONE = task(ID, "completed", video={"url": "https://cdn.example/v.mp4"})


def client(server: RawServer, limits: Limits = LIMITS, path: str = "") -> LumaClient:
    """Return a client of *server* that asks often."""
    return LumaClient(server.base_url + path, KEY, polling=FAST, limits=limits, batch="never")


async def wait_for(replies: Sequence[Reply], limits: Limits = LIMITS) -> Generation:
    """Wait for one task at a server with *replies*."""
    async with RawServer(replies) as server, client(server, limits) as luma:
        return await luma.wait_until_done(ID, timeout=10.0)


async def error_of(replies: Sequence[Reply], limits: Limits = LIMITS) -> LumaError:
    """Return what a wait at a server with *replies* ends in."""
    with pytest.raises(LumaError) as caught:
        await wait_for(replies, limits)
    return caught.value


# --- what goes out ---


async def test_request_has_the_three_required_headers_and_nothing_personal() -> None:
    """The specification's headers are sent once each, with the key, and no cookie or body."""
    async with RawServer([DONE]) as server, client(server, path="/relay/v1/") as luma:
        await luma.get_generation(ID)

    head = server.heads[0].decode()
    names = [line.partition(":")[0].lower() for line in head.split("\r\n")[1:] if line]
    assert head.startswith(f"GET /relay/v1/luma/generations/{ID} HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}\r\n" in head
    assert "Accept: application/json\r\n" in head
    assert "Content-Type: application/json\r\n" in head
    assert sorted(names) == ["accept", "accept-encoding", "authorization", "content-type", "host", "user-agent"]


# --- unknown tasks, and the key ---


@pytest.mark.parametrize("reply", [http(404), http(400, {"code": "task_not_exist", "message": "task_not_exist"})])
async def test_unknown_task_is_final_at_once_in_a_single_look(reply: bytes) -> None:
    """One look does not repeat a question that was answered."""
    async with RawServer([reply]) as server, client(server) as luma:
        with pytest.raises(NotFoundError):
            await luma.get_generation(ID)

    assert len(server.heads) == 1


# --- single looks ---


async def test_single_look_survives_passing_trouble() -> None:
    """Two failures out of three tries are invisible to get_generation."""
    async with RawServer([http(502), hang_up, hang_up, DONE]) as server, client(server) as luma:
        generation = await luma.get_generation(ID)

    assert generation.state is State.COMPLETED


async def test_single_look_gives_up_after_three_tries() -> None:
    """A relay that says 502 for ever is asked three times."""
    async with RawServer([http(502)]) as server, client(server) as luma:
        with pytest.raises(ServerError) as caught:
            await luma.get_generation(ID)

    assert len(server.heads) == 3
    assert caught.value.status == 502


async def test_single_look_does_not_wait_for_a_hint_beyond_its_time() -> None:
    """Told to come back in an hour, a single look says so now."""
    async with RawServer([http(429, b"", "Retry-After: 3600")]) as server, client(server) as luma:
        with pytest.raises(RateLimitError) as caught:
            await luma.get_generation(ID)

    assert caught.value.retry_after == 3600
    assert len(server.heads) == 1


async def test_single_looks_come_in_the_order_asked_and_bad_ids_stand_alone() -> None:
    """One bad id is one bad outcome at its place, and an id asked for twice stands twice."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = re.search(rb"generations/(\S+)", server.heads[-1])
        assert found is not None
        writer.write(task(found[1].decode(), "failed"))

    async with RawServer([answer]) as server, client(server) as luma:
        outcomes = await luma.get_generations(["b", "../x", "a", "b"])

    assert [outcome.task_id for outcome in outcomes] == ["b", "../x", "a", "b"]
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True]
    assert outcomes[0].unwrap().state is State.FAILED
    assert len(server.heads) == 2


# --- limits ---


async def without_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send blanks until the client has gone."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" " * 10_000)
        await writer.drain()


async def test_an_answer_without_an_end_is_left_at_the_limit() -> None:
    """Not at the request's time-out, for which it could fill the memory."""
    limits = Limits(max_answer_bytes=100_000, request_timeout=2.0)

    error = await error_of([without_end], limits)

    assert isinstance(error, ProtocolError)
    assert "larger than 100000 bytes (Limits(max_answer_bytes=...) allows more" in str(error)


async def test_packed_answer_is_read() -> None:
    """An honest gzip body is an answer."""
    packed = gzip.compress(b'{"id": "%s", "state": "completed", "result_url": "https://x.example/v"}' % ID.encode())

    generation = await wait_for([http(200, packed, "Content-Encoding: gzip")])

    assert generation.video_url == "https://x.example/v"


# --- strangers and redirects ---


async def test_a_strangers_connection_is_given_up_of_a_shared_connector_too() -> None:
    """The connector is the user's and stays open; the connection that brought another task's answer does not."""
    async with TCPConnector() as shared, RawServer([DONE, task("a-stranger", "completed"), DONE]) as server:
        async with LumaClient(server.base_url, KEY, polling=FAST, limits=LIMITS, connector=shared) as luma:
            await luma.get_generation(ID)
            generation = await luma.get_generation(ID)

        assert generation.id == ID
        assert server.connections == 2
        assert not shared.closed


async def test_others_finish_on_the_connections_that_are_given_up() -> None:
    """A look that is under way when a stranger's answer comes is not cut off."""
    slow_came, stranger_came = asyncio.Event(), asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        slow_came.set()
        await stranger_came.wait()
        await asyncio.sleep(0.05)
        writer.write(task("slow", "completed", result_url="https://x.example/v"))

    async def stranger(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stranger_came.set()
        writer.write(task("a-stranger", "completed"))

    async with RawServer([DONE, slow, stranger, DONE]) as server, client(server) as luma:
        await luma.get_generation(ID)
        under_way = asyncio.create_task(luma.wait_until_done("slow"))
        await slow_came.wait()
        await luma.wait_until_done(ID)
        await under_way

    assert len(server.heads) == 4


async def test_connections_that_are_given_up_do_not_linger_beside_new_ones() -> None:
    """Idle ones are closed though others of their pool are in use: together they could be more than the limit."""
    came: asyncio.Queue[str] = asyncio.Queue()
    may_end, others_may_end = asyncio.Event(), asyncio.Event()

    def held(task_id: str, until: asyncio.Event) -> Act:
        async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.put_nowait(task_id)
            await until.wait()
            writer.write(task(task_id, "completed", result_url="https://x.example/v"))

        return act

    others = [held("b", others_may_end), held("c", others_may_end)]
    replies: list[Reply] = [DONE, held("a", may_end), *others, task("a-stranger", "completed"), DONE]
    async with RawServer(replies) as server, client(server) as luma:
        await luma.get_generation(ID)
        under_way = []
        for task_id in "abc":
            under_way.append(asyncio.create_task(luma.get_generation(task_id)))
            assert await came.get() == task_id
        others_may_end.set()
        await asyncio.wait(under_way[1:])
        await luma.get_generation(ID)
        await asyncio.sleep(0.1)  # until the server has heard of what was closed
        open_beside_one_under_way = server.open_now
        may_end.set()
        generations = await asyncio.gather(*under_way)

    assert [generation.id for generation in generations] == ["a", "b", "c"]
    assert (server.connections, open_beside_one_under_way) == (4, 2)


# --- the deadline, and closing ---


async def test_silent_relay_is_left_at_the_deadline() -> None:
    """A relay that never answers costs the deadline, and the error says what was wrong."""
    async with RawServer([stay_silent]) as server, client(server, Limits(request_timeout=30.0)) as luma:
        with pytest.raises(WaitTimeoutError) as caught:
            await luma.wait_until_done(ID, timeout=0.3)

    assert isinstance(caught.value.last_error, RequestTimeoutError)
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("call", ["get_generation", "clean_video_url"])
async def test_closing_ends_a_request_whose_body_has_stalled(call: str) -> None:
    """A call that reads half a body when the client is closed ends at once, not when the time is over."""
    came = asyncio.Event()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(200, b'{"id":', length=500))
        came.set()
        await stay_silent(reader, writer)

    async with RawServer([half]) as server:
        luma = client(server, Limits(request_timeout=30.0))
        looking = asyncio.create_task(getattr(luma, call)(ID))
        await came.wait()
        await asyncio.sleep(0.05)
        await luma.aclose()
        done, _ = await asyncio.wait([looking], timeout=5.0)

    assert done == {looking}
    assert isinstance(looking.exception(), ClientClosedError)


async def never() -> None:
    """Let no request through."""
    await asyncio.Event().wait()


SLOW_DOWN = http(429, {"error": {"message": "slow down"}}, "Retry-After: 60")
LASTING = PollPolicy(initial_interval=15.0, max_interval=60.0)


@pytest.mark.parametrize(
    ("replies", "limits", "gate"),
    [
        ([], Limits(), never),
        ([], Limits(requests_per_second=0.01), None),
        ([stay_silent], Limits(max_concurrency=1), None),
        ([SLOW_DOWN], Limits(), None),
        ([http(503, {"error": {"message": "no channel"}})] * 2, Limits(), None),
    ],
    ids=["the gate", "the rate limit", "a slot", "the cool-down", "the pause before the next try"],
)
@pytest.mark.parametrize("call", ["get_generation", "submit"])
async def test_closing_ends_a_call_whatever_it_waits_for(
    replies: Sequence[Reply], limits: Limits, gate: Callable[[], Awaitable[object]] | None, call: str
) -> None:
    """At once, and not when it would have had its turn: an app that is being stopped has seconds."""
    async with RawServer([*replies, DONE]) as server:
        async with LumaClient(server.base_url, KEY, polling=LASTING, limits=limits, batch="never", gate=gate) as luma:
            first = asyncio.create_task(luma.get_generation(ID))
            await asyncio.wait([first], timeout=0.1)
            waiting = asyncio.create_task(getattr(luma, call)(ID))
            done_before, _ = await asyncio.wait([waiting], timeout=0.1)
        done, _ = await asyncio.wait([first, waiting], timeout=2.0)

    assert (done_before, done) == (set(), {first, waiting})
    assert isinstance(waiting.exception(), ClientClosedError)
    assert isinstance(first.exception(), None | ClientClosedError | RateLimitError)


async def test_an_error_keeps_no_answer() -> None:
    """A waiting id keeps its last error, whose traceback would keep a page of megabytes."""

    def read(_: Answer) -> None:
        raise ProtocolError("no task")

    async with RawServer([http(200, b"<html>")]) as server:
        settings = Settings.load(server.base_url, KEY, Limits(), environ={})
        transport = Transport(settings, Network(), Cooldown(FAST, is_open=True))
        with pytest.raises(ProtocolError) as caught:
            await transport.exchange(Request("GET", "/luma/generations/a"), read)
        await transport.aclose()

    frames = [frame for frame, _ in walk_tb(caught.value.__traceback__)]
    assert "exchange" in [frame.f_code.co_name for frame in frames]
    assert [name for frame in frames for name, value in frame.f_locals.items() if isinstance(value, Answer)] == []


# --- heads ---


def headed(*headers: str) -> bytes:
    """Return a good answer with these headers too."""
    return http(200, {"id": ID, "state": "completed"}, *headers)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([f"X-Big: {'a' * 9216}"], "the header X-Big of the relay's answer has 9216 bytes, and the limit is 8190"),
        ([f"Set-Cookie: {KEY}{'a' * 20_000}"], f"the header Set-Cookie of the relay's answer has {20_000 + len(KEY)} "),
        ([f"X-{KEY}: {'a' * 9000}"], "[key]"),
        ([f"X-{number}: a" for number in range(150)], " headers, and the limit is 128"),
        ([f"X-{number}: a" for number in range(300)], "answered with more headers than the limit of 128"),
        ([f"X-Big: {KEY}{'a' * 80_000}"], "answered with a header or a status line of more than 65536 bytes"),
    ],
    ids=["long", "longer", "key", "many", "more", "longest"],
)
async def test_a_head_that_is_too_large_is_named_without_the_key(headers: list[str], said: str) -> None:
    """The header and its size, or the number of headers, and the limit."""
    error = await error_of([headed(*headers)])

    assert isinstance(error, ProtocolError)
    assert said in str(error)
    assert KEY not in repr(error)


async def test_a_large_head_does_not_lose_a_task_that_was_paid_for() -> None:
    """The answer to a submit is read all the same."""
    async with RawServer([http(201, {"id": ID}, f"X-Big: {'a' * 9216}")]) as server, client(server) as luma:
        assert await luma.submit("a cat") == ID


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        (["X-Oneapi-Request-Id: a"], "a"),
        (["x-any2api-request-id: a"], "a"),
        (["x-request-id: a", "X-LiteLLM-Call-Id: b"], "b"),
        (["X-Request-Id: a"], "a"),
        (["X-Relay-RequestId: a"], "a"),
        (["X-Request-Id: "], None),
        (["X-Request-Identity: a"], None),
    ],
)
async def test_the_id_of_a_request_is_found_under_any_name(headers: list[str], request_id: str | None) -> None:
    """The gateway's own goes before that of a proxy in front."""
    error = await error_of([http(402, {"message": "no"}, *headers)])

    assert isinstance(error, APIError)
    assert error.request_id == request_id
