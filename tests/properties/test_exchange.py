"""The same through real sockets: any bytes, in any pieces."""

from __future__ import annotations

import asyncio
import zlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from luma_async import Generation, Limits, LumaClient, LumaError, PollPolicy
from luma_async._relay.answer import Answer
from tests.kit import KEY, TASK_ID, sample
from tests.properties import costly
from tests.properties.documents import answers
from tests.raw_server import Act, RawServer

HASTY = PollPolicy(min_interval=0.001, initial_interval=0.001, max_interval=0.002)
GOOD = sample("get__completed__artifact").content

_HEADERS = [
    *(b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br", b"Content-Encoding: zstd"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Connection: upgrade"),
    *(b"Upgrade: websocket", b"Location: http://[", b"Location: /luma/generations/x", b"Set-Cookie: \xff=;;="),
    *(b"Content-Type: \xff/;charset=x", b"Content-Length: 3", b"Content-Length: -1", b"Keep-Alive: \x00"),
    *(b"Retry-After: \xb2", b": ", b"X" * 9000 + b": y"),
]
_STARTS = [b"HTTP/1.0 200", b"HTTP/1.1 1000 x", b"SSH-2.0-x", b"\r\n"]
_header = st.one_of(st.sampled_from(_HEADERS), st.binary(max_size=20))
_line = st.one_of(st.just(b""), st.sampled_from(_STARTS), st.binary(max_size=20))
_cuts = st.lists(st.integers(0, 6000), max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return *data* cut at *cuts*, as far as it goes."""
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(edges)]


def in_pieces(said: bytes, cuts: list[int]) -> Act:
    """Send *said* in pieces, cut at *cuts*, and close the connection."""

    async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces(said, cuts):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    return act


async def look(said: bytes, cuts: list[int]) -> Generation | LumaError:
    """Look once at a server that says these bytes; anything but our errors comes out as it is."""
    limits = Limits(request_timeout=5.0, max_answer_bytes=10_000)
    async with (
        RawServer([in_pieces(said, cuts)]) as server,
        LumaClient(server.base_url, KEY, polling=HASTY, limits=limits) as luma,
    ):
        try:
            return await luma.get_generation(TASK_ID)
        except LumaError as error:
            return error


def chunked(body: bytes, cuts: list[int]) -> bytes:
    """Return *body* in HTTP's own chunks, cut at *cuts*."""
    chunks = (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces(body, cuts))
    return b"".join(chunks) + b"0\r\n\r\n"


@costly()
@given(cuts=_cuts, chunks=_cuts, is_packed=st.booleans())
async def test_a_good_answer_is_read_in_whatever_pieces_it_comes(
    cuts: list[int], chunks: list[int], *, is_packed: bool
) -> None:
    """Cut by the network, by HTTP, or both, packed or not: the same generation."""
    body = zlib.compress(GOOD) if is_packed else GOOD
    encoding = b"Content-Encoding: deflate\r\n" if is_packed else b""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + encoding + b"\r\n"

    seen = await look(head + chunked(body, chunks), cuts)

    assert isinstance(seen, Generation)
    assert (seen.id, seen.problems, seen.raw["id"]) == (TASK_ID, (), TASK_ID)


@costly()
@given(answer=answers(), line=_line, headers=st.lists(_header, max_size=3), cuts=_cuts, has_length=st.booleans())
async def test_whatever_comes_over_the_wire_is_a_generation_or_one_of_our_errors(
    answer: Answer, line: bytes, headers: list[bytes], cuts: list[int], *, has_length: bool
) -> None:
    """Any status line, any headers, any body, cut anywhere: no error of aiohttp's, none that names the key."""
    start = line or b"HTTP/1.1 %d Said" % answer.status
    length = [b"Content-Length: %d" % len(answer.body)] if has_length else []
    kind = [b"Content-Type: " + answer.content_type.encode()]
    said = b"\r\n".join([start, *length, *kind, *headers]) + b"\r\n\r\n" + answer.body

    seen = await look(said, cuts)

    assert seen.id == TASK_ID if isinstance(seen, Generation) else KEY not in str(seen)
