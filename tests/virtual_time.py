"""An event loop in fast time whose own clock stands still, so that all times in a test are exact."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from luma_async.testing import FastTime
from tests import loops

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Without a timer, nothing can ever happen again."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("the event loop waits forever")
        return super().select(timeout)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Real tasks, futures and timers from time 0.0 on; only fast time and ``stand_still`` move the clock."""

    def __init__(self) -> None:
        super().__init__(_Selector())
        self._stood_still = 0.0
        self.call_soon(FastTime(most=math.inf).__enter__)

    def time(self) -> float:
        """Return the seconds that fast time has not jumped over."""
        return self._stood_still

    def stand_still(self, seconds: float) -> None:
        """Let *seconds* pass in which nothing runs, as a callback that blocks does."""
        self._stood_still += seconds


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* in virtual time; a task it leaves behind, or an exception nobody fetched, is a failure."""
    if loops.is_foreign():
        main.close()
        pytest.skip(loops.ONLY_ASYNCIO)
    trouble: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: trouble.append(context))

        async def watched() -> T:
            result = await main
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"left running: {left}"
            return result

        result = runner.run(watched())
    assert not trouble, trouble
    return result


def stand_still(seconds: float) -> None:
    """Let *seconds* pass in which the running loop runs nothing."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.stand_still(seconds)


def now() -> float:
    """Return the running loop's time, in seconds."""
    return asyncio.get_running_loop().time()
