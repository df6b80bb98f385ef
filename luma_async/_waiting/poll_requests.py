"""The requests for polls: one id or a batch; a batch that fails is split until it does no more harm."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from random import random

from attrs import define, field

from luma_async._network.request import Pace, Request
from luma_async._network.transport import Transport
from luma_async._relay.requests import task_path, tasks_body, tasks_path
from luma_async._relay.tasks import Observation, read_batch, read_poll
from luma_async._waiting.batch_search import Search
from luma_async._waiting.batch_support import BatchSupport, Remedy
from luma_async._waiting.pending import PendingPoll, refuse_all, still_wanted
from luma_async._waiting.turns import TurnShare
from luma_async.errors import LumaError, ProtocolError, RequestTimeoutError, Verdict

_FORGETTING = 0.01
"""Weight of the newest request in the mean number of polls per request."""
_PATIENCE, _SHORTEST_PATIENCE = 3.0, 1.0
"""Time for a part of a batch that timed out: a multiple of the usual time of a batch, and at least in seconds."""


@define(eq=False, repr=False)
class PollRequests:
    """Sends polls to the relay, and hands out the answers."""

    transport: Transport
    support: BatchSupport
    send_alone: Callable[[Iterable[PendingPoll]], None]
    """Starts a request for each of these polls."""
    on_batch: Callable[[], None]
    """Called after each batch that was answered: other polls may be waiting for that."""
    share: TurnShare = field(factory=TurnShare)
    """Thousands of ids are answered at about the same time."""
    polls_per_request: float = 1.0
    """Mean number of ids per request, the newest requests first in weight."""
    chance: float = field(factory=random)
    """Random number for the pauses after the last answer: its ids pause equally long, and can share a batch again."""
    _is_searching: bool = False
    _reading: asyncio.Lock = field(factory=asyncio.Lock)
    """Held while one answer about many ids is read and handed out: the others wait unread, which takes less memory."""

    async def send_batch(self, polls: list[PendingPoll]) -> None:
        """Poll many ids with one request, or with more if it fails or leaves ids out."""
        error = await self.send_part(polls)
        if error is not None:
            await self._mend(still_wanted(polls), error)

    async def send_part(self, polls: list[PendingPoll], patience: float = math.inf) -> LumaError | None:
        """Poll many ids with one request, or with more if its answer leaves ids out; return the error if it fails."""
        wanted = still_wanted(polls)
        error, left_out = await self._ask_for(wanted, patience)
        await self._ask_again(left_out, len(wanted) - len(left_out))
        return error

    # --- one request ---

    async def poll_alone(self, pending: PendingPoll, on_error: Callable[[LumaError], None] | None = None) -> None:
        """Poll one id, and hand out its answer; call *on_error* with its error, or hand that out too."""
        poller = pending.poller
        task_id, last_answer = poller.task_id, poller.last_answer
        dialect = self.transport.settings.dialect
        request = poller.request = poller.request or Request("GET", task_path(dialect, task_id), pace=Pace.USUAL)
        try:
            observation = await self.transport.exchange(
                request, lambda answer: read_poll(answer, task_id, last_answer, dialect), deadline=poller.deadline
            )
        except LumaError as error:
            self._count(1)
            (on_error or pending.refuse)(error)
            return
        self._count(1)
        now = asyncio.get_running_loop().time()
        self.support.answered_alone(task_id, now)
        pending.answer(observation, now)

    async def _ask_for(
        self, polls: list[PendingPoll], patience: float = math.inf
    ) -> tuple[LumaError | None, list[PendingPoll]]:
        """Send one batch, and hand out its answers.

        Args:
            polls: The polls; those that are not wanted any more are left out.
            patience: Seconds for the request, if these are less than ``request_timeout``.

        Returns:
            The error, if there is no answer; and the polls whose ids the answer leaves out.
        """
        polls = still_wanted(polls)
        if not polls:
            return None, []
        last_answers = {pending.poller.task_id: pending.poller.last_answer for pending in polls}
        is_many = len(last_answers) > 1
        dialect = self.transport.settings.dialect
        path, body = tasks_path(dialect), tasks_body(last_answers)
        clock = asyncio.get_running_loop()
        async with AsyncExitStack() as turn:
            request = Request("POST", path, body, asks_for_many=is_many, pace=Pace.USUAL)
            request.before_reading = partial(self._reading_turn, turn)
            try:
                observed = await self.transport.exchange(
                    request,
                    lambda answer: read_batch(answer, last_answers, dialect),
                    deadline=lambda: min(max(pending.poller.deadline() for pending in polls), clock.time() + patience),
                )
            except LumaError as error:
                self._count(len(polls))
                for pending in polls:
                    if pending.poller.request is not None:
                        pending.poller.request.admitted_at = request.admitted_at
                return error, []
            self._count(len(polls))
            now = clock.time()
            self.support.answered(observed, request.lasted, now)
            self.on_batch()
            return None, await self._hand_out(observed, polls, now)

    async def _reading_turn(self, turn: AsyncExitStack) -> None:
        """Wait until the answers before have been handed out; until *turn* is closed, others wait for this one."""
        await turn.enter_async_context(self._reading)
        if self.share.is_used_up():
            await self.share.wait()

    async def _hand_out(
        self, observed: Mapping[str, Observation], polls: list[PendingPoll], now: float
    ) -> list[PendingPoll]:
        """Give each of *polls* its answer, not too many in one turn of the event loop; return those without one."""
        left_out: list[PendingPoll] = []
        for pending in polls:
            observation = observed.get(pending.poller.task_id)
            if observation is None:
                left_out.append(pending)
            else:
                pending.answer(observation, now)
            if self.share.is_used_up():
                await self.share.wait()
        return left_out

    def _count(self, polls: int) -> None:
        """Record that a request for this number of *polls* is over, before a poller gets its result."""
        self.chance = random()  # noqa: S311 - not for secrets
        self.polls_per_request += _FORGETTING * (polls - self.polls_per_request)

    # --- ids without a row ---

    async def _ask_again(self, left_out: list[PendingPoll], answered: int) -> None:
        """Ask for ids that an answer leaves out once more together: it may have been cut short; then each alone.

        Args:
            left_out: Their polls.
            answered: The ids that the answer has rows for.
        """
        while len(left_out) > 1:
            error, still_out = await self._ask_for(left_out)
            if error is not None:
                await self._mend(still_wanted(left_out), error)
                return
            if len(still_out) == len(left_out):
                break
            if len(left_out) - len(still_out) == min(answered, len(left_out)):
                self.support.size.limit_to(answered, asyncio.get_running_loop().time())
            left_out = still_out
        left_out = still_wanted(left_out)
        self.support.left_out(_ids(left_out), had_rows=answered > 0)
        self.send_alone(left_out)

    # --- a batch that fails ---

    async def _mend(self, polls: list[PendingPoll], error: LumaError) -> None:
        """End or repeat the *polls* of a failed batch, as its *error* demands."""
        clock = asyncio.get_running_loop()
        remedy = self.support.failed(error, _ids(polls), clock.time())
        if remedy.searches and self._is_searching and error.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN):
            remedy = Remedy.REFUSE  # one search at a time, so that trouble of the relay causes few requests
        is_scouted = remedy is Remedy.SCOUT
        if is_scouted and (trouble := await self.scout(polls, error)) is not None:
            remedy, error = Remedy.REFUSE, trouble
        if remedy.searches:
            search = self.support.search(_ids(polls), error, scouted=is_scouted)
            self._is_searching = True
            try:
                polls = await _Splitter(self, search).split(polls)
            finally:
                self._is_searching = False
                remedy = self.support.searched(search, clock.time())
        if remedy is Remedy.NO_QUERY:
            error = ProtocolError(f"no batch query: {error.summary}", advice='give batch="auto" or "never"')
        if remedy in (Remedy.REFUSE, Remedy.NO_QUERY):
            refuse_all(polls, error)
        else:
            self.send_alone(still_wanted(polls))

    async def scout(self, polls: list[PendingPoll], error: LumaError) -> LumaError | None:
        """Poll one id alone, to see whether only batches fail; return the trouble that all ids have, or None.

        A refusal is about this one id, unless the key is refused as it was in the *error* of the batch.
        """
        for pending in still_wanted(polls)[:1]:
            troubles: list[LumaError] = []
            await self.poll_alone(pending, troubles.append)
            trouble = next(iter(troubles), None)
            is_common = trouble is not None and (
                trouble.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN) or type(trouble) is type(error)
            )
            if trouble is not None and not is_common:
                pending.refuse(trouble)
            return trouble if is_common else None
        return None


@define(eq=False, repr=False)
class _Splitter:
    """Splits one batch that failed."""

    requests: PollRequests
    search: Search

    async def split(self, polls: list[PendingPoll]) -> list[PendingPoll]:
        """Send both halves of *polls*, and split a half that fails; return the polls that have no result then."""
        search, middle = self.search, len(polls) // 2
        failed: list[list[PendingPoll]] = []
        rest: list[PendingPoll] = []
        for half in filter(None, map(still_wanted, (polls[:middle], polls[middle:]))):
            if not await self._fails(half):
                continue
            if search.looks_deeper_first:
                rest += await self._split_further(half)
            else:
                failed.append(half)
        if len(failed) > 1:
            if search.needs_scout:
                search.relay_works = await self.requests.scout(failed[0], search.error) is None
            if not search.goes_on:
                return [pending for half in failed for pending in half]
        for half in failed:
            rest += await self._split_further(half)
        return rest

    async def _fails(self, half: list[PendingPoll]) -> bool:
        """Send a part of a batch; return whether it failed. No part is sent any more when the search is over."""
        if self.search.is_over:
            return True
        error = await self.requests.send_part(half, self._patience)
        if error is not None:
            self.search.failed(_ids(half))
        return error is not None

    async def _split_further(self, half: list[PendingPoll]) -> list[PendingPoll]:
        """Split a part that failed; return the polls that have no result then."""
        if self.search.is_over:
            return half
        if len(half) > 1:
            return await self.split(half)
        self.requests.send_alone(still_wanted(half))
        return []

    @property
    def _patience(self) -> float:
        """The time for a part of a batch; a batch that timed out must not cost that time at each halving."""
        if isinstance(self.search.error, RequestTimeoutError):
            return max(_PATIENCE * self.requests.support.usual_time, _SHORTEST_PATIENCE)
        return math.inf


def _ids(polls: Iterable[PendingPoll]) -> list[str]:
    return [pending.poller.task_id for pending in polls]
