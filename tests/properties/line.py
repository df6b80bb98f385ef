"""The simulated relay without a network, for clients in virtual time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientConnectionError, ClientPayloadError, Payload
from aioresponses import CallbackResult, aioresponses
from attrs import define, field
from yarl import URL

from luma_async.testing._gateway import Gateway
from luma_async.testing.exchange import Asked, Target
from tests.kit import KEY

RELAY = "https://relay.example"


def relay() -> Gateway:
    """Return a relay that goes by the clock of the running event loop."""
    return Gateway(api_key=KEY, clock=asyncio.get_running_loop().time)


@define(eq=False)
class Line:
    """Carries what clients ask to a desk, while it is open, and breaks where a fault says so."""

    desk: Gateway
    _mocked: aioresponses = field(factory=aioresponses)

    def open(self) -> None:
        """Stand where the network stands."""
        self._mocked.start()
        for method in ("get", "post"):
            getattr(self._mocked, method)(re.compile(re.escape(RELAY)), callback=self._carry_to(method), repeat=True)

    def close(self) -> None:
        """Give the network back."""
        self._mocked.stop()

    def _carry_to(self, method: str) -> Any:
        async def carry(url: URL, *, headers: Mapping[str, str], data: Payload | None, **_: Any) -> CallbackResult:
            return await self._carry(method.upper(), url, headers, b"" if data is None else data.decode().encode())

        return carry

    async def _carry(self, method: str, url: URL, headers: Mapping[str, str], body: bytes) -> CallbackResult:
        asked = Asked(
            method=method,
            path=url.raw_path,
            query=url.query,
            headers=headers,
            body=body,
            target=Target.of(method, url.raw_path),
            now=self.desk.now,
        )
        reply, fault = self.desk.take(asked)
        await asyncio.sleep(fault.delay + 0.01)
        if fault.reset:
            raise ClientConnectionError
        if fault.cut_after is not None:
            raise ClientPayloadError
        return CallbackResult(status=reply.status, body=reply.body, headers=dict(reply.headers))
