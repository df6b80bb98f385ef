"""The files around a gallery: lines in, stored media beside them, the page out."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from attrs import frozen

from luma_async._media.files import Part, stored
from luma_async._text import shown
from luma_async.cli.exit import Status
from luma_async.cli.gallery.entries import Collection
from luma_async.cli.gallery.page import notes_on, render
from luma_async.cli.output import say
from luma_async.cli.usage import check_file_name
from luma_async.errors import ConfigurationError, LumaError
from luma_async.models import Role

_STANDARD_INPUT = "-"
_MODE = 0o600
"""For nobody else, like a journal: the page holds prompts, and links that open the videos to whoever has them."""


@frozen(kw_only=True)
class Order:
    """What one gallery is made of, and where it goes."""

    sources: Sequence[str]
    """Files of lines, ``-`` for standard input."""
    page: Path
    media: Path | None
    """Where stored media are looked for."""
    overwrite: bool


async def make(order: Order) -> Status:
    """Make a gallery; the status tells whether every line is in it.

    Raises:
        ConfigurationError: There is nothing to show, or the page's name is taken.
        LumaError: The page cannot be written.
    """
    _check_page(order)
    collection = _collected(order.sources)
    exhibits = collection.exhibits(lambda task_id, role: _stored_link(order, task_id, role))
    for source, numbers in collection.unreadable.items():
        say(f"{shown(source)}: no outcomes in {_listed(numbers)}")
    if not exhibits:
        raise ConfigurationError(
            "there are no outcomes to show", advice="give files that wait, get or download wrote, or a journal"
        )
    _write(render(exhibits, list(notes_on(collection))), order)
    say(f"{len(exhibits)} shown in {shown(order.page)}")
    return Status.ERROR if collection.unreadable else Status.DONE


def _listed(numbers: list[int]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _collected(sources: Sequence[str]) -> Collection:
    collection = Collection()
    for source in sources:
        check_file_name(source)
    for source in sources or [_STANDARD_INPUT]:
        name = "standard input" if source == _STANDARD_INPUT else source
        try:
            with _opened(source, is_asked_for=bool(sources)) as lines:
                collection.read(name, lines)
        except (OSError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            reason = (isinstance(error, OSError) and error.strerror) or "that is no file name"
            raise ConfigurationError(f"{shown(name)} cannot be read: {reason}", advice="check the name") from None
    return collection


@contextmanager
def _opened(source: str, *, is_asked_for: bool) -> Generator[BinaryIO]:
    if source != _STANDARD_INPUT:
        with Path(source).open("rb") as file:
            yield file
    elif sys.stdin is None or (sys.stdin.isatty() and not is_asked_for):
        raise ConfigurationError("there are no outcomes", advice="give a file, or outcomes on standard input")
    else:
        with open(sys.stdin.fileno(), "rb", closefd=False) as file:
            yield file


def _stored_link(order: Order, task_id: str, role: Role) -> str | None:
    """Return how the page refers to a stored medium: relative, so that both can be moved together."""
    if order.media is None:
        return None
    file = stored(task_id, order.media, role)
    if file is None:
        return None
    return quote(Path(os.path.relpath(file, order.page.parent)).as_posix())


def _check_page(order: Order) -> None:
    """Refuse early what would be refused at the end, and to write over what is read."""
    if order.page.is_dir():
        raise ConfigurationError(f"{shown(order.page)} is a directory", advice="give the name of a file")
    if any(source != _STANDARD_INPUT and _is_same(Path(source), order.page) for source in order.sources):
        raise ConfigurationError(f"{shown(order.page)} is read from", advice="give the page another name")
    if order.page.exists() and not order.overwrite:
        raise _is_taken(order.page)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _is_taken(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{shown(path)} exists", advice="give --overwrite, or another name")


def _write(text: str, order: Order) -> None:
    """Write the page whole or not at all."""
    part = Part(order.page.parent, order.page.name, _MODE)
    try:
        part.begin(None)
        part.write(text.encode())
        named = part.finish(order.page, overwrite=order.overwrite)
    except OSError as error:
        raise LumaError(f"{shown(order.page)} cannot be written: {error.strerror}", advice="check the place") from None
    finally:
        part.discard()
    if not named:
        raise _is_taken(order.page)
