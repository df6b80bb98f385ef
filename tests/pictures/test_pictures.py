"""The pictures of the docs: the command that draws them works, and what it drew is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import needed_program
from tests.pictures.__main__ import IMAGES, main

NAMES = ["gallery.png", "terminal.svg"]
LARGEST = 150_000
"""Bytes of a picture: who clones the project gets them all."""


@pytest.mark.slow
def test_the_command_draws_them(tmp_path: Path) -> None:
    """All of them, small, and such that they ask nobody for anything."""
    needed_program()

    assert main(tmp_path / "images", hurry=20) == 0

    drawn = {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    assert sorted(drawn) == NAMES
    assert drawn["gallery.png"].startswith(b"\x89PNG")
    assert max(map(len, drawn.values())) < LARGEST
    assert all(word in drawn["terminal.svg"] for word in (b"luma_gen_7f3a", b"completed", b"failed", b"queued"))
    assert b"url(http" not in drawn["terminal.svg"]


def test_without_a_browser_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And leaves the pictures that there are."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert (main(tmp_path / "images"), capsys.readouterr().err) == (
        1,
        "the gallery's picture needs a Chromium on PATH\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_each_picture_is_there_and_shown(name: str) -> None:
    """On a page of the docs."""
    pages = [page.read_text(encoding="utf-8") for page in IMAGES.parent.glob("*.md")]

    assert 0 < (IMAGES / name).stat().st_size < LARGEST
    assert any(f"(images/{name})" in page for page in pages)
