"""The simulated relay without its server: its tasks, its clock, and its answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from threading import Lock
from uuid import UUID

from attrs import define, evolve, field, validators

from luma_async._ids import check_task_id
from luma_async.testing._answers import LinkTo, Task
from luma_async.testing._flavours import FLAVOURS
from luma_async.testing._media import Links
from luma_async.testing._router import Router
from luma_async.testing.exchange import Asked, Flavour, Kind, Reply, SeenRequest
from luma_async.testing.faults import Fault, Troubles
from luma_async.testing.rules import Judge, Rule
from luma_async.testing.scripts import Script


@define(eq=False, kw_only=True)
class Gateway:
    """A relay without a server: a request in, an answer out. All methods may be called from any thread."""

    api_key: str = field(default="sk-simulated-relay", repr=False, validator=validators.min_len(1))
    """The only key that it accepts."""
    speed: float = field(default=1.0, validator=validators.gt(0))
    """Relay seconds per real second."""
    envelope: bool = False
    """Whether answers are wrapped, in rows of a gateway; some flavours always wrap, in their own way."""
    batch: bool = True
    """Whether ``POST /luma/tasks`` exists, in a flavour that has it."""
    script: Script = field(factory=Script.completes, repr=False)
    """The script of a task without its own script."""
    link_ttl: float = field(default=3600.0, validator=validators.gt(0))
    """Lifetime of a link in relay seconds; a later poll of the task gives a new link."""
    submit_status: int | None = None
    """The HTTP status of a submit that was taken; None for the flavour's: 201, or 200 in an envelope."""
    flavour: Flavour = field(default="contract", validator=validators.in_(FLAVOURS))
    """The gateway whose paths, words and habits the relay has (contract section 6)."""
    rules: Sequence[Rule] = ()
    """Trouble that depends on time or load; the first rule that finds fault with a request decides."""
    remember: int = field(default=50_000, repr=False)
    """Most requests in ``requests``; older ones are dropped."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    """Returns real seconds."""
    epoch: datetime = field(factory=lambda: datetime.now(UTC), repr=False)
    """The time in the relay's answers when the relay is created; from there it passes as the real time does."""
    randomness: Random = field(factory=lambda: Random(0), repr=False)  # noqa: S311 - the same ids in every run
    """Source of task ids, and of the secret that signs links."""

    _secret: bytes = field(init=False, repr=False)
    _created_at: float = field(init=False, repr=False)
    _tasks: dict[str, Task] = field(factory=dict[str, Task], init=False, repr=False)
    _troubles: Troubles = field(factory=Troubles, init=False, repr=False)
    _seen: deque[SeenRequest] = field(init=False, repr=False)
    _numbers: Iterator[int] = field(factory=count, init=False, repr=False)
    _judges: list[Judge] = field(init=False, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._secret = self.randomness.randbytes(32)
        self._created_at = self.clock()
        self._seen = deque(maxlen=self.remember)
        self._judges = [rule.judge() for rule in self.rules]

    @property
    def base_url(self) -> str:
        """The address of the relay, without a trailing slash."""
        return "http://relay.invalid"

    @property
    def now(self) -> float:
        """Relay seconds since the relay was created."""
        return (self.clock() - self._created_at) * self.speed

    @property
    def _wall_clock(self) -> datetime:
        return self.epoch + timedelta(seconds=self.now / self.speed)

    def add(self, task_id: str | None = None, *, script: Script | None = None) -> str:
        """Register a task, whose script starts now, and return its id; without *task_id*, the id is random.

        Raises:
            ValueError: The id is registered already, or is not a valid task id.
        """
        with self._lock:
            if task_id is None:
                task_id = str(UUID(int=self.randomness.getrandbits(128), version=4))
            if check_task_id(task_id) in self._tasks:
                raise ValueError(f"task {task_id!r} is registered already")
            now = self.now
            self._tasks[task_id] = Task(
                task_id=task_id,
                number=1 + len(self._tasks),
                script=script or self.script,
                registered_at=now,
                created_at=self.epoch + timedelta(seconds=now / self.speed),
                speed=self.speed,
            )
            return task_id

    def trouble(
        self, fault: Fault, *, times: int | None = 1, task_id: str | None = None, on: Kind | None = None
    ) -> None:
        """Apply *fault* to the next *times* requests, after the faults that are already waiting.

        Args:
            fault: What goes wrong.
            times: Number of requests; None for all, until :meth:`calm`.
            task_id: Only for requests about this task, alone or in a batch.
            on: Only for this kind of request; None for all kinds except ``media``.

        Raises:
            ValueError: *times* is less than one.
        """
        with self._lock:
            self._troubles.add(fault, times=times, task_id=task_id, on=on)

    def calm(self, task_id: str | None = None) -> None:
        """Remove all faults, or the faults of one task."""
        with self._lock:
            self._troubles.clear(task_id)

    @property
    def task_ids(self) -> list[str]:
        """All tasks in the order of their registration, including the task of a submit with a lost answer."""
        return list(self._tasks)

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests so far in the order of arrival: a copy, without the key."""
        return list(self._seen)

    def asked_about(self, task_id: str, *, kind: Kind | None = None) -> list[SeenRequest]:
        """Return the requests about one task, alone or in a batch, of one *kind* or of all."""
        return [seen for seen in self.requests if task_id in seen.task_ids and kind in (None, seen.kind)]

    def take(self, asked: Asked) -> tuple[Reply, Fault]:
        """Answer a request, record it, and use up the fault that applies to it."""
        with self._lock:
            fault = self._troubles.take(asked.target.kind, asked.ids or ()) or self._ruled(asked)
        request_id = self._request_id()
        done = self._router(request_id).answer(asked, fault) if fault.takes or fault.reply is None else None
        reply = fault.reply or done or Reply()
        name = FLAVOURS[self.flavour].request_id_header
        reply = evolve(reply, headers={**({name: request_id} if name else {}), **reply.headers})
        self._seen.append(SeenRequest.of(asked, None if fault.reset else reply.status, key=self.api_key))
        return reply, fault

    def _ruled(self, asked: Asked) -> Fault:
        """Return the fault that the first of the rules gives; each rule sees each request."""
        running = self._running if self.rules else 0
        faults = [judge(asked, running) for judge in self._judges]
        return next(filter(None, faults), Fault())

    def _request_id(self) -> str:
        """Return a request id of gateways: the time and eight digits."""
        moment = self._wall_clock
        return f"{moment:%Y%m%d%H%M%S%f}{next(self._numbers):08d}"

    def _link_to(self, task: Task) -> LinkTo:
        """Return what makes new links to the files of *task*."""
        return partial(self._links.to, task.task_id, now=self.now)

    @property
    def _links(self) -> Links:
        return Links(base_url=self.base_url, secret=self._secret, lifetime=self.link_ttl)

    @property
    def _running(self) -> int:
        """The number of tasks that have not ended."""
        now, tasks = self.now, self._tasks.values()
        return sum(not task.script.at(now - task.registered_at).state.is_terminal for task in tasks)

    def _router(self, request_id: str) -> Router:
        flavour = FLAVOURS[self.flavour]
        return Router(
            flavour=flavour,
            api_key=self.api_key,
            wrapped=self.envelope or flavour.wraps,
            batch=self.batch,
            submit_status=self.submit_status,
            script=self.script,
            tasks=self._tasks,
            links=self._links,
            request_id=request_id,
            add=self.add,
        )
