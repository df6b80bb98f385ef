"""Standard output and standard error: whole lines, and what happens when nobody takes them any more."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from luma_async.cli.exit import Status
from luma_async.errors import ConfigurationError, LumaError

_SPOKEN = {
    "give base_url=": "give --base-url",
    "or give api_key=": "or give --key-file",
    "give the key as api_key=": "set LUMA_API_KEY, or give --key-file",
    "Limits(allow_insecure_http=True)": "--insecure-http",
    "Limits(allow_private_media=True)": "--private-media",
    "overwrite=True": "--overwrite",
}
"""What the library calls a thing, and what the command line calls it."""


class OutputLostError(Exception):
    """Standard output takes nothing more: its reader has gone, or its disk is full."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror or str(cause))
        self.is_closed_pipe = isinstance(cause, BrokenPipeError)
        """Whether its reader has gone: no reason to complain."""

    def status(self) -> Status:
        """Say what is to be said, and return the exit status."""
        if self.is_closed_pipe:
            return Status.CLOSED_PIPE
        say(f"standard output cannot be written: {self}")
        return Status.ERROR


def is_closed_pipe(error: BaseException) -> bool:
    """Whether *error*, or one in it, is that the reader of standard output has gone."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_closed_pipe, error.exceptions))
    return isinstance(error, OutputLostError) and error.is_closed_pipe


def prepare() -> None:
    """Let no text fail to be written because a terminal's encoding has no word for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> bool:
    """Write a line to standard error, if there is one that takes it; return whether it did."""
    if sys.stderr is None:
        return False
    try:
        sys.stderr.write(f"luma-async: {text}\n")
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)
    return not is_lost(sys.stderr)


def complained(error: LumaError) -> Status:
    """Say what ended everything, and return its exit status."""
    say(spoken(str(error)))
    return Status.USAGE if isinstance(error, ConfigurationError) else Status.ERROR


def spoken(text: str) -> str:
    """Return an error's *text* with the library's names replaced by the command line's."""
    for name, option in _SPOKEN.items():
        text = text.replace(name, option)
    return text


@contextmanager
def guarded() -> Generator[None]:
    """Turn trouble with standard output into OutputLostError, and keep the interpreter from meeting it again."""
    try:
        yield
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):  # how rich takes it that its reader has gone
            raise OutputLostError(exit_.__context__) from None
        raise
    except OSError as error:
        _give_up(sys.stdout)
        raise OutputLostError(error) from None


def _give_up(stream: TextIO | None) -> None:
    """Let what *stream* still holds go nowhere: the interpreter would complain, and change the exit status."""
    with suppress(OSError, ValueError, AttributeError):
        descriptor = stream.fileno()  # type: ignore[union-attr]
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        _given_up.add(descriptor)


_given_up: set[int] = set()
"""Descriptors of which the process knows that what is written there goes nowhere."""


def is_lost(stream: TextIO | None) -> bool:
    """Return whether *stream* is a pipe that nobody reads any more, or a terminal that is closed.

    False where that cannot be told.
    """
    if stream is None or not hasattr(select, "poll"):
        return False
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # it has been replaced by something that is no file
        return False
    if descriptor in _given_up:
        return True
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def goes_to(path: Path) -> bool:
    """Return whether standard output is the file at *path*; False where that cannot be told."""
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), path.stat())
    except (OSError, ValueError, AttributeError):  # there is no such file yet, or standard output is none
        return False


def write(text: str) -> None:
    """Write *text* to standard output, at once.

    Raises:
        OutputLostError: It cannot be written.
    """
    with guarded():
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.write(text)
        sys.stdout.flush()
