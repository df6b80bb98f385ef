"""Reads a relay's answers to polls, and assigns what they say to task ids (contract sections 1 and 2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from attrs import define, field, frozen

from luma_async._relay.answer import Answer
from luma_async._relay.details import generation_of, has_link
from luma_async._relay.documents import NotJSONError, Reading, decode, encoded, lean, opening_once, rows_apart
from luma_async._relay.refusals import (
    lenient_documents,
    not_a_relay,
    refusal,
    refusal_inside,
)
from luma_async._relay.search import Found, is_about_request, state_of, tasks_in, word_of
from luma_async._relay.success import is_success
from luma_async._relay.unlisted import unlisted_task, unlisted_tasks
from luma_async.dialect import RELAY, Dialect
from luma_async.errors import APIError, LumaError, ProtocolError, Verdict
from luma_async.models import Generation, State

HTTP_OK = 200
_LAST_WITH_BODY = 203
"""The last success status with a body (RFC 9110 section 15.3)."""


_LONGEST_KEPT = 4096
"""Bytes of an answer that a waiting id keeps; the largest real answer has about as many."""


@frozen(eq=False, weakref_slot=False)
class LastAnswer:
    """The last answer about a task, or its row in a batch: to recognise the same answer, and to structure it later."""

    text: bytes
    """JSON: the answer, or what fits of a long one."""
    state: State = State.UNKNOWN
    digest: bytes | None = None
    """Of the whole answer, if it is too long to be kept."""

    @classmethod
    def of(cls, text: bytes, answer: TaskAnswer) -> LastAnswer:
        """Keep *text*, which says what *answer* says; of a long text a digest, and the parts that fit."""
        if len(text) <= _LONGEST_KEPT:
            return cls(text, answer.state)
        return cls(encoded(answer.lean(_LONGEST_KEPT)), answer.state, _digest(text))

    def is_from(self, text: bytes) -> bool:
        """Whether *text* is the same answer."""
        return text == self.text if self.digest is None else _digest(text) == self.digest

    def recall(self, task_id: str, dialect: Dialect = RELAY) -> Generation:
        """Structure the answer again: this is rarely needed, and a generation takes many times the memory."""
        return read_task(Answer(HTTP_OK, self.text), task_id, dialect)


@define(eq=False)
class TaskAnswer:
    """What an answer says about a task. The state is read at once; the rest is structured on demand."""

    task_id: str
    word: str
    """The relay's word for the state."""
    state: State
    _found: Found
    """A bare generation, or a row around one."""
    _raw: Mapping[str, Any]
    _reading: Reading
    """What finding the task has opened already."""
    request_id: str | None = None
    """The relay's id of the request; not all relays send one."""

    @classmethod
    def of(
        cls, found: Found, reading: Reading, raw: Mapping[str, Any] | None = None, request_id: str | None = None
    ) -> TaskAnswer:
        """Build the answer about *found*; *raw* is the whole answer, if that is more than the task."""
        state = state_of(found.word, reading.dialect)
        return cls(found.task_id, found.word, state, found, raw or found.task, reading, request_id)

    def generation(self) -> Generation:
        """Structure the answer."""
        return generation_of(self._found, self._raw, self._reading)

    @property
    def carries_state(self) -> bool:
        """Whether the object with the id itself has the word for the state, and it is not about the request."""
        own = self._found.task
        listed = [own.get(key) for key in self._reading.dialect.state_keys]
        carries = self.word in listed or self.word == word_of([own], self._reading)
        return carries and not (self.word == own.get("status") and is_about_request(self.word))

    @property
    def has_link(self) -> bool:
        """Whether the answer has a link to a video, whatever the state is."""
        return has_link(self._found, self._reading)

    def lean(self, most: int) -> dict[str, Any]:
        """Return a bare generation with what fits into about *most* characters."""
        fields: dict[str, Any] = {}
        for level in self._found.levels:
            fields |= level
        opened = {key for key in self._reading.keys.wrappers if key != "output" or isinstance(fields.get(key), Mapping)}
        plain = {key: part for key, part in fields.items() if key not in opened}
        return {**lean(plain, most), "id": self.task_id, "state": self.word}


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).digest()


Observation = tuple[LastAnswer, TaskAnswer | None]
"""The result of a poll: the answer, and what it says; None if it is the same answer as before."""


@opening_once
def read_poll(answer: Answer, task_id: str, known: LastAnswer | None, dialect: Dialect = RELAY) -> Observation:
    """Return what *answer* says about one task.

    Raises:
        LumaError: As ``read_task``.
    """
    if known is not None and answer.status == HTTP_OK and known.is_from(answer.body):
        return known, None
    seen = _read(answer, task_id, dialect)
    return LastAnswer.of(answer.body, seen), seen


@opening_once
def read_batch(
    answer: Answer, known: Mapping[str, LastAnswer | None], dialect: Dialect = RELAY
) -> dict[str, Observation]:
    """Return what *answer* says about each task in *known*; a task that is not in the answer is not in the result.

    Raises:
        APIError: The relay refused the request, in the status or inside a 200.
        ProtocolError: The answer is unusable, or all of it is about other tasks (then ``.foreign``).
    """
    by_text = {
        before.text: (task_id, before)
        for task_id, before in known.items()
        if before is not None and before.digest is None
    }
    reading = Reading(dialect=dialect)
    documents, rows = _rows(answer, by_text, len(known) + _MOST_OTHER_ROWS, dialect)
    told = _Told(dialect)
    has_foreign = False
    for text, row in rows:
        seen_before = None if text is None else by_text.get(text)
        if seen_before is not None:
            task_id, before = seen_before
            if told.is_news(task_id, before.state):
                told.observed[task_id] = before, None
            continue
        for found in tasks_in(row, reading, known):
            task_id = found.task_id
            has_foreign = has_foreign or task_id not in known
            if task_id in known and told.is_news(task_id, state_of(found.word, dialect), found):
                body = text if found.task is row and text is not None else encoded(found.task)
                told.observed[task_id] = _observation(body, known[task_id], found, reading, answer.request_id)
    observed = told.agreed()
    if has_foreign and not told.observed:
        raise _another_task()
    return observed if told.observed else _unlisted_rows(answer, documents, [row for _, row in rows], known, reading)


def _observation(
    body: bytes, before: LastAnswer | None, found: Found, reading: Reading, request_id: str | None
) -> Observation:
    if before is not None and before.is_from(body):
        return before, None
    seen = TaskAnswer.of(found, reading, request_id=request_id)
    return LastAnswer.of(body, seen), seen


@define(eq=False)
class _Told:
    """What the rows of a batch tell of each id: of several rows, the one that tells an end counts.

    Where two rows tell different ends, there is no telling which is right, and neither counts.
    """

    _dialect: Dialect
    observed: dict[str, Observation] = field(factory=dict, init=False)
    _levels: dict[str, list[Mapping[str, Any]]] = field(factory=dict, init=False)
    """Of the row that counts: an object inside it does not contradict it."""
    _contradicted: set[str] = field(factory=set, init=False)

    def is_news(self, task_id: str, state: State, found: Found | None = None) -> bool:
        """Whether a row with *state* is to be observed."""
        before = self.observed.get(task_id)
        if before is not None and (before[0].state is state or not state.is_terminal):
            return False
        if before is not None and before[0].state.is_terminal:
            if _contradicts(state, before[0].state, found, self._levels.get(task_id, [])):
                self._contradicted.add(task_id)
            return False
        if found is not None:
            self._levels[task_id] = found.levels
        return True

    def agreed(self) -> dict[str, Observation]:
        """Return what was observed of the ids whose rows agree."""
        return {task_id: seen for task_id, seen in self.observed.items() if task_id not in self._contradicted}


def _contradicts(state: State, before: State, found: Found | None, levels: list[Mapping[str, Any]]) -> bool:
    """Whether *state* is another end than *before*, and *found* is not inside the object with *levels*."""
    if not state.is_terminal or state is before:
        return False
    return found is None or all(found.task is not level for level in levels)


def _unlisted_rows(
    answer: Answer,
    documents: list[Any],
    rows: list[Any],
    known: Mapping[str, LastAnswer | None],
    reading: Reading,
) -> dict[str, Observation]:
    """Return what an answer says about asked ids in a wrapper, or under spellings of keys, that nobody listed.

    Raises:
        LumaError: It says nothing about them, nor that there is no match.
    """
    observed: dict[str, Observation] = {}
    parts = [*documents, *(row for row in rows if all(row is not each for each in documents))]
    found = unlisted_tasks(parts, known, reading) if _may_name_one_of(known, answer.body) else {}
    error = None if _is_no_match(documents) else refusal_inside(answer, documents)
    for task_id, each in found.items():
        seen = TaskAnswer.of(each, reading, request_id=answer.request_id)
        if seen.state is State.UNKNOWN and isinstance(error, APIError):
            continue
        body, before = encoded(each.task), known[task_id]
        is_same = before is not None and before.is_from(body)
        observed[task_id] = (before, None) if before is not None and is_same else (LastAnswer.of(body, seen), seen)
    if error is not None and not observed:
        raise error
    return observed


_MOST_SEARCHED = 2**23
"""Bytes that are searched for ids before an answer is: with many ids in a long answer the search itself costs more."""


def _may_name_one_of(task_ids: Collection[str], body: bytes) -> bool:
    """Whether *body* has one of the ids in it, or is too long for a search for each of them."""
    return len(task_ids) * len(body) > _MOST_SEARCHED or any(task_id.encode() in body for task_id in task_ids)


def read_list(answer: Answer, dialect: Dialect = RELAY) -> list[Generation]:
    """Return the generations in a list of the key's tasks, in its order.

    Raises:
        APIError: The relay refused the request, in the status or inside a 200.
        ProtocolError: The answer is unusable.
    """
    documents, reading = read_documents(answer), Reading(dialect=dialect)
    found = [generation_of(each, each.task, reading) for document in documents for each in tasks_in(document, reading)]
    if not found and not _is_empty_list(documents[0], dialect):
        raise refusal_inside(answer, documents)
    return found


def _is_empty_list(document: Any, dialect: Dialect) -> bool:
    """Whether *document* is a list without entries; ``null`` is one only where nothing speaks of a refusal."""
    if not isinstance(document, Mapping):
        return isinstance(document, list) and not document
    lists = [document[key] for key in dialect.wrappers if key in document]
    speaks_of_one = bool(document.get("error") or document.get("detail")) or not is_success(document)
    return [] in lists or (None in lists and not speaks_of_one)


_MOST_OTHER_ROWS = 1000
"""Rows besides those that were asked for, after which a list is read at once and not row by row."""


def _rows(
    answer: Answer, known: Collection[bytes], most: int, dialect: Dialect
) -> tuple[list[Any], list[tuple[bytes | None, Any]]]:
    """Return the documents of a good answer, and the rows that may contain tasks; a document may be the only row."""
    if _is_good(answer):
        try:
            document, rows = rows_apart(answer.body, known, most)
        except NotJSONError:
            pass
        else:
            if (
                next(tasks_in(document, Reading(dialect=dialect)), None) is None
            ):  # otherwise the list may belong to that task
                return [document], [*rows]
    documents = read_documents(answer)
    return documents, [(None, document) for document in documents]


def _is_no_match(documents: list[Any]) -> bool:
    """Whether the relay says that it knows none of the ids (contract section 2)."""
    document = documents[0]
    if not isinstance(document, Mapping):
        return isinstance(document, list) and not document
    return is_success(document) and "data" in document and not document["data"]


def read_task(answer: Answer, task_id: str, dialect: Dialect = RELAY) -> Generation:
    """Return what *answer* says about *task_id*.

    Raises:
        APIError: The relay refused the request, in the status or inside a 200.
        ProtocolError: The answer is unusable, or about another task (then ``.foreign``).
    """
    return _read(answer, task_id, dialect).generation()


def _read(answer: Answer, task_id: str, dialect: Dialect) -> TaskAnswer:
    if not _is_good(answer):
        return _read_refusal(answer, task_id, dialect)
    documents = read_documents(answer)
    reading = Reading(dialect=dialect)
    seen = _found(documents, task_id, reading, answer.request_id)
    if seen.task is not None:
        return seen.task
    if seen.is_contradictory:
        raise ProtocolError("the relay's answer tells two different ends of the task", verdict=Verdict.PASSING)
    if seen.has_foreign:
        raise _another_task()
    error = refusal_inside(answer, documents)
    found = _unlisted(answer, documents, task_id, reading)
    if found is None or (found.state is State.UNKNOWN and isinstance(error, APIError)):
        raise error
    return found


def _unlisted(answer: Answer, documents: list[Any], task_id: str, reading: Reading) -> TaskAnswer | None:
    """Return what *documents* say about the task in a wrapper, or under spellings of keys, that nobody listed."""
    if task_id.encode() not in answer.body:
        return None
    for document in documents:
        found = unlisted_task(document, task_id, reading)
        if found is not None:
            return TaskAnswer.of(found, reading, document if isinstance(document, Mapping) else None, answer.request_id)
    return None


class _Seen(NamedTuple):
    """What an answer to a single poll says about the task."""

    task: TaskAnswer | None = None
    has_foreign: bool = False
    """Whether it says something about another one."""
    is_contradictory: bool = False
    """Whether it tells two different ends, of which none counts."""


_MOST_FURTHER_ROWS = 16
"""Rows for the same id that are looked at after one that tells an end."""


def _found(documents: list[Any], task_id: str, reading: Reading, request_id: str | None) -> _Seen:
    """Return what *documents* say about the task: the first document that tells an end counts."""
    seen: TaskAnswer | None = None
    levels: list[Mapping[str, Any]] = []
    has_foreign = False
    further = 0
    for document in documents:
        for found in tasks_in(document, reading, (task_id,)):
            state = state_of(found.word, reading.dialect)
            if found.task_id != task_id:
                has_foreign = True
            elif seen is not None and seen.state.is_terminal:
                if _contradicts(state, seen.state, found, levels):
                    return _Seen(None, has_foreign, is_contradictory=True)
                further += 1
                if further > _MOST_FURTHER_ROWS:
                    break
            elif seen is None or state.is_terminal:
                raw = document if isinstance(document, Mapping) else None
                seen, levels = TaskAnswer.of(found, reading, raw, request_id), found.levels
        if seen is not None and seen.state.is_terminal:
            break
    return _Seen(seen, has_foreign)


_MAY_HOLD_A_TASK = frozenset({400, 404, 409, 410, 422})
_UNABLE = frozenset({501, 505})
"""The server cannot do what is asked, whatever it says besides."""


def _read_refusal(answer: Answer, task_id: str, dialect: Dialect) -> TaskAnswer:
    """Return the failed task inside an error status, or raise the refusal.

    The object with the state must carry the id of the poll too. Another state under an error status is passing trouble.
    """
    error: LumaError = refusal(answer)
    if answer.status in _MAY_HOLD_A_TASK or answer.status // 100 == 5:  # noqa: PLR2004 - server errors
        documents = lenient_documents(answer)
        reading = Reading(dialect=dialect)
        told = _found(documents, task_id, reading, answer.request_id)
        seen = told.task
        if seen is None and not (told.has_foreign or told.is_contradictory):
            seen = _unlisted(answer, documents, task_id, reading)
            seen = seen if seen is not None and seen.state is State.FAILED else None
        if seen is not None and seen.carries_state:
            if seen.state is State.FAILED:
                return seen
            if answer.status not in _UNABLE:
                error.verdict = Verdict.PASSING
    raise error


def read_documents(answer: Answer) -> list[Any]:
    """Return the JSON documents of a good answer.

    Raises:
        APIError: The status is a refusal.
        ProtocolError: The status is unusable, or the body is not JSON.
    """
    if not _is_good(answer):
        raise refusal(answer)
    if answer.is_html:
        raise not_a_relay(answer)
    try:
        return decode(answer.body)
    except NotJSONError as error:
        raise ProtocolError(f"the relay's answer is {error}", verdict=Verdict.PASSING) from None


def _is_good(answer: Answer) -> bool:
    return HTTP_OK <= answer.status <= _LAST_WITH_BODY


def _another_task() -> ProtocolError:
    return ProtocolError("the relay answered about another task", foreign=True, verdict=Verdict.PASSING)
