"""The pytest plug-in: fixtures for a simulated relay, a client of it, time that jumps, and mocked answers.

pytest loads it in every environment with this package. So only the fixtures import the relay and the client, and it
imports pytest-asyncio only if the user has loaded that plug-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from luma_async.testing import SimulatedRelay, aioresponses

_MARKER = "luma_relay(**options): options of the SimulatedRelay in the luma_relay fixture, such as envelope=True"
_ASYNCIO_NAMES = ("asyncio", "pytest_asyncio", "pytest_asyncio.plugin")
"""The entry point of pytest-asyncio, and its names for ``-p``."""
_SPEED = 50.0
"""Relay seconds per real second: the default script of five relay seconds takes a tenth of a real second."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the async fixtures if pytest-asyncio can run them."""
    config.addinivalue_line("markers", _MARKER)
    if any(config.pluginmanager.hasplugin(name) for name in _ASYNCIO_NAMES):
        from luma_async.testing import _asyncio_fixtures  # noqa: PLC0415 - it imports pytest-asyncio

        config.pluginmanager.register(_asyncio_fixtures, "luma_async_asyncio")


@pytest.fixture
def _luma_relay_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("luma_relay")
    return marker.kwargs if marker else {}


@pytest.fixture
def luma_relay(request: pytest.FixtureRequest, _luma_relay_options: dict[str, Any]) -> Iterator[SimulatedRelay]:
    """A simulated relay for one test, in its own thread, fifty times faster than real time.

    With ``luma_time`` it runs in the test's event loop instead, at real speed, but without real waiting.
    ``@pytest.mark.luma_relay(envelope=True, speed=100)`` passes other options to ``SimulatedRelay``.
    """
    if "luma_time" in request.fixturenames:
        yield request.getfixturevalue("_luma_relay_in_fast_time")
        return
    from luma_async.testing import RelayThread, SimulatedRelay  # noqa: PLC0415 - they import aiohttp

    options: dict[str, Any] = {"speed": _SPEED, **_luma_relay_options}
    with RelayThread(SimulatedRelay(**options)) as relay:
        yield relay


@pytest.fixture
def luma_responses() -> Iterator[aioresponses]:
    """An ``aioresponses``: answers to a client's requests without any server, with each aiohttp that we allow."""
    try:
        from luma_async.testing import aioresponses  # noqa: PLC0415 - it imports aiohttp
    except ModuleNotFoundError as error:
        pytest.fail(f"luma_responses needs aioresponses: install it ({error})", pytrace=False)
    responses = aioresponses()
    with responses:
        yield responses


@pytest.fixture
def luma_client() -> None:
    """Fail and name the missing plug-in; with pytest-asyncio, the async fixture of the same name replaces this one."""
    pytest.fail(
        "luma_client needs the pytest-asyncio plug-in: install pytest-asyncio, or use luma_relay and create"
        " LumaClient(luma_relay.base_url, luma_relay.api_key, limits=Limits(allow_private_media=True)) yourself",
        pytrace=False,
    )


@pytest.fixture
def luma_time() -> None:
    """Fail and name the missing plug-in, like luma_client."""
    pytest.fail(
        "luma_time needs the pytest-asyncio plug-in: install pytest-asyncio, or enter luma_async.testing.FastTime()"
        " in the event loop, and make SimulatedRelay(clock=...) there, yourself",
        pytrace=False,
    )
