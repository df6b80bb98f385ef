"""Any mixture of tasks, waits, trouble and time: each id gets exactly one outcome, the right one, and nothing is left.

A client waits for tasks of the simulated relay in virtual time. Those who wait come and go as they like; the relay
loses connections, answers about strangers, asks for patience, and refuses some ids for good.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from luma_async import (
    APIError,
    ClientClosedError,
    Generation,
    GenerationFailedError,
    LumaClient,
    LumaError,
    NotFoundError,
    Outcome,
    PollPolicy,
    State,
    WaitTimeoutError,
)
from luma_async._relay.search import state_of
from luma_async.settings import Batch
from luma_async.testing import Fault, Script
from luma_async.testing._gateway import Gateway
from luma_async.testing.exchange import Kind
from tests.kit import KEY
from tests.properties import costly
from tests.properties.line import RELAY, Line, relay
from tests.virtual_time import VirtualLoop

T = TypeVar("T")

POLICY = PollPolicy(max_consecutive_failures=10_000)
_TICK = 1e-6
"""What a clock in floats may be off."""
_LATE = 1.0
"""Seconds after his deadline at which one who waits is gone, at the latest."""
_NOTICED = POLICY.shortest_interval + 1.5
"""Seconds before a deadline at which an end is noticed for certain, where there is no trouble."""
_LONG = 400.0
"""Seconds after which everything has ended that ever ends."""

_PASSING = [
    *(Fault.bad_gateway(), Fault.connection_reset(), Fault.cut_body(), Fault.error_inside_200(), Fault.html_page(503)),
    *(Fault.another_task(), Fault.slow(3), Fault.slow(45), Fault.rate_limited(5), Fault.rate_limited(3600)),
    *(Fault.saturated(), Fault.http(500), Fault.http(408), Fault.http(200, b"{"), Fault.http(204)),
]
_PASSING_FOR_BATCHES = [*_PASSING, Fault.http(413), Fault.http(400), Fault.http(403)]
_FOR_GOOD = [402, 403, 410, 422, 451]

_words = st.sampled_from(["pending", "queued", "processing", "dreaming", "painting"])
_steps = st.lists(st.tuples(_words, st.floats(0.0, 40.0)), max_size=3)
_scripts = st.builds(
    lambda steps, final, links_after: Script.of(*steps, final, links_after=links_after, failure_reason="moderated"),
    _steps,
    st.sampled_from(["completed", "completed", "failed", "painting"]),
    st.sampled_from([0.0, 0.0, 5.0, 1e9]),
)


@define(eq=False)
class Task:
    """What the relay does with one id, and how it refuses it, if it does."""

    script: Script | None
    """None for an id that the relay does not know."""
    born: float
    doom: int | None = None

    def ended_by(self, at: float) -> bool:
        """Whether its generation has ended at *at*."""
        return self.script is not None and self.script.at(at - self.born).word in ("completed", "failed")


@define(eq=False)
class Wait:
    """One who waits for some ids, and what he has heard."""

    ids: list[str]
    timeout: float | None
    enough: int | None
    """After so many outcomes he leaves."""
    joined: float
    heard: list[tuple[float, Outcome]] = field(factory=list)
    task: asyncio.Task[None] = field(init=False)

    async def hear(self, luma: LumaClient) -> None:
        """Take outcomes as they come; leave when there are enough."""
        async with luma.as_completed(self.ids, timeout=self.timeout) as outcomes:
            async for outcome in outcomes:
                self.heard.append((asyncio.get_running_loop().time(), outcome))
                if len(self.heard) == self.enough:
                    break


@define(eq=False)
class Watch:
    """One who watches an id, and the words he has seen."""

    task_id: str
    words: list[str] = field(factory=list)
    end: LumaError | None = None
    task: asyncio.Task[None] = field(init=False)

    async def see(self, luma: LumaClient, timeout: float) -> None:  # noqa: ASYNC109 - the client's own
        """Take snapshots until they end."""
        try:
            async with luma.watch(self.task_id, timeout=timeout) as snapshots:
                async for snapshot in snapshots:
                    assert snapshot.id == self.task_id
                    self.words.append(snapshot.state_text)
        except LumaError as error:
            self.end = error


class Waiting(RuleBasedStateMachine):
    """A client, a relay, and all that can happen between them."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.complaints: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.tasks: dict[str, Task] = {}
        self.waits: list[Wait] = []
        self.watches: list[Watch] = []
        self.was_calm = True

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        """Run one step of the story."""
        return self.loop.run_until_complete(step)

    @initialize(target=ids, batch=st.sampled_from(["auto", "auto", "never"]), script=_scripts, envelope=st.booleans())
    def begin(self, batch: Batch, script: Script, *, envelope: bool) -> Any:
        """Open a client for a relay with one task, and know one id that the relay does not."""
        self.do(self._begin(batch, envelope=envelope))
        self.tasks["nobody"] = Task(None, 0.0)
        return multiple("nobody", self.submit(script))

    async def _begin(self, batch: Batch, *, envelope: bool) -> None:
        self.desk: Gateway = relay()
        self.desk.envelope = envelope
        self.line = Line(self.desk)
        self.line.open()
        self.luma = LumaClient(RELAY, KEY, polling=POLICY, batch=batch)

    # --- what can happen ---

    @rule(target=ids, script=_scripts)
    def submit(self, script: Script) -> str:
        """A task begins."""
        task_id = self.desk.add(script=script)
        self.tasks[task_id] = Task(script, self.loop.time())
        return task_id

    @rule(
        asked=st.lists(ids, min_size=1, max_size=4),
        timeout=st.one_of(st.none(), st.floats(0.5, 200.0)),
        enough=st.one_of(st.none(), st.none(), st.integers(1, 2)),
    )
    def wait(self, asked: list[str], timeout: float | None, enough: int | None) -> None:
        """Somebody begins to wait for some ids, perhaps the same one twice."""
        wait = Wait(asked, timeout, enough, self.loop.time())
        wait.task = self.loop.create_task(wait.hear(self.luma))
        self.waits.append(wait)
        self.time_passes(0.0)

    @rule(task_id=ids, timeout=st.floats(0.5, 200.0))
    def watch(self, task_id: str, timeout: float) -> None:
        """Somebody begins to watch an id."""
        watch = Watch(task_id)
        watch.task = self.loop.create_task(watch.see(self.luma, timeout))
        self.watches.append(watch)
        self.time_passes(0.0)

    @rule(asked=st.lists(ids, min_size=1, max_size=4))
    def look(self, asked: list[str]) -> None:
        """Somebody looks once, at some ids."""
        polls = self.do(self.luma.get_generations(asked))
        assert [look.task_id for look in polls] == asked
        assert all(look.generation is None or look.generation.id == look.task_id for look in polls)

    @rule(which=st.integers(0, 20))
    def leave(self, which: int) -> None:
        """Somebody who waits or watches is cancelled."""
        here: list[Wait | Watch] = [*self.waits, *self.watches]
        if which < len(here):
            here[which].task.cancel()
            self.time_passes(0.0)

    @rule(seconds=st.one_of(st.floats(0.0, 3.0), st.floats(0.0, 60.0)))
    def time_passes(self, seconds: float) -> None:
        """Some seconds pass."""
        self.do(asyncio.sleep(seconds))

    @rule(fault=st.sampled_from(_PASSING), times=st.integers(1, 3), about=st.one_of(st.none(), ids))
    def trouble(self, fault: Fault, times: int, about: str | None) -> None:
        """Some looks meet trouble that passes."""
        self._trouble(fault, times, about, None)

    @rule(fault=st.sampled_from(_PASSING_FOR_BATCHES), times=st.integers(1, 3))
    def trouble_with_batches(self, fault: Fault, times: int) -> None:
        """Some batches meet trouble, or are refused."""
        self._trouble(fault, times, None, "batch")

    def _trouble(self, fault: Fault, times: int | None, about: str | None, kind: Kind | None) -> None:
        self.was_calm = False
        self.desk.trouble(fault, times=times, task_id=about, on=kind)

    @rule(task_id=ids, status=st.sampled_from(_FOR_GOOD))
    def refuse(self, task_id: str, status: int) -> None:
        """The relay refuses one id from now on, where it is asked for alone."""
        if self.tasks[task_id].doom is None:
            self.tasks[task_id].doom = status
            self._trouble(Fault.http(status), None, task_id, "look")

    # --- how it ends ---

    def teardown(self) -> None:
        """Let everything end that ends, close, and judge."""
        try:
            if hasattr(self, "luma"):
                self.time_passes(_LONG)
                self._only_what_is_wanted_goes_on()
                closed_at = self.loop.time()
                self.do(self.luma.aclose())
                self.time_passes(0.0)
                for wait in self.waits:
                    self._judge(wait, closed_at)
                for watch in self.watches:
                    self._judge_watch(watch)
                self._nothing_is_left()
        finally:
            self.line.close()
            self.loop.close()

    def _only_what_is_wanted_goes_on(self) -> None:
        """Nobody asks for an id for which nobody waits."""
        waiting = {task_id for wait in self.waits if not wait.task.done() for task_id in wait.ids}
        loops_of = {watch.task_id for watch in self.watches if not watch.task.done()}
        assert self.luma._loops._loops.keys() <= waiting | loops_of

    def _judge(self, wait: Wait, closed_at: float) -> None:
        """Each id once, unless he who waited had enough or was cancelled."""
        assert wait.task.done()
        heard = Counter(outcome.task_id for _, outcome in wait.heard)
        assert heard <= Counter(set(wait.ids))
        for at, outcome in wait.heard:
            self._judge_outcome(wait, at, outcome, is_closed=at >= closed_at)
        if not wait.task.cancelled():
            wait.task.result()
            assert len(heard) == min(wait.enough or len(wait.ids), len(set(wait.ids)))

    def _judge_outcome(self, wait: Wait, at: float, outcome: Outcome, *, is_closed: bool) -> None:
        task = self.tasks[outcome.task_id]
        assert wait.timeout is None or at <= wait.joined + wait.timeout + _LATE
        match outcome:
            case Outcome(generation=Generation() as generation):
                assert generation.id == outcome.task_id
                assert "stranger" not in str(generation.raw)
                assert (generation.state, task.ended_by(at)) == (State.COMPLETED, True)
            case Outcome(error=GenerationFailedError() as failed):
                assert failed.generation.id == outcome.task_id
                assert "stranger" not in str(failed.generation.raw)
                assert (failed.generation.state, task.ended_by(at), failed.reason) == (State.FAILED, True, "moderated")
            case Outcome(error=WaitTimeoutError()):
                assert wait.timeout is not None
                assert at >= wait.joined + wait.timeout - _TICK
                assert not (self.was_calm and task.ended_by(wait.joined + wait.timeout - _NOTICED))
            case Outcome(error=ClientClosedError()):
                assert is_closed
                assert not (self.was_calm and task.ended_by(at - POLICY.max_interval - _NOTICED))
            case Outcome(error=APIError() as refused):
                assert refused.task_id == outcome.task_id
                assert refused.status == task.doom or (task.script is None and isinstance(refused, NotFoundError))
            case _:
                raise AssertionError(outcome)

    def _judge_watch(self, watch: Watch) -> None:
        """Each change once, in the order in which they came."""
        assert watch.task.done()
        script = self.tasks[watch.task_id].script
        story = iter(
            [] if script is None else [*(state_of(step.state) for step in script.steps), state_of(script.final)]
        )
        assert all(state_of(word) in story for word in watch.words)
        assert all(one != other for one, other in zip(watch.words, watch.words[1:], strict=False))
        if not watch.task.cancelled():
            watch.task.result()
            assert (watch.end is None) == (len(watch.words) > 0 and state_of(watch.words[-1]).is_terminal)

    def _nothing_is_left(self) -> None:
        """No task, no place in a queue, no slot, and nothing that nobody fetched."""
        loops, batcher, transport = self.luma._loops, self.luma._batcher, self.luma._transport
        left = {
            "tasks": asyncio.all_tasks(self.loop),
            "polls": loops._loops,
            "due": batcher._queue._due,
            "asking": batcher._batches | batcher._singles,
            "alone": {**batcher.support._apart._ids, **batcher.support._suspects},
            "under way": transport._deadlines.under_way,
        }
        remains = {where: what for where, what in left.items() if what}
        assert not remains, remains
        assert transport._slots.free == transport.settings.limits.max_concurrency
        assert self.complaints == []


class TestWaiting(Waiting.TestCase):  # type: ignore[misc,valid-type]
    """Each id gets exactly one outcome, the right one, whatever happens in whatever order; nothing is left behind."""

    settings = settings(costly(2), stateful_step_count=30)
