"""Reads the lines of a gallery, finds stored media, and writes the page."""

from __future__ import annotations

import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from io import BufferedIOBase, BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from luma_async._media.files import Part, stored
from luma_async._media.formats import KINDS
from luma_async._records import LongLineError, OutcomeRecord, lines_in
from luma_async._text import shown
from luma_async.cli.exit import Status
from luma_async.cli.gallery.entries import Collection
from luma_async.cli.gallery.page import notes_on, render
from luma_async.cli.ids import opened
from luma_async.cli.options import Gallery
from luma_async.cli.output import say
from luma_async.cli.usage import check_file_name
from luma_async.errors import ConfigurationError, LumaError
from luma_async.models import Role

_STANDARD_INPUT = "-"
_MOST_SOURCES = 10
"""Files that are named for lines that are not outcomes; the others are counted."""
_MODE = 0o600
"""For nobody else, like a journal: the page holds prompts, and links that open the videos to any reader."""


async def write_gallery(sources: Sequence[str], options: Gallery) -> Status:
    """Write a gallery of the lines in *sources*; the status says whether every line could be read."""
    _check_page(sources, options)
    collection = _collect(sources)
    entries = collection.entries(partial(_stored_link, options))
    for source, lines in islice(collection.unreadable.items(), _MOST_SOURCES):
        say(f"{shown(source)}: not an outcome in {lines}")
    if (others := len(collection.unreadable) - _MOST_SOURCES) > 0:
        say(f"{others} more files have lines that are not outcomes")
    if not entries:
        raise ConfigurationError(
            "there are no outcomes to show", advice="give a journal, or files that wait, get or download wrote"
        )
    _write(render(entries, list(notes_on(collection))), options)
    say(f"{len(entries)} shown in {shown(options.page)}")
    return Status.ERROR if collection.unreadable else Status.DONE


def _collect(sources: Sequence[str]) -> Collection:
    collection, advice = Collection(), "check the name"
    missing = ConfigurationError("there are no outcomes", advice="give a file, or outcomes on standard input")
    for path in sources:
        check_file_name(path)
    inputs: Sequence[str | None] = sources or [None]
    for source in inputs:
        name = "standard input" if source in (None, _STANDARD_INPUT) else source
        with opened(source, missing, advice) as file:
            try:
                collection.read(name, lines_in(_in_utf8(file)))
            except (OSError, UnicodeError) as error:
                reason = getattr(error, "strerror", None) or type(error).__name__
                raise ConfigurationError(f"{shown(name)} cannot be read: {reason}", advice=advice) from None
            except LongLineError as error:
                raise ConfigurationError(
                    f"{shown(name)} has no outcomes: line {error.number} is longer than any", advice=advice
                ) from None
    return collection


def _in_utf8(file: BufferedIOBase) -> BufferedIOBase:
    """Return *file*, or its text in UTF-8 if it starts with the mark of UTF-16: PowerShell's ``>`` writes that."""
    is_utf16 = isinstance(file, BufferedReader) and file.peek(2)[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
    return BytesIO(file.read().decode("utf-16").encode()) if is_utf16 else file


def _stored_link(options: Gallery, record: OutcomeRecord, source: str, role: Role) -> str | None:
    """Return the link to a stored medium: relative, so that page and files can be moved together."""
    file = None if options.media is None else stored(record.task_id, options.media, role)
    file = file or _recorded(record, source, role)
    if file is None:
        return None
    return quote(os.fsencode(Path(os.path.relpath(file, options.page.parent)).as_posix()))


def _recorded(record: OutcomeRecord, source: str, role: Role) -> Path | None:
    """Return the file that the line names, if it is there: from this directory, or from that of *source*."""
    file = record.files.get(role) or record.files.get("")  # a line of an earlier version does not say the role
    path = Path() if file is None else file.path
    if path.suffix.removeprefix(".") not in KINDS[role].groupindex:
        return None
    places = (path, Path(source).parent / path)
    return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113 - this raises for no name


def _check_page(sources: Sequence[str], options: Gallery) -> None:
    """Refuse early what would be refused at the end, and a page that is also a source."""
    if options.page.is_dir():
        raise ConfigurationError(f"{shown(options.page)} is a directory", advice="give the name of a file")
    if any(source != _STANDARD_INPUT and _is_same(source, options.page) for source in sources):
        raise ConfigurationError(f"{shown(options.page)} is one of the sources", advice="give the page another name")
    if options.page.exists() and not options.overwrite:
        raise _exists(options.page)


def _is_same(source: str, page: Path) -> bool:
    with suppress(OSError, ValueError):
        return page.samefile(source)
    return False


def _exists(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{shown(path)} exists", advice="give --overwrite, or another name")


def _write(text: str, options: Gallery) -> None:
    """Write the page whole or not at all."""
    part = Part(options.page.parent, options.page.name, _MODE)
    try:
        part.begin(None)
        part.write(text.encode())
        named = part.finish(options.page, overwrite=options.overwrite)
    except OSError as error:
        raise LumaError(
            f"{shown(options.page)} cannot be written: {error.strerror}", advice="check the place"
        ) from None
    finally:
        part.discard()
    if not named:
        raise _exists(options.page)
