"""The list of what is broken on purpose fits the code, and the command tells who survived."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.__main__ import ROOT, Copy, main, sources
from tests.mutations.catalogue import MUTATIONS, Mutation

ANSWER = Mutation("the answer is 42", "ANSWER = 42", "ANSWER = 41", ("test_answers.py",))
LUCK = Mutation("seven is lucky", "LUCKY = 7", "LUCKY = 8", ("test_answers.py",))
GONE = Mutation("five is odd", "ODD = 5", "ODD = 6", ("test_answers.py",))
NONSENSE = Mutation("it can be read", "LUCKY = 7", "LUCKY = ", ("test_answers.py",))
TEST = """
from runpy import run_path

FOUND = run_path("luma_async/answers.py")

def test_answer() -> None:
    assert FOUND["ANSWER"] == 42
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one module and one test, which needs no plug-in of pytest's."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("luma_async", "tests"):
        (tmp_path / name).mkdir()
    (tmp_path / "luma_async" / "answers.py").write_text("ANSWER = 42\nLUCKY = 7\n", encoding="utf-8")
    (tmp_path / "tests" / "test_answers.py").write_text(TEST, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    return tmp_path


def test_each_text_that_is_broken_stands_once_in_the_package() -> None:
    """The list does not rot: a change of a line is a change of what breaks it, and a move is not."""
    package = list(sources(ROOT).values())

    found = {each.rule: sum(source.count(each.old) for source in package) for each in MUTATIONS}

    assert {rule: count for rule, count in found.items() if count != 1} == {}


def test_each_mutation_is_another_one() -> None:
    """And changes something."""
    assert len({(each.old, each.new) for each in MUTATIONS}) == len(MUTATIONS)
    assert len({each.rule for each in MUTATIONS}) == len(MUTATIONS)
    assert [each.rule for each in MUTATIONS if each.old == each.new] == []


def test_each_mutation_names_tests_that_exist() -> None:
    """Those that should notice."""
    named = [name.partition("::") for each in MUTATIONS for name in each.tests]
    paths = {place: ROOT / "tests" / place for place, _, _ in named}

    assert [place for place, path in paths.items() if not path.exists()] == []
    assert [test for place, _, test in named if test and f"def {test}(" not in paths[place].read_text("utf-8")] == []


@pytest.mark.slow
def test_what_nobody_notices_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As is what no longer applies, and what breaks more than a rule; the project itself stays as it is."""
    status = main([], project, [ANSWER, LUCK, GONE, NONSENSE])

    verdicts = [line[:17].strip() for line in capsys.readouterr().out.splitlines()]
    assert status == 1
    assert verdicts == ["noticed", "SURVIVED", "NO LONGER APPLIES", "CANNOT BE RUN", "1 of 4 noticed"]
    assert (project / "luma_async" / "answers.py").read_text(encoding="utf-8") == "ANSWER = 42\nLUCKY = 7\n"


def test_some_can_be_chosen(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And where each of them was noticed, all is well."""
    status = main(["--only", "42"], project, [ANSWER, LUCK])

    assert status == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 noticed"


def test_nothing_is_broken_where_the_tests_fail_anyway(project: Path) -> None:
    """Otherwise everything would be noticed."""
    (project / "luma_async" / "answers.py").write_text("ANSWER = 43\n", encoding="utf-8")

    with pytest.raises(SystemExit, match=r"do not pass as it is: test_answers\.py"):
        main([], project, [ANSWER])


def test_a_test_that_hangs_has_noticed(project: Path) -> None:
    """Some broken rules make somebody wait for ever."""
    assert Copy(project, limit=0.01).passes(["test_answers.py"]) is False
