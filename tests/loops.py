"""Which event loop the tests run in: asyncio's own, or uvloop with ``pytest --loop uvloop``."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

ONLY_ASYNCIO = "time can only jump in an event loop of asyncio's own"
_Factory = Callable[[], asyncio.AbstractEventLoop]
_chosen: dict[str, _Factory] = {}


class Chosen:
    """A plug-in of pytest's that makes all async tests run in one event loop, by pytest-asyncio's own hook."""

    def __init__(self, name: str) -> None:
        _chosen[name] = importlib.import_module(name).new_event_loop

    def pytest_asyncio_loop_factories(self) -> Mapping[str, _Factory]:
        """Name the loop."""
        return _chosen


def is_foreign() -> bool:
    """Whether the tests run in another event loop than asyncio's own."""
    return bool(_chosen)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Do what ``asyncio.run`` does, in the event loop that the tests run in."""
    with asyncio.Runner(loop_factory=next(iter(_chosen.values()), None)) as runner:
        return runner.run(main)
