"""The same rules with other input: what else networks, proxies and relays come up with."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest

from luma_async import (
    APIError,
    Generation,
    NotFoundError,
    ProtocolError,
    QuotaExceededError,
    RequestTimeoutError,
    ServerError,
    TransportError,
)
from tests.faults.server import BAD, VIDEO, FaultServer, done, dripping, endless, idle_then
from tests.faults.trials import ALONE_AND_AMONG, OFTEN, Trial, each, fault, impatient, outcomes_at, run_case
from tests.kit import KEY
from tests.raw_server import Reply, closing, cut_off, hang_up, http, reset, stay_silent, task, then

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END: dict[str, object] = {"id": BAD, "state": "completed", "video": {"url": VIDEO}}
BODY = json.dumps(END).encode()


def in_chunks(body: bytes, size: int, extension: bytes = b"") -> bytes:
    """Return *body* in chunks of *size* bytes."""
    parts = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n"


def raw_deflate(body: bytes) -> bytes:
    """Return *body* packed without zlib's header, as some servers do."""
    return zlib.compress(body)[2:-4]


async def half_close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that nothing more will come, and go on listening."""
    writer.write_eof()


# --- good answers in odd clothes ---

ODD_CLOTHES: dict[str, Reply] = {
    "103 first": b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" + done(),
    "100 and 102 first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + done(),
    "byte by byte": dripping(done()),
    "chunks of one byte": CHUNKED + in_chunks(BODY, 1) + b"\r\n",
    "chunks byte by byte": dripping(CHUNKED + in_chunks(BODY, 7) + b"\r\n"),
    "chunk extensions": CHUNKED + in_chunks(BODY, 9, b';a="b"') + b"\r\n",
    "trailers": CHUNKED + in_chunks(BODY, 1000) + b"X-Sum: 1\r\n\r\n",
    "HTTP/1.0": done().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/1.0 without length": closing(b"HTTP/1.0 200 OK\r\n\r\n" + BODY),
    "no length": closing(HEAD + b"Connection: close\r\n\r\n" + BODY),
    "no reason": done().replace(b" Said", b""),
    "a reason that is not ASCII": done().replace(b" Said", " 完了".encode()),
    "closing": closing(http(200, BODY, "Connection: close")),
    "half-closing": then(done(), half_close),
    "gzip": http(200, gzip.compress(BODY), "Content-Encoding: gzip"),
    "gzip byte by byte": dripping(http(200, gzip.compress(BODY), "Content-Encoding: gzip")),
    "gzip in chunks": HEAD
    + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    + in_chunks(gzip.compress(BODY), 5)
    + b"\r\n",
    "two members of gzip": http(200, gzip.compress(BODY[:20]) + gzip.compress(BODY[20:]), "Content-Encoding: gzip"),
    "deflate": http(200, zlib.compress(BODY), "Content-Encoding: deflate"),
    "raw deflate": http(200, raw_deflate(BODY), "Content-Encoding: deflate"),
    "identity": http(200, BODY, "Content-Encoding: identity"),
    "201": http(201, BODY),
    "203": http(203, BODY),
    "a header of 7 KiB": http(200, BODY, f"X-Long: {'x' * 7 * 1024}"),
    "100 headers": http(200, BODY, *(f"X-{number}: 1" for number in range(100))),
    "headers that are not ASCII": http(200, BODY, "X-Where: Zürich", "X-Bytes: \udcff\udcfe"),
    "an empty header": http(200, BODY, "X-Empty:"),
    "a broken cookie": http(200, BODY, "Set-Cookie: =;;=\udcff", "Set-Cookie: a=b; expires=never"),
    "a hint": http(200, BODY, "Retry-After: 3600"),
    "a place": http(200, BODY, "Location: https://elsewhere.example/"),
    "an invitation to upgrade": http(200, BODY, "Upgrade: h2c", "Alt-Svc: h3=':443'"),
    "a line break behind": done() + b"\r\n",
}


@each(*(fault(name, reply, Generation) for name, reply in ODD_CLOTHES.items()), lasting=(True,), among=False)
async def test_good_answers_in_odd_clothes(trial: Trial) -> None:
    """They are answers, at the first look."""
    ended = await trial.run()

    assert ended.kind is Generation
    assert ended.outcome.unwrap().video_url == VIDEO
    assert ended.asked == 1


# --- garbled HTTP ---

GARBLED: dict[str, Reply] = {
    "another version": closing(b"HTTP/9.9 200 OK\r\n\r\n" + BODY),
    "a status of words": closing(b"HTTP/1.1 two hundred\r\n\r\n" + BODY),
    "a status of four digits": closing(b"HTTP/1.1 2000 OK\r\n\r\n" + BODY),
    "radio": closing(b"ICY 200 OK\r\n\r\n" + BODY),
    "HTTP/2": closing(b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0\0\5\0\xff\xff\xff"),
    "TLS": closing(b"\x15\x03\x01\0\2\2\x28"),
    "zeros": closing(b"\0" * 1000),
    "line breaks": closing(b"\r\n" * 1000),
    "noise": closing(bytes(range(256)) * 16),
    "its own request": closing(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a JSON without HTTP": closing(BODY),
    "a header without colon": http(200, BODY, "nonsense"),
    "a header's name with a blank": http(200, BODY, "X Y: 1"),
    "a header without a name": http(200, BODY, ": 1"),
    "headers without end": endless(HEAD, b"X-Many: 1\r\n"),
    "a header line without end": endless(HEAD + b"X: ", b"x" * 1000),
    "a status line without end": endless(b"HTTP/1.1 200 ", b"x" * 1000),
    "two lengths": http(200, BODY, "Content-Length: 5"),
    "a negative length": http(200, BODY, length=-1),
    "a signed length": closing(HEAD + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY),
    "a length beyond all bounds": closing(http(200, BODY, length=10**30)),
    "a hexadecimal length": closing(HEAD + b"Content-Length: 0x10\r\n\r\n" + BODY),
    "a chunk size beyond all bounds": closing(CHUNKED + b"f" * 40 + b"\r\n" + BODY),
    "a chunk longer than its size": closing(CHUNKED + b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunks twice": closing(HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + BODY),
    "gzip that is none": http(200, BODY, "Content-Encoding: gzip"),
    "gzip cut in half": http(200, gzip.compress(BODY)[:40], "Content-Encoding: gzip"),
    "gzip that breaks off": closing(http(200, gzip.compress(BODY), "Content-Encoding: gzip", length=500)),
    "gzip with a hole": http(200, gzip.compress(BODY)[:40] + b"x" * 60, "Content-Encoding: gzip"),
    "deflate that is none": http(200, b"\xff" + BODY, "Content-Encoding: deflate"),
    "brotli unasked": http(200, b"\x0b\x02\x80null\x03", "Content-Encoding: br"),
    "zstd unasked": http(200, b"\x28\xb5\x2f\xfd\x04\0" + BODY, "Content-Encoding: zstd"),
    "half-closed before the answer": half_close,
    "RST in the middle of gzip": then(
        http(200, gzip.compress(BODY), "Content-Encoding: gzip", length=500)[:-10], cut_off
    ),
}


BOMB = gzip.compress(gzip.compress(b" " * 50_000_000, compresslevel=1))


@each(
    *(fault(name, reply, ProtocolError, TransportError, patience=2.0) for name, reply in GARBLED.items()),
    # What inflates to more than the limit is not an answer, whatever its status.
    fault("gzip in gzip", http(200, BOMB, "Content-Encoding: gzip, gzip"), ProtocolError, TransportError),
    fault("deflate", http(200, zlib.compress(b" " * 10_000_000), "Content-Encoding: deflate"), ProtocolError),
    fault("3 MiB of JSON", http(200, {**END, "prompt": "x" * 3_000_000}), ProtocolError),
    fault("a page", http(502, b"<html>" + b" " * 3_000_000), ProtocolError),
    # What takes longer in all is late, though each part of it is not.
    impatient(fault("each part in time", dripping(done(), 0.06, len(done()) // 6), RequestTimeoutError)),
    impatient(fault("100 Continue in a flood", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), RequestTimeoutError)),
    impatient(fault("an empty chunk never ends", then(CHUNKED + b"5\r\n", stay_silent), RequestTimeoutError)),
    impatient(fault("no end of the trailers", then(CHUNKED + in_chunks(BODY, 9), stay_silent), RequestTimeoutError)),
    impatient(fault("no length and open", then(HEAD + b"\r\n" + BODY, stay_silent), RequestTimeoutError)),
    impatient(fault("a refusal without its body", then(http(401, length=9), stay_silent), RequestTimeoutError)),
)
async def test_what_is_not_an_answer_passes(trial: Trial) -> None:
    """It costs one poll, and is reported as what it is if it lasts."""
    ended = await trial.run()

    assert ended.kind in trial.kinds


EITHER: dict[str, Reply] = {
    "lines without CR": done().replace(b"\r\n", b"\n"),
    "a folded header": http(200, BODY, "X-Folded: a\r\n b"),
    "the same length twice": http(200, BODY, f"Content-Length: {len(BODY)}"),
    "an encoding that nobody knows": http(200, BODY, "Content-Encoding: zorg"),
    "gzip without its end": http(200, gzip.compress(BODY)[:-8], "Content-Encoding: gzip"),
    "gzip with something behind": http(200, gzip.compress(BODY) + b"xyz", "Content-Encoding: gzip"),
    "gzip twice": http(200, gzip.compress(gzip.compress(BODY)), "Content-Encoding: gzip, gzip"),
    "a transfer encoding that nobody knows": closing(HEAD + b"Transfer-Encoding: zorg\r\n\r\n" + BODY),
    "a lower version": done().replace(b"HTTP/1.1", b"HTTP/0.9"),
    "a status of two digits": done().replace(b" 200 ", b" 20 "),
}


@each(*(fault(name, reply, Generation, ProtocolError, TransportError) for name, reply in EITHER.items()), among=False)
async def test_http_that_one_may_read_or_not(trial: Trial) -> None:
    """It is read right, or passes; nothing else."""
    ended = await trial.run()

    assert ended.kind in trial.kinds


# --- statuses ---

NO_ANSWERS = (205, 226, 300, 305, 306, 399, 700)
FINAL = {407: APIError, 411: APIError, 413: APIError, 414: APIError, 418: APIError, 421: APIError, 426: APIError} | {
    431: APIError,
    499: APIError,
    501: ServerError,
    505: ServerError,
}
PASSING = (506, 507, 508, 510, 511, 521, 523, 525, 526, 527, 530, 598, 599)


@each(
    *(fault(str(status), http(status, BODY), ProtocolError) for status in NO_ANSWERS),
    *(fault(str(status), http(status, BODY), ServerError) for status in PASSING),
    among=False,
)
async def test_other_statuses_that_pass(trial: Trial) -> None:
    """Whatever the body says, they are no end."""
    ended = await trial.run()

    assert ended.kind in trial.kinds


@each(
    *(fault(str(status), http(status, BODY), kind) for status, kind in FINAL.items()),
    fault("403 quota", http(403, {"code": "quota_not_enough", "message": "m", "data": None}), QuotaExceededError),
    fault("404 path", http(404, {"error": {"message": "Invalid URL (GET /luma)"}}), NotFoundError),
    lasting=(True,),
    among=False,
)
async def test_other_statuses_that_are_final(trial: Trial) -> None:
    """They end the wait after one request."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert ended.asked == 1
    assert not ended.error.retryable


@each(
    fault("a key in the place", http(302, b"", f"Location: https://{KEY}.example/"), ProtocolError),
    fault("a key in capitals", http(302, b"", f"Location: https://{KEY.upper()}.example/"), ProtocolError),
    lasting=(True,),
)
async def test_the_key_that_comes_back_is_blanked_out(trial: Trial) -> None:
    """Wherever the relay repeats it, the error does not."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert KEY not in str(ended.error).lower()


@pytest.mark.parametrize("hint", ["-5", "9" * 30, "soon", "", "nan", "inf", "٣", "\udcff"])
async def test_hints_that_are_none(hint: str) -> None:
    """They are ignored: the own pace holds."""
    ended = await run_case([http(429, b"", f"Retry-After: {hint}"), done()])

    first, second = ended.server.times
    assert ended.kind is Generation
    assert second - first >= OFTEN.shortest_interval * 0.9


# --- connections ---


@ALONE_AND_AMONG
async def test_no_cookie_goes_out(healthy: int) -> None:
    """What one answer sets, no later request holds; the host has a name, since addresses get no cookies anyway."""
    pending = http(200, {"id": BAD, "state": "pending"}, "Set-Cookie: a=b; Path=/", "Set-Cookie: c=d")

    async with FaultServer(scripts={BAD: [pending, pending, done()]}) as server:
        outcomes = await outcomes_at(f"http://localhost:{server.port}", healthy=healthy)

    assert [outcome.error for outcome in outcomes] == [None] * (healthy + 1)
    assert not any(b"cookie" in head.lower() for head in server.heads)


@ALONE_AND_AMONG
async def test_a_relay_that_never_keeps_a_connection(healthy: int) -> None:
    """Each look has one of its own, and costs one look."""
    ended = await run_case(
        [closing(http(200, {"id": BAD, "state": "pending"}, "Connection: close"))] * 5 + [done()], healthy=healthy
    )

    assert ended.kind is Generation
    assert ended.outcome.polls == 6
    assert ended.server.connections >= 6


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak first, as servers of mail do."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


@ALONE_AND_AMONG
async def test_a_server_that_speaks_first(healthy: int) -> None:
    """A greeting before any request is no answer; it passes."""
    ended = await run_case([done()], healthy=healthy, server=FaultServer(greetings=[greet] * 3))

    assert ended.kind is Generation


# --- bodies ---


NO_TASKS: dict[str, object] = {
    "id with blanks": {**END, "id": f" {BAD} "},
    "id a number": {**END, "id": 5},
    "id a list": {**END, "id": [BAD]},
    "id a lone surrogate": {**END, "id": "\ud800"},
    "id with escapes": {**END, "id": "\x1b[2J"},
    "id of 1 MiB": {**END, "id": "x" * 2**20},
    "no id": {"state": "completed", "video": {"url": VIDEO}},
    "lists in lists": [[[[]]]],
    "a comma too many": json.dumps(END)[:-1].encode() + b",}",
    "a comment": BODY + b"// done",
    "JSONP": b"callback(" + BODY + b")",
    "XML": b"<?xml version='1.0'?><state>completed</state>",
    "a form": b"id=the-bad-one&state=completed",
    "NULs": b"\0" * 100,
    "NUL first": b"\0" + BODY,
    "two marks": b"\xef\xbb\xbf" * 2 + BODY,
    "surrogates in bytes": BODY.replace(b"completed", b"completed\xed\xa0\x80"),
    "a raw line break in a string": BODY.replace(b"completed", b"comp\nleted"),
    "many documents": BODY * 100,
}


@each(*(fault(name, http(200, body), ProtocolError) for name, body in NO_TASKS.items()), among=False)
async def test_bodies_that_say_nothing_about_the_task(trial: Trial) -> None:
    """Nothing is guessed: they pass."""
    ended = await trial.run()

    assert ended.kind in trial.kinds
    assert len(str(ended.outcome.error)) < 500


@ALONE_AND_AMONG
async def test_a_task_that_goes_back_and_forth(healthy: int) -> None:
    """States may come in any order; the end is the first that is one."""
    states = ["processing", "pending", "weird", "queued", "processing"]

    ended = await run_case([*(task(BAD, state) for state in states), done(), task(BAD, "failed")], healthy=healthy)

    assert ended.kind is Generation
    assert ended.outcome.polls == 6


# --- faults of a batch ---

BATCH_FAULTS: dict[str, Reply] = {
    "FIN": hang_up,
    "RST": reset,
    "SSH": closing(b"SSH-2.0-x\r\n\r\n"),
    "half a head": closing(HEAD + b"Con"),
    "half a body": closing(http(200, b'{"data": [', length=500)),
    "a bad chunk": closing(CHUNKED + b"zz\r\n"),
    "another's task": task("somebody-elses", "completed"),
    "500": http(500),
    "401 behind it": http(500) + http(401),
    "429": http(429),
    "a page": http(200, b"<html>", "Content-Type: text/html"),
    "nothing": http(200),
    "NaN": http(200, b"[NaN]"),
    "deep": http(200, b"[" * 100_000),
    "too large": http(200, b" " * 3_000_000),
    "UTF-16": http(200, BODY.decode().encode("utf-16")),
    "elsewhere": http(302, b"", "Location: https://elsewhere.example/"),
    "in a circle": http(307, b"", "Location: /luma/tasks"),
    "closed when idle": idle_then(http(500), reset),
    "403": http(403),
    "413": http(413),
    "422": http(422),
}


@pytest.mark.parametrize("reply", BATCH_FAULTS.values(), ids=BATCH_FAULTS)
async def test_a_batch_that_fails_is_no_tasks_fate(reply: Reply) -> None:
    """Where the first three batches fail, all tasks complete in the end."""
    server = FaultServer(replies=[reply, reply, reply, http(404)])

    ended = await run_case([task(BAD, "pending"), done()], healthy=20, server=server)

    assert ended.kind is Generation


@pytest.mark.parametrize("reply", BATCH_FAULTS.values(), ids=BATCH_FAULTS)
async def test_a_batch_that_fails_later_is_no_tasks_fate(reply: Reply) -> None:
    """Where batches work, fail three times, and work again, all tasks complete."""
    server = FaultServer()

    def rows(state: str, **more: object) -> Reply:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ids: list[str] = json.loads(server.bodies[-1])["ids"]
            writer.write(http(200, [{"id": task_id, "state": state, **more} for task_id in ids]))

        return answer

    server.replies = [rows("pending"), reply, reply, reply, rows("completed", video={"url": VIDEO})]
    ended = await run_case([done()], healthy=20, server=server)

    assert ended.kind is Generation
    assert ended.outcome.polls >= 2
