"""Events: what a client tells, as it happens, to those who listen."""

from __future__ import annotations

import time
from pathlib import Path

from attrs import field, frozen

from luma_async._text import shown
from luma_async.errors import DownloadError, LumaError
from luma_async.models import Role, State
from luma_async.outcomes import Outcome


@frozen(kw_only=True)
class Event:
    """Something that happened in a client. Each kind is a class of its own; ``str`` is one line without any link."""

    at: float = field(factory=time.time)
    """When: seconds since 1970, as ``time.time`` gives them."""


@frozen(kw_only=True)
class WaitStarted(Event):
    """Somebody waits for a task, by ``wait_until_done``, ``wait_all``, ``as_completed`` or ``watch``."""

    task_id: str
    waiting: int
    """How many wait for this task now; at 1 its polling begins."""

    def __str__(self) -> str:
        return f"task {self.task_id}: {self.waiting} waiting"


@frozen(kw_only=True)
class StateChanged(Event):
    """A look saw another word for a task's state than the look before, or the first one."""

    task_id: str
    before: str | None
    """The relay's word until now; None at the first look."""
    state_text: str
    """The relay's word now."""
    state: State
    """What that word means."""
    request_id: str | None
    """The relay's name for the request that showed it, which is what its support asks for; not all relays give one."""

    def __str__(self) -> str:
        before = "" if self.before is None else f"{shown(self.before, 60)} -> "
        request = f" (request {shown(self.request_id, 60)})" if self.request_id else ""
        return f"task {self.task_id}: {before}{shown(self.state_text, 60)}{request}"


@frozen(kw_only=True)
class PollFailed(Event):
    """A look of a wait failed. Mostly that passes: the end of a wait is WaitEnded."""

    task_id: str
    error: LumaError
    failures: int
    """Failed looks in a row, this one included."""

    def __str__(self) -> str:
        return f"failed look {self.failures}: {self.error}"


@frozen(kw_only=True)
class WaitEnded(Event):
    """A wait is over."""

    task_id: str
    outcome: Outcome | None
    """What became of it; None where it was given up: cancelled, or left."""
    waiting: int
    """How many others still wait for this task; at 0 its polling ends."""

    def __str__(self) -> str:
        if self.outcome is None:
            return f"task {self.task_id}: given up"
        if self.outcome.error is not None:
            return str(self.outcome.error)
        polls = f"{self.outcome.polls} poll{'' if self.outcome.polls == 1 else 's'}"
        return f"task {self.task_id}: done after {self.outcome.elapsed:.1f} s, {polls}"


@frozen(kw_only=True)
class CooldownStarted(Event):
    """The relay said *slow down*: all ids of the client pause. It may come again before the end, which prolongs it."""

    seconds: float
    """How long the pause is to be."""
    error: LumaError
    """What the relay said."""

    def __str__(self) -> str:
        return f"all ids pause for {self.seconds:.1f} s: {self.error}"


@frozen(kw_only=True)
class CooldownEnded(Event):
    """The relay answers again, and all ids go on."""

    seconds: float
    """How long the pause was, from the first complaint on."""

    def __str__(self) -> str:
        return f"all ids go on after {self.seconds:.1f} s"


@frozen(kw_only=True)
class DownloadProgress(Event):
    """A piece of a file was stored."""

    task_id: str
    role: Role
    stored: int
    """Bytes so far."""
    total: int
    """Bytes in all; 0 where the server does not tell."""

    def __str__(self) -> str:
        return f"task {self.task_id}: {self.role}: {self.stored} of {self.total or '?'} bytes"


@frozen(kw_only=True)
class DownloadEnded(Event):
    """A file is there, or could not be stored; a download that was cancelled tells nothing."""

    task_id: str
    role: Role
    path: Path | None
    """Where it is; None where it failed."""
    error: DownloadError | None
    """Why it failed; None where it is there."""

    def __str__(self) -> str:
        return str(self.error) if self.path is None else f"task {self.task_id}: {self.role}: {shown(self.path)}"
