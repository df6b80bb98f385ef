"""Reads the answers to a submit and to a query for the clean link (contract section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from luma_async._checks import link_or_none
from luma_async._relay.answer import Answer
from luma_async._relay.candidates import candidates_in
from luma_async._relay.documents import Reading, opening_once
from luma_async._relay.new_tasks import new_id
from luma_async._relay.refusals import refusal_inside
from luma_async._relay.search import levels_of, tasks_in
from luma_async._relay.tasks import read_documents, read_task
from luma_async.dialect import RELAY, Dialect
from luma_async.errors import APIError, LumaError, NotFoundError, ProtocolError, UncertainSubmitError, Verdict
from luma_async.models import Link


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
        if (task_id := new_id(document, Reading(dialect=dialect))) is not None:
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
