"""Whatever bytes arrive, the caller sees a Generation or one of our errors: the rooms without I/O."""

from __future__ import annotations

import json
import pickle
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from luma_async import APIError, Generation, LumaError, Outcome, State, outcome_to_json
from luma_async._records import OutcomeRecord
from luma_async._relay.answer import Answer
from luma_async._relay.documents import NotJSONError
from luma_async._relay.search import state_of, tasks_in
from luma_async._relay.tasks import LastAnswer, Observation, read_batch, read_task
from luma_async.models import Role
from tests.kit import TASK_ID
from tests.properties.documents import OTHERS, answers, json_values, tasks

ASKED = (TASK_ID, *OTHERS)


def read(answer: Answer) -> Generation | LumaError:
    """Return what a single look makes of *answer*; anything else comes out as it is."""
    try:
        return read_task(answer, TASK_ID)
    except LumaError as error:
        return error


def read_many(answer: Answer, known: dict[str, LastAnswer | None]) -> dict[str, Observation]:
    """Return what a batch makes of *answer*; nothing where that is one of our errors."""
    try:
        return read_batch(answer, known)
    except LumaError as error:
        check_error(error)
        return {}


def no_number(word: str) -> None:
    """Refuse NaN and the infinities."""
    raise AssertionError(word)


def check_error(error: LumaError) -> None:
    """See that *error* is fit to be shown, sent and stored."""
    assert str(error).isprintable()
    assert len(str(error)) < 6_000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes


def check_generation(generation: Generation, task_id: str) -> None:
    """See that *generation* is the task's own, with a state that the relay gave and links that can be asked for."""
    assert generation.id == task_id
    assert generation.state_text.strip()
    assert state_of(generation.state_text) is generation.state
    for role in get_args(Role):
        link = generation.link(role)
        assert link is None or link.startswith(("http://", "https://"))


@given(answers())
def test_whatever_arrives_is_a_generation_or_one_of_our_errors(answer: Answer) -> None:
    """Any bytes with any status and headers: the asked task, or a LumaError whose text is short and printable."""
    outcome = read(answer)

    if isinstance(outcome, LumaError):
        check_error(outcome)
    else:
        check_generation(outcome, TASK_ID)


@given(answers())
def test_whatever_a_batch_answers_each_id_gets_its_own_or_nothing(answer: Answer) -> None:
    """Of the asked ids alone, and never a task under the id of another."""
    sighted = read_many(answer, dict.fromkeys(ASKED))

    assert sighted.keys() <= set(ASKED)
    for task_id, (_, news) in sighted.items():
        assert news is not None
        assert news.word == news.generation().state_text
        check_generation(news.generation(), task_id)


@given(answers())
def test_what_was_recognised_can_be_recalled(answer: Answer) -> None:
    """The same answer again shows nothing new, and what was kept of it says the same as the first time.

    A task inside another one, which no relay sends, may be missing the second time: it is asked for alone then.
    """
    first = read_many(answer, dict.fromkeys(ASKED))

    again = read_many(answer, {task_id: known for task_id, (known, _) in first.items()})

    assert again.keys() <= first.keys()
    assert bool(again) == bool(first)
    for task_id, (known, news) in first.items():
        assert news is not None
        assert again.get(task_id, (known, None)) == (known, None)
        assert known.recall(task_id) == news.generation()


@st.composite
def _two_lists(draw: st.DrawFn) -> tuple[Answer, Answer]:
    """Draw an answer about some tasks and a later one: rows stay, change, come, go and change places."""
    one_task = tasks().filter(lambda row: len(list(tasks_in(row))) == 1)
    rows = draw(st.lists(one_task, max_size=4))
    later = [draw(one_task) if draw(st.integers(0, 3)) == 0 else row for row in draw(st.permutations(rows))]
    return draw(_written(rows)), draw(_written(later))


@st.composite
def _written(draw: st.DrawFn, rows: list[dict[str, object]]) -> Answer:
    """Draw a way to write *rows*: bare or in an envelope, with some blanks or without."""
    document = rows if draw(st.booleans()) else {"code": "success", "data": rows}
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", " : ")]))
    return Answer(
        200, json.dumps(document, separators=separators, ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")
    )


@given(_two_lists())
def test_what_is_known_hides_no_change(lists: tuple[Answer, Answer]) -> None:
    """Whoever knows an earlier answer learns the same from a later one as who reads it for the first time."""
    earlier, later = lists
    known: dict[str, LastAnswer | None] = dict.fromkeys(ASKED)
    known |= {task_id: seen for task_id, (seen, _) in read_many(earlier, known).items()}

    fresh, again = read_many(later, dict.fromkeys(ASKED)), read_many(later, known)

    assert again.keys() == fresh.keys()
    for task_id, (seen, news) in again.items():
        told = seen.recall(task_id) if news is None else news.generation()
        assert told == fresh[task_id][0].recall(task_id)


@given(tasks())
def test_a_row_says_the_same_alone_and_among_others(task: dict[str, object]) -> None:
    """A bare array of one task is read like that task."""
    alone = read(Answer(200, json.dumps(task).encode()))
    row = read_many(Answer(200, json.dumps([task]).encode()), {TASK_ID: None}).get(TASK_ID)

    if row is not None and isinstance(alone, Generation) and next(tasks_in(task, asked=(TASK_ID,))).task_id == TASK_ID:
        assert row[1] is not None
        assert row[1].generation() == alone


@given(answers(), st.text(max_size=8))
def test_whatever_was_read_goes_out_as_one_line_and_comes_back(answer: Answer, odd_id: str) -> None:
    """The line of the command line and the journal is ASCII JSON without NaN, and can be read again."""
    found = read(answer)
    is_good = isinstance(found, Generation) and found.state is not State.FAILED
    odd = APIError(odd_id, status=500, code=odd_id, message=odd_id)
    outcome = Outcome(task_id=odd_id, generation=found) if is_good else Outcome(task_id=odd_id, error=odd)  # type: ignore[arg-type]

    line = outcome_to_json(outcome)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line, parse_constant=no_number)["task_id"] == odd_id
    assert OutcomeRecord.read(line.encode()).task_id == odd_id


def test_the_deepest_answer_comes_back_from_its_line() -> None:
    """Whatever was let in can be written down, and read again."""
    deepest = b'{"id": "%s", "state": "completed", "n": %s}' % (TASK_ID.encode(), b"[" * 63 + b"]" * 63)
    outcome = Outcome(task_id=TASK_ID, generation=read_task(Answer(200, deepest), TASK_ID))

    assert OutcomeRecord.read(outcome_to_json(outcome).encode()).generation == json.loads(deepest)


@given(st.one_of(st.binary(max_size=60), json_values.map(lambda value: json.dumps(value).encode())))
def test_a_line_of_any_bytes_is_an_outcome_or_none(line: bytes) -> None:
    """What a journal's file may hold is read, or refused as NotJSONError."""
    try:
        record = OutcomeRecord.read(line)
    except NotJSONError:
        return

    assert isinstance(record.task_id, str)
    assert record.outcome().task_id == record.task_id
