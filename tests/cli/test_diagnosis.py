"""What ``check`` makes of an answer about a made-up task."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from attrs import evolve
from rich.console import Console

from luma_async._network.redirects import REDIRECTED_POST
from luma_async._relay.answer import Answer
from luma_async._relay.tasks import read_batch, read_poll
from luma_async.cli.check.command import show
from luma_async.cli.check.diagnosis import CheckResult, Result, diagnose
from luma_async.cli.check.evidence import Evidence, Reply
from luma_async.errors import LumaError, ProtocolError, RequestTimeoutError, TransportError, Verdict
from tests.kit import TASK_ID, answer, sample, sample_names

UNKNOWN = answer({"code": "task_not_exist", "message": "task_not_exist", "data": None}, 400)
NOT_FOUND = answer({"detail": "Not Found"}, 404)
INVALID_URL = answer({"error": {"message": "Invalid URL (GET /luma/generations/x)"}}, 404)
PAGE = answer("<html><title>Shop</title></html>", 200, "text/html")
NO_KEY = answer({"error": {"message": "no key"}}, 401, request_id="202511-7")
NO_TASKS = answer({"code": "success", "message": "", "data": None})
GATEWAYS = [f"gateways/{path.stem}" for path in (Path(__file__).parents[1] / "samples" / "gateways").iterdir()]
FAILED_INSIDE = answer({"code": 400, "message": "fail_to_fetch_task"})
FORBIDDEN = answer("<html><title>403 Forbidden</title></html>", 403, "text/html")
LIMITED = answer("", 429, "")
NGINX = sample("gateways/nginx__503_limit_req").answer


def look(said: Answer, path: str = "") -> Reply:
    """Return the reply to a poll, or to a GET of another *path*, that was answered so."""
    try:
        read_poll(said, TASK_ID, None)
    except LumaError as error:
        return Reply(said, error, 0.01, path)
    return Reply(said, None, 0.01, path)


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


def evidence(
    poll: Answer | Reply, absent: Answer = NOT_FOUND, wrong_key: Answer = NO_KEY, wrong_both: Answer | None = None
) -> Evidence:
    """Return the answers of a relay; without more, those of a relay that knows its paths before it looks at keys."""
    return Evidence(
        poll=poll if isinstance(poll, Reply) else look(poll),
        absent=look(absent),
        elsewhere=look(absent),
        wrong_key=look(wrong_key),
        wrong_both=look(wrong_both or absent),
    )


@pytest.mark.parametrize(
    ("found", "address", "key"),
    [
        (evidence(UNKNOWN), "ok", "ok"),
        (evidence(answer({"message": "任务不存在"}, 404)), "ok", "ok"),
        (evidence(answer({"id": TASK_ID, "state": "pending"})), "ok", "ok"),
        (evidence(answer({"code": 400, "message": "fail_to_fetch_task"})), "ok", "ok"),
        (evidence(answer({"nobody": "knows these words"}, 404)), "ok", "ok"),
        (evidence(UNKNOWN, absent=PAGE), "ok", "ok"),
        (evidence(UNKNOWN, absent=NO_KEY, wrong_both=NO_KEY), "ok", "ok"),
        # A server that forbids whatever it does not have, with a page; and a firewall that steps in once.
        (evidence(UNKNOWN, absent=FORBIDDEN), "ok", "ok"),
        (evolve(evidence(UNKNOWN, absent=FORBIDDEN), elsewhere=look(NOT_FOUND)), "unsure", "ok"),
        # A proxy forwards some paths, and the relay behind it says the same to all of them.
        (evolve(evidence(UNKNOWN, absent=UNKNOWN), elsewhere=look(PAGE)), "ok", "ok"),
        (evolve(evidence(NOT_FOUND, wrong_key=NOT_FOUND), elsewhere=look(PAGE)), "unsure", "unsure"),
        # Polls are guarded by a key, other paths are not there.
        (evidence(NOT_FOUND, wrong_both=NOT_FOUND), "ok", "ok"),
        # Every key is checked before any path: the same answer may be about the task or about the path.
        (evidence(NOT_FOUND, wrong_both=NO_KEY), "unsure", "ok"),
        (evidence(NOT_FOUND, wrong_key=NOT_FOUND), "bad", "unsure"),
        (evidence(UNKNOWN, absent=UNKNOWN, wrong_key=UNKNOWN), "bad", "unsure"),
        (evidence(INVALID_URL, absent=INVALID_URL, wrong_key=INVALID_URL), "bad", "unsure"),
        (evidence(PAGE, absent=PAGE, wrong_key=PAGE), "bad", "unsure"),
        (evidence(answer("<html><title>no such task</title></html>", 404, "text/html")), "bad", "unsure"),
        # A wrong key gets the same answer.
        (evidence(UNKNOWN, wrong_key=UNKNOWN), "ok", "note"),
        (evidence(NO_KEY), "ok", "bad"),
        (evidence(NO_KEY, absent=NO_KEY, wrong_both=NO_KEY), "unsure", "bad"),
        (evidence(answer({"oops": "who are you"}, 423), wrong_key=answer({"oops": "who are you"}, 423)), "ok", "bad"),
        (evidence(answer({"say": 1}, 400), wrong_key=answer({"say": 2}, 400)), "ok", "bad"),
        (evidence(answer({"code": 401, "msg": "no"}), wrong_key=answer({"code": 401, "msg": "no"})), "ok", "bad"),
        # The key is refused in words of its own.
        (evidence(answer({"error": {"message": "no Luma for you"}}, 403)), "ok", "bad"),
        (evidence(answer({"code": "quota_not_enough", "message": "", "data": None}, 403)), "ok", "bad"),
        # It is the gateway's key that is refused.
        (evidence(answer({"detail": "Not authenticated"}, 401)), "ok", "unsure"),
        # Trouble says nothing about the address, and a wrong key is refused before it.
        (evidence(answer({"error": {"message": "no channel"}}, 503)), "unsure", "ok"),
        (evidence(LIMITED, wrong_key=LIMITED), "unsure", "unsure"),
        (evidence(LIMITED), "unsure", "unsure"),
        (evidence(NGINX, absent=NGINX, wrong_key=NGINX), "unsure", "unsure"),
        (evidence(UNKNOWN, wrong_key=NGINX), "ok", "unsure"),
        (evidence(UNKNOWN, absent=NGINX), "unsure", "ok"),
        (evidence(answer("", 501)), "bad", "ok"),
        (evidence(answer({"hello": "world"})), "unsure", "ok"),
        (evidence(*[answer({"hello": "world"})] * 3), "unsure", "unsure"),
        (evidence(FAILED_INSIDE, wrong_key=FAILED_INSIDE), "ok", "note"),
        (evidence(UNKNOWN, wrong_key=answer({"error": {"message": "trouble"}}, 500)), "ok", "unsure"),
        (evidence(silent(TransportError("no answer from a:1", verdict=Verdict.PASSING))), "bad", "unsure"),
    ],
)
def test_answers_are_compared_and_not_known_by_their_words(found: Evidence, address: str, key: str) -> None:
    """A good address answers polls otherwise than a path that cannot exist; a good key otherwise than a wrong one."""
    first, second, *_ = diagnose(found, [])

    assert (first.result, second.result) == (address, key)


ECHOES = {
    "express": ("<pre>Cannot GET {}</pre> ray 8f2a-{} at 2026-11-28T13:34:5{}.437Z", "&#x2F;", 0),
    "laravel": ('{{"message": "The route {} could not be found.", "trace": "{}c{}"}}', "/", 1),
    "spring": ('{{"timestamp": "2026-11-28T13:34:5{1}.437+00:00", "status": 404, "path": "{0}"}}', "\\/", 0),
}


@pytest.mark.parametrize(("echo", "slash", "start"), ECHOES.values(), ids=ECHOES)
def test_ids_times_and_paths_make_no_difference(echo: str, slash: str, start: int) -> None:
    """Two answers that say the same are alike, whatever they repeat of the request or count."""
    paths = [f"/luma/generations/{TASK_ID}", f"/luma/5d0f9af0/{TASK_ID}"]
    told = [path[start:].replace("/", slash) for path in paths]
    polls = [look(answer(echo.format(told[at], at, at), 404), path) for at, path in enumerate(paths)]

    assert polls[0].is_like(polls[1])
    assert not polls[0].is_like(look(answer(echo.format(told[0], 0, 0), 403), paths[0]))
    assert not polls[0].is_like(look(answer("<pre>Generation not found</pre>", 404), paths[0]))


def captured(name: str) -> Answer:
    """Return what a gateway said."""
    return sample(f"gateways/{name}").answer


_LUMA_API = {"absent": captured("luma_api__404_v1_prefix"), "wrong_key": captured("luma_api__401_wrong_key")}
_NEW_API = {"absent": captured("new_api__200_page_wrong_prefix"), "wrong_key": captured("new_api__401_no_key")}
_EXPRESS_404 = answer("<!DOCTYPE html>\n<title>Error</title><pre>Cannot GET /luma/1</pre>", 404, "text/html")
_PROXY = {"absent": _EXPRESS_404, "wrong_key": captured("web_proxy__423_no_access")}
_LITELLM = {"absent": captured("litellm__wrong_path"), "wrong_key": answer({"error": {"message": "no"}}, 401)}


@pytest.mark.parametrize(
    ("found", "query", "expected"),
    [
        (evidence(captured("luma_api__404_unknown_id"), **_LUMA_API), "luma_api__404_no_batch", "ok ok note"),
        (evidence(captured("luma_api__401_wrong_key"), **_LUMA_API), "luma_api__404_no_batch", "ok bad unsure"),
        (
            evidence(captured("luma_api__404_v1_prefix"), **{**_LUMA_API, "wrong_key": _LUMA_API["absent"]}),
            None,
            "bad unsure unsure",
        ),
        (
            evidence(captured("luma_api__get_401_upstream_cookie"), **_LUMA_API),
            "luma_api__404_no_batch",
            "ok unsure unsure",
        ),
        (
            evidence(captured("luma_api__get_500_upstream_reset"), **_LUMA_API),
            "luma_api__404_no_batch",
            "unsure ok note",
        ),
        (evidence(UNKNOWN, **_NEW_API), "new_api__tasks_none", "ok ok ok"),
        (evidence(captured("new_api__401_disabled"), **_NEW_API), "new_api__401_disabled", "ok bad unsure"),
        (evidence(captured("new_api__401_no_key"), **_NEW_API), "new_api__401_no_key", "ok bad unsure"),
        (evidence(captured("new_api__403_ip"), **_NEW_API), "new_api__403_ip", "ok bad unsure"),
        (evidence(captured("new_api__403_key_with_dash"), **_NEW_API), "new_api__403_ip", "ok bad unsure"),
        (evidence(captured("new_api__404_v1"), *[captured("new_api__404_v1")] * 2), None, "bad unsure unsure"),
        (
            evidence(*[captured("new_api__200_page_wrong_prefix")] * 3),
            "new_api__200_page_wrong_prefix",
            "bad unsure unsure",
        ),
        (evidence(captured("new_api__503_no_channel_poll"), **_NEW_API), "new_api__tasks_none", "ok ok ok"),
        (evidence(*[captured("new_api__429_rate_limit_ip")] * 3), "new_api__429_rate_limit_ip", "unsure unsure unsure"),
        (evidence(captured("express__unknown"), _EXPRESS_404, captured("express__unknown")), None, "ok note unsure"),
        (evidence(captured("litellm__wrong_path"), *[captured("litellm__wrong_path")] * 2), None, "bad unsure unsure"),
        (evidence(UNKNOWN, **_LITELLM), "new_api__tasks_none", "ok ok ok"),
        (evidence(captured("web_proxy__423_no_access"), **_PROXY), "web_proxy__423_no_access", "ok bad unsure"),
        (evidence(UNKNOWN, **_PROXY), "new_api__tasks_none", "ok ok ok"),
        (evidence(*[captured("nginx__503_limit_req")] * 3), "nginx__503_limit_req", "unsure unsure unsure"),
    ],
)
def test_every_captured_gateway_is_judged_rightly(found: Evidence, query: str | None, expected: str) -> None:
    """Address, key and batch query, by the gateway's own words about a task, a path and a key."""
    asked = evolve(found, batch=batch(captured(query)) if query else None)

    assert " ".join(row.result for row in diagnose(asked, [])[:3]) == expected


_FASTAPI = {"absent": NOT_FOUND, "unknown": answer({"detail": "Generation not found"}, 404)}
_EACH_GATEWAY = {
    "FastAPI": _FASTAPI,
    "FastAPI, same words": {"absent": NOT_FOUND, "unknown": NOT_FOUND},
    "Luma-API": {"absent": _LUMA_API["absent"], "unknown": captured("luma_api__404_unknown_id")},
    "new-api": {"absent": _NEW_API["absent"], "unknown": UNKNOWN},
    "Express": {"absent": _EXPRESS_404, "unknown": captured("express__unknown")},
    "LiteLLM": {"absent": _LITELLM["absent"], "unknown": UNKNOWN},
    "web proxy": {"absent": _EXPRESS_404, "unknown": UNKNOWN},
}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("gateway", _EACH_GATEWAY.values(), ids=_EACH_GATEWAY)
def test_a_key_is_judged_though_its_refusal_has_the_words_of_another_trouble(
    gateway: dict[str, Answer], status: int
) -> None:
    """*Not authenticated* of everybody's wrong key is about the key, and the advice leaves the other cause open."""
    refused, absent = answer({"detail": "Not authenticated"}, status), gateway["absent"]

    good = diagnose(evidence(gateway["unknown"], absent, wrong_key=refused), [])
    address, key, *_ = diagnose(evidence(refused, absent, wrong_key=refused), [])

    assert [row.result for row in good[:2]] == ["ok", "ok"]
    assert (address.result, key.result) == ("ok", "bad")
    assert "check the key: copied whole" in str(key.advice)
    assert "the relay's own session may have expired" in str(key.advice)


@pytest.mark.parametrize(
    ("poll", "advice"),
    [
        (look(INVALID_URL), "a gateway without Luma"),
        (look(answer("", 501)), "a gateway without Luma"),
        (look(PAGE), "another host"),
        (look(answer("<html>", 404, "text/html")), "another host"),
        (look(NOT_FOUND), "luma-async get ID"),
        (look(LIMITED), "in a minute"),
        (look(NGINX), "a few minutes"),
        (look(answer("<html>", 403, "text/html")), "a firewall"),
        (look(answer({"hello": "world"})), "another host"),
        (silent(TransportError("no answer from a:1", verdict=Verdict.PASSING)), "DNS"),
        (silent(RequestTimeoutError("a:1 is slow", verdict=Verdict.PASSING)), "firewall"),
        (silent(TransportError("no secure connection")), "certificate"),
        (silent(ProtocolError("the relay redirects to b: refused")), "redirects to"),
    ],
)
def test_where_nothing_can_be_compared_there_is_advice(poll: Reply, advice: str) -> None:
    """Neither address nor key is called good, and the address's row says what to do."""
    first, second, *_ = diagnose(Evidence(poll=poll), [])

    assert not first.is_good
    assert second.result == "unsure"
    assert advice in str(first.advice)


def test_a_key_that_is_refused_is_told_with_what_support_asks_for() -> None:
    """The key's row has the relay's words, what to do, and the request's id; the address is left open."""
    address, key, *_ = diagnose(evidence(NO_KEY, absent=NO_KEY), [0.01])

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
    found = diagnose(evolve(evidence(UNKNOWN), batch=batch(said)), [0.01])

    assert results(found)["batch query"] == result
    assert found[2].is_good is (result != "unsure")


@pytest.mark.parametrize(
    ("said", "result"),
    [(f"{REDIRECTED_POST} to the path /api: not followed", "note"), ("the relay redirects to b: refused", "unsure")],
)
def test_a_batch_query_that_only_moved_is_a_note(said: str, result: str) -> None:
    """Each id is polled alone; on the way to another host it is open what is wrong."""
    found = diagnose(evolve(evidence(UNKNOWN), batch=silent(ProtocolError(said, advice="give /api"))), [0.01])

    assert results(found)["batch query"] == result
    assert found[2].is_good is (result == "note")


def test_a_batch_query_that_is_answered_proves_address_and_key() -> None:
    """Where *not found* may be about the path, the answer to the other question decides."""
    same = evidence(NOT_FOUND, wrong_both=NO_KEY)

    proven = diagnose(evolve(same, batch=batch(NO_TASKS)), [0.01])
    open_ = diagnose(evolve(same, batch=batch(NOT_FOUND)), [0.01])

    assert set(results(proven).values()) == {"ok"}
    assert results(open_) == {"address": "unsure", "key": "ok", "batch query": "note", "latency": "ok"}


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
    *_, latency = diagnose(evolve(evidence(UNKNOWN), batch=batch(NO_TASKS)), times)

    assert (latency.result, latency.found, latency.seconds) == (result, found, seconds)


@pytest.mark.parametrize("name", [*sample_names(), *GATEWAYS])
def test_every_real_answer_has_a_verdict(name: str) -> None:
    """Whatever a relay is known to answer, there are four rows, and none that is bad says nothing."""
    said = sample(name).answer

    found = diagnose(evolve(evidence(said), batch=batch(said)), [0.01])

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

    show("https://relay.example", diagnose(evidence(NO_KEY), [0.01]), console)

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
