"""A35: wherever one could look for the key, it is not there. The CLI's places are in ``tests/cli/test_key.py``."""

from __future__ import annotations

import asyncio
import copy
import html
import inspect
import io
import json
import logging
import pickle
import pprint
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import pytest
from rich.console import Console
from rich.traceback import Traceback

from luma_async import AuthenticationError, ConfigurationError, Limits, LumaClient, LumaError, Outcome, PollPolicy
from luma_async.settings import Settings
from tests.kit import KEY, TASK_ID
from tests.quick import quick
from tests.raw_server import RawServer, Reply, closing, hang_up, http, reset, stay_silent

FAST = PollPolicy(
    min_interval=0.01, initial_interval=0.01, max_interval=0.02, max_consecutive_failures=2, max_outage=0.02
)
LIMITS = Limits(request_timeout=0.15, max_answer_bytes=4096)
ODD_KEY = r"""sk-\/"&<+>='odd"""
"""A key whose characters are written differently in JSON and on web pages."""
ADDRESS = "https://relay.example"
ROOT = Path(__file__).parents[2]


def go(value: object) -> bytes:
    """Write JSON as Go does: fit to stand on a web page."""
    text = json.dumps(value)
    for character, escape in (("&", r"\u0026"), ("<", r"\u003c"), (">", r"\u003e")):
        text = text.replace(character, escape)
    return text.encode()


def php(value: object) -> bytes:
    """Write JSON as PHP does: slashes escaped."""
    return json.dumps(value).replace("/", r"\/").encode()


def page(value: object) -> bytes:
    """Write a web page about it."""
    return f"<!doctype html><html><title>{html.escape(str(value))}</title>".encode()


def echoes(key: str) -> dict[str, Reply]:
    """Return answers of relays that repeat the key wherever they can."""
    told = {"error": {"message": f"invalid key {key}", "type": key, "code": key}, "request_id": key}
    header, web = f"X-Oneapi-Request-Id: {key}", "Content-Type: text/html"
    return {
        "in JSON": http(401, told, header),
        "in JSON like Go's": http(403, go(told)),
        "in JSON like PHP's": http(500, php(told)),
        "inside 200": http(200, go({"code": key, "message": f"no channel for {key}"})),
        "inside 200, for ever": http(200, {"code": "x", "message": key}, header),
        "as text": http(500, f"no such key: Bearer {key}".encode()),
        "on a web page": http(502, page(key), web),
        "on a web page with 200": http(200, page(key), web),
        "in a failure": http(200, {"id": TASK_ID, "state": "failed", "failure_reason": f"key {key} ran dry"}),
        "in a state": http(200, {"id": TASK_ID, "state": key, "prompt": key}),
        "in the status line": closing(f"HTTP/1.1 502 {key}\r\nContent-Length: 0\r\n\r\n".encode()),
        "in garbage": closing(f"SSH-2.0-{key}\r\n\r\n".encode()),
        "in a header that is none": closing(f"HTTP/1.1 200 OK\r\n{key}\r\n\r\n".encode()),
        "in a bad length": closing(f"HTTP/1.1 200 OK\r\nContent-Length: {key}\r\n\r\n".encode()),
        "in a bad chunk": closing(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n".encode()),
        "in a redirect": http(302, b"", f"Location: https://other.example/?key={key}"),
        "in a redirect to nowhere": http(307, b"", f"Location: {key}://x"),
        "in a redirect to itself": http(308, b"", f"Location: /luma/{key}"),
        "in half a body": closing(http(200, f'{{"key": "{key}'.encode(), length=500)),
        "in too much": http(200, key.encode() * 500),
        "in Retry-After": http(429, b"", f"Retry-After: {key}", header),
        "nowhere: reset": reset,
        "nowhere: hung up": hang_up,
        "nowhere: silence": stay_silent,
    }


def below_the_tests(trace: TracebackType | None) -> TracebackType | None:
    """Leave out our own frames, which know the key."""
    while trace is not None and Path(trace.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
        trace = trace.tb_next
    return trace


def seen(error: BaseException) -> str:
    """Return all that an error shows: to people, to crash reporters that take local variables along, to pickle."""
    trace = below_the_tests(error.__traceback__)
    told = traceback.TracebackException(type(error), error, trace, capture_locals=True)
    parts = [*told.format(), str(error), repr(error), repr(vars(error)), str(pickle.dumps(error))]
    parts += [seen(inner) for inner in (error.__cause__, error.__context__) if inner is not None]
    return "\n".join(parts)


def holds(text: str, key: str) -> bool:
    """Whether *key* is in *text*, as it is or as a repr has it."""
    return key in text or repr(key)[1:-1] in text or json.dumps(key)[1:-1] in text


@pytest.fixture
async def loud(caplog: pytest.LogCaptureFixture) -> AsyncIterator[pytest.LogCaptureFixture]:
    """Have everybody say everything, asyncio's debug mode included."""
    caplog.set_level(logging.DEBUG)
    for name in ("luma_async", "aiohttp", "aiohttp.client", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    asyncio.get_running_loop().set_debug(True)
    yield caplog
    asyncio.get_running_loop().set_debug(False)


def client(server: RawServer, key: str = KEY) -> LumaClient:
    """Return a client of *server* that asks often."""
    return LumaClient(server.base_url, key, polling=FAST, limits=LIMITS, batch="never")


async def ends(luma: LumaClient) -> list[BaseException]:
    """Ask in every way, and return the errors that come of it."""
    calls: list[Callable[[], Any]] = [
        lambda: luma.get_generation(TASK_ID),
        lambda: luma.wait_until_done(TASK_ID, timeout=0.15),
        lambda: first_of(luma),
        lambda: luma.submit("a sunrise"),
        lambda: luma.extend(TASK_ID, "and a sunset"),
    ]
    errors: list[BaseException] = []
    for call in calls:
        try:
            await call()
        except LumaError as error:
            errors.append(error)
    outcomes: list[Outcome] = await luma.wait_all([TASK_ID, "another"], timeout=0.15)
    errors += [outcome.error for outcome in outcomes if outcome.error is not None]
    return [*errors, BaseExceptionGroup("all", errors)]


async def first_of(luma: LumaClient) -> None:
    """Watch until the end."""
    async with luma.watch(TASK_ID, timeout=0.15) as snapshots:
        async for _ in snapshots:
            pass


@pytest.mark.parametrize("key", [KEY, ODD_KEY], ids=["plain", "odd"])
@pytest.mark.parametrize("name", quick(echoes(KEY), 8))
async def test_a35_a_relay_that_repeats_the_key_does_not_bring_it_in(
    name: str, key: str, loud: pytest.LogCaptureFixture
) -> None:
    """Whatever is printed, logged, pickled or followed from an error, and whatever the local variables say."""
    async with RawServer([echoes(key)[name]]) as server, client(server, key) as luma:
        errors = await ends(luma)
        shown = "\n".join([*map(seen, errors), repr(luma), str(luma), loud.text])

    assert len(errors) > 2
    assert key.encode() in b"".join(server.heads)
    assert not holds(shown, key)


@pytest.mark.parametrize("key", ["sk-7", "secret", "1234", 'a"b', "x"])
async def test_a35_a_short_key_does_not_come_back_in_a_refusal(key: str) -> None:
    """As a whole word, in the text and in the request's id."""
    refusal = http(401, {"error": {"message": f"no such key: {key}!"}}, f"X-Oneapi-Request-Id: {key}")
    async with RawServer([refusal]) as server, client(server, key) as luma:
        [outcome] = await luma.get_generations([TASK_ID])

    assert isinstance(outcome.error, AuthenticationError)
    assert "no such key: [key]!" in str(outcome.error)
    assert outcome.error.request_id == "[key]"


async def test_a35_a_short_key_garbles_no_good_answer() -> None:
    """It may be a word or a number that stands there for something else."""
    answer = http(
        200, {"id": TASK_ID, "state": "completed", "video": {"url": "https://cdn.example/video", "width": 1280}}
    )
    async with RawServer([answer]) as server, client(server, "video") as luma:
        generation = await luma.get_generation(TASK_ID)

    assert generation.video_url == "https://cdn.example/video"


async def test_a35_a_cancelled_call_shows_no_key_at_any_moment() -> None:
    """Neither our frames nor aiohttp's, with the request's headers among their variables, hold it in readable form."""
    told: list[str] = []

    async with RawServer([closing(http(200, b"{", length=500)), stay_silent]) as server:
        for moment in range(60):
            async with client(server) as luma:
                calls = [luma.get_generation(TASK_ID), luma.clean_video_url(TASK_ID)]
                asking = [asyncio.ensure_future(call) for call in calls]
                for _ in range(moment):
                    await asyncio.sleep(0)
                for call in asking:
                    call.cancel()
                told += [seen(await ended(call)) for call in asking]

    assert any("headers = " in text for text in told)
    assert not [text for text in told if KEY in text]


async def ended(task: asyncio.Task[Any]) -> BaseException:
    """Return the error that *task* ends in."""
    with pytest.raises((LumaError, asyncio.CancelledError)) as caught:
        await task
    return caught.value


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "ftp://x"},
        {"base_url": ""},
        {"base_url": ADDRESS, "api_key": f"{KEY} "},
        {"base_url": ADDRESS, "api_key": f"{KEY}\n".encode()},
        {"base_url": ADDRESS, "polling": KEY},
        {"base_url": ADDRESS, "limits": None},
        {"base_url": ADDRESS, "proxy": f"socks5://u:{KEY}@proxy.example"},
        {"base_url": ADDRESS, "proxy": [KEY]},
        {"base_url": ADDRESS, "ssl_context": False},
        {"base_url": ADDRESS, "batch": "sometimes"},
        {"base_url": ADDRESS, "headers": {"X-Token": KEY, "Authorization": KEY}},
        {"base_url": ADDRESS, "media_headers": {"X-Token": f"{KEY}\n"}},
    ],
)
@pytest.mark.parametrize("source", ["argument", "variable", "file"])
def test_a35_a_client_that_cannot_be_made_shows_no_key(
    arguments: dict[str, Any], source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever is wrong beside it, the key is not among the local variables, and neither is the environment."""
    (tmp_path / "key").write_text(KEY)
    monkeypatch.setenv("LUMA_API_KEY_FILE", str(tmp_path / "key"))
    if source == "variable":
        monkeypatch.setenv("LUMA_API_KEY", KEY)
    given = {"api_key": KEY, **arguments} if source == "argument" else arguments

    with pytest.raises(ConfigurationError) as caught:
        LumaClient(**given)
    told = seen(caught.value)

    assert "client.py" in told
    assert KEY not in told.replace(f"polling = '{KEY}'", "")


def test_a35_a_key_file_s_content_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that is no key."""
    (tmp_path / "key").write_bytes(f"{KEY}\xff".encode("latin-1"))
    monkeypatch.setenv("LUMA_API_KEY_FILE", str(tmp_path / "key"))

    with pytest.raises(ConfigurationError) as caught:
        LumaClient(ADDRESS)

    assert KEY not in seen(caught.value)


async def test_a35_no_object_of_ours_shows_the_key() -> None:
    """Client, settings and everything they are made of, before and after use; proxies' passwords neither."""
    luma = LumaClient(ADDRESS, KEY, proxy="http://u:s3cret@proxy.example")
    settings = Settings.load(ADDRESS, KEY, Limits())
    parts = [luma, settings, *vars(luma).values(), luma.as_completed(["a"]), luma.watch("a")]

    shown = "\n".join(f"{part!r} {part!s} {getattr(part, '__dict__', '')}" for part in parts)
    await luma.aclose()

    assert KEY not in shown + repr(luma)
    assert "s3cret" not in shown


LONG_KEY = "sk-" + "".join(chr(ord("a") + i % 26) for i in range(120))


def walked(error: BaseException) -> str:
    """Return what tools show of an error that cut long local variables, and look into objects."""
    told: list[str] = []
    trace = below_the_tests(error.__traceback__)
    while trace is not None:
        inspect.formatargvalues(*inspect.getargvalues(trace.tb_frame))  # as cgitb does: a deleted argument ends it
        for value in trace.tb_frame.f_locals.values():
            told += map(looked_into, (value, *vars_of(value)))
        trace = trace.tb_next
    console = Console(file=io.StringIO(), width=250)
    shown = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return "\n".join([*told, console.file.getvalue()])


def vars_of(value: object) -> list[object]:
    """Return the attributes of *value*, in slots too."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in slots)]


def looked_into(value: Any) -> str:
    """Return each way to show *value*, also of its first characters only."""
    told = [repr(value), f"{value}", "%s" % (value,), pprint.pformat(value)]  # noqa: UP031 - one of the ways
    told += [str(value[:80])] if isinstance(value, str | bytes) else []
    told += [repr(attrs.asdict(value))] if attrs.has(type(value)) and not isinstance(value, type) else []
    told += [repr(part[:80]) for part in value.values() if isinstance(part, str)] if isinstance(value, Mapping) else []
    return "\n".join(told)


@pytest.mark.parametrize("wrong", ["base_url", "polling", "limits", "batch", "proxy"])
def test_a35_tools_that_walk_through_local_variables_find_no_part_of_the_key(wrong: str) -> None:
    """Neither in whole nor in slices, and not in the attributes of any object."""
    given: dict[str, Any] = {"base_url": ADDRESS, "api_key": LONG_KEY, wrong: "x"}
    with pytest.raises(ConfigurationError) as caught:
        LumaClient(**given)
    caught.value.__traceback__ = below_the_tests(caught.value.__traceback__)

    assert LONG_KEY[20:40] not in walked(caught.value)


async def test_a35_tools_that_walk_through_a_cancelled_call_find_no_part_of_the_key() -> None:
    """Neither in our frames, nor in aiohttp's with the headers of the request."""
    async with RawServer([stay_silent]) as server, client(server, LONG_KEY) as luma:
        call = asyncio.ensure_future(luma.clean_video_url(TASK_ID))
        await asyncio.wait([call], timeout=0.05)
        call.cancel()
        error = await ended(call)

        error.__traceback__ = below_the_tests(error.__traceback__)
        shown = walked(error)

    assert "headers = " in shown
    assert LONG_KEY[20:40] not in shown


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a35_a_copy_of_the_settings_shows_no_key_and_a_pickle_is_refused(
    copied: Callable[..., Any],
) -> None:
    """A pickle would hold the key in plain text."""
    settings = copied(Settings.load(ADDRESS, KEY, Limits()))

    assert settings.api_key.reveal() == KEY
    assert KEY not in looked_into(settings)
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(settings)


LOUD = """
import asyncio, gc, logging, sys, warnings
from luma_async import LumaClient, LumaError, PollPolicy

logging.basicConfig(level=0, stream=sys.stdout)
policy = PollPolicy(initial_interval=0.01, max_interval=0.01, max_consecutive_failures=2, max_outage=0.02)

async def main():
    asyncio.get_running_loop().slow_callback_duration = 0.0  # every step is told
    forgotten = LumaClient(polling=policy, batch="never")
    print(repr(forgotten), forgotten.__dict__)
    outcomes = await forgotten.wait_all(["a", "b"], timeout=1.0)
    print(outcomes, [str(outcome.error) for outcome in outcomes])
    look = asyncio.create_task(forgotten.get_generation("a"))
    asyncio.create_task(forgotten.wait_until_done("b"))
    await asyncio.sleep(0)
    look.print_stack()
    look.cancel()
    del forgotten, look
    gc.collect()
    await LumaClient().get_generation("a")

asyncio.run(main())
"""


def test_a35_development_mode_says_much_and_no_key() -> None:
    """With debug logs, every slow step, a client that nobody closes and an error that nobody catches."""
    program = [sys.executable, "-c", NEVER_AUTHORIZED]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=ROOT) as relay:  # noqa: S603
        assert relay.stdout is not None
        env = {"LUMA_BASE_URL": relay.stdout.readline().strip(), "LUMA_API_KEY": KEY}
        command = [sys.executable, "-X", "dev", "-c", LOUD]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)  # noqa: S603
        relay.terminate()

    assert told.returncode == 1
    assert "Unclosed" in told.stderr
    assert "AuthenticationError" in told.stderr
    assert "asyncio" in told.stdout
    assert KEY not in told.stdout + told.stderr


NEVER_AUTHORIZED = """
import asyncio
from tests.raw_server import RawServer, http

async def main():
    async with RawServer([lambda r, w: answer(server, w)]) as server:
        print(server.base_url, flush=True)
        await asyncio.sleep(60)

async def answer(server, writer):
    key = server.heads[-1].split(b"Bearer ")[1].split(b"\\r")[0].decode()
    writer.write(http(401, {"error": {"message": key}}, f"X-Key: {key}"))

asyncio.run(main())
"""
