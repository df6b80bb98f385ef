"""Stores the media of an outcome: each role on its own, and what is there already is not fetched again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from luma_async._disk.files import size_of
from luma_async._media.files import stored
from luma_async._media.formats import HEAD, KINDS, ending_of
from luma_async._media.names import NameTemplate
from luma_async._text import shown
from luma_async.cli.executing import Program
from luma_async.cli.options import Files
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError, DownloadError, LumaError
from luma_async.journal import Journal
from luma_async.models import Generation, Role


@frozen
class Result:
    """What became of the media of one generation."""

    paths: Mapping[Role, Path | None]
    """Where they are, by role; None for one that could not be stored."""
    there: frozenset[Role]
    """The roles whose files were there before."""
    error: LumaError | None
    """Why the first one could not be stored."""


async def store_media(luma: LumaClient, files: Files, generation: Generation, journal: Journal | None) -> Result:
    """Store each medium of *generation* that *files* asks for; one that fails does not stop the others."""
    paths: dict[Role, Path | None] = {}
    there, errors = set[Role](), list[LumaError]()
    for role in files.roles:
        paths[role] = None
        try:
            paths[role] = await luma.download(
                generation, files.directory, role=role, name=files.name, overwrite=files.overwrite
            )
        except LumaError as error:
            existing = error.path if isinstance(error, DownloadError) else None
            if existing is not None and await asyncio.to_thread(_is_whole, existing, generation.id, role, journal):
                paths[role] = existing
                there.add(role)
            else:
                errors.append(error)
    return Result(paths, frozenset(there), next(iter(errors), None))


def check_files(files: Files | None) -> None:
    """Refuse early what could not work later, before anything is sent or paid for.

    Raises:
        ConfigurationError: The directory, the template for names or the program cannot work.
    """
    if files is not None and files.directory.exists() and not files.directory.is_dir():
        raise ConfigurationError(
            f"{shown(files.directory)} is a file, not a directory", advice="give a directory for the files"
        )
    if files is not None and files.name is not None:
        NameTemplate.of(files.name)
    if files is not None and files.exec_ is not None:
        Program.of(files.exec_)


def _is_whole(path: Path, task_id: str, role: Role, journal: Journal | None) -> bool:
    """Whether the file that exists at *path* is the medium: by its first bytes, and by its size in the *journal*."""
    size = journal.size(task_id, role) if journal is not None and journal.file(task_id, role) == path else None
    return is_medium(path, role) and size in (None, size_of(path))


def is_medium(path: Path, role: Role) -> bool:
    """Whether there is a file at *path* that starts like a medium *role*."""
    if size_of(path) is None:  # a pipe would never open
        return False
    with suppress(OSError), path.open("rb") as file:
        return ending_of(file.read(HEAD), role) is not None
    return False


def is_stored(journal: Journal, task_id: str, role: Role, files: Files) -> bool:
    """Whether the medium of an id is where *files* asks for it, by the *journal*: there with the size that it had.

    Where the journal does not name the file, a whole file of the usual name is one.
    """
    path, size = journal.file(task_id, role), journal.size(task_id, role)
    if path is None:  # a line of an earlier version does not say the role
        path = journal.file(task_id)
        if path is None or path.suffix.removeprefix(".") not in KINDS[role].groupindex:
            path = None if files.name is not None else stored(task_id, files.directory, role)
            return path is not None and is_medium(path, role)
    is_here = os.path.abspath(path.parent) == os.path.abspath(files.directory)  # noqa: PTH100 - keeps links
    found = size_of(path)
    return is_here and found is not None and found == (size or found)
