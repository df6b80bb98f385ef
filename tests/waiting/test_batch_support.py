"""Whether a relay has the batch query, without an event loop."""

from __future__ import annotations

import pytest

from luma_async._waiting.batch_support import BatchSupport
from luma_async.errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    LumaError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    ServerError,
    TransportError,
    Verdict,
)

IDS = ["a", "b", "c"]


def bad_gateway() -> LumaError:
    """Return a failure that passes."""
    return ServerError("no", status=502, verdict=Verdict.PASSING)


def working() -> BatchSupport:
    """Return what is known of a relay that has answered a batch."""
    support = BatchSupport("auto")
    support.answered()
    return support


@pytest.mark.parametrize(("mode", "works"), [("auto", None), ("never", False), ("always", True)])
def test_what_is_known_before_the_first_request(mode: str, works: bool | None) -> None:  # noqa: FBT001 - a case
    """The user's word, or nothing."""
    support = BatchSupport(mode)  # type: ignore[arg-type] # one of the three

    assert support.works is works
    assert support.takes("a") is (works is not False)


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("no", status=404, verdict=Verdict.UNCONFIRMED),
        APIError("no", status=405, verdict=Verdict.FINAL),
        ServerError("no", status=501, verdict=Verdict.FINAL),
        ProtocolError("elsewhere", verdict=Verdict.FINAL),
    ],
)
def test_a_relay_that_says_so_has_no_batch_query(error: LumaError) -> None:
    """Its ids are polled alone, now and later."""
    support = working()

    assert support.failed(error, IDS).error is None
    assert support.works is False


def test_a_page_is_a_no_from_a_relay_that_never_answered_a_batch() -> None:
    """From one that did, it is trouble."""
    page = ProtocolError("a page", verdict=Verdict.PASSING)
    new, known = BatchSupport("auto"), working()

    assert new.failed(page, IDS).error is None
    assert new.works is False
    assert known.failed(page, IDS).error is page
    assert known.works is True


def test_a_refused_batch_parts_its_ids() -> None:
    """They are polled alone from then on, until nobody waits for them any more; others go on together."""
    support = working()

    assert support.failed(APIError("no", status=400, verdict=Verdict.FINAL), IDS).error is None
    assert [support.takes(task_id) for task_id in (*IDS, "d")] == [False, False, False, True]
    support.forget("a")
    assert support.takes("a")


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status=401, verdict=Verdict.FINAL),
        TransportError("no", verdict=Verdict.PASSING),
        ClientClosedError("closed"),
        RateLimitError("no", status=429, verdict=Verdict.SLOW_DOWN),
        bad_gateway(),
    ],
)
def test_some_trouble_means_the_same_for_a_batch_as_for_one_id(error: LumaError) -> None:
    """Each id gets it as its own."""
    failure = working().failed(error, IDS)

    assert failure.error is error
    assert not failure.needs_scout


def test_two_failures_of_a_query_that_never_worked_are_enough() -> None:
    """The first may be an outage."""
    support = BatchSupport("auto")

    assert support.failed(bad_gateway(), IDS).error is not None
    assert support.failed(bad_gateway(), IDS).error is None
    assert support.works is False


def test_scouts_go_rarer_and_rarer() -> None:
    """In an outage each adds to the load."""
    support = working()

    scouts = [number for number in range(1, 30) if support.failed(bad_gateway(), IDS).needs_scout]

    assert scouts == [2, 5, 11, 23]


def test_two_scouts_that_return_between_failures_show_that_only_batches_fail() -> None:
    """One is no proof, and none is needed where a batch was answered since."""
    support = working()
    support.failed(bad_gateway(), IDS)
    support.scout_returned()
    assert support.works is True
    support.failed(bad_gateway(), IDS)
    support.scout_returned()

    assert support.works is False


def test_an_answered_batch_ends_all_doubt() -> None:
    """Counts start anew."""
    support = working()
    support.failed(bad_gateway(), IDS)
    support.scout_returned()
    support.answered()
    support.failed(bad_gateway(), IDS)
    support.scout_returned()

    assert support.works is True


def test_always_means_that_a_relay_without_the_query_is_an_error() -> None:
    """It names the way out."""
    support = BatchSupport("always")

    failure = support.failed(NotFoundError("no path", status=404, verdict=Verdict.FINAL), IDS)

    assert type(failure.error) is ProtocolError
    assert 'batch="auto"' in failure.error.advice
    assert support.works is True
