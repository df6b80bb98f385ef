"""The fixture that only pytest-asyncio can run, in its strict mode and in its auto mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from luma_async import LumaClient
    from luma_async.testing import SimulatedRelay


@pytest_asyncio.fixture
async def luma_client(luma_relay: SimulatedRelay) -> AsyncIterator[LumaClient]:
    """A client of ``luma_relay`` that polls as much faster as the relay lives, closed after the test."""
    from luma_async import Limits, LumaClient, PollPolicy  # noqa: PLC0415 - it imports aiohttp

    async with LumaClient(
        luma_relay.base_url,
        luma_relay.api_key,
        polling=PollPolicy(initial=0.02, min_interval=0.02, maximum=0.2, max_outage=5.0),
        limits=Limits(request_timeout=5.0, allow_private_media=True),
    ) as client:
        yield client
