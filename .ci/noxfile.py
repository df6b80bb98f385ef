"""The checks of the project, one session each; ``.ci/run`` uses the same ones in its own environments."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent.parent

# tests/faults without those of load and outage, which take long and meet nothing that the others do not.
IN_UVLOOP = [
    *(f"tests/{name}" for name in ("faults", "media", "network", "waiting", "relay/test_gateways.py")),
    *(f"tests/test_{name}.py" for name in ("calls", "client", "events", "journal", "loops", "streams")),
    *(f"tests/testing/test_{name}.py" for name in ("clock", "relay", "threads")),
    *(f"--ignore=tests/faults/test_{name}.py" for name in ("a36_load", "a37_outage")),
]
# What depends on the dependencies most, and waits least.
AT_THE_FLOORS = [
    *(f"tests/{name}" for name in ("relay", "media", "waiting/test_polls.py")),
    *(f"tests/test_{name}.py" for name in ("calls", "errors", "models", "outcomes", "public_api", "settings")),
    *(f"tests/cli/test_{name}.py" for name in ("check", "completion", "markup", "summary", "table")),
]

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"


def _prepare(session: nox.Session, extra: str) -> None:
    """Work at the project's root, with *extra*, unless ``--no-venv`` says that all is installed."""
    session.chdir(ROOT)
    if session.venv_backend != "none":
        session.install("-e", f".[{extra}]")


def _pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest, and measure the coverage if COVERAGE_FILE says where that belongs."""
    runner = ["coverage", "run", "-m"] if "COVERAGE_FILE" in os.environ else ["python", "-m"]
    session.run(*runner, "pytest", "-p", "no:cacheprovider", *arguments, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style and the format with ruff."""
    _prepare(session, "dev")
    session.run("ruff", "check", "--no-cache")
    session.run("ruff", "format", "--check", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy and pyright."""
    _prepare(session, "dev")
    session.run("mypy")
    session.run("pyright")


@nox.session
def tests(session: nox.Session) -> None:
    """Run what README's pytest runs; what follows ``--`` goes to pytest."""
    _prepare(session, "test")
    _pytest(session)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the slow tests."""
    _prepare(session, "test")
    _pytest(session, "-m", "slow")


@nox.session
def uvloop(session: nox.Session) -> None:
    """Run the tests of waiting, network and media in uvloop."""
    _prepare(session, "test")
    _pytest(session, "--loop", "uvloop", *IN_UVLOOP)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages; what follows ``--`` is the directory for them."""
    _prepare(session, "docs")
    to = session.posargs or ["docs/_build/html"]
    session.run("sphinx-build", "-nWq", "--keep-going", "-b", "html", "docs", *to)


@nox.session(reuse_venv=False)
def floors(session: nox.Session) -> None:
    """Run a part of the tests on the lowest versions that pyproject.toml allows at run time."""
    session.chdir(ROOT)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = [*project["dependencies"], *project["optional-dependencies"]["cli"]]
    constraints = Path(session.create_tmp()) / "floors.txt"
    constraints.write_text("\n".join(lowest).replace(">=", "==") + "\n", encoding="utf-8")
    session.install("-c", str(constraints), ".[test]")
    _pytest(session, "-q", *AT_THE_FLOORS)


@nox.session
def mutations(session: nox.Session) -> None:
    """Break each rule of the catalogue, and see whether a test fails; what follows ``--`` goes to the command."""
    _prepare(session, "test")
    session.run("python", "-m", "tests.mutations", *session.posargs)
