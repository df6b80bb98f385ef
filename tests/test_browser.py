"""The browser of the tests: what happens on a machine without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import NEEDED, chromium, needed_program


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No program is found by its name."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_a_browser_tests_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a reason."""
    monkeypatch.delenv(NEEDED, raising=False)

    with pytest.raises(pytest.skip.Exception, match="no Chromium on PATH"):
        needed_program()


def test_where_a_browser_is_needed_its_absence_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI skips nothing."""
    monkeypatch.setenv(NEEDED, "1")

    with pytest.raises(pytest.fail.Exception, match="no Chromium on PATH"):
        needed_program()


def test_a_browser_that_does_not_start_is_told(tmp_path: Path) -> None:
    """At once, and not when patience ends."""
    with pytest.raises(AssertionError, match="did not start"), chromium("/bin/false", tmp_path):
        raise AssertionError("it is taken for a browser")
