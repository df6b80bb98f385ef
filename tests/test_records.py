"""An outcome as one line of JSON, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luma_async import (
    ConfigurationError,
    Dialect,
    DownloadError,
    Generation,
    GenerationFailedError,
    JournalError,
    LumaError,
    NotFoundError,
    Outcome,
    RateLimitError,
    State,
    TransportError,
    UncertainSubmitError,
    WaitTimeoutError,
    outcome_from_json,
    outcome_to_json,
)
from luma_async._records import OutcomeRecord, StoredFile
from luma_async._relay.tasks import read_task
from luma_async.errors import Verdict
from tests.kit import TASK_ID, answer

LINK = "https://cdn.example/a.mp4"


def generation(state: str = "completed", **more: Any) -> Generation:
    """Return what a relay answers about a task."""
    return read_task(answer({"id": TASK_ID, "state": state, "video": {"url": LINK}, **more}), TASK_ID)


def refused(body: Any, status: int) -> LumaError:
    """Return the error that an answer is."""
    with pytest.raises(LumaError) as caught:
        read_task(answer(body, status), TASK_ID)
    return caught.value


# --- an outcome as one line ---


def test_a_done_outcome_has_the_documented_keys() -> None:
    """The schema of the command line and the journal, with the relay's answer in full."""
    body = {"id": TASK_ID, "state": "completed", "video": {"url": LINK}, "prompt": "猫\u2028"}
    outcome = Outcome(task_id=TASK_ID, generation=read_task(answer(body), TASK_ID), elapsed=12.34567, polls=3)

    line = outcome_to_json(outcome)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "task_id": TASK_ID,
        "state": "completed",
        "video_url": LINK,
        "path": None,
        "error": None,
        "elapsed": 12.346,
        "polls": 3,
        "generation": body,
    }


def test_an_error_is_told_with_its_facts() -> None:
    """Without a generation the state and the link are null."""
    error = RateLimitError("busy", status=429, verdict=Verdict.SLOW_DOWN, task_id="a")

    record = json.loads(outcome_to_json(Outcome(task_id="a", error=error)))

    assert record["error"] == {
        "type": "RateLimitError",
        "message": "task a: busy",
        "status": 429,
        "code": None,
        "verdict": "slow_down",
        "retryable": True,
    }
    assert (record["state"], record["video_url"], record["generation"]) == (None, None, None)


@pytest.mark.parametrize("kind", ["failed", "unfinished"])
def test_an_error_that_carries_a_generation_tells_of_it(kind: str) -> None:
    """A failed one, and the last that was seen before the deadline."""
    body = {"id": TASK_ID, "state": "failed" if kind == "failed" else "dreaming"}
    last = read_task(answer(body), TASK_ID)
    error: LumaError = GenerationFailedError(last)
    if kind == "unfinished":
        error = WaitTimeoutError(TASK_ID, waited=5.0, last=last, last_error=None)

    record = json.loads(outcome_to_json(Outcome(task_id=TASK_ID, error=error)))

    assert record["state"] == last.state
    assert record["generation"] == body


@pytest.mark.parametrize(
    ("task_id", "told"), [("a\ud800", "a\ud800"), ("", ""), (None, "None"), (b"x", "b'x'"), (5, "5")]
)
def test_an_odd_task_id_is_told_as_text(task_id: Any, told: str) -> None:
    """Whatever the caller passed, the line is valid JSON."""
    outcome = Outcome(task_id=task_id, error=LumaError("no task id"))

    assert json.loads(outcome_to_json(outcome))["task_id"] == told


def test_a_brief_line_leaves_the_answer_out() -> None:
    """All else is there."""
    outcome = Outcome(task_id=TASK_ID, generation=generation(), polls=2)

    whole, brief = json.loads(outcome_to_json(outcome)), json.loads(outcome_to_json(outcome, brief=True))

    assert whole.pop("generation") == outcome.unwrap().raw
    assert brief == whole


def test_a_line_tells_where_a_file_was_stored() -> None:
    """The command line knows that, and an outcome does not."""
    outcome = Outcome(task_id=TASK_ID, generation=generation())

    line = OutcomeRecord.of(outcome, {"video": StoredFile(Path("v/a.mp4"), 5)}).line()
    assert json.loads(line)["path"] == "v/a.mp4"


# --- and back ---


def test_an_outcome_comes_back_from_its_line() -> None:
    """As text and as bytes, with or without the end of the line."""
    outcome = Outcome(task_id=TASK_ID, generation=generation(prompt="海"), elapsed=1.25, polls=3)
    line = outcome_to_json(outcome)

    assert outcome_from_json(line) == outcome_from_json(f"{line}\n".encode()) == outcome
    assert outcome_from_json(line).unwrap().raw == outcome.unwrap().raw


def test_a_failed_generation_that_is_no_error_comes_back_as_one() -> None:
    """A single poll returns it so."""
    outcome = Outcome(task_id=TASK_ID, generation=generation("failed"))

    assert outcome_from_json(outcome_to_json(outcome)) == outcome


def test_a_brief_line_gives_state_and_link() -> None:
    """The rest was left out."""
    outcome = Outcome(task_id=TASK_ID, generation=generation(), elapsed=1.25, polls=3)

    back = outcome_from_json(outcome_to_json(outcome, brief=True))

    assert (back.elapsed, back.polls) == (1.25, 3)
    assert (back.unwrap().state, back.unwrap().video_url, back.unwrap().raw) == (State.COMPLETED, LINK, {})


FACTS = ("task_id", "verdict", "retryable", "status", "code", "names_task", "generation", "last", "reason", "body")
ERRORS = [
    GenerationFailedError(generation("failed", failure_reason="no cats")),
    WaitTimeoutError(TASK_ID, waited=2.5, last=generation("dreaming"), last_error=TransportError("cut")),
    WaitTimeoutError(TASK_ID, waited=2.5, last=None, last_error=None),
    DownloadError("no room", reason="disk", generation=generation(), task_id=TASK_ID, advice="make room"),
    refused({"code": "task_not_exist", "message": "no"}, 400).for_task(TASK_ID),
    refused({"detail": "Not Found"}, 404),
    RateLimitError("busy", status=429, code=7, verdict=Verdict.SLOW_DOWN),
    TransportError("cut", verdict=Verdict.PASSING, advice="try again"),
    ConfigurationError("no id"),
    JournalError("no room", path="batch.jsonl"),
    UncertainSubmitError(TransportError("cut"), body="what", candidates=("a", "b")),
    LumaError("else"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_as_what_it_was(error: LumaError) -> None:
    """Its class, its text and the facts of the line."""
    line = outcome_to_json(Outcome(task_id=TASK_ID, error=error, elapsed=2.5))

    back = outcome_from_json(line).error

    assert (type(back), str(back)) == (type(error), str(error))
    assert {name: getattr(back, name, None) for name in FACTS} == {name: getattr(error, name, None) for name in FACTS}
    assert getattr(back, "candidates", ()) == getattr(error, "candidates", ())
    assert outcome_to_json(Outcome(task_id=TASK_ID, error=back, elapsed=2.5)) == line


@pytest.mark.parametrize("kind", ["LaterError", "Verdict", "Any", "shown"])
def test_an_error_of_an_unknown_class_is_a_luma_error(kind: str) -> None:
    """A later version may have others."""
    record = json.loads(outcome_to_json(Outcome(task_id="a", error=LumaError("no"))))
    record["error"] |= {"type": kind, "more": 1}

    back = outcome_from_json(json.dumps(record | {"more": 2})).error

    assert (type(back), str(back)) == (LumaError, "no")


def test_a_failure_without_its_answer_is_a_luma_error() -> None:
    """Such a line is not ours; its text is all there is."""
    record = json.loads(outcome_to_json(Outcome(task_id="a", error=LumaError("no"))))
    record["error"]["type"] = "GenerationFailedError"

    assert type(outcome_from_json(json.dumps(record)).error) is LumaError


# --- lines of earlier versions ---


def earlier(error: LumaError) -> str:
    """Return the line that the first version wrote of *error*."""
    record = json.loads(outcome_to_json(Outcome(task_id=TASK_ID, error=error, polls=3)))
    record["looks"] = record.pop("polls")
    del record["path"]
    record["error"] = {key: record["error"][key] for key in ("type", "message", "retryable")}
    return json.dumps(record)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_line_of_an_earlier_version_is_read(error: LumaError) -> None:
    """With *looks*, without *path*, and with an error that has no facts beside its text."""
    back = outcome_from_json(earlier(error))

    assert (type(back.error), str(back.error), back.polls) == (type(error), str(error), 3)


@pytest.mark.parametrize(
    ("error", "status", "names_task"),
    [
        (refused({"code": "task_not_exist", "message": ""}, 400), 400, True),
        (refused({"error": {"message": "Task not found"}}, 404), 404, True),
        (refused({"message": "no more"}, 410), 410, True),
        (refused({"detail": "Not Found"}, 404), 404, False),
        (NotFoundError("no", status=404), 404, False),
    ],
)
def test_the_facts_of_an_earlier_error_are_in_its_text(error: LumaError, status: int, names_task: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Those that decide whether an id has ended; today they have keys of their own."""
    back = outcome_from_json(earlier(error)).error

    assert isinstance(back, NotFoundError)
    assert (back.status, back.names_task) == (status, names_task)


# --- what is not such a line ---

GOOD: dict[str, Any] = json.loads(outcome_to_json(Outcome(task_id="a", error=RateLimitError("busy", status=429))))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "5",
        "null",
        outcome_to_json(Outcome(task_id="a", error=LumaError("no")))[:-1],
        *(
            json.dumps({key: GOOD[key] for key in GOOD if key != left_out})
            for left_out in GOOD.keys() - {"generation", "path"}
        ),
        *(
            json.dumps(GOOD | wrong)
            for wrong in list[dict[str, Any]](
                (
                    {"task_id": 5},
                    {"state": "done"},
                    {"state": []},
                    {"video_url": "nowhere"},
                    {"path": 5},
                    {"error": "no"},
                    {"error": None},
                    {"elapsed": "1"},
                    {"elapsed": True},
                    {"polls": 1.5},
                    {"polls": True},
                    {"generation": []},
                )
            )
        ),
        *(
            json.dumps(GOOD | {"error": GOOD["error"] | wrong})
            for wrong in (
                {"type": None},
                {"message": 5},
                {"status": "429"},
                {"code": 1.5},
                {"verdict": "perhaps"},
                {"verdict": 5},
                {"retryable": 1},
                {"names_task": None},
                {"candidates": 5},
            )
        ),
        json.dumps(GOOD | {"error": {"type": "NotFoundError", "message": 5, "retryable": False}}),
    ],
)
def test_what_is_no_outcome_is_refused(line: str) -> None:
    """What is missing, or of another type, makes it none; the error is a ValueError, too."""
    with pytest.raises(ConfigurationError, match="the line is not an outcome"):
        outcome_from_json(line)


@pytest.mark.parametrize(
    ("message", "names_task"),
    [
        (
            "the relay answered HTTP 404: Invalid (check the task id, and that the key is the one that submitted it)",
            False,
        ),
        ("the relay answered HTTP 404: task not found (check the task id, and that the key is the one)", True),
        ("the relay answered HTTP 400, code task_not_exist: task_not_exist", True),
        ("the relay answered HTTP 410: gone (the relay has forgotten this task)", True),
        ("the relay answered HTTP 404", False),
    ],
)
def test_an_old_line_is_read_without_our_own_advice(message: str, names_task: bool) -> None:  # noqa: FBT001 - a case
    """Only the relay's words say that it does not know the task."""
    line = {
        "task_id": "a",
        "state": None,
        "video_url": None,
        "error": {"type": "NotFoundError", "message": f"task a: {message}", "retryable": False},
        "elapsed": 1.0,
        "looks": 3,
        "generation": None,
    }

    outcome = outcome_from_json(json.dumps(line))

    assert isinstance(outcome.error, NotFoundError)
    assert outcome.error.names_task is names_task
    assert outcome.polls == 3


# --- media inside of answers ---


def test_a_line_holds_no_medium() -> None:
    """A ``data:`` link is cut at any place, also in a text with JSON, and the line is still read."""
    link = f"data:video/mp4;base64,{'AAAA' * 500}"
    body = {
        "id": TASK_ID,
        "state": "completed",
        "videos": [{"url": link}],
        "request": {"prompt": "a cat", "image_url": f"data:image/png;base64,{'AAAA' * 500}"},
        "copy": json.dumps({"url": link}),
    }

    line = outcome_to_json(Outcome(task_id=TASK_ID, generation=read_task(answer(body), TASK_ID)))
    again = outcome_from_json(line)

    assert json.loads(line)["video_url"] == json.loads(line)["generation"]["videos"][0]["url"] == f"{link[:59]}…"
    assert "AAAA" * 12 not in line
    assert again.unwrap().state is State.COMPLETED
    assert (again.unwrap().video_url, again.unwrap().prompt) == (None, "a cat")


def test_a_short_data_link_is_read_back_whole() -> None:
    """It is the medium, and not only its start."""
    link = "data:video/mp4;base64,AAAAIGZ0eXA="
    body = {"id": TASK_ID, "state": "completed", "url": link}

    line = outcome_to_json(Outcome(task_id=TASK_ID, generation=read_task(answer(body), TASK_ID)))

    assert json.loads(line)["video_url"] == outcome_from_json(line).unwrap().video_url == link


# --- other dialects ---


@pytest.mark.parametrize("word", ["klar", "completed"])
def test_a_line_says_what_its_client_read_in_another_dialect(word: str) -> None:
    """State and link are those of the line; the rest is read from the answer."""
    dialect = Dialect(state_words={"klar": "completed"}, link_keys=["media.hd"])
    body = {
        "id": TASK_ID,
        "state": word,
        "media": {"hd": LINK},
        "url": "https://cdn.example/low.mp4",
        "prompt": "a cat",
    }
    generation = read_task(answer(body), TASK_ID, dialect)

    again = outcome_from_json(outcome_to_json(Outcome(task_id=TASK_ID, generation=generation))).unwrap()

    assert (again.state, again.video_url, again.prompt) == (State.COMPLETED, LINK, "a cat")


@pytest.mark.parametrize("key", ["id", "ticket"])
def test_a_line_keeps_the_reason_that_only_its_dialect_finds(key: str) -> None:
    """The error that is read back has it, also where no usual key has the id."""
    dialect = Dialect(state_words={"kaputt": "failed"}, reason_keys=["why"], id_keys=["ticket"])
    failed = read_task(answer({key: TASK_ID, "state": "kaputt", "why": "no face found"}), TASK_ID, dialect)

    line = outcome_to_json(Outcome(task_id=TASK_ID, error=GenerationFailedError(failed)))
    error = outcome_from_json(line).error

    assert isinstance(error, GenerationFailedError)
    assert (error.reason, error.generation.state) == ("no face found", State.FAILED)
