"""What is read from one captured answer, from where, and what is missing; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose
from typing import Any

from attrs import asdict, evolve, frozen

from luma_async._checks import medium_or_none
from luma_async._relay.answer import Answer
from luma_async._relay.documents import Reading, encoded
from luma_async._relay.refusals import lenient_documents
from luma_async._relay.search import as_id, tasks_in
from luma_async._relay.structure import moment_or_none
from luma_async._relay.submissions import read_submitted
from luma_async._relay.tasks import read_task
from luma_async._relay.unlisted import unlisted_task
from luma_async._text import plain_word, shown, without_media, without_pages
from luma_async.cli.check.missing import is_without_task, what_lacks
from luma_async.cli.check.places import Captured, dotted
from luma_async.cli.output import in_option_names
from luma_async.dialect import Dialect
from luma_async.errors import APIError, GenerationFailedError, LumaError, Verdict
from luma_async.models import Generation, State


@frozen
class Field:
    """One row: a field of the answer, its value, and where that was."""

    field: str
    value: str | int | float | None = None
    place: str | None = None
    """Dotted, from the top of the answer."""
    note: str | None = None

    def line(self) -> str:
        """Return it as a line of ASCII JSON."""
        return encoded(asdict(self)).decode("ascii")


def explain(answer: Answer, dialect: Dialect, task_id: str | None = None) -> tuple[list[Field], bool]:
    """Return what is read from *answer*, and whether a wait can use it.

    Args:
        answer: As it was captured.
        dialect: How to read it.
        task_id: The task that was polled; without it, the one that the answer names.

    Returns:
        One row for each field, and whether id, state and, for a completed task, a link were found; of the answer to a
        submit, whether its id was.
    """
    ids = [task_id] if task_id is not None else _ids_in(answer, dialect)
    captured = Captured.of(answer, ids[0] if ids else "", dialect)
    try:
        generation = read_task(answer, captured.task_id, dialect)
    except LumaError as error:
        if not is_without_task(answer, error):
            return [*_error(answer, error)], False
        if task_id is None and (submitted := _submitted(captured)):
            return submitted, True
        return [*(Field(*each) for each in what_lacks(captured)), *_error(answer, error)], False
    is_whole = generation.state is not State.UNKNOWN and (
        generation.state is not State.COMPLETED or generation.video_url is not None
    )
    return list(_fields(captured, generation, len(ids))), is_whole


def _ids_in(answer: Answer, dialect: Dialect) -> list[str]:
    """Return the ids of the tasks in *answer*; where none is certain, one that stands beside a state."""
    documents = lenient_documents(answer)
    certain = [found.task_id for each in documents for found in tasks_in(each, Reading(dialect=dialect))]
    if certain:
        return list(dict.fromkeys(certain))
    named = [
        (plain_word(str(path[-1])), as_id(value)) for path, value in Captured.of(answer, "", dialect).values() if path
    ]
    possible = [text for key in dialect.id_keys for name, text in named if name == plain_word(key) and text]
    for text in possible:
        if any(
            found.task_id == text for each in documents for found in tasks_in(each, Reading(dialect=dialect), {text})
        ) or any(unlisted_task(each, text, Reading(dialect=dialect)) for each in documents):
            return [text]
    return []


# --- a submit ---


def _submitted(captured: Captured) -> list[Field]:
    """Return the rows of the answer to a submit; none if a submit finds no id in it either."""
    as_submit = evolve(captured, reader=_read_submitted)
    try:
        new_id = _read_submitted(captured.answer, "", captured.dialect)
    except LumaError:
        return []
    place = as_submit.place_of(lambda read: read, lambda value: as_id(value) == new_id, lambda _: "-")
    note = "of a new task: this is the answer to a submit; one to a poll has a state beside the id"
    return [Field("id", shown(new_id, 1100), dotted(place), note), _request_id(captured.answer)]


def _read_submitted(answer: Answer, _: str, dialect: Dialect) -> str:
    return read_submitted(answer, dialect=dialect)


# --- a task ---


def _fields(captured: Captured, generation: Generation, tasks: int) -> Iterator[Field]:
    one_of = None if tasks <= 1 else f"one of {tasks} tasks in this answer: choose another with --id"
    place = captured.place_of(
        lambda read: read.id, lambda value: as_id(value) == generation.id, lambda _: "-", is_needed=True
    )
    yield Field("id", shown(generation.id, 1100), dotted(place), one_of)
    yield _state(captured, generation)
    link = _link(captured, generation)
    yield link
    yield _thumbnail(captured, generation)
    yield _reason(captured, generation)
    yield _code(captured, generation)
    for name in ("progress", "created_at", "submitted_at", "started_at", "finished_at", "queue_position"):
        yield _number(captured, generation, name)
    yield _request_id(captured.answer)
    for problem in generation.problems:
        if not _is_at(problem, link.place or ""):
            yield _problem(captured, problem)


def _is_at(problem: str, place: str) -> bool:
    """Whether *problem*, whose place counts from the object of the task, is at *place*."""
    return place == problem or place.endswith(f".{problem}")


def _problem(captured: Captured, problem: str) -> Field:
    note = "not used: it is unusable, or a link that may not be the video"
    for path, value in captured.values():
        if _is_at(problem, dotted(path) or ""):
            return Field("problem", shown(value), dotted(path), note)
    return Field("problem", None, shown(problem), note)


def _state(captured: Captured, generation: Generation) -> Field:
    word = generation.state_text
    place = captured.place_of(
        lambda read: read.state_text,
        lambda value: type(value) in (str, int) and str(value).startswith(word) if word else False,
        lambda _: "explained",
    )
    note = f'the relay\'s word is "{shown(word, 60)}"'
    if generation.state is State.UNKNOWN:
        note += ", which is not known: a wait goes on polling; add it to state_words of a dialect"
    return Field("state", generation.state.value, dotted(place), note)


def _link(captured: Captured, generation: Generation) -> Field:
    link = generation.video_url
    if generation.state is not State.COMPLETED:
        return Field("link", note="not looked for before the task has completed")
    if link is None:
        note = "missing: name its place in link_keys of a dialect"
        return Field("link", note=f"{note}; a wait polls up to three more times, then returns without it")
    place = captured.place_of(
        lambda read: read.video_url,
        lambda value: medium_or_none(value, "video") == link,
        lambda value: f"{value.strip()}{'AAAA' if value.startswith('data:') else '#explained'}",
    )
    return Field("link", without_media(link), dotted(place), _how_found(captured, generation, dotted(place) or ""))


def _how_found(captured: Captured, generation: Generation, place: str) -> str:
    """Say whether the link was at a known place, at one of the dialect, or guessed."""
    guessed = next((problem for problem in generation.problems if _is_at(problem, place)), None)
    if guessed is not None:
        key = ".".join(part for part in guessed.split(".") if not part.isdecimal())
        known = f'link_keys = ["{shown(key)}"]'
        return f"a guess, the only link that is called a video: if it is right, add {known} to a dialect"
    usual = evolve(captured.dialect, link_keys=())
    without = read_task(captured.answer, captured.task_id, usual)
    if without.video_url == generation.video_url and without.problems == generation.problems:
        return "a known place"
    return f"a place of the dialect {captured.dialect.name}"


def _thumbnail(captured: Captured, generation: Generation) -> Field:
    link = generation.link("thumbnail")
    if link is None:
        return Field("thumbnail", note="not there")
    place = captured.place_of(
        lambda read: read.link("thumbnail"),
        lambda value: medium_or_none(value, "image") == link,
        lambda value: f"{value.strip()}{'AAAA' if value.startswith('data:') else '#explained'}",
    )
    return Field("thumbnail", without_media(link), dotted(place))


def _reason(captured: Captured, generation: Generation) -> Field:
    reason = generation.failure_reason
    if reason is None:
        has_failed = generation.state is State.FAILED
        note = "missing: if the answer has one, name its key in reason_keys" if has_failed else "not there"
        return Field("reason", note=note)
    place = captured.place_of(lambda read: read.failure_reason, lambda value: value == reason, lambda _: "explained")
    return Field("reason", shown(without_pages(reason) or reason), dotted(place))


def _code(captured: Captured, generation: Generation) -> Field:
    code = generation.failure_code
    if code is None:
        return Field("code", note="not there")
    place = captured.place_of(
        lambda read: read.failure_code,
        lambda value: type(value) in (str, int) and str(value) == code,
        lambda _: "explained",
    )
    may_retry = GenerationFailedError(generation).may_retry
    meaning = {True: "another submit may succeed", False: "another submit would fail, too", None: "not a known code"}
    return Field("code", shown(code, 60), dotted(place), meaning[may_retry])


def _number(captured: Captured, generation: Generation, name: str) -> Field:
    value = getattr(generation, name)
    if value is None:
        return Field(name, note="not there")
    is_moment = name.endswith("_at")

    def fits(given: Any) -> bool:
        if is_moment:
            return bool(moment_or_none(given) == value)
        number = _number_in(given)
        return number is not None and (isclose(number, value) or isclose(number, 100 * value))

    place = captured.place_of(lambda read: getattr(read, name), fits)
    return Field(name, value.isoformat() if is_moment else value, dotted(place))


def _number_in(given: Any) -> float | None:
    """Return the number that *given* is, also as a text with a per cent sign."""
    try:
        return float(str(given).strip().removesuffix("%")) if type(given) in (str, int, float) else None
    except ValueError:
        return None


def _request_id(answer: Answer) -> Field:
    if answer.request_id is None:
        return Field("request_id", note="not there: it is in a header, which curl -i shows")
    return Field("request_id", shown(answer.request_id, 80), note="the relay's support may ask for it")


# --- an error ---

_WAIT = {
    Verdict.FINAL: "ends at once, with this error",
    Verdict.UNCONFIRMED: "ends at the third in a row; after a good answer, only if it also lasts 30 seconds",
    Verdict.PASSING: "polls again; it ends only after 10 failed polls in a row that last 120 seconds or more",
    Verdict.SLOW_DOWN: "all ids of the client pause, and go on; this alone never ends a wait",
}


def _error(answer: Answer, error: LumaError) -> Iterator[Field]:
    advice = f" ({error.advice})" if error.advice else ""
    yield Field("error", type(error).__name__, note=without_media(in_option_names(f"{error.summary}{advice}")))
    yield Field("status", answer.status)
    yield Field("verdict", error.verdict.name.lower(), note="retryable" if error.retryable else "not retryable")
    yield Field("wait", _WAIT[error.verdict])
    code = error.code if isinstance(error, APIError) else None
    yield Field("code", note="not there") if code is None else Field("code", shown(code, 60))
    named = error.request_id if isinstance(error, APIError) else None
    yield _request_id(evolve(answer, request_id=answer.request_id or named))
