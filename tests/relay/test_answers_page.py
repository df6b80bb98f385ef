"""docs/answers.md: each row of its tables is driven through a client, and no row of the code's tables is missing."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
from attrs import frozen
from multidict import CIMultiDict

from luma_async import Event, LumaClient, Outcome, WaitTimeoutError
from luma_async._media.formats import trouble_with
from luma_async._network.session import translated
from luma_async._relay.causes import _BY_STATUS, _BY_WORD
from luma_async.errors import DownloadError, DownloadReason, LumaError, Verdict
from luma_async.events import CooldownStarted, PollFailed
from luma_async.testing import FastTime, Fault, Script, SimulatedRelay
from tests.quick import quick

PAGE = (Path(__file__).parents[2] / "docs" / "answers.md").read_text(encoding="utf-8")
BELOW = {405: "alone"}
"""What the page says below a table, where the cell of the batch says "see below"."""


def rows_under(heading: str) -> list[list[str]]:
    """Return the cells of each table row in the section *heading*, without the tables' heads."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith(_HEADS)]


_HEADS = ("| status |", "| what happens |", "| `DownloadError.reason` |")


def codes(cell: str) -> list[str]:
    """Return what stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


@frozen
class Row:
    """One status of one row about a relay's answers."""

    status: int
    headers: dict[str, str]
    body: str
    error: str
    look: str
    wait: str
    batch: str

    @property
    def fault(self) -> Fault:
        """The answer that the row is about."""
        kind = "text/html" if self.body.startswith("<") else "application/json"
        return Fault.http(self.status, self.body.encode(), {"Content-Type": kind, **self.headers})


def relay_rows() -> Iterator[Row]:
    """Yield every status of every row of the three tables about a relay's answers."""
    for heading in ("HTTP statuses", "Codes inside an answer", "Bodies that are not an answer"):
        for statuses, header, body, error, look, wait, batch in rows_under(heading):
            headers = dict(told.split(": ", 1) for told in codes(header))
            for status in map(int, codes(statuses)):
                told = BELOW.get(status, "split") if batch == "see below" else batch
                yield Row(status, headers, "".join(codes(body)), codes(error)[0], look, wait, told)


ROWS = list(relay_rows())
each_row = pytest.mark.parametrize(
    "row", quick(ROWS, 50, ids=[f"{row.status} {row.body or ''.join(row.headers)}"[:60] for row in ROWS])
)


def client_of(relay: SimulatedRelay, events: list[Event]) -> LumaClient:
    """Return a client with the defaults that the page speaks of."""
    return LumaClient(relay.base_url, relay.api_key, on_event=events.append)


def end_of(outcome: Outcome, events: list[Event]) -> str:
    """Say in the page's words how a wait came to its end under lasting trouble."""
    if isinstance(outcome.error, WaitTimeoutError):
        return "slows down" if any(isinstance(event, CooldownStarted) for event in events) else "never ends"
    if outcome.elapsed >= 120 and outcome.polls >= 10:
        return "passes"
    return {1: "ends", 3: "third in a row"}.get(outcome.polls, f"ends after {outcome.polls}")


@each_row
async def test_a_look_and_a_wait_end_as_the_page_says(
    row: Row, luma_time: FastTime, luma_relay: SimulatedRelay
) -> None:
    """Class, tries, and how long a wait bears it."""
    luma_relay.trouble(row.fault, times=None)
    events: list[Event] = []

    async with client_of(luma_relay, events) as luma:
        [look] = await luma.get_generations(["task-1"])
        events.clear()
        [wait] = await luma.wait_all(["task-1"], timeout=600)

    failed = next(event.error for event in events if isinstance(event, PollFailed))
    assert luma_time.elapsed < 700
    assert type(look.error) is type(failed)
    assert row.error in [kind.__name__ for kind in type(failed).__mro__]
    assert (f"after {look.polls}", end_of(wait, events)) == (row.look, row.wait)
    assert look.error is not None
    assert look.error.retryable is (row.wait in ("passes", "slows down"))


def meaning_of(outcomes: list[Outcome], kinds: list[str], events: list[Event]) -> str:
    """Say in the page's words what became of the ids of a batch that met trouble once.

    Args:
        outcomes: Those of the ids.
        kinds: The kinds of the requests in the second after the trouble.
        events: Those of the client.
    """
    if not all(outcome.ok for outcome in outcomes):
        return "ends"
    if kinds:
        return {"batch": "split", "look": "one first" if "batch" in kinds else "alone"}[kinds[0]]
    return "slows down" if any(isinstance(event, CooldownStarted) for event in events) else "passes"


@each_row
async def test_a_batch_goes_on_as_the_page_says(row: Row, luma_time: FastTime, luma_relay: SimulatedRelay) -> None:
    """Together after a pause, or at once: in smaller batches, one alone first, or each alone."""
    ids = [luma_relay.add(script=Script.completes(pending=30, processing=30)) for _ in range(3)]
    events: list[Event] = []

    async with client_of(luma_relay, events) as luma:
        await luma.get_generations(ids)
        luma_relay.trouble(row.fault, on="batch")
        outcomes = await luma.wait_all(ids)
        first, troubled, *later = luma_relay.requests
        told = meaning_of(outcomes, [request.kind for request in later if request.at - troubled.at < 1], events)

    assert luma_time.elapsed < 200
    assert (first.kind, troubled.kind) == ("batch", "batch")
    assert told == row.batch


def test_no_status_or_word_of_the_code_is_missing() -> None:
    """Who adds a row to the tables in ``_refusals`` adds one to the page."""
    statuses = {row.status for row in ROWS}
    bodies = " ".join(row.body for row in ROWS)

    assert _BY_STATUS.keys() <= statuses
    assert [word for word in _BY_WORD if word not in bodies] == []


# --- no answer at all ---

_REQUEST: Any = None
LOST: dict[str, Exception] = {
    "the connection is refused": ConnectionRefusedError(111, "Connection refused"),
    "the name is not found": socket.gaierror(-2, "Name or service not known"),
    "the network is unreachable": OSError(101, "Network is unreachable"),
    "the connection is closed before an answer": aiohttp.ServerDisconnectedError(),
    "the connection is reset": aiohttp.ClientOSError(104, "Connection reset by peer"),
    "the answer breaks off in the middle": aiohttp.ClientPayloadError("not all came"),
    "the relay does not answer within `Limits.request_timeout`": TimeoutError(),
    "the certificate is not trusted, expired, or another host's": ssl.SSLCertVerificationError(1, "unable to verify"),
    "the server speaks plain HTTP instead of TLS": ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "the connection breaks inside TLS": ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    "the answer is not HTTP, or is damaged": aiohttp.ClientResponseError(_REQUEST, (), status=400),
}
ENDS = {Verdict.FINAL: "ends", Verdict.PASSING: "passes"}


def test_what_is_no_answer_becomes_what_the_page_says() -> None:
    """Each row, by what aiohttp or the system raises there."""
    errors: dict[str, LumaError] = {what: translated(raised, "relay:443") for what, raised in LOST.items()}

    told = [[what, f"`{type(error).__name__}`", ENDS[error.verdict]] for what, error in errors.items()]

    assert told == rows_under("No answer at all")


# --- downloads ---


def media_rows() -> Iterator[tuple[int, dict[str, str], str, str]]:
    """Yield every status of the table about media servers."""
    for cells in rows_under("A media server's answer"):
        if len(cells) == 4:
            headers = dict(told.split(": ", 1) for told in codes(cells[1]))
            for status in map(int, codes(cells[0])):
                yield status, headers, codes(cells[2])[0], cells[3]


def then_of(error: DownloadError) -> str:
    """Say in the page's words what happens next."""
    return "renewed" if error.reason == "expired" else "tried again" if error.retryable else "ends"


@pytest.mark.parametrize(("status", "headers", "reason", "then"), list(media_rows()))
def test_a_media_servers_answer_becomes_what_the_page_says(
    status: int, headers: dict[str, str], reason: str, then: str
) -> None:
    """By its status and headers alone."""
    error = trouble_with(status, CIMultiDict(headers), "https://media.example/video")

    assert error is not None
    assert (error.reason, then_of(error)) == (reason, then)


def test_every_reason_of_a_download_is_explained() -> None:
    """In the order of the code, and no other."""
    explained = [codes(cells[0])[0] for cells in rows_under("A media server's answer") if len(cells) == 3]

    assert explained == list(get_args(DownloadReason))
