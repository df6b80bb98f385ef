"""Completion of commands and options by the user's shell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cyclopts import App
from cyclopts.completion.detect import ShellDetectionError

from luma_async._text import shown
from luma_async.errors import ConfigurationError


def install(app: App, shell: Literal["bash", "zsh", "fish", "powershell"] | None) -> Path:
    """Write the completion script for *shell*, or for the shell that runs us, and return its path.

    Raises:
        ConfigurationError: The shell is not known, or a file cannot be written.
    """
    try:
        return app.install_completion(shell=shell)
    except ShellDetectionError:
        raise ConfigurationError(
            "your shell is not known", advice="name it: luma-async --install-completion --shell zsh"
        ) from None
    except OSError as error:
        where = shown(error.filename or "the script")
        raise ConfigurationError(
            f"{where} cannot be written: {error.strerror}", advice="check its permissions, and HOME"
        ) from None
