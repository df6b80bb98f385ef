"""How the house is built: who may import whom, and how large a function may be."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from attrs import frozen

import luma_async

HOUSE = Path(luma_async.__file__).parent

ROOMS = (
    *(
        "__main__",
        "cli",
        "testing",
        "fleet",
        "__init__",
        "client",
        "webhooks",
        "journal",
        "_streams",
        "_media",
        "_disk",
        "_calls",
    ),
    *("_waiting", "_network", "_listeners", "events", "_records", "outcomes", "_relay", "statistics", "settings"),
    *("dialect", "options", "_ids", "_checks", "errors", "models", "_text"),
)
"""From the top of the house to its cellar: imports run downwards only."""

INSIDE = {
    "cli": (
        *("__init__", "entry", "commands", "submitting", "retries", "receipts", "rows", "manifests", "pauses"),
        *("gallery.files", "gallery.page", "gallery.timeline", "gallery.markup"),
        *("gallery.entries", "gallery", "check.command", "check.diagnosis", "check.evidence", "check.explanation"),
        *("check.explained", "check.missing", "check.places", "check.captured", "check"),
        *(
            "demo",
            "fleet",
            "work",
            "display",
            "stores",
            "storing",
            "executing",
            "running",
            "naming",
            "ids",
            "usage",
            "table",
            "lines",
            "summary",
            "progress",
            "show",
            "ends",
            "forms",
            "trouble",
            "fitting",
        ),
        *("options", "durations", "output", "exit", "times"),
    ),
    "testing": (
        *(
            "pytest_plugin",
            "_asyncio_fixtures",
            "__init__",
            "_mocking",
            "relay",
            "callbacks",
            "_gateway",
            "_router",
            "_flavours",
            "_answers",
        ),
        *("scripts", "_media", "rules", "faults", "exchange", "clock"),
    ),
    "fleet": ("__init__", "_worker", "_handover", "_status", "_engine", "waits"),
    "_disk": ("line_file", "files", "__init__"),
    "_media": ("download", "servers", "places", "names", "files", "formats", "boxes", "addresses", "__init__"),
    "_waiting": (
        *(
            "polls",
            "waiters",
            "unknown_states",
            "scheduler",
            "controller",
            "pacing",
            "progress",
            "rest",
            "learning",
        ),
        *("callbacks", "batching"),
        *("poll_requests", "turns", "pending", "batch_support", "batch_size", "batch_search", "__init__"),
    ),
    "_network": (
        *(
            "transport",
            "slots",
            "wire",
            "redirects",
            "session",
            "proxies",
            "request",
            "redaction",
            "credentials",
            "rate",
            "deadlines",
            "cooldown",
        ),
        *("backoff", "__init__"),
    ),
    "_relay": (
        *(
            "submissions",
            "new_tasks",
            "new_ids",
            "marks",
            "tasks",
            "unlisted",
            "details",
            "reasons",
            "links",
            "structure",
            "search",
            "requests",
            "refusals",
            "success",
            "complaints",
            "causes",
            "health",
        ),
        *("candidates", "slow_down", "not_found", "keys", "documents", "answer"),
        "__init__",
    ),
}
"""The same inside each package."""

ONLY_IN = {
    "aiohttp": {"_network", "_media", "testing"},
    "json": {"_relay", "_records", "testing"},
    "cattrs": {"_relay", "_records"},
    "pgqueuer": {"fleet"},
    "asyncpg": {"fleet", "cli"},
}
"""Where the foreign libraries stop."""

FOR_TYPES_ONLY = {("client", "aiohttp")}
"""Who may name a foreign type in an annotation."""

LONGEST_FUNCTION = 40
"""Lines, docstring included."""

_NO_CODE = {getattr(tokenize, name) for name in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}

MOST_CODE = {"fleet": 399}
"""Lines of code that a package may have: an engine does the work of a fleet."""


@frozen
class Import:
    """One import, wherever in its module it stands."""

    module: str
    line: int
    only_for_types: bool


def imports(source: str) -> Iterator[Import]:
    """Yield every import in *source*, those in functions and under TYPE_CHECKING included."""
    tree = ast.parse(source)
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    guarded = {id(child) for guard in guards for statement in guard.body for child in ast.walk(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(name, node.lineno, id(node) in guarded)


def place_of(module: str) -> tuple[int, int]:
    """Return how far down in the house a full name inside the package leads: the room, and the place inside it."""
    room, *rest = module.split(".")[1:] or ["__init__"]
    if not ((HOUSE / room).is_dir() or (HOUSE / f"{room}.py").exists()):
        room = "__init__"
    inside = INSIDE.get(room, ())
    names = [".".join(rest[:count]) for count in range(len(rest), 0, -1)]
    known = next((name for name in names if name in inside), "__init__")
    return ROOMS.index(room), inside.index(known) if inside else 0


def upward(module: str, source: str) -> list[str]:
    """Return the imports in *source*, a *module* of the package by its full name, that do not run downwards."""
    here = place_of(module)
    ours = [found for found in imports(source) if found.module.startswith((".", "luma_async"))]
    return [
        f"{module} imports {found.module} in line {found.line}"
        for found in ours
        if found.module.startswith(".") or place_of(found.module) < here
    ]


def astray(room: str, source: str) -> list[str]:
    """Return the foreign imports in *source* that *room* is not allowed."""
    return [
        f"{room} imports {found.module} in line {found.line}"
        for found in imports(source)
        for library in [found.module.split(".")[0]]
        if room not in ONLY_IN.get(library, {room}) and not (found.only_for_types and (room, library) in FOR_TYPES_ONLY)
    ]


def too_long(source: str) -> list[str]:
    """Return the functions in *source* that cannot be read in one sitting."""
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        f"{node.name} in line {node.lineno}"
        for node in functions
        if (node.end_lineno or node.lineno) - node.lineno >= LONGEST_FUNCTION
    ]


def lines_of_code(source: str) -> int:
    """Return how many lines of *source* are neither blank, nor a comment, nor part of a docstring."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    lines = {line for token in tokens if token.type not in _NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def modules() -> list[Path]:
    """Return all modules of the package."""
    return sorted(HOUSE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the full name of the module at *path*."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(("luma_async", *(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)))


def room_at(path: Path) -> str:
    """Return the room of the module at *path*."""
    return path.relative_to(HOUSE).with_suffix("").parts[0]


_EACH_MODULE = pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(HOUSE)))


@_EACH_MODULE
def test_every_module_has_its_place_in_the_house(path: Path) -> None:
    """A new room is entered in the lists above, at the height where it belongs."""
    room, *inside = name_of(path).split(".")[1:]

    assert room in ROOMS, f"enter {room!r} in ROOMS, between what uses it and what it uses"
    assert ".".join(inside or ["__init__"]) in INSIDE.get(room, ("__init__",)), f"enter it in INSIDE[{room!r}]"


@_EACH_MODULE
def test_imports_run_downwards_only(path: Path) -> None:
    """Inside packages, in functions and for types too: so there are no circles."""
    assert upward(name_of(path), path.read_text(encoding="utf-8")) == []


@_EACH_MODULE
def test_foreign_libraries_stop_at_their_edge(path: Path) -> None:
    """HTTP at the transport and the downloads, JSON at the structure."""
    assert astray(room_at(path), path.read_text(encoding="utf-8")) == []


@_EACH_MODULE
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    """Forty lines are the most."""
    assert too_long(path.read_text(encoding="utf-8")) == []


@_EACH_MODULE
def test_no_class_holds_several_ideas(path: Path) -> None:
    """200 lines are the most, but for the client's many methods; and fifteen fields, where ids wait."""
    classes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)]
    fields = {node.name: sum(isinstance(part, ast.AnnAssign) for part in node.body) for node in classes}
    lines = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in classes if node.name != "LumaClient"}
    assert {name for name in lines if lines[name] > 200} == set()
    assert path.parent.name != "_waiting" or max(fields.values(), default=0) <= 15


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models", "import luma_async.errors"),
        ("models", "from luma_async import errors"),
        ("errors", "from luma_async.client import LumaClient"),
        ("_waiting.polls", "from luma_async import LumaClient"),
        ("_relay.tasks", "def late():\n    from luma_async import client"),
        ("settings", "if TYPE_CHECKING:\n    from luma_async._waiting.pacing import PollWait"),
        ("testing.relay", "from luma_async.cli.demo import demo"),
        ("client", "from . import errors"),
        ("_relay.documents", "from luma_async._relay.tasks import read_task"),
        ("_relay.documents", "from luma_async._relay import tasks"),
        ("cli.gallery.entries", "from luma_async.cli.gallery.page import render"),
        ("cli.output", "from luma_async.cli import main"),
    ],
)
def test_an_import_that_runs_upwards_is_noticed(module: str, source: str) -> None:
    """In whatever form it is written."""
    assert len(upward(f"luma_async.{module}", source)) == 1


@pytest.mark.parametrize(
    ("room", "source", "count"),
    [
        ("client", "import aiohttp", 1),
        ("client", "if TYPE_CHECKING:\n    import aiohttp", 0),
        ("settings", "if TYPE_CHECKING:\n    import aiohttp", 1),
        ("_waiting", "def late():\n    from aiohttp.client import ClientSession", 1),
        ("cli", "import json", 1),
        ("testing", "import json\nfrom aiohttp import web", 0),
        ("testing", "import cattrs", 1),
        ("models", "from cattrs.gen import override", 1),
    ],
)
def test_a_foreign_library_out_of_place_is_noticed(room: str, source: str, count: int) -> None:
    """Except where only a type is named."""
    assert len(astray(room, source)) == count


def test_a_long_function_is_noticed() -> None:
    """Exactly forty lines are fine, one more is not."""
    fits, long = ("async def f():\n" + "    x = 1\n" * lines for lines in (39, 40))

    assert too_long(fits) == []
    assert too_long(long) == ["f in line 1"]


def test_a_package_stays_small() -> None:
    """Blank lines, comments and docstrings do not count."""
    counted = lines_of_code('"""Two\nlines."""\n\n# a comment\nx = (\n    1,  # another\n)\n')

    code = {room: sum(lines_of_code(path.read_text("utf-8")) for path in (HOUSE / room).glob("*.py")) for room in ROOMS}

    assert counted == 3
    assert [room for room, most in MOST_CODE.items() if not 0 < code[room] <= most] == []


# --- the front door ---


def test_the_public_names_are_sorted_and_complete() -> None:
    """All that ``__init__`` brings in is public, and nothing else is."""
    source = (HOUSE / "__init__.py").read_text(encoding="utf-8")
    brought_in = {
        found.module.rpartition(".")[2] for found in imports(source) if found.module.startswith("luma_async.")
    }

    assert luma_async.__all__ == sorted(brought_in)


def test_the_public_names_can_be_listed() -> None:
    """Also those that are not imported yet."""
    assert set(luma_async.__all__) <= set(dir(luma_async))


def test_there_is_no_other_name() -> None:
    """A misspelt one is an AttributeError as of any module."""
    with pytest.raises(AttributeError, match="'luma_async' has no attribute 'LumaKlient'"):
        luma_async.LumaKlient  # noqa: B018
