"""The async fixtures, which need pytest-asyncio, in its strict mode or in its auto mode.

A fixture of pytest-asyncio has one loop scope, and a test may have any of five. So each async fixture is there once for
each scope, and the fixtures that a test names choose the one in the test's own loop. anyio runs plain ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, get_args

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from luma_async import LumaClient
    from luma_async.testing import FastTime, SimulatedRelay

_LoopScope = Literal["session", "package", "module", "class", "function"]


@pytest.fixture
def luma_time(request: pytest.FixtureRequest) -> FastTime:
    """Time that jumps: no test waits for its timers, and ``luma_time.elapsed`` is the time they would have taken.

    With this fixture, ``luma_relay`` runs in the test's own event loop at real speed, and ``luma_client`` polls at its
    usual intervals.
    """
    fast: FastTime = _in_the_tests_loop(request, "time")
    return fast


@pytest.fixture
def luma_client(request: pytest.FixtureRequest) -> LumaClient:
    """A client of ``luma_relay`` that polls faster, to match the relay's speed, and is closed after the test."""
    client: LumaClient = _in_the_tests_loop(request, "client")
    return client


@pytest.fixture
def _luma_relay_in_fast_time(request: pytest.FixtureRequest) -> SimulatedRelay:
    relay: SimulatedRelay = _in_the_tests_loop(request, "relay")
    return relay


def _in_the_tests_loop(request: pytest.FixtureRequest, name: str) -> Any:
    """Return the value of the async fixture *name* in the event loop of the test."""
    marker = request.node.get_closest_marker("asyncio")
    if marker is None and "anyio_backend" in request.fixturenames and _backend(request) == "asyncio":
        return request.getfixturevalue(f"_luma_{name}_in_anyio_loop")
    if marker is None:
        pytest.fail(_WITHOUT_LOOP.format(f"luma_{name}"), pytrace=False)
    scope = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
    scope = scope or request.config.getini("asyncio_default_test_loop_scope") or "function"
    return request.getfixturevalue(f"_luma_{name}_in_{scope}_loop")


def _backend(request: pytest.FixtureRequest) -> str:
    """Return the name of the anyio backend: its fixture is a name, or a name with options."""
    backend = request.getfixturevalue("anyio_backend")
    return str(backend if isinstance(backend, str) else backend[0])


_WITHOUT_LOOP = (
    "{0} works in the asyncio loop of a test: make the test a coroutine with @pytest.mark.asyncio; in any other"
    " test use luma_relay, which needs no event loop, and create"
    " LumaClient(luma_relay.base_url, luma_relay.api_key, limits=Limits(allow_private_media=True)) inside yours"
)


async def _time() -> AsyncIterator[FastTime]:
    from luma_async.testing import FastTime  # noqa: PLC0415 - the plug-in costs nothing if it is not used

    with FastTime() as fast:
        yield fast


async def _relay(_luma_relay_options: dict[str, Any], luma_time: FastTime) -> AsyncIterator[SimulatedRelay]:
    from luma_async.testing import SimulatedRelay  # noqa: PLC0415 - it imports aiohttp

    options: dict[str, Any] = {"clock": luma_time.clock, **_luma_relay_options}
    async with SimulatedRelay(**options) as relay:
        yield relay


async def _client(request: pytest.FixtureRequest, luma_relay: SimulatedRelay) -> AsyncIterator[LumaClient]:
    from luma_async import Limits, LumaClient, PollPolicy  # noqa: PLC0415 - it imports aiohttp

    polling, limits = PollPolicy(), Limits(allow_private_media=True)
    if "luma_time" not in request.fixturenames:
        polling = PollPolicy(initial_interval=0.02, min_interval=0.02, max_interval=0.2, max_outage=5.0)
        limits = Limits(request_timeout=5.0, allow_private_media=True)
    async with LumaClient(luma_relay.base_url, luma_relay.api_key, polling=polling, limits=limits) as client:
        yield client


def _in_each_loop(name: str, function: Callable[..., AsyncIterator[object]]) -> None:
    """Make *function* a fixture for each loop scope."""
    for scope in get_args(_LoopScope):
        fixture = f"_luma_{name}_in_{scope}_loop"
        globals()[fixture] = pytest_asyncio.fixture(loop_scope=scope, name=fixture)(_copied(function))
    fixture = f"_luma_{name}_in_anyio_loop"
    globals()[fixture] = pytest.fixture(name=fixture)(_copied(function))


def _copied(function: Callable[..., AsyncIterator[object]]) -> Callable[..., AsyncIterator[object]]:
    """Return another function with the same code: pytest-asyncio writes the scope into the function."""
    copied = FunctionType(function.__code__, function.__globals__, function.__name__)
    copied.__annotations__ = function.__annotations__
    return copied


_in_each_loop("time", _time)
_in_each_loop("relay", _relay)
_in_each_loop("client", _client)
