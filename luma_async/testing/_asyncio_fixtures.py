"""The async fixtures, which need pytest-asyncio, in its strict mode or in its auto mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from luma_async import LumaClient
    from luma_async.testing import FastTime, SimulatedRelay


@pytest_asyncio.fixture
async def luma_time() -> AsyncIterator[FastTime]:
    """Time that jumps: no test waits for its timers, and ``luma_time.elapsed`` is the time they would have taken.

    With this fixture, ``luma_relay`` runs in the test's own event loop at real speed, and ``luma_client`` polls at its
    usual intervals.
    """
    from luma_async.testing import FastTime  # noqa: PLC0415 - the plug-in costs nothing if it is not used

    with FastTime() as fast:
        yield fast


@pytest_asyncio.fixture
async def _luma_relay_in_fast_time(
    _luma_relay_options: dict[str, Any], luma_time: FastTime
) -> AsyncIterator[SimulatedRelay]:
    from luma_async.testing import SimulatedRelay  # noqa: PLC0415 - it imports aiohttp

    options: dict[str, Any] = {"clock": luma_time.clock, **_luma_relay_options}
    async with SimulatedRelay(**options) as relay:
        yield relay


@pytest_asyncio.fixture
async def luma_client(request: pytest.FixtureRequest, luma_relay: SimulatedRelay) -> AsyncIterator[LumaClient]:
    """A client of ``luma_relay`` that polls faster, to match the relay's speed, and is closed after the test."""
    from luma_async import Limits, LumaClient, PollPolicy  # noqa: PLC0415 - it imports aiohttp

    polling, limits = PollPolicy(), Limits(allow_private_media=True)
    if "luma_time" not in request.fixturenames:
        polling = PollPolicy(initial_interval=0.02, min_interval=0.02, max_interval=0.2, max_outage=5.0)
        limits = Limits(request_timeout=5.0, allow_private_media=True)
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, polling=polling, limits=limits) as client:
        yield client
