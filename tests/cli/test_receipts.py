"""Receipts: what a batch of submits has paid for, whatever ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from luma_async import ConfigurationError, GenerationOptions, JournalError, LumaError, ServerError, UncertainSubmitError
from luma_async.cli.manifests import Row
from luma_async.cli.receipts import Receipts

CAT, SECOND_CAT, DOG = (
    Row(prompt, GenerationOptions(), nth=nth) for prompt, nth in (("cat", 1), ("cat", 2), ("dog", 1))
)
REFUSED = ServerError("no", status=503)
LOST = UncertainSubmitError(LumaError("a reset"), candidates=("c-1",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The place of a file that does not exist yet."""
    return tmp_path / "receipts.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    """Return what is on the disk."""
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def held(path: Path) -> bytes:
    """Return the bytes on the disk."""
    return path.read_bytes()


def is_private(path: Path) -> bool:
    """Return whether only the owner can open the file."""
    return path.stat().st_mode & 0o777 == 0o600


def remove(path: Path) -> None:
    """Delete the file."""
    path.unlink()


def write(path: Path, content: bytes) -> None:
    """Make this the content of the file."""
    path.write_bytes(content)


async def after(path: Path, row: Row, *, repeats_open: bool = False) -> tuple[str | None, str | None] | None:
    """Return what keeps the next run from submitting *row*: its id, or the kind of its trouble."""
    async with Receipts(path, repeats_open) as receipts:
        earlier = receipts.earlier(row)
        return None if earlier is None else (earlier.task_id, type(earlier.trouble()).__name__)


async def test_a_row_has_a_receipt_before_its_submit_and_after_its_answer(path: Path) -> None:
    """Each line is on the disk when the call returns, for the owner's eyes only, and numbers go on in the next run."""
    async with Receipts(path) as receipts:
        first = await receipts.start(CAT)
        before = lines(path)
        await receipts.end(first, task_id="t-1")
    async with Receipts(path) as receipts:
        await receipts.end(await receipts.start(DOG), error=REFUSED)

    usual = {"nth": 1, "task_id": None, "error": None}
    assert before == [{**usual, "receipt": 1, "row_sha256": CAT.sha256, "prompt": "cat"}]
    assert lines(path)[1:3] == [
        {**before[0], "task_id": "t-1"},
        {**usual, "receipt": 2, "row_sha256": DOG.sha256, "prompt": "dog"},
    ]
    assert lines(path)[3]["error"]["status"] == 503
    assert is_private(path)


@pytest.mark.parametrize(
    ("ends", "kept", "repeated"),
    [
        ([{"task_id": "t-1"}], ("t-1", "NoneType"), ("t-1", "NoneType")),
        ([{"error": REFUSED}], None, None),
        ([{"error": LOST}], (None, "UncertainSubmitError"), None),
        ([None], (None, "UncertainSubmitError"), None),
        ([{"task_id": "t-1"}, {"error": REFUSED}], ("t-1", "NoneType"), ("t-1", "NoneType")),
        ([{"task_id": "t-1"}, {"task_id": "t-2"}], ("t-2", "NoneType"), ("t-2", "NoneType")),
        ([{"task_id": "t-1"}, None], (None, "UncertainSubmitError"), None),
    ],
    ids=["taken", "refused", "lost", "open", "retry refused", "retry taken", "retry open"],
)
async def test_a_row_is_submitted_again_only_if_the_relay_did_not_take_it(
    path: Path, ends: list[dict[str, Any] | None], kept: object, repeated: object
) -> None:
    """An open one and an uncertain one only on request; equal rows with other numbers have receipts of their own."""
    async with Receipts(path) as receipts:
        for end in ends:
            receipt = await receipts.start(CAT)
            if end is not None:
                await receipts.end(receipt, **end)

    assert await after(path, CAT) == kept
    assert await after(path, CAT, repeats_open=True) == repeated
    assert await after(path, SECOND_CAT) is None


async def test_what_may_be_the_id_of_a_lost_submit_is_kept(path: Path) -> None:
    """The next run names it again."""
    async with Receipts(path) as receipts:
        await receipts.end(await receipts.start(CAT), error=LOST)
    async with Receipts(path) as receipts:
        earlier = receipts.earlier(CAT)

    assert earlier is not None
    assert isinstance(trouble := earlier.trouble(), UncertainSubmitError)
    assert trouble.candidates == ("c-1",)


async def test_a_line_that_was_cut_is_one_that_was_never_written(path: Path) -> None:
    """At each of its bytes: a cut answer leaves its receipt open, a cut start means that nothing was sent."""
    async with Receipts(path) as receipts:
        await receipts.end(await receipts.start(CAT), task_id="t-1")
    start, end = held(path).splitlines(keepends=True)
    fates = set()
    for cut in (1, len(start) // 2, len(start) - 2):
        write(path, start[:cut])
        fates.add(await after(path, CAT))
        write(path, start + end[:cut])
        fates.add(await after(path, CAT))

    assert fates == {None, (None, "UncertainSubmitError")}


@pytest.mark.parametrize("content", [b"a cat\n", b'{"task_id": "t-1"}\n', b'{"receipt": 1}\n', b'{"receipt": "1"\n'])
async def test_a_file_of_another_kind_is_refused_and_not_changed(path: Path, content: bytes) -> None:
    """It may be the only copy of something."""
    write(path, content)

    with pytest.raises(ConfigurationError, match=r"receipts\.jsonl is not a file of receipts: line 1 is not a receipt"):
        await after(path, CAT)
    assert held(path) == content


async def test_receipts_have_one_writer(path: Path) -> None:
    """Two runs at once would pay for each row twice."""
    async with Receipts(path):
        with pytest.raises(ConfigurationError, match="is in use as the file of receipts of another run"):
            await after(path, CAT)


async def test_an_id_that_cannot_be_recorded_is_in_the_error(path: Path) -> None:
    """It is paid for, and may be recorded nowhere else."""
    async with Receipts(path) as receipts:
        receipt = await receipts.start(CAT)
        remove(path)

        with pytest.raises(JournalError, match=r"task t-1: a receipt cannot be recorded in .*it has been deleted"):
            await receipts.end(receipt, task_id="t-1")
