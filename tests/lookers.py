"""What stands where the Batcher stands, in tests of those who wait."""

from __future__ import annotations

import asyncio

from luma_async._relay.tasks import LastAnswer, Observation
from luma_async._waiting.pending import PendingPoll, Poller
from luma_async._waiting.turns import TurnShare
from luma_async.errors import LumaError


class Looker:
    """Lets a coroutine of its own look, for each one who asks."""

    gathers: bool = False
    most: int = 100

    @property
    def share(self) -> TurnShare:
        """A turn of the event loop is long enough for all."""
        return TurnShare()

    async def look(self, task_id: str, *, last_answer: LastAnswer | None, deadline: float) -> Observation:
        """Answer, or raise."""
        raise AssertionError(f"nobody told what to say about {task_id}, {last_answer} until {deadline}")

    def ask(self, poller: Poller, *, is_patient: bool = False) -> PendingPoll:  # noqa: ARG002
        """Begin a look."""
        ask = PendingPoll(poller)
        ask.alone = asyncio.create_task(self._tell(ask))
        return ask

    async def _tell(self, ask: PendingPoll) -> None:
        poller = ask.poller
        try:
            sighting = await self.look(poller.task_id, last_answer=poller.last_answer, deadline=poller.deadline())
            ask.answer(sighting, asyncio.get_running_loop().time())
        except LumaError as error:
            ask.refuse(error)

    def leave(self, ask: PendingPoll) -> None:
        """End the look."""
        ask.is_over = True
        if ask.alone is not None:
            ask.alone.cancel()

    def forget(self, task_id: str) -> None:
        """Nothing is remembered of any id."""

    async def aclose(self) -> None:
        """Nothing is open."""
