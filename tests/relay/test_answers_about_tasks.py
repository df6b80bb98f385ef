"""docs/answers.md: what a good answer becomes is what its tables say, row by row."""

from __future__ import annotations

import json

import pytest

from luma_async import Generation, LumaError
from luma_async._relay.keys import is_never_the_result
from luma_async._relay.search import state_of
from luma_async._relay.tasks import read_task
from luma_async.dialect import _STATE_KEYS, _STATE_WORDS
from luma_async.models import State
from tests.kit import answer
from tests.relay.test_answers_page import PAGE, codes

TASK = "task-1"


def rows_of(heading: str, head: str) -> list[list[str]]:
    """Return the cells of each row of the tables below *heading* whose first column is *head*."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    tables = [block.splitlines() for block in section.split("\n\n") if block.lstrip().startswith(f"| {head} |")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for table in tables for row in table[2:]]


def read(body: str) -> Generation:
    """Return what the answer *body* says about the task."""
    return read_task(answer(body), TASK)


def test_the_words_of_the_page_are_those_of_the_code() -> None:
    """Each word with its state, and each key."""
    listed = {codes(state)[0]: codes(words) for words, state in rows_of("The end", "words") if words != "any other"}

    assert listed == {str(state): words.split() for state, words in _STATE_WORDS.items()}
    assert " ".join(codes(PAGE.split("at one of these keys")[1].split("\n")[0])) == _STATE_KEYS
    assert state_of("something else") is State.UNKNOWN


@pytest.mark.parametrize(("body", "state"), rows_of("The end", "the answer"))
def test_an_answer_has_the_state_of_the_page(body: str, state: str) -> None:
    """Also where an envelope has other words."""
    assert [read(codes(body)[0]).state] == codes(state)


LINKS = rows_of("The link", "the completed task has")


@pytest.mark.parametrize(("fields", "link", "problems"), LINKS)
def test_a_completed_task_has_the_link_of_the_page(fields: str, link: str, problems: str) -> None:
    """And the problems."""
    body = {"id": TASK, "state": "completed", **json.loads(codes(fields)[0])}
    generation = read(json.dumps(body))

    assert ([generation.video_url] if generation.video_url else []) == codes(link)
    assert list(generation.problems) == codes(problems)


def test_the_keys_that_are_never_the_result_are_on_the_page() -> None:
    """Each of them is one in the code."""
    line = PAGE.split("nor is anything below such a key:\n")[1].split("\n")[0]

    assert len(codes(line)) > 10
    assert [key for key in codes(line) if not is_never_the_result(key, {})] == []


@pytest.mark.parametrize(("body", "reason", "code"), rows_of("The reason", "the answer"))
def test_a_failed_task_has_the_reason_of_the_page(body: str, reason: str, code: str) -> None:
    """And the code."""
    generation = read(codes(body)[0])

    assert generation.state is State.FAILED
    assert ([generation.failure_reason] if generation.failure_reason else []) == codes(reason)
    assert ([generation.failure_code] if generation.failure_code else []) == codes(code)


ERRORS = [
    (int(status), codes(body)[0], codes(becomes)[0])
    for statuses, body, becomes in rows_of("A task inside an error status", "status")
    for status in codes(statuses)
]


@pytest.mark.parametrize(("status", "body", "becomes"), ERRORS)
def test_an_error_status_becomes_what_the_page_says(status: int, body: str, becomes: str) -> None:
    """The failed task, or the error of the status."""
    if becomes == "failed":
        assert read_task(answer(body, status), TASK).state is State.FAILED
        return
    with pytest.raises(LumaError) as raised:
        read_task(answer(body, status), TASK)
    assert becomes in [kind.__name__ for kind in type(raised.value).__mro__]


def test_each_table_of_the_page_is_read() -> None:
    """None of them is empty for a test."""
    counts = [len(LINKS), len(ERRORS), len(rows_of("The end", "the answer"))]

    assert min(counts) >= 10
    assert len(rows_of("The reason", "the answer")) >= 9
