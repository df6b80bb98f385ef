"""What a terminal shows, without a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.color import ColorSystem
from rich.console import Console
from tenacity import wait_fixed

from luma_async import (
    DownloadProgress,
    Generation,
    GenerationFailedError,
    LumaClient,
    Outcome,
    PollPolicy,
    RequestTimeoutError,
    State,
    StateChanged,
    UncertainSubmitError,
    Video,
    WaitTimeoutError,
)
from luma_async.cli.ids import Ids
from luma_async.cli.options import Waiting
from luma_async.cli.show import Board, Show
from luma_async.cli.table import Table
from luma_async.cli.work import Job, wait
from luma_async.models import Link
from luma_async.testing import FastTime, Script, SimulatedRelay


def console(width: int = 80, height: int = 24) -> Console:
    """Return a console that keeps what it is given, without colours."""
    return Console(
        file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=height, highlight=False
    )


def written(table: Table) -> list[str]:
    """Return what a console has been given, as lines without blanks at their ends."""
    assert isinstance(table.console.file, io.StringIO)
    return [line.rstrip() for line in table.console.file.getvalue().splitlines()]


def drawn(table: Table) -> list[str]:
    """Return the lines of the table as it is now."""
    table.console.print(table.picture())
    return written(table)


def completed(task_id: str, url: str) -> Outcome:
    """Return the outcome of a generation with a link."""
    generation = Generation(
        id=task_id, state=State.COMPLETED, state_text="completed", video=Video(download_url=Link(url))
    )
    return Outcome(task_id=task_id, generation=generation, elapsed=12.34)


def progress(task_id: str, stored: int, total: int) -> DownloadProgress:
    """Return the event that a piece of a file was stored."""
    return DownloadProgress(task_id=task_id, role="video", stored=stored, total=total)


def changed(task_id: str, state: State) -> StateChanged:
    """Return the event that a poll saw another state."""
    return StateChanged(task_id=task_id, before=None, state_text=state, state=state, request_id=None)


async def lines_above(table: Table, *outcomes: Outcome, stored: Path | None = None) -> str:
    """Return what is written above the live table for *outcomes*."""
    async with Table.live(table.board, table.console) as live:
        for outcome in outcomes:
            live.board.start(outcome.task_id)
            await live.end(outcome, stored)
    return "\n".join(written(table))


def test_ids_under_way_stand_with_their_states() -> None:
    """Each id under way has a row with the relay's own word, or *waiting* before the first answer."""
    table = Table(Board(), console())
    table.board.start("a")
    table.board.start("b")

    table.board.set_state("b", "dreaming")
    lines = drawn(table)

    assert [line.split()[:2] for line in lines] == [
        ["task", "state"],
        ["a", "waiting"],
        ["b", "dreaming"],
        lines[3].split(),
    ]
    assert "0/2" in lines[3]


@pytest.mark.parametrize(("height", "rows"), [(50, 20), (24, 20), (10, 6), (3, 1)])
def test_many_ids_fit_the_terminal(height: int, rows: int) -> None:
    """Twenty rows at most, fewer on a low terminal, and the number of those that are not shown."""
    table = Table(Board(), console(height=height))
    for number in range(1000):
        table.board.start(f"task-{number}")

    lines = drawn(table)

    assert sum(line.startswith("task-") for line in lines) == rows
    assert f"and {1000 - rows} more" in lines


def test_a_narrow_terminal_keeps_one_line_for_each_id() -> None:
    """On 24 columns a row is cut, not wrapped."""
    table = Table(Board(), console(width=24))
    for number in range(3):
        table.board.start(f"4665a07c-7641-4809-a133-10786201bb5{number}")

    lines = drawn(table)

    assert sum(line.startswith("4665a07c") for line in lines) == 3
    assert max(map(len, lines)) <= 24


def test_forty_columns_have_room_for_states_and_counts() -> None:
    """The id is cut before the state and the time are, and the bar stays one line."""
    table = Table(Board(), console(width=40))
    table.board.start("4665a07c-7641-4809-a133-10786201bb56")
    table.board.set_state("4665a07c-7641-4809-a133-10786201bb56", "processing")
    table._words.update({"completed": 4, "failed": 1, "not done": 20})

    heading, row, bar = drawn(table)

    assert heading.split() == ["task", "state", "elapsed"]
    assert row.startswith("4665a07c-7641-4809")
    assert row.endswith(" processing      0 s")
    assert "25/26 4 completed, 1 faile" in bar


async def test_a_link_stays_whole_however_narrow_the_terminal() -> None:
    """The line of an id that ended is not cut or broken by us: a link must be fit to be copied."""
    link = f"https://cdn.example/{'x' * 600}.mp4?X-Amz-Expires=3600"

    text = await lines_above(Table(Board(), console(width=30)), completed("a", link))

    assert f"completed     12.3 s  a  {link}" in text


async def test_a_stored_file_stands_in_the_link_s_place() -> None:
    """Who downloads wants to know where the file is."""
    text = await lines_above(
        Table(Board(), console()), completed("a", "https://cdn.example/a.mp4"), stored=Path("v/a.video.mp4")
    )

    assert "a  v/a.video.mp4" in text
    assert "https://" not in text


async def test_nothing_from_outside_is_obeyed() -> None:
    """Escapes, markup and line breaks in ids, states and reasons come out as text."""
    reason = "\x1b[31mred\x1b[0m [bold]loud[/bold] \u202eback\nnext"
    failed = Generation(id="i", state=State.FAILED, state_text="failed", failure_reason=reason)
    outcome = Outcome(task_id="i", error=GenerationFailedError(failed))
    table = Table(Board(), console(width=200))
    table.board.start("[bold]\x1b]0;title\x07")
    table.board.set_state("[bold]\x1b]0;title\x07", "[red]\x1b[2J")

    state = "\n".join(drawn(table))
    text = await lines_above(Table(Board(), console(width=400)), outcome)

    assert r"[bold]\x1b]0;title\x07  [red]\x1b[2J" in state
    assert r"\x1b[31mred\x1b[0m [bold]loud[/bold] \u202eback\nnext" in text


async def test_a_timeout_says_what_to_do() -> None:
    """The line of an id that was not done in time holds its last state and the way out."""
    error = WaitTimeoutError(
        "a", waited=5.0, last=Generation(id="a", state=State.PENDING, state_text="queued"), last_error=None
    )

    text = await lines_above(Table(Board(), console(width=200)), Outcome(task_id="a", error=error))

    assert "not done       0.0 s  a  not done after 5.0 s, last state 'queued' (the generation goes on" in text


async def test_what_is_submitted_stands_above_the_table() -> None:
    """With its id or its error, and nothing in a prompt is obeyed."""
    table = Table(Board(), console(width=200))

    async with Table.live(table.board, table.console) as live:
        await live.submitted("a [b]cat[/b]\x1b[2J", "t-1", None)
        await live.submitted("a dog", None, UncertainSubmitError(RequestTimeoutError("no answer in time")))

    first, second = (line for line in written(table) if "a [b]cat" in line or "a dog" in line)
    assert first.endswith("submitted   t-1  a [b]cat[/b]\\x1b[2J")
    assert second.startswith("error       it is not known whether the relay accepted the submit")


async def test_the_bar_counts_by_what_was_shown() -> None:
    """A look at a generation that is still pending is not counted as completed."""
    pending = Generation(id="b", state=State.PENDING, state_text="queued")

    text = await lines_above(
        Table(Board(), console()), completed("a", "https://cdn.example/a.mp4"), Outcome(task_id="b", generation=pending)
    )

    assert "2/2 1 completed, 1 pending" in text


@pytest.mark.parametrize(("width", "beside"), [(200, "0.5/2.0 MB"), (100, "0.5/2.0 MB"), (40, "25%")])
def test_a_file_has_a_bar_in_bytes(width: int, beside: str) -> None:
    """A file that is being stored has a bar in its id's place, within the terminal's width; the others keep rows."""
    table = Table(Board(), console(width=width))
    for task_id in ("4665a07c-7641-4809-a133-10786201bb56", "b"):
        table.board.start(task_id)

    table.board.note(progress("4665a07c-7641-4809-a133-10786201bb56", 500_000, 2_000_000))
    lines = drawn(table)

    (bar,) = [line for line in lines if line.startswith("4665a07c")]
    assert beside in bar
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[:2]] == ["task", "b"]
    assert not any("more" in line for line in lines)


def test_a_file_of_unknown_length_shows_what_is_stored() -> None:
    """Where the server does not tell the length, the bytes so far are told."""
    table = Table(Board(), console())
    table.board.start("a")

    table.board.note(progress("a", 500_000, 0))

    assert any(line.startswith("a") and "500.0/? kB" in line for line in drawn(table))


async def test_a_bar_ends_with_its_id() -> None:
    """Nothing of a file is left on the screen when its line is written."""
    table = Table(Board(), console())
    table.board.start("a")
    table.board.note(progress("a", 1, 2))
    before = len(drawn(table))

    await table.end(completed("a", "https://cdn.example/a.mp4"))

    assert (before, len(drawn(table))) == (2, 3)


@pytest.mark.parametrize(("height", "bars"), [(24, 8), (10, 3), (3, 1)])
def test_many_files_fit_the_terminal(height: int, bars: int) -> None:
    """Bars take half of a low terminal at most; who has neither bar nor row is counted."""
    table = Table(Board(), console(height=height))
    for number in range(30):
        table.board.start(f"task-{number}")
    for number in range(8):
        table.board.note(progress(f"task-{number}", 1, 2))

    lines = drawn(table)

    assert sum("bytes" in line for line in lines) == bars
    assert len(lines) <= max(height, 5)
    assert f"and {30 - sum(line.startswith('task-') for line in lines)} more" in lines


async def test_links_and_files_can_be_clicked() -> None:
    """A terminal is told where a link or a file leads to; the text stays what it was."""
    file = Path("/v/a.video.mp4")
    live = console(200)
    live._color_system = ColorSystem.STANDARD

    link = await lines_above(Table(Board(), live), completed("a", "https://cdn.example/a.mp4"))
    path = await lines_above(Table(Board(), live), completed("a", "https://cdn.example/a.mp4"), stored=file)

    assert re.search("\x1b]8;id=[0-9]+;https://cdn.example/a.mp4\x1b\\\\https://cdn.example/a.mp4\x1b]8;;", link)
    assert re.search("\x1b]8;id=[0-9]+;file:///v/a.video.mp4\x1b\\\\/v/a.video.mp4", path)


async def test_a_link_that_a_terminal_may_obey_is_text_alone() -> None:
    """Escapes in a link must not end it early."""
    live = console(400)
    live._color_system = ColorSystem.STANDARD

    text = await lines_above(Table(Board(), live), completed("a", "https://cdn.example/\x1b\\\x1b[2J"))

    assert "\x1b]8;" not in text
    assert "\x1b[2J" not in text


async def test_a_data_link_is_shown_in_part_and_leads_nowhere() -> None:
    """The terminal is not given the medium."""
    live = console(400)
    live._color_system = ColorSystem.STANDARD
    link = f"data:video/mp4;base64,{'AAAA' * 500}"

    text = await lines_above(Table(Board(), live), completed("a", link))

    assert "\x1b]8;" not in text
    assert f"{link[:59]}…" in text
    assert link[:61] not in text


def test_an_id_that_becomes_visible_shows_its_latest_state() -> None:
    """States are noted of all ids: no row starts at *waiting* when a poll has seen more."""
    table = Table(Board(), console(height=6))
    for task_id in "abc":
        table.board.start(task_id)
    for state in (State.PENDING, State.PROCESSING):
        table.board.note(changed("c", state))
    before = drawn(table)

    table.board.rows.pop("a")
    after = drawn(table)[len(before) :]

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


async def requests_for(show: Show, relay: SimulatedRelay) -> int:
    """Wait for sixty new tasks with *show*, and return how many requests the relay has seen for that.

    States change in the middle between two polls, so that the number does not depend on milliseconds.
    """
    scripts = [Script.completes(pending=2.5, processing=5.0 * (1 + number % 6)) for number in range(60)]
    ids = [relay.add(script=script) for script in scripts]
    polling = PollPolicy(wait=wait_fixed(5.0))
    before = len(relay.requests)
    async with LumaClient(relay.base_url, relay.api_key, polling=polling, on_event=show.board.note) as luma:
        await wait(Job(luma, Ids.of(ids, None), show), Waiting())
    return len(relay.requests) - before


async def test_a_terminal_asks_no_more_than_a_pipe(luma_time: FastTime, luma_relay: SimulatedRelay) -> None:
    """What the table shows comes from events: watching sixty ids adds no request."""
    table = Table(Board(), console())

    in_a_pipe = await requests_for(Show(Board()), luma_relay)
    async with Table.live(table.board, table.console) as live:
        on_a_terminal = await requests_for(live, luma_relay)

    assert luma_time.elapsed > 60
    assert live.board.ended.total() == 60
    assert on_a_terminal == in_a_pipe
    assert any("processing" in line for line in written(live))
