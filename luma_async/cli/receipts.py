"""Receipts: what was submitted, on the disk before each submit and after its answer, so that nothing is paid twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

from attrs import define, evolve, field

from luma_async._disk.line_file import LineFile, LineKind, open_lines
from luma_async._records import ErrorRecord, ReceiptRecord
from luma_async._text import shown
from luma_async.cli.manifests import Row
from luma_async.cli.output import goes_to
from luma_async.errors import ConfigurationError, JournalError, LumaError

_KIND = LineKind(
    name="file of receipts",
    line="a receipt",
    start=b'{"receipt": ',
    advice="give another file; if it was one, put the line right: without it, its video may be paid for twice",
)


@define(eq=False)
class Receipts:
    """The receipts of a batch of submits, in a file that outlives the process; one process at a time has it open.

    A row has one receipt for each submit. Rows are the same if they ask for the same and have the same number among
    those that do.
    """

    path: Path
    repeats_open: bool = False
    """Whether a submit that the relay may have taken is repeated."""
    _file: LineFile | None = field(default=None, init=False)
    _last: dict[tuple[str, int], ReceiptRecord] = field(factory=dict, init=False)
    """The latest receipt of each row."""
    _taken: dict[tuple[str, int], list[str]] = field(factory=dict, init=False)
    """The ids of each row: all but the last of them have failed."""
    _number: int = field(default=0, init=False)
    """The greatest number of a receipt."""

    @classmethod
    def of(cls, path: Path | None, *, repeats_open: bool) -> Self | None:
        """Return the receipts at *path*, or None without one; nothing is opened yet."""
        if path is None:
            return None
        if goes_to(path):
            raise ConfigurationError(
                f"standard output goes to the receipts {shown(path)} too", advice="redirect it to another file"
            )
        return cls(path, repeats_open)

    async def __aenter__(self) -> Self:
        """Open and lock the file, and learn which rows were submitted; a ConfigurationError means that it cannot be."""
        self._file = await open_lines(self.path, _KIND, lambda line: self._learn(ReceiptRecord.read(line)))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file, after the write in progress."""
        if self._file is not None:
            self._file.close()

    @property
    def taken(self) -> int:
        """How many rows the relay has taken."""
        return len(self._taken)

    def attempts(self, row: Row) -> int:
        """Return how many submits of *row* the relay has taken."""
        return len(self._taken.get((row.sha256, row.nth), ()))

    def earlier(self, row: Row) -> ReceiptRecord | None:
        """Return the receipt that keeps *row* from being submitted: a taken or an uncertain one. None: submit it.

        Raises:
            ConfigurationError: The row cannot be submitted at all.
        """
        last = self._last.get((row.sha256, row.nth))
        if last is None or (last.is_uncertain and self.repeats_open):
            return None
        if last.is_uncertain:
            return last
        taken = self._taken.get((row.sha256, row.nth))
        return evolve(last, task_id=taken[-1], error=None) if taken else None

    async def start(self, row: Row) -> ReceiptRecord:
        """Record that *row* is about to be submitted, and return when that is on the disk.

        Raises:
            JournalError: It could not be written, so the row must not be submitted.
        """
        self._number += 1
        receipt = ReceiptRecord(
            receipt=self._number, row_sha256=row.sha256, nth=row.nth, prompt=row.prompt, name=row.name
        )
        await self._write(receipt)
        return receipt

    async def end(self, receipt: ReceiptRecord, *, task_id: str | None = None, error: LumaError | None = None) -> None:
        """Record the answer to a submit, and return when that is on the disk. Cancelling does not stop the write.

        Raises:
            JournalError: It could not be written; it has the *task_id*, which may be recorded nowhere else.
        """
        answered = evolve(receipt, task_id=task_id, error=None if error is None else ErrorRecord.of(error))
        await self._write(answered)

    async def _write(self, receipt: ReceiptRecord) -> None:
        if self._file is None:
            raise ConfigurationError(f"{shown(self.path)} is not open", advice="use it inside 'async with'")
        try:
            await asyncio.to_thread(self._file.append, f"{receipt.line()}\n".encode("ascii"))
        except Exception as error:  # noqa: BLE001 - in any case it may not be on the disk
            raise JournalError(
                f"a receipt cannot be recorded in {shown(self.path)}: {getattr(error, 'strerror', None) or error}",
                path=str(self.path),
                task_id=receipt.task_id,
                advice="make room, repair the disk or put the file back, and start again",
            ) from None
        self._learn(receipt)

    def _learn(self, receipt: ReceiptRecord) -> None:
        key = receipt.row_sha256, receipt.nth
        self._last[key] = receipt
        self._number = max(self._number, receipt.receipt)
        if receipt.task_id is not None:
            self._taken.setdefault(key, []).append(receipt.task_id)
