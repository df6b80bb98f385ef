"""The command line's page is what the commands make of it."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "write_cli.py"


def test_the_page_is_current() -> None:
    """An option that is new, gone or told otherwise needs ``python docs/write_cli.py``."""
    spec = spec_from_file_location("write_cli", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)

    assert SCRIPT.with_name("cli.md").read_text(encoding="utf-8") == script.page()
