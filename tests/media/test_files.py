"""The names of media: made of ids only, one for each id."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luma_async import LumaClient
from luma_async._media.files import stem_of, stored
from luma_async.testing import Script, SimulatedRelay
from tests.downloads import OPEN, names

LONG = "luma_" + "gen-0123456789." * 12


def digest(task_id: str) -> str:
    """Return what tells ids with the same start apart."""
    return hashlib.sha256(task_id.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("task_id", "name"),
    [
        ("9d4b7516-77e5~a_b.c", "9d4b7516-77e5~a_b.c"),
        ("x" * 100, "x" * 100),
        ("x" * 101, f"{'x' * 80}-{digest('x' * 101)}"),
        (LONG, f"{LONG[:80]}-{digest(LONG)}"),
        ("projects:a/b@1;v=(2)", f"projectsab1v2-{digest('projects:a/b@1;v=(2)')}"),
        (".hidden", f"hidden-{digest('.hidden')}"),
        ("--rm", f"rm-{digest('--rm')}"),
        ("$!*", digest("$!*")),
        ("../../etc/passwd", f"etcpasswd-{digest('../../etc/passwd')}"),
    ],
)
def test_a_name_is_the_id_or_its_start_and_digest(task_id: str, name: str) -> None:
    """An id of ordinary length and letters is its own name."""
    assert stem_of(task_id, "video") == f"{name}.video"


@given(st.text())
def test_any_text_makes_a_name_that_is_one_file(text: str) -> None:
    """It fits in 255 bytes with its ending, leads nowhere, and is neither hidden nor an option."""
    stem = stem_of(text, "last_frame")

    assert Path(stem).name == stem
    assert len(stem.encode()) <= 120
    assert not stem.startswith((".", "-"))
    assert "+" not in stem


@pytest.mark.parametrize("task_id", [LONG[:120], "-rf", ".profile"])
async def test_the_file_of_an_odd_id_is_found_again(tmp_path: Path, task_id: str) -> None:
    """Download, a second run and the gallery agree on its name."""
    async with (
        SimulatedRelay(script=Script.of("completed")) as relay,
        LumaClient(relay.base_url, relay.api_key, limits=OPEN) as luma,
    ):
        path = await luma.download(await luma.get_generation(relay.add(task_id)), tmp_path)

    assert names(tmp_path) == [f"{stem_of(task_id, 'video')}.mp4"]
    assert stored(task_id, tmp_path, "video") == path
