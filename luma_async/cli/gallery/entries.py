"""The entries of a gallery, out of the lines of journals and of standard output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Self

from attrs import define, field, frozen

from luma_async._records import OutcomeRecord
from luma_async._relay.documents import NotJSONError
from luma_async.cli.times import processed, queued, seconds_between
from luma_async.models import Generation, Role, State, duration_of, size_of

StoredLink = Callable[[str, Role], str | None]
"""Gives the link to a file that holds a task's medium, or None."""

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
    poster: str | None
    """The same for the thumbnail."""

    @classmethod
    def of(cls, record: OutcomeRecord, stored: StoredLink) -> Self:
        """Build the entry of one line."""
        generation, task_id = record.last(), record.task_id

        def link(role: Role) -> str | None:
            return stored(task_id, role) or _web_link(None if generation is None else generation.link(role))

        return cls(
            task_id=task_id,
            generation=generation,
            trouble=(generation and generation.failure_reason) or record.trouble,
            waited=max(0.0, float(record.elapsed)),
            polls=record.polls,
            video=link("video"),
            poster=link("thumbnail") or link("last_frame"),
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
    replaced: int = field(default=0, init=False)
    """Lines that lost against another line about the same id."""
    unreadable: dict[str, Unreadable] = field(factory=dict, init=False)
    """The lines that are not outcomes, by source."""

    def read(self, source: str, lines: Iterable[bytes]) -> None:
        """Read *lines*; blank ones are skipped.

        Of two lines about one id the later one counts, unless only the earlier one saw the generation end: a deadline
        does not undo a video.
        """
        for number, line in enumerate(lines, 1):
            content = line.removeprefix(_BYTE_ORDER_MARK)
            try:
                if content.strip():
                    self._take(OutcomeRecord.read(content))
            except NotJSONError:
                self.unreadable.setdefault(source, Unreadable()).add(number)

    def _take(self, record: OutcomeRecord) -> None:
        before = self._records.get(record.task_id)
        self.replaced += before is not None
        if before is None or not _has_ended(before) or _has_ended(record):
            self._records[record.task_id] = record

    def entries(self, stored: StoredLink) -> list[Entry]:
        """Return the entries."""
        return [Entry.of(record, stored) for record in self._records.values()]


def _has_ended(record: OutcomeRecord) -> bool:
    return record.state is not None and record.state.is_terminal
