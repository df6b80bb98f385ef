"""What ``check`` makes of an answer about a made-up task."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from luma_async._relay.answer import Answer
from luma_async._relay.tasks import read_batch, read_poll
from luma_async.cli.check.command import show
from luma_async.cli.check.diagnosis import CheckResult, Reply, Result, diagnose
from luma_async.errors import LumaError, ProtocolError, RequestTimeoutError, TransportError, Verdict
from tests.kit import TASK_ID, answer, sample, sample_names

UNKNOWN = answer({"code": "task_not_exist", "message": "task_not_exist", "data": None}, 400)
NOT_FOUND = answer({"detail": "Not Found"}, 404)
INVALID_URL = answer({"error": {"message": "Invalid URL (GET /luma/generations/x)"}}, 404)
PAGE = answer("<html><title>Shop</title></html>", 200, "text/html")
NO_KEY = answer({"error": {"message": "no key"}}, 401, request_id="202511-7")
NO_TASKS = answer({"code": "success", "message": "", "data": None})


def look(said: Answer) -> Reply:
    """Return the reply to a look that was answered so."""
    try:
        read_poll(said, TASK_ID, None)
    except LumaError as error:
        return Reply(said, error, 0.01)
    return Reply(said, None, 0.01)


def batch(said: Answer) -> Reply:
    """Return the reply to a batch query that was answered so."""
    try:
        read_batch(said, {TASK_ID: None})
    except LumaError as error:
        return Reply(said, error, 0.01)
    return Reply(said, None, 0.01)


def silent(error: LumaError) -> Reply:
    """Return the reply where no whole answer came."""
    return Reply(None, error, 0.01)


def results(found: list[CheckResult]) -> dict[str, str]:
    """Return the results by the names of the checks."""
    return {row.check: row.result for row in found}


@pytest.mark.parametrize(
    ("reply", "address", "key", "advice"),
    [
        (look(UNKNOWN), "ok", "ok", None),
        (look(answer({"message": "任务不存在"}, 404)), "ok", "ok", None),
        (look(answer({"id": TASK_ID, "state": "pending"})), "ok", "ok", None),
        (look(answer({"code": 400, "message": "fail_to_fetch_task"})), "ok", "ok", None),
        (look(NOT_FOUND), "unsure", "unsure", "luma-async get ID"),
        (look(INVALID_URL), "bad", "unsure", "a gateway without Luma"),
        (look(answer("", 501)), "bad", "unsure", "a gateway without Luma"),
        (look(PAGE), "bad", "unsure", "another host"),
        (look(answer("<html><title>no such task</title></html>", 404, "text/html")), "bad", "unsure", "another host"),
        (look(NO_KEY), "unsure", "bad", "fix the key"),
        (look(answer({"error": {"message": "no Luma for you"}}, 403)), "unsure", "bad", "fix the key"),
        (look(answer({"code": "quota_not_enough", "message": "", "data": None}, 403)), "unsure", "bad", "the key"),
        (look(answer("", 429, "")), "unsure", "unsure", "in a minute"),
        (look(answer({"error": {"message": "no channel"}}, 503)), "unsure", "unsure", "a few minutes"),
        (look(answer({"hello": "world"})), "unsure", "unsure", "another host"),
        (silent(TransportError("no answer from a:1", verdict=Verdict.PASSING)), "bad", "unsure", "DNS"),
        (silent(RequestTimeoutError("a:1 is slow", verdict=Verdict.PASSING)), "bad", "unsure", "firewall"),
        (silent(TransportError("no secure connection")), "bad", "unsure", "certificate"),
        (silent(ProtocolError("the relay redirects to b: refused")), "bad", "unsure", "redirects to"),
    ],
)
def test_each_kind_of_answer_has_its_verdict(reply: Reply, address: str, key: str, advice: str | None) -> None:
    """What a look at a made-up task brings says whether the address and the key are good, and what to do."""
    first, second, *_ = diagnose(reply, None, [])

    assert (first.result, second.result) == (address, key)
    assert advice is None if first.advice is None else str(advice) in first.advice


def test_a_key_that_is_refused_is_told_with_what_support_asks_for() -> None:
    """The key's row has the relay's words, what to do, and the request's id; the address is left open."""
    address, key, *_ = diagnose(look(NO_KEY), batch(NO_KEY), [0.01])

    assert "only a good key can show" in address.found
    assert ("no key" in key.found, key.request_id) == (True, "202511-7")
    assert "LUMA_API_KEY" in str(key.advice)


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (NO_TASKS, "ok"),
        (answer([]), "ok"),
        (PAGE, "note"),
        (answer("", 405), "note"),
        (INVALID_URL, "note"),
        (answer({"error": {"message": "no channel"}}, 503), "unsure"),
    ],
)
def test_a_relay_without_the_batch_query_is_a_good_one(said: Answer, result: str) -> None:
    """A batch query that nobody knows is a note and no fault; trouble on the way leaves it open."""
    found = diagnose(look(UNKNOWN), batch(said), [0.01])

    assert results(found)["batch query"] == result
    assert found[2].is_good is (result != "unsure")


def test_a_batch_query_that_is_answered_proves_address_and_key() -> None:
    """Where *not found* may be about the path, the answer to the other question decides."""
    proven = diagnose(look(NOT_FOUND), batch(NO_TASKS), [0.01])
    open_ = diagnose(look(NOT_FOUND), batch(NOT_FOUND), [0.01])

    assert set(results(proven).values()) == {"ok"}
    assert results(open_) == {"address": "unsure", "key": "unsure", "batch query": "unsure", "latency": "ok"}


@pytest.mark.parametrize(
    ("times", "result", "found", "seconds"),
    [
        ([0.3, 0.02, 0.04], "ok", "40 ms, the median of 3 polls; the first took 300 ms", 0.04),
        ([0.02], "ok", "20 ms", 0.02),
        ([2.5], "note", "2500 ms", 2.5),
        ([], "unsure", "not checked", None),
    ],
)
def test_the_latency_is_a_median(times: list[float], result: str, found: str, seconds: float | None) -> None:
    """One slow look, such as the first with its handshakes, does not make a relay slow."""
    *_, latency = diagnose(look(UNKNOWN), batch(NO_TASKS), times)

    assert (latency.result, latency.found, latency.seconds) == (result, found, seconds)


@pytest.mark.parametrize("name", sample_names())
def test_every_real_answer_has_a_verdict(name: str) -> None:
    """Whatever a relay is known to answer, there are four rows, and none that is bad says nothing."""
    said = sample(name).answer

    found = diagnose(look(said), batch(said), [0.01])

    assert [row.check for row in found] == ["address", "key", "batch query", "latency"]
    assert all(row.found and (row.advice or row.result is Result.OK) for row in found)


def test_a_row_is_a_line_of_json() -> None:
    """The fields are those that the page documents, in ASCII."""
    row = CheckResult(check="key", result=Result.BAD, found="无效", advice="check it")

    assert json.loads(row.line()) == {
        "check": "key",
        "result": "bad",
        "found": "无效",
        "advice": "check it",
        "seconds": None,
        "request_id": None,
    }
    assert row.line().isascii()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_report_fits_the_terminal(width: int) -> None:
    """No line is longer than the terminal is wide, and no word of a row is lost."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)

    show("https://relay.example", diagnose(look(NO_KEY), batch(NO_KEY), [0.01]), console)

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    words = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert all(part in words for part in ("key bad", "HTTP 401: no key", "check the key: copied whole", "202511-7"))


def test_nothing_that_a_relay_says_is_obeyed() -> None:
    """Escapes and markup in an answer come out as text."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
    told = CheckResult(check="key", result=Result.BAD, found="\x1b[2J[bold]no", advice="a", request_id="\x1b]8;;x\x07")

    show("https://relay.example", [told], console)

    assert isinstance(console.file, io.StringIO)
    assert r"\x1b[2J[bold]no" in console.file.getvalue()
    assert "\x1b" not in console.file.getvalue()
