"""LumaClient: one coroutine for each thing a user wants."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args
from weakref import WeakSet

from attrs import evolve

from luma_async._calls import clean_url, poll_once, submit
from luma_async._checks import brief, check_number
from luma_async._ids import check_task_id, identity_of
from luma_async._listeners import Listeners, log_is_curious
from luma_async._media.download import Downloader
from luma_async._network.cooldown import Cooldown
from luma_async._network.session import Network
from luma_async._network.transport import Transport, log_answer
from luma_async._relay.requests import SUBMIT_PATH, extend_path
from luma_async._streams import EventStream, Outcomes, Snapshots, listed
from luma_async._waiting.batch_support import Batch
from luma_async._waiting.batching import Batcher
from luma_async._waiting.learning import Learner
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.polls import PollLoops
from luma_async.errors import ClientClosedError, ConfigurationError, GenerationFailedError, LumaError
from luma_async.events import Event
from luma_async.models import Generation, Role
from luma_async.options import GenerationOptions, extension_fields, submit_fields
from luma_async.outcomes import GenerateResult, Outcome
from luma_async.settings import Limits, PollPolicy, Settings, check_proxy, check_ssl_context, hidden
from luma_async.statistics import Statistics

if TYPE_CHECKING:
    import aiohttp

_AS_THE_RELAY_LIKES = GenerationOptions()
_DEFAULT_TIMEOUT = 1800.0
"""Seconds: people's own scripts wait 5 to 60 minutes (contract section 5)."""


class LumaClient:
    """Waits for generations at one relay with one key.

    Use it as ``async with LumaClient() as luma``, or call ``aclose`` when done. It belongs to the event loop it is
    first used in. Every call can raise ClientClosedError; ConfigurationError before anything is sent;
    AuthenticationError, PermissionDeniedError and the other APIErrors where the relay says no; TransportError and
    ProtocolError where no usable answer comes for too long.

    Args:
        base_url: The relay's address, which may carry a path; None: ``LUMA_BASE_URL``.
        api_key: The key; None: ``LUMA_API_KEY``, or the file that ``LUMA_API_KEY_FILE`` names.
        polling: When to ask again, and when to give up on a relay in trouble.
        limits: What the client may take and use.
        batch: Whether ids that are due together share one request: ``"auto"``, where the relay can do that;
            ``"never"``; ``"always"``, a relay that cannot is an error.
        connector: An aiohttp connector to share with other sessions; it is never closed here.
        proxy: URL of an HTTP proxy; the environment's proxies are not heeded.
        ssl_context: For a private certificate authority; it must verify certificates and host names.
        on_event: Called in the event loop with each Event as it happens, in order, and not awaited: it must be quick.
            What it raises is logged and harms no wait; only KeyboardInterrupt and SystemExit end the program.
            ``events`` is the same as an async iterator.

    Raises:
        ConfigurationError: An argument, or the environment in its place, is missing or cannot work.
    """

    def __init__(  # noqa: PLR0913 - the public signature
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        polling: PollPolicy = PollPolicy(),  # noqa: B008 - a frozen value
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        batch: Batch = "auto",
        connector: aiohttp.BaseConnector | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        api_key, proxy = hidden(api_key), hidden(proxy)
        _check_options(polling, batch)
        settings = Settings.load(base_url, api_key, limits)
        network = Network(connector=connector, proxy=check_proxy(proxy), ssl_context=check_ssl_context(ssl_context))
        listeners = Listeners.to(on_event)
        self._settings = settings
        self._listeners = listeners
        self._event_streams: WeakSet[EventStream] = WeakSet()
        self._transport = Transport(
            settings, network, Cooldown(polling), listeners, note=log_answer if log_is_curious() else None
        )
        batcher = self._batcher = Batcher(self._transport, batch)
        self._polling = polling
        learner = Learner(polling.shortest_interval)
        strategy = PollWait(polling, lambda: batcher.chance, learner, lambda: batcher.polls_per_request)
        self._loops = PollLoops(batcher, polling, strategy, self._transport.health, learner, listeners)
        self._downloader = Downloader(network, settings.limits, self._renewed, listeners=listeners)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        if not hasattr(self, "_closed"):  # tracebacks with local variables show a client that could not be made, too
            return "<LumaClient unmade>"
        return f"<LumaClient {self._settings.base_url}{' closed' if self._closed else ''}>"

    async def __aenter__(self) -> Self:
        self._enter_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client: waits still running get ClientClosedError. The generations go on at the relay.

        Closing twice is closing. Cancelling does not keep connections open.
        """
        self._check_loop()
        self._closed = True
        async with AsyncExitStack() as closing:  # from the last to the first, whatever comes of each
            for stream in self._event_streams:
                closing.push_async_callback(stream.aclose)
            closing.push_async_callback(self._downloader.aclose)
            closing.push_async_callback(self._transport.aclose)
            closing.push_async_callback(self._loops.aclose)

    @property
    def statistics(self) -> Statistics:
        """What was seen so far: looks, requests, and how long states last. It may be read at any time."""
        return evolve(self._loops.statistics(), requests=self._transport.requests)

    async def get_generation(self, task_id: str) -> Generation:
        """Look once; any state is an answer, ``failed`` too.

        Passing trouble is retried: at most 3 tries, within ``Limits.request_timeout`` seconds in all.

        Args:
            task_id: As the submit call returned it.

        Raises:
            NotFoundError: The relay does not know the task.
            LumaError: What the class says.
        """
        self._enter_loop()
        return (await self._poll(check_task_id(task_id))).unwrap()

    async def get_generations(self, task_ids: Iterable[str]) -> list[Outcome]:
        """Look once at each, concurrently.

        Args:
            task_ids: A bad one becomes an outcome with a ConfigurationError, and the others go on.

        Returns:
            Outcomes in the order asked; an id that was asked for twice is looked at once and stands at each place.
        """
        self._enter_loop()
        asked = listed(task_ids)
        async with asyncio.TaskGroup() as group:
            polls = {identity_of(i): group.create_task(self._poll_any(i)) for i in _once(asked)}
        return [polls[identity_of(task_id)].result() for task_id in asked]

    async def wait_until_done(
        self,
        task_id: str,
        *,
        timeout: float | None = _DEFAULT_TIMEOUT,  # noqa: ASYNC109 - promised as an argument, kept per id
        raise_on_failure: bool = True,
    ) -> Generation:
        """Poll until the task has completed or failed.

        Those who wait for the same id share one poll loop. Cancelling stops this waiting at once, never the
        generation, and leaves the others alone.

        Args:
            task_id: As the submit call returned it.
            timeout: Seconds from now on; None waits for ever.
            raise_on_failure: Whether ``failed`` is raised; else it is returned like ``completed``.

        Returns:
            The generation, ``completed`` (or ``failed`` with *raise_on_failure* false).

        Raises:
            GenerationFailedError: It failed; the error carries the generation.
            WaitTimeoutError: The time is over; the work at the relay goes on, so wait again with the same id.
            LumaError: What the class says.
        """
        self._enter_loop()
        outcome = await self._loops.wait(check_task_id(task_id), _checked_timeout(timeout))
        if isinstance(outcome.error, GenerationFailedError) and not raise_on_failure:
            return outcome.error.generation
        return outcome.unwrap()

    async def wait_all(
        self,
        task_ids: Iterable[str],
        *,
        timeout: float | None = _DEFAULT_TIMEOUT,  # noqa: ASYNC109 - see wait_until_done
    ) -> list[Outcome]:
        """Wait for many; never raises for one bad id. Cancelling stops all of them.

        Args:
            task_ids: A bad one becomes an outcome with a ConfigurationError, and the others go on.
            timeout: Seconds for each; None waits for ever.

        Returns:
            Outcomes in the order asked; an id that was asked for twice is polled once and stands at each place.
        """
        asked = listed(task_ids)
        async with self.as_completed(asked, timeout=timeout) as outcomes:
            by_id = {identity_of(outcome.task_id): outcome async for outcome in outcomes}
        return [by_id[identity_of(task_id)] for task_id in asked]

    def as_completed(
        self,
        task_ids: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = _DEFAULT_TIMEOUT,
        max_in_flight: int | None = None,
    ) -> Outcomes:
        """Wait for many and hand each out as it ends; never raises for one bad id.

        Use it as ``async with luma.as_completed(ids) as outcomes: async for outcome in outcomes``; leaving the block
        stops the waiting for the rest. If *task_ids* itself raises, that comes out after the outcomes of all ids it
        gave before; what is no Exception, such as the CancelledError of a task that it awaits, comes as the cause of a
        LumaError, since nobody has cancelled the caller.

        Args:
            task_ids: Ids, or an async iterable of ids (a queue, a pipeline), pulled only as fast as outcomes are taken.
            timeout: Seconds for each id, from when it is taken up; None waits for ever.
            max_in_flight: Ids taken up and not yet handed out, at most. None: all of a collection; 1,000 of an
                iterator or async iterable, which may be endless.

        Returns:
            Outcomes in the order in which they come about; one for an id that is asked for twice.
        """
        self._enter_loop()
        check_number(max_in_flight, "max_in_flight", above=0, optional=True, whole=True)
        return Outcomes.of(self._loops, task_ids, _checked_timeout(timeout), max_in_flight)

    def watch(self, task_id: str, *, timeout: float | None = _DEFAULT_TIMEOUT) -> Snapshots:
        """Follow one task: a snapshot for each observed change of state, ``failed`` included; ends after the last one.

        Use it as ``async with luma.watch(task_id) as snapshots: async for snapshot in snapshots``.

        Args:
            task_id: As the submit call returned it.
            timeout: Seconds from the beginning of the iteration; None follows for ever.

        Returns:
            Snapshots; the iteration raises WaitTimeoutError at the deadline, and LumaError where the wait has failed.
        """
        self._enter_loop()
        return Snapshots(partial(self._loops.join, check_task_id(task_id), _checked_timeout(timeout)))

    def events(self) -> EventStream:
        """Listen to what happens in this client: waits, changes of state, failed looks, cool-downs, downloads.

        Use it as ``async with luma.events() as events: async for event in events``: it listens from when the block is
        entered and ends when the client is closed. Each one who listens gets every event; up to 10,000 wait to be
        taken, then the oldest are lost.

        Returns:
            Events in the order in which they happen.
        """
        self._enter_loop()
        stream = EventStream(self._listeners)
        self._event_streams.add(stream)
        return stream

    async def download(
        self,
        generation: Generation,
        directory: str | os.PathLike[str],
        *,
        role: Role = "video",
        overwrite: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Store one medium of a finished generation as ``<task id>.<role>.<ending>``.

        The file appears whole or not at all, and is checked by its length and its first bytes. What breaks off is gone
        on with where the server proves that it has the same file still; after ``kill -9`` too, on Linux. An expired
        link is renewed by asking for the task again. At most 8 are fetched at once. Cancelling leaves no file behind.

        Args:
            generation: One that has completed.
            directory: Made if it does not exist.
            role: ``"video"``, ``"thumbnail"`` or ``"last_frame"``.
            overwrite: Whether a file of that name is replaced; else it is an error.
            on_progress: A plain function, called with the bytes stored so far and the bytes in all, 0 where the server
                does not tell; the first number falls when a file is begun again. What it raises ends the download, and
                comes out.

        Returns:
            Where it is.

        Raises:
            DownloadError: It could not be stored; ``.reason`` says why in one word.
            ConfigurationError: An argument cannot work.
        """
        self._enter_loop()
        return await self._downloader.download(
            generation, directory, role=role, overwrite=overwrite, on_progress=on_progress
        )

    async def submit(self, prompt: str, options: GenerationOptions = _AS_THE_RELAY_LIKES) -> str:
        """Ask for a new generation, which costs money, and return its task id for ``wait_until_done`` and the others.

        A relay that has certainly refused it for now (429, 503 with a body, no connection) is asked up to three times,
        within ``Limits.request_timeout`` seconds; one that may have taken it is not asked again. Cancelling, too,
        leaves it open whether the relay takes it: where that matters, shield the call and take the id later.

        Args:
            prompt: What the video is to show.
            options: What else it is to be like.

        Raises:
            UncertainSubmitError: It is unknown whether the relay took it: look at the relay's log.
            QuotaExceededError: The account is out of credit; nothing was taken, as with every APIError.
            LumaError: What the class says.
        """
        self._enter_loop()
        return await self._submit(SUBMIT_PATH, submit_fields(prompt, options))

    async def extend(self, task_id: str, prompt: str, options: GenerationOptions = _AS_THE_RELAY_LIKES) -> str:
        """Ask for a completed generation to be continued, which costs money, and return the new task's id.

        All that ``submit`` says holds here.

        Args:
            task_id: The generation to continue.
            prompt: What happens next.
            options: ``expand_prompt``, ``image_url``, ``image_end_url`` and ``notify_hook`` only.

        Raises:
            UncertainSubmitError: It is unknown whether the relay took it; ``.task_id`` is the one to continue.
            LumaError: What the class says.
        """
        self._enter_loop()
        path = extend_path(check_task_id(task_id))
        order = extension_fields(prompt, options)
        try:
            return await self._submit(path, order)
        except LumaError as error:
            raise error.for_task(task_id) from None

    async def clean_video_url(self, task_id: str) -> str:
        """Ask for the link to the video without a watermark, which only some relays have to be asked for.

        ``Generation.video_url`` has it already where ``video.download_url`` or ``video_raw`` is there. The link can be
        good for an hour only. Passing trouble is retried: at most 3 tries.

        Raises:
            NotFoundError: The relay does not know the task, or has no such link for any.
            LumaError: What the class says.
        """
        self._enter_loop()
        return await clean_url(self._transport, self._polling, check_task_id(task_id))

    async def generate(
        self,
        prompt: str,
        options: GenerationOptions = _AS_THE_RELAY_LIKES,
        *,
        download_to: str | os.PathLike[str] | None = None,
        timeout: float | None = _DEFAULT_TIMEOUT,  # noqa: ASYNC109 - see wait_until_done
        on_submitted: Callable[[str], None] | None = None,
    ) -> GenerateResult:
        """Submit, wait, and store the video: the whole life of a generation.

        Every error after the submit names the task (``.task_id``), so that nothing paid for is lost. A cancellation
        cannot name it, but *on_submitted* has been told by then.

        Args:
            prompt: What the video is to show.
            options: What else.
            download_to: The directory for the video; None stores nothing.
            timeout: Seconds to wait after the submit; None waits for ever.
            on_submitted: A plain function, called with the task id as soon as there is one. What it raises comes out,
                with a note of the id; the generation goes on at the relay.

        Raises:
            UncertainSubmitError: It is unknown whether the relay took it.
            DownloadError: The video could not be stored; without a ``task_id``, nothing was submitted.
            LumaError: What ``wait_until_done`` says.
        """
        self._enter_loop()
        _check_callback(on_submitted)
        seconds, order = _checked_timeout(timeout), submit_fields(prompt, options)
        directory = None if download_to is None else await self._downloader.ready(download_to)
        task_id = await self._submit(SUBMIT_PATH, order)
        if on_submitted is not None:
            try:
                on_submitted(task_id)
            except BaseException as raised:
                raised.add_note(f"The relay has taken the generation: task {task_id}")
                raise
        return await self._made(task_id, seconds, directory)

    async def _made(self, task_id: str, seconds: float | None, directory: Path | None) -> GenerateResult:
        try:
            generation = await self.wait_until_done(task_id, timeout=seconds)
            path = None if directory is None else await self.download(generation, directory)
        except LumaError as error:
            raise error.for_task(task_id) from error.__cause__
        return GenerateResult(generation=generation, path=path)

    async def _submit(self, path: str, order: Mapping[str, Any]) -> str:
        return await submit(self._transport, self._polling, path, order)

    async def _renewed(self, task_id: str) -> Generation:
        return (await self._poll(task_id)).unwrap()

    async def _poll(self, task_id: str) -> Outcome:
        return await poll_once(self._batcher, self._polling, task_id)

    async def _poll_any(self, task_id: Any) -> Outcome:
        try:
            return evolve(await self._poll(check_task_id(task_id)), task_id=task_id)
        except ConfigurationError as error:
            return Outcome(task_id=task_id, error=error)

    def _enter_loop(self) -> None:
        """Bind the client to the running event loop.

        Raises:
            ClientClosedError: It is closed, or belongs to another loop.
        """
        self._check_loop()
        self._loop = self._loop or _running_loop()
        if self._closed:
            raise ClientClosedError("the client is closed", advice="make a new LumaClient")

    def _check_loop(self) -> None:
        if self._loop is not None and self._loop is not _running_loop():
            raise ClientClosedError(
                "the client belongs to another event loop", advice="make one LumaClient in each event loop"
            )


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "no event loop is running", advice="call it in a coroutine, and start that with asyncio.run(...)"
        ) from None


def _check_options(polling: object, batch: object) -> None:
    if not isinstance(polling, PollPolicy):
        raise ConfigurationError(
            "polling is not a PollPolicy value", advice="give polling as luma_async.PollPolicy(...)"
        )
    if batch not in get_args(Batch):
        raise ConfigurationError(f"batch={brief(batch)} is not known", advice='give "auto", "never" or "always"')


def _check_callback(on_submitted: object) -> None:
    if on_submitted is not None and (not callable(on_submitted) or inspect.iscoroutinefunction(on_submitted)):
        raise ConfigurationError(
            f"on_submitted={brief(on_submitted)} cannot be called", advice="give a plain function of an id"
        )


def _checked_timeout(timeout: float | None) -> float | None:
    check_number(timeout, "timeout", above=0, optional=True)
    return timeout


def _once(asked: list[str]) -> list[str]:
    return list({identity_of(task_id): task_id for task_id in asked}.values())
