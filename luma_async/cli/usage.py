"""Errors about wrong arguments, which name options and show no text that may be the key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cyclopts import CoercionError, CycloptsError, CycloptsPanel, UnknownCommandError, UnknownOptionError

from luma_async.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.panel import Panel

_HIDDEN = "[not shown]"
_SHORT = 8
"""Characters; a shorter word is not a key."""
_FOR_A_KEY = re.compile(r"--(?!sk-)[a-z_-]*?(key|token|secret|password|auth|bearer)|-k", re.IGNORECASE)
"""How an option for the key would be named, if there were one."""
_OPTION = re.compile(r"(--(?!sk-)[a-z_-]{1,30})(=.*)?|(-[a-z])([^-].*)?", re.IGNORECASE | re.DOTALL)
_WHERE_THE_KEY_IS = (
    "any user can read the arguments of a command. The key comes from LUMA_API_KEY, or from the file that --key-file "
    "names"
)


def usage_error(error: CycloptsError) -> Panel:
    """Return the panel for *error*: a key in the wrong place must not reach a log."""
    unknown = ""
    if isinstance(error, UnknownOptionError):
        unknown = error.token.keyword or error.token.value
        error.token = error.token.evolve(keyword=_safe(unknown))
    elif isinstance(error, UnknownCommandError):
        unknown = (error.unused_tokens or [""])[0]
    elif isinstance(error, CoercionError) and error.token is not None:
        error.token = error.token.evolve(value=_safe(error.token.value))
    error.unused_tokens = [_safe(word) for word in error.unused_tokens or ()]
    for_a_key = _FOR_A_KEY.match(unknown)
    return CycloptsPanel(f"{for_a_key.group()} is not an option: {_WHERE_THE_KEY_IS}." if for_a_key else error)


def check_file_name(name: str) -> None:
    """Refuse a mistyped option in the place of a file, without its value.

    Where ``-`` is standard input, cyclopts takes it for a file.
    """
    if name.startswith("-") and name != "-":
        raise ConfigurationError(f"{_safe(name)} is not an option", advice="see --help; a file of that name is ./NAME")


def _safe(word: str) -> str:
    """Return a plain word as it is, an option without its value, and nothing of any other text."""
    if option := _OPTION.fullmatch(word):
        return option[1] or option[3]
    return word if word.isalpha() or len(word) < _SHORT else _HIDDEN
