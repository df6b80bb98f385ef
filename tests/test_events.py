"""What a client tells those who listen, by a simulated relay in time that jumps."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from luma_async import (
    ClientClosedError,
    ConfigurationError,
    CooldownEnded,
    CooldownStarted,
    DownloadEnded,
    DownloadError,
    DownloadProgress,
    Event,
    Limits,
    LumaClient,
    PollFailed,
    RateLimitError,
    ServerError,
    State,
    StateChanged,
    TryFailed,
    WaitEnded,
    WaitStarted,
    WaitTimeoutError,
)
from luma_async._listeners import Listeners
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay

PRIVATE = Limits(allow_private_media=True)


@pytest.fixture
def told() -> list[Event]:
    """What has been told so far."""
    return []


@pytest.fixture
async def luma(luma_relay: SimulatedRelay, luma_time: FastTime, told: list[Event]) -> LumaClient:
    """A client that tells it; the tests close it."""
    return LumaClient(luma_relay.base_url, luma_relay.api_key, limits=PRIVATE, on_event=told.append)


# --- what is told ---


async def test_a_wait_is_told_from_its_beginning_to_its_end(
    luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event]
) -> None:
    """Each change of state stands between, with the relay's words, and the name of the request that showed it."""
    task_id = luma_relay.add(script=Script.of(("pending", 20), ("dreaming", 20), "completed"))

    async with luma:
        await luma.wait_until_done(task_id)

    began, *changes, ended = told
    assert isinstance(began, WaitStarted)
    assert isinstance(ended, WaitEnded)
    assert (began.task_id, began.waiting, ended.task_id, ended.waiting) == (task_id, 1, task_id, 0)
    assert ended.outcome is not None
    assert ended.outcome.unwrap().state is State.COMPLETED
    assert [
        (change.task_id, change.before, change.state_text, change.state, len(change.request_id or ""))
        for change in changes
        if isinstance(change, StateChanged)
    ] == [
        (task_id, None, "pending", State.PENDING, 28),
        (task_id, "pending", "dreaming", State.PROCESSING, 28),
        (task_id, "dreaming", "completed", State.COMPLETED, 28),
    ]
    assert [event.at for event in told] == sorted(event.at for event in told)


@pytest.mark.luma_relay(envelope=True)
async def test_a_batch_tells_the_same(luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event]) -> None:
    """Ids that share a request are told of one by one, with that request's name."""
    ids = [luma_relay.add(script=Script.completes(pending=0, processing=60)) for _ in range(3)]

    async with luma:
        await luma.wait_all(ids)

    changes = [event for event in told if isinstance(event, StateChanged)]
    assert sorted(change.task_id for change in changes) == sorted(ids * 2)
    assert all(change.request_id for change in changes)
    assert any(len(request.task_ids) == 3 for request in luma_relay.requests)


async def test_a_failed_look_is_told_and_counted(
    luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event]
) -> None:
    """Its error names the task; a good look begins the count anew."""
    task_id = luma_relay.add(script=Script.completes(pending=0, processing=100))
    luma_relay.trouble(Fault.bad_gateway(), times=2)

    async with luma:
        wait = asyncio.create_task(luma.wait_until_done(task_id))
        await asyncio.sleep(50)
        luma_relay.trouble(Fault.bad_gateway())
        await wait

    failed = [event for event in told if isinstance(event, PollFailed)]
    assert [event.failures for event in failed] == [1, 2, 1]
    assert {(event.task_id, event.error.task_id, type(event.error)) for event in failed} == {
        (task_id, task_id, ServerError)
    }


async def test_those_who_wait_together_are_counted(
    luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event]
) -> None:
    """Who gives up has no outcome; who comes to his deadline has his own; the polling ends with the last."""
    task_id = luma_relay.add(script=Script.of("processing"))

    async with luma:
        first = asyncio.create_task(luma.wait_until_done(task_id, timeout=60))
        second = asyncio.create_task(luma.wait_until_done(task_id))
        await asyncio.sleep(1)
        second.cancel()
        await asyncio.wait([first, second])

    assert [event.waiting for event in told if isinstance(event, WaitStarted)] == [1, 2]
    given_up, over = (event for event in told if isinstance(event, WaitEnded))
    assert (given_up.outcome, given_up.waiting, over.waiting) == (None, 1, 0)
    assert over.outcome is not None
    assert isinstance(over.outcome.error, WaitTimeoutError)
    assert isinstance(first.exception(), WaitTimeoutError)


async def test_a_single_call_reports_each_try_that_is_repeated(
    luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event]
) -> None:
    """A poll, a submit and a list, each with its error and the pause; the last try is the caller's error."""
    luma_relay.trouble(Fault.http(503, {"error": {"message": "no channel"}}), times=None)

    async with luma:
        for call in (luma.get_generation("a"), luma.submit("a cat"), luma.clean_video_url("a")):
            with pytest.raises(ServerError):
                await call

    assert [(type(event), type(getattr(event, "error", None))) for event in told] == [(TryFailed, ServerError)] * 6
    assert all(isinstance(event, TryFailed) and event.seconds > 1 for event in told)


async def test_a_cool_down_is_told_with_its_cause_and_its_length(
    luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event]
) -> None:
    """A relay that complains twice prolongs the pause; it ends with the first good answer."""
    task_id = luma_relay.add(script=Script.completes(pending=0, processing=30))
    luma_relay.trouble(Fault.rate_limited(retry_after=5), times=2)

    async with luma:
        await luma.wait_until_done(task_id)

    *began, ended = (event for event in told if isinstance(event, CooldownStarted | CooldownEnded))
    assert [(type(event), event.seconds) for event in began] == [(CooldownStarted, 5.0)] * 2
    assert all(isinstance(event.error, RateLimitError) for event in began if isinstance(event, CooldownStarted))
    assert isinstance(ended, CooldownEnded)
    assert ended.seconds >= 10


async def test_a_download_is_told_to_its_last_byte(
    luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event], tmp_path: Path
) -> None:
    """Then comes where it is."""
    task_id = luma_relay.add(script=Script.of("completed"))

    async with luma:
        path = await luma.download(await luma.get_generation(task_id), tmp_path, role="thumbnail")

    *progress, ended = told
    assert all(isinstance(event, DownloadProgress) and event.role == "thumbnail" for event in progress)
    assert isinstance(progress[-1], DownloadProgress)
    assert (progress[-1].stored, progress[-1].total) == (path.stat().st_size,) * 2
    assert isinstance(ended, DownloadEnded)
    assert (ended.task_id, ended.role, ended.path, ended.error) == (task_id, "thumbnail", path, None)


async def test_a_download_that_fails_is_told_with_its_error(
    luma: LumaClient, luma_relay: SimulatedRelay, told: list[Event], tmp_path: Path
) -> None:
    """It is the error that is raised."""
    task_id = luma_relay.add(script=Script.of("processing"))

    async with luma:
        with pytest.raises(DownloadError) as caught:
            await luma.download(await luma.get_generation(task_id), tmp_path)

    (ended,) = told
    assert isinstance(ended, DownloadEnded)
    assert (ended.path, ended.error) == (None, caught.value)


# --- who listens ---


async def test_a_listener_that_raises_harms_nobody(
    luma_relay: SimulatedRelay, luma_time: FastTime, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises is in the log once for each event, and the wait ends well."""

    def complain(event: Event) -> None:
        raise RuntimeError(f"I cannot stand {type(event).__name__}")

    task_id = luma_relay.add(script=Script.of("completed"))
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, on_event=complain) as luma:
        generation = await luma.wait_until_done(task_id)

    assert generation.state is State.COMPLETED
    assert [record.message for record in caplog.records] == [
        f"a listener raised an exception for {name}" for name in ("WaitStarted", "StateChanged", "WaitEnded")
    ]
    assert "I cannot stand WaitStarted" in caplog.text


async def _listen(event: Event) -> None:
    raise AssertionError


@pytest.mark.parametrize("listener", [_listen, "print"], ids=["a coroutine function", "no function"])
def test_what_cannot_be_called_is_refused(listener: object) -> None:
    """A coroutine that nobody awaits would be silence; the error tells of the async iterator."""
    with pytest.raises(ConfigurationError, match=r"client\.events\(\)"):
        LumaClient("https://relay.example", "sk-test-0123456789", on_event=listener)  # type: ignore[arg-type]


async def test_the_stream_gives_each_event_to_each_who_listens(luma: LumaClient, luma_relay: SimulatedRelay) -> None:
    """It ends when the client is closed, once all that was told has been taken; who comes later has missed it."""
    task_id = luma_relay.add(script=Script.of("completed"))

    async with luma, luma.events() as early, luma.events() as other:
        await luma.wait_until_done(task_id)
        async with luma.events() as late:
            await luma.aclose()
            kinds = [[type(event) async for event in stream] for stream in (early, other, late)]

    assert kinds == [[WaitStarted, StateChanged, WaitEnded]] * 2 + [[]]


async def test_a_close_that_is_cancelled_ends_the_stream_too(luma: LumaClient, luma_relay: SimulatedRelay) -> None:
    """Nobody is left listening to a client that tells nothing any more; how the wait ended is the last of it."""
    async with asyncio.timeout(60), luma.events() as events:
        wait = asyncio.create_task(luma.wait_until_done(luma_relay.add()))
        await asyncio.sleep(1)
        closing = asyncio.create_task(luma.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        *_, last = [event async for event in events]

    assert isinstance(last, WaitEnded)
    assert isinstance(wait.exception(), ClientClosedError)
    assert closing.cancelled()
    await luma.aclose()


async def test_leaving_the_block_ends_the_listening(luma: LumaClient, luma_relay: SimulatedRelay) -> None:
    """What comes afterwards is kept for nobody, and a stream that was left does not begin again."""
    task_id = luma_relay.add(script=Script.of("completed"))

    async with luma:
        async with luma.events() as events:
            pass
        await luma.wait_until_done(task_id)
        heard = [event async for event in events]

    assert heard == []
    assert len(luma._listeners.active) == 1


async def test_a_slow_taker_misses_the_oldest(luma: LumaClient) -> None:
    """Ten thousand events wait for him; more would be a leak."""
    async with luma, luma.events() as events:
        for number in range(10_001):
            luma._listeners.tell(CooldownEnded(seconds=number))
        first = await anext(events)

    assert isinstance(first, CooldownEnded)
    assert first.seconds == 1


async def test_without_a_listener_no_event_is_made(
    luma_relay: SimulatedRelay,
    luma_client: LumaClient,
    luma_time: FastTime,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Waits, trouble, cool-downs and downloads cost nothing for events that nobody wants."""
    made: list[Event] = []
    monkeypatch.setattr(Listeners, "tell", lambda _, event: made.append(event))
    task_id = luma_relay.add()
    luma_relay.trouble(Fault.rate_limited())
    luma_relay.trouble(Fault.bad_gateway())

    await luma_client.download(await luma_client.wait_until_done(task_id), tmp_path)

    assert made == []
    assert luma_client._transport.note is None


# --- the log ---


async def _run_a_task(relay: SimulatedRelay, directory: Path) -> str:
    """Wait through trouble of both kinds, download, give up another wait; return the id."""
    task_id = relay.add(script=Script.completes(pending=10, processing=10))
    relay.trouble(Fault.rate_limited())
    relay.trouble(Fault.bad_gateway())
    async with LumaClient(relay.base_url, relay.api_key, limits=PRIVATE) as luma:
        await luma.download(await luma.wait_until_done(task_id), directory)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(luma.wait_until_done(relay.add()), 1)
        with pytest.raises(WaitTimeoutError):
            await luma.wait_until_done(relay.add(), timeout=1)
        with pytest.raises(DownloadError):
            await luma.download(await luma.get_generation(task_id), directory)
    return task_id


async def test_debug_shows_looks_and_events_without_key_or_link(
    luma_relay: SimulatedRelay, luma_time: FastTime, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Each answer has its line, each event has its own, and neither a key nor a link is in any."""
    caplog.set_level(logging.DEBUG, "luma_async")

    task_id = await _run_a_task(luma_relay, tmp_path)

    assert f"GET /luma/generations/{task_id}: 429, 0 bytes (request " in caplog.text
    assert f"task {task_id}: 1 waiting" in caplog.text
    assert f"task {task_id}: pending -> processing (request " in caplog.text
    assert f"failed poll 1: task {task_id}: " in caplog.text
    assert "all ids pause for " in caplog.text
    assert "all ids go on after " in caplog.text
    assert f"task {task_id}: done after " in caplog.text
    assert ": wait cancelled" in caplog.text
    assert f"{task_id}.video.mp4" in caplog.text
    assert " bytes" in caplog.text
    assert luma_relay.api_key not in caplog.text
    assert "/media/" not in caplog.text


async def test_the_log_is_quiet_unless_it_is_asked(
    luma_relay: SimulatedRelay, luma_time: FastTime, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """At INFO nothing is said about a task with the usual trouble."""
    caplog.set_level(logging.INFO, "luma_async")

    await _run_a_task(luma_relay, tmp_path)

    assert caplog.records == []
