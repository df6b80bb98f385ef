"""What a terminal shows while a command runs, without a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from tenacity import wait_fixed

from luma_async import (
    DownloadProgress,
    Generation,
    LumaClient,
    LumaError,
    Outcome,
    PollPolicy,
    State,
    StateChanged,
)
from luma_async.cli.forms import JsonForm
from luma_async.cli.ids import Ids
from luma_async.cli.options import Waiting
from luma_async.cli.progress import Progress
from luma_async.cli.show import Board, Show
from luma_async.cli.table import Table
from luma_async.cli.work import Job, wait
from luma_async.testing import FastTime, Script, SimulatedRelay

UUID = "4665a07c-7641-4809-a133-10786201bb56"


def console(width: int = 80, height: int = 24) -> Console:
    """Return a console that keeps what it is given, without colours."""
    return Console(
        file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=height, highlight=False
    )


def table_on(console: Console) -> Table:
    """Return a table of no ids yet."""
    return Table(Progress(Board()), console)


def written(table: Table) -> list[str]:
    """Return what a console has been given, as lines without blanks at their ends."""
    assert isinstance(table.console.file, io.StringIO)
    return [line.rstrip() for line in table.console.file.getvalue().splitlines()]


def drawn(table: Table) -> list[str]:
    """Return the lines of the table as it is now."""
    before = len(written(table))
    table.console.print(table.picture())
    return written(table)[before:]


def progress(task_id: str, stored: int, total: int) -> DownloadProgress:
    """Return the event that a piece of a file was stored."""
    return DownloadProgress(task_id=task_id, role="video", stored=stored, total=total)


def changed(task_id: str, state: State) -> StateChanged:
    """Return the event that a poll saw another state."""
    return StateChanged(task_id=task_id, before=None, state_text=state, state=state, request_id=None)


def test_ids_under_way_stand_with_their_states() -> None:
    """Each id under way has a row with the relay's own word, or *waiting* before the first answer."""
    table = table_on(console())
    table.board.start("a")
    table.board.start("b")

    table.board.set_state("b", "dreaming")
    lines = drawn(table)

    assert [line.split()[:2] for line in lines[:3]] == [["task", "state"], ["a", "waiting"], ["b", "dreaming"]]
    assert "0/2" in lines[3]
    assert lines[4:] == ["1 waiting, 1 dreaming", "0 s so far"]


@pytest.mark.parametrize(("height", "rows"), [(50, 20), (26, 20), (10, 4), (3, 1)])
def test_many_ids_fit_the_terminal(height: int, rows: int) -> None:
    """Twenty rows at most, fewer on a low terminal, and the number of those that are not shown."""
    table = table_on(console(height=height))
    for number in range(1000):
        table.board.start(f"task-{number}")

    lines = drawn(table)

    assert sum(line.startswith("task-") for line in lines) == rows
    assert f"and {1000 - rows} more" in lines
    assert len(lines) < max(height, 7)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_each_id_has_one_line_and_no_word_is_cut(width: int) -> None:
    """The dots are in the middle of the id, between words of the prompt, or the prompt is left out."""
    table = table_on(console(width=width))
    prompt = "a paper boat dancing in the rain over a city made of glass and of light"
    for task_id in (UUID, "x" * 900):
        table.board.prompts[task_id] = prompt
        table.board.start(task_id)
        table.board.set_state(task_id, "processing")

    lines = drawn(table)
    row, long = lines[1:3]

    assert max(map(len, lines)) <= width
    assert " processing" in row
    assert " 0 s" in row
    assert UUID in row if width >= 60 else row.startswith("466")
    assert long.startswith("x")
    assert "..." in long
    shown = row.partition(" 0 s")[2].strip()
    assert bool(shown) is (width >= 80)
    assert set(shown.removesuffix("...").split()) <= set(prompt.split())
    assert sum("2 processing" in line for line in lines) == 1


def test_a_narrow_terminal_keeps_one_line_for_each_id() -> None:
    """On 24 columns a row is cut, not wrapped."""
    table = table_on(console(width=24))
    for number in range(3):
        table.board.start(f"4665a07c-7641-4809-a133-10786201bb5{number}")

    lines = drawn(table)

    assert sum(line.startswith("466") for line in lines) == 3
    assert max(map(len, lines)) <= 24


def test_counts_are_right_beyond_the_rows_that_are_shown() -> None:
    """Of ten thousand ids each state has its number, ends too, and those that are not taken up yet are counted."""
    table = table_on(console(width=60))
    board = table.board
    board.expected = 12_000
    for number in range(10_000):
        board.start(f"{number}")
        board.note(changed(f"{number}", State.PENDING))
    for number in range(6_000):
        board.note(changed(f"{number}", State.PROCESSING))
    for number in range(1_000):
        board.end(Outcome(task_id=f"{number}", generation=Generation(id="", state=State.COMPLETED, state_text="")))

    lines = drawn(table)

    assert any("1000/12000" in line for line in lines)
    assert "1000 completed" in lines
    assert "5000 processing, 4000 pending, 2000 not started" in lines


def test_a_batch_of_submits_is_counted_by_rows() -> None:
    """Rows under way, refused, submitted and not taken up yet; a table of nothing has no bar."""
    table = table_on(console(width=60))
    board = table.board
    nothing = drawn(table)
    board.expect_submits(6, are_all=True)
    for _ in range(4):
        board.take_row()
        board.start_submit()
    for task_id, error in (("a", None), ("b", None), (None, LumaError("refused"))):
        board.end_submit(error)
        board.count_submit("a cat", task_id, error)

    lines = drawn(table)

    assert nothing == ["0 s so far"]
    assert "3/6" in lines[0]
    assert lines[1:3] == ["2 submitted, 1 error", "1 submitting, 2 not submitted"]


@pytest.mark.parametrize(("width", "beside"), [(200, "0.5/2.0 MB"), (100, "0.5/2.0 MB"), (40, "25%")])
def test_a_file_has_a_bar_in_bytes(width: int, beside: str) -> None:
    """A file that is being stored has a bar in its id's place, within the terminal's width; the others keep rows."""
    table = table_on(console(width=width))
    for task_id in (UUID, "b"):
        table.board.start(task_id)

    table.board.note(progress(UUID, 500_000, 2_000_000))
    lines = drawn(table)

    (bar,) = [line for line in lines if line.startswith("4665a07c")]
    assert beside in bar
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[:2]] == ["task", "b"]
    assert not any("more" in line for line in lines)


def test_a_file_of_unknown_length_shows_what_is_stored() -> None:
    """Where the server does not tell the length, the bytes so far are shown."""
    table = table_on(console())
    table.board.start("a")

    table.board.note(progress("a", 500_000, 0))

    assert any(line.startswith("a") and "500.0/? kB" in line for line in drawn(table))


def test_a_bar_ends_with_its_id() -> None:
    """Nothing of a file is left on the screen when its id has ended."""
    table = table_on(console())
    table.board.start("a")
    table.board.note(progress("a", 1, 2))
    before = drawn(table)

    table.board.end(Outcome(task_id="a", generation=Generation(id="a", state=State.COMPLETED, state_text="")))

    assert any("bytes" in line for line in before)
    assert not any("bytes" in line for line in drawn(table))


@pytest.mark.parametrize(("height", "bars"), [(26, 8), (12, 3), (3, 1)])
def test_many_files_fit_the_terminal(height: int, bars: int) -> None:
    """Bars take half of a low terminal at most; an id without bar and row is counted."""
    table = table_on(console(height=height))
    for number in range(30):
        table.board.start(f"task-{number}")
    for number in range(8):
        table.board.note(progress(f"task-{number}", 1, 2))

    lines = drawn(table)

    assert sum("bytes" in line for line in lines) == bars
    assert len(lines) <= max(height, 7)
    assert f"and {30 - sum(line.startswith('task-') for line in lines)} more" in lines


def test_an_id_that_becomes_visible_shows_its_latest_state() -> None:
    """States are noted of all ids: no row starts at *waiting* when a poll has seen more."""
    table = table_on(console(height=8))
    for task_id in "abc":
        table.board.start(task_id)
    for state in (State.PENDING, State.PROCESSING):
        table.board.note(changed("c", state))
    before = drawn(table)

    table.board.rows.pop("a")
    after = drawn(table)

    assert [line.split()[:2] for line in before[1:3]] == [["a", "waiting"], ["b", "waiting"]]
    assert [line.split()[:2] for line in after[1:3]] == [["b", "waiting"], ["c", "processing"]]


def test_an_event_about_another_id_changes_nothing() -> None:
    """It may be about one that has ended."""
    board = Board()
    board.start("a")

    board.note(changed("b", State.PENDING))
    board.note(progress("b", 1, 2))

    assert list(board.rows) == ["a"]
    assert (board.rows["a"].state, board.rows["a"].stored) == ("waiting", None)


async def requests_for(board: Board, show: Show, relay: SimulatedRelay) -> int:
    """Wait for sixty new tasks with *show*, and return how many requests the relay has seen for that.

    States change in the middle between two polls, so that the number does not depend on milliseconds.
    """
    scripts = [Script.completes(pending=2.5, processing=5.0 * (1 + number % 6)) for number in range(60)]
    ids = [relay.add(script=script) for script in scripts]
    polling = PollPolicy(wait=wait_fixed(5.0))
    before = len(relay.requests)
    async with LumaClient(relay.base_url, relay.api_key, polling=polling, on_event=board.note) as luma:
        board.trouble.good_polls = lambda: luma.statistics.polls
        await wait(Job(luma, Ids.of(ids, None), show), Waiting())
    return len(relay.requests) - before


async def test_a_terminal_asks_no_more_than_a_pipe(
    luma_time: FastTime, luma_relay: SimulatedRelay, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the table shows comes from events: watching sixty ids adds no request, and every result line is whole."""
    in_a_pipe = await requests_for(board := Board(), Show(board), luma_relay)
    lines_of_pipe = capsys.readouterr().out.splitlines()
    board, screen = Board(clock=luma_time.clock), console()
    async with Table.live(Progress(board), screen) as live:
        show = Show(board, JsonForm(brief=True), above=live.above)
        on_a_terminal = await requests_for(board, show, luma_relay)

    assert luma_time.elapsed > 60
    assert board.done == 60
    assert on_a_terminal == in_a_pipe
    assert any("processing" in line for line in written(live))
    assert len(lines_of_pipe) == len(capsys.readouterr().out.splitlines()) == 60
