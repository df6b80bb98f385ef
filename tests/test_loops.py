"""The event loop that ``--loop`` chooses is the one that the tests run in."""

from __future__ import annotations

import asyncio

import pytest

from tests import loops


async def name_of_loop() -> str:
    """Return the package that the running event loop comes from."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


async def test_async_tests_run_in_the_chosen_loop(pytestconfig: pytest.Config) -> None:
    """pytest-asyncio makes it."""
    assert await name_of_loop() == pytestconfig.getoption("--loop")


def test_what_a_test_runs_itself_runs_in_the_chosen_loop(pytestconfig: pytest.Config) -> None:
    """As if ``asyncio.run`` knew of it."""
    assert loops.run(name_of_loop()) == pytestconfig.getoption("--loop")
