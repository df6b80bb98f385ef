"""``--exec``: a program of the user's for each stored file, beside the waiting and never in its way."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

from attrs import define, field, frozen

from luma_async._text import shown
from luma_async.cli.naming import name_all
from luma_async.cli.output import say
from luma_async.cli.running import grace_period
from luma_async.errors import ConfigurationError

_PLACE = "{}"
_AT_ONCE = 2
_OURS = "LUMA_"
"""The start of the variables that a program does not get: one of them is the key."""
_MOMENT = 1.0
"""Seconds in which a running program may end after a signal; half of it follows between SIGTERM and SIGKILL."""
_AGAIN = 0.1
"""Seconds between two SIGKILLs."""


@frozen
class Program:
    """A program and its arguments, of which some are the place of a file."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, line: str) -> Self:
        """Split *line* as a shell would, once: a file's name is never split, and no shell sees it.

        Raises:
            ConfigurationError: It cannot be split, or there is no such program.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise ConfigurationError(f"--exec cannot be split: {error}", advice="check its quotes") from None
        if not words:
            raise ConfigurationError("--exec is empty", advice="give a program, such as --exec 'ls -l {}'")
        if _PLACE in words[0] or shutil.which(words[0]) is None:
            raise ConfigurationError(
                f"--exec: there is no program {shown(words[0], 80)}",
                advice="check its name, and PATH; no shell is used",
            )
        if not any(_PLACE in word for word in words):
            words.append(_PLACE)
        return cls(tuple(words))

    def words_for(self, file: Path) -> list[str]:
        """Return the words with the absolute path of *file* in its places."""
        return [word.replace(_PLACE, os.path.abspath(file)) for word in self.words]  # noqa: PTH100 - keeps links


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(_OURS)}


def _output() -> int:
    """Return where the output of a program goes: to standard error, because standard output has the results."""
    with suppress(OSError, ValueError, AttributeError):
        return sys.stderr.fileno()
    return subprocess.DEVNULL


_OWN_GROUP: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
"""A terminal sends its signals to our group: a program in a group of its own has a moment to end.

A session of its own is such a group; uvloop knows no ``process_group``.
"""


@define(eq=False)
class Execution:
    """Runs a program for each file, at most two at once, in the order of the files."""

    program: Program
    on_failure: Callable[[], None]
    """Called with each warning."""
    moment: float = _MOMENT
    """Seconds in which running programs may end, once they are stopped."""
    _slots: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)
    _waiting: dict[asyncio.Task[None], Path] = field(factory=dict, init=False)
    _running: dict[asyncio.Task[None], Process | None] = field(factory=dict, init=False)

    def start(self, file: Path) -> None:
        """Run the program for *file* as soon as there is a place; nothing waits for it but ``ended``."""
        task = asyncio.create_task(self._run(file))
        self._waiting[task] = file
        task.add_done_callback(lambda ended: self._waiting.pop(ended, None))

    async def ended(self) -> None:
        """Wait until each program has ended."""
        while self._waiting or self._running:
            await asyncio.wait([*self._waiting, *self._running])

    async def stop(self) -> None:
        """Start no more programs, and end those that run: first nicely. Cancelling ends them at once."""
        if self._waiting:
            self.on_failure()
            name_all("--exec was not run for stored files", map(str, self._waiting.values()))
        for task in self._waiting:
            task.cancel()
        try:
            if await self._end_within(self.moment):
                self._send(signal.SIGTERM)
                await self._end_within(self.moment / 2)
        finally:
            while self._running:  # one of them may be starting
                self._send(getattr(signal, "SIGKILL", signal.SIGTERM))
                await self._end_within(_AGAIN)

    async def _end_within(self, seconds: float) -> bool:
        """Wait until all programs have ended, for *seconds* at most; return whether some have not."""
        if self._running:
            await asyncio.wait([*self._running], timeout=seconds)
        return bool(self._running)

    def _send(self, number: int) -> None:
        for process in self._running.values():
            if process is not None and process.returncode is None:
                with suppress(ProcessLookupError):
                    if sys.platform == "win32":
                        process.send_signal(number)
                    else:
                        os.killpg(process.pid, number)

    async def _run(self, file: Path) -> None:
        async with self._slots:
            task = cast("asyncio.Task[None]", asyncio.current_task())
            self._waiting.pop(task, None)
            self._running[task] = None
            try:
                await self._run_now(task, file)
            finally:
                del self._running[task]

    async def _run_now(self, task: asyncio.Task[None], file: Path) -> None:
        words = self.program.words_for(file)
        try:
            process = self._running[task] = await asyncio.create_subprocess_exec(
                *words, stdin=subprocess.DEVNULL, stdout=_output(), env=_environment(), **_OWN_GROUP
            )
        except (OSError, ValueError) as error:
            self._warn(f"cannot be run: {getattr(error, 'strerror', None) or error}", file)
            return
        status = await process.wait()
        if status:
            self._warn(f"ended with status {status}" if status > 0 else f"was ended by signal {-status}", file)

    def _warn(self, what: str, file: Path) -> None:
        self.on_failure()
        say(f"{shown(Path(self.program.words[0]).name, 80)} {what}: {shown(file)}")


@asynccontextmanager
async def executing(program: Program | None, on_failure: Callable[[], None]) -> AsyncGenerator[Execution | None]:
    """Run *program* for the files that the block starts it for, and wait for all; a block that raises stops them."""
    if program is None:
        yield None
        return
    execution = Execution(program, on_failure)
    with grace_period(2 * _MOMENT + 1.0):
        try:
            yield execution
            await execution.ended()
        finally:
            await execution.stop()
