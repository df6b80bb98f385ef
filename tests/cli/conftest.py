"""A quick way to run a command: in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from luma_async.cli import main
from luma_async.testing import SimulatedRelay
from tests.cli.command import Ended, told


class Command(Protocol):
    """Runs ``luma-async`` with these arguments."""

    def __call__(
        self,
        *arguments: str,
        relay: SimulatedRelay | None = None,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Ended:
        """Return how it ended."""


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command in this process; its outputs are files, and its standard input too."""

    def run(
        *arguments: str, relay: SimulatedRelay | None = None, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Ended:
        for name, value in {**told(relay), **(env or {})}.items():
            monkeypatch.setenv(name, value)
        given = tmp_path / "stdin"
        given.write_text(stdin, encoding="utf-8")
        with given.open() as file:
            monkeypatch.setattr("sys.stdin", file)
            try:
                status = main(arguments)
            except SystemExit as exit_:
                status = int(exit_.code or 0)
        given.unlink()
        out, err = capfd.readouterr()
        return Ended(status, out, err)

    return run
