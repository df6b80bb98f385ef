"""What all tests share: a clean environment, repeatable examples, the event loop, and aioresponses fit for aiohttp."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

import luma_async.testing._mocking  # noqa: F401 - it makes aioresponses fit for this aiohttp
from tests import loops

hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("ci"), max_examples=40)
# Said in full: where the variable CI is set, hypothesis's own defaults are those of the profile above.
hypothesis.settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=400,
    print_blob=True,
    derandomize=False,
    database=DirectoryBasedExampleDatabase(Path(__file__).parent.parent / ".hypothesis" / "examples"),
)
hypothesis.settings.load_profile("ci")

_MOST_WORKERS = 8
"""Each one imports and collects everything, which takes five seconds of processor time."""
_OURS = ("LUMA_BASE_URL", "LUMA_API_KEY", "LUMA_API_KEY_FILE", "LUMA_PROXY")
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
"""SIGINT is left out: pytest-asyncio has a handler for it while a loop lives."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--loop``."""
    parser.addoption("--loop", choices=["asyncio", "uvloop"], default="asyncio", help="the event loop of the tests")


def pytest_configure(config: pytest.Config) -> None:
    """Run the tests in the event loop that was chosen, and fewer examples where the slow tests are left out."""
    if (name := config.getoption("--loop")) != "asyncio":
        config.pluginmanager.register(loops.Chosen(name))
    if "not slow" in config.getoption("markexpr") and hypothesis.settings.get_current_profile_name() == "ci":
        hypothesis.settings.load_profile("quick")  # the run with the slow tests tries all examples


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests in time that jumps, where it cannot."""
    for item in items:
        if loops.is_foreign() and "luma_time" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(loops.ONLY_ASYNCIO))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Give each core two workers, since tests wait half of the time. Named files run in this process."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    if all(".py" in argument for argument in config.args):
        return 0  # starting the workers takes longer than most files
    return min(2 * (os.cpu_count() or 1), _MOST_WORKERS)


@pytest.fixture
def small_heap() -> Iterator[None]:
    """Let the garbage collector look at what the test makes, and not at all that the session has made before."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _signals_stay() -> Iterator[None]:
    """Fail a test that leaves another handler for a signal: a later test's process would inherit an ignored one."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    changed = {number.name for number in _SIGNALS if signal.getsignal(number) != before[number]}
    for number in _SIGNALS:
        signal.signal(number, before[number])
    assert not changed, f"the test has left handlers for {changed}"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the address, key or proxy of whoever runs it."""
    for name in (*_OURS, *_PROXIES, *map(str.lower, _PROXIES)):
        monkeypatch.delenv(name, raising=False)
