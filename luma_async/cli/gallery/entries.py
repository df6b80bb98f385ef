"""The entries of a gallery, out of the lines of journals and of standard output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Self

from attrs import define, evolve, field, frozen

from luma_async._records import OutcomeRecord
from luma_async._relay.documents import NotJSONError
from luma_async._text import without_pages
from luma_async.cli.times import processed, queued, seconds_between
from luma_async.models import Generation, Role, State, duration_of, size_of

StoredLink = Callable[[OutcomeRecord, str, Role], str | None]
"""Gives the link to a file that holds a medium of the task of a line, whose source is named; or None."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Section(StrEnum):
    """The sections of a gallery, in the order of the page."""

    COMPLETED = "completed"
    FAILED = "failed"
    NOT_DONE = "not done"


class Stage(StrEnum):
    """How the time of a generation was spent."""

    QUEUE = "queue"
    PROCESSING = "processing"
    RELAY = "queue and processing"
    """The relay gave the end and not the start."""
    WAITED = "waited for"
    """Our own time, where the relay gave none."""


@frozen(kw_only=True)
class Entry:
    """One task id on the page, with or without a generation."""

    task_id: str
    generation: Generation | None
    """None if no poll succeeded."""
    trouble: str | None
    """Why it failed, is not done, or could not be stored; unescaped text from outside."""
    waited: float
    """Seconds."""
    polls: int
    video: str | None
    """A link to the stored file, else the relay's link."""
    is_stored: bool
    """Whether the video is a file."""
    poster: str | None
    """The same for the thumbnail; None beside a stored video without a stored picture: its first frame stays there."""

    @classmethod
    def of(cls, record: OutcomeRecord, stored: Callable[[Role], str | None]) -> Self:
        """Build the entry of one line."""
        generation, file = record.last(), stored("video")

        def link(role: Role) -> str | None:
            return _web_link(None if generation is None else generation.link(role))

        picture = stored("thumbnail") or stored("last_frame")
        return cls(
            task_id=record.task_id,
            generation=generation,
            trouble=without_pages((generation and generation.failure_reason) or "") or record.trouble,
            waited=max(0.0, float(record.elapsed)),
            polls=record.polls,
            video=file or link("video"),
            is_stored=file is not None,
            poster=picture or (None if file else link("thumbnail") or link("last_frame")),
        )

    @property
    def section(self) -> Section:
        """The section it belongs to."""
        if self.generation is None or not self.generation.is_terminal:
            return Section.NOT_DONE
        return Section(self.generation.state)

    @property
    def state(self) -> str:
        """The state at the last poll; the relay's own word, unescaped, where that is unknown."""
        if self.generation is None:
            return "never seen"
        state = self.generation.state
        return self.generation.state_text if state is State.UNKNOWN else state

    @property
    def prompt(self) -> str | None:
        """The prompt, unescaped."""
        return None if self.generation is None else self.generation.prompt

    @property
    def created_at(self) -> datetime | None:
        """UTC."""
        return None if self.generation is None else self.generation.created_at

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the video in pixels."""
        return None if self.generation is None else size_of(self.generation)

    @property
    def duration(self) -> float | None:
        """Seconds of the video."""
        return None if self.generation is None else duration_of(self.generation)

    @property
    def stages(self) -> list[tuple[Stage, float]]:
        """Seconds in each stage by the relay's times, else the seconds we waited."""
        if self.generation is None:
            return [(Stage.WAITED, self.waited)]
        its = self.generation
        if its.started_at is None:
            stages = [(Stage.RELAY, seconds_between(its.submitted_at, its.finished_at))]
        else:
            stages = [(Stage.QUEUE, queued(its)), (Stage.PROCESSING, processed(its))]
        known = [(stage, seconds) for stage, seconds in stages if seconds is not None]
        return known or [(Stage.WAITED, self.waited)]


def _web_link(link: str | None) -> str | None:
    """Return *link* unless it is a ``data:`` link, which may have megabytes."""
    return None if link is None or link.startswith("data:") else link


_FEW = 10
"""Most line numbers that are read at a glance; the others are counted."""


@define
class Unreadable:
    """Lines of one source that are not outcomes: how many, and the first numbers."""

    count: int = 0
    first: list[int] = field(factory=list)

    def add(self, number: int) -> None:
        """Count the line *number*."""
        self.count += 1
        if len(self.first) < _FEW:
            self.first.append(number)

    def __str__(self) -> str:
        more = f" and {self.count - _FEW} more" if self.count > _FEW else ""
        return f"line{'s' if self.count > 1 else ''} {', '.join(map(str, self.first))}{more}"


@define(eq=False)
class Collection:
    """One entry for each id of all lines, in the order in which ids first appear."""

    _records: dict[str, OutcomeRecord] = field(factory=dict, init=False)
    _sources: dict[str, str] = field(factory=dict, init=False)
    """The source of the path of each id's file."""
    replaced: int = field(default=0, init=False)
    """Lines that lost against another line about the same id."""
    unreadable: dict[str, Unreadable] = field(factory=dict, init=False)
    """The lines that are not outcomes, by source."""

    def read(self, source: str, lines: Iterable[bytes]) -> None:
        """Read *lines*; blank ones are skipped.

        Of two lines about one id the later one counts, unless only the earlier one saw the generation end: a deadline
        does not undo a video. The path of the file, and the relay's answer, are kept from any line.
        """
        for number, line in enumerate(lines, 1):
            content = line.removeprefix(_BYTE_ORDER_MARK)
            try:
                if content.strip():
                    self._take(OutcomeRecord.read(content), source)
            except NotJSONError:
                self.unreadable.setdefault(source, Unreadable()).add(number)

    def _take(self, record: OutcomeRecord, source: str) -> None:
        before = self._records.get(record.task_id)
        if record.path is not None:
            self._sources[record.task_id] = source
        if before is not None:
            self.replaced += not _completes(record, before)
            record = _merged(before, record)
        self._records[record.task_id] = record

    def entries(self, stored: StoredLink) -> list[Entry]:
        """Return the entries."""
        return [Entry.of(record, self._link_of(record, stored)) for record in self._records.values()]

    def _link_of(self, record: OutcomeRecord, stored: StoredLink) -> Callable[[Role], str | None]:
        return lambda role: stored(record, self._sources.get(record.task_id, ""), role)


def _merged(before: OutcomeRecord, after: OutcomeRecord) -> OutcomeRecord:
    """Return the line of the two that counts, with what only the other has of the same generation."""
    first, then = (before, after) if not _has_ended(before) or _has_ended(after) else (after, before)
    path = after.path or before.path
    raw = first.generation if then.generation is None and first.state is then.state else then.generation
    return evolve(then, path=path, generation=raw)


def _completes(record: OutcomeRecord, before: OutcomeRecord) -> bool:
    """Whether *record* only adds the file to the line *before*, as the second line of an id in a journal does."""
    return record.path is not None and before.path is None and record.state is before.state


def _has_ended(record: OutcomeRecord) -> bool:
    return record.state is not None and record.state.is_terminal
