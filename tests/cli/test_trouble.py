"""What a bystander reads of a relay in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from attrs import define, field

from luma_async import (
    Generation,
    GenerationFailedError,
    GenerationOptions,
    Limits,
    LumaClient,
    LumaError,
    Outcome,
    State,
)
from luma_async._network.session import Network
from luma_async._relay.refusals import not_a_relay, refusal
from luma_async.cli.check.command import check
from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids
from luma_async.cli.naming import ResumeCommand
from luma_async.cli.options import Lines, Output, Waiting
from luma_async.cli.rows import Rows
from luma_async.cli.show import Board
from luma_async.cli.submitting import Submissions, Submitter, submit
from luma_async.cli.summary import Summary
from luma_async.cli.trouble import Trouble
from luma_async.cli.work import list_recent, open_job, poll_once, run_job
from luma_async.errors import TransportError, Verdict
from luma_async.events import CooldownEnded, CooldownStarted, PollFailed, StateChanged, WaitEnded, WaitStarted
from luma_async.settings import Settings
from luma_async.testing import FastTime, Fault, SimulatedRelay
from tests.kit import answer

REFUSED = TransportError("no answer from 127.0.0.1:1: Connect call failed ('127.0.0.1', 1)", verdict=Verdict.PASSING)


@define(eq=False)
class Watched:
    """Trouble on a clock that is set."""

    now: float = 0.0
    good: int = 0
    trouble: Trouble = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.trouble = Trouble(lambda: self.now, lambda: self.good, relay="127.0.0.1:1")

    def fail(self, at: float, error: LumaError = REFUSED, task_id: str = "a") -> None:
        """Let a poll fail."""
        self.now = at
        self.trouble.note(PollFailed(task_id=task_id, error=error, failures=1))

    def see(self, at: float, word: str, state: State = State.UNKNOWN, task_id: str = "a") -> None:
        """Let a poll see another state."""
        self.now = at
        self.trouble.note(StateChanged(task_id=task_id, before=None, state_text=word, state=state, request_id=None))

    def end(self, at: float, error: LumaError | None, task_id: str = "a") -> None:
        """Let a wait end."""
        self.now = at
        done = Generation(id=task_id, state=State.COMPLETED, state_text="completed")
        outcome = Outcome(task_id=task_id, generation=None if error else done, error=error)
        self.trouble.note(WaitEnded(task_id=task_id, outcome=outcome, waiting=0))

    def lines(self, at: float) -> list[str]:
        """Return what is wrong at that time."""
        self.now = at
        return list(self.trouble.lines())


def test_a_relay_that_hangs_is_told_before_its_first_failure() -> None:
    """After five seconds; the time of a failure that follows runs from the start, too."""
    watched = Watched()
    watched.trouble.note(WaitStarted(task_id="a", waiting=1))

    assert watched.lines(4.9) == []
    assert watched.lines(12.0) == ["no answer from 127.0.0.1:1 for 12 s"]
    watched.fail(30.0)
    assert watched.lines(31.0)[0].startswith("no answer from 127.0.0.1:1 for 31 s")


def test_a_relay_that_has_answered_is_not_silent() -> None:
    """A poll that sees no change has no event."""
    watched = Watched()
    watched.trouble.note(WaitStarted(task_id="a", waiting=1))
    watched.good = 1

    assert watched.lines(6.0) == watched.lines(60.0) == []
    watched.fail(70.0)
    assert "for 1 s" in watched.lines(71.0)[0]


def refused(status: int, body: object = b"") -> LumaError:
    """Return the error of an answer."""
    return refusal(answer(body, status=status))


def test_no_answer_lasts_from_the_first_failure_on() -> None:
    """Further failures, also of other ids and of other kinds, do not start the time again."""
    watched = Watched()
    watched.fail(10.0, refused(502))
    watched.fail(20.0, task_id="b")

    assert watched.lines(22.4) == ["no answer from 127.0.0.1:1 for 12 s: Connect call failed ('127.0.0.1', 1)"]
    assert watched.lines(200.0)[0].startswith("no answer from 127.0.0.1:1 for 3 min 10 s")


def test_a_page_says_what_to_check() -> None:
    """The advice follows the time."""
    watched = Watched()
    watched.fail(0.0, not_a_relay(answer(b"<html><title>Console</title></html>")))

    assert watched.lines(30.0) == [
        (
            "the relay answered with a web page instead of JSON (Console) for 30 s "
            "(check LUMA_BASE_URL or --base-url: this address may not be a relay with Luma)"
        )
    ]


def test_a_refusal_has_its_status_and_the_options_of_the_command_line() -> None:
    """The advice speaks of options, not of the library's arguments."""
    watched = Watched()
    watched.fail(0.0, refused(401, {"error": {"message": "invalid token"}}))
    key = watched.lines(5.0)[0]
    watched.fail(6.0, refused(429))

    assert key.startswith("the relay answered HTTP 401 for 5 s: invalid token")
    assert "--key-file" in key
    assert watched.lines(7.0) == ["the relay answered HTTP 429 for 7 s (send fewer requests: --requests-per-second)"]


def test_slow_down_counts_down_and_says_how_long_it_lasts() -> None:
    """The refusals of single ids have no second line then; after the pause the count stays at zero."""
    watched = Watched()
    error = refused(429)
    watched.trouble.note(CooldownStarted(seconds=8.0, error=error))
    watched.fail(0.0, error)
    first = watched.lines(0.0)
    watched.now = 9.0
    watched.trouble.note(CooldownStarted(seconds=15.0, error=error))

    advice = "the relay answered HTTP 429 (send fewer requests: --requests-per-second)"
    assert first == [f"the relay says slow down: 8 s left; for 0 s now, {advice}"]
    assert watched.lines(14.0) == [f"the relay says slow down: 10 s left; for 14 s now, {advice}"]
    assert watched.lines(99.0)[0].startswith("the relay says slow down: 0 s left; for 1 min 39 s now")

    watched.trouble.note(CooldownEnded(seconds=99.0))

    assert watched.lines(100.0) == []
    assert list(watched.trouble.past()) == ["trouble before: the relay said slow down, 1 min 39 s in all"]


def test_unknown_states_have_their_word_and_number() -> None:
    """An id that moves on or ends is not counted any more; escapes are text, and many words are cut at three."""
    watched = Watched()
    for number in range(4):
        watched.see(number, "polishing", task_id=f"{number}")
    watched.see(5.0, "completed", State.COMPLETED, task_id="0")
    watched.end(6.0, None, task_id="1")

    watched.trouble.note(WaitEnded(task_id="2", outcome=None, waiting=0))  # by a signal, whose report comes later

    assert watched.lines(60.0) == ["unknown state 'polishing' for 1 min: 2 ids, polling goes on"]

    for number in range(2, 9):
        watched.see(61.0, f"\x1b[2J{number}", task_id=f"{number}")

    assert watched.lines(61.0)[0] == r"unknown state '\x1b[2J2' for 0 s: 1 id, polling goes on"
    assert watched.lines(61.0)[3:] == ["4 more ids in other unknown states"]


def test_any_good_answer_ends_the_trouble() -> None:
    """A change of state, an end, a failed generation, or a good poll without a change, which has no event."""
    failed = GenerationFailedError(Generation(id="a", state=State.FAILED, state_text="failed"))
    for good in ("state", "end", "failed", "unchanged"):
        watched = Watched(good=7)
        watched.fail(0.0)
        if good == "state":
            watched.see(3.0, "processing", State.PROCESSING)
        elif good == "unchanged":
            watched.good += 1
        else:
            watched.end(3.0, failed if good == "failed" else None)

        assert watched.lines(4.0) == [], good
        past = "trouble before: no answer from 127.0.0.1:1, "
        assert [line.startswith(past) for line in watched.trouble.past()] == [True]


def test_a_good_poll_before_the_failure_ends_nothing() -> None:
    """Trouble that starts after good polls lasts, however late anybody looks; an id that ends in an error is one."""
    watched = Watched(good=100)
    watched.fail(10.0)
    watched.end(20.0, REFUSED)

    assert watched.lines(75.0)[0].startswith("no answer from 127.0.0.1:1 for 1 min 5 s")

    watched.good += 1
    watched.fail(80.0)

    assert watched.lines(81.0)[0].startswith("no answer from 127.0.0.1:1 for 1 s")


def test_a_single_failed_poll_is_not_in_the_summary() -> None:
    """Only trouble that lasted is."""
    watched = Watched()
    watched.fail(0.0)
    watched.see(0.4, "processing", State.PROCESSING)

    assert list(watched.trouble.past()) == []


# --- commands that do not wait for ids ---


def started(name: str, relay: SimulatedRelay, board: Board, seconds: float = 30.0) -> Coroutine[Any, Any, Status]:
    """Return the work of a command; *seconds* is its longest time for one request."""
    limits, summary = Limits(request_timeout=seconds), Summary(board)
    dialect = "luma" if name == "ls" else None
    if name == "check":
        return check(Settings.load(relay.base_url, relay.api_key, limits), Network(), as_json=True, board=board)
    luma = LumaClient(relay.base_url, relay.api_key, limits=limits, dialect=dialect, on_event=summary.note)
    if name == "ls":
        return list_recent(luma, 5, Lines(), board)
    if name == "get":
        return run_job(open_job(luma, Ids.of(["a"], None), Lines(), waits=False, summary=summary), poll_once)
    batch = Submissions(
        submitter=Submitter(luma),
        rows=Rows.of(["a cat"], None, GenerationOptions()),
        at_once=1,
        again=ResumeCommand((), None, frozenset()),
    )
    waiting = Waiting() if name == "submit --wait" else None
    return submit(batch, waiting, None, earlier=None, output=Output(), summary=summary)


EACH = pytest.mark.parametrize("name", ["submit", "submit --wait", "get", "ls", "check"])


@EACH
async def test_each_command_tells_of_a_relay_that_hangs_at_the_fifth_second(
    luma_time: FastTime, luma_relay: SimulatedRelay, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """And not before, with its address; a command that is stopped tells it again, for as long as it has lasted."""
    luma_relay.trouble(Fault.slow(3600), times=None)

    command = asyncio.create_task(started(name, luma_relay, Board(luma_time.clock)))
    await asyncio.sleep(4.5)
    early = capsys.readouterr().err
    await asyncio.sleep(2.0)
    told = capsys.readouterr().err
    command.cancel()
    with suppress(asyncio.CancelledError):
        await command

    assert early == ""
    address = luma_relay.base_url.removeprefix("http://")
    assert f"luma-async: no answer from {address} for 5 s\n" in told
    assert f"luma-async: trouble: no answer from {address} for " in capsys.readouterr().err


@EACH
async def test_each_command_tells_of_refused_tries_before_the_last_one(
    luma_time: FastTime, luma_relay: SimulatedRelay, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """With the words of a wait: what was answered, and for how long."""
    luma_relay.trouble(Fault.http(503, {"error": {"message": "no channel"}}), times=None)
    board = Board(luma_time.clock)

    command = asyncio.create_task(started(name, luma_relay, board))
    await asyncio.sleep(1.0)
    lines = list(board.trouble.lines())
    command.cancel()
    with suppress(asyncio.CancelledError):
        await command

    assert [line.partition(" for ")[0] for line in lines] == ["the relay answered HTTP 503"]
    assert "no channel" in lines[0]
