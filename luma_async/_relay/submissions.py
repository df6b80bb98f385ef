"""Reads the answers to a submit and to a query for the clean link (contract section 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from attrs import evolve

from luma_async._checks import link_or_none
from luma_async._ids import is_task_id
from luma_async._relay.answer import Answer
from luma_async._relay.candidates import candidates_in
from luma_async._relay.documents import Reading, opening_once
from luma_async._relay.new_ids import one_id, unlisted_new_id
from luma_async._relay.refusals import refusal_inside
from luma_async._relay.search import as_id, levels_of, state_of, tasks_in, word_of
from luma_async._relay.success import is_success
from luma_async._relay.tasks import read_documents, read_task
from luma_async._text import plain_word
from luma_async.dialect import RELAY, Dialect
from luma_async.errors import APIError, LumaError, NotFoundError, ProtocolError, UncertainSubmitError, Verdict
from luma_async.models import Link, State


@opening_once
def read_submitted(
    answer: Answer, redact: Callable[[str], str] = str, dialect: Dialect = RELAY, *, extends: bool = False
) -> str:
    """Return the id of the task that the relay has created.

    Args:
        answer: The relay's answer.
        redact: Replaces the key in a text that goes into an error.
        dialect: How the API spells its answers.
        extends: Whether the submit extends another task.

    Raises:
        APIError: The relay has certainly not created a task.
        UncertainSubmitError: It is not known whether the relay has created a task; the error holds the answer.
    """
    trouble = None
    try:
        documents = read_documents(answer)
    except LumaError as error:
        documents, trouble = [], error
    for document in documents:
        if (task_id := _new_id(document, Reading(dialect=dialect))) is not None:
            return task_id
    redacted = redact(answer.body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if redacted != answer.body:
        trouble, answer = None, evolve(answer, body=redacted)
    found = _error_without_id(answer, trouble or _trouble_of(answer), redact)
    if isinstance(found, APIError):
        found.advice = _advice(found, extends=extends)
    raise found


_ADVICE: dict[int, str] = {
    413: "the picture is too large for this relay: send a smaller one, or a link to it as image_url",
    429: "too many requests or generations for now: submit again later",
}


def _advice(error: APIError, *, extends: bool) -> str:
    """Return the advice for a submit: unless it extends another task, it is not about a task id."""
    if isinstance(error, NotFoundError) and not extends:
        return "check base_url and the options: this address may not be a relay with Luma, or not have such a model"
    return _ADVICE.get(error.status, error.advice)


def uncertain(error: LumaError, body: bytes, redact: Callable[[str], str] = str) -> UncertainSubmitError:
    """Return the error for a submit that may have created a task, with all of *body* and the ids found in it."""
    text = redact(body.decode("utf-8", "replace"))
    candidates = tuple(candidate for candidate in candidates_in(text) if redact(candidate) == candidate)
    return UncertainSubmitError(error, body=text, candidates=candidates)


def _new_id(document: Any, reading: Reading) -> str | None:
    """Return the id of the new task; the id of a refusal is not a task's id.

    It is at a key for task ids, or is ``data`` itself, as text, number or the first item of a list, or is the whole
    answer. A ``request_id`` counts only beside a state: it usually names the request. A wrapper that nobody listed is
    the last resort.
    """
    document = reading.opened(document)
    if isinstance(document, list):
        document = document[0] if document else None
    if isinstance(document, str) and _LIKE_AN_ID.fullmatch(document):
        return document
    levels = levels_of(document, reading) if isinstance(document, Mapping) else []
    if levels and _is_taken(levels[0]):
        return as_id(levels[0]["result"])
    envelopes, task = _with_the_task(levels, reading)
    if any(map(_has_failed, envelopes)):
        return None
    has_state = bool(task) and word_of(task, reading) is not None
    if not levels or not (has_state or is_success(levels[0])):
        return None
    ids = [one_id(level.get(key)) for level in levels for key in _keys_of_ids(reading)]
    ids += [_id_itself(level.get(key)) for level in levels for key in _MAY_BE_THE_ID]
    ids += [one_id(value) for level in levels for value in _at_other_spellings(level, reading)]
    if has_state:
        ids += [one_id(level.get(key)) for level in levels for key in _OF_REQUESTS]
    known = next((task_id for task_id in ids if task_id and is_task_id(task_id)), None)
    if known is not None:
        return known
    return unlisted_new_id(document, [key for key in _keys_of_ids(reading) if key not in _LISTS_OF_IDS], reading)


_Levels = list[Mapping[str, Any]]


def _with_the_task(levels: _Levels, reading: Reading) -> tuple[_Levels, _Levels]:
    """Split *levels* before the first one that has an id: the words of an envelope are no state of the task."""
    keys = (*_keys_of_ids(reading), *_OF_REQUESTS)
    for depth, level in enumerate(levels):
        itself: list[Any] = [*_at_other_spellings(level, reading)]
        itself += [level.get(key) for key in _MAY_BE_THE_ID if not isinstance(level.get(key), Mapping)]
        if any(one_id(level.get(key)) for key in keys) or any(map(_id_itself, itself)):
            return levels[:depth], levels[depth:]
    return levels, []


def _has_failed(envelope: Mapping[str, Any]) -> bool:
    word = envelope.get("status")
    return isinstance(word, str) and state_of(word) is State.FAILED


def _keys_of_ids(reading: Reading) -> list[str]:
    return [*(key for key in reading.dialect.id_keys if key not in _OF_REQUESTS), *_LISTS_OF_IDS]


def _is_taken(document: Mapping[str, Any]) -> bool:
    """Whether an envelope has code 1 and an id as its result: to relays of the Midjourney kind, 1 is a success.

    To others 1 is an error, whose result is empty or in words.
    """
    result = document.get("result")
    return str(document.get("code")) == "1" and isinstance(result, str) and bool(_LIKE_AN_ID.fullmatch(result))


_LIKE_AN_ID = re.compile(r"[0-9]{10,40}|[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
"""A long number, or a UUID."""
_OF_REQUESTS = ("request_id", "requestId")
_LISTS_OF_IDS = ("task_ids", "taskIds", "ids")
_MAY_BE_THE_ID = ("data", "result", "task")
_LEAST_ID = 1000
"""A smaller number in the place of the task is a count or a code."""


def _at_other_spellings(level: Mapping[str, Any], reading: Reading) -> Iterator[Any]:
    """Yield what stands under a key for ids in another spelling, such as ``taskID`` or ``task-id``."""
    names = set(map(plain_word, _keys_of_ids(reading)))
    return (level[key] for key in islice(level, _MOST_KEYS) if plain_word(key) in names)


_MOST_KEYS = 100


def _id_itself(value: Any) -> str | None:
    """Return the id that *value* is, where a count, a code or a word such as ``success`` may be instead."""
    found = None if type(value) is int and value < _LEAST_ID else one_id(value)
    return found if found is not None and any(map(str.isdigit, found)) else None


def _trouble_of(answer: Answer) -> LumaError:
    """Return the error that the answer itself is."""
    try:
        return refusal_inside(answer, read_documents(answer))
    except LumaError as trouble:
        return trouble


def _error_without_id(answer: Answer, error: LumaError, redact: Callable[[str], str]) -> LumaError:
    """Return the error for an answer without an id. After upstream trouble or half an answer, a task may exist."""
    if answer.status == _UNAVAILABLE:
        refused = answer.body.lstrip()[:1] in (b"{", b"[")  # otherwise a proxy's, which may have lost an answer
    else:
        is_in_front = answer.status == _FORBIDDEN  # a firewall's page: the submit did not reach the relay
        refused = isinstance(error, APIError) and (is_in_front or error.verdict is not Verdict.PASSING)
    return error if refused else uncertain(error, answer.body, redact)


_FORBIDDEN, _UNAVAILABLE = 403, 503


@opening_once
def read_clean_url(answer: Answer, task_id: str, dialect: Dialect = RELAY) -> Link:
    """Return the link without a watermark; one fork answers with the generation instead.

    Raises:
        APIError: The relay refused the request, or does not have this query.
        ProtocolError: The answer is unusable, or has no link in it.
    """
    for document in read_documents(answer):
        link = _clean_link(document)
        if link is not None:
            return link
    found = read_task(answer, task_id, dialect).video_url
    if found is None:
        raise ProtocolError("the relay's answer contains no link", task_id=task_id, verdict=Verdict.PASSING)
    return Link(found)


def _clean_link(document: Any) -> Link | None:
    """Return the link of an answer that contains no task."""
    reading = Reading()
    document = reading.opened(document)
    levels = levels_of(document, reading) if isinstance(document, Mapping) else []
    if not levels or any(tasks_in(document, reading)):
        return None
    links = (link_or_none(level.get(key)) for level in levels for key in ("url", "download_url", "data"))
    return next(filter(None, links), None)
