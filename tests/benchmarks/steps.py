"""Where the microseconds of one poll go: the same poll, with one layer of luma_async more at each step."""

from __future__ import annotations

from typing import Self

import aiohttp
from attrs import define, field
from tenacity import AsyncRetrying, retry_if_result
from yarl import URL

from luma_async._network.request import Request
from luma_async._network.session import Network, new_session
from luma_async._relay.requests import task_path
from luma_async._relay.tasks import LastAnswer, read_poll
from luma_async.dialect import RELAY
from tests.benchmarks.clients import HEADERS, Bare, OurPolls


def has_ended(body: bytes) -> bool:
    """Whether *body* tells of a completed task; costs next to nothing."""
    return b'"state": "completed"' in body


@define(eq=False)
class BareRead(Bare):
    """aiohttp alone; the body is read and left alone."""

    async def poll(self, task_id: str) -> bool:
        """Ask and read."""
        async with self._session.get(f"{self.base_url}/luma/generations/{task_id}") as response:
            return has_ended(await response.read())


@define(eq=False)
class TunedSession(OurPolls):
    """aiohttp with the settings of our session and an URL that is built once."""

    _session: aiohttp.ClientSession = field(init=False)
    _urls: dict[str, URL] = field(factory=dict)

    async def __aenter__(self) -> Self:
        """Open a session of its own too."""
        self._session = new_session(Network(), None, 64)
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        """Close both."""
        await self._session.close()
        await super().__aexit__()

    async def poll(self, task_id: str) -> bool:
        """Ask and read."""
        url = self._urls.get(task_id)
        if url is None:
            url = self._urls[task_id] = URL(f"{self.base_url}/luma/generations/{task_id}", encoded=True)
        async with self._session.request("GET", url, headers=HEADERS, allow_redirects=False) as response:
            return has_ended(await response.read())


@define(eq=False)
class Exchanged(OurPolls):
    """The transport: cool-down, slots, time-out, redirects, the limit on an answer, the key kept out of it."""

    _requests: dict[str, Request] = field(factory=dict)

    async def poll(self, task_id: str) -> bool:
        """Exchange and leave the body alone."""
        return await self.luma._transport.exchange(self._request(task_id), lambda answer: has_ended(answer.body))

    def _request(self, task_id: str) -> Request:
        request = self._requests.get(task_id)
        if request is None:
            request = self._requests[task_id] = Request("GET", task_path(RELAY, task_id))
        return request


@define(eq=False)
class Checked(Exchanged):
    """The poll: JSON, whose answer it is, and whether it is the last one again."""

    _known: dict[str, LastAnswer] = field(factory=dict)

    async def poll(self, task_id: str) -> bool:
        """Exchange and read."""
        before = self._known.get(task_id)
        known, news = await self.luma._transport.exchange(
            self._request(task_id), lambda answer: read_poll(answer, task_id, before)
        )
        self._known[task_id] = known
        return news is not None and news.state.is_terminal


@define(eq=False)
class Turned(Checked):
    """The same, in a loop that tenacity turns."""

    async def _poll_on(self, task_id: str) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_result(lambda has_ended: not has_ended), wait=self.luma._loops.strategy, sleep=_no_rest
        )
        await retrying(self.poll, task_id)


async def _no_rest(_: float) -> None:
    """Go on at once."""
