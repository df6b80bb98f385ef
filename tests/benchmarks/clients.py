"""The clients that are compared, each with the same skills: poll without a pause, and wait for many."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Literal, Protocol, Self

import aiohttp
from aiohttp import web
from attrs import define, field, frozen

from luma_async import LumaClient, PollPolicy
from luma_async.webhooks import task_ids_in

KEY = "sk-test-0123456789"
HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
_ENDS = ("completed", "failed")

Ids = list[str] | AsyncIterable[str]
Batch = Literal["auto", "never"]
OnDone = Callable[[str], None]


@frozen(kw_only=True)
class Options:
    """How a client is set up; each heeds what it knows."""

    first: float = 1e-6
    """Seconds of the first pause."""
    factor: float = 1.0
    """What each pause is multiplied by."""
    most: float = 1e-6
    """Seconds of the longest pause."""
    adaptive: bool = True
    """Whether luma_async's pacing learns, as it does by default."""
    batch: Batch = "never"
    """luma_async's own option."""
    loop: Literal["asyncio", "uvloop"] = "asyncio"
    """The event loop of the process."""


class Client(Protocol):
    """What a benchmark asks of a client; an async context manager."""

    async def __aenter__(self) -> Self:
        """Open it."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        ...

    async def drain(self, ids: list[str]) -> None:
        """Poll all *ids* side by side, without a pause, until each has completed."""
        ...

    async def wait(self, ids: Ids, on_done: OnDone) -> None:
        """Wait for all *ids* as they come, with the pauses of its options, and tell of each that has ended."""
        ...


async def each_its_own(do: Callable[[str], Awaitable[object]], ids: Ids) -> None:
    """Run *do* for all *ids* at once, a task for each."""
    if isinstance(ids, AsyncIterable):
        await asyncio.gather(*[asyncio.ensure_future(do(task_id)) async for task_id in ids])
    else:
        await asyncio.gather(*map(do, ids))


@define(eq=False)
class Loops:
    """What people write: a loop around one poll for each id, and ``gather`` around the loops."""

    base_url: str
    options: Options

    async def poll(self, task_id: str) -> bool:
        """Return whether the task has ended."""
        raise AssertionError(f"no poll {task_id} without a client")

    async def drain(self, ids: list[str]) -> None:
        """Poll each until it has ended."""
        await each_its_own(self._poll_on, ids)

    async def wait(self, ids: Ids, on_done: OnDone) -> None:
        """Poll and sleep, and sleep longer each time."""

        async def until_done(task_id: str) -> None:
            pause = self.options.first
            while not await self.poll(task_id):
                await asyncio.sleep(self.jittered(pause))
                pause = min(pause * self.options.factor, self.options.most)
            on_done(task_id)

        await each_its_own(until_done, ids)

    def jittered(self, pause: float) -> float:
        """Return *pause*: most scripts have no jitter, so their ids stay in step."""
        return pause

    async def _poll_on(self, task_id: str) -> None:
        while not await self.poll(task_id):
            pass


@define(eq=False)
class Bare(Loops):
    """aiohttp alone: ``session.get``, then ``await response.json()``."""

    _session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        """Open a session as it comes."""
        self._session = aiohttp.ClientSession(headers=HEADERS)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self._session.close()

    async def poll(self, task_id: str) -> bool:
        """Return whether the task has ended."""
        async with self._session.get(f"{self.base_url}/luma/generations/{task_id}") as response:
            answer = await response.json()
        return answer["state"] in _ENDS


@define(eq=False)
class Jittered(Bare):
    """aiohttp alone, with pauses of half to one and a half times the length."""

    def jittered(self, pause: float) -> float:
        """Return the pause, with jitter."""
        return pause * random.uniform(0.5, 1.5)  # noqa: S311 - not for secrets


@define(eq=False)
class Official(Loops):
    """The official SDK as installed."""

    _sdk: Any = field(init=False)

    async def __aenter__(self) -> Self:
        """Open its asynchronous client."""
        import lumaai  # noqa: PLC0415 - the extra is needed only where it is measured

        url = f"{self.base_url}/dream-machine/v1"
        self._sdk = lumaai.AsyncLumaAI(auth_token=KEY, base_url=url, **self._backend(lumaai))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self._sdk.close()

    async def poll(self, task_id: str) -> bool:
        """Return whether the task has ended."""
        return (await self._sdk.generations.get(task_id)).state in _ENDS

    def _backend(self, _: Any) -> dict[str, Any]:
        return {}


@define(eq=False)
class OfficialOnAiohttp(Official):
    """The official SDK with its aiohttp back end."""

    def _backend(self, lumaai: Any) -> dict[str, Any]:
        return {"http_client": lumaai.DefaultAioHttpClient()}


@define(eq=False)
class Ours(Loops):
    """luma_async, through the loop that polls for all who wait."""

    luma: LumaClient = field(init=False)

    async def __aenter__(self) -> Self:
        """Open a client with the pauses of the options."""
        options = self.options
        polling = PollPolicy(
            initial_interval=options.first,
            min_interval=options.first,
            max_interval=options.most,
            multiplier=options.factor,
            adaptive=options.adaptive,
        )
        self.luma = LumaClient(self.base_url, KEY, polling=polling, batch=options.batch)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.luma.aclose()

    async def drain(self, ids: list[str]) -> None:
        """Wait for all; the usual pauses here are too short to count."""
        await self.wait(ids, lambda _: None)

    async def wait(self, ids: Ids, on_done: OnDone) -> None:
        """Wait for all, whatever their number."""
        in_flight = None if isinstance(ids, list) else 1_000_000
        async with self.luma.as_completed(ids, timeout=None, max_in_flight=in_flight) as outcomes:
            async for outcome in outcomes:
                outcome.unwrap()
                on_done(outcome.task_id)


@define(eq=False)
class CalledBack(Ours):
    """luma_async in an app that the relay calls back at each change of a state."""

    _app: web.AppRunner = field(init=False)

    async def __aenter__(self) -> Self:
        """Open the client and the app, and tell the relay where to call."""
        await super().__aenter__()
        app = web.Application()
        app.router.add_post("/hook", self._called)
        self._app = web.AppRunner(app, access_log=None)
        await self._app.setup()
        await web.TCPSite(self._app, "127.0.0.1", 0).start()
        await self._tell_relay(self._app.addresses[0][1])
        return self

    async def __aexit__(self, *details: object) -> None:
        """Close both."""
        await self._tell_relay(None)
        await self._app.cleanup()
        await super().__aexit__(*details)

    async def _called(self, request: web.Request) -> web.Response:
        for task_id in task_ids_in(await request.read()):
            self.luma.notify(task_id)
        return web.Response()

    async def _tell_relay(self, port: int | None) -> None:
        url = f"{self.base_url}/control/hook"
        async with aiohttp.ClientSession() as session, session.post(url, json={"port": port}) as answer:
            await answer.read()


@define(eq=False)
class OurPolls(Ours):
    """luma_async, one ``get_generation`` after the other."""

    async def poll(self, task_id: str) -> bool:
        """Return whether the task has ended."""
        return (await self.luma.get_generation(task_id)).is_terminal

    async def drain(self, ids: list[str]) -> None:
        """Poll each until it has ended."""
        await each_its_own(self._poll_on, ids)


@define(eq=False)
class OurRounds(Ours):
    """luma_async, ``get_generations`` of all ids again and again."""

    async def drain(self, ids: list[str]) -> None:
        """Ask for those that have not ended."""
        while ids:
            outcomes = await self.luma.get_generations(ids)
            ids = [outcome.task_id for outcome in outcomes if not outcome.unwrap().is_terminal]
