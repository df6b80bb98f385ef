"""Shares each turn of the event loop with other coroutines, even while thousands of ids are due or end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from attrs import define

_SHARE = 0.003
"""Seconds of one turn that waking ids and handing out answers may take together."""


@define(eq=False, repr=False)
class TurnShare:
    """The time that polling has taken in this turn of the event loop.

    Whoever does one of many small things asks ``is_used_up`` after each, and goes on in the next turn if it is.
    """

    clock: Callable[[], float] = monotonic
    """Seconds; not the event loop's time, which stands still during a turn in uvloop."""
    _began: float | None = None
    """When the first of them began in this turn; None if there was none yet."""

    def is_used_up(self) -> bool:
        """Whether the others should have a turn now. The first call in a turn starts the measurement."""
        if self._began is None:
            self._began = self.clock()
            asyncio.get_running_loop().call_soon(self._renew)
            return False
        return self.clock() - self._began >= _SHARE

    async def wait(self) -> None:
        """Wait for a turn with time left, at least for the next one."""
        while True:
            await asyncio.sleep(0)
            if not self.is_used_up():
                return

    def _renew(self) -> None:
        self._began = None
