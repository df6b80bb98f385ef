"""How far a run is, in words; and durations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from luma_async import Generation, Outcome, State, StateChanged, Statistics
from luma_async.cli.durations import about, seconds_of, spelled
from luma_async.cli.options import Output, Waiting, words_of
from luma_async.cli.progress import Progress, seconds_left
from luma_async.cli.show import Board
from luma_async.errors import TransportError, Verdict
from luma_async.events import PollFailed
from luma_async.statistics import StateStatistics
from tests.virtual_time import now, run

REFUSED = TransportError("no answer from 127.0.0.1:1", verdict=Verdict.PASSING)


def lasting(state: State, median: float | None, **facts: Any) -> StateStatistics:
    """Return what a client has learned of a state."""
    usual: dict[str, Any] = {"running": 0, "seen": 9, "ended": 9, "moved": 0, "p10": median, "p90": median}
    usual["is_learned"] = median is not None
    return StateStatistics(state=state, median=median, **{**usual, **facts})


def learned(*states: StateStatistics) -> Statistics:
    """Return the statistics of a client."""
    return Statistics(waiting=1, completed=9, failed=0, polls=99, failed_polls=0, states=states)


def changed(task_id: str, state: State, before: str | None = None) -> StateChanged:
    """Return the event that a poll saw another state."""
    return StateChanged(task_id=task_id, before=before, state_text=state, state=state, request_id=None)


def test_the_rest_is_what_states_last_minus_what_has_passed() -> None:
    """A pending id has its processing before it; the id that changed last decides, and nobody is early by a repeat."""
    clock = [0.0]
    board = Board(lambda: clock[0])
    for task_id, at in (("a", 0.0), ("b", 10.0)):
        board.start(task_id)
        clock[0] = at
        board.note(changed(task_id, State.PROCESSING))
    clock[0] = 40.0
    board.note(changed("a", State.PROCESSING, before="processing"))
    processing = lasting(State.PROCESSING, 60.0, running=2, p90=90.0)

    assert seconds_left(board, learned(processing)) == 90.0 - 30.0

    board.note(changed("b", State.PENDING))
    queue = lasting(State.PENDING, 20.0, running=1, moved=9)

    assert seconds_left(board, learned(queue, processing)) == 20.0 + 90.0


def test_ids_that_are_not_started_follow_in_waves() -> None:
    """Two in flight of seven: the other five need three more times of a whole generation."""
    board = Board(lambda: 0.0)
    board.expected = 7
    for task_id in ("a", "b"):
        board.start(task_id)
        board.note(changed(task_id, State.PROCESSING))

    assert seconds_left(board, learned(lasting(State.PROCESSING, 60.0, running=2))) == 60.0 + 3 * 60.0


@pytest.mark.parametrize(
    "states",
    [
        (),
        (lasting(State.PROCESSING, None, running=1),),
        (lasting(State.PROCESSING, 200.0, running=1, is_learned=False),),
        (lasting(State.PROCESSING, 30.0, running=1),),
        (lasting(State.PENDING, 30.0, running=1, moved=1), lasting(State.PROCESSING, None)),
        (lasting(State.PROCESSING, 60.0, running=1), lasting(State.UNKNOWN, None, running=1)),
    ],
    ids=["nothing known", "too few", "too few yet", "overdue", "the next state unknown", "a state unknown"],
)
def test_there_is_no_estimate_until_enough_is_known(states: tuple[StateStatistics, ...]) -> None:
    """Nor where an id lasts longer than what is usual: any number would be made up."""
    clock = [0.0]
    board = Board(lambda: clock[0])
    board.start("a")
    board.note(changed("a", State.PROCESSING))
    clock[0] = 45.0

    assert seconds_left(board, learned(*states)) is None


@pytest.mark.parametrize(("are_all", "rest"), [(True, 60.0), (False, 260.0)])
def test_the_rest_of_a_batch_of_submits_is_by_its_pace(*, are_all: bool, rest: float) -> None:
    """From the third answer on; where ids are waited for, the last one takes the usual time besides."""
    clock = [0.0]
    board = Board(lambda: clock[0])
    usual = learned(lasting(State.PENDING, 50.0, moved=9), lasting(State.PROCESSING, 150.0))
    board.expect_submits(6, are_all=are_all)
    found = []
    for seconds in (20.0, 40.0, 60.0):
        clock[0] = seconds - 20.0
        board.take_row()
        board.start_submit()
        clock[0] = seconds
        board.end_submit(None)
        board.start(f"{seconds}")
        found.append(seconds_left(board, usual))

    assert found == [None, None, rest]


def test_trouble_has_no_estimate() -> None:
    """The relay may stay away for any time."""
    clock = [0.0]
    board = Board(lambda: clock[0])
    progress = Progress(board, lambda: learned(lasting(State.PROCESSING, 200.0, running=1)))
    board.start("a")
    board.note(changed("a", State.PROCESSING))
    before = progress.times()
    clock[0] = 20.0
    board.note(PollFailed(task_id="a", error=REFUSED, failures=1))

    assert before == "0 s so far, about 3 min left"
    assert progress.times() == "20 s so far"


def test_each_minute_a_log_gets_the_counts_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """One line about the ids, and one for each trouble; trouble of five seconds is told before the minute is over."""

    async def main() -> None:
        board = Board(now)
        board.expected = 4
        async with Progress(board).reported():
            for task_id in ("a", "b", "c"):
                board.start(task_id)
            board.note(changed("a", State.PROCESSING))
            await asyncio.sleep(50.0)
            board.note(PollFailed(task_id="b", error=REFUSED, failures=1))
            board.end(Outcome(task_id="c", generation=Generation(id="c", state=State.COMPLETED, state_text="")))
            await asyncio.sleep(4.5)
            assert capsys.readouterr().err == ""
            await asyncio.sleep(95.5)

    run(main())

    assert capsys.readouterr().err.splitlines() == [
        "luma-async: no answer from 127.0.0.1:1 for 5 s",
        "luma-async: 1/4 ended (1 completed); 1 waiting, 1 processing, 1 not started; 1 min so far",
        "luma-async: no answer from 127.0.0.1:1 for 10 s",
        "luma-async: 1/4 ended (1 completed); 1 waiting, 1 processing, 1 not started; 2 min so far",
        "luma-async: no answer from 127.0.0.1:1 for 1 min 10 s",
    ]


def test_states_that_nobody_knows_do_not_fill_the_screen() -> None:
    """Four are named, the others counted; escapes in them are text."""
    board = Board()
    for number in range(9):
        board.start(f"{number}")
        board.set_state(f"{number}", f"\x1b[2J{number // 2}")

    assert Progress(board).states().count(r"\x1b[2J") == 4
    assert Progress(board).states().endswith(", 1 in other states")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("30m", 1800.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("2D", 172800.0)],
)
def test_a_duration_may_have_units(text: str, seconds: float) -> None:
    """A number alone is seconds."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "30 m", "1m1h", "30min", "h30", "none", "1:30"])
def test_anything_else_is_not_a_duration(text: str) -> None:
    """The error says how to write one."""
    with pytest.raises(ValueError, match="30m"):
        seconds_of(text)


def test_durations_are_read_at_a_glance() -> None:
    """With two units at most; an estimate with one."""
    assert [spelled(each) for each in (0.9, 59.9, 60, 200, 3600, 5000)] == [
        *("0 s", "59 s", "1 min", "3 min 20 s", "1 h", "1 h 23 min")
    ]
    assert [about(each) for each in (3, 46, 200, 9000)] == ["about 10 s", "about 50 s", "about 3 min", "about 2 h"]


def test_the_command_that_goes_on_has_the_new_options() -> None:
    """Durations are seconds in it."""
    words = words_of(Waiting(timeout=5400.0), Output(quiet=True, brief=True, no_progress=True))

    assert words == ("--timeout", "5400.0", "--brief", "--quiet", "--no-progress")
