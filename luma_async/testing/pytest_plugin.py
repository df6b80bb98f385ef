"""The pytest plug-in: a simulated relay, a client of it, and time that jumps, as fixtures.

It loads in every pytest run of everybody who installed this package, so the relay and the client are imported by the
fixtures that need them, and pytest-asyncio only where the user has loaded it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from luma_async.testing import SimulatedRelay
from luma_async.testing._fixture_options import is_fast, relay_options

_MARKER = "luma_relay(**options): how the luma_relay fixture makes its SimulatedRelay, such as envelope=True"
_ASYNCIO_NAMES = ("asyncio", "pytest_asyncio", "pytest_asyncio.plugin")
"""The entry point of pytest-asyncio, and what ``-p`` may call it."""
_SPEED = 50.0
"""The usual script of five relay seconds then takes a tenth of a real one."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the async fixture where pytest-asyncio can run it."""
    config.addinivalue_line("markers", _MARKER)
    if any(config.pluginmanager.hasplugin(name) for name in _ASYNCIO_NAMES):
        from luma_async.testing import _asyncio_fixtures  # noqa: PLC0415 - it imports pytest-asyncio

        config.pluginmanager.register(_asyncio_fixtures, "luma_async_asyncio")


@pytest.fixture
def luma_relay(request: pytest.FixtureRequest) -> Iterator[SimulatedRelay]:
    """A simulated relay in a thread of its own, fifty times faster than life, for one test.

    With ``luma_time`` it lives in the test's event loop instead, at the speed of life, which then takes no time.
    ``@pytest.mark.luma_relay(envelope=True, speed=100)`` gives other options to ``SimulatedRelay``.
    """
    if is_fast(request):
        yield request.getfixturevalue("_luma_relay_in_fast_time")
        return
    from luma_async.testing import RelayThread, SimulatedRelay  # noqa: PLC0415 - they import aiohttp

    with RelayThread(SimulatedRelay(**relay_options(request, speed=_SPEED))) as relay:
        yield relay


@pytest.fixture
def luma_client() -> None:
    """Say what is missing; where pytest-asyncio is loaded, its fixture of the same name takes this one's place."""
    pytest.fail(
        "luma_client needs the pytest-asyncio plug-in: install pytest-asyncio, or take luma_relay and make"
        " LumaClient(luma_relay.base_url, luma_relay.api_key, limits=Limits(allow_private_media=True)) yourself",
        pytrace=False,
    )


@pytest.fixture
def luma_time() -> None:
    """Say what is missing, as luma_client does."""
    pytest.fail(
        "luma_time needs the pytest-asyncio plug-in: install pytest-asyncio, or enter luma_async.testing.FastTime()"
        " in the event loop, and make SimulatedRelay(clock=...) there, yourself",
        pytrace=False,
    )
