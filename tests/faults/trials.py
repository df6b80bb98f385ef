"""One bad task, alone or among healthy ones, and what became of it: a case is one row."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from attrs import evolve, field, frozen

from luma_async import Generation, Limits, LumaClient, LumaError, Outcome, PollPolicy, WaitTimeoutError
from tests.faults.server import BAD, FaultServer, done
from tests.kit import KEY
from tests.raw_server import Reply

OFTEN = PollPolicy(
    min_interval=0.01, initial_interval=0.01, max_interval=0.012, max_consecutive_failures=6, max_outage=0.05
)
LIMITS = Limits(request_timeout=2.0, max_concurrency=8)
"""Few connections, so that the bad task's are the others' too."""
IMPATIENT = evolve(LIMITS, request_timeout=0.15)
"""Where running out of time is the case."""
PATIENCE = 15.0
"""Seconds until a wait ends; no case needs them."""
ALL_WELL = (Generation,)

ALONE_AND_AMONG = pytest.mark.parametrize("healthy", [pytest.param(0, id="alone"), pytest.param(20, id="among")])


@frozen(kw_only=True)
class Ended:
    """What became of the bad task, and what its server saw."""

    outcome: Outcome
    server: FaultServer

    @property
    def kind(self) -> type[Generation | LumaError]:
        """What it came to: a Generation, or the class of its trouble; a deadline is not the trouble."""
        if self.outcome.error is None:
            return Generation
        return type(cause_of(self.outcome.error))

    @property
    def error(self) -> LumaError:
        """Its error; that there is one is part of the test."""
        assert self.outcome.error is not None
        return self.outcome.error

    @property
    def passes(self) -> bool:
        """Whether the trouble is one that passes, if there is any."""
        return self.outcome.error is None or cause_of(self.outcome.error).retryable

    @property
    def asked(self) -> int:
        """How often the bad task was asked for, on the wire."""
        return self.server.asked[BAD]


def cause_of(error: LumaError) -> LumaError:
    """Return what kept a wait from its end, or *error* itself."""
    return (error.last_error or error) if isinstance(error, WaitTimeoutError) else error


async def run_case(
    script: Sequence[Reply],
    *,
    healthy: int = 0,
    patience: float = PATIENCE,
    server: FaultServer | None = None,
    **options: Any,
) -> Ended:
    """Wait for a task that gets *script*, among *healthy* others, which must all complete.

    Args:
        script: Replies; the last one serves for ever.
        healthy: How many others are on the same client.
        patience: Seconds for the bad one; the others have all the time they need.
        server: Where it is not the usual one.
        options: For the client.
    """
    server = server or FaultServer()
    server.scripts = {BAD: script, **server.scripts}
    async with server:
        outcomes = await outcomes_at(server.base_url, healthy=healthy, patience=patience, **options)
    bad, *others = outcomes
    assert all(other.ok for other in others), [other.error for other in others]
    return Ended(outcome=bad, server=server)


async def kind_of_look(script: Sequence[Reply], **options: Any) -> type[Generation | LumaError]:
    """Look once at a task that gets *script*; return Generation or the class of its error."""
    async with FaultServer(scripts={BAD: script}) as server, new_client(server.base_url, **options) as luma:
        [outcome] = await luma.get_generations([BAD])
    check_discretion(outcome.error)
    return Generation if outcome.error is None else type(outcome.error)


def new_client(base_url: str, **options: Any) -> LumaClient:
    """Return a client that asks often; *options* may differ."""
    return LumaClient(base_url, KEY, **{"polling": OFTEN, "limits": LIMITS, **options})


async def outcomes_at(base_url: str, *, healthy: int = 0, patience: float = PATIENCE, **options: Any) -> list[Outcome]:
    """Wait for the bad task beside *healthy* others; nothing is left behind, and no error holds the key."""
    names = [f"healthy-{number}" for number in range(healthy)]
    trouble: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
    async with new_client(base_url, **options) as luma:
        waits = luma.wait_all([BAD], timeout=patience), luma.wait_all(names, timeout=PATIENCE)
        outcomes = [outcome for several in await asyncio.gather(*waits) for outcome in several]
    assert not trouble, trouble
    for outcome in outcomes:
        check_discretion(outcome.error)
        assert outcome.error is None or outcome.error.task_id == outcome.task_id
    return outcomes


def check_discretion(error: LumaError | None) -> None:
    """Fail if *error*, or what hangs on it, holds the key or is anybody else's."""
    for link in _chain(error):
        assert isinstance(link, LumaError), repr(link)
        assert KEY.encode() not in pickle.dumps(link)
        assert KEY not in "".join(traceback.format_exception(link)) + repr(link) + str(vars(link))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from _chain(error.__cause__)
        error = error.__context__


# --- cases as rows ---


@frozen
class Fault:
    """What a task gets instead of a good answer, and what a wait comes to if it never gets anything else."""

    name: str
    replies: Sequence[Reply]
    """One or more of them; where it lasts, the last one does."""
    kinds: tuple[type[Generation | LumaError], ...]
    patience: float = PATIENCE
    options: dict[str, Any] = field(factory=dict)
    """For the client."""


def fault(name: str, reply: Reply | Sequence[Reply], *kinds: type[Generation | LumaError], **more: Any) -> Fault:
    """Return a row: *reply* is what the task gets, *kinds* is what it may come to if that is all it ever gets."""
    replies = (reply,) if isinstance(reply, bytes) or callable(reply) else tuple(reply)
    return Fault(name, replies, kinds, **more)


@frozen
class Trial:
    """One fault in one of its settings."""

    fault: Fault
    healthy: int
    lasts: bool

    @property
    def kinds(self) -> tuple[type[Generation | LumaError], ...]:
        """What it may come to."""
        return self.fault.kinds if self.lasts else ALL_WELL

    @property
    def name(self) -> str:
        """For reports."""
        return f"{self.fault.name}-{'for ever' if self.lasts else 'then good'}-{'among' if self.healthy else 'alone'}"

    async def run(self) -> Ended:
        """See what becomes of it; a single look at a trouble that lasts comes to the same as a wait."""
        if self.lasts and not self.healthy:
            ended, kind = await asyncio.gather(self._wait(), kind_of_look(self.fault.replies, **self.fault.options))
            assert kind in self.kinds
            return ended
        return await self._wait()

    async def _wait(self) -> Ended:
        script = self.fault.replies if self.lasts else (*self.fault.replies, done())
        patience = self.fault.patience if self.lasts else PATIENCE
        return await run_case(script, healthy=self.healthy, patience=patience, **self.fault.options)


_ALONE_ONCE = 3


def each(*faults: Fault, lasting: tuple[bool, ...] = (False, True), among: bool = True) -> pytest.MarkDecorator:
    """Try each of *faults* alone, once and for ever, and among twenty in its worst form.

    The quick run tries only the first one alone for ever, and only the first few alone once: among twenty it lasts too.
    """
    settings = [(0, lasts) for lasts in lasting] + [(20, lasting[-1])] * among
    trials = [Trial(fault, healthy, lasts) for fault in faults for healthy, lasts in settings]
    first = {True: faults[:1], False: faults[:_ALONE_ONCE]}
    slow = [trial for trial in trials if among and not trial.healthy and trial.fault not in first[trial.lasts]]
    params = [pytest.param(trial, id=trial.name, marks=[pytest.mark.slow] * (trial in slow)) for trial in trials]
    return pytest.mark.parametrize("trial", params)


def impatient(row: Fault, patience: float = 3.0) -> Fault:
    """Return *row* for a client whose requests run out of time; six in a row end a wait, on a busy machine too."""
    return evolve(row, patience=patience, options={**row.options, "limits": IMPATIENT})
