"""Cases A29 and A30: redirects, and TLS that cannot be trusted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import pytest
import trustme
from attrs import frozen

from luma_async import Generation, Limits, ProtocolError, TransportError
from luma_async._network.session import translated
from tests.faults.server import BAD, FaultServer, done
from tests.faults.trials import ALONE_AND_AMONG, LIMITS, cause_of, outcomes_at, run_case
from tests.kit import KEY
from tests.raw_server import Act, RawServer, cut_off, hang_up, http, reset, stay_silent, task, then

# --- redirects ---

STATUSES = pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
ELSEWHERE = {
    "port": "http://127.0.0.1:{other}/",
    "host": "http://localhost:{here}/",
    "host and port": "http://localhost:{other}/",
    "scheme": "https://127.0.0.1:{here}/",
    "scheme and port": "https://127.0.0.1:{other}/",
    "no scheme": "//127.0.0.1:{other}/x",
    "same host in other words": "http://127.1:{here}/",
    "a user": "http://user:secret@127.0.0.1:{here}/",
    "a password": "http://:secret@127.0.0.1:{here}/",
    "a user without a scheme": "//u@127.0.0.1:{here}/x",
    "a user without a name": "http://@127.0.0.1:{other}/",
    "no ASCII": "http://\u2460.\u24ea.\u24ea.\u2460:{other}/",
    "no UTF-8": "http://127.0.0.1\udcff:{other}/",
    "a zone": "http://[fe80::1%25eth0]:{other}/",
    "a user elsewhere": "http://127.0.0.1:{here}@127.0.0.1:{other}/",
    "a backslash": "http://127.0.0.1:{other}\\@127.0.0.1:{here}/",
    "no port at all": "http://127.0.0.1/",
    "a port beyond all ports": "http://127.0.0.1:99999/",
    "no number for a port": "http://127.0.0.1:x/",
    "a bad host": "http://a..b/",
    "brackets": "http://[/",
    "half a bracket": "http://[",
    "gopher": "gopher://x/",
    "a file": "file:///etc/passwd",
    "a program": "javascript:alert(1)",
}


@ALONE_AND_AMONG
@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_a29_redirect_to_another_origin(place: str, healthy: int) -> None:
    """It is refused at once, for good, and nobody else ever gets a byte."""

    async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        where = place.format(other=other.port, here=writer.get_extra_info("sockname")[1])
        writer.write(http(302, b"", f"Location: {where}"))

    async with RawServer([done()]) as other:
        ended = await run_case([redirect], healthy=healthy)

    assert ended.kind is ProtocolError
    assert not ended.error.retryable
    assert "secret" not in str(ended.error)
    assert ended.asked == 1
    assert other.connections == 0


@STATUSES
@ALONE_AND_AMONG
async def test_a29_redirect_with_each_status(status: int, healthy: int) -> None:
    """None of them takes the key to another origin."""
    async with RawServer([done()]) as other:
        ended = await run_case([http(status, b"", f"Location: {other.base_url}/x")], healthy=healthy)

    assert ended.kind is ProtocolError
    assert ended.asked == 1
    assert other.connections == 0


@STATUSES
@ALONE_AND_AMONG
async def test_a29_redirect_within_the_origin(status: int, healthy: int) -> None:
    """It is followed with the key, five times in a row."""
    steps = [http(status, b"", f"Location: {BAD}?step={step}") for step in range(5)]
    server = FaultServer(scripts={f"{BAD}?step={step}": [reply] for step, reply in enumerate([*steps[1:], done()])})

    ended = await run_case(steps, healthy=healthy, server=server)

    assert ended.kind is Generation
    assert ended.outcome.polls == 1
    assert all(f"Authorization: Bearer {KEY}".encode() in head for head in server.heads)


@ALONE_AND_AMONG
@pytest.mark.parametrize(
    "place",
    [
        "/luma/generations/{}",
        "{}",
        "",
        "#x",
        "?",
        "http:///luma/generations/{}",
        "http://127.0.0.1:{port}/luma/generations/{}",
    ],
)
async def test_a29_redirects_in_a_circle(place: str, healthy: int) -> None:
    """They are followed five times, and end the wait for good."""

    async def again(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        writer.write(http(302, b"", f"Location: {place.format(BAD, port=port)}"))

    ended = await run_case([again], healthy=healthy)

    assert ended.kind is ProtocolError
    assert not ended.error.retryable
    assert "too often" in str(ended.error)
    assert ended.asked == 6


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a29_redirect_of_a_batch_to_a_get(status: int) -> None:
    """A batch is not asked for with another method; its tasks are asked for alone."""
    moved = http(status, b"", "Location: /luma/elsewhere")

    ended = await run_case([task(BAD, "pending"), done()], healthy=20, server=FaultServer(replies=[moved]))

    assert ended.kind is Generation
    assert not any(b"elsewhere" in head for head in ended.server.heads)


async def test_a29_redirect_of_a_batch_elsewhere() -> None:
    """Nor does a batch take the key anywhere."""
    async with RawServer([done()]) as other:
        moved = http(307, b"", f"Location: {other.base_url}/luma/tasks")
        ended = await run_case([done()], healthy=20, server=FaultServer(replies=[moved]))

    assert ended.kind is Generation
    assert other.connections == 0


async def test_a29_redirect_of_a_batch_within_the_origin() -> None:
    """A batch that is sent on takes its ids along."""
    moved = http(307, b"", "Location: /luma/elsewhere")

    ended = await run_case([done()], healthy=20, server=FaultServer(replies=[moved, http(404)]))

    bodies = [body for head, body in zip(ended.server.heads, ended.server.bodies, strict=True) if b"POST" in head[:4]]
    assert ended.kind is Generation
    assert ended.server.heads[1].startswith(b"POST /luma/elsewhere ")
    assert bodies[0] == bodies[1]
    assert BAD.encode() in bodies[0]


# --- TLS ---


@frozen
class Authorities:
    """One that the client trusts, and one that nobody knows."""

    known: trustme.CA
    unknown: trustme.CA

    def trusting(self) -> ssl.SSLContext:
        """Return a client's context."""
        context = ssl.create_default_context()
        self.known.configure_trust(context)
        return context


@cache
def authorities() -> Authorities:
    """Make them once: keys take their time."""
    return Authorities(trustme.CA(), trustme.CA())


def secured(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return a server's context that shows *certificate*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@cache
def good() -> ssl.SSLContext:
    """Return a server's context that the client trusts."""
    return secured(authorities().known.issue_cert("localhost", "127.0.0.1"))


LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
NOT_YET = datetime(2999, 1, 1, tzinfo=UTC)
UNTRUSTED: dict[str, Callable[[], ssl.SSLContext]] = {
    "unknown CA": lambda: secured(authorities().unknown.issue_cert("localhost")),
    "wrong host": lambda: secured(authorities().known.issue_cert("relay.example")),
    "name as a suffix": lambda: secured(authorities().known.issue_cert("evil-localhost", "localhost.example")),
    "expired": lambda: secured(authorities().known.issue_cert("localhost", not_after=LONG_AGO, not_before=LONG_AGO)),
    "not yet": lambda: secured(authorities().known.issue_cert("localhost", not_before=NOT_YET, not_after=NOT_YET)),
}


def at(server: FaultServer) -> str:
    """Return the address of a server with TLS."""
    return f"https://localhost:{server.port}"


@pytest.mark.parametrize("certificate", UNTRUSTED.values(), ids=UNTRUSTED)
async def test_a30_certificates_that_cannot_be_trusted(certificate: Callable[[], ssl.SSLContext]) -> None:
    """It is final after one connection, and the server has got nothing."""
    async with FaultServer(contexts=[certificate()]) as server:
        [outcome] = await outcomes_at(at(server), ssl_context=authorities().trusting())

    assert type(outcome.error) is TransportError
    assert not outcome.error.retryable
    assert "certificate" in str(outcome.error).lower()
    assert server.connections == 1
    assert server.heads == []


async def test_a30_own_authority_without_being_told() -> None:
    """Without ssl_context, only the system's authorities count."""
    async with FaultServer(contexts=[good()]) as server:
        [outcome] = await outcomes_at(at(server))

    assert type(outcome.error) is TransportError
    assert not outcome.error.retryable
    assert server.heads == []


@pytest.mark.parametrize("certificate", UNTRUSTED.values(), ids=UNTRUSTED)
async def test_a30_one_certificate_among_good_ones(certificate: Callable[[], ssl.SSLContext]) -> None:
    """The task that meets it ends with it; the others go on over connections that can be trusted."""
    async with FaultServer(contexts=[certificate(), good()]) as server:
        outcomes = await outcomes_at(at(server), healthy=20, ssl_context=authorities().trusting(), batch="never")

    assert [type(outcome.error) for outcome in outcomes if not outcome.ok] == [TransportError]
    assert len(outcomes) == 21


@ALONE_AND_AMONG
async def test_a30_plain_http_on_the_tls_port(healthy: int) -> None:
    """It is final after one connection for each task."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(http(400))
        await hang_up(reader, writer)

    async with FaultServer(greetings=[plain] * 100) as server:
        outcomes = await outcomes_at(at(server), healthy=healthy, batch="never")

    assert {type(outcome.error) for outcome in outcomes} == {TransportError}
    assert not any(outcome.error is None or outcome.error.retryable for outcome in outcomes)
    assert all("secure" in str(outcome.error) for outcome in outcomes)
    assert server.connections == healthy + 1


async def test_a30_tls_on_the_plain_http_port() -> None:
    """A relay that expects TLS is told nothing: its answer is none."""
    async with FaultServer(contexts=[good()]) as server:
        [outcome] = await outcomes_at(server.base_url, patience=0.5)

    assert outcome.error is not None
    assert isinstance(cause_of(outcome.error), TransportError | ProtocolError)
    assert server.heads == []


@ALONE_AND_AMONG
async def test_a30_a_certificate_that_is_good(healthy: int) -> None:
    """With the right authority in ssl_context, tasks complete."""
    async with FaultServer(contexts=[good()]) as server:
        outcomes = await outcomes_at(at(server), healthy=healthy, ssl_context=authorities().trusting())

    assert [outcome.error for outcome in outcomes] == [None] * (healthy + 1)


def after_hello(end: Act, told: bytes = b"") -> Act:
    """Read what the client has to say, answer with *told*, and go on with *end*."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2**16)
        await then(told, end)(reader, writer)

    return act


HALF_A_HELLO = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"
ENDS: dict[str, Act] = {
    "FIN": hang_up,
    "RST": reset,
    "RST after a moment": cut_off,
    "FIN after the hello": after_hello(hang_up),
    "RST after the hello": after_hello(reset),
    "FIN within the hello": after_hello(hang_up, HALF_A_HELLO),
    "RST within the hello": after_hello(cut_off, HALF_A_HELLO),
}


@ALONE_AND_AMONG
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a30_a_connection_that_ends_before_tls(end: Act, healthy: int) -> None:
    """It says nothing about certificates: the next one is tried."""
    async with FaultServer(greetings=(end, end), contexts=[good()]) as server:
        outcomes = await outcomes_at(at(server), healthy=healthy, ssl_context=authorities().trusting())

    assert [outcome.error for outcome in outcomes] == [None] * (healthy + 1)
    assert server.connections >= 3


@ALONE_AND_AMONG
@pytest.mark.parametrize("end", [hang_up, cut_off], ids=["FIN", "RST"])
async def test_a30_a_body_that_breaks_off_inside_tls(end: Act, healthy: int) -> None:
    """A truncated body is not parsed, and does not look like a failed handshake."""
    broken = then(http(200, {"id": BAD, "state": "failed"}, length=500), end)
    async with FaultServer(scripts={BAD: [broken, broken, done()]}, contexts=[good()]) as server:
        outcomes = await outcomes_at(at(server), healthy=healthy, ssl_context=authorities().trusting())

    assert [outcome.error for outcome in outcomes] == [None] * (healthy + 1)


async def test_a30_a_server_that_speaks_first_inside_tls() -> None:
    """Asking it does not go round in circles, though its greeting is there before it is asked."""
    context = secured(authorities().known.issue_cert("localhost"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(context)
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    async with FaultServer(greetings=[greet] * 1000) as server:
        [outcome] = await outcomes_at(at(server), ssl_context=authorities().trusting())

    assert isinstance(outcome.error, ProtocolError | TransportError)
    assert server.connections == outcome.polls


@pytest.mark.parametrize("kind", [ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError])
def test_a30_a_connection_that_broke_is_no_bad_certificate(kind: type[ssl.SSLError]) -> None:
    """Event loops differ in how they tell of it: whichever they use, it passes, and other trouble with TLS does not."""
    broke, bad = translated(kind(8, "broke"), "x:443"), translated(ssl.SSLCertVerificationError(1, "bad"), "x:443")

    assert (type(broke), broke.retryable) == (TransportError, True)
    assert (type(bad), bad.retryable) == (TransportError, False)


@ALONE_AND_AMONG
async def test_a30_a_handshake_that_hangs(healthy: int) -> None:
    """The request's time covers the handshake too."""
    limits = Limits(request_timeout=0.3)
    async with FaultServer(greetings=(stay_silent,), contexts=[good()]) as server:
        outcomes = await outcomes_at(at(server), healthy=healthy, ssl_context=authorities().trusting(), limits=limits)

    assert [outcome.error for outcome in outcomes] == [None] * (healthy + 1)
    assert server.connections >= 2


async def test_a30_redirect_from_tls_to_plain_http() -> None:
    """The key does not leave TLS, not even for the same host and port."""
    async with FaultServer(contexts=[good()]) as server:
        server.scripts = {BAD: [http(308, b"", f"Location: http://localhost:{server.port}/")]}
        [outcome] = await outcomes_at(at(server), ssl_context=authorities().trusting(), limits=LIMITS)

    assert type(outcome.error) is ProtocolError
    assert server.connections == 1
