"""README and docs: Python blocks run, what they print is what the page says, and the commands are the real ones."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from attrs import define, field
from rich.console import Console
from sybil import Document, Example
from sybil.parsers.myst import CodeBlockParser

import luma_async
import luma_async.fleet
import luma_async.testing
from luma_async.cli.check.captured import read_captured
from luma_async.cli.check.explained import explain
from luma_async.cli.check.explanation import draw
from luma_async.cli.commands import app
from luma_async.cli.demo import EXAMPLES
from luma_async.dialect import RELAY
from luma_async.testing import RelayThread, SimulatedRelay
from tests.quick import quick

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

KEY = "sk-test-0123456789"
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBizCCATGgAwIBAgIUCKY659hEk4N5/qVJo3pUB5s+VqgwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPQ29tcGFueSBUZXN0IENBMCAXDTI2MTEyMjIxMTcxM1oYDzIx
MjYxMDI5MjExNzEzWjAaMRgwFgYDVQQDDA9Db21wYW55IFRlc3QgQ0EwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAASrtEcKaK6qsMytPyErfz314NKfB/Vu2AOPM1SS
R3wM0+OKSvdGNl9XoUmu60QKKquN8I4Wyc0XdpYPLPpLbZrUo1MwUTAdBgNVHQ4E
FgQUIHDCF1IHqhXbnF64iWe+Do+lVrYwHwYDVR0jBBgwFoAUIHDCF1IHqhXbnF64
iWe+Do+lVrYwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBuFo0/
VwAh7/zxj2/CZ2Mp/eptUeyMGS1PxRNxmdI+zwIhAMx8COAQylKFq6mvZW3fmKCT
qECaPZn8rvtTk6PTBnYE
-----END CERTIFICATE-----
"""
"""Of an authority that signs nothing, for the page that loads a company's own."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory and an environment as the pages take them for granted, with a relay that knows their ids."""
    (tmp_path / "company-ca.pem").write_text(CERTIFICATE, encoding="ascii")
    monkeypatch.chdir(tmp_path)
    with RelayThread(SimulatedRelay(api_key=KEY)) as relay:
        monkeypatch.setenv("LUMA_BASE_URL", relay.base_url)
        monkeypatch.setenv("LUMA_API_KEY", KEY)
        for task_id, script in EXAMPLES.items():
            relay.add(task_id, script=script)
        yield tmp_path


@define(eq=False)
class Reader:
    """Reads a page as a person would at the prompt of ``python -m asyncio``: one namespace, one event loop."""

    runner: asyncio.Runner
    directory: Path
    printed: str | None = field(default=None, init=False)
    """What the last Python block printed, until it has been compared."""
    tests: list[str] = field(factory=list, init=False)
    """The blocks with tests in them, one file for pytest each."""

    def examples(self, page: Path) -> list[Example]:
        """Return the blocks of *page* that can be checked, in order."""
        parsers = CodeBlockParser("python", self.run), CodeBlockParser("text", self.compare)
        document = Document.parse(str(page), *parsers)
        document.namespace["__name__"] = "__main__"
        return list(document.examples())

    def run(self, example: Example) -> None:
        """Run a Python block; one with tests in it is kept for pytest."""
        source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
        with redirect_stdout(StringIO()) as printed:
            if re.search(r"^(async )?def test_", example.parsed, re.MULTILINE):
                self.tests.append(example.parsed)
            else:
                code = compile(source, example.path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
                result = eval(code, example.namespace)  # noqa: S307 - our own pages
                if inspect.iscoroutine(result):
                    self.runner.run(result)
        self.printed = printed.getvalue()

    def compare(self, example: Example) -> str | None:
        """Compare a block of plain text with what the Python block before it printed; ``...`` stands for anything."""
        printed, self.printed = self.printed, None
        fits = printed is None or OutputChecker().check_output(example.parsed, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
        return None if fits else f"expected:\n{example.parsed}\nprinted:\n{printed}"


def run_pytest(sources: list[str], directory: Path) -> None:
    """Run *sources* as test files of somebody who has installed luma_async."""
    for number, source in enumerate(sources):
        (directory / f"test_pipeline_{number}.py").write_text(source, encoding="utf-8")
    plugins = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "--rootdir", str(directory), str(directory)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", quick(PAGES, 12, ids=[page.stem for page in PAGES]))
def test_every_python_block_of_a_page_runs(page: Path, place: Path) -> None:
    """Pasted one after the other, a page's Python blocks run, and print what the page says they print."""
    with asyncio.Runner() as runner:
        reader = Reader(runner, place)
        examples = reader.examples(page)

        for example in examples:
            example.evaluate()
    if reader.tests:
        run_pytest(reader.tests, place)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_hides_from_the_reader(page: Path) -> None:
    """Every fence that a page opens is of a kind that is checked here, by Sphinx, or by its eye."""
    fences = re.findall(r"^\s*(?:`{3,}|~{3,}|:{3,})(\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(fences) <= {"python", "text", "sh", "json", "toml", "{eval-rst}", "{toctree}", "{literalinclude}"}


def test_the_page_about_dialects_shows_what_explain_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer and each dialect, saved as the page says, give the text below each command."""
    page = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    explained = []
    for (kind, text), (_, below) in pairwise(blocks):
        if kind == "toml":
            Path("films.toml").write_text(text, encoding="utf-8")
        elif kind == "text" and text.startswith("HTTP/"):
            Path("answer.txt").write_text(text, encoding="utf-8")
        elif kind == "sh" and text.startswith("luma-async check --explain"):
            explained.append((explanation_of(shlex.split(text)[2:]), below))

    assert len(explained) == 4
    for shown, below in explained:
        assert OutputChecker().check_output(below, shown, ELLIPSIS | NORMALIZE_WHITESPACE), shown


def explanation_of(arguments: list[str]) -> str:
    """Return what ``check`` with *arguments* shows on a terminal."""
    _, bound, _ = app.parse_args(["check", *arguments])
    given = bound.arguments
    dialect = given["relay"].spelling if "relay" in given else RELAY
    fields, _ = explain(read_captured(Path(given["explain"]).read_bytes()), dialect, given["id_"])
    console = Console(file=StringIO(), color_system=None, width=100, highlight=False)
    draw(fields, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_readme_example_is_short() -> None:
    """The README's example has at most twelve lines of code."""
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)

    assert len([line for line in example.splitlines() if line.strip()]) <= 12


@pytest.mark.parametrize("command", ["pip install '.[cli]' && luma-async demo", "pip install '.[test]' && pytest"])
def test_the_readme_gives_two_commands(command: str) -> None:
    """Each of the two commands stands alone in a shell block of the README."""
    assert f"```sh\n{command}\n```" in README


@pytest.mark.parametrize("what", ["luma-async demo", "pytest"])
def test_ci_takes_its_commands_out_of_the_readme(what: str) -> None:
    """``.ci/run`` does not repeat the README's commands: it reads them, and so cannot run others."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert f'command_of_readme "{what}"' in script
    assert "pip install '.[" not in script


def test_contributors_are_told_of_each_session() -> None:
    """The table of the page about contributing has the sessions of the task runner, in their order."""
    sessions = (ROOT / ".ci" / "noxfile.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")

    told = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)

    assert told == re.findall(r"^@nox\.session.*\ndef (\w+)\(", sessions, re.MULTILINE)


def test_links_within_the_readme_lead_somewhere() -> None:
    """Each relative link of the README is a file of the checkout."""
    targets = re.findall(r"\]\(([^)#:]+)\)", README)

    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_command_line_understands_what_the_pages_tell_it(page: Path) -> None:
    """Each ``luma-async`` command that a page shows has arguments that the program takes."""
    shown = re.findall(r"\bluma-async +([a-z][^|>&`\n]*)", page.read_text(encoding="utf-8"))

    for arguments in shown:
        app.parse_args(shlex.split(arguments), exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    "module", [luma_async, luma_async.fleet, luma_async.testing], ids=lambda module: module.__name__
)
def test_the_reference_documents_what_is_public(module: ModuleType) -> None:
    """The reference has an entry for each public name of a module, and for no other name of that module."""
    source = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    sections = re.split(r"^\.\. currentmodule:: (\S+)$", source, flags=re.MULTILINE)
    entries: dict[str, list[str]] = {}
    for name, text in zip(sections[1::2], sections[2::2], strict=True):
        entries.setdefault(name, []).extend(re.findall(r"^\.\. auto\w+:: (\w+)(?:\(|$)", text, re.MULTILINE))

    assert sorted(entries[module.__name__]) == module.__all__


def test_the_picture_shows_the_house() -> None:
    """The architecture's picture has each module of the package, and no other."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = page.split("```text\n")[1].split("```")[0]
    modules = [path.name for path in (ROOT / "luma_async").rglob("*.py")]

    drawn = re.findall(r"\w+\.py\b", picture)

    assert set(drawn) == set(modules)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """Below tests/, as a file, or as a test in a file."""
    named = re.findall(r"`(?:tests/)?([\w/]*\btest_\w+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8"))
    sources = {file: ROOT / "tests" / file for file, _ in named}

    assert [str(path) for path in sources.values() if not path.is_file()] == []
    assert [name for file, name in named if name and f"def {name}(" not in sources[file].read_text("utf-8")] == []


def test_the_guarantees_name_their_tests() -> None:
    """Each line of its tables ends with at least one, so that no promise stands for itself."""
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| promise")]

    assert len(rows) > 30
    assert [row for row in rows if not re.search(r"test_\w+\.py", row.rsplit("|", 2)[1])] == []
