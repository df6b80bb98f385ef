"""Writes whole lines to standard output and standard error, and notices when those are closed."""

from __future__ import annotations

import io
import logging
import math
import os
import re
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from unicodedata import east_asian_width

from luma_async.cli.exit import Status
from luma_async.errors import ConfigurationError, LumaError

_OPTION_NAMES = {
    "give a Dialect that has one": "give --dialect luma, or a .toml file that has one",
    "give base_url=": "give --base-url",
    "or give api_key=": "or give --key-file",
    "LUMA_API_KEY_FILE or api_key=": "LUMA_API_KEY_FILE or --key-file",
    "Limits(requests_per_second=...)": "--requests-per-second",
    "give the key as api_key=": "set LUMA_API_KEY, or give --key-file",
    "Limits(request_timeout=...)": "--request-timeout",
    "Limits(allow_insecure_http=True)": "--insecure-http",
    "Limits(allow_private_media=True)": "--private-media",
    "Limits(key_for_relay_media=True)": "--key-for-relay-media",
    'media_headers={"User-Agent": "..."}': '--media-header "User-Agent=..."',
    "media_headers: ": "--media-header: ",
    "headers: ": "--header: ",
    "overwrite=True": "--overwrite",
    "trust_env=True": "--trust-env",
    "check the user name and password in proxy=": "check the user name and password in LUMA_PROXY",
    "check proxy= and": "check --proxy, LUMA_PROXY or, with --trust-env, HTTPS_PROXY, and",
    "base_url is ": "the relay's address is ",
    "base_url (": "the relay's address (",
    "check base_url: this": "check LUMA_BASE_URL or --base-url: this",
    "it has to be min_interval <= initial_interval <= max_interval": "each may be at most as long as the next one",
    "see ssl_context=": "a company's own authority needs --ca-file",
    'batch="always"': "--batch always",
    'give batch="auto"': "leave it out",
    "lower Limits(max_answer_bytes=...)": "its answer is too large to keep",
    "Limits(max_answer_bytes=...) allows more": "the library allows more, the command line does not",
}
"""The library's wording of advice, and the command line's."""
_FIELD = re.compile(r"\b(?:Limits[.(]|PollPolicy\.)([a-z_]+)=|^(timeout|max_in_flight)=")
"""The start of a complaint about a limit, a pause or an argument of a wait."""
_GENERATION = re.compile(r"\bGenerationOptions\(([a-z_]+)=(.*)\) is not (.*) \(give \1 as ")
_ORDER = re.compile(r"\bPollPolicy\(min_interval=(\S+), initial_interval=(\S+), max_interval=(\S+)\) is out")
_OR_NONE = re.compile(r"(--[a-z-]+ \S+ is not a (?:whole )?number above 0) or None \((.*) or None\)")
"""An option is left out instead."""


_given_up: set[int] = set()
"""Descriptors that lead to the null device now."""


class OutputLostError(Exception):
    """Standard output cannot be written: its reader has closed it, or its disk is full."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror or str(cause))
        self.is_closed_pipe = isinstance(cause, BrokenPipeError)
        """Whether its reader has closed it, which is not worth a message."""

    def status(self) -> Status:
        """Write a message if the user needs one, and return the exit status."""
        if self.is_closed_pipe:
            return Status.CLOSED_PIPE
        say(f"standard output cannot be written: {self}")
        return Status.ERROR


def is_closed_pipe(error: BaseException) -> bool:
    """Whether *error*, or an error inside it, means that the reader of standard output has closed it."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_closed_pipe, error.exceptions))
    return isinstance(error, OutputLostError) and error.is_closed_pipe


_SIZE = re.compile("0{0,9}[1-9][0-9]{0,3}", re.ASCII)
"""Columns or lines of a terminal: rich takes any number from the environment, and shows nothing in 0 columns."""


def prepare() -> None:
    """Escape characters that an output's encoding does not have, and ignore a size that no terminal has."""
    for name in ("COLUMNS", "LINES"):
        if not _SIZE.fullmatch(os.environ.get(name, "1")):
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, command: str = "") -> bool:
    """Write a line to standard error, and return whether it could be written.

    A *command* for the shell follows it. On a terminal both are wrapped between words; the command stays one.
    """
    if sys.stderr is None:
        return False
    try:
        sys.stderr.write(f"{_fitted(f'luma-async: {text}', command, _columns())}\n")
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)
    return not is_lost(sys.stderr)


def _columns() -> float:
    """Return the width of standard error; infinite if it is not a terminal, or has none."""
    try:
        if is_terminal(sys.stderr):
            return int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size(sys.stderr.fileno()).columns or math.inf
    except (OSError, ValueError):
        """It was replaced by an object that is not a file, or its size is not a number."""
    return math.inf


_INDENT = 2
"""Columns before the rest of a line that is wrapped."""
_SHELL_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


def _fitted(text: str, command: str, columns: float) -> str:
    """Return *text* and *command* in lines of at most *columns*; a longer word, such as an id, stays whole."""
    lines = [_wrapped(line.split(" "), columns) for line in text.split("\n")]
    if not command:
        return "\n".join(lines)
    whole = f"{text} {command}"
    if max(map(_cells, whole.split("\n"))) <= columns:
        return whole
    return "\n".join([*lines, _wrapped(_SHELL_WORD.findall(command), columns - _INDENT, " \\")])


def _wrapped(words: list[str], columns: float, ending: str = "") -> str:
    """Return *words* in lines of at most *columns*; each line but the last one has the *ending*."""
    line, *more = words
    lines = []
    for word in more:
        if _cells(line) + 1 + _cells(word) > columns and line.strip():
            lines.append(f"{line}{ending}")
            line = " " * _INDENT + word
        else:
            line = f"{line} {word}"
    return "\n".join([*lines, line])


def _cells(text: str) -> int:
    """Return the columns of *text*: letters of some scripts take two."""
    return len(text) if text.isascii() else sum(1 + (east_asian_width(letter) in "WF") for letter in text)


class _Warnings(logging.Handler):
    """Warnings of the library as lines of the command."""

    def __init__(self, level: int, *, has_table: bool) -> None:
        super().__init__(level)
        self._has_table = has_table
        """Whether a table shows new unknown states already."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* to standard error."""
        if not (self._has_table and hasattr(record, "unknown_state")):
            say(record.getMessage())


@contextmanager
def warnings_said(*, quiet: bool, has_table: bool) -> Generator[None]:
    """Write the library's warnings as the command's own lines; if *quiet*, only its errors.

    A live table shows new unknown states itself.
    """
    level, logger = logging.ERROR if quiet else logging.WARNING, logging.getLogger("luma_async")
    handler = _Warnings(level, has_table=has_table)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def ring() -> None:
    """Ring the bell of the terminal, if standard error is one."""
    with suppress(OSError):
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write("\a")
            sys.stderr.flush()


def report_error(error: LumaError) -> Status:
    """Write the error that ended the command, and its notes, and return the exit status."""
    say(in_option_names(str(error)))
    for note in getattr(error, "__notes__", ()):
        say(note)
    return Status.USAGE if isinstance(error, ConfigurationError) else Status.ERROR


def in_option_names(text: str) -> str:
    """Return an error's *text* with the names of options instead of the library's names."""
    for name, option in _OPTION_NAMES.items():
        text = text.replace(name, option)
    text = _FIELD.sub(lambda found: f"{_option(found[1] or found[2])} ", text)
    text = _ORDER.sub(r"--min-interval \1, --initial-interval \2, --max-interval \3 are out", text)
    text = _GENERATION.sub(lambda found: f"{_option(found[1])} {found[2]} is not {found[3]} (give ", text)
    return _OR_NONE.sub(r"\1 (\2)", text)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@contextmanager
def guarded() -> Generator[None]:
    """Turn an error of standard output into OutputLostError, and keep the interpreter from a second one at its exit."""
    try:
        yield
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):  # how rich reacts to a closed pipe
            raise OutputLostError(exit_.__context__) from None
        raise
    except OSError as error:
        _give_up(sys.stdout)
        raise OutputLostError(error) from None


@contextmanager
def harmless() -> Generator[None]:
    """Give standard error up if it cannot be written: what is shown there is not a result."""
    try:
        yield
    except SystemExit as exit_:  # how rich reacts to a closed pipe
        if not isinstance(exit_.__context__, BrokenPipeError):
            raise
        _give_up(sys.stderr)
    except OSError:
        _give_up(sys.stderr)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether *stream* is open and a terminal."""
    return stream is not None and stream.isatty()


def _give_up(stream: TextIO | None) -> None:
    """Discard what *stream* still buffers: the interpreter would fail to flush it, and change the exit status."""
    with suppress(OSError, ValueError, AttributeError):
        descriptor = stream.fileno()  # type: ignore[union-attr]
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        _given_up.add(descriptor)


def is_lost(stream: TextIO | None) -> bool:
    """Whether *stream* is a pipe or terminal that is closed at its other end; False where that cannot be known."""
    if stream is None or not hasattr(select, "poll"):
        return False
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # it was replaced by an object that is not a file
        return False
    if descriptor in _given_up:
        return True
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def goes_to(path: Path) -> bool:
    """Return whether standard output is the file at *path*; False where that cannot be known."""
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), path.stat())
    except (OSError, ValueError, AttributeError):  # the file does not exist, or standard output is not a file
        return False


def write(text: str) -> None:
    """Write *text* to standard output, at once; raises as ``guarded``."""
    with guarded():
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.write(text)
        sys.stdout.flush()
