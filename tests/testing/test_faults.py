"""Scripted trouble: what each fault is, and whose turn it is."""

import json

import pytest

from luma_async.testing import Fault
from luma_async.testing.exchange import Kind, Reply
from luma_async.testing.faults import Troubles

FIRST, SECOND = Fault.http(500), Fault.http(503)


def troubled(times: int | None = 1, task_id: str | None = None, on: Kind | None = None) -> Troubles:
    """Make a queue with one fault in it."""
    troubles = Troubles()
    troubles.add(FIRST, times=times, task_id=task_id, on=on)
    return troubles


def test_faults_come_one_by_one_in_the_order_given() -> None:
    """Each is used up as often as it was asked for, then comes the next, then none."""
    troubles = troubled(times=2)
    troubles.add(SECOND, times=1, task_id=None, on=None)

    taken = [troubles.take("look", ["a"]) for _ in range(4)]

    assert taken == [FIRST, FIRST, SECOND, None]


def test_trouble_without_a_count_goes_on_until_it_is_calmed() -> None:
    """None means for ever."""
    troubles = troubled(times=None)
    before = [troubles.take("look", ["a"]) for _ in range(100)]

    troubles.clear()

    assert before == [FIRST] * 100
    assert troubles.take("look", ["a"]) is None


def test_trouble_of_one_task_leaves_the_others_alone() -> None:
    """Only a request about the task meets it, alone or among others."""
    troubles = troubled(times=2, task_id="a")

    taken = [troubles.take("look", ["b"]), troubles.take("look", ["a"]), troubles.take("batch", ["b", "a"])]

    assert taken == [None, FIRST, FIRST]


def test_trouble_of_one_task_can_be_calmed_alone() -> None:
    """What was scripted for others stays."""
    troubles = troubled(task_id="a")
    troubles.add(SECOND, times=1, task_id="b", on=None)

    troubles.clear("a")

    assert [troubles.take("look", ["a"]), troubles.take("look", ["b"])] == [None, SECOND]


@pytest.mark.parametrize("kind", ["look", "batch", "submit", "extend", "link", "unknown"])
def test_trouble_of_no_kind_meets_every_request_but_those_for_media(kind: Kind) -> None:
    """Files live on another server in real life."""
    troubles = troubled()

    assert troubles.take("media", ["a"]) is None
    assert troubles.take(kind, ["a"]) == FIRST


def test_trouble_of_one_kind_meets_only_that() -> None:
    """A fault for media waits for a request for media."""
    troubles = troubled(on="media")

    assert troubles.take("look", ["a"]) is None
    assert troubles.take("media", ["a"]) == FIRST


@pytest.mark.parametrize("times", [0, -1])
def test_a_fault_that_never_comes_is_refused(times: int) -> None:
    """It would be a test that tests nothing."""
    with pytest.raises(ValueError, match="at least once"):
        troubled(times=times)


def test_a_body_of_bytes_is_sent_as_it_is() -> None:
    """Without a type of its own: even that can be wrong."""
    assert Fault.http(520, b"<html>", {"Server": "cdn"}).reply == Reply(
        status=520, body=b"<html>", headers={"Server": "cdn"}
    )


def test_any_other_body_is_sent_as_json() -> None:
    """Headers given win over the usual ones."""
    reply = Fault.http(500, {"a": 1}, {"Content-Type": "text/plain"}).reply

    assert reply == Reply(status=500, body=b'{"a": 1}', headers={"Content-Type": "text/plain"})


@pytest.mark.parametrize(
    ("fault", "status", "holds"),
    [
        (Fault.bad_gateway(), 502, "fail_to_fetch_task"),
        (Fault.saturated(), 403, "upstream_load_saturated"),
        (Fault.error_inside_200(), 200, '"code": 400'),
        (Fault.error_inside_200("quota_not_enough", "no"), 200, "quota_not_enough"),
    ],
)
def test_the_relays_own_complaints_have_its_words(fault: Fault, status: int, holds: str) -> None:
    """Status and code are those of real relays, as JSON."""
    assert fault.reply is not None
    assert (fault.reply.status, type(json.loads(fault.reply.body))) == (status, dict)
    assert holds in fault.reply.body.decode()


@pytest.mark.parametrize(
    ("hint", "headers"), [(None, {}), (2, {"Retry-After": "2"}), ("soon", {"Retry-After": "soon"})]
)
def test_a_rate_limit_has_an_empty_body_and_perhaps_a_hint(hint: str | float | None, headers: dict[str, str]) -> None:
    """The hint is sent as it was given, usable or not."""
    assert Fault.rate_limited(hint).reply == Reply(status=429, headers=headers)


def test_a_page_is_html_with_status_200() -> None:
    """As a gateway without Luma answers."""
    reply = Fault.html_page().reply

    assert reply is not None
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.body.startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.connection_reset(), Fault(reset=True)),
        (Fault.another_task(), Fault(stranger=True)),
        (Fault.slow(1.5), Fault(delay=1.5)),
        (Fault.cut_body(7), Fault(cut_after=7)),
    ],
)
def test_faults_of_the_connection_leave_the_answer_as_it_is(fault: Fault, expected: Fault) -> None:
    """They change one thing each."""
    assert fault == expected


def test_a_fault_of_negative_time_is_refused() -> None:
    """Nothing comes before it was asked for."""
    with pytest.raises(ValueError, match="delay"):
        Fault.slow(-1)
