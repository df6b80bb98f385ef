"""What stands where the Batcher stands, in tests of those who wait."""

from __future__ import annotations

import asyncio

from luma_async._relay.tasks import Known, Sighting
from luma_async._waiting.batching import Ask, Asker
from luma_async.errors import LumaError


class Looker:
    """Lets a coroutine of its own look, for each one who asks."""

    gathers: bool = False
    most: int = 100

    async def look(self, task_id: str, *, known: Known | None, deadline: float) -> Sighting:
        """Answer, or raise."""
        raise AssertionError(f"nobody told what to say about {task_id}, {known} until {deadline}")

    def ask(self, asker: Asker) -> Ask:
        """Begin a look."""
        ask = Ask(asker)
        ask.alone = asyncio.create_task(self._tell(ask))
        return ask

    async def _tell(self, ask: Ask) -> None:
        asker = ask.asker
        try:
            sighting = await self.look(asker.task_id, known=asker.known, deadline=asker.deadline)
            ask.tell(sighting, asyncio.get_running_loop().time())
        except LumaError as error:
            ask.refuse(error)

    def leave(self, ask: Ask) -> None:
        """End the look."""
        ask.is_over = True
        if ask.alone is not None:
            ask.alone.cancel()

    def forget(self, task_id: str) -> None:
        """Nothing is remembered of any id."""

    async def aclose(self) -> None:
        """Nothing is open."""
