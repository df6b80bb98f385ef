"""Submitting, extending, the clean link and the pipeline in one line: nothing is paid for twice, and no id is lost.

Limits are a fraction of a second here, and pauses hundredths.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from luma_async import (
    APIError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    GenerationOptions,
    JournalError,
    Limits,
    LumaClient,
    LumaError,
    NotFoundError,
    PollPolicy,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    UncertainSubmitError,
    WaitTimeoutError,
)
from luma_async._network.request import Body, Request
from luma_async.testing import Fault, Script, SimulatedRelay
from tests.kit import KEY, TASK_ID
from tests.raw_server import Act, RawServer, Reply, closing, hang_up, http, reset, stay_silent

FAST = PollPolicy(min_interval=0.02, initial_interval=0.02, max_interval=0.05)
LIMITS = Limits(request_timeout=0.4, allow_private_media=True)
TAKEN = http(201, {"id": TASK_ID, "state": "pending"})
NO_CHANNEL = http(503, {"error": {"message": "no channel"}})
BUSY = http(429)


@pytest.fixture
async def relay() -> AsyncIterator[SimulatedRelay]:
    """Run a relay in the test's own loop, a hundred times faster than life."""
    async with SimulatedRelay(speed=100) as running:
        yield running


@pytest.fixture
async def luma(relay: SimulatedRelay) -> AsyncIterator[LumaClient]:
    """Make a client that asks often."""
    async with LumaClient(relay.base_url, relay.api_key, polling=FAST, limits=Limits(allow_private_media=True)) as luma:
        yield luma


def client(base_url: str) -> LumaClient:
    """Return a client that is quick to give up."""
    return LumaClient(base_url, KEY, polling=FAST, limits=LIMITS)


async def submitted(*replies: Reply) -> tuple[str | LumaError, RawServer]:
    """Submit once at a server with *replies*, and return what came of it."""
    async with RawServer(replies) as server, client(server.base_url) as luma:
        try:
            return await luma.submit("a cat"), server
        except LumaError as error:
            return error, server


def silent_from(asked: asyncio.Event) -> Act:
    """Never answer, and tell when there is something to answer."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await stay_silent(reader, writer)

    return act


# --- what goes out ---


async def test_a_submit_sends_the_prompt_and_the_options() -> None:
    """Under the relay's names, to the path without a trailing slash, once, with the key and as JSON."""
    async with RawServer([TAKEN]) as server, client(server.base_url) as luma:
        task_id = await luma.submit("a cat", GenerationOptions(aspect_ratio="1:1", loop=False))

    head = server.heads[0].decode()
    assert task_id == TASK_ID
    assert head.startswith("POST /luma/generations HTTP/1.1\r\n")
    assert (head.count("Content-Type: application/json"), head.count(f"Bearer {KEY}")) == (1, 1)
    assert [json.loads(body) for body in server.bodies] == [
        {"user_prompt": "a cat", "aspect_ratio": "1:1", "loop": False}
    ]


async def test_an_extension_goes_to_its_task() -> None:
    """And returns the new id."""
    async with RawServer([TAKEN]) as server, client(server.base_url) as luma:
        task_id = await luma.extend("luma_gen_abc123", "and on", GenerationOptions(expand_prompt=True))

    assert task_id == TASK_ID
    assert server.heads[0].startswith(b"POST /luma/generations/luma_gen_abc123/extend HTTP/1.1\r\n")
    assert json.loads(server.bodies[0]) == {"user_prompt": "and on", "expand_prompt": True}


async def test_a_picture_of_megabytes_arrives_whole(relay: SimulatedRelay, luma: LumaClient) -> None:
    """As base64, without a warning."""
    picture = "A" * 3_000_000

    task_id = await luma.submit("a cat", GenerationOptions(image_url=picture))

    assert relay.task_ids == [task_id]
    assert int(relay.requests[0].headers["content-length"]) > 3_000_000


def test_a_body_can_be_read_as_text() -> None:
    """For whoever logs what aiohttp sends."""
    request = Request("POST", "/luma/generations", "海".encode())

    assert Body(request, request.body or b"").decode() == "海"
    assert not request.sent


@pytest.mark.parametrize(
    "ask",
    [
        lambda luma: luma.submit(" "),
        lambda luma: luma.submit("a cat", {"loop": True}),
        lambda luma: luma.extend("../a", "and on"),
        lambda luma: luma.extend(TASK_ID, ""),
        lambda luma: luma.extend(TASK_ID, "and on", GenerationOptions(loop=True)),
        lambda luma: luma.clean_video_url("a/b"),
        lambda luma: luma.generate(""),
        lambda luma: luma.generate("a cat", timeout=0),
        lambda luma: luma.generate("a cat", download_to=5),
        lambda luma: luma.generate("a cat", on_submitted="print"),
    ],
)
async def test_a_mistake_costs_nothing(relay: SimulatedRelay, luma: LumaClient, ask: Any) -> None:
    """What cannot work is refused before anything is sent."""
    with pytest.raises(ConfigurationError):
        await ask(luma)

    assert relay.requests == []


async def test_a_closed_client_submits_nothing(relay: SimulatedRelay, luma: LumaClient) -> None:
    """And says why."""
    await luma.aclose()

    for ask in (luma.submit("a"), luma.extend(TASK_ID, "a"), luma.clean_video_url(TASK_ID), luma.generate("a")):
        with pytest.raises(ClientClosedError):
            await ask

    assert relay.requests == []


# --- never twice ---

_LOST: dict[str, Reply] = {
    "reset": reset,
    "hang up": hang_up,
    "silence": stay_silent,
    "half a body": closing(http(201, b'{"id": "466', length=90)),
    "garbled": b"SIP/2.0 200 OK\r\n\r\n",
    "502": http(502, {"error": {"message": "upstream"}}),
    "504 page": http(504, b"<html>gateway time-out</html>"),
    "503 without a body": http(503),
    "200 without a task": http(200, {"code": "success", "data": None}),
    "too large": http(200, b"[" + b" " * (3 * 2**20) + b"]"),
}


@pytest.mark.parametrize("reply", _LOST.values(), ids=_LOST)
async def test_what_may_have_been_taken_is_never_repeated(reply: Reply) -> None:
    """Asked once, and the error says that it is unknown, and what to do before submitting again."""
    error, server = await submitted(reply, TAKEN)

    assert isinstance(error, UncertainSubmitError)
    assert error.retryable is False
    assert str(error).startswith("it is not known whether the relay accepted the submit: ")
    assert "check the relay's log before you submit again" in str(error)
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("reply", "body", "candidates"),
    [
        (http(200, {"code": 200, "data": {"taskId": "a/1"}}), '{"code": 200, "data": {"taskId": "a/1"}}', ("a/1",)),
        (closing(http(201, b'{"id": "466", "x": "4', length=90)), '{"id": "466", "x": "4', ("466",)),
        (closing(http(201, b'{"id": "466', length=90)), '{"id": "466', ()),
        (http(502, b'{"request_id": "r-1"}'), '{"request_id": "r-1"}', ("r-1",)),
        (http(304, b""), "", ()),
        (reset, "", ()),
    ],
    ids=["200", "cut", "cut in the id", "502", "304", "reset"],
)
async def test_what_the_relay_said_is_kept(reply: Reply, body: str, candidates: tuple[str, ...]) -> None:
    """All that came, and what may be an id in it, through a pickle too."""
    error, _ = await submitted(reply)

    assert isinstance(error, UncertainSubmitError)
    assert (error.body, error.candidates) == (body, candidates)
    assert vars(pickle.loads(pickle.dumps(error)))["candidates"] == candidates  # noqa: S301 - our own bytes


async def test_an_answer_that_stalls_is_kept_as_far_as_it_came() -> None:
    """Until the time-out."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(200, b'{"task_id": "a/1", ', length=90))
        await stay_silent(reader, writer)

    error, _ = await submitted(stall)

    assert isinstance(error, UncertainSubmitError)
    assert isinstance(error.trouble, RequestTimeoutError)
    assert isinstance(pickle.loads(pickle.dumps(error)).trouble, RequestTimeoutError)  # noqa: S301 - our own bytes
    assert (error.body, error.candidates) == ('{"task_id": "a/1", ', ("a/1",))


async def test_an_answer_that_is_too_large_is_kept_up_to_the_limit() -> None:
    """And no further."""
    limits = Limits(request_timeout=5, max_answer_bytes=10_000)
    async with (
        RawServer([http(200, b'{"task_id": "a/1"}' + b" " * 300_000)]) as server,
        LumaClient(server.base_url, KEY, polling=FAST, limits=limits) as luma,
    ):
        with pytest.raises(UncertainSubmitError) as caught:
            await luma.submit("a cat")

    assert (len(caught.value.body), caught.value.candidates) == (10_000, ("a/1",))


@pytest.mark.parametrize("key", [KEY, "abc"])
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("whole", [True, False])
async def test_what_is_kept_does_not_hold_the_key(key: str, status: int, whole: bool) -> None:  # noqa: FBT001
    """As it is, in a complaint's text, and cut in the middle."""
    body = json.dumps({"code": 7, "message": f"bad {key}", "key_id": key}).encode()
    reply = http(status, body) if whole else closing(http(status, body[:-3], length=900))
    async with RawServer([reply]) as server, LumaClient(server.base_url, key, polling=FAST, limits=LIMITS) as luma:
        with pytest.raises(UncertainSubmitError) as caught:
            await luma.submit("a cat")

    told = f"{caught.value} {caught.value.body} {caught.value.candidates} {caught.value.trouble!r}"
    assert "bad [key]" in caught.value.body
    assert key not in told
    assert whole or len(key) < 8 or key[:-1] not in told


async def test_a_stale_connection_repeats_no_submit() -> None:
    """Aiohttp asks again on a new one when a kept connection breaks: of a look, not of a submit."""
    async with RawServer([TAKEN, hang_up, TAKEN]) as server, client(server.base_url) as luma:
        await luma.submit("first")

        with pytest.raises(UncertainSubmitError):
            await luma.submit("second")

        assert [json.loads(body)["user_prompt"] for body in server.bodies] == ["first", "second"]


async def test_an_answer_that_is_lost_leaves_a_task(relay: SimulatedRelay, luma: LumaClient) -> None:
    """The simulated relay's trap: it takes the submit, and one more would have made two."""
    relay.trouble(Fault.lost_answer(), on="submit")

    with pytest.raises(UncertainSubmitError):
        await luma.submit("a cat")

    assert len(relay.task_ids) == 1


async def test_closing_in_the_middle_leaves_it_open() -> None:
    """The request was out when the client closed."""
    async with RawServer([silent_from(asked := asyncio.Event())]) as server, client(server.base_url) as luma:
        submit = asyncio.create_task(luma.submit("a cat"))
        await asked.wait()
        await luma.aclose()

        with pytest.raises(UncertainSubmitError) as caught:
            await submit

    assert isinstance(caught.value.trouble, ClientClosedError)


async def test_an_extension_that_is_lost_names_its_task() -> None:
    """The one that was to be continued."""
    async with RawServer([reset]) as server, client(server.base_url) as luma:
        with pytest.raises(UncertainSubmitError) as caught:
            await luma.extend("luma_gen_abc123", "and on")

    assert caught.value.task_id == "luma_gen_abc123"


# --- again, where it was certainly refused ---


@pytest.mark.parametrize("refusal", [BUSY, NO_CHANNEL], ids=["429", "503"])
async def test_what_was_refused_for_now_is_handed_in_again(refusal: bytes) -> None:
    """Up to three times in all."""
    task_id, server = await submitted(refusal, refusal, TAKEN)

    assert task_id == TASK_ID
    assert len(server.heads) == 3


@pytest.mark.parametrize(
    ("refusal", "kind", "requests"),
    [
        (BUSY, RateLimitError, 3),
        (NO_CHANNEL, ServerError, 3),
        pytest.param(http(200, {"code": 429, "message": "slow down"}), RateLimitError, 1, id="429 inside 200"),
        *((http(status, {"error": {"message": "no"}}), APIError, 1) for status in (400, 401, 402, 403, 404, 422)),
    ],
)
async def test_a_relay_that_goes_on_refusing_is_believed(refusal: bytes, kind: type[LumaError], requests: int) -> None:
    """What passes is submitted three times and may be tried later; anything else ends it at once."""
    error, server = await submitted(refusal)

    assert isinstance(error, kind)
    assert not isinstance(error, UncertainSubmitError)
    assert error.retryable is (kind is not APIError)
    assert len(server.heads) == requests


async def test_a_record_learns_of_each_try() -> None:
    """Before the relay has got it, and before the pause after a refusal, which it can use to write to the disk."""
    notes: list[tuple[str, int]] = []

    async with RawServer([BUSY, NO_CHANNEL, TAKEN]) as server, client(server.base_url) as luma:

        class Record:
            async def before_sending(self) -> None:
                notes.append(("sent", len(server.heads)))

            async def before_pause(self, error: LumaError, seconds: float) -> None:
                assert isinstance(error, APIError)
                assert seconds > 0
                notes.append((f"refused: {error.status}", len(server.heads)))

        assert await luma.submit("a cat", record=Record()) == TASK_ID

    assert notes == [("sent", 0), ("refused: 429", 1), ("sent", 1), ("refused: 503", 2), ("sent", 2)]


async def test_a_record_that_fails_keeps_the_submit_from_the_relay() -> None:
    """Nothing may be paid for that cannot be recorded."""

    class Record:
        async def before_sending(self) -> None:
            raise JournalError("the disk is full", path="receipts")

        async def before_pause(self, error: LumaError, seconds: float) -> None:
            raise AssertionError(error, seconds)

    async with RawServer([TAKEN]) as server, client(server.base_url) as luma:
        with pytest.raises(JournalError):
            await luma.submit("a cat", record=Record())

    assert server.heads == []


async def test_a_hint_beyond_the_requests_time_ends_it() -> None:
    """It is not waited for: the error has the hint."""
    error, server = await submitted(http(429, b"", "Retry-After: 30"))

    assert isinstance(error, RateLimitError)
    assert error.retry_after == 30.0
    assert len(server.heads) == 1


async def test_a_redirect_to_elsewhere_took_nothing() -> None:
    """It says that this may be no relay, as for a look."""
    error, server = await submitted(http(301, b"", "Location: https://elsewhere.example/"), TAKEN)

    assert isinstance(error, ProtocolError)
    assert "may not be a relay" in str(error)
    assert len(server.heads) == 1


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("/api/luma/generations", "base_url (LUMA_BASE_URL) needs the path /api"),
        ("/a/b/luma/generations?x=1", "base_url (LUMA_BASE_URL) needs the path /a/b"),
        ("/luma/generations/", "may begin with the path /luma/generations/"),
        ("/login?next=/luma", "may begin with the path /login"),
    ],
)
async def test_a_redirect_on_the_same_host_names_its_path(status: int, location: str, named: str) -> None:
    """The key goes nowhere else; a POST would become a GET."""
    error, server = await submitted(http(status, b"", f"Location: {location}"), TAKEN)

    assert isinstance(error, ProtocolError)
    assert "the key goes" not in str(error)
    assert location.partition("?")[0] in str(error)
    assert named in str(error)
    assert len(server.heads) == 1


async def test_a_redirect_to_the_root_needs_no_path() -> None:
    """The address has one too many."""
    moved = http(302, b"", "Location: /luma/generations")
    async with RawServer([moved]) as server, client(f"{server.base_url}/gw") as luma:
        with pytest.raises(ProtocolError, match="needs no path"):
            await luma.submit("a cat")


async def test_a_redirects_path_does_not_show_the_key() -> None:
    """It may come back in it."""
    error, _ = await submitted(http(302, b"", f"Location: /login/{KEY}"), TAKEN)

    assert "/login/" in str(error)
    assert KEY not in str(error)


_PAGE = http(200, b"<!doctype html><title>New API</title><div></div>", "Content-Type: text/html")


@pytest.mark.parametrize("second", [_PAGE, http(404, b"<html><pre>Cannot GET</pre></html>", "Content-Type: text/html")])
async def test_an_address_that_answers_polls_with_pages_took_nothing(second: bytes) -> None:
    """One free poll of an id that nobody has tells it, and the error says so."""
    error, server = await submitted(_PAGE, second)

    assert type(error) is ProtocolError
    assert "base_url is not a relay" in str(error)
    assert "nothing was submitted" in str(error)
    assert [head.split(b" ")[0] for head in server.heads] == [b"POST", b"GET"]


@pytest.mark.parametrize(
    "second",
    [http(400, {"code": "task_not_exist", "message": ""}), http(502, b"<html></html>"), http(429), reset],
    ids=["a relay", "trouble", "a limit", "no answer"],
)
async def test_a_page_from_what_may_be_a_relay_leaves_it_open(second: Reply) -> None:
    """The poll proves a relay, or nothing: the submit is not repeated, and its answer is kept."""
    error, server = await submitted(_PAGE, second, TAKEN)

    assert isinstance(error, UncertainSubmitError)
    assert "New API" in error.body
    assert [head.split(b" ")[0] for head in server.heads].count(b"POST") == 1


async def test_a_page_with_an_id_in_it_needs_no_poll() -> None:
    """A relay whose answers start with a warning of its machinery answers polls so too."""
    error, server = await submitted(http(200, b'<br />\n<b>Warning</b>: x in y\n{"id": "a-1"}'))

    assert isinstance(error, UncertainSubmitError)
    assert error.candidates == ("a-1",)
    assert len(server.heads) == 1


async def test_without_a_connection_nothing_was_taken() -> None:
    """Nobody listens: a passing error of the usual kind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with client(f"http://127.0.0.1:{taken.getsockname()[1]}") as luma:
            with pytest.raises(TransportError) as caught:
                await luma.submit("a cat")

    assert not isinstance(caught.value, UncertainSubmitError)
    assert caught.value.retryable is True


# --- concurrency and cancelling ---


async def test_submits_share_the_clients_limits() -> None:
    """So many connections at most, and each prompt once."""
    limits = Limits(max_concurrency=3)
    async with RawServer([TAKEN]) as server, LumaClient(server.base_url, KEY, polling=FAST, limits=limits) as luma:
        await asyncio.gather(*(luma.submit(f"cat {number}") for number in range(20)))

    assert server.open_most <= 3
    assert sorted(json.loads(body)["user_prompt"] for body in server.bodies) == sorted(f"cat {n}" for n in range(20))


async def test_cancelling_stops_a_submit_at_once() -> None:
    """Nothing is handed in again, and nothing is left."""
    async with RawServer([silent_from(asked := asyncio.Event())]) as server, client(server.base_url) as luma:
        submit = asyncio.create_task(luma.submit("a cat"))
        await asked.wait()
        submit.cancel()

        with pytest.raises(asyncio.CancelledError):
            await submit

    assert len(server.heads) == 1


# --- the clean link ---


async def test_the_clean_link_is_asked_for(relay: SimulatedRelay, luma: LumaClient) -> None:
    """Where a relay's answer has only the one with the watermark."""
    task_id = relay.add(script=Script.of("completed", watermarked_only=True))
    shown = await luma.get_generation(task_id)

    link = await luma.clean_video_url(task_id)

    assert "/watermarked" in (shown.video_url or "")
    assert f"/media/{task_id}/video.mp4?" in link


async def test_the_clean_link_passes_trouble(relay: SimulatedRelay, luma: LumaClient) -> None:
    """Two 502s are not the end, for asking is free."""
    task_id = relay.add(script=Script.of("completed"))
    relay.trouble(Fault.bad_gateway(), times=2, on="link")

    assert "video.mp4" in await luma.clean_video_url(task_id)


@pytest.mark.parametrize("reply", [http(404, {"error": {"message": "Invalid URL (GET /x)"}}), http(404)])
async def test_a_relay_may_have_no_clean_links(reply: bytes) -> None:
    """That is no passing trouble."""
    async with RawServer([reply]) as server, client(server.base_url) as luma:
        with pytest.raises(NotFoundError):
            await luma.clean_video_url(TASK_ID)

    assert len(server.heads) == 1


# --- the whole life ---


async def test_the_whole_life_in_one_line(relay: SimulatedRelay, luma: LumaClient, tmp_path: Path) -> None:
    """Submitted, waited for, stored."""
    made = await luma.generate("a cat dancing", GenerationOptions(aspect_ratio="1:1"), download_to=tmp_path / "videos")

    assert relay.task_ids == [made.task_id]
    assert made.generation.request is not None
    assert (made.generation.request.prompt, made.generation.request.aspect_ratio) == ("a cat dancing", "1:1")
    assert made.path == tmp_path / "videos" / f"{made.task_id}.video.mp4"
    assert made.path.stat().st_size > 0


async def test_nothing_need_be_stored(luma: LumaClient) -> None:
    """Then there is no path."""
    made = await luma.generate("a cat dancing")

    assert made.path is None
    assert made.generation.video_url is not None


async def _at_a_relay(script: Script, fault: Fault | None = None, **more: Any) -> tuple[LumaError, list[str]]:
    """Return how a generation at a relay with *script* ends, and the ids of the relay."""
    async with (
        SimulatedRelay(speed=100, script=script) as relay,
        LumaClient(relay.base_url, relay.api_key, polling=FAST, limits=LIMITS) as luma,
    ):
        if fault is not None:
            relay.trouble(fault, times=None, on="media")
        with pytest.raises(LumaError) as caught:
            await luma.generate("a cat", **more)
        return caught.value, relay.task_ids


async def test_every_error_after_the_submit_names_the_task(tmp_path: Path) -> None:
    """A failure, a deadline, and a video that cannot be stored: what was paid for can be found again."""
    ends = [
        await _at_a_relay(Script.fails(after=0.1)),
        await _at_a_relay(Script.of("processing"), timeout=0.1),
        await _at_a_relay(Script.of("completed"), Fault.http(404), download_to=tmp_path),
    ]

    assert [type(error) for error, _ in ends] == [GenerationFailedError, WaitTimeoutError, DownloadError]
    assert [[error.task_id] for error, _ in ends] == [ids for _, ids in ends]


@pytest.mark.parametrize("ends", ["close", "cancel"])
async def test_who_waits_for_what_was_submitted_knows_its_id(
    relay: SimulatedRelay, luma: LumaClient, ends: str
) -> None:
    """A client that closes names the task in its error; a cancellation cannot, but ``on_submitted`` has come before."""
    relay.script = Script.of("processing")
    ids: asyncio.Queue[str] = asyncio.Queue()
    life = asyncio.create_task(luma.generate("a cat", on_submitted=ids.put_nowait))
    task_id = await ids.get()
    if ends == "close":
        await luma.aclose()
    else:
        life.cancel()

    with pytest.raises(ClientClosedError if ends == "close" else asyncio.CancelledError) as caught:
        await life

    assert relay.task_ids == [task_id]
    assert getattr(caught.value, "task_id", task_id) == task_id


async def test_a_client_that_has_closed_by_then_names_the_task(relay: SimulatedRelay, luma: LumaClient) -> None:
    """Between the submit and the wait."""
    with pytest.raises(ClientClosedError) as caught:
        await luma.generate("a cat", on_submitted=lambda _: setattr(luma, "_closed", True))

    assert [caught.value.task_id] == relay.task_ids


@pytest.mark.parametrize(
    "trouble", [ZeroDivisionError(), asyncio.CancelledError(), BaseExceptionGroup("", [SystemExit()])]
)
async def test_what_on_submitted_raises_comes_out_with_the_id(
    relay: SimulatedRelay, luma: LumaClient, trouble: BaseException
) -> None:
    """As it is, with a note: it has been paid for."""

    def complain(_: str) -> None:
        raise trouble

    with pytest.raises(type(trouble)) as caught:
        await luma.generate("a cat", on_submitted=complain)

    assert caught.value is trouble
    assert trouble.__notes__ == [f"The relay has taken the generation: task {relay.task_ids[0]}"]


async def test_a_directory_that_cannot_be_costs_nothing(
    relay: SimulatedRelay, luma: LumaClient, tmp_path: Path
) -> None:
    """It is made before anything is submitted."""
    (tmp_path / "file").touch()

    with pytest.raises(DownloadError) as caught:
        await luma.generate("a cat", download_to=tmp_path / "file")

    assert (caught.value.reason, caught.value.task_id) == ("disk", None)
    assert relay.requests == []


async def test_a_submit_that_is_lost_waits_for_nothing(relay: SimulatedRelay, luma: LumaClient) -> None:
    """The pipeline says the same as a submit."""
    relay.trouble(Fault.lost_answer(), on="submit")

    with pytest.raises(UncertainSubmitError):
        await luma.generate("a cat")

    assert [seen.kind for seen in relay.requests] == ["submit"]
