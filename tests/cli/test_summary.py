"""What a run comes to, and what ``--verbose`` tells on the way."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from luma_async import Generation, GenerationFailedError, Outcome, State, WaitTimeoutError
from luma_async.cli.exit import Status
from luma_async.cli.show import Board
from luma_async.cli.summary import Summary
from luma_async.errors import DownloadError, ServerError, TransportError
from luma_async.events import PollFailed, StateChanged, WaitEnded
from luma_async.testing import Script, SimulatedRelay
from tests.cli.command import FAST, add
from tests.cli.conftest import Command


def changed(task_id: str, state: str, at: float = 0.0) -> StateChanged:
    """Return the event that a task was seen in another state, at the time *at* of the wall clock."""
    known = State(state) if state in set(State) else State.UNKNOWN
    return StateChanged(at=at, task_id=task_id, before=None, state_text=state, state=known, request_id=None)


def failed(reason: str | None) -> Outcome:
    """Return the outcome of a generation that failed."""
    generation = Generation(id="f", state=State.FAILED, state_text="failed", failure_reason=reason)
    return Outcome(task_id="f", error=GenerationFailedError(generation))


def test_ends_are_counted_with_their_reasons() -> None:
    """Each fate has its count, and each reason; who was not done in time is counted alone."""
    summary = Summary(clock=lambda: 7.0)
    summary.board.skip("a", Status.DONE)
    late = WaitTimeoutError("d", waited=1.0, last=None, last_error=None)
    for outcome in [
        failed("too violent"),
        failed("too violent"),
        failed(None),
        Outcome(task_id="d", error=late),
        Outcome(task_id="e", error=TransportError("no answer from a:1")),
        Outcome(task_id="g", error=DownloadError("g.mp4 is there", reason="exists")),
    ]:
        summary.board.end(outcome)

    assert list(summary.lines(12)) == [
        "7 ended in 0.0 s: 1 completed, 3 failed, 2 errors, 1 not done, 1 of them before; 12 requests",
        "failed: 2 x too violent",
        "failed: 1 x the relay gave no reason",
        "errors: 1 x no answer from a:1",
        "errors: 1 x not stored: exists",
    ]


@pytest.mark.parametrize("is_late", [True, False])
def test_trouble_is_told_where_it_left_something_undone(*, is_late: bool) -> None:
    """An error says itself what was wrong."""
    refused = TransportError("no answer from a:1")
    late = WaitTimeoutError("d", waited=1.0, last=None, last_error=refused)
    now = [0.0]
    summary = Summary(Board(lambda: now[0]), clock=lambda: now[0])
    summary.note(PollFailed(task_id="d", error=refused, failures=1))
    now[0] = 9.0
    summary.board.end(Outcome(task_id="d", error=late if is_late else refused))

    first, *others = summary.lines(1)

    assert first == f"1 ended in 9.0 s: 1 {'not done' if is_late else 'error'}; 1 request"
    assert others == (
        ["trouble at the end: no answer from a:1 for 9 s"] if is_late else ["errors: 1 x no answer from a:1"]
    )


def test_a_thousand_reasons_are_six_lines() -> None:
    """The commonest five are told, the others counted."""
    summary = Summary(clock=lambda: 0.0)
    for number in range(1000):
        summary.board.end(failed(f"reason {max(number, 10)}"))

    _, first, *_, last = summary.lines(1)

    assert (first, last) == ("failed: 11 x reason 10", "failed: 985 for other reasons")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("no token (request id: {})", ["2026112914114134605700000000", "2026112914114134780500000001"]),
        ("no task {}", ["6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f", "6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e8a"]),
        ("job {} of m-2024 is gone", ["01K9ZB3VJ2Q4X7N6T8W5R0YHAD", "01K9ZB3VJ2Q4X7N6T8W5R0YHAE"]),
    ],
)
def test_reasons_that_differ_in_an_id_are_one(text: str, ids: list[str]) -> None:
    """Gateways write the id of the task, or of their own request, into the text."""
    board = Board()
    for each in ids:
        board.end(Outcome(task_id="f", error=TransportError(text.format(each))))

    assert board.ends.reasons == {(Status.ERROR, text.format("...")): len(ids)}


def test_an_id_of_any_form_is_left_out_where_the_error_has_it() -> None:
    """Ids of the user's relay may be words."""
    board = Board()
    for task_id, request_id in (("first", "r-a1"), ("second", "r-a2")):
        error = ServerError(f"{task_id} is lost, see {request_id}", status=500, task_id=task_id, request_id=request_id)
        board.end(Outcome(task_id=task_id, error=error))

    assert board.ends.reasons == {(Status.ERROR, "... is lost, see ..."): 2}


def test_a_short_id_takes_nothing_out_of_the_text() -> None:
    """It may be a word, or the HTTP status."""
    board = Board()
    for task_id in ("503", "a"):
        board.end(Outcome(task_id=task_id, error=TransportError("a proxy said HTTP 503", task_id=task_id)))

    assert board.ends.reasons == {(Status.ERROR, "a proxy said HTTP 503"): 2}


def test_times_are_those_between_two_states() -> None:
    """A stay lasts from the look that first showed it to the one that showed the next; one that goes on is none."""
    now = [0.0]
    summary = Summary(clock=lambda: now[0])
    for now[0], event in [
        (100.0, changed("a", "pending")),
        (100.0, changed("b", "pending")),
        (104.0, changed("a", "processing")),
        (110.0, changed("b", "stitching")),
        (110.0, changed("c", "processing")),
        (111.0, changed("b", "failed")),
        (134.0, changed("a", "completed")),
        (135.0, WaitEnded(task_id="c", outcome=None, waiting=0)),
        (500.0, changed("c", "completed")),
    ]:
        summary.note(event)

    assert list(summary.lines(0))[1:] == [
        "in queue: 7.0 s (median of 2), 10.0 s at most",
        "in processing: 30.0 s (median of 1), 30.0 s at most",
        "in other states: 1.0 s (median of 1), 1.0 s at most",
    ]


def ended(task_id: str, *times: int, state: State = State.COMPLETED) -> WaitEnded:
    """Return the event that a task ended; the relay's own *times* are seconds of its submit, start and end."""
    submitted, started, finished = (datetime.fromtimestamp(each, UTC) for each in times) if times else (None,) * 3
    generation = Generation(
        id=task_id,
        state=state,
        state_text=state,
        submitted_at=submitted,
        started_at=started,
        finished_at=finished,
    )
    if state is State.COMPLETED:
        return WaitEnded(task_id=task_id, outcome=Outcome(task_id=task_id, generation=generation), waiting=0)
    error = GenerationFailedError(generation)
    return WaitEnded(task_id=task_id, outcome=Outcome(task_id=task_id, error=error), waiting=0)


def test_times_are_the_relays_own_where_it_gives_them() -> None:
    """Those that polls saw count for the other ids, and for a time that an answer lacks or has backwards."""
    now = [0.0]
    summary = Summary(clock=lambda: now[0])
    for now[0], event in [
        *[(0.0, changed(task_id, "pending")) for task_id in "abcd"],
        *[(10.0, changed(task_id, "stitching")) for task_id in "abcd"],
        *[(20.0, changed(task_id, "processing")) for task_id in "abcd"],
        *[(50.0, changed(task_id, "completed")) for task_id in "abcd"],
        (50.0, ended("a", 100, 102, 142)),
        (50.0, ended("b", 100, 104, 148, state=State.FAILED)),
        (50.0, ended("c", 100, 106, 105)),
        (50.0, ended("d")),
    ]:
        summary.note(event)

    assert list(summary.lines(0))[1:] == [
        "in queue: 5.0 s (median of 4), 10.0 s at most",
        "in processing: 35.0 s (median of 4), 44.0 s at most",
        "in other states: 10.0 s (median of 2), 10.0 s at most",
    ]


def test_times_are_those_of_a_clock_that_nobody_sets() -> None:
    """The wall clock is set two hours forward and a day back during a run, and the time in a state is right."""
    now = [0.0]
    summary = Summary(clock=lambda: now[0])
    for now[0], at, state in [(0.0, 1e9, "pending"), (3.0, 1e9 + 7203, "processing"), (7.0, 1e9 - 86400, "completed")]:
        summary.note(changed("a", state, at))

    assert list(summary.lines(0))[1:] == [
        "in queue: 3.0 s (median of 1), 3.0 s at most",
        "in processing: 4.0 s (median of 1), 4.0 s at most",
    ]


def test_nothing_is_kept_of_an_id_that_has_ended() -> None:
    """A hundred thousand ids cost no more than those under way."""
    summary = Summary()
    for number in range(100):
        summary.note(changed(f"{number}", "pending"))
        summary.note(WaitEnded(task_id=f"{number}", outcome=None, waiting=0))

    assert not summary._since
    assert not summary._stays


def test_verbose_tells_each_state_with_its_request(command: Command, luma_relay: SimulatedRelay) -> None:
    """Each change of state stands on standard error once, with the relay's request id; the results are the same."""
    ids = add(luma_relay, [Script.of("processing"), Script.of("completed")])

    ended = command("wait", *ids, *FAST, "--timeout", "0.3", "-v", relay=luma_relay)

    assert (ended.status, sorted(ended.by_id)) == (4, sorted(ids))
    for task_id, state in zip(ids, ("processing", "completed"), strict=True):
        told = [line for line in ended.err.splitlines() if f" task {task_id}: " in line]
        assert len(told) == 1
        assert re.fullmatch(rf"luma-async: [0-9:]{{8}} task {task_id}: {state} \(request 20[0-9]+\)", told[0])


def test_verbose_ends_with_the_summary(command: Command, luma_relay: SimulatedRelay) -> None:
    """It counts the requests that the relay saw."""
    ids = add(luma_relay, [Script.of("completed"), Script.fails(reason="no", after=0.1)])

    ended = command("wait", *ids, *FAST, "--verbose", relay=luma_relay)

    summary = ended.err[ended.err.index("luma-async: 2 ended in ") :].splitlines()
    assert f"1 completed, 1 failed; {len(luma_relay.requests)} request" in summary[0]
    assert "  failed: 1 x no" in summary


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_summary_is_for_terminals(
    is_terminal: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A script's standard error stays empty when all is well."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)

    Summary().write(3)

    assert ("none; 3 requests" in capsys.readouterr().err) is is_terminal


@pytest.mark.parametrize(("bell", "is_terminal", "rings"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_the_bell_rings_once_at_the_end_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, bell: bool, is_terminal: bool, rings: int
) -> None:
    """Only with ``--bell``; a file gets no control character."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)

    Summary(bell=bell).write(0)

    assert capsys.readouterr().err.count("\a") == rings


@pytest.mark.parametrize(
    "words", [("submit", "a cat", "a dog"), ("submit", "a cat", "a dog", "--wait"), ("get", "4f1c", "4f2c")]
)
def test_where_lines_go_elsewhere_errors_are_told(
    command: Command, luma_relay: SimulatedRelay, words: tuple[str, ...]
) -> None:
    """Whoever sends standard output to a file still reads why nothing came of it: once, with the number of ids."""
    ended = command(*words, relay=luma_relay, env={"LUMA_API_KEY": "another"})

    assert ended.status == Status.ERROR
    assert re.search(r"^luma-async: errors: 2 x .*401", ended.err, re.MULTILINE), ended.err
    assert ended.err.count("errors: ") == 1


def test_lines_on_a_terminal_tell_errors_themselves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor are they told with ``--quiet``, which tells each as it comes."""
    summary, quiet = Summary(), Summary(quiet=True)
    for each in (summary, quiet):
        each.board.end(Outcome(task_id="f", error=TransportError("no answer")))

    quiet.write(1)
    summary.write(1, is_whole=False)
    in_a_pipe = capsys.readouterr().err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    summary.write(1, is_whole=False)

    assert in_a_pipe == "luma-async: errors: 1 x no answer\n"
    assert not capsys.readouterr().err
