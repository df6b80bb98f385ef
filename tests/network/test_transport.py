"""The network edge against servers that misbehave, byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import logging
import pickle
import re
import traceback
from collections.abc import Sequence

import pytest
from aiohttp import TCPConnector
from attrs import evolve

from luma_async import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    Generation,
    Limits,
    LumaClient,
    LumaError,
    NotFoundError,
    Outcome,
    PermissionDeniedError,
    PollPolicy,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    State,
    TransportError,
    WaitTimeoutError,
)
from tests.kit import KEY
from tests.raw_server import Act, RawServer, Reply, free_port, hang_up, http, reset, stay_silent, task

ID = "9d4b7516-77e5-481a-b015-48313946f33b"
FAST = PollPolicy(
    min_interval=0.01, initial_interval=0.01, max_interval=0.05, max_consecutive_failures=3, max_outage=0.1
)
LIMITS = Limits(request_timeout=0.4)
DONE = task(ID, "completed", video={"url": "https://cdn.example/v.mp4"})
WRONG_KEY = http(401, {"error": {"message": f"invalid key {KEY}"}})


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


async def test_cookies_are_not_kept() -> None:
    """What a relay sets in one answer is not sent with the next request."""
    pending = http(200, {"id": ID, "state": "pending"}, "Set-Cookie: session=1; Path=/")

    async with RawServer([pending, DONE]) as server:
        luma = LumaClient(f"http://localhost:{server.port}", KEY, polling=FAST)
        async with luma:
            await luma.wait_until_done(ID)

    assert len(server.heads) == 2
    assert b"cookie" not in server.heads[1].lower()


# --- passing trouble ---

TROUBLE = {
    "reset": (reset, TransportError),
    "silence": (stay_silent, RequestTimeoutError),
    "408": (http(408), APIError),
    "500": (http(500), ServerError),
    "502": (http(502, {"code": "fail_to_fetch_task", "message": "bad gateway"}), ServerError),
    "520": (http(520, b"<!DOCTYPE html><title>520</title>", "Content-Type: text/html"), ServerError),
    "599": (http(599), ServerError),
    "a web page": (http(200, b"<!doctype html><html>", "Content-Type: text/html"), ProtocolError),
    "UTF-16": (http(200, '{"id":1}'.encode("utf-16")), ProtocolError),
    "an error inside 200": (http(200, {"code": 400, "message": "fail_to_fetch_task"}), APIError),
}


@pytest.mark.parametrize("reply", [pytest.param(reply, id=name) for name, (reply, _) in TROUBLE.items()])
async def test_trouble_that_passes_is_invisible(reply: Reply) -> None:
    """Two looks that fail this way do not keep the third from being the result."""
    generation = await wait_for([reply, reply, DONE])

    assert generation.video_url == "https://cdn.example/v.mp4"


@pytest.mark.parametrize(
    ("reply", "kind"), [pytest.param(reply, kind, id=name) for name, (reply, kind) in TROUBLE.items()]
)
async def test_trouble_without_end_has_its_own_class(reply: Reply, kind: type[LumaError]) -> None:
    """A wait ends with the class of its trouble when that has lasted, and never with an error of aiohttp's."""
    error = await error_of([reply])

    assert isinstance(error, kind)
    assert error.retryable
    assert error.task_id == ID


@pytest.mark.parametrize("reply", [pytest.param(reply, id=name) for name, (reply, _) in TROUBLE.items()])
async def test_no_error_holds_the_key_or_an_object_of_aiohttps(reply: Reply) -> None:
    """Whatever is printed, logged, pickled or followed from an error, the key is not in it."""
    error = await error_of([reply])

    chain = [error, error.__cause__, error.__context__]
    assert KEY.encode() not in pickle.dumps(error)
    assert KEY not in "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert all(link is None or isinstance(link, LumaError) for link in chain)


# --- final trouble ---

FINAL = {
    "400": (http(400, {"message": "no"}), APIError),
    "401": (WRONG_KEY, AuthenticationError),
    "402": (http(402), QuotaExceededError),
    "403": (http(403, {"error": {"message": "no access"}}), PermissionDeniedError),
    "403 quota": (http(403, {"code": "quota_not_enough", "message": "m", "data": None}), QuotaExceededError),
    "404 path": (http(404, {"error": {"message": "Invalid URL (GET /luma)"}}), NotFoundError),
    "405": (http(405), APIError),
    "410": (http(410), NotFoundError),
    "422": (http(422), APIError),
    "451": (http(451), APIError),
    "501": (http(501), ServerError),
}


@pytest.mark.parametrize(("reply", "kind"), [pytest.param(*row, id=name) for name, row in FINAL.items()])
async def test_final_answers_end_a_wait_after_one_request(reply: bytes, kind: type[LumaError]) -> None:
    """What asking again cannot change is not asked again."""
    async with RawServer([reply]) as server, client(server) as luma:
        with pytest.raises(kind) as caught:
            await luma.wait_until_done(ID)

    assert len(server.heads) == 1
    assert not caught.value.retryable


@pytest.mark.parametrize("reply", [http(404), http(400, {"code": "task_not_exist", "message": "task_not_exist"})])
async def test_unknown_task_is_final_at_once_in_a_single_look(reply: bytes) -> None:
    """One look does not repeat a question that was answered."""
    async with RawServer([reply]) as server, client(server) as luma:
        with pytest.raises(NotFoundError):
            await luma.get_generation(ID)

    assert len(server.heads) == 1


@pytest.mark.parametrize("reply", [http(404), http(400, {"code": "task_not_exist", "message": "task_not_exist"})])
async def test_unknown_task_is_final_at_the_third_answer_of_a_wait(reply: bytes) -> None:
    """A wait asks three times, since a relay may not know its newest task yet."""
    async with RawServer([reply]) as server, client(server) as luma:
        with pytest.raises(NotFoundError):
            await luma.wait_until_done(ID)

    assert len(server.heads) == 3


async def test_the_relays_echo_of_the_key_is_blanked_out(caplog: pytest.LogCaptureFixture) -> None:
    """A relay that repeats the key in its complaint does not bring it into our error or log."""
    with caplog.at_level(logging.DEBUG):
        error = await error_of([WRONG_KEY])

    assert isinstance(error, AuthenticationError)
    assert "invalid key [key]" in error.message
    assert KEY not in caplog.text


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
    assert [outcome.ok for outcome in outcomes] == [True, False, True, True]
    assert outcomes[0].unwrap().state is State.FAILED
    assert len(server.heads) == 2


# --- limits ---


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(200, b" " * 3_000_000), id="plain"),
        pytest.param(http(200, gzip.compress(b" " * 30_000_000), "Content-Encoding: gzip"), id="packed"),
    ],
)
async def test_answer_that_is_too_large_is_no_answer(answer: bytes) -> None:
    """Neither a large body nor a small one that inflates to a large one is read to its end."""
    error = await error_of([answer])

    assert isinstance(error, ProtocolError)
    assert "larger than" in str(error)


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
    assert "larger than 100000 bytes" in str(error)


async def test_packed_answer_is_read() -> None:
    """An honest gzip body is an answer."""
    packed = gzip.compress(b'{"id": "%s", "state": "completed", "result_url": "https://x.example/v"}' % ID.encode())

    generation = await wait_for([http(200, packed, "Content-Encoding: gzip")])

    assert generation.video_url == "https://x.example/v"


# --- strangers and redirects ---


async def test_strangers_answer_is_not_handed_out_and_its_connection_is_given_up() -> None:
    """After an answer about another task the next request uses a new connection."""
    async with RawServer([task("a-stranger", "completed"), DONE]) as server, client(server) as luma:
        generation = await luma.wait_until_done(ID)

    assert generation.id == ID
    assert server.connections == 2


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


async def test_redirect_within_the_origin_is_followed_with_the_key() -> None:
    """A relay may move a path, relative or absolute, on its own host."""
    async with RawServer([http(307, b"", "Location: /elsewhere"), DONE]) as server, client(server) as luma:
        generation = await luma.get_generation(ID)

    assert generation.state is State.COMPLETED
    assert server.heads[1].startswith(b"GET /elsewhere ")
    assert KEY.encode() in server.heads[1]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "where", ["http://localhost:{}/", "http://127.0.0.1:{}/", "https://127.0.0.1:{}/", "//127.0.0.1:{}/x"]
)
async def test_another_origin_never_gets_the_key(status: int, where: str) -> None:
    """Another port, host name or scheme is another origin: refused, final, and never asked."""
    async with (
        RawServer([DONE]) as other,
        RawServer([http(status, b"", f"Location: {where}".format(other.port))]) as server,
        client(server) as luma,
    ):
        with pytest.raises(ProtocolError, match="redirects") as caught:
            await luma.wait_until_done(ID)

    assert not caught.value.retryable
    assert other.connections == 0
    assert len(server.heads) == 1


@pytest.mark.parametrize("where", ["file:///etc/passwd", "gopher://x/", "http://[", "javascript:alert(1)"])
async def test_redirect_to_no_relay_at_all_is_refused(where: str) -> None:
    """A Location that is no http URL is refused like another origin."""
    error = await error_of([http(302, b"", f"Location: {where}")])

    assert isinstance(error, ProtocolError)
    assert not error.retryable


async def test_redirects_in_a_circle_are_followed_five_times() -> None:
    """A loop ends after six requests with a final error."""
    async with RawServer([http(302, b"", "Location: /again")]) as server, client(server) as luma:
        with pytest.raises(ProtocolError, match="too often"):
            await luma.get_generation(ID)

    assert len(server.heads) == 6


# --- no server, no TLS, no name ---


async def test_refused_connection_names_host_and_port() -> None:
    """An address where nobody listens is a TransportError that says which one."""
    port = free_port()

    async with LumaClient(f"http://127.0.0.1:{port}", KEY, polling=FAST) as luma:
        with pytest.raises(TransportError, match=f"127.0.0.1:{port}") as caught:
            await luma.get_generation(ID)

    assert caught.value.retryable


async def test_unknown_host_is_a_transport_error() -> None:
    """A name that does not exist ends a single look within its time."""
    async with LumaClient(
        "https://no-such-host.invalid", KEY, polling=FAST, limits=Limits(request_timeout=2.0)
    ) as luma:
        with pytest.raises(TransportError, match=r"no-such-host\.invalid:443"):
            await luma.get_generation(ID)


async def test_plain_http_on_the_tls_port_is_final() -> None:
    """A failed TLS handshake is not repeated until the deadline."""
    greeted = 0

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        await reader.read(100)
        writer.write(http(400))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, LumaClient(f"https://127.0.0.1:{port}", KEY, polling=FAST) as luma:
        with pytest.raises(TransportError, match="secure") as caught:
            await luma.wait_until_done(ID, timeout=5.0)

    assert not caught.value.retryable
    assert greeted == 1


async def test_server_that_comes_up_late_is_waited_for() -> None:
    """Connections refused in the beginning do not end a wait."""
    port = free_port()

    async with LumaClient(f"http://127.0.0.1:{port}", KEY, polling=evolve(FAST, max_outage=5.0)) as luma:
        waiting = asyncio.create_task(luma.wait_until_done(ID, timeout=10.0))
        await asyncio.sleep(0.05)
        async with RawServer([DONE], listen_on=port):
            generation = await waiting

    assert generation.state is State.COMPLETED


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


async def test_one_bad_task_never_harms_the_others() -> None:
    """Twenty healthy tasks complete beside one whose every answer is a reset."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = server.heads[-1].split()[1].rpartition(b"/")[2].decode()
        if name == "bad":
            await reset(reader, writer)
        else:
            writer.write(task(name, "completed", result_url="https://x.example/v"))

    names = [f"task-{number}" for number in range(20)]
    async with RawServer([answer]) as server, client(server) as luma:
        outcomes: list[Outcome] = await luma.wait_all([*names, "bad"], timeout=5.0)

    assert [outcome.unwrap().id for outcome in outcomes[:-1]] == names
    assert isinstance(outcomes[-1].error, TransportError)
