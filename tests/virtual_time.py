"""An event loop whose clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tests import loops

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Takes a timeout as time that has passed. Without one, nothing could ever happen again."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("the event loop waits for ever")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Real tasks, futures and timers on a clock of its own; no sockets."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return seconds since the loop was made, most of which never passed."""
        return self._virtual.now

    def stand_still(self, seconds: float) -> None:
        """Let *seconds* pass in which nothing runs, as a callback that blocks does."""
        self._virtual.now += seconds


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
