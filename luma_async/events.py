"""The events that a client passes to its listeners."""

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
    """An event in a client. Each kind has its own class; ``str`` gives one line without any link."""

    at: float = field(factory=time.time)
    """When it happened, in seconds since 1970, as from ``time.time``.

    The clock may be set meanwhile: for durations, a listener reads ``time.monotonic`` itself.
    """


@frozen(kw_only=True)
class WaitStarted(Event):
    """A wait for a task has started, by ``wait_until_done``, ``wait_all``, ``as_completed`` or ``watch``."""

    task_id: str
    waiting: int
    """Number of waiters for this task now; at 1 its polling starts."""

    def __str__(self) -> str:
        return f"task {self.task_id}: {self.waiting} waiting"


@frozen(kw_only=True)
class StateChanged(Event):
    """A poll saw the first word for a task's state, or another one than the poll before.

    An unknown word that differs in digits only, such as a percentage, is no other word. If a task stays in an unknown
    state and has a video link, the event comes again each minute, with the same word before and now.
    """

    task_id: str
    before: str | None
    """The relay's word before; None at the first poll."""
    state_text: str
    """The relay's word now."""
    state: State
    """The state that the word means."""
    request_id: str | None
    """The relay's id of the request, which its support asks for; not all relays send one."""

    def __str__(self) -> str:
        before = "" if self.before is None else f"{shown(self.before, 60)} -> "
        request = f" (request {shown(self.request_id, 60)})" if self.request_id else ""
        return f"task {self.task_id}: {before}{shown(self.state_text, 60)}{request}"


@frozen(kw_only=True)
class PollFailed(Event):
    """A poll of a wait failed. Most failures pass; if the wait ends, WaitEnded follows."""

    task_id: str
    error: LumaError
    failures: int
    """Failed polls in a row, this one included."""

    def __str__(self) -> str:
        return f"failed poll {self.failures}: {self.error}"


@frozen(kw_only=True)
class TryFailed(Event):
    """A try of a single call failed, and another one follows: of a single poll, a submit, a clean link or a list."""

    error: LumaError
    seconds: float
    """Planned length of the pause before the next try; a cool-down makes it longer."""

    def __str__(self) -> str:
        return f"the next try follows in {self.seconds:.1f} s: {self.error}"


@frozen(kw_only=True)
class WaitEnded(Event):
    """A wait is over."""

    task_id: str
    outcome: Outcome | None
    """The outcome; None if the caller cancelled or closed the wait."""
    waiting: int
    """Number of other waiters for this task; at 0 its polling stops."""

    def __str__(self) -> str:
        if self.outcome is None:
            return f"task {self.task_id}: wait cancelled"
        if self.outcome.error is not None:
            return str(self.outcome.error)
        polls = f"{self.outcome.polls} poll{'' if self.outcome.polls == 1 else 's'}"
        return f"task {self.task_id}: done after {self.outcome.elapsed:.1f} s, {polls}"


@frozen(kw_only=True)
class CooldownStarted(Event):
    """The relay said *slow down*: all ids of the client pause. A second one before the end makes the pause longer."""

    seconds: float
    """Planned length of the pause."""
    error: LumaError
    """The relay's refusal."""

    def __str__(self) -> str:
        return f"all ids pause for {self.seconds:.1f} s: {self.error}"


@frozen(kw_only=True)
class CooldownEnded(Event):
    """The relay answers again, and all ids go on."""

    seconds: float
    """Length of the pause, from the first refusal on."""

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
    """Bytes of the whole file; 0 if the server does not give it."""

    def __str__(self) -> str:
        return f"task {self.task_id}: {self.role}: {self.stored} of {self.total or '?'} bytes"


@frozen(kw_only=True)
class DownloadEnded(Event):
    """A file was stored, or could not be stored. A cancelled download has no such event."""

    task_id: str
    role: Role
    path: Path | None
    """The stored file; None if the download failed."""
    error: DownloadError | None
    """Why the download failed; None if the file was stored."""

    def __str__(self) -> str:
        return str(self.error) if self.path is None else f"task {self.task_id}: {self.role}: {shown(self.path)}"
