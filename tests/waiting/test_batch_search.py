"""Which ids of a failed batch make it fail, and how many ids a relay answers at once."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from math import ceil, log2
from typing import Any, cast

import pytest
from attrs import define, field

from luma_async._network.request import Request
from luma_async._network.transport import Transport
from luma_async._relay.answer import Answer
from luma_async._relay.tasks import LastAnswer, TaskAnswer
from luma_async._waiting.batch_support import BatchSupport
from luma_async._waiting.pending import PendingPoll, Poller
from luma_async._waiting.poll_requests import PollRequests
from luma_async.errors import (
    APIError,
    AuthenticationError,
    LumaError,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    Verdict,
)
from luma_async.settings import Limits, Settings
from tests.kit import answer
from tests.virtual_time import run

PANIC = ServerError("panic", status=500, verdict=Verdict.PASSING)
REFUSED = APIError("no", status=400, verdict=Verdict.FINAL)
TOO_LARGE = ProtocolError("too large", too_large=True, verdict=Verdict.PASSING)
HANG = RequestTimeoutError("did not answer in time", verdict=Verdict.PASSING)
SLOW_DOWN = RateLimitError("busy", status=429, verdict=Verdict.SLOW_DOWN)


@define(eq=False)
class Asks(Poller):
    """Wants one poll."""

    result: str = ""

    def deadline(self) -> float:
        """None."""
        return math.inf

    def on_answer(self, _: LastAnswer, __: TaskAnswer | None, ___: float, /) -> None:
        """Note it."""
        self.result = "answer"

    def on_error(self, _: LumaError) -> None:
        """Note it."""
        self.result = "error"

    def on_defect(self, defect: BaseException) -> None:
        """There is none."""
        raise defect


@define(eq=False, slots=False)
class Relay:
    """Stands where the Transport stands."""

    settings = Settings.load("https://relay.example", "sk-0123456789", Limits(), environ={})
    error: LumaError
    fails: Callable[[list[str]], bool]
    """Whether a batch of these ids fails."""
    single: LumaError | None = None
    """The error of single polls, if they fail."""
    requests: int = -1
    """Without the first batch."""

    async def exchange(self, request: Request, read: Callable[[Answer], Any], **_: Any) -> Any:
        """Answer, or raise."""
        self.requests += 1
        if request.method == "GET":
            ids, error = [request.path.rpartition("/")[2]], self.single
        else:
            ids = json.loads(request.body or b"")["ids"]
            error = self.error if self.fails(ids) else None
        if isinstance(error, RequestTimeoutError):
            await asyncio.sleep(1.0)
        if error is not None:
            raise error
        found = [{"id": task_id, "state": "pending"} for task_id in ids]
        return read(answer(found if request.method == "POST" else found[0]))


@define
class Searched:
    """How a search went."""

    requests: int
    alone: list[str]
    """Ids that were found, or whose batches were given up."""
    refused: list[str]
    """Ids that got the error."""


def searched(
    support: BatchSupport,
    error: LumaError,
    ids: list[str],
    fails: Callable[[list[str]], bool],
    *,
    single: LumaError | None = None,
) -> Searched:
    """Send a batch of *ids* that fails; *fails* says which other batches do, *single* is the error of single polls."""
    relay = Relay(error, fails, single)
    polls = [PendingPoll(Asks(task_id)) for task_id in ids]
    alone: list[PendingPoll] = []
    requests = PollRequests(cast("Transport", relay), support, alone.extend, lambda: None)
    run(requests.send_batch(polls))

    return Searched(
        relay.requests + len(alone),
        [pending.poller.task_id for pending in alone],
        [pending.poller.task_id for pending in polls if cast("Asks", pending.poller).result == "error"],
    )


def known(ids: list[str]) -> BatchSupport:
    """Return what is known of a relay that failed with these ids, and has answered another batch since."""
    support = BatchSupport("auto")
    support.failed(PANIC, ids, 0.0)
    support.answered(["another", "one"], 0.1, 0.0)
    return support


@pytest.mark.parametrize("error", [PANIC, REFUSED, SLOW_DOWN, HANG])
@pytest.mark.parametrize("count", [2, 3, 64, 100])
def test_one_bad_id_costs_two_requests_for_each_halving(error: LumaError, count: int) -> None:
    """It is found wherever it stands, the others get their answers, and batches go on with them."""
    ids = [str(number) for number in range(count)]
    for bad in {ids[0], ids[1], ids[count // 2], ids[-1]}:
        support = known(ids)
        result = searched(support, error, ids, lambda part, bad=bad: bad in part)  # type: ignore[misc]

        assert result.alone == [bad]
        assert result.refused == []
        assert result.requests <= 2 * ceil(log2(count)) + 2
        assert [task_id for task_id in ids if not support.takes(task_id, 1.0)] == [bad]
        assert support.size.most(1.0) == 100


def test_several_bad_ids_are_all_found() -> None:
    """In different halves, too."""
    ids = [str(number) for number in range(100)]

    result = searched(known(ids), PANIC, ids, lambda part: bool({"3", "60", "61"} & set(part)))

    assert result.alone == ["3", "60", "61"]
    assert result.refused == []
    assert result.requests <= 3 * (2 * 7 + 2)


@pytest.mark.parametrize("error", [REFUSED, TOO_LARGE, PANIC])
@pytest.mark.parametrize("largest", [2, 20, 60])
def test_a_limit_of_size_is_found(error: LumaError, largest: int) -> None:
    """No id is blamed; later batches have at most this size, but not less than half of it."""
    ids = [str(number) for number in range(100)]
    support = known(ids)

    result = searched(support, error, ids, lambda part: len(part) > largest)

    assert result.alone == result.refused == []
    if error is PANIC and largest == 60:
        assert support.size.most(1.0) == 100  # one failure of a whole batch may have been bad luck
    else:
        assert largest / 2 < support.size.most(1.0) <= largest
    assert all(support.takes(task_id, 1.0) for task_id in ids)


def test_a_limit_of_size_is_found_at_a_relay_that_has_answered_no_batch_yet() -> None:
    """Even if the relay answers two ids at once only."""
    ids = [str(number) for number in range(100)]
    support = BatchSupport("auto")

    searched(support, REFUSED, ids, lambda part: len(part) > 2)

    assert support.size.most(1.0) == 2


def test_a_query_whose_batches_all_fail_is_switched_off() -> None:
    """Single polls work: each id is polled alone, and none is blamed."""
    ids = [str(number) for number in range(100)]
    support = known(ids)

    result = searched(support, PANIC, ids, lambda _: True)

    assert result.refused == []
    assert result.requests - len(result.alone) <= 2 * 7 + 4
    assert support.works is False
    assert len(support._apart) == 0


def test_an_outage_costs_a_search_three_requests() -> None:
    """Both halves and one single poll fail: then each id gets the error, and batches stay on."""
    ids = [str(number) for number in range(100)]
    support = known(ids)

    result = searched(support, PANIC, ids, lambda _: True, single=PANIC)

    assert result.refused == ids
    assert result.requests == 3
    assert support.works is True


def test_a_query_that_never_worked_is_given_up_sooner() -> None:
    """One request for each halving is enough."""
    ids = [str(number) for number in range(100)]
    support = BatchSupport("auto")

    result = searched(support, REFUSED, ids, lambda _: True)

    assert sorted(result.alone) == sorted(ids)
    assert result.requests - len(result.alone) <= 8
    assert support.works is False


def test_a_relay_that_asks_to_slow_down_gets_no_more_than_both_halves() -> None:
    """If both are refused, the search ends: smaller batches would be more requests."""
    ids = [str(number) for number in range(100)]

    result = searched(known(ids), SLOW_DOWN, ids, lambda _: True)

    assert result.requests == 2
    assert result.refused == ids


def slowed_down(ids: list[str]) -> BatchSupport:
    """Return what is known of a relay that has told two batches of these ids to slow down."""
    support = known(ids)
    for now in (1.0, 2.0):
        support.failed(SLOW_DOWN, ids, now)
    return support


def test_where_only_batches_are_told_to_slow_down_ids_go_alone() -> None:
    """A single poll was answered after the same pause, so no batch will be."""
    ids = [str(number) for number in range(100)]
    support = slowed_down(ids)

    result = searched(support, SLOW_DOWN, ids, lambda _: True)

    assert sorted(result.alone) == sorted(ids[1:])  # the first one was the single poll
    assert result.requests - len(result.alone) <= 2 * ceil(log2(100)) + 2
    assert support.works is False


def test_where_large_batches_are_told_to_slow_down_they_become_smaller() -> None:
    """A limit of rows may look like a limit of requests."""
    ids = [str(number) for number in range(100)]
    support = slowed_down(ids)

    result = searched(support, SLOW_DOWN, ids, lambda part: len(part) > 20)

    assert (result.alone, result.refused) == ([], [])
    assert support.size.most(3.0) == 13
    assert support.works is True


def test_where_one_id_is_told_to_slow_down_too_all_get_the_error() -> None:
    """The relay means all requests: no further one goes out."""
    ids = [str(number) for number in range(100)]

    result = searched(slowed_down(ids), SLOW_DOWN, ids, lambda _: True, single=SLOW_DOWN)

    assert result.requests == 1
    assert result.refused == ids


@define(eq=False, slots=False)
class Forgetful(Relay):
    """Answers at most *rows* of the ids that it *knows*."""

    rows: int = 100
    unknown: frozenset[str] = frozenset()
    drops: frozenset[str] = frozenset()
    """Ids that are left out of the first answer."""
    sizes: list[int] = field(factory=list)

    async def exchange(self, request: Request, read: Callable[[Answer], Any], **_: Any) -> Any:
        """Answer."""
        self.requests += 1
        ids = json.loads(request.body or b"")["ids"]
        self.sizes.append(len(ids))
        left_out = self.unknown | (self.drops if len(self.sizes) == 1 else frozenset())
        found = [{"id": task_id, "state": "pending"} for task_id in ids if task_id not in left_out]
        return read(answer({"code": "success", "data": found[: self.rows]}))


def left_out(support: BatchSupport, ids: list[str], relay: Forgetful) -> list[str]:
    """Send a batch of *ids*; return those that are polled alone then."""
    alone: list[PendingPoll] = []
    requests = PollRequests(cast("Transport", relay), support, alone.extend, lambda: None)
    run(requests.send_batch([PendingPoll(Asks(task_id)) for task_id in ids]))
    return [pending.poller.task_id for pending in alone]


def test_an_answer_that_is_cut_short_shows_how_many_ids_fit() -> None:
    """The ids that it leaves out are asked for again, and later batches have that size."""
    ids = [str(number) for number in range(100)]
    support, relay = BatchSupport("auto"), Forgetful(PANIC, bool, rows=30)

    assert left_out(support, ids, relay) == []
    assert relay.sizes == [100, 70, 40, 10]
    assert support.size.most(1.0) == 30


@pytest.mark.parametrize(("unknown", "sizes"), [
    (["7", "8"], [100, 2]),
    ([str(number) for number in range(100)], [100, 100, 50, 25, 12]),
])  # fmt: skip
def test_ids_that_two_answers_leave_out_are_polled_alone(unknown: list[str], sizes: list[int]) -> None:
    """The second request asks for these only; if it left out all, fewer may have a row. The size of batches stays."""
    ids = [str(number) for number in range(100)]
    support, relay = BatchSupport("auto"), Forgetful(PANIC, bool, unknown=frozenset(unknown))

    assert left_out(support, ids, relay) == unknown
    assert relay.sizes == sizes
    assert support.size.most(1.0) == 100
    assert [task_id for task_id in ids if not support.takes(task_id, 1.0)] == unknown


@define(eq=False, slots=False)
class Capped(Relay):
    """Has no row for any id of a batch with more than *rows*; of others it leaves out the *unknown* ones."""

    rows: int = 20
    unknown: frozenset[str] = frozenset()
    sizes: list[int] = field(factory=list)

    async def exchange(self, request: Request, read: Callable[[Answer], Any], **_: Any) -> Any:
        """Answer."""
        ids = json.loads(request.body or b"")["ids"]
        self.sizes.append(len(ids))
        found = [{"id": task_id, "state": "pending"} for task_id in ids if task_id not in self.unknown]
        return read(answer({"code": "success", "data": found if len(ids) <= self.rows else []}))


def test_a_batch_without_any_row_is_tried_with_fewer_ids() -> None:
    """The others go in batches of this size, and so do later ones; an id without a row is polled alone."""
    ids = [str(number) for number in range(100)]
    support, relay = BatchSupport("auto"), Capped(PANIC, bool, unknown=frozenset({"3"}))

    assert left_out(support, ids, relay) == ["3"]  # type: ignore[arg-type]
    assert relay.sizes == [100, 100, 50, 25, 12, 12, 12, 12, 12, 12, 12, 12, 4]
    assert support.size.most(1.0) == 12


def test_a_first_batch_that_is_refused_shows_a_limit_of_size() -> None:
    """A batch of ten shows that the relay has the query; then the limit is looked for."""
    ids = [str(number) for number in range(100)]
    support = BatchSupport("auto")
    refusal = APIError("at most 20 ids", status=200, verdict=Verdict.FINAL)

    result = searched(support, refusal, ids, lambda part: len(part) > 20)

    assert (result.alone, result.refused) == ([], [])
    assert support.works is True
    assert 10 < support.size.most(1.0) <= 20


def test_a_relay_without_the_query_costs_one_batch_of_few() -> None:
    """It is refused, too: each id is polled alone."""
    ids = [str(number) for number in range(100)]
    support = BatchSupport("auto")
    refusal = APIError("no such route", status=404, verdict=Verdict.FINAL)

    result = searched(support, refusal, ids, lambda _: True)

    assert sorted(result.alone) == sorted(ids)
    assert result.requests - len(result.alone) == 1
    assert support.works is False


def test_one_id_that_is_left_out_is_polled_alone_at_once() -> None:
    """Another batch of one would be as much."""
    support, relay = BatchSupport("auto"), Forgetful(PANIC, bool, unknown=frozenset("7"))

    assert left_out(support, ["6", "7"], relay) == ["7"]
    assert relay.sizes == [2]


def test_a_relay_that_slows_down_one_half_gets_no_more_than_its_halves() -> None:
    """One half was answered, but the parts of the other half are all refused."""
    ids = [str(number) for number in range(100)]

    result = searched(known(ids), SLOW_DOWN, ids, lambda part: ids[50] <= part[0] or len(part) == 100)

    assert result.requests == 4
    assert result.refused == ids[50:]


def test_a_failure_that_does_not_come_again_is_not_a_limit_of_size() -> None:
    """A batch as large as one that failed was answered."""
    ids = [str(number) for number in range(100)]
    support = known(ids)
    failures = iter([True, True])

    result = searched(support, REFUSED, ids, lambda _: next(failures, False))

    assert result.alone == result.refused == []
    assert support.size.most(1.0) == 100


def test_rows_that_are_missing_at_random_are_not_a_limit_of_size() -> None:
    """The second answer has more of the missing rows than a limit would allow, or fewer."""
    ids = [str(number) for number in range(100)]
    dropped, unknown = frozenset(ids[::2]), frozenset(ids[::4])
    support, relay = BatchSupport("auto"), Forgetful(PANIC, bool, drops=dropped, unknown=unknown)

    assert left_out(support, ids, relay) == ids[::4]
    assert relay.sizes == [100, 50, 25]
    assert support.size.most(1.0) == 100


def test_larger_batches_of_late_prove_that_size_is_not_the_problem() -> None:
    """The proof is good for a minute."""
    ids = [str(number) for number in range(100)]
    support = BatchSupport("auto")
    support.answered(ids, 0.1, 0.0)
    support.size.limit_to(20, 50.0)
    before = support.size.most(50.0)
    support.size.limit_to(20, 61.0)

    assert (before, support.size.most(61.0)) == (100, 20)


@pytest.mark.parametrize("error", [AuthenticationError("no", status=401, verdict=Verdict.FINAL), PANIC])
def test_the_refusal_of_a_scout_is_its_own(error: LumaError) -> None:
    """It is about one id: the other ids are not refused with it."""
    ids = [str(number) for number in range(10)]
    support = known(ids)
    refusal = APIError("this id?", status=400, verdict=Verdict.FINAL)

    result = searched(support, error, ids, lambda _: True, single=refusal)

    assert result.refused == ["0"]
    assert sorted(result.alone) == ids[1:]


def test_a_key_that_is_refused_for_a_batch_and_for_a_scout_is_refused_for_all() -> None:
    """No further request goes out."""
    ids = [str(number) for number in range(10)]
    error = AuthenticationError("no", status=401, verdict=Verdict.FINAL)

    result = searched(known(ids), error, ids, lambda _: True, single=error)

    assert result.refused == ids
    assert result.requests == 1


def test_an_id_that_is_not_wanted_any_more_does_not_count_as_answered() -> None:
    """The limit that is learned is what the relay has answered."""
    ids = [str(number) for number in range(100)]
    support, relay = BatchSupport("auto"), Forgetful(PANIC, bool, rows=30)
    polls = [PendingPoll(Asks(task_id)) for task_id in ids]
    for pending in polls[:20]:
        pending.is_over = True
    requests = PollRequests(cast("Transport", relay), support, lambda _: None, lambda: None)
    run(requests.send_batch(polls))

    assert relay.sizes == [80, 50, 20]
    assert support.size.most(1.0) == 30
