"""The clients that are compared, each with the same two skills: look once, and wait for many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
from attrs import define, field

from luma_async import Limits, LumaClient, PollPolicy

KEY = "sk-test-0123456789"
_ENDS = ("completed", "failed")

OnDone = Callable[[str], None]


class Client(Protocol):
    """What a benchmark asks of a client."""

    async def __aenter__(self) -> Self:
        """Open it."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        ...

    async def drain(self, ids: list[str]) -> None:
        """Look at all *ids* side by side, without a pause, until each has completed."""
        ...


async def _drain(look: Callable[[str], Awaitable[bool]], ids: list[str]) -> None:
    async def one(task_id: str) -> None:
        while not await look(task_id):
            pass

    await asyncio.gather(*map(one, ids))


@define(eq=False)
class Bare:
    """What a script does with aiohttp alone: ``session.get``, then ``await response.json()``."""

    base_url: str
    options: dict[str, Any] = field(factory=dict)
    session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        """Open a session as it comes."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {KEY}",
        }
        self.session = aiohttp.ClientSession(headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self.session.close()

    async def look(self, task_id: str) -> bool:
        """Return whether the task has ended."""
        async with self.session.get(f"{self.base_url}/luma/generations/{task_id}") as response:
            answer = await response.json()
        return answer["state"] in _ENDS

    async def drain(self, ids: list[str]) -> None:
        """One loop for each id."""
        await _drain(self.look, ids)


@define(eq=False)
class Ours:
    """luma_async, through the wait that polls."""

    base_url: str
    options: dict[str, Any] = field(factory=dict)
    luma: LumaClient = field(init=False)

    async def __aenter__(self) -> Self:
        """Open a client that never pauses unless told to."""
        pause = 1e-6
        polling = {"initial": pause, "min_interval": pause, "maximum": pause} | self.options.get("polling", {})
        self.luma = LumaClient(
            self.base_url,
            KEY,
            polling=PollPolicy(**polling),
            limits=Limits(**self.options.get("limits", {})),
            batch=self.options.get("batch", "never"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.luma.aclose()

    async def drain(self, ids: list[str]) -> None:
        """Wait for all; the pauses are too short to count."""
        for outcome in await self.luma.wait_all(ids, timeout=None):
            outcome.unwrap()


@define(eq=False)
class OurLooks(Ours):
    """luma_async, one ``get_generation`` after the other."""

    async def look(self, task_id: str) -> bool:
        """Return whether the task has ended."""
        return (await self.luma.get_generation(task_id)).is_terminal

    async def drain(self, ids: list[str]) -> None:
        """One loop for each id."""
        await _drain(self.look, ids)


@define(eq=False)
class OurRounds(Ours):
    """luma_async, ``get_generations`` of all ids, again and again."""

    async def drain(self, ids: list[str]) -> None:
        """Ask for those that have not ended."""
        while ids:
            outcomes = await self.luma.get_generations(ids)
            ids = [outcome.task_id for outcome in outcomes if not outcome.unwrap().is_terminal]


@define(eq=False)
class Official:
    """The official SDK, as installed or on aiohttp."""

    base_url: str
    options: dict[str, Any] = field(factory=dict)
    on_aiohttp: bool = False
    sdk: Any = field(init=False)

    async def __aenter__(self) -> Self:
        """Open its asynchronous client."""
        from lumaai import AsyncLumaAI, DefaultAioHttpClient  # noqa: PLC0415 - only where it is measured

        backend = {"http_client": DefaultAioHttpClient()} if self.on_aiohttp else {}
        self.sdk = AsyncLumaAI(auth_token=KEY, base_url=f"{self.base_url}/dream-machine/v1", **backend)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.sdk.close()

    async def look(self, task_id: str) -> bool:
        """Return whether the task has ended."""
        return (await self.sdk.generations.get(task_id)).state in _ENDS

    async def drain(self, ids: list[str]) -> None:
        """One loop for each id."""
        await _drain(self.look, ids)


@define(eq=False)
class OfficialOnAiohttp(Official):
    """The official SDK with its aiohttp back end."""

    on_aiohttp: bool = True


CLIENTS: dict[str, Callable[[str, dict[str, Any]], Client]] = {
    "bare": Bare,
    "ours": Ours,
    "ours-get": OurLooks,
    "ours-gets": OurRounds,
    "sdk-httpx": Official,
    "sdk-aiohttp": OfficialOnAiohttp,
}
