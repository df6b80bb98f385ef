"""Rule 3 without an event loop: which troubles of an id are its end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from luma_async._relay.documents import Reading
from luma_async._relay.health import Health
from luma_async._relay.search import Found
from luma_async._relay.tasks import TaskAnswer
from luma_async._waiting.progress import Progress
from luma_async.errors import (
    APIError,
    AuthenticationError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    TransportError,
    Verdict,
)
from luma_async.settings import PollPolicy
from tests.kit import limited

PENDING = TaskAnswer.of(Found({"id": "a"}, "a", "pending", [{"id": "a"}]), Reading())
POLICY = PollPolicy(max_consecutive_failures=4, max_outage=100.0)


def refusal(status: int, verdict: Verdict = Verdict.FINAL) -> APIError:
    """Return a refusal as it is read from an answer."""
    kind = {401: AuthenticationError, 403: PermissionDeniedError}.get(status, APIError)
    return kind("no", status=status, verdict=verdict)


def not_found() -> LumaError:
    """Return what a relay says that does not know the task."""
    return NotFoundError("no", status=400, verdict=Verdict.UNCONFIRMED)


def outage() -> LumaError:
    """Return a failure that passes."""
    return TransportError("no", verdict=Verdict.PASSING)


def ends_at(progress: Progress, error: int, times: Sequence[float]) -> float | None:
    """Return the first of *times* at which a refusal with the status *error* is the end."""
    return next((now for now in times if progress.failed(refusal(error), now)), None)


def begun(policy: PollPolicy = POLICY, *, good: int = 1) -> Progress:
    """Return the progress of an id with so many good polls."""
    progress = Progress(policy, Health())
    for _ in range(good):
        progress.succeeded(PENDING)
        progress.health.answered("/me", 0.0)
    return progress


EVERY_SECOND = [float(second) for second in range(1, 200)]


FINAL = (400, 401, 402, 403, 405, 406, 409, 410, 422, 423, 451)


@pytest.mark.parametrize(
    ("status", "good", "end"),
    [
        *((status, 0, 1.0) for status in FINAL),
        # Thirty seconds, counted from the first one: a gateway's own session can run out.
        *((status, 1, 31.0) for status in (400, 401, 403, 406, 409, 412, 421, 422, 423)),
        *((status, 3, 1.0) for status in (402, 405, 410, 451)),
    ],
)
def test_a_refusal_that_contradicts_a_good_answer_has_to_last(status: int, good: int, end: float) -> None:
    """Without a good answer it is the end at once; some do not come and go, so they are the end in any case."""
    assert ends_at(begun(good=good), status, EVERY_SECOND) == end


def test_a_refusal_that_contradicts_a_good_answer_has_to_come_three_times() -> None:
    """However far apart polls are; and a short outage budget bounds refusals too."""
    assert ends_at(begun(), 401, [1.0, 500.0, 1000.0]) == 1000.0
    assert ends_at(begun(PollPolicy(max_outage=5.0)), 403, EVERY_SECOND) == 6.0


@pytest.mark.parametrize(("status", "end"), [(401, 31.0), (403, 31.0), (400, 3.0), (423, 3.0), (410, 1.0)])
def test_another_ids_good_answer_is_about_the_key_alone(status: int, end: float) -> None:
    """A key that worked for another id is not refused at once; a refusal of this task is final at the third."""
    progress = begun(good=0)
    progress.health.answered("/other", 0.5)

    assert ends_at(progress, status, EVERY_SECOND) == end


def test_refusals_beside_good_answers_of_other_ids_have_to_last_longer() -> None:
    """The relay is well and the key works: the outage budget counts."""
    progress = begun(PollPolicy(max_outage=100.0, max_consecutive_failures=1000))
    ended = None
    for now in EVERY_SECOND:
        progress.health.answered("/other", now + 0.5)
        if progress.failed(refusal(401), now):
            ended = now
            break

    assert ended == 101.0


def test_a_good_poll_starts_the_count_anew() -> None:
    """Only refusals in a row count."""
    progress = begun()

    for start in (0.0, 100.0, 200.0):
        assert ends_at(progress, 401, [start + 1, start + 25]) is None
        progress.succeeded(PENDING)


def test_other_trouble_between_refusals_is_not_a_good_poll() -> None:
    """A 502 between two of them proves nothing."""
    progress = begun()

    assert not progress.failed(refusal(401), 1.0)
    assert not progress.failed(outage(), 2.0)
    assert not progress.failed(refusal(401), 3.0)
    assert progress.failed(refusal(401), 40.0)


def test_the_verdict_says_that_a_refusal_is_not_confirmed() -> None:
    """Events and the last error tell what the wait makes of it."""
    progress, error = begun(), refusal(401)

    progress.failed(error, 1.0)

    assert error.verdict is Verdict.UNCONFIRMED
    assert progress.error is error


@pytest.mark.parametrize("good", [0, 1])
def test_an_unknown_task_is_final_at_the_third_in_a_row(good: int) -> None:
    """Whatever was answered before."""
    progress = begun(good=good)

    assert [progress.failed(not_found(), float(now)) for now in range(3)] == [False, False, True]


def test_a_refusal_in_doubtful_words_is_final_at_the_third_in_a_row() -> None:
    """Before the first good answer there is nothing that it contradicts."""
    progress = begun(good=0)
    errors = [refusal(401, Verdict.UNCONFIRMED) for _ in range(3)]

    assert [progress.failed(error, float(now)) for now, error in enumerate(errors)] == [False, False, True]


@pytest.mark.parametrize("good", [0, 1])
def test_unconfirmed_refusals_have_to_come_in_a_row(good: int) -> None:
    """A refused key or another failure between them starts the count anew."""
    refused, failed = begun(good=1), begun(good=good)
    keys = [not_found(), refusal(401), not_found(), refusal(401), not_found()]
    failures = [not_found(), not_found(), outage(), not_found(), not_found()]

    assert not any(refused.failed(error, float(now)) for now, error in enumerate(keys))
    assert not any(failed.failed(error, float(now)) for now, error in enumerate(failures))


def test_server_errors_are_counted_with_all_other_failures() -> None:
    """The number of the pause grows with each."""
    progress = begun()
    for now, error in enumerate([outage(), limited(), ServerError("no", status=500, verdict=Verdict.PASSING)]):
        progress.failed(error, float(now))

    assert progress.failures == 3
    progress.succeeded(PENDING)
    assert progress.failures == 0
    assert progress.error is None
