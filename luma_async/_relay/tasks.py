"""Finds tasks in a relay's answers, and assigns each to its id (contract sections 1 and 2)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

from attrs import define, frozen

from luma_async._checks import link_or_none
from luma_async._relay.answer import Answer
from luma_async._relay.documents import NotJSONError, Reading, decode, encoded, lean, rows_apart
from luma_async._relay.refusals import innermost_text, not_a_relay, refusal, refusal_inside
from luma_async._relay.structure import generation, moment_or_none
from luma_async.errors import ProtocolError, Verdict
from luma_async.models import Generation, Link, State

HTTP_OK = 200
_LAST_WITH_BODY = 203
"""The last success status with a body (RFC 9110 section 15.3)."""


# --- the words for a state (contract section 1) ---
_WORDS = {
    State.PENDING: "pending queued not_start not_started submitted",
    State.PROCESSING: "processing dreaming in_progress running",
    State.COMPLETED: "completed succeeded success",
    State.FAILED: "failed failure error expired cancelled canceled",
}
_STATES = {word: state for state, words in _WORDS.items() for word in words.split()}


def state_of(word: str) -> State:
    """Map the relay's *word*, in any case, to a state; an unknown word means *still running*."""
    known = _STATES.get(word)
    return known or _STATES.get(word.strip().casefold().replace(" ", "_").replace("-", "_"), State.UNKNOWN)


_DIGITS = re.compile(r"\d+(?:[.,:/]\d+)*")


def kind_of(word: str) -> str:
    """Return what all words have in common that differ in digits and case only, such as ``generating 37%``."""
    return _DIGITS.sub("0", word.casefold())


# --- reading tasks ---
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

    def recall(self, task_id: str) -> Generation:
        """Structure the answer again: this is rarely needed, and a generation takes many times the memory."""
        return read_task(Answer(HTTP_OK, self.text), task_id)


@define(eq=False)
class TaskAnswer:
    """What an answer says about a task. The state is read at once; the rest is structured on demand."""

    task_id: str
    word: str
    """The relay's word for the state."""
    state: State
    _task: Mapping[str, Any]
    _raw: Mapping[str, Any]
    request_id: str | None = None
    """The relay's id of the request; not all relays send one."""
    _reading: Reading | None = None
    """What finding the task has opened already."""

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - one call in each reader
        cls,
        task: Mapping[str, Any],
        word: str,
        task_id: str,
        raw: Mapping[str, Any],
        request_id: str | None = None,
        reading: Reading | None = None,
    ) -> TaskAnswer:
        """Build the answer about *task*, a bare generation or a row around one; *word* gives its state."""
        return cls(task_id, word, state_of(word), task, raw, request_id, reading)

    def generation(self) -> Generation:
        """Structure the answer."""
        return generation_of(self._task, self.task_id, self._raw, self._reading)

    def lean(self, most: int) -> dict[str, Any]:
        """Return a bare generation with what fits into about *most* characters."""
        fields: dict[str, Any] = {}
        for level in _levels(self._task, self._reading):
            fields |= level
        plain = {key: part for key, part in fields.items() if key not in _WRAPPED}
        return {**lean(plain, most), "id": self.task_id, "state": self.word}


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).digest()


Observation = tuple[LastAnswer, TaskAnswer | None]
"""The result of a poll: the answer, and what it says; None if it is the same answer as before."""


def read_poll(answer: Answer, task_id: str, known: LastAnswer | None) -> Observation:
    """Return what *answer* says about one task.

    Raises:
        LumaError: As ``read_task``.
    """
    if known is not None and answer.status == HTTP_OK and known.is_from(answer.body):
        return known, None
    seen = _read(answer, task_id)
    return LastAnswer.of(answer.body, seen), seen


def read_batch(answer: Answer, known: Mapping[str, LastAnswer | None]) -> dict[str, Observation]:
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
    documents, rows = _rows(answer, by_text, len(known) + _MOST_OTHER_ROWS)
    reading = Reading()
    observed: dict[str, Observation] = {}
    has_foreign = False
    for text, row in rows:
        seen_before = None if text is None else by_text.get(text)
        if seen_before is not None:
            _observe(observed, seen_before[0], (seen_before[1], None))
            continue
        for task, task_id, word in _identified_tasks(row, reading):
            if task_id not in known:
                has_foreign = True
                continue
            if task_id in observed and not state_of(word).is_terminal:
                continue
            body, before = text if task is row and text is not None else encoded(task), known[task_id]
            if before is not None and before.is_from(body):
                _observe(observed, task_id, (before, None))
            else:
                seen = TaskAnswer.of(task, word, task_id, task, answer.request_id, reading)
                _observe(observed, task_id, (LastAnswer.of(body, seen), seen))
    if has_foreign and not observed:
        raise _another_task()
    if not observed and not _is_no_match(documents):
        raise refusal_inside(answer, documents)
    return observed


def _observe(observed: dict[str, Observation], task_id: str, seen: Observation) -> None:
    """Record what a row says; of several rows for one id, the first one that tells an end counts."""
    if task_id not in observed or (seen[0].state.is_terminal and not observed[task_id][0].state.is_terminal):
        observed[task_id] = seen


_MOST_OTHER_ROWS = 1000
"""Rows besides those that were asked for, after which a list is read at once and not row by row."""


def _rows(answer: Answer, known: Collection[bytes], most: int) -> tuple[list[Any], list[tuple[bytes | None, Any]]]:
    """Return the documents of a good answer, and the rows that may contain tasks; a document may be the only row."""
    if _is_good(answer):
        try:
            document, rows = rows_apart(answer.body, known, most)
        except NotJSONError:
            pass
        else:
            if next(tasks_in(document), None) is None:  # otherwise the list may belong to that task
                return [document], [*rows]
    documents = read_documents(answer)
    return documents, [(None, document) for document in documents]


def _is_no_match(documents: list[Any]) -> bool:
    """Whether the relay says that it knows none of the ids (contract section 2)."""
    document = documents[0]
    if not isinstance(document, Mapping):
        return isinstance(document, list) and not document
    return _is_content(document) and "data" in document and not document["data"]


def _is_content(document: Mapping[str, Any]) -> bool:
    """Whether an envelope reports a success."""
    return document.get("code") in ("success", 0, HTTP_OK, None) and document.get("success") is not False


def read_task(answer: Answer, task_id: str) -> Generation:
    """Return what *answer* says about *task_id*.

    Raises:
        APIError: The relay refused the request, in the status or inside a 200.
        ProtocolError: The answer is unusable, or about another task (then ``.foreign``).
    """
    return _read(answer, task_id).generation()


def _read(answer: Answer, task_id: str) -> TaskAnswer:
    documents = read_documents(answer)
    found: TaskAnswer | None = None
    has_foreign = False
    reading = Reading()
    for document in documents:
        for task, found_id, word in _identified_tasks(document, reading):
            if found_id != task_id:
                has_foreign = True
            elif found is None or (state_of(word).is_terminal and not found.state.is_terminal):
                raw = document if isinstance(document, Mapping) else task
                found = TaskAnswer.of(task, word, task_id, raw, answer.request_id, reading)
    if found is not None:
        return found
    if has_foreign:
        raise _another_task()
    raise refusal_inside(answer, documents)


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


_WRAPPERS = ("data", "result", "response", "task", "tasks", "generation", "generations", "items")
_DEEPEST = 8


def tasks_in(value: Any, reading: Reading | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield each object in *value*, with its envelopes opened, that has an identity and a state.

    See *Wrapped answers* in the contract. An object inside a row with a ``task_id`` belongs to that row.
    """
    return (task for task, _, _ in _identified_tasks(value, reading or Reading()))


_WRAPPED = frozenset(_WRAPPERS)
_NEEDED = _WRAPPED | {"task_id", "id"}
"""Keys of an object that is a task, or has one in it."""


def _identified_tasks(
    value: Any, reading: Reading, depth: int = _DEEPEST
) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """Yield each such object with its identity and its word for the state."""
    value = reading.opened(value)
    if not value or not reading.visit():
        return
    if isinstance(value, list):
        for item in _may_hold_tasks(value) if depth and reading.left > 0 else ():
            yield from _identified_tasks(item, reading, depth - 1)
            if reading.left <= 0:
                return
    elif isinstance(value, dict):
        found_id = identity(value)
        word = None if found_id is None else _word(_levels(value, reading))
        if found_id is not None and word is not None:
            yield value, found_id, word
        if depth and not _WRAPPED.isdisjoint(value) and (word is None or not _not_blank(value.get("task_id"))):
            for wrapper in _WRAPPERS:
                if value.get(wrapper):
                    yield from _identified_tasks(value[wrapper], reading, depth - 1)


_OPENED_OR_SEARCHED = frozenset({str, list, dict})


def _may_hold_tasks(items: list[Any]) -> Iterator[Any]:
    """Return the items that are worth a visit: a long list may consist of others."""
    return (
        item
        for item in items
        if item and type(item) in _OPENED_OR_SEARCHED and (type(item) is not dict or not _NEEDED.isdisjoint(item))
    )


def identity(task: Mapping[str, Any]) -> str | None:
    """Return the id of *task*: the ``task_id`` of a row, whose integer ``id`` is a database key; otherwise ``id``."""
    return _not_blank(task.get("task_id")) or _not_blank(task.get("id"))


_NOT_SET: tuple[Any, ...] = (None, "", 0, "0001-01-01T00:00:00Z")
"""Values of a field that is not set (contract section 1, *Times*); the same field of an outer level may be set."""


def generation_of(
    task: Mapping[str, Any], task_id: str, raw: Mapping[str, Any], reading: Reading | None = None
) -> Generation:
    """Structure *task*, a bare generation or a row around one."""
    levels = _levels(task, reading)
    word = _word(levels) or ""
    state = state_of(word)
    merged = {key: value for level in levels for key, value in level.items() if value not in _NOT_SET}
    request = merged.get("request")
    return generation(
        {
            **merged,
            "id": task_id,
            "state": state,
            "state_text": word,
            "created_at": merged.get("created_at") or merged.get("submit_time"),
            "prompt": merged.get("prompt") or (request.get("prompt") if isinstance(request, Mapping) else None),
            "failure_reason": _reason(levels) if state is State.FAILED else merged.get("failure_reason"),
            "result_url": _result_url(levels) if state is State.COMPLETED else None,
            "problems": (),
            "raw": raw,
        }
    )


@frozen(kw_only=True)
class Times:
    """When a task was submitted, started and finished according to its row, in UTC (contract, *Wrapped answers*)."""

    submitted: datetime | None
    started: datetime | None
    finished: datetime | None


def times_of(generation: Generation) -> Times:
    """Return the times of *generation* from the relay's answer; None for each time that it does not give."""
    task = next((task for task in tasks_in(generation.raw) if identity(task) == generation.id), {})
    levels = _levels(task)

    def first(name: str) -> datetime | None:
        moments = (moment_or_none(level.get(name)) for level in levels)
        return next(filter(None, moments), None)

    return Times(submitted=first("submit_time"), started=first("start_time"), finished=first("finish_time"))


def _levels(task: Mapping[str, Any], reading: Reading | None = None) -> list[Mapping[str, Any]]:
    """Return *task* and the objects wrapped in it, the outermost first: relays wrap the answers of other relays."""
    reading = reading or Reading()
    levels = [task]
    while len(levels) <= _DEEPEST and (inner := _inner(levels[-1], reading)):
        levels.append(inner)
    return levels


def _inner(row: Mapping[str, Any], reading: Reading) -> Mapping[str, Any]:
    if _WRAPPED.isdisjoint(row):
        return {}
    for wrapper in _WRAPPERS:
        if not row.get(wrapper):
            continue
        inner = reading.opened(row[wrapper])
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        if isinstance(inner, dict) and inner:
            return inner
    return {}


_LONGEST_WORD = 200
"""Characters of the word for a state; the rest of a longer one is left out."""


def _word(levels: list[Mapping[str, Any]]) -> str | None:
    """Return the relay's word for the state; a row's outer ``status`` wins over a stale inner ``state``."""
    keys = ("status", "state") if "task_id" in levels[0] else ("state", "status")
    for level in levels:
        for key in keys:
            word = level.get(key)
            if isinstance(word, str) and word.strip():
                return word if len(word) <= _LONGEST_WORD else word.strip()[:_LONGEST_WORD]
        keys = ("state", "status")
    return None


def _not_blank(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


_REASONS = ("failure_reason", "fail_reason", "error", "message", "result_url")
_LINKS = ("url", "result_url", "video_url", "fail_reason")


def _reason(levels: list[Mapping[str, Any]]) -> str | None:
    """Return why the task failed: the first text in the places of contract section 1; a link is not a reason."""
    for value in (level.get(key) for key in _REASONS for level in reversed(levels)):
        text = innermost_text(value)
        if text and link_or_none(text) is None:
            return text
    return None


def _result_url(levels: list[Mapping[str, Any]]) -> Link | None:
    """Return a row's own link; on success ``fail_reason`` may hold it (contract, *Wrapped answers*)."""
    links = (link_or_none(level.get(key)) for level in levels for key in _LINKS)
    return next(filter(None, links), None)
