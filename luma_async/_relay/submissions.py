"""What became of a submit, and the clean link (contract section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from luma_async._checks import link_or_none
from luma_async._ids import _is_task_id
from luma_async._relay.answer import Answer
from luma_async._relay.candidates import candidates_in
from luma_async._relay.documents import opened
from luma_async._relay.refusals import refusal_inside
from luma_async._relay.tasks import _filled, _is_content, _levels, _word, identity, read_documents, read_task, tasks_in
from luma_async.errors import APIError, LumaError, ProtocolError, UncertainSubmitError, Verdict
from luma_async.models import Link


# --- reading what became of an order, and a clean link (contract section 3) ---
def read_submitted(answer: Answer, discreet: Callable[[str], str] = str) -> str:
    """Return the id of the task that the relay has made.

    Args:
        answer: What the relay said.
        discreet: Blanks the key out of what an error is to say.

    Raises:
        APIError: It certainly has made none.
        UncertainSubmitError: The answer leaves open whether it has; the error holds the answer.
    """
    try:
        documents = read_documents(answer)
    except LumaError:
        documents = []
    for task_id in filter(None, map(_new_id, documents)):
        return task_id
    said = discreet(answer.body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    raise _weighed(evolve(answer, body=said), discreet)


def uncertain(error: LumaError, body: bytes, discreet: Callable[[str], str] = str) -> UncertainSubmitError:
    """Return the error that it is unknown whether a task was made, with all that is in *body*."""
    text = discreet(body.decode("utf-8", "replace"))
    candidates = tuple(candidate for candidate in candidates_in(text) if discreet(candidate) == candidate)
    return UncertainSubmitError(error, body=text, candidates=candidates)


def _new_id(document: Any) -> str | None:
    """Return the id at ``id``, ``task_id`` or inside ``data``; a complaint's own id is none of a task."""
    document = opened(document)
    levels = _levels(document) if isinstance(document, Mapping) else []
    if not levels or (_word(levels) is None and not _is_content(document)):
        return None
    ids = [identity(level) for level in levels]
    ids += [_filled(level.get("data")) for level in levels]
    return next((task_id for task_id in ids if task_id and _is_task_id(task_id)), None)


def _weighed(answer: Answer, discreet: Callable[[str], str]) -> LumaError:
    """Return the error of an answer without an id; upstream trouble and half an answer leave open what was taken."""
    try:
        error = refusal_inside(answer, read_documents(answer))
    except LumaError as trouble:
        error = trouble
    if answer.status == _UNAVAILABLE:
        refused = answer.body.lstrip()[:1] in (b"{", b"[")  # else it is a proxy's, which may have lost an answer
    else:
        is_in_front = answer.status == _FORBIDDEN  # a firewall's page: the order has not come through
        refused = isinstance(error, APIError) and (is_in_front or error.verdict is not Verdict.PASSING)
    return error if refused else uncertain(error, answer.body, discreet)


_FORBIDDEN, _UNAVAILABLE = 403, 503


def read_clean_url(answer: Answer, task_id: str) -> Link:
    """Return the link without a watermark; one fork answers with the generation instead.

    Raises:
        APIError: The relay said no, or knows no such request.
        ProtocolError: It is no answer, or has no link in it.
    """
    for document in read_documents(answer):
        link = _clean_link(document)
        if link is not None:
            return link
    found = read_task(answer, task_id).video_url
    if found is None:
        raise ProtocolError("the relay's answer has no link in it", task_id=task_id, verdict=Verdict.PASSING)
    return Link(found)


def _clean_link(document: Any) -> Link | None:
    """Return the link of an answer that is nothing else."""
    document = opened(document)
    levels = _levels(document) if isinstance(document, Mapping) else []
    if not levels or any(tasks_in(document)):
        return None
    links = (link_or_none(level.get(key)) for level in levels for key in ("url", "download_url", "data"))
    return next(filter(None, links), None)
