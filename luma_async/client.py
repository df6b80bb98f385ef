"""The public client: one method for each task of a user."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args
from weakref import WeakSet

from attrs import evolve

from luma_async._calls import clean_url, poll_once, recent, submit
from luma_async._checks import brief, check_number
from luma_async._ids import check_task_id, identity_of
from luma_async._listeners import Listeners, log_is_curious
from luma_async._media.download import Downloader
from luma_async._network.cooldown import Cooldown
from luma_async._network.session import Network
from luma_async._network.transport import Transport, log_answer
from luma_async._streams import EventStream, Outcomes, Snapshots, listed
from luma_async._waiting.batching import Batcher
from luma_async._waiting.learning import Learner
from luma_async._waiting.pacing import PollWait
from luma_async._waiting.polls import PollLoops
from luma_async.dialect import Dialect
from luma_async.errors import ClientClosedError, ConfigurationError, GenerationFailedError, LumaError
from luma_async.events import Event
from luma_async.models import Generation, Role
from luma_async.options import GenerationOptions, SubmitRecord, extension_fields, submit_fields
from luma_async.outcomes import GenerateResult, Outcome
from luma_async.settings import (
    Batch,
    Limits,
    PollPolicy,
    Settings,
    check_callback_url,
    check_proxy,
    check_ssl_context,
    hidden,
)
from luma_async.statistics import Statistics

if TYPE_CHECKING:
    import aiohttp

_AS_THE_RELAY_LIKES = GenerationOptions()
_MOST_RECENT = 10_000
_DEFAULT_TIMEOUT = 1800.0
"""Seconds: existing scripts wait for 5 to 60 minutes (contract section 5)."""


class LumaClient:
    """Waits for generations at one relay with one key.

    Use it as ``async with LumaClient() as luma``, or call ``aclose`` at the end. It belongs to the event loop of its
    first use. Every call can raise ClientClosedError; ConfigurationError before anything is sent; AuthenticationError,
    PermissionDeniedError and the other APIErrors if the relay refuses; TransportError and ProtocolError if no usable
    answer comes for too long.

    Args:
        base_url: The relay's address, with or without a path; None: ``LUMA_BASE_URL``.
        api_key: The key; None: ``LUMA_API_KEY``, or the file that ``LUMA_API_KEY_FILE`` names.
        polling: When to poll, and when to give up on a relay in trouble.
        limits: The limits of the client.
        batch: Whether ids that are due together share one request: ``"auto"``, if the relay has the batch query;
            ``"never"``; or ``"always"``, which is an error at a relay without it.
        dialect: How the API spells its paths, states and fields: a Dialect, the name of one that comes with this
            library (``"relay"``, ``"luma"``, ``"luma-agents"``), or the path of a TOML file; None: ``LUMA_DIALECT``, or
            ``"relay"``.
        connector: An aiohttp connector to share with other sessions; the client never closes it. It carries media
            too, which take at most half of its limit.
        proxy: URL of an HTTP proxy, for polls and media.
        ssl_context: For a private certificate authority; it must verify certificates and host names.
        trust_env: Whether requests without *proxy* go through the proxies that ``HTTPS_PROXY``, ``HTTP_PROXY``,
            ``ALL_PROXY`` and ``NO_PROXY`` name. Nothing else of the environment is used: no netrc.
        headers: Further headers of each request to the relay. The key's header, ``Authorization``,
            ``Proxy-Authorization``, ``Cookie``, ``Host``, ``Connection``, ``Transfer-Encoding`` and ``Content-*`` are
            refused.
        media_headers: The same for each request for media, to any server; ``User-Agent`` is the usual one. Also refused
            are ``Accept-Encoding``, ``Range`` and ``If-Range``.
        gate: Awaited before each request to the relay, where ``Limits.requests_per_second`` waits: a limiter that
            several processes share, for example. An exception in it is a failed poll, and passes. What it takes is part
            of no request's timeout.
        callback_url: The ``notify_hook`` of each submit that has none: where the relay posts that a generation has
            changed. It is not in any repr or log, since its path may be a secret; see ``notify``.
        on_event: Called in the event loop with each Event as it happens, in order, and not awaited: it must be quick.
            An exception in it is logged and affects no wait; only KeyboardInterrupt and SystemExit end the program.
            ``events`` is the same as an async iterator.

    Raises:
        ConfigurationError: An argument, or its environment variable, is missing or unusable.
    """

    def __init__(  # noqa: PLR0913 - the public signature
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        polling: PollPolicy = PollPolicy(),  # noqa: B008 - a frozen value
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        batch: Batch = "auto",
        dialect: Dialect | str | None = None,
        connector: aiohttp.BaseConnector | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = False,
        headers: Mapping[str, str] | None = None,
        media_headers: Mapping[str, str] | None = None,
        gate: Callable[[], Awaitable[object]] | None = None,
        callback_url: str | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        key, proxy_url, further, of_media = hidden(api_key), hidden(proxy), hidden(headers), hidden(media_headers)
        hook = hidden(callback_url)
        api_key = proxy = headers = media_headers = callback_url = None  # tracebacks show local variables
        _check_options(polling, batch, gate)
        settings = Settings.load(
            base_url, key, limits, dialect=dialect, headers=further, media_headers=of_media, trust_env=trust_env
        )
        network = Network(connector=connector, proxy=check_proxy(proxy_url), ssl_context=check_ssl_context(ssl_context))
        listeners = Listeners.to(on_event)
        self._settings, self._listeners = settings, listeners
        self._event_streams: WeakSet[EventStream] = WeakSet()
        note = log_answer if log_is_curious() else None
        self._transport = Transport(settings, network, Cooldown(polling), listeners, note=note, gate=gate)
        batcher = self._batcher = Batcher(self._transport, _possible(batch, settings.dialect))
        self._polling, self._callback_url = polling, check_callback_url(hook)
        self._loops = _loops(batcher, polling, listeners)
        self._downloader = Downloader(network, settings.limits, self._renewed, listeners=listeners, relay=settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        if not hasattr(self, "_closed"):  # a traceback with local variables shows a client whose __init__ failed
            return "<LumaClient unmade>"
        return f"<LumaClient {self._settings.base_url}{' closed' if self._closed else ''}>"

    async def __aenter__(self) -> Self:
        self._enter_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client: running waits raise ClientClosedError. The generations go on at the relay.

        A second call does nothing. If this call is cancelled, the connections are closed all the same.
        """
        self._check_loop()
        self._closed = True
        async with AsyncExitStack() as closing:  # runs all of them, the last one first, even if one raises
            for stream in self._event_streams:
                closing.push_async_callback(stream.aclose)
            closing.push_async_callback(self._downloader.aclose)
            closing.push_async_callback(self._transport.aclose)
            closing.push_async_callback(self._loops.aclose)

    @property
    def statistics(self) -> Statistics:
        """The statistics so far: polls, requests, and how long states last. They can be read at any time."""
        return evolve(self._loops.statistics(), requests=self._transport.requests)

    @property
    def relay_address(self) -> str:
        """Host and port of the relay, and the proxy in between, as errors name them: no path, no user, no password."""
        return self._transport.place

    async def get_generation(self, task_id: str) -> Generation:
        """Poll once and return the generation in any state, also ``failed``.

        Passing errors are retried: at most 3 tries, within ``Limits.request_timeout`` seconds in all.

        Args:
            task_id: The task id from the submit call.

        Raises:
            NotFoundError: The relay does not know the task.
            LumaError: See the class.
        """
        self._enter_loop()
        return (await self._poll(check_task_id(task_id))).unwrap()

    async def get_generations(self, task_ids: Iterable[str]) -> list[Outcome]:
        """Poll each id once, concurrently.

        Args:
            task_ids: An invalid id gets an outcome with a ConfigurationError, and does not affect the others.

        Returns:
            Outcomes in the order of *task_ids*; a repeated id is polled once, and its outcome is at each place.
        """
        self._enter_loop()
        asked = listed(task_ids)
        async with asyncio.TaskGroup() as group:
            polls = {identity_of(i): group.create_task(_for_any(i, self._poll)) for i in _once(asked)}
        return [polls[identity_of(task_id)].result() for task_id in asked]

    async def wait_until_done(
        self,
        task_id: str,
        *,
        timeout: float | None = _DEFAULT_TIMEOUT,  # noqa: ASYNC109 - promised as an argument, kept per id
        raise_on_failure: bool = True,
        on_update: Callable[[Generation], object] | None = None,
    ) -> Generation:
        """Poll until the task has completed or failed.

        All waiters of an id share one poll loop. Cancelling stops this wait immediately. It stops neither the
        generation nor the other waiters.

        Args:
            task_id: The task id from the submit call.
            timeout: Seconds from now on; None waits forever.
            raise_on_failure: Whether ``failed`` raises an error; otherwise it is returned like ``completed``.
            on_update: A plain function, called with the generation at each observed change of its state, progress or
                place in the queue, the end included. An exception in it is logged and affects no wait; only
                KeyboardInterrupt and SystemExit end the program.

        Returns:
            The generation, ``completed`` (or ``failed`` with *raise_on_failure* false).

        Raises:
            GenerationFailedError: The generation failed; the error has it as ``.generation``.
            WaitTimeoutError: The timeout has passed; the generation goes on at the relay: wait again for the same id.
            LumaError: See the class.
        """
        self._enter_loop()
        _check_callback(on_update, "on_update", "a generation")
        outcome = await self._loops.wait(check_task_id(task_id), _checked_timeout(timeout), on_update)
        if isinstance(outcome.error, GenerationFailedError) and not raise_on_failure:
            return outcome.error.generation
        return outcome.unwrap()

    async def outcome(
        self,
        task_id: str,
        *,
        timeout: float | None = _DEFAULT_TIMEOUT,  # noqa: ASYNC109 - see wait_until_done
    ) -> Outcome:
        """Wait as ``wait_until_done`` does; the error of the id is in the outcome, and is not raised.

        Cancelling stops this wait immediately, and neither the generation nor the other waiters.

        Args:
            task_id: An invalid id gets an outcome with a ConfigurationError.
            timeout: Seconds from now on; None waits forever.

        Raises:
            ConfigurationError: *timeout* is unusable.
            ClientClosedError: The client was closed before; closing it later is the error of the outcome.
        """
        self._enter_loop()
        seconds = _checked_timeout(timeout)
        return await _for_any(task_id, lambda checked: self._loops.wait(checked, seconds))

    async def wait_all(
        self,
        task_ids: Iterable[str],
        *,
        timeout: float | None = _DEFAULT_TIMEOUT,  # noqa: ASYNC109 - see wait_until_done
    ) -> list[Outcome]:
        """Wait for many ids; the error of one id is in its outcome, and is not raised. Cancelling stops all waits.

        Args:
            task_ids: An invalid id gets an outcome with a ConfigurationError, and does not affect the others.
            timeout: Seconds for each id; None waits forever.

        Returns:
            Outcomes in the order of *task_ids*; a repeated id has one wait, and its outcome is at each place.
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
        """Wait for many ids, and yield each outcome when its wait ends; the error of one id is in its outcome.

        Use it as ``async with luma.as_completed(ids) as outcomes: async for outcome in outcomes``. The end of the block
        stops the waits that are left. If *task_ids* raises an exception, the iteration raises it after the outcomes of
        all ids before it. Something that is not an Exception, such as the CancelledError of a task that *task_ids*
        awaits, becomes the cause of a LumaError: the caller itself was not cancelled.

        Args:
            task_ids: Ids, or an async iterable of ids (a queue, a pipeline), read only as fast as outcomes are taken.
            timeout: Seconds for each id, from the start of its wait; None waits forever.
            max_in_flight: Most ids that are read, but whose outcomes are not taken yet. None: all of a collection;
                1,000 of an iterator or async iterable, which may be endless.

        Returns:
            Outcomes in the order in which the waits end; one for a repeated id.
        """
        self._enter_loop()
        check_number(max_in_flight, "max_in_flight", above=0, optional=True, whole=True)
        return Outcomes.of(self._loops, task_ids, _checked_timeout(timeout), max_in_flight)

    def watch(self, task_id: str, *, timeout: float | None = _DEFAULT_TIMEOUT) -> Snapshots:
        """Follow one task: a snapshot for each observed change of state, ``failed`` included; ends after the last one.

        Use it as ``async with luma.watch(task_id) as snapshots: async for snapshot in snapshots``.

        Args:
            task_id: The task id from the submit call.
            timeout: Seconds from the start of the iteration; None follows forever.

        Returns:
            Snapshots; the iteration raises WaitTimeoutError at the deadline, and LumaError if the wait fails.
        """
        self._enter_loop()
        return Snapshots(partial(self._loops.join, check_task_id(task_id), _checked_timeout(timeout)))

    def events(self) -> EventStream:
        """Listen to the events of this client: waits, changes of state, failed polls, cooldowns, downloads.

        Use it as ``async with luma.events() as events: async for event in events``. It listens from the start of the
        block until the client closes. Each listener gets every event. Up to 10,000 unread events are kept, then the
        oldest are lost.

        Returns:
            Events in the order in which they happen.
        """
        self._enter_loop()
        stream = EventStream(self._listeners)
        self._event_streams.add(stream)
        return stream

    async def download(  # noqa: PLR0913 - what a user can set, each by its name
        self,
        generation: Generation,
        directory: str | os.PathLike[str],
        *,
        role: Role = "video",
        name: str | None = None,
        overwrite: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Store one medium of a finished generation as ``<task id>.<role>.<ending>``.

        The file appears only when it is complete, and its length and first bytes are checked. A broken download is
        resumed if the server proves that it still has the same file; on Linux also after ``kill -9``. An expired link
        is renewed by a poll of the task. At most ``Limits.max_downloads`` run at once; slow ones beyond half of that
        start again later if others wait. Cancelling leaves no file behind.

        Args:
            generation: A completed generation.
            directory: Created if it does not exist.
            role: ``"video"``, ``"thumbnail"`` or ``"last_frame"``.
            name: A template for another name without its ending, such as ``"{prompt:.40}-{id}"``; fields: ``id``, which
                is needed, ``prompt``, ``state``, ``role``, ``created_at``. Names are safe, and have at most 200 bytes.
            overwrite: Whether to replace a file of the same name; otherwise it is an error.
            on_progress: A plain function, called with the bytes stored so far and the bytes of the whole file, 0 if
                the server does not give them. The first number falls if a download starts again. An exception in it
                ends the download, and is raised.

        Returns:
            The path of the file.

        Raises:
            DownloadError: The medium could not be stored; ``.reason`` is the kind of the error.
            ConfigurationError: An argument is unusable.
        """
        self._enter_loop()
        return await self._downloader.download(
            generation, directory, role=role, name=name, overwrite=overwrite, on_progress=on_progress
        )

    async def submit(
        self, prompt: str, options: GenerationOptions = _AS_THE_RELAY_LIKES, *, record: SubmitRecord | None = None
    ) -> str:
        """Submit a new generation, which costs money, and return its task id for ``wait_until_done`` and other calls.

        After a certain, temporary refusal (429, 503 with a body, no connection) the submit is retried: at most 3 tries,
        within ``Limits.request_timeout`` seconds. It is never retried if the relay may have accepted it. After
        cancelling, too, the relay may have accepted it: if that matters, shield the call and await the id later.

        Args:
            prompt: The content of the video.
            options: Further options of the generation.
            record: Learns of each try, such as to keep on disk what may be paid for.

        Raises:
            UncertainSubmitError: It is not known whether the relay accepted the submit: check the relay's log.
            ProtocolError: ``base_url`` is not a relay: it answers a submit and a free poll with web pages.
            QuotaExceededError: The account is out of credit; as with every APIError, nothing was charged.
            LumaError: See the class.
        """
        self._enter_loop()
        return await self._submit(submit_fields(prompt, options), record=record)

    async def extend(self, task_id: str, prompt: str, options: GenerationOptions = _AS_THE_RELAY_LIKES) -> str:
        """Submit the extension of a completed generation, which costs money, and return the id of the new task.

        Retries and cancelling work as in ``submit``.

        Args:
            task_id: The generation to extend.
            prompt: The content of the extension.
            options: ``expand_prompt``, ``image_url``, ``image_end_url`` and ``notify_hook`` only.

        Raises:
            UncertainSubmitError: It is not known whether the relay accepted it; ``.task_id`` is the extended task.
            LumaError: See the class.
        """
        self._enter_loop()
        extended = check_task_id(task_id)
        order = extension_fields(prompt, options)
        try:
            return await self._submit(order, extended)
        except LumaError as error:
            raise error.for_task(task_id) from None

    def notify(self, task_id: str) -> bool:
        """Poll *task_id* at once, because a callback says that it has changed; return whether anybody waits for it.

        A callback is only a hint: nobody signs it, so what it says is never believed, only looked up. ``min_interval``
        and *slow down* hold: a forged one causes at most one poll in that time. An id that nobody waits for is ignored;
        while a submit is under way, it is kept for 60 seconds, at most 1,000 of them, because a callback can be faster
        than the answer to its submit. Where callbacks have come for most ends of late, polls between them are as rare
        as ``PollPolicy.max_interval`` allows, if the policy is ``adaptive``.

        It never waits. Call it in the thread of the client's event loop; ``luma_async.webhooks.task_ids_in`` reads the
        ids out of the body of a callback.

        Raises:
            ClientClosedError: The client belongs to another event loop.
        """
        self._check_loop()
        try:
            checked = check_task_id(task_id)
        except ConfigurationError:
            return False
        return self._loop is not None and not self._closed and self._loops.notify(checked)

    async def clean_video_url(self, task_id: str) -> str:
        """Return the link to the video without a watermark, which needs its own request at some relays.

        ``Generation.video_url`` is this link already if ``video.download_url`` or ``video_raw`` is there. The link may
        be valid for an hour only. Passing errors are retried: at most 3 tries.

        Raises:
            NotFoundError: The relay does not know the task, or does not have this query.
            LumaError: See the class.
        """
        self._enter_loop()
        return await clean_url(self._transport, self._polling, check_task_id(task_id))

    async def recent(self, limit: int = 20) -> list[Generation]:
        """Return the key's newest generations in any state, the newest first: to find ids that were lost.

        Passing errors are retried: at most 3 tries for each page of 100.

        Args:
            limit: At most this many, 1 to 10,000.

        Raises:
            ConfigurationError: The API does not list tasks (``Dialect.list_path``): of those that come with this
                library only ``luma`` does.
            LumaError: See the class.
        """
        self._enter_loop()
        if type(limit) is not int or not 1 <= limit <= _MOST_RECENT:
            raise ConfigurationError(f"limit={brief(limit)} is not a number of generations", advice="give 1 to 10000")
        return await recent(self._transport, self._polling, limit)

    async def generate(
        self,
        prompt: str,
        options: GenerationOptions = _AS_THE_RELAY_LIKES,
        *,
        download_to: str | os.PathLike[str] | None = None,
        timeout: float | None = _DEFAULT_TIMEOUT,  # noqa: ASYNC109 - see wait_until_done
        on_submitted: Callable[[str], None] | None = None,
    ) -> GenerateResult:
        """Submit, wait, and store the video.

        Every error after the submit has the ``.task_id``, so that no paid generation is lost. A cancellation cannot
        have it, but *on_submitted* got the id before.

        Args:
            prompt: The content of the video.
            options: Further options of the generation.
            download_to: The directory for the video; None stores nothing.
            timeout: Seconds to wait after the submit; None waits forever.
            on_submitted: A plain function, called with the task id right after the submit. An exception in it is
                raised, with a note of the id; the generation goes on at the relay.

        Raises:
            UncertainSubmitError: It is not known whether the relay accepted the submit.
            DownloadError: The video could not be stored; without a ``task_id``, nothing was submitted.
            LumaError: See ``wait_until_done``.
        """
        self._enter_loop()
        _check_callback(on_submitted, "on_submitted", "an id")
        seconds, order = _checked_timeout(timeout), submit_fields(prompt, options)
        directory = None if download_to is None else await self._downloader.ready(download_to)
        task_id = await self._submit(order)
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

    async def _submit(
        self, order: Mapping[str, Any], extended: str | None = None, record: SubmitRecord | None = None
    ) -> str:
        hook = {} if self._callback_url is None else {"notify_hook": self._callback_url.reveal()}
        with self._loops.early_ids.submitting():
            return await submit(self._transport, self._polling, {**hook, **order}, extended, record)

    async def _renewed(self, task_id: str) -> Generation:
        return (await self._poll(task_id)).unwrap()

    async def _poll(self, task_id: str) -> Outcome:
        return await poll_once(self._batcher, self._polling, task_id)

    def _enter_loop(self) -> None:
        """Bind the client to the running event loop.

        Raises:
            ClientClosedError: The client is closed, or belongs to another loop.
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


def _check_options(polling: object, batch: object, gate: object) -> None:
    if not isinstance(polling, PollPolicy):
        raise ConfigurationError(
            "polling is not a PollPolicy value", advice="give polling as luma_async.PollPolicy(...)"
        )
    if batch not in get_args(Batch):
        raise ConfigurationError(f"batch={brief(batch)} is not known", advice='give "auto", "never" or "always"')
    if gate is not None and not callable(gate):
        raise ConfigurationError(
            f"gate={brief(gate)} cannot be called", advice="give a coroutine function without arguments"
        )


def _loops(batcher: Batcher, polling: PollPolicy, listeners: Listeners) -> PollLoops:
    transport, requests, learner = batcher.transport, batcher.requests, Learner(polling.shortest_interval)
    strategy = PollWait(polling, lambda: requests.chance, learner, lambda: requests.polls_per_request)
    return PollLoops(batcher, polling, strategy, transport.health, learner, listeners, transport.settings.dialect)


def _possible(batch: Batch, dialect: Dialect) -> Batch:
    if batch == "always" and dialect.tasks_path is None:
        raise ConfigurationError(
            f'batch="always" cannot work: the dialect {dialect.name} has no batch query', advice='give batch="auto"'
        )
    return "never" if dialect.tasks_path is None else batch


async def _for_any(task_id: Any, outcome_of: Callable[[str], Awaitable[Outcome]]) -> Outcome:
    """Return the outcome of *task_id*, with the id as the caller gave it; an invalid id is an error in it."""
    try:
        checked = check_task_id(task_id)
    except ConfigurationError as error:
        return Outcome(task_id=task_id, error=error)
    return evolve(await outcome_of(checked), task_id=task_id)


def _check_callback(function: object, name: str, argument: str) -> None:
    if function is not None and (not callable(function) or inspect.iscoroutinefunction(function)):
        raise ConfigurationError(
            f"{name}={brief(function)} cannot be called", advice=f"give a plain function of {argument}"
        )


def _checked_timeout(timeout: float | None) -> float | None:
    check_number(timeout, "timeout", above=0, optional=True)
    return timeout


def _once(asked: list[str]) -> list[str]:
    return list({identity_of(task_id): task_id for task_id in asked}.values())
