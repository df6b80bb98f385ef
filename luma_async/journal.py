"""Outcomes on disk, one line of JSON each, so that a batch survives its process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Protocol, Self

from attrs import define, evolve, field

from luma_async._disk.files import measured
from luma_async._disk.line_file import LineFile, LineKind, open_lines
from luma_async._ids import Ids, checked_ids
from luma_async._records import LONGEST_LINE, NO_FILES, OutcomeRecord, StoredFile, StoredFiles
from luma_async._text import shown, spelled
from luma_async.errors import ConfigurationError, GenerationFailedError, JournalError, NotFoundError
from luma_async.models import Role, State
from luma_async.outcomes import Outcome

_KIND = LineKind(
    name="journal",
    line="an outcome",
    start=b'{"task_id": "',
    advice="give another file; if it was a journal, delete that line: its id is waited for again",
)


def _checked_path(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path)
    except TypeError:
        text = f"{shown(spelled(path), 80)} is not a file name"
        raise ConfigurationError(text, advice="give a str or a Path") from None


class OutcomeStore(Protocol):
    """Where the outcomes of a batch are kept, so that it survives its process: what a ``Journal`` does.

    A table in a database can take its place: with the task id as its key, ``record`` inserts a row unless there is
    one (``ON CONFLICT DO NOTHING``), and ``outcome_to_json`` gives what to store.
    """

    def missing(self, task_ids: Ids) -> AsyncIterator[str]:
        """Return the ids of *task_ids* that have no outcome yet, for ``LumaClient.as_completed``."""
        ...

    async def record(self, outcome: Outcome) -> bool:
        """Keep *outcome*, and return whether it is new; once this returns, it outlives the process."""
        ...


@define(eq=False)
class _Ended:
    """The ids that have ended, as the lines say."""

    states: dict[str, State | None] = field(factory=dict)
    files: dict[str, dict[str, StoredFile]] = field(factory=dict)
    """By task id and role, the latest file last; a line of earlier versions has the empty role."""

    def read(self, line: bytes) -> None:
        """Note what *line* says."""
        if _is_end(record := OutcomeRecord.read(line)):
            self.note(record)

    def note(self, record: OutcomeRecord) -> None:
        """Note that the id of *record* has ended, and where its files are."""
        self.states[record.task_id] = record.state
        if record.files:
            self.files.setdefault(record.task_id, {}).update(record.files)

    def file(self, task_id: str, role: Role | None) -> StoredFile | None:
        """Return the file of a role, or without one the first file."""
        files = self.files.get(task_id, {})
        return next(iter(files.values()), None) if role is None else files.get(role)


@define(eq=False)
class Journal:
    """The outcomes of a batch, in a file that outlives the process.

    ::

        async with LumaClient() as luma, Journal("batch.jsonl") as journal:
            async with luma.as_completed(journal.missing(task_ids)) as outcomes:
                async for outcome in outcomes:
                    await journal.record(outcome)

    The file has one line of JSON for each id that has ended, with the relay's whole answer. Lines are only appended.
    However the process ended, the same code, started again, waits for the missing ids.

    An id has ended when its generation has completed or failed, or when the relay said that it does not know the task.
    Nothing else is recorded, because the next run may succeed: timeouts, failed polls, a refused key, a path that the
    address does not have, an id that cannot be one.

    Entering opens the file, or makes it, and locks it until the block ends. Only its owner can read it from then on;
    where the file system does not allow that, a warning is logged. A last line that was cut by the end of a process is
    removed: its id is missing. A file that is moved, replaced or deleted meanwhile is an error of the next ``record``.

    Raises:
        ConfigurationError: On entering: the file cannot be opened, read and written, another journal has it open, or
            it holds anything but outcomes. The file is not changed.
    """

    path: Path = field(converter=_checked_path)
    """The file."""
    _file: LineFile | None = field(default=None, init=False, repr=False)
    _ended: _Ended = field(factory=_Ended, init=False, repr=False)
    _pending: dict[str, asyncio.Future[JournalError | None]] = field(factory=dict, init=False, repr=False)
    _lines: dict[str, tuple[OutcomeRecord, bytes]] = field(factory=dict, init=False, repr=False)
    """The lines of the next write."""
    _writer: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        """Open the file and learn which ids have ended."""
        if self._file is not None:
            raise ConfigurationError(f"{shown(self.path)} is open already", advice="enter a journal once")
        ended = _Ended()
        self._file = await open_lines(self.path, _KIND, ended.read)
        self._ended = ended
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file, after the write in progress. Cancelling stops the waiting; the write goes on in a thread."""
        file, self._file = self._file, None
        try:
            while (writer := self._writer) is not None and not writer.done():
                await asyncio.wait([writer])
        finally:
            if file is not None:
                file.close()

    def __contains__(self, task_id: object) -> bool:
        """Whether *task_id* has ended."""
        return isinstance(task_id, str) and task_id in self._ended.states

    def __len__(self) -> int:
        """How many ids have ended."""
        return len(self._ended.states)

    def state(self, task_id: str) -> State | None:
        """Return the state in which *task_id* ended; None if the relay did not know the task, or it has not ended."""
        return self._ended.states.get(task_id)

    def file(self, task_id: str, role: Role | None = None) -> Path | None:
        """Return where the medium *role* of *task_id* is stored, as ``record`` got it; None if that is not recorded.

        Without a *role*, it is the one that was recorded first.
        """
        file = self._ended.file(task_id, role)
        return None if file is None else file.path

    def size(self, task_id: str, role: Role | None = None) -> int | None:
        """Return the bytes that the same file had when it was recorded; None if they are not recorded."""
        file = self._ended.file(task_id, role)
        return None if file is None else file.size

    def missing(self, task_ids: Ids) -> AsyncIterator[str]:
        """Return the ids of *task_ids* that have not ended.

        Args:
            task_ids: An iterable or async iterable, which is read only as far as needed.

        Raises:
            ConfigurationError: *task_ids* is a single string or not an iterable, or the journal is not open.
        """
        self._opened()
        ids = checked_ids(task_ids)
        return _Missing(self, aiter(ids) if isinstance(ids, AsyncIterable) else iter(ids))

    async def record(
        self, outcome: Outcome, *, file: Path | None = None, files: Mapping[Role, Path | None] | None = None
    ) -> bool:
        """Append *outcome* if its id has ended, and return when it is on the disk.

        Outcomes that arrive while the disk is busy are written together, so record many from several tasks. Recording
        an id again changes nothing, except that new *files* of it get another line. Cancelling stops the waiting; the
        line may still be written.

        Args:
            outcome: As ``as_completed`` and other calls return it.
            file: Where the medium is stored.
            files: The same for each role, with None for one that could not be stored. Sizes are recorded too.

        Returns:
            Whether it was appended: False if the id has not ended, or was recorded before.

        Raises:
            JournalError: It could not be written. The file is unchanged, and the same call may succeed later. Only if
                the event loop ends meanwhile, it is unknown whether the line is there.
            ConfigurationError: The journal is not open.
        """
        opened, task_id = self._opened(), outcome.task_id
        record = OutcomeRecord.of(outcome, await _stored(file, files))
        while record.files and (earlier := self._pending.get(task_id)) is not None:
            await asyncio.wait([earlier])
        has_ended = task_id in self
        if not _is_end(record) or (has_ended and record.files.items() <= self._ended.files.get(task_id, {}).items()):
            return False
        if is_new := task_id not in self._pending:
            self._lines[task_id] = record, _line_of(record, self.path)
            self._pending[task_id] = asyncio.get_running_loop().create_future()
            if self._writer is None:
                self._writer = asyncio.create_task(self._write(opened), name="luma_async journal")
                self._writer.add_done_callback(self._never_started)
        written = self._pending[task_id]
        await asyncio.wait([written])
        if error := written.result():
            raise error.for_task(task_id)
        return is_new

    async def outcomes(self) -> AsyncIterator[Outcome]:
        """Yield the recorded outcomes, one for each id, in their order.

        The generations are those of the relay's answers. The error of an unknown id has its text, status and code.

        Raises:
            ConfigurationError: The journal is not open, or its file can no longer be read.
        """
        at, seen = 0, set[str]()
        while True:
            try:
                lines = await asyncio.to_thread(self._opened().lines, at)
            except OSError as error:
                raise _KIND.trouble(self.path, error) from None
            if not lines:
                return
            at += sum(map(len, lines))
            for record in filter(_is_end, map(OutcomeRecord.read, filter(bytes.strip, lines))):
                if record.task_id not in seen:
                    seen.add(record.task_id)
                    yield _outcome(record)

    def _opened(self) -> LineFile:
        if self._file is None:
            raise ConfigurationError(f"{shown(self.path)} is not open", advice="use it inside 'async with'")
        return self._file

    async def _write(self, file: LineFile) -> None:
        """Write until nothing is left: one write and one flush for all pending lines."""
        lines: dict[str, tuple[OutcomeRecord, bytes]] = {}
        try:
            while self._lines:
                lines, self._lines = self._lines, {}
                self._settle(lines, await self._append(file, b"".join(line for _, line in lines.values())))
        except asyncio.CancelledError:
            self._settle({**lines, **self._lines}, _stopped(self.path))
            self._lines = {}
            raise
        finally:
            self._writer = None

    async def _append(self, file: LineFile, lines: bytes) -> JournalError | None:
        try:
            await asyncio.to_thread(file.append, lines)
        except Exception as cause:  # noqa: BLE001 - whatever it is, each caller of record has to get it
            return JournalError(
                f"the outcome cannot be recorded in {shown(self.path)}: {getattr(cause, 'strerror', None) or cause}",
                path=str(self.path),
                advice="make room, repair the disk or put the file back, and start again: it waits for the missing ids "
                "only",
            )
        return None

    def _settle(self, lines: Mapping[str, tuple[OutcomeRecord, bytes]], error: JournalError | None) -> None:
        """Tell the callers of ``record`` how the write of *lines* has ended."""
        for task_id, (record, _) in lines.items():
            if error is None:
                self._ended.note(record)
            if (written := self._pending.pop(task_id, None)) is not None:
                written.set_result(error)

    def _never_started(self, writer: asyncio.Task[None]) -> None:
        """Settle all lines of a *writer* that was cancelled before its first step, which no code of its own notices."""
        if self._writer is writer:
            self._writer, lines, self._lines = None, self._lines, {}
            self._settle(lines, _stopped(self.path))


async def _stored(file: Path | None, files: Mapping[Role, Path | None] | None) -> StoredFiles:
    if files:
        return await asyncio.to_thread(measured, files)
    return NO_FILES if file is None else {"": StoredFile(file)}


def _line_of(record: OutcomeRecord, path: Path) -> bytes:
    """Return the line of *record* for the journal at *path*; the next run would refuse a file with a longer one."""
    line = f"{record.line()}\n".encode("ascii")
    if len(line) > LONGEST_LINE:
        raise JournalError(
            f"the outcome cannot be recorded in {shown(path)}: its line has more than {LONGEST_LINE} bytes",
            path=str(path),
            advice="lower Limits(max_answer_bytes=...)",
        )
    return line


def _stopped(path: Path) -> JournalError:
    return JournalError(
        f"it is unknown whether the outcome is recorded in {shown(path)}: the write was stopped",
        path=str(path),
        advice="start again: it waits for the missing ids only",
    )


@define(eq=False)
class _Missing(AsyncIterator[str]):
    """Task ids that are not in a journal."""

    _journal: Journal
    _ids: Iterator[str] | AsyncIterator[str]

    async def __anext__(self) -> str:
        if isinstance(self._ids, AsyncIterator):
            async for task_id in self._ids:
                if task_id not in self._journal:
                    return task_id
        else:
            for task_id in self._ids:
                if task_id not in self._journal:
                    return task_id
        raise StopAsyncIteration


# --- which outcomes are an end ---


def has_ended(outcome: Outcome) -> bool:
    """Whether the id of *outcome* has ended, as a ``Journal`` means it: the next run would change nothing."""
    return _is_end(OutcomeRecord.of(outcome, NO_FILES))


def _is_end(record: OutcomeRecord) -> bool:
    """Whether the id has ended; lines of standard output may be about other ids too."""
    if record.state is not None:
        return record.state.is_terminal
    error = record.error
    return error is not None and error.type == NotFoundError.__name__ and error.names_task


def _outcome(record: OutcomeRecord) -> Outcome:
    """Return the outcome of an ended id, whether or not its medium could be stored."""
    outcome, generation = record.outcome(), record.last()
    if generation is None:
        return outcome
    if generation.state is State.FAILED:
        return evolve(outcome, generation=None, error=GenerationFailedError(generation))
    return evolve(outcome, generation=generation, error=None)
