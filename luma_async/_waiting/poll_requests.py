"""The requests for polls: one id or a batch; a batch that fails is split until it does no more harm."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain, compress
from random import random

from attrs import define, field

from luma_async._network.request import Pace, Request
from luma_async._network.transport import Transport
from luma_async._relay.requests import task_path, tasks_body, tasks_path
from luma_async._relay.tasks import Observation, read_batch, read_poll
from luma_async._waiting.batch_search import Search
from luma_async._waiting.batch_support import FEW, BatchSupport, Remedy
from luma_async._waiting.pending import PendingPoll, refuse_all, still_wanted
from luma_async._waiting.turns import TurnShare
from luma_async.errors import LumaError, ProtocolError, RequestTimeoutError, Verdict

_FORGETTING = 0.01
"""Weight of the newest request in the mean number of polls per request."""
_PARTS = 4
"""Parts that a batch that timed out is split into: they cost as many requests as halves, and half the time."""


@define(frozen=True)
class Failure:
    """A batch that failed."""

    error: LumaError
    sent_at: float


@define(eq=False, repr=False)
class _Searches:
    """The searches under way."""

    count: int = 0
    is_known: asyncio.Event = field(factory=asyncio.Event)
    """Not set while the first parts of a batch that hung show whether the relay works: other such batches wait."""

    def __attrs_post_init__(self) -> None:
        self.is_known.set()


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
    searches: _Searches = field(factory=_Searches)
    _reading: asyncio.Lock = field(factory=asyncio.Lock)
    """Held while one answer about many ids is read and handed out: the others wait unread, which takes less memory."""

    @property
    def longest(self) -> float:
        """The most seconds for a request."""
        return self.transport.settings.limits.request_timeout

    async def send_batch(self, polls: list[PendingPoll]) -> None:
        """Poll many ids with one request, or with more if it fails or leaves ids out."""
        failure = await self.send_part(polls, self.support.patience(self.longest))
        if failure is not None:
            await _Mender(self).mend(still_wanted(polls), failure)

    async def send_part(self, polls: list[PendingPoll], patience: float = math.inf) -> Failure | None:
        """Poll many ids with one request, or with more if its answer leaves ids out; return its failure, if it fails.

        Args:
            polls: The polls.
            patience: Seconds for the request, if these are less than ``request_timeout``.
        """
        wanted = still_wanted(polls)
        failure, left_out = await self._ask_for(wanted, patience)
        await self._ask_again(left_out, len(wanted) - len(left_out))
        return failure

    # --- one request ---

    async def poll_alone(
        self,
        pending: PendingPoll,
        on_error: Callable[[LumaError], None] | None = None,
        patience: float = math.inf,
    ) -> None:
        """Poll one id, and hand out its answer; call *on_error* with its error, or hand that out too."""
        poller = pending.poller
        task_id, last_answer = poller.task_id, poller.last_answer
        dialect, clock = self.transport.settings.dialect, asyncio.get_running_loop()
        request = poller.request = poller.request or Request("GET", task_path(dialect, task_id), pace=Pace.USUAL)
        try:
            observation = await self.transport.exchange(
                request,
                lambda answer: read_poll(answer, task_id, last_answer, dialect),
                deadline=lambda: min(poller.deadline(), clock.time() + patience),
            )
        except LumaError as error:
            self._count(1)
            (on_error or pending.refuse)(error)
            return
        self._count(1)
        now = clock.time()
        self.support.answered_alone(task_id, now)
        pending.answer(observation, now)

    async def _ask_for(
        self, polls: list[PendingPoll], patience: float = math.inf
    ) -> tuple[Failure | None, list[PendingPoll]]:
        """Send one batch, and hand out its answers.

        Args:
            polls: The polls; those that are not wanted any more are left out.
            patience: Seconds for the request, if these are less than ``request_timeout``.

        Returns:
            The failure, if there is no answer; and the polls whose ids the answer leaves out.
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
                return Failure(error, math.inf if request.admitted_at is None else request.admitted_at), []
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
            failure, still_out = await self._ask_for(left_out)
            if failure is not None:
                await _Mender(self).mend(still_wanted(left_out), failure)
                return
            if len(still_out) == len(left_out):
                break
            if len(left_out) - len(still_out) == min(answered, len(left_out)):
                self.support.size.limit_to(answered, asyncio.get_running_loop().time())
            left_out = still_out
        left_out = still_wanted(left_out)
        if not answered:
            left_out = await self._ask_for_fewer(left_out)
        self.support.left_out(_ids(left_out))
        self.send_alone(left_out)

    async def _ask_for_fewer(self, left_out: list[PendingPoll]) -> list[PendingPoll]:
        """Ask for fewer and fewer ids of a batch without any row: it may have been too large for the relay.

        Return the polls that have no row then.
        """
        size, count = len(left_out), len(left_out)
        while (size := size // 2) >= FEW:
            failure, still_out = await self._ask_for(left_out[:size])
            if failure is not None:
                break
            if len(still_out) < size:
                self.support.size.limit_to(size, asyncio.get_running_loop().time())
                for at in range(size, count, size):
                    await self.send_batch(left_out[at : at + size])
                return still_wanted(still_out)
        return still_wanted(left_out)


@define(eq=False, repr=False)
class _Mender:
    """Ends or repeats the polls of batches that failed."""

    requests: PollRequests

    async def mend(self, polls: list[PendingPoll], failure: Failure) -> None:
        """End or repeat the *polls* of a failed batch, as its error demands."""
        clock, error = asyncio.get_running_loop(), failure.error
        hangs, support = isinstance(error, RequestTimeoutError), self.requests.support
        has_waited = hangs and not self.requests.searches.is_known.is_set()
        if has_waited:
            await self.requests.searches.is_known.wait()
        relay_works = support.relay_worked_since(failure.sent_at)
        remedy = support.failed(error, _ids(polls), clock.time(), relay_works=relay_works)
        is_passing = error.verdict in (Verdict.PASSING, Verdict.SLOW_DOWN)
        if remedy.searches and self.requests.searches.count and is_passing and not hangs:
            remedy = Remedy.REFUSE  # one search at a time, so that trouble of the relay causes few requests
        if remedy is Remedy.SPLIT and has_waited and not relay_works:
            remedy = Remedy.REFUSE  # the parts of another batch have just shown that nothing works
        if remedy is Remedy.FEWER:
            remedy, error = await self._remedy_by_few(polls, error)
        is_scouted = remedy is Remedy.SCOUT
        if is_scouted and (trouble := await self.scout(polls, error)) is not None:
            remedy, error = Remedy.REFUSE, trouble
        if remedy.searches:
            remedy, polls = await self._searched(polls, error, relay_works=is_scouted or relay_works)
        if remedy is Remedy.NO_QUERY:
            error = ProtocolError(f"no batch query: {error.summary}", advice='give batch="auto" or "never"')
        if remedy in (Remedy.REFUSE, Remedy.NO_QUERY):
            refuse_all(polls, error)
        else:
            self.requests.send_alone(still_wanted(polls))

    async def _remedy_by_few(self, polls: list[PendingPoll], error: LumaError) -> tuple[Remedy, LumaError]:
        """Return what the *error* of the first batch means for *polls*, by a batch of few of them; and whose error."""
        support = self.requests.support
        few = still_wanted(polls)[:FEW]
        failure = await self.requests.send_part(few)
        if failure is None:
            return Remedy.SPLIT, error
        return support.failed(failure.error, _ids(few), asyncio.get_running_loop().time()), failure.error

    async def _searched(
        self, polls: list[PendingPoll], error: LumaError, *, relay_works: bool
    ) -> tuple[Remedy, list[PendingPoll]]:
        """Find out which ids made a batch fail; return the polls that have no result, and what *error* means for them.

        Args:
            polls: Those of the batch.
            error: Its error.
            relay_works: Whether the relay has just answered another request.
        """
        search = self.requests.support.search(_ids(polls), error, relay_works=relay_works)
        self.requests.searches.count += 1
        if isinstance(error, RequestTimeoutError) and not relay_works:
            self.requests.searches.is_known.clear()
        try:
            rest = await _Splitter(self, search).split(polls)
        finally:
            self.requests.searches.count -= 1
            self.requests.searches.is_known.set()
            remedy = self.requests.support.searched(search, asyncio.get_running_loop().time())
        return remedy, rest

    async def scout(self, polls: list[PendingPoll], error: LumaError) -> LumaError | None:
        """Poll one id alone, to see whether only batches fail; return the trouble that all ids have, or None.

        A refusal is about this one id, unless the key is refused as it was in the *error* of the batch.
        """
        wanted = still_wanted(polls)
        hangs = isinstance(error, RequestTimeoutError)
        patience = self.requests.support.time.patience(self.requests.longest) if hangs else math.inf
        at = int(self.requests.chance * len(wanted)) if hangs else 0
        for pending in wanted[at : at + 1]:
            troubles: list[LumaError] = []
            await self.requests.poll_alone(pending, troubles.append, patience)
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

    mender: _Mender
    search: Search

    async def split(self, polls: list[PendingPoll]) -> list[PendingPoll]:
        """Send the parts of *polls*, and split a part that fails; return the polls that have no result then."""
        return await (self._split_at_once(polls) if self._is_hang else self._split_in_turn(polls))

    async def _split_at_once(self, polls: list[PendingPoll]) -> list[PendingPoll]:
        """Send the parts at the same time: each that hangs takes its time, and no other has to wait for it."""
        parts = [polls[at::_PARTS] for at in range(min(_PARTS, len(polls)))]
        fails = await asyncio.gather(*map(self._fails, parts))
        failed = list(compress(parts, fails))
        if not await self._goes_on(failed):
            return _joined(failed)
        self.mender.requests.searches.is_known.set()
        return _joined(await asyncio.gather(*map(self._split_further, failed)))

    async def _split_in_turn(self, polls: list[PendingPoll]) -> list[PendingPoll]:
        """Send one half after the other: trouble that passes gets no more requests than it has to."""
        middle = len(polls) // 2
        failed: list[list[PendingPoll]] = []
        rest: list[PendingPoll] = []
        for half in filter(None, map(still_wanted, (polls[:middle], polls[middle:]))):
            if not await self._fails(half):
                continue
            if self.search.looks_deeper_first:
                rest += await self._split_further(half)
            else:
                failed.append(half)
        if not await self._goes_on(failed):
            return _joined(failed)
        for half in failed:
            rest += await self._split_further(half)
        return rest

    async def _goes_on(self, failed: list[list[PendingPoll]]) -> bool:
        """Whether to look into the parts that have *failed*: not where nothing works."""
        if len(failed) > 1 and self.search.needs_scout:
            self.search.relay_works = await self.mender.scout(failed[0], self.search.error) is None
        return len(failed) <= 1 or self.search.goes_on

    async def _fails(self, half: list[PendingPoll]) -> bool:
        """Send a part of a batch; return whether it failed. No part is sent any more when the search is over."""
        if self.search.is_over:
            return True
        requests = self.mender.requests
        patience = requests.support.time.patience_for_a_part(requests.longest) if self._is_hang else math.inf
        failure = await requests.send_part(half, patience)
        if failure is not None and self._is_hang and not isinstance(failure.error, RequestTimeoutError):
            await self.mender.mend(still_wanted(half), failure)
            return False
        if failure is not None:
            self.search.failed(_ids(half))
        return failure is not None

    async def _split_further(self, half: list[PendingPoll]) -> list[PendingPoll]:
        """Split a part that failed; return the polls that have no result then."""
        if self.search.is_over:
            return half
        if len(half) > 1:
            return await self.split(half)
        self.mender.requests.send_alone(still_wanted(half))
        return []

    @property
    def _is_hang(self) -> bool:
        return isinstance(self.search.error, RequestTimeoutError)


def _ids(polls: Iterable[PendingPoll]) -> list[str]:
    return [pending.poller.task_id for pending in polls]


def _joined(parts: Iterable[list[PendingPoll]]) -> list[PendingPoll]:
    return list(chain.from_iterable(parts))
