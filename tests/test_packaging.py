"""What is built and installed: the contents of wheel and sdist, their metadata, and what importing costs."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "luma_async"
MEDIA = {"luma_async/testing/clip.mp4", "luma_async/testing/thumbnail.jpg", "luma_async/testing/last_frame.jpg"}
STYLE = "luma_async/cli/gallery/gallery.css"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that was built from it, as a publisher builds them."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    """The wheel's files by name."""
    (path,) = built.glob("*.whl")
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    """The wheel's METADATA."""
    return Parser().parsestr(_info(wheel, "METADATA"))


def _info(wheel: dict[str, bytes], name: str) -> str:
    (path,) = (path for path in wheel if path.endswith(f".dist-info/{name}"))
    return wheel[path].decode()


@pytest.mark.slow
def test_the_wheel_has_the_package_and_nothing_else(wheel: dict[str, bytes]) -> None:
    """Every module, the marker of a typed package and the simulated relay's media are in it; tests and docs are not."""
    modules = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}

    inside = {name for name in wheel if ".dist-info/" not in name}

    assert inside == modules | MEDIA | {STYLE, "luma_async/py.typed"}


def test_the_media_arrive_whole(wheel: dict[str, bytes]) -> None:
    """The media in the wheel are those of the checkout, byte for byte."""
    assert {name: wheel[name] for name in MEDIA} == {name: (ROOT / name).read_bytes() for name in MEDIA}


def test_the_wheel_brings_its_licence(wheel: dict[str, bytes], metadata: Message) -> None:
    """The licence's text travels along, and its name is in the metadata."""
    assert _info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert metadata["License-Expression"] == "MIT"


def test_entry_points(wheel: dict[str, bytes]) -> None:
    """The command and the pytest plug-in are announced, and nothing else."""
    parser = ConfigParser()
    parser.read_string(_info(wheel, "entry_points.txt"))

    assert {group: dict(parser[group]) for group in parser.sections()} == {
        "console_scripts": {"luma-async": "luma_async.cli:main"},
        "pytest11": {"luma_async": "luma_async.testing.pytest_plugin"},
    }


def test_the_bare_library_has_four_dependencies_and_two_that_come_with_them(metadata: Message) -> None:
    """Aiohttp brings yarl and multidict, which are imported, so they are declared; all else belongs to an extra."""
    required = metadata.get_all("Requires-Dist", [])

    bare = {_name(requirement) for requirement in required if "extra ==" not in requirement}

    assert bare == {"aiohttp", "attrs", "cattrs", "tenacity"} | {"multidict", "yarl"}


def _name(requirement: str) -> str:
    return requirement.split(";", maxsplit=1)[0].split(">", maxsplit=1)[0].split("[", maxsplit=1)[0].strip()


def test_each_dependency_says_why_it_is_there() -> None:
    """The table of the architecture page names all of them and no others, each with an extra that has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"the library": project["dependencies"], **project["optional-dependencies"]}
    wanted = {(_name(each).lower(), group) for group, names in groups.items() for each in names} - {
        ("luma-async", group) for group in groups
    }
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Dependencies")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| `?(.+?)`? \| .+ \|$", table, re.MULTILINE)

    told = {(name.lower(), group) for names, group in rows for name in names.split(", ")} - {("package", "needed by")}

    assert told <= wanted
    assert {name for name, _ in told} == {name for name, _ in wanted}


def test_metadata_says_what_is_offered(metadata: Message) -> None:
    """Name, version, interpreter, extras and the README are as the project file has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert (metadata["Name"], metadata["Version"]) == ("luma-async", project["version"])
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Provides-Extra") == ["bench", "cli", "dev", "docs", "fleet", "speed", "test"]
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_sdist_can_be_checked_by_whoever_gets_it(built: Path) -> None:
    """Tests, samples, docs, examples and the script that checks it all are in the sdist; what a tool left is not."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    samples = {sample.relative_to(ROOT).as_posix() for sample in (ROOT / "tests" / "samples").glob("*.json")}
    docs = ROOT / "docs"
    pages = {page.relative_to(ROOT).as_posix() for page in [*docs.glob("*.md"), *docs.glob("examples/*.py")]}
    tests = {test.relative_to(ROOT).as_posix() for test in (ROOT / "tests").rglob("*.py")}
    workflows = {f".github/workflows/{name}.yml" for name in ("ci", "release")}

    assert names >= samples | pages | tests | workflows | MEDIA
    assert names >= {"README.md", "LICENSE", "pyproject.toml", "docs/conf.py", ".ci/run"}
    assert [name for name in names if "cache" in name or "_build" in name or name.endswith(".pyc")] == []


EXTRAS = {"cyclopts", "rich", "pytest_asyncio", "aioresponses", "hypothesis", "sybil", "sphinx"}
"""Packages, by the name they are imported under, that a user of the bare library does not have."""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        pytest.param("luma_async", EXTRAS | {"pytest", "aiohttp"}, id="the package"),
        pytest.param("luma_async.client", EXTRAS | {"pytest"}, id="the client"),
        pytest.param("luma_async.journal", EXTRAS | {"pytest", "aiohttp"}, id="the journal"),
        pytest.param("luma_async.testing", EXTRAS | {"pytest", "aiohttp"}, id="the test kit"),
        pytest.param("luma_async.testing.relay", EXTRAS | {"pytest"}, id="the simulated relay"),
        pytest.param("luma_async.testing.pytest_plugin", EXTRAS | {"aiohttp"}, id="the pytest plug-in"),
        pytest.param("luma_async.cli", EXTRAS | {"pytest", "aiohttp"}, id="the command line"),
    ],
)
def test_importing_costs_no_more_than_it_must(module: str, unwanted: set[str]) -> None:
    """Importing a room of the package loads no extra's package, and aiohttp only where requests are made."""
    script = f"import sys, {module}; print(*sys.modules)"
    command = [sys.executable, "-I", "-c", script]

    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603 - ours

    assert module in loaded
    assert unwanted.isdisjoint(loaded)


EVERY_MODULE = """
import importlib, pkgutil, luma_async
for module in pkgutil.walk_packages(luma_async.__path__, "luma_async."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


@pytest.mark.slow
def test_no_module_warns_when_it_is_imported() -> None:
    """Every module can be imported where warnings are errors, in development mode too."""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", EVERY_MODULE]

    run = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - ours

    assert (run.returncode, run.stderr) == (0, "")


def _workflow(name: str) -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))


def test_ci_runs_the_script_on_every_python_that_is_claimed() -> None:
    """The workflow checks each push and pull request with `.ci/run`, and may only read."""
    workflow = _workflow("ci")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = {name.rpartition(" ")[2] for name in project["classifiers"] if ":: 3." in name}

    check = workflow["jobs"]["check"]

    assert {"push", "pull_request"} <= set(workflow["on"])
    assert workflow["permissions"] == {"contents": "read"}
    assert check["steps"][-1] == {"run": "bash .ci/run"}
    assert claimed <= set(check["strategy"]["matrix"]["python"])


def test_a_release_is_checked_first_and_published_without_a_password() -> None:
    """Only the job that publishes may ask for an identity, and it has no secret and no command of its own."""
    workflow = _workflow("release")
    jobs = workflow["jobs"]
    publish = jobs["publish"]

    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    assert jobs["check"] == {"uses": "./.github/workflows/ci.yml"}
    assert (jobs["build"]["needs"], publish["needs"]) == ("check", "build")
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert (publish["environment"], publish["permissions"]) == ("pypi", {"id-token": "write"})
    assert publish["steps"][-1] == {"uses": "pypa/gh-action-pypi-publish@release/v1"}
    assert "secrets." not in str(workflow)
