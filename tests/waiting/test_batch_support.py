"""What batches a relay answers, without an event loop."""

from __future__ import annotations

import pytest

from luma_async._waiting.batch_size import BatchSize
from luma_async._waiting.batch_support import BatchSupport, Remedy
from luma_async.errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    TransportError,
    Verdict,
)

IDS = ["a", "b", "c", "d"]
BAD_GATEWAY = ServerError("no", status=502, verdict=Verdict.PASSING)
REFUSED = APIError("no", status=400, verdict=Verdict.FINAL)
SLOW_DOWN = RateLimitError("no", status=429, verdict=Verdict.SLOW_DOWN)
NO_TASK = NotFoundError("no task a", status=404, verdict=Verdict.UNCONFIRMED)
NO_TASK.names_task = True
TOO_LARGE = ProtocolError("too large", too_large=True, verdict=Verdict.PASSING)


def working(now: float = 0.0) -> BatchSupport:
    """Return what is known of a relay that has answered a batch."""
    support = BatchSupport("auto")
    support.answered(IDS, 0.1, now)
    return support


def takes(support: BatchSupport, now: float) -> list[str]:
    """Return which of the ids can be part of a batch."""
    return [task_id for task_id in IDS if support.takes(task_id, now)]


@pytest.mark.parametrize(("mode", "works"), [("auto", None), ("never", False), ("always", True)])
def test_what_is_known_before_the_first_request(mode: str, works: bool | None) -> None:  # noqa: FBT001 - a case
    """It is what the user says, or nothing; "never" is not tried at any time."""
    support = BatchSupport(mode)  # type: ignore[arg-type] # one of the three

    assert support.works is works
    assert support.takes("a", 1e9) is (works is not False)


# --- what a failure means ---


@pytest.mark.parametrize(
    "error",
    [
        APIError("no", status=405, verdict=Verdict.FINAL),
        ServerError("no", status=501, verdict=Verdict.FINAL),
        ProtocolError("elsewhere", verdict=Verdict.FINAL),
    ],
)
def test_a_relay_that_says_so_has_no_batch_query(error: LumaError) -> None:
    """Its ids are polled alone."""
    support = working()

    assert support.failed(error, IDS, 1.0) is Remedy.ALONE
    assert takes(support, 1.5) == []


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError("a page", verdict=Verdict.PASSING),
        NotFoundError("no path", status=404, verdict=Verdict.UNCONFIRMED),
        APIError("no", status=200, verdict=Verdict.PASSING),
    ],
)
def test_odd_answers_are_a_no_only_from_a_relay_that_never_answered_a_batch(error: LumaError) -> None:
    """From another relay they are trouble."""
    new, known = BatchSupport("auto"), working()

    assert new.failed(error, IDS, 1.0) is Remedy.ALONE
    assert known.failed(error, IDS, 1.0) is not Remedy.ALONE
    assert takes(known, 1.0) == IDS


@pytest.mark.parametrize(
    "error",
    [TransportError("no certificate", verdict=Verdict.FINAL), ClientClosedError("closed"), BAD_GATEWAY, SLOW_DOWN],
)
def test_some_trouble_means_the_same_for_a_batch_as_for_one_id(error: LumaError) -> None:
    """Each id gets it as its own, at least the first time."""
    assert working().failed(error, IDS, 1.0) is Remedy.REFUSE


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status=401, verdict=Verdict.FINAL),
        PermissionDeniedError("no", status=403, verdict=Verdict.FINAL),
    ],
)
def test_a_refused_key_may_be_about_batches_only(error: LumaError) -> None:
    """A single poll shows it; the user who wants batches always gets the error."""
    assert working().failed(error, IDS, 1.0) is Remedy.SCOUT
    assert BatchSupport("always").failed(error, IDS, 1.0) is Remedy.REFUSE


@pytest.mark.parametrize("error", [REFUSED, TOO_LARGE, NO_TASK])
def test_an_answer_to_just_this_batch_splits_it_at_once(error: LumaError) -> None:
    """A batch of one cannot be split: the id is polled alone."""
    assert working().failed(error, IDS, 1.0) is Remedy.SPLIT
    assert working().failed(error, ["a"], 1.0) is Remedy.ALONE


@pytest.mark.parametrize("error", [BAD_GATEWAY, SLOW_DOWN])
def test_trouble_that_comes_back_with_the_same_ids_splits_them(error: LumaError) -> None:
    """Other batches were answered meanwhile; ids that share a request for the first time are not suspicious."""
    support = working()
    support.failed(error, IDS, 1.0)
    support.answered(["x", "y"], 0.1, 1.5)

    assert support.failed(error, [*IDS, "e"], 2.0) is Remedy.REFUSE
    assert support.failed(error, IDS, 3.0) is Remedy.SPLIT


def test_in_an_outage_single_polls_look_more_and_more_rarely_whether_only_batches_fail() -> None:
    """Each of them adds to the load."""
    support = working()

    scouted = [n for n in range(1, 30) if support.failed(BAD_GATEWAY, IDS, float(n)) is Remedy.SCOUT]

    assert scouted == [2, 5, 11, 23]


def test_a_relay_that_asks_all_batches_to_slow_down_may_have_an_answer_for_one_id() -> None:
    """A single poll in place of the next batch shows it, and more and more rarely."""
    support = working()

    remedies = [support.failed(SLOW_DOWN, IDS, float(n)) for n in range(1, 16)]

    assert remedies[:4] == [Remedy.REFUSE, Remedy.SPLIT, Remedy.SCOUT, Remedy.SPLIT]
    assert [n for n, remedy in enumerate(remedies, 1) if remedy is Remedy.SCOUT] == [3, 7, 15]


def test_an_answered_batch_ends_all_suspicion() -> None:
    """The counts start again."""
    support = working()
    support.failed(BAD_GATEWAY, IDS, 1.0)
    support.answered(IDS, 0.1, 2.0)

    assert support.failed(BAD_GATEWAY, IDS, 3.0) is Remedy.REFUSE


def test_always_means_that_a_relay_without_the_query_is_an_error() -> None:
    """It is not switched off."""
    support = BatchSupport("always")

    assert support.failed(APIError("no path", status=405, verdict=Verdict.FINAL), IDS, 1.0) is Remedy.NO_QUERY
    assert support.works is True


def test_always_does_not_give_up_at_the_first_glitches() -> None:
    """Half an answer says nothing about the query, until some have come in a row; a good one ends that."""
    support = BatchSupport("always")
    half = ProtocolError("half an answer", verdict=Verdict.PASSING)

    remedies = [support.failed(half, IDS, float(n)) for n in range(6)]
    support.answered(IDS, 0.1, 6.0)

    assert remedies == [Remedy.REFUSE] * 4 + [Remedy.NO_QUERY] * 2
    assert support.failed(half, IDS, 7.0) is Remedy.REFUSE


# --- no conclusion is final ---


@pytest.mark.parametrize(
    ("support", "delays"),
    [
        pytest.param(working(), [1, 2, 4, 8, 16, 30, 30], id="after good batches"),
        pytest.param(BatchSupport("auto"), [60, 120, 240, 480, 960, 1920, 3600, 3600], id="never"),
    ],
)
def test_a_query_that_was_switched_off_is_tried_again(support: BatchSupport, delays: list[float]) -> None:
    """One poll is the trial; while it runs, all others go alone. Each failure doubles the delay."""
    now = 100.0
    support.failed(APIError("no", status=405, verdict=Verdict.FINAL), IDS, now)
    for delay in delays:
        assert takes(support, now + delay - 0.01) == []
        now += delay
        assert takes(support, now) == ["a"]
        assert support.failed(BAD_GATEWAY, ["a"], now) is Remedy.ALONE

    now += delays[-1]
    takes(support, now)
    support.answered(["a"], 0.1, now)
    assert takes(support, now) == IDS


def test_a_trial_that_never_ends_is_followed_by_another() -> None:
    """Its poll may have been cancelled before it was sent."""
    support = working()
    support.failed(APIError("no", status=405, verdict=Verdict.FINAL), IDS, 0.0)

    trials = [second for second in range(100) if support.takes("a", float(second))]

    assert trials == [1, 31, 61, 91]


def test_the_delay_starts_again_after_a_batch_that_worked() -> None:
    """An old outage does not make a new one longer."""
    support = working()
    for now in (0.0, 1.0, 3.0):
        support.failed(APIError("no", status=405, verdict=Verdict.FINAL), IDS, now)
    support.answered(IDS, 0.1, 10.0)
    support.failed(APIError("no", status=405, verdict=Verdict.FINAL), IDS, 20.0)

    assert takes(support, 21.0) == ["a"]


def test_an_id_that_was_left_out_rejoins_after_its_next_good_poll() -> None:
    """If it is left out again, it needs twice as many, up to sixteen."""
    support = working()
    needed: list[int] = []
    for _ in range(6):
        support.left_out(["a"])
        polls = 0
        while polls < 100 and not support.takes("a", 0.0):
            support.answered_alone("a", 0.0)
            polls += 1
        needed.append(polls)
    support.answered(IDS, 0.1, 1.0)
    support.left_out(["a"])
    support.answered_alone("a", 0.0)

    assert needed == [1, 2, 4, 8, 16, 16]
    assert support.takes("a", 1.0)


MANY = [str(number) for number in range(100)]
ENVELOPE = APIError("at most 20 ids", status=200, verdict=Verdict.FINAL)


@pytest.mark.parametrize(("error", "count", "has_worked", "remedy"), [
    (ENVELOPE, 11, False, Remedy.FEWER),
    (APIError("no", status=404, verdict=Verdict.FINAL), 11, False, Remedy.FEWER),
    (ENVELOPE, 10, False, Remedy.ALONE),
    (APIError("no", status=405, verdict=Verdict.FINAL), 11, False, Remedy.ALONE),
    (ProtocolError("a page", verdict=Verdict.PASSING), 11, False, Remedy.ALONE),
    (ENVELOPE, 11, True, Remedy.SPLIT),
])  # fmt: skip
def test_a_first_batch_that_is_refused_may_have_been_too_large(
    *, error: LumaError, count: int, has_worked: bool, remedy: Remedy
) -> None:
    """A batch of few ids shows whether the relay has the query; ten are few, and some answers are clear."""
    support = working() if has_worked else BatchSupport("auto")

    assert support.failed(error, MANY[:count], 1.0) is remedy


@pytest.mark.parametrize(("events", "most"), [
    ([(20, 1.0)], 100),
    ([(20, 1.0), (20, 1.9)], 100),
    ([(20, 1.0), (20, 2.0)], 20),
    ([(20, 1.0), (100, 1.5), (20, 2.0)], 100),
    ([(20, 1.0), (100, 1.5), (20, 2.0), (20, 3.0)], 20),
])  # fmt: skip
def test_a_limit_that_begins_later_is_believed_when_it_is_seen_again(
    events: list[tuple[int, float]], most: int
) -> None:
    """A second later, if no larger batch was answered in between; *events* of 100 ids are answers."""
    size = BatchSize(100)
    size.answered(100, 0.0)
    for ids, now in events:
        if ids == 100:
            size.answered(ids, now)
        else:
            size.limit_to(ids, now)

    assert size.most(5.0) == most


def test_an_id_that_made_batches_fail_may_join_one_again_after_a_while() -> None:
    """The delay doubles each time it does so again."""
    support = working()
    rejoined: list[float] = []
    now = 0.0
    for _ in range(3):
        support.failed(REFUSED, ["a", "b"], now)
        search = support.search(["a", "b"], REFUSED, relay_works=False)
        search.failed(["a"])
        support.answered(["b"], 0.1, 0.0)
        support.searched(search, now)
        start = now
        takes_before_a_good_poll = support.takes("a", now + 1000)
        support.answered_alone("a", now)
        while now < start + 1000 and not support.takes("a", now):
            now += 1.0
        rejoined.append(now - start)

    assert rejoined == [60.0, 120.0, 240.0]
    assert not takes_before_a_good_poll
    assert support.takes("b", 0.0)


def test_nothing_is_kept_about_an_id_that_is_forgotten() -> None:
    """Neither that it was left out, nor that it was in a failed batch; a search that ends later adds nothing."""
    support = working()
    support.left_out(["a"])
    support.failed(REFUSED, ["a", "b"], 0.0)
    search = support.search(["a", "b"], REFUSED, relay_works=False)
    support.forget("a")
    search.failed(["a"])
    support.answered(["b"], 0.1, 0.0)
    support.searched(search, 0.0)

    assert support.takes("a", 0.0)
    assert "a" not in support._suspects


def test_the_size_that_a_relay_answers_is_learned_and_tried_larger_now_and_then() -> None:
    """A larger batch that works is followed by a still larger one; one that fails doubles the delay."""
    support = working()
    support.size.limit_to(20, 0.0)
    sizes = [support.size.most(0.0), support.size.most(29.0), support.size.most(30.0), support.size.most(30.0)]
    support.size.limit_to(20, 31.0)
    sizes += [support.size.most(90.0), support.size.most(91.0)]
    support.answered([str(number) for number in range(40)], 0.1, 92.0)
    sizes += [support.size.most(92.0), support.size.most(92.0)]
    support.answered([str(number) for number in range(80)], 0.1, 93.0)
    sizes.append(support.size.most(93.0))
    support.answered([str(number) for number in range(100)], 0.1, 94.0)
    sizes.append(support.size.most(94.0))

    assert sizes == [20, 20, 40, 20, 20, 40, 80, 40, 100, 100]
