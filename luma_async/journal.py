"""Outcomes on disk, one line of JSON each, so that a batch survives its process."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Self

from attrs import define, evolve, field

from luma_async._disk import lock, sync_directory
from luma_async._ids import Ids, checked_ids
from luma_async._records import OutcomeRecord
from luma_async._text import shown, spelled
from luma_async.errors import ConfigurationError, GenerationFailedError, JournalError, NotFoundError
from luma_async.models import State
from luma_async.outcomes import Outcome

_MODE = 0o600
"""For nobody else: the raw answers hold prompts, and links that open the video to whoever has them."""
_CHUNK = 2**20
"""Bytes of a journal that are read at once."""


def _checked_path(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path)
    except TypeError:
        trouble = ConfigurationError(f"{shown(spelled(path), 80)} is no file name", advice="give a str or a Path")
    raise trouble


@define(eq=False)
class Journal:
    """What became of the ids of a batch, in a file that outlives the process.

    ::

        async with LumaClient() as luma, Journal("batch.jsonl") as journal:
            async with luma.as_completed(journal.missing(task_ids)) as outcomes:
                async for outcome in outcomes:
                    await journal.record(outcome)

    The file has one line of JSON for each id that has ended, with the relay's answer whole; lines are only ever
    appended. Started again, however the process ended, the same code waits for what is missing.

    An id has ended when its generation has completed or failed, or when the relay said in so many words that it knows
    no such task. Nothing else is recorded, because the next run may do better: deadlines, trouble on the way, a
    refused key, a path that the address does not have, an id that cannot be one.

    Entering opens the file, makes it if need be (readable by its owner alone), and takes a lock that lasts until
    leaving. A last line that was torn by the end of a process is removed: its id is missing.

    Raises:
        ConfigurationError: On entering: the file cannot be opened, read and written, another journal has it open, or
            it holds anything but outcomes. It is left as it was then.
    """

    path: Path = field(converter=_checked_path)
    """The file."""
    _file: _File | None = field(default=None, init=False, repr=False)
    _states: dict[str, State | None] = field(factory=dict, init=False, repr=False)
    _under_way: dict[str, asyncio.Future[JournalError | None]] = field(factory=dict, init=False, repr=False)
    _lines: dict[str, tuple[State | None, bytes]] = field(factory=dict, init=False, repr=False)
    """What the next write takes along."""
    _writer: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        """Open the file and learn which ids have ended."""
        if self._file is not None:
            raise ConfigurationError(f"{shown(self.path)} is open already", advice="enter a journal once")
        opening = asyncio.create_task(asyncio.to_thread(_File.opened, self.path))
        try:
            self._file = file = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        self._states = file.states
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file, after what is being recorded."""
        file, self._file = self._file, None
        try:
            while self._writer is not None:
                await asyncio.wait([self._writer])
        finally:
            if file is not None:
                file.close()

    def __contains__(self, task_id: object) -> bool:
        """Whether *task_id* has ended."""
        return isinstance(task_id, str) and task_id in self._states

    def __len__(self) -> int:
        """How many ids have ended."""
        return len(self._states)

    def state(self, task_id: str) -> State | None:
        """Return the state in which *task_id* ended; None if the relay knew no such task, or it has not ended."""
        return self._states.get(task_id)

    def missing(self, task_ids: Ids) -> AsyncIterator[str]:
        """Return those of *task_ids* that have not ended, one by one as they are asked for.

        Args:
            task_ids: An iterable or an async iterable, which is read no further than needed.

        Raises:
            ConfigurationError: *task_ids* is a single string or no iterable, or the journal is not open.
        """
        self._opened()
        ids = checked_ids(task_ids)
        return _Missing(self, aiter(ids) if isinstance(ids, AsyncIterable) else iter(ids))

    async def record(self, outcome: Outcome) -> bool:
        """Append *outcome* if its id has ended, and return when it is on the disk.

        Those that come while the disk is busy are written together, so record from several tasks where many outcomes
        come at once. Recording an id again changes nothing. Cancelling stops the waiting; the line may be written
        nevertheless.

        Returns:
            Whether it was appended; False for an outcome that is no end, and for an id that had ended before.

        Raises:
            JournalError: It could not be written. The file is as it was, and the same call may be tried again.
            ConfigurationError: The journal is not open.
        """
        file, task_id = self._opened(), outcome.task_id
        record = OutcomeRecord.of(outcome)
        if task_id in self or not _is_end(record):
            return False
        written = self._under_way.get(task_id)
        is_new = written is None
        if written is None:
            self._lines[task_id] = record.state, f"{record.line()}\n".encode("ascii")
            written = self._under_way[task_id] = asyncio.get_running_loop().create_future()
            self._writer = self._writer or asyncio.create_task(self._write(file), name="luma_async journal")
        await asyncio.wait([written])
        error = written.result()
        if error is not None:
            raise error.for_task(task_id)
        return is_new

    async def outcomes(self) -> AsyncIterator[Outcome]:
        """Yield what has been recorded, in that order.

        The generations are those of the relay's answers. The error of an unknown id has its text, status and code.

        Raises:
            ConfigurationError: The journal is not open, or its file cannot be read any more.
        """
        at = 0
        while lines := await _on_disk(self.path, self._opened().lines, at):
            at += sum(map(len, lines))
            for record in filter(_is_end, map(OutcomeRecord.read, filter(bytes.strip, lines))):
                yield _outcome(record)

    def _opened(self) -> _File:
        if self._file is None:
            raise ConfigurationError(f"{shown(self.path)} is not open", advice="use it inside 'async with'")
        return self._file

    async def _write(self, file: _File) -> None:
        """Write what has come together, again and again: one write and one flush for all that wait."""
        try:
            while self._lines:
                lines, self._lines = self._lines, {}
                error = await self._appended(file, b"".join(line for _, line in lines.values()))
                for task_id, (state, _) in lines.items():
                    if error is None:
                        self._states[task_id] = state
                    self._under_way.pop(task_id).set_result(error)
        finally:
            self._writer = None

    async def _appended(self, file: _File, lines: bytes) -> JournalError | None:
        try:
            await asyncio.to_thread(file.append, lines)
        except OSError as error:
            return JournalError(
                f"the outcome cannot be recorded in {shown(self.path)}: {error.strerror or error}",
                path=str(self.path),
                advice="make room or repair the disk, and start again: only what is missing is waited for",
            )
        return None


@define(eq=False)
class _Missing(AsyncIterator[str]):
    """Task ids that a journal has not."""

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


def _is_end(record: OutcomeRecord) -> bool:
    """Whether the id has ended: what the command line writes to standard output has others too."""
    if record.state is not None:
        return record.state.is_terminal
    error = record.error
    return error is not None and error.type == NotFoundError.__name__ and error.names_task


def _outcome(record: OutcomeRecord) -> Outcome:
    """Return the outcome of an id that has ended, whether or not its medium could be stored."""
    outcome, generation = record.outcome(), record.last()
    if generation is None:
        return outcome
    if generation.state is State.FAILED:
        return evolve(outcome, generation=None, error=GenerationFailedError(generation))
    return evolve(outcome, generation=generation, error=None)


# --- the file; all of this runs in threads ---

_BEGINNING = b'{"task_id": "'
"""How each line begins: what does not begin so was not written by us, and is not ours to remove."""


@define(eq=False)
class _File:
    """An open journal, locked; its last line is whole whenever nothing is being written."""

    path: Path
    descriptor: int
    states: dict[str, State | None] = field(factory=dict, init=False)
    _torn_at: int | None = field(default=None, init=False)
    """Where a write that failed began, until what it left has been removed."""
    _closed: bool = field(default=False, init=False)
    _busy: Lock = field(factory=Lock, init=False)
    """Held so that no write meets the closing, or a file that got the same number after it."""

    @classmethod
    def opened(cls, path: Path) -> Self:
        """Open, lock, read, and repair the file at *path*.

        Raises:
            ConfigurationError: It cannot serve.
        """
        try:
            file = cls(path, os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), _MODE))
            try:
                file._take()
            except BaseException:
                file.close()
                raise
        except (OSError, ValueError) as error:
            trouble = _trouble(path, error)
        else:
            return file
        raise trouble

    def _take(self) -> None:
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        lock(self.descriptor)
        if status.st_size == 0:
            os.fsync(self.descriptor)
            sync_directory(self.path.parent)
        self._read()

    def _read(self) -> None:
        with open(self.descriptor, "rb", closefd=False) as file:
            file.seek(0)
            if file.peek(1)[:1] not in (b"", b"{"):
                raise _no_outcome(self.path, 1)
            whole = 0
            for number, line in enumerate(file, 1):
                if not self._learn(line, number):
                    os.ftruncate(self.descriptor, whole)
                    os.fsync(self.descriptor)
                elif not line.endswith(b"\n"):
                    self.append(b"\n")
                whole += len(line)

    def _learn(self, line: bytes, number: int) -> bool:
        """Note whose end *line* tells, and return whether it is whole.

        Raises:
            ConfigurationError: It is neither an outcome nor the beginning of one.
        """
        if not line.strip():
            return True
        try:
            record = OutcomeRecord.read(line)
        except ValueError:
            if line.endswith(b"\n") or line[: len(_BEGINNING)] != _BEGINNING[: len(line)]:
                raise _no_outcome(self.path, number) from None
            return False
        if _is_end(record):
            self.states[record.task_id] = record.state
        return True

    def append(self, lines: bytes) -> None:
        """Write *lines* and wait for the disk to have them; where that fails, leave the file as it was.

        Raises:
            OSError: The disk is full or out of order, or the file has been deleted or closed.
        """
        with self._busy:
            if self._closed:
                raise OSError("it is closed")
            self._mend()
            status = os.fstat(self.descriptor)
            if status.st_nlink == 0:
                raise OSError("it has been deleted")
            self._torn_at = status.st_size
            try:
                _write_whole(self.descriptor, lines)
                os.fsync(self.descriptor)
                self._torn_at = None
            except OSError:
                with suppress(OSError):
                    self._mend()
                raise

    def _mend(self) -> None:
        if self._torn_at is not None:
            os.ftruncate(self.descriptor, self._torn_at)
            self._torn_at = None

    def lines(self, start: int) -> list[bytes]:
        """Return some whole lines from byte *start* on; none at the end."""
        with self.path.open("rb") as file:
            file.seek(start)
            return [line for line in file.readlines(_CHUNK) if line.endswith(b"\n")]

    def close(self) -> None:
        """Close the file, and with it give up the lock."""
        with self._busy:
            if not self._closed:
                self._closed = True
                os.close(self.descriptor)


def _write_whole(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _close_unwanted(opening: asyncio.Task[_File]) -> None:
    """Close a file that was opened for somebody who has gone."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _on_disk(path: Path, step: Callable[[int], list[bytes]], start: int) -> list[bytes]:
    try:
        return await asyncio.to_thread(step, start)
    except OSError as error:
        trouble = _trouble(path, error)
    raise trouble


def _trouble(path: Path, error: OSError | ValueError) -> ConfigurationError:
    """Return our error for one of the system's; ours go through."""
    if isinstance(error, ConfigurationError):
        return error
    if isinstance(error, BlockingIOError):
        return ConfigurationError(
            f"{shown(path)} is in use as the journal of another run",
            advice="wait for that one to end, or give another file",
        )
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return ConfigurationError(
        f"{shown(path)} cannot be used as a journal: {reason}", advice="check the file and its permissions"
    )


def _no_outcome(path: Path, number: int) -> ConfigurationError:
    return ConfigurationError(
        f"{shown(path)} is no journal: line {number} is no outcome",
        advice="give another file; if it was one, delete that line, and its id is waited for again",
    )
