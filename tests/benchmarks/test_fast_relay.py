"""The fast relay: what it says when, over whatever pieces requests come in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from attrs import define, field

from luma_async._relay.answer import Answer
from luma_async._relay.tasks import read_task
from luma_async.models import State
from tests.benchmarks.fast_relay import COMPLETED, PENDING, PROCESSING, Book, Exchange, Order, Page, Task, ids_of
from tests.kit import Clock

(TASK,) = ids_of(1)
POLL = f"GET /luma/generations/{TASK} HTTP/1.1\r\nHost: relay\r\n\r\n".encode()


class Wire(asyncio.Transport):
    """The way back to a client that keeps all that is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""

    def write(self, data: Any) -> None:
        """Keep it."""
        self.said += data


@define
class Visit:
    """One connection to a book whose clock stands."""

    clock: Clock = field(factory=lambda: Clock(100.0))
    wire: Wire = field(factory=Wire)
    book: Book = field(init=False)
    exchange: Exchange = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.book = Book(self.clock)
        self.exchange = Exchange(self.book)
        self.exchange.connection_made(self.wire)

    def say(self, *pieces: bytes) -> list[Any]:
        """Send *pieces* one after the other; the JSON of each answer."""
        self.wire.said = b""
        for piece in pieces:
            self.exchange.data_received(piece)
        return list(_bodies(self.wire.said))

    def post(self, path: str, body: object) -> Any:
        """Send a POST with JSON; the JSON of its answer."""
        return self.say(_posted(path, body))[0]


def _posted(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content


def _bodies(said: bytes) -> list[Any]:
    """Read answers as strictly as they are counted: a wrong length garbles the next one."""
    bodies = []
    while said:
        head, _, rest = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 ")
        length = int(head.rpartition(b"Content-Length: ")[2])
        bodies.append(json.loads(rest[:length]) if length else None)
        said = rest[length:]
    return bodies


@pytest.fixture
def visit() -> Visit:
    """A connection to a relay with one task: five seconds pending, five processing, give or take nothing."""
    visit = Visit()
    visit.post("/control/register", {"count": 1, "medians": [5, 5], "sigmas": [0, 0]})
    return visit


@pytest.mark.parametrize(("later", "state"), [(0, "pending"), (4.9, "pending"), (5, "processing"), (10, "completed")])
def test_a_task_changes_when_its_time_comes(visit: Visit, later: float, state: str) -> None:
    """The state depends on nothing but the time since the tasks were registered."""
    visit.clock.now += later

    (answer,) = visit.say(POLL)

    assert (answer["id"], answer["state"]) == (TASK, state)


def test_the_path_of_the_official_sdk_leads_to_the_same_task(visit: Visit) -> None:
    """Both paths end with the id."""
    ours, theirs = visit.say(POLL, POLL.replace(b"/luma/", b"/dream-machine/v1/"))

    assert ours == theirs


@pytest.mark.parametrize("cut", [1, 30, len(POLL) - 1])
def test_a_request_may_come_in_pieces(visit: Visit, cut: int) -> None:
    """It is answered when it is whole, once."""
    answers = visit.say(POLL[:cut], POLL[cut:])

    assert [answer["id"] for answer in answers] == [TASK]


def test_a_body_may_come_after_its_head(visit: Visit) -> None:
    """A batch query is answered when its body is there."""
    query = _posted("/luma/tasks", {"ids": [TASK]})

    answers = visit.say(query[:-9], query[-9:])

    assert [[row["id"] for row in answer] for answer in answers] == [[TASK]]


def test_several_requests_may_come_at_once(visit: Visit) -> None:
    """They are answered in their order."""
    single, batch, last = visit.say(POLL + _posted("/luma/tasks", {"ids": [TASK]}) + POLL)

    assert single == batch[0] == last


def test_what_is_unknown_is_said_to_be(visit: Visit) -> None:
    """An unknown id or path is a 404, and counts as no poll."""
    strange = visit.say(POLL.replace(b"bench", b"other"), _posted("/luma/elsewhere", {}))

    assert strange == [None, None]
    assert visit.post("/control/count", {})["polls"] == 0


def test_a_batch_leaves_unknown_ids_out(visit: Visit) -> None:
    """As relays do (contract section 2)."""
    rows = visit.post("/luma/tasks", {"ids": ["nobody", TASK]})

    assert [row["id"] for row in rows] == [TASK]


def test_a_batch_is_one_request_and_many_polls(visit: Visit) -> None:
    """Requests and polls are counted apart, and tasks that were asked for at all."""
    visit.post("/control/register", {"count": 3})
    first, second, _ = ids_of(3)
    visit.post("/luma/tasks", {"ids": [first, second]})
    visit.post("/luma/tasks", {"ids": [first]})

    counted = visit.post("/control/count", {})

    assert (counted["requests"], counted["polls"], counted["asked"]) == (2, 3, 2)


def test_lateness_is_from_the_end_to_the_first_poll_that_shows_it(visit: Visit) -> None:
    """Later polls do not change it."""
    for visit.clock.now in (109, 113, 115):
        visit.say(POLL)

    assert visit.post("/control/lateness", {}) == {"completed_at": {TASK: 110}, "late": [3]}


def test_a_task_that_has_not_ended_is_not_late(visit: Visit) -> None:
    """Nor is one that never ends."""
    visit.say(POLL)

    assert visit.post("/control/lateness", {}) == {"completed_at": {}, "late": []}


def test_polls_can_be_counted_instead_of_seconds() -> None:
    """The last of them tells that the task has completed."""
    task = Task(float("inf"), float("inf"), polls_left=3)

    assert [task.page(0) for _ in range(3)] == [PENDING, PENDING, COMPLETED]


def test_tasks_can_be_submitted_over_time() -> None:
    """Evenly, beginning now."""
    order = Order(count=4, medians=(1, 0), sigmas=(0, 0), over=8)

    made = order.tasks(Clock(0))

    assert [task.completed_at for task in made] == [1, 3, 5, 7]


def test_the_same_order_makes_the_same_tasks() -> None:
    """So that all clients wait for the same, and another seed for something else."""
    ends = [
        [task.completed_at for task in Order(count=5, medians=(1, 1), seed=seed).tasks(Clock())] for seed in (1, 1, 2)
    ]

    assert ends[0] == ends[1] != ends[2]
    assert len(set(ends[0])) == 5


@pytest.mark.parametrize(
    ("page", "state"),
    [(PENDING, State.PENDING), (PROCESSING, State.PROCESSING), (COMPLETED, State.COMPLETED)],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_luma_async_understands_each_answer(page: Page, state: State) -> None:
    """A completed one has its link: otherwise it would be polled again."""
    generation = read_task(Answer(status=200, body=page.about(TASK.encode())), TASK)

    assert generation.state is state
    assert (generation.video_url is not None) is (state is State.COMPLETED)
