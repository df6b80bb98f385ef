"""Completion: what is installed where, and whether a shell takes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.quick import quick

SCRIPTS = {
    "bash": ".local/share/bash-completion/completions/luma-async",
    "zsh": ".zsh/completions/_cyclopts_luma-async",
    "fish": ".config/fish/completions/luma-async.fish",
}


@pytest.mark.parametrize("shell", quick(SCRIPTS))
def test_each_shell_gets_its_script(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    """The script is where the page says, and knows commands and options."""
    monkeypatch.delenv("ZSH", raising=False)
    monkeypatch.delenv("ZSH_CUSTOM", raising=False)

    ended = command("--install-completion", "--shell", shell, env={"HOME": str(tmp_path)})

    script = (tmp_path / SCRIPTS[shell]).read_text()
    assert (ended.status, ended.err, str(tmp_path / SCRIPTS[shell]) in ended.out) == (0, "", True)
    assert all(word in script for word in ("download", "journal", "requests-per-second"))


@pytest.mark.parametrize(("start", "is_told"), quick([("", True), ("autoload -Uz compinit\ncompinit\n", False)]))
def test_a_zsh_without_completion_is_told(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, *, is_told: bool
) -> None:
    """The script alone does nothing there; a zsh that loads completion needs no such line."""
    monkeypatch.delenv("ZSH", raising=False)
    monkeypatch.delenv("ZSH_CUSTOM", raising=False)
    (tmp_path / ".zshrc").write_text(start)

    ended = command("--install-completion", "--shell", "zsh", env={"HOME": str(tmp_path)})

    assert ended.status == 0
    assert ("autoload -Uz compinit && compinit" in ended.out) is is_told


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "offered"),
    quick(
        [
            (("wait", "--from", "some-i"), "some-ids.txt"),
            (("dow",), "download"),
            (("submit", "--from", "some-i"), "some-ids.txt"),
            (("gallery", "some-i"), "some-ids.txt"),
            (("wait", "--dialect", "luma-a"), "luma-agents"),
        ]
    ),
)
def test_bash_completes_commands_and_files(
    command: Command, tmp_path: Path, words: tuple[str, ...], offered: str
) -> None:
    """A bash that has loaded the script offers what fits."""
    command("--install-completion", "--shell", "bash", env={"HOME": str(tmp_path)})
    (tmp_path / "some-ids.txt").write_text("a")
    line = " ".join(("luma-async", *words))
    function = "$(complete -p luma-async | sed 's/.*-F //; s/ .*//')"
    asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; COMP_LINE='{line}'; COMP_POINT={len(line)}"
    before = ("luma-async", *words)[-2]
    script = (
        f'. "{tmp_path / SCRIPTS["bash"]}"; {asked}; '
        f'{function} luma-async {words[-1]} {before}; echo "${{COMPREPLY[@]}}"'
    )

    ended = subprocess.run(  # noqa: S603 - the user's own
        ["bash", "--norc", "-c", script],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert offered in ended.stdout.split()


def test_a_home_that_cannot_be_written_is_a_mistake(command: Command, tmp_path: Path) -> None:
    """One line and status 2."""
    (tmp_path / "file").write_text("no directory")

    ended = command("--install-completion", "--shell", "fish", env={"HOME": str(tmp_path / "file")})

    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert "cannot be written: Not a directory" in ended.err


def test_an_unknown_shell_is_to_be_named(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing tells which shell is in use, the way out is told."""
    for name in ("SHELL", "BASH_VERSION", "ZSH_VERSION", "FISH_VERSION"):
        monkeypatch.delenv(name, raising=False)

    ended = command("--install-completion", env={"HOME": str(tmp_path), "PATH": "/nowhere"})

    assert (ended.status, ended.out) == (2, "")
    assert "--install-completion --shell zsh" in ended.err
