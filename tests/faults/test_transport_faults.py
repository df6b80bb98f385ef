"""Cases A01 to A17: connections, garbled HTTP, silence, statuses and hints."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import evolve

from luma_async import (
    APIError,
    AuthenticationError,
    Generation,
    Limits,
    LumaError,
    NotFoundError,
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
from tests.faults.server import BAD, FaultServer, done, dripping, endless, idle_then
from tests.faults.trials import (
    ALONE_AND_AMONG,
    IMPATIENT,
    OFTEN,
    Trial,
    cause_of,
    each,
    fault,
    impatient,
    new_client,
    outcomes_at,
    run_case,
)
from tests.quick import quick
from tests.raw_server import Act, Reply, closing, cut_off, free_port, hang_up, http, reset, stay_silent, task, then

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PENDING = task(BAD, "pending")
A_TASK = PENDING.partition(b"\r\n\r\n")[2]


class Resolver(AbstractResolver):
    """Finds this machine under any name, and tells when it has been asked often enough."""

    def __init__(self, enough: int = 0, hangs: int = 0, error: OSError | None = None) -> None:
        self.asked = 0
        self.enough = asyncio.Event()
        self._enough, self._hangs, self._error = enough, hangs, error

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - aiohttp names it
    ) -> list[ResolveResult]:
        """Hang the first times, then answer."""
        self.asked += 1
        if self.asked >= self._enough:
            self.enough.set()
        if self.asked <= self._hangs:
            await asyncio.sleep(60)
        if self._error is not None:
            raise self._error
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""

    def connector(self) -> aiohttp.TCPConnector:
        """Return a connector that asks this one each time."""
        return aiohttp.TCPConnector(resolver=self, use_dns_cache=False)


# --- no connection ---


@ALONE_AND_AMONG
async def test_a01_connection_refused_and_then_the_server_is_up(healthy: int) -> None:
    """Three refused connections in a row are invisible."""
    resolver, port = Resolver(enough=4), free_port()

    async with resolver.connector() as connector, asyncio.TaskGroup() as group:
        waiting = group.create_task(
            outcomes_at(f"http://localhost:{port}", healthy=healthy, connector=connector, batch="never")
        )
        await resolver.enough.wait()
        async with FaultServer(listen_on=port):
            outcomes = await waiting

    assert [outcome.error for outcome in outcomes] == [None] * (healthy + 1)
    assert resolver.asked > 3


@ALONE_AND_AMONG
async def test_a01_connection_refused_for_ever(healthy: int) -> None:
    """It ends as TransportError that names host and port."""
    port = free_port()

    outcomes = await outcomes_at(f"http://127.0.0.1:{port}", healthy=healthy)

    assert {type(outcome.error) for outcome in outcomes} == {TransportError}
    assert all(outcome.error and outcome.error.retryable for outcome in outcomes)
    assert all(f"127.0.0.1:{port}" in str(outcome.error) for outcome in outcomes)


async def test_a02_a_host_that_does_not_exist() -> None:
    """Whatever the system's resolver says to it, and when, it ends as TransportError that names the host."""
    [outcome] = await outcomes_at("https://no-such-host.invalid", limits=IMPATIENT)

    assert isinstance(outcome.error, TransportError)
    assert "no-such-host.invalid:443" in str(outcome.error)


@ALONE_AND_AMONG
@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), OSError("DNS lookup failed")])
async def test_a02_a_resolver_that_says_no(error: OSError, healthy: int) -> None:
    """It ends as TransportError that names the host."""
    async with Resolver(error=error).connector() as connector:
        outcomes = await outcomes_at("https://relay.invalid", healthy=healthy, connector=connector)

    assert {type(outcome.error) for outcome in outcomes} == {TransportError}
    assert "relay.invalid:443" in str(outcomes[0].error)


@ALONE_AND_AMONG
async def test_a02_a_resolver_that_hangs_for_ever(healthy: int) -> None:
    """The request's time ends it, however long the resolver takes."""
    async with Resolver(hangs=1000).connector() as connector:
        outcomes = await outcomes_at(
            "http://localhost:1",
            healthy=healthy,
            patience=0.8,
            connector=connector,
            limits=evolve(IMPATIENT, request_timeout=0.05),
        )

    assert {type(cause_of(outcome.error or LumaError("none"))) for outcome in outcomes} == {RequestTimeoutError}


@ALONE_AND_AMONG
async def test_a02_a_resolver_that_hangs_once(healthy: int) -> None:
    """One request is lost to it, and no task."""
    resolver = Resolver(hangs=1)
    async with FaultServer() as server, resolver.connector() as connector:
        outcomes = await outcomes_at(
            f"http://localhost:{server.port}", healthy=healthy, connector=connector, limits=IMPATIENT
        )

    assert [outcome.error for outcome in outcomes] == [None] * (healthy + 1)
    assert resolver.asked > 1


# --- connections that end early, and what is no HTTP ---

ENDS: dict[str, Act] = {"FIN": hang_up, "RST": reset}


@each(*(fault(f"{name} after the request", [end, end], TransportError) for name, end in ENDS.items()))
async def test_a03_no_byte_of_an_answer(trial: Trial) -> None:
    """A connection that ends after the request is retried, and each request on the wire is one look."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.passes
    assert ended.asked >= 3


@ALONE_AND_AMONG
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a03_no_connection_for_longer_than_a_moment(end: Act, healthy: int) -> None:
    """Two connections that end before any request are invisible."""
    ended = await run_case([PENDING, done()], healthy=healthy, server=FaultServer(greetings=(end, end)))

    assert ended.kind is Generation
    assert ended.server.connections >= 3


@each(
    fault("half a status line, FIN", closing(b"HTTP/1."), ProtocolError, TransportError),
    fault("half a status line, RST", then(b"HTTP/1.1 20", cut_off), ProtocolError, TransportError),
    fault("half the headers, FIN", closing(HEAD + b"Content-Ty"), ProtocolError, TransportError),
    fault("half the headers, RST", then(HEAD + b"Content-Type: application/json\r\n", cut_off), TransportError),
    fault("one of 9 KiB", http(200, A_TASK, f"X-Long: {'x' * 9 * 1024}"), ProtocolError),
    fault("200 of them", http(200, A_TASK, *(f"X-{number}: 1" for number in range(200))), ProtocolError),
    fault("a length of abc", HEAD + b"Content-Length: abc\r\n\r\n" + A_TASK, ProtocolError),
    fault(
        "length and chunks", HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ProtocolError
    ),
    fault("NUL", http(200, A_TASK, "X-Nul: a\0b"), ProtocolError),
)
async def test_a04_a06_half_a_head_and_bad_headers(trial: Trial) -> None:
    """What is not a whole head within bounds is not an answer, whatever its body says."""
    ended = await trial.run()

    assert ended.kind in trial.kinds


@each(fault("ssh", closing(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n"), ProtocolError))
async def test_a05_garbage_status_line(trial: Trial) -> None:
    """Another protocol's greeting is no answer, and is not told as a status that no server said."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert "400" not in re.sub(r":\d+", "", str(ended.outcome.error))  # the port may be anything


# --- bodies that end early ---

LONGER = http(200, A_TASK, length=len(A_TASK) + 10)


IN_ONE_CHUNK = b"%x\r\n%s\r\n" % (len(A_TASK), A_TASK)


@each(
    fault("FIN", closing(LONGER), TransportError),
    fault("RST", then(LONGER, cut_off), TransportError),
    fault("FIN without a byte of it", closing(http(200, length=100)), TransportError),
    fault("FIN after a refusal", closing(http(401, b'{"error": "no"}', length=100)), TransportError),
    fault("a bad size", closing(CHUNKED + b"zz\r\n" + A_TASK), ProtocolError, TransportError),
    fault("a negative size", closing(CHUNKED + b"-5\r\n" + A_TASK), ProtocolError, TransportError),
    fault("cut inside a chunk", closing(CHUNKED + b"400\r\n" + A_TASK), TransportError),
    fault("cut inside a chunk, RST", then(CHUNKED + b"400\r\n" + A_TASK, cut_off), TransportError),
    fault("no last chunk", closing(CHUNKED + IN_ONE_CHUNK), TransportError),
)
async def test_a07_a08_a_body_without_its_end(trial: Trial) -> None:
    """A truncated or badly chunked body is not parsed, though what came of it is a whole task or a refusal."""
    ended = await trial.run()

    assert ended.kind in trial.kinds


# --- silence ---


@each(impatient(fault("silence", stay_silent, RequestTimeoutError)))
async def test_a09_no_answer_at_all(trial: Trial) -> None:
    """Silence costs one request's time; for ever, it never costs more than a second beyond the deadline."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.passes
    assert ended.outcome.elapsed < trial.fault.patience + 1 or not trial.lasts


@each(
    impatient(fault("a head byte by byte", dripping(done(), pause=0.02), RequestTimeoutError)),
    impatient(fault("100 Continue", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.005), RequestTimeoutError)),
    impatient(fault("a header without end", endless(HEAD + b"X: ", b"x", 0.005), RequestTimeoutError)),
    impatient(fault("a body byte by byte", dripping(http(200, b" " * 1000), 0.02), RequestTimeoutError)),
    impatient(fault("half a body, then silence", then(LONGER, stay_silent), RequestTimeoutError)),
)
async def test_a10_an_answer_that_drips(trial: Trial) -> None:
    """One time covers connection, head and body: bytes that trickle in do not prolong it."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.outcome.elapsed < trial.fault.patience + 1 or not trial.lasts


# --- statuses ---

PASSING = {408: APIError, 425: APIError, 429: RateLimitError} | dict.fromkeys(
    (500, 502, 503, 504, 520, 522, 524, 529), ServerError
)


@each(
    *(fault(str(status), http(status), kind, patience=1.0) for status, kind in PASSING.items()),
    fault("an error inside 200", http(200, {"code": 400, "message": "fail_to_fetch_task"}), APIError),
    fault("502 with a code", http(502, {"code": "fail_to_fetch_task", "message": "bad gateway"}), ServerError),
    fault("520 with a page", http(520, b"<!DOCTYPE html><title>520</title>", "Content-Type: text/html"), ServerError),
)
async def test_a11_statuses_that_pass(trial: Trial) -> None:
    """One such answer costs one retry and no more."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.passes
    assert ended.asked == 2 or trial.lasts


TOLD = {"message": "\x1b[2Jno \u202e way " + "x" * 5000}
FINAL = {
    400: APIError,
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    405: APIError,
    410: NotFoundError,
    422: APIError,
    451: APIError,
}


@each(*(fault(str(status), http(status, TOLD), kind) for status, kind in FINAL.items()), lasting=(True,))
async def test_a12_statuses_that_are_final(trial: Trial) -> None:
    """One such answer ends the wait; its text is kept, shortened and harmless."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.asked == 1
    assert not ended.error.retryable
    assert isinstance(ended.error, APIError)
    assert ended.error.message.startswith(r"\x1b[2Jno \u202e way xxx")
    assert len(str(ended.error)) < 500


NOT_THERE = {"code": "task_not_exist", "message": "task_not_exist", "data": None}


@each(fault("404", http(404), NotFoundError), fault("400", http(400, NOT_THERE), NotFoundError), lasting=(True,))
async def test_a12_an_unknown_task(trial: Trial) -> None:
    """Not found is final at the third in a row, since a relay may not know its newest task yet."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.asked == 3


@each(
    fault("404", [http(404)] * 2, NotFoundError),
    fault("400", [http(400, NOT_THERE)] * 2, NotFoundError),
    lasting=(False,),
)
async def test_a12_an_unknown_task_that_becomes_known(trial: Trial) -> None:
    """Two in a row are not final."""
    ended = await trial.run()

    assert ended.kind is Generation


SATURATED = {"error": {"message": "upstream_load_saturated", "type": "new_api_error"}}


@each(fault("403", http(403, SATURATED), RateLimitError, patience=1.0))
async def test_a12_saturation_behind_403(trial: Trial) -> None:
    """It is passing trouble."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.outcome.elapsed < trial.fault.patience + 1 or not trial.lasts


# --- hints ---


@pytest.mark.parametrize("healthy", quick([20, 0], ids=["among", "alone"]))
@pytest.mark.parametrize("status", [pytest.param(429, id="429 with seconds"), pytest.param(503, id="503 with a date")])
async def test_a13_a_hint_is_kept(status: int, healthy: int) -> None:
    """The task is left alone for as long as was asked, and of the others only those who are under way are asked."""
    came: list[float] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time.time())
        hint = "1" if status == 429 else formatdate(came[0] + 2, usegmt=True)
        writer.write(http(status, b"", f"Retry-After: {hint}") if len(came) == 1 else done())

    def slowly(name: str) -> tuple[bytes, ...]:
        return (*[task(name, "pending", tick=tick) for tick in range(20)], done(name))

    scripts = {name: slowly(name) for name in (f"healthy-{number}" for number in range(healthy))}
    polling = PollPolicy(min_interval=0.01, initial_interval=0.01, max_interval=2.0, multiplier=1, adaptive=False)
    ended = await run_case(
        [answer], healthy=healthy, patience=4.0, server=FaultServer(scripts=scripts), polling=polling
    )

    first = ended.server.times[ended.server.order.index(BAD)]
    meanwhile = [at for at in ended.server.times if first < at < first + 0.8]
    assert ended.kind is Generation
    assert came[1] >= (came[0] + 1 if status == 429 else int(came[0]) + 2)
    assert len(meanwhile) <= healthy


@ALONE_AND_AMONG
async def test_a14_a_hint_of_nothing(healthy: int) -> None:
    """Retry-After: 0, however often, does not make looks faster than the own pace."""
    ended = await run_case([http(429, b"", "Retry-After: 0")] * 20 + [done()], healthy=healthy)

    times = [at for at, name in zip(ended.server.times, ended.server.order, strict=True) if name == BAD]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert ended.kind is Generation
    assert min(pauses) >= OFTEN.shortest_interval * 0.9
    assert sum(pauses) >= 20 * OFTEN.shortest_interval


@ALONE_AND_AMONG
async def test_a14_a_hint_beyond_the_deadline(healthy: int) -> None:
    """Told to come back in an hour, a wait ends at its deadline, and the others are not told."""
    ended = await run_case([http(429, b"", "Retry-After: 3600")], healthy=healthy, patience=0.8)

    assert isinstance(ended.error, WaitTimeoutError)
    assert ended.kind is RateLimitError
    assert ended.asked == 1


# --- connections that are kept ---


@ALONE_AND_AMONG
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a15_idle_connections_that_end(end: Act, healthy: int) -> None:
    """A connection that ends between two looks costs no look."""
    ended = await run_case([idle_then(PENDING, end)] * 3 + [done()], healthy=healthy)

    assert ended.kind is Generation
    assert ended.outcome.polls == 4 or healthy


STRANGER = task("somebody-elses", "completed", video={"url": "https://cdn.example/other.mp4"})


@each(
    fault("another", STRANGER, ProtocolError),
    fault(
        "another in an envelope",
        http(200, {"code": "success", "data": {"task_id": "x", "status": "SUCCESS"}}),
        ProtocolError,
    ),
)
async def test_a16_another_tasks_answer(trial: Trial) -> None:
    """It is never handed out, and the next request uses a new connection."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.server.connections >= 2


@each(
    *(
        fault(name, PENDING + extra, Generation)
        for name, extra in {
            "a refusal": http(401),
            "a stranger's": STRANGER,
            "many": (http(401) + STRANGER) * 5,
            "half a head": HEAD + b"X",
            "SSH": b"SSH-2.0\r\n",
        }.items()
    ),
    lasting=(False,),
)
async def test_a16_answers_that_come_behind_ones_own(trial: Trial) -> None:
    """What nobody asked for is nobody's answer, and nobody's refusal."""
    ended = await trial.run()

    assert ended.kind is Generation
    assert ended.asked == 2


PUSHED = {
    "a refusal": http(403),
    "a stranger's": STRANGER,
    "many": (http(401) + http(402) + STRANGER) * 5,
    "408": http(408, b"", "Connection: close"),
    "a redirect": http(302, b"", "Location: https://elsewhere.example/"),
    "half a head": HEAD + b"X",
    "a blank line": b"\r\n",
    "noise": bytes(range(256)),
}


@ALONE_AND_AMONG
@pytest.mark.parametrize("extra", PUSHED.values(), ids=PUSHED)
async def test_a16_answers_that_come_on_idle_connections(extra: bytes, healthy: int) -> None:
    """Though each connection has one waiting, no look is answered by it."""
    pushes = asyncio.Semaphore(0)
    names = [f"task-{number}" for number in range(healthy + 1)]

    def pushing(answer: bytes) -> Act:
        async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                for part in (answer, extra):
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.005)
            finally:
                pushes.release()

        return act

    scripts: dict[str, list[Reply]] = {name: [pushing(task(name, "pending")), done(name)] for name in names}
    options: dict[str, Any] = {"limits": Limits(max_concurrency=64), "batch": "never"}
    async with FaultServer(scripts=scripts) as server, new_client(server.base_url, **options) as luma:
        await luma.get_generations(names)
        for _ in names:
            await pushes.acquire()
        outcomes = await luma.get_generations(names)

    assert [(outcome.error, outcome.polls) for outcome in outcomes] == [(None, 1)] * len(names)
    assert all(outcome.unwrap().state is State.COMPLETED for outcome in outcomes)


NO_ANSWERS = {
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "206": http(206, A_TASK.replace(b"pending", b"completed"), "Content-Range: bytes 0-9/100"),
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "000": http(0, done()).replace(b" 0 ", b" 000 "),
    "600": http(600, A_TASK),
    "999": http(999, A_TASK),
    "302 without a place": http(302),
}


@each(*(fault(name, reply, ProtocolError) for name, reply in NO_ANSWERS.items()))
async def test_a17_statuses_that_are_no_answer(trial: Trial) -> None:
    """Whatever the body says, it is never taken for the end of a task."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
