"""Names ids that are not done, submits that may be paid for, and prompts left, when a command ends early."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from attrs import frozen

from luma_async._text import shown
from luma_async.cli.output import say

_FEW = 10
"""Most names that are read at a glance."""
LONGEST_NAME = 2000
"""Characters of a name, which is only useful as a whole."""
_FILE_MODE = 0o600


@frozen
class ResumeCommand:
    """The command that goes on with open ids or prompts. The key is never in it, because no option takes the key."""

    words: tuple[str, ...]
    """The command and its options."""
    source: str | None
    """The file with ids."""
    given: frozenset[str]
    """Ids that were arguments."""
    what: Literal["ids", "prompts"] = "ids"

    def for_ids(self, task_ids: Iterable[str]) -> str:
        """Return the command line for *task_ids*: it has the first of those that were arguments."""
        again = [task_id for task_id in task_ids if task_id in self.given]
        source = [] if self.source is None else ["--from", self.source]
        line = shlex.join(["luma-async", *self.words, *source, *map(_named, again[:_FEW])])
        return f"{line} ... (the same ids as before)" if len(again) > _FEW else line

    def with_ids(self, task_ids: list[str], path: Path) -> str:
        """Return the command line for *task_ids*: it has them, or of more than ten the file at *path*."""
        if len(task_ids) > _FEW:
            return self.from_file(path)
        end_of_options = ["--"] if any(task_id.startswith("-") for task_id in task_ids) else []
        return shlex.join(["luma-async", *self.words, *end_of_options, *map(_named, task_ids)])

    @property
    def saved(self) -> Path:
        """A name for the file of a user who saves what no file has."""
        return Path(f"{self.what}.txt")

    def from_file(self, path: Path) -> str:
        """Return the command line for the ids in the file at *path*."""
        return shlex.join(["luma-async", *self.words, "--from", str(path)])


def name_few(heading: str, task_ids: list[str], command: ResumeCommand | None) -> None:
    """Name at most ten ids on standard error, with their number and the command that goes on."""
    if not task_ids:
        return
    say(_list(heading, task_ids[:_FEW]))
    if len(task_ids) > _FEW:
        say(f"and {len(task_ids) - _FEW} more")
    if command is not None:
        say("to go on:", command.for_ids(task_ids))


def name_each(heading: str, task_ids: list[str]) -> None:
    """Name all of *task_ids* on standard error, ready to be used as a list of ids."""
    if task_ids:
        say(_list(heading, task_ids))


def name_all(heading: str, names: Iterable[str], command: ResumeCommand | None = None) -> None:
    """Name all of *names*: those that the *command* goes on with, else prompts.

    They are on standard error, with that command; on a terminal, ten of them, and all in a file. Where standard error
    cannot be written, all are in the file.
    """
    names = list(names)
    is_long = len(names) > _FEW and sys.stderr is not None and sys.stderr.isatty()
    if is_long and (path := _store(heading, names, command)) is not None:
        say(_list(heading, names[:_FEW]))
        place = f"all {len(names)} are in {path}"
        say(place if command is None else f"{place}; to go on:", "" if command is None else command.from_file(path))
    elif names and not say(_list(heading, names)):
        _store(heading, names, command)
    elif names and command is not None:
        is_short = len(names) <= _FEW
        how = "to go on:" if is_short else f"to go on, save these {command.what} in a file:"
        say(how, command.with_ids(names, command.saved))


def _named(name: str) -> str:
    return shown(name, LONGEST_NAME)


def _list(heading: str, names: list[str]) -> str:
    return "\n".join([f"{heading}:", *map(_named, names)])


def _store(heading: str, names: list[str], command: ResumeCommand | None) -> Path | None:
    """Add *names* to a file of this process and return its path, or None if it cannot be written.

    ``--from`` of the *command* reads the file; in that of the ids, anything but an id is a comment.
    """
    kind = "open" if command is None or command.what == "ids" else command.what
    path = Path(f"luma-async-{kind}-{os.getpid()}.txt")
    mark = "# " if command is None else ""
    text = "".join([f"# {heading}:\n", *(f"{mark}{_named(name)}\n" for name in names)])
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), _FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            path.chmod(_FILE_MODE)  # it may have existed
            file.write(text)
    except OSError:
        return None
    return path
