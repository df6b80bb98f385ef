"""The command that runs all properties for as long as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import main

PROFILE = """
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

found = DirectoryBasedExampleDatabase(".hypothesis/examples")
settings.register_profile("fuzz", max_examples=20, print_blob=True, derandomize=False, database=found)
"""
PROPERTIES = """
from hypothesis import given, strategies as st

@given(st.integers())
def test_holds(number: int) -> None:
    assert number == number

@given(st.integers())
def test_fails(number: int) -> None:
    assert number != 0

def test_is_no_property() -> None:
    assert False
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two properties, one of which does not hold; of pytest's plug-ins it needs one."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "_hypothesis_pytestplugin")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text(PROFILE, encoding="utf-8")
    (tests / "test_numbers.py").write_text(PROPERTIES, encoding="utf-8")
    return tmp_path


def test_it_tells_how_many_examples_each_property_had(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At least one round, of properties alone, and what it ran is printed."""
    status = main(["--minutes", "0", "--only", "holds"], project)

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert lines == ["       20 tests/test_numbers.py::test_holds", "       20 examples of 1 properties in 1 rounds"]


def test_what_fails_is_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rounds end, the status is 1, and the report and the example are there for later."""
    status = main(["--minutes", "1"], project)

    (report,) = (project / ".hypothesis" / "fuzz").iterdir()
    assert status == 1
    assert str(report) in capsys.readouterr().out
    assert "number=0" in report.read_text(encoding="utf-8")
    assert "reproduce_failure" in report.read_text(encoding="utf-8")
    assert list((project / ".hypothesis" / "examples").iterdir())


@pytest.mark.slow
def test_the_project_s_own_properties_take_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of files with other tests too."""
    status = main(["--minutes", "0", "tests/test_text.py"])

    assert status == 0
    assert "400 tests/test_text.py::test_nothing_but_printable_characters_is_shown" in capsys.readouterr().out
