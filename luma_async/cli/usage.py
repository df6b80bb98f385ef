"""What is said of arguments that cannot be understood: options by their names, and no text that may be the key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cyclopts import CoercionError, CycloptsError, CycloptsPanel, UnknownCommandError, UnknownOptionError

from luma_async.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.panel import Panel

_UNSAID = "[not shown]"
_SHORT = 8
"""Characters; a word with fewer of them is no key."""
_FOR_A_KEY = re.compile(r"--(?!sk-)[a-z_-]*?(key|token|secret|password|auth|bearer)|-k", re.IGNORECASE)
"""How the name begins by which people would give the key, if we had such an option."""
_OPTION = re.compile(r"(--(?!sk-)[a-z_-]{1,30})(=.*)?|(-[a-z])([^-].*)?", re.IGNORECASE | re.DOTALL)
_WHERE_THE_KEY_IS = (
    "any user can read the arguments of a command. The key comes from LUMA_API_KEY, or from the file that --key-file "
    "names"
)


def complaint(error: CycloptsError) -> Panel:
    """Return what is shown of *error*: who gave the key in the wrong place must not find it in a log, too."""
    unknown = ""
    if isinstance(error, UnknownOptionError):
        unknown = error.token.keyword or error.token.value
        error.token = error.token.evolve(keyword=_said(unknown))
    elif isinstance(error, UnknownCommandError):
        unknown = (error.unused_tokens or [""])[0]
    elif isinstance(error, CoercionError) and error.token is not None:
        error.token = error.token.evolve(value=_said(error.token.value))
    error.unused_tokens = [_said(word) for word in error.unused_tokens or ()]
    for_a_key = _FOR_A_KEY.match(unknown)
    return CycloptsPanel(f"{for_a_key.group()} is no option: {_WHERE_THE_KEY_IS}." if for_a_key else error)


def check_file_name(name: str) -> None:
    """Refuse a mistyped option in the place of a file: where ``-`` is standard input, any option is taken for one.

    Raises:
        ConfigurationError: It names the option without the value that hangs on it.
    """
    if name.startswith("-") and name != "-":
        raise ConfigurationError(f"{_said(name)} is no option", advice="see --help; a file of that name is ./NAME")


def _said(word: str) -> str:
    """Return *word* if it is one, an option's name without the value that hangs on it, and nothing of anything else."""
    if option := _OPTION.fullmatch(word):
        return option[1] or option[3]
    return word if word.isalpha() or len(word) < _SHORT else _UNSAID
