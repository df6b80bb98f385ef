"""An outcome as one line of JSON, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from io import BufferedIOBase
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, Self, cast

from attrs import evolve, frozen
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from luma_async import errors
from luma_async._checks import medium_or_none
from luma_async._relay.causes import cause_of
from luma_async._relay.details import generation_of
from luma_async._relay.documents import NotJSONError, Reading, check, decoder
from luma_async._relay.search import tasks_in
from luma_async._relay.unlisted import unlisted_task
from luma_async._text import shown, spelled, without_media
from luma_async.errors import DownloadReason, LumaError, Verdict
from luma_async.models import Generation, Link, State, Video
from luma_async.outcomes import Outcome

Code = str | int | None


def outcome_to_json(outcome: Outcome, *, brief: bool = False) -> str:
    """Return *outcome* as one line of ASCII JSON, the schema of the command line and of a journal.

    Args:
        outcome: As ``as_completed`` and other calls return it.
        brief: Whether to leave the relay's answer out.
    """
    return OutcomeRecord.of(outcome).line(brief=brief)


def outcome_from_json(line: str | bytes) -> Outcome:
    """Return the outcome of *line*, which ``outcome_to_json``, a journal or the command line wrote.

    The generation is structured from the relay's answer; without the answer, it has the id, the state and the link.
    An error has the class, the text and the facts that the line has.

    Raises:
        ConfigurationError: It is not such a line, or it is cut.
    """
    try:
        return OutcomeRecord.read(line.encode() if isinstance(line, str) else line).outcome()
    except ValueError:
        advice = "give a line as outcome_to_json returned it"
        raise errors.ConfigurationError("the line is not an outcome", advice=advice) from None


@frozen(kw_only=True)
class ErrorRecord:
    """The error of an outcome, as its line has it."""

    type: str
    """The name of its class."""
    message: str
    status: int | None = None
    """The HTTP status."""
    code: Code = None
    """The relay's own code; of a DownloadError, its reason."""
    verdict: Verdict = Verdict.FINAL
    retryable: bool = False
    names_task: bool = False
    """Of a NotFoundError: whether the relay says that it does not know the task."""
    reason: str | None = None
    """Of a GenerationFailedError: the relay's text, which another dialect may not find again."""
    body: str | None = None
    """Of an UncertainSubmitError: the relay's answer, escaped and shortened."""
    candidates: tuple[str, ...] | None = None
    """Of an UncertainSubmitError: what may be the task's id."""

    @classmethod
    def of(cls, error: LumaError) -> Self:
        """Return the facts of *error* that a line has."""
        return cls(
            type=type(error).__name__,
            message=str(error),
            status=getattr(error, "status", None),
            code=error.reason if isinstance(error, errors.DownloadError) else getattr(error, "code", None),
            verdict=error.verdict,
            retryable=error.retryable,
            names_task=getattr(error, "names_task", False),
            reason=error.reason if isinstance(error, errors.GenerationFailedError) else None,
            body=shown(error.body, 500) if isinstance(error, errors.UncertainSubmitError) else None,
            candidates=getattr(error, "candidates", None),
        )

    def error(self, summary: str, task_id: str | None, waited: float, generation: Generation | None) -> LumaError:
        """Return the error again: of its own class, with its text and these facts."""
        error = self._of_its_class(generation, waited)
        error.summary, error.task_id, error.advice, error.verdict = summary, task_id, "", self.verdict
        error.args = (summary,)
        return error

    def _of_its_class(self, generation: Generation | None, waited: float) -> LumaError:
        kind: Any = getattr(errors, self.type, None)
        if not (isinstance(kind, type) and issubclass(kind, LumaError)):
            kind = LumaError
        if issubclass(kind, errors.APIError):
            error: LumaError = kind(self.message, status=self.status or 0, code=self.code)
            if isinstance(error, errors.NotFoundError):
                error.names_task = self.names_task
        elif kind is errors.WaitTimeoutError:
            error = errors.WaitTimeoutError("", waited=waited, last=generation, last_error=None)
        elif kind is errors.GenerationFailedError:
            error = LumaError(self.message) if generation is None else errors.GenerationFailedError(generation)
        elif kind is errors.DownloadError:
            reason = cast("DownloadReason", self.code or "unknown")  # lines of earlier versions have none
            error = errors.DownloadError(self.message, reason=reason, generation=generation)
        elif kind is errors.UncertainSubmitError:
            trouble, candidates = LumaError(self.message), self.candidates or ()
            error = errors.UncertainSubmitError(trouble, body=self.body or "", candidates=candidates)
        else:
            error = errors.JournalError(self.message, path="") if kind is errors.JournalError else kind(self.message)
        return error


LONGEST_LINE = 2**25
"""Bytes; sixteen times the default of ``max_answer_bytes``. A longer line is not ours, and would fill the memory."""


class LongLineError(Exception):
    """A line has more than ``LONGEST_LINE`` bytes."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def lines_in(file: BufferedIOBase) -> Iterator[bytes]:
    """Yield each line of *file* with its line break, which the last one may lack.

    Raises:
        LongLineError: A line is too long to be one of ours.
    """
    for number in count(1):
        line = file.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise LongLineError(number)
        if not line:
            return
        yield line


@frozen
class StoredFile:
    """A medium on the disk."""

    path: Path
    size: int | None = None
    """Bytes; None where they are not known."""


StoredFiles = Mapping[str, StoredFile | None]
"""The files of a task by the roles that were asked for, in that order; None for one that could not be stored."""
NO_FILES: StoredFiles = {}


@frozen(kw_only=True)
class OutcomeRecord:
    """One line: the outcome of one id."""

    task_id: str
    state: State | None
    """The last known state."""
    video_url: Link | None
    """A ``data:`` link is cut, and one that was cut is read as None."""
    path: str | None = None
    """Where the medium was stored, the first of those that were asked for."""
    paths: Mapping[str, str] | None = None
    """The same by roles, where several were asked for; None or empty: ``sizes`` has the role, if any."""
    sizes: Mapping[str, int] | None = None
    """The bytes of each file, by its role."""
    error: ErrorRecord | None
    elapsed: float
    polls: int
    generation: Mapping[str, Any] | None = None
    """The relay's last answer, with ``data:`` links cut; absent on a brief line."""

    def __attrs_post_init__(self) -> None:
        if self.state is None and self.error is None:
            raise ValueError("neither a generation nor an error")

    @classmethod
    def of(cls, outcome: Outcome, stored: StoredFiles = NO_FILES) -> Self:
        """Return the line of *outcome*, with the files where its media are *stored*."""
        task_id: Any = outcome.task_id
        error = outcome.error
        last: Any = outcome.generation or getattr(error, "generation", None) or getattr(error, "last", None)
        first = next(iter(stored.values()), None)
        paths = {role: str(file.path) for role, file in stored.items() if file and role}
        sizes = {role: file.size for role, file in stored.items() if file and file.size is not None}
        return cls(
            task_id=task_id if isinstance(task_id, str) else spelled(task_id),
            state=last.state if last else None,
            video_url=last.video_url if last else None,
            path=None if first is None else str(first.path),
            paths=paths if len(stored) > 1 or not sizes else None,
            sizes=sizes,
            error=None if error is None else ErrorRecord.of(error),
            elapsed=round(outcome.elapsed, 3),
            polls=outcome.polls,
            generation=last.raw if last else None,
        )

    def line(self, *, brief: bool = False) -> str:
        """Return it as one line of ASCII JSON, without the relay's answer if *brief*."""
        fields = _converter.unstructure(self)
        for name in ("paths", "sizes"):
            if not fields[name]:
                del fields[name]
        if brief:
            del fields["generation"]
        line = json.dumps(fields, allow_nan=False)
        return json.dumps(_without_media(fields)) if "data:" in line else line

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Read *line*; a NotJSONError means that it is not such a line, or is cut."""
        try:
            fields = decoder.decode(line.decode("utf-8-sig"))
            check(fields, deepest=inf)
            return _converter.structure(_as_written_today(fields), cls)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            raise NotJSONError("not an outcome") from None

    def outcome(self) -> Outcome:
        """Return the outcome again."""
        generation, error = self.last(), None
        if self.error is not None:
            task_id = None if self.trouble == self.error.message else self.task_id
            error, generation = self.error.error(self.trouble or "", task_id, self.elapsed, generation), None
        return Outcome(task_id=self.task_id, generation=generation, error=error, elapsed=self.elapsed, polls=self.polls)

    def last(self) -> Generation | None:
        """Return the last generation: structured from the relay's answer, else made of the line itself.

        None if no poll succeeded.
        """
        if self.state is None:
            return None
        raw = self.generation or {}
        same = (found for found in tasks_in(raw, asked=(self.task_id,)) if found.task_id == self.task_id)
        found = next(same, None) or unlisted_task(raw, self.task_id, Reading())
        if found is not None:
            return self._as_recorded(generation_of(found, raw))
        known = Generation(id=self.task_id, state=self.state, state_text=self.state, result_url=self.video_url, raw=raw)
        return self._as_recorded(known)

    def _as_recorded(self, generation: Generation) -> Generation:
        """Return *generation* with the state, link and reason of the line: the client may have another dialect."""
        if self.video_url not in (None, generation.video_url):
            video = evolve(generation.video or Video(), download_url=self.video_url)
            generation = evolve(generation, video=video)
        reason = generation.failure_reason or (None if self.error is None else self.error.reason)
        return evolve(generation, state=self.state or generation.state, failure_reason=reason)

    @property
    def files(self) -> Mapping[str, StoredFile]:
        """The files of the line by their roles; the role is empty where the line does not say it."""
        sizes, paths = self.sizes or {}, self.paths
        if not paths:
            paths = {} if self.path is None else {next(iter(sizes), ""): self.path}
        return {role: StoredFile(Path(path), sizes.get(role)) for role, path in paths.items()}

    @property
    def trouble(self) -> str | None:
        """The error's text without the task id."""
        return None if self.error is None else self.error.message.removeprefix(f"task {shown(self.task_id, 128)}: ")


def _without_media(value: Any) -> Any:
    """Return *value* with all ``data:`` links in it cut: a journal of videos would have gigabytes."""
    if isinstance(value, str):
        return without_media(value)
    if isinstance(value, Mapping):
        return {key: _without_media(part) for key, part in value.items()}
    return [_without_media(item) for item in value] if isinstance(value, list | tuple) else value


def submission_line(
    prompt: str,
    task_id: str | None,
    error: LumaError | None,
    name: str | None = None,
    reworded: Callable[[str], str] = str,
) -> str:
    """Return the result of a submit as one line of ASCII JSON, the schema of ``luma-async submit``.

    A *name* is left out where there is none; the error's message is *reworded*.
    """
    record = None if error is None else ErrorRecord.of(error)
    fields = record and _converter.unstructure(evolve(record, message=reworded(record.message)))
    named = {} if name is None else {"name": name}
    return json.dumps({**named, "prompt": prompt, "task_id": task_id, "error": fields})


@frozen(kw_only=True)
class ReceiptRecord:
    """One line about one submit: before it, without an id and an error; after its answer, with one of them."""

    receipt: int
    """Its number in the file; a later line with the same number replaces the line."""
    row_sha256: str
    """What was asked for."""
    nth: int
    """The number among the rows that ask for the same, from 1."""
    prompt: str
    task_id: str | None = None
    error: ErrorRecord | None = None
    name: str | None = None
    """The user's own name for the row; left out where there is none."""

    def line(self) -> str:
        """Return it as one line of ASCII JSON."""
        return json.dumps(_converter.unstructure(self))

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Read *line*; a NotJSONError means that it is not such a line, or is cut."""
        try:
            return _converter.structure(decoder.decode(line.decode("utf-8-sig")), cls)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            raise NotJSONError("not a receipt") from None

    @property
    def is_uncertain(self) -> bool:
        """Whether the relay may have taken the submit, and its id is not known."""
        uncertain = errors.UncertainSubmitError.__name__
        return self.task_id is None and (self.error is None or self.error.type == uncertain)

    def trouble(self) -> LumaError | None:
        """Return the error of an uncertain submit again; of any other there is none."""
        if not self.is_uncertain:
            return None
        if self.error is None:
            return errors.UncertainSubmitError(LumaError("the run that submitted it ended before the relay's answer"))
        return self.error.error(self.error.message, None, 0.0, None)


# --- lines of earlier versions ---

_STATUS_IN_TEXT = re.compile(r"HTTP ([1-9][0-9]{2})\b")


def _as_written_today(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *fields* with the keys of today; an error without the key ``status`` has its facts only in its text."""
    if "polls" not in fields and "looks" in fields:
        fields = {**fields, "polls": fields["looks"]}
    error = fields["error"]
    if isinstance(error, dict) and "status" not in error:
        fields = {**fields, "error": {**error, **_facts_in_text(fields["task_id"], error["type"], error["message"])}}
    return fields


def _facts_in_text(task_id: str, kind: str, text: str) -> dict[str, Any]:
    """Return the facts of a NotFoundError, which decide whether its id has ended."""
    if kind != errors.NotFoundError.__name__:
        return {}
    text = text.removeprefix(f"task {shown(task_id, 128)}: ")  # the id may be any word
    text = re.sub(r" \([^()]*\)$", "", text)  # our own advice
    status = _STATUS_IN_TEXT.search(text)
    cause = cause_of(int(status[1]) if status else 0, [text])
    return {
        "status": int(status[1]) if status else HTTPStatus.NOT_FOUND.value,
        "names_task": cause is not None and cause.names_task,
    }


# --- types are checked, and what is missing or of another type is refused ---


def _exactly(*kinds: type) -> Any:
    def structured(value: Any, _: Any) -> Any:
        if type(value) not in kinds:
            raise TypeError("another type")
        return value

    return structured


def _link(value: Any, _: Any) -> Link | None:
    """Return a link; None for the start of a ``data:`` link."""
    link = medium_or_none(value, "video")
    if link is None and not (isinstance(value, str) and value.startswith("data:")):
        raise ValueError("not a link")
    return link


def _made() -> Converter:
    converter = Converter(detailed_validation=False)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _exactly(int, float))
    converter.register_structure_hook_func(lambda kind: kind == Code, _exactly(str, int, type(None)))
    converter.register_structure_hook_func(lambda kind: kind == Mapping[str, Any], _exactly(dict))
    converter.register_structure_hook_func(lambda kind: kind is Link, _link)
    converter.register_structure_hook(State, lambda word, _: State(word))
    converter.register_structure_hook(Verdict, lambda name, _: Verdict[name.upper()])
    converter.register_unstructure_hook(Verdict, lambda verdict: verdict.name.lower())
    left_out: Any = {name: override(omit_if_default=True) for name in ("names_task", "reason", "body", "candidates")}
    converter.register_unstructure_hook(ErrorRecord, make_dict_unstructure_fn(ErrorRecord, converter, **left_out))
    converter.register_unstructure_hook(
        ReceiptRecord, make_dict_unstructure_fn(ReceiptRecord, converter, name=override(omit_if_default=True))
    )
    whole = override(unstruct_hook=lambda raw: raw)
    converter.register_unstructure_hook(
        OutcomeRecord, make_dict_unstructure_fn(OutcomeRecord, converter, generation=whole)
    )
    return converter


_converter = _made()
