"""The simulated relay without its server: its tasks, its clock, and its answers."""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from threading import Lock
from uuid import UUID

from attrs import define, evolve, field, validators

from luma_async._ids import check_task_id
from luma_async.testing import _answers
from luma_async.testing._answers import LinkTo, Task
from luma_async.testing._media import EXPIRED, VIDEO, Links, Medium
from luma_async.testing.exchange import Asked, Kind, Reply, SeenRequest
from luma_async.testing.faults import Fault, Troubles
from luma_async.testing.scripts import Script


@define(eq=False, kw_only=True)
class Gateway:
    """A relay without a server: a request in, an answer out. All methods may be called from any thread."""

    api_key: str = field(default="sk-simulated-relay", repr=False, validator=validators.min_len(1))
    """The only key that it accepts."""
    speed: float = field(default=1.0, validator=validators.gt(0))
    """Relay seconds per real second."""
    envelope: bool = False
    """Whether answers are rows of a gateway instead of bare generations."""
    batch: bool = True
    """Whether ``POST /luma/tasks`` exists."""
    script: Script = field(factory=Script.completes, repr=False)
    """The script of a task without its own script."""
    link_ttl: float = field(default=3600.0, validator=validators.gt(0))
    """Lifetime of a link in relay seconds; a later poll of the task gives a new link."""
    submit_status: int = 201
    """The HTTP status of a submit; real relays use 200 or 201."""
    remember: int = field(default=50_000, repr=False)
    """Most requests in ``requests``; older ones are dropped."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    """Returns real seconds."""
    epoch: datetime = field(factory=lambda: datetime.now(UTC), repr=False)
    """The time in the relay's answers at relay second 0, when the relay is created."""
    randomness: Random = field(factory=lambda: Random(0), repr=False)  # noqa: S311 - the same ids in every run
    """Source of task ids, and of the secret that signs links."""

    _secret: bytes = field(init=False, repr=False)
    _created_at: float = field(init=False, repr=False)
    _tasks: dict[str, Task] = field(factory=dict[str, Task], init=False, repr=False)
    _troubles: Troubles = field(factory=Troubles, init=False, repr=False)
    _seen: deque[SeenRequest] = field(init=False, repr=False)
    _numbers: Iterator[int] = field(factory=count, init=False, repr=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._secret = self.randomness.randbytes(32)
        self._created_at = self.clock()
        self._seen = deque(maxlen=self.remember)

    @property
    def base_url(self) -> str:
        """The address of the relay, without a trailing slash."""
        return "http://relay.invalid"

    @property
    def now(self) -> float:
        """Relay seconds since the relay was created."""
        return (self.clock() - self._created_at) * self.speed

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
                created_at=self.epoch + timedelta(seconds=now),
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
            fault = self._troubles.take(asked.target.kind, asked.ids or ()) or Fault()
        done = self._answer(asked, stranger=fault.stranger) if fault.takes or fault.reply is None else None
        reply = fault.reply or done or Reply()
        request_id = self._request_id()
        reply = evolve(reply, headers={"X-Oneapi-Request-Id": request_id, **reply.headers})
        self._seen.append(SeenRequest.of(asked, None if fault.reset else reply.status, key=self.api_key))
        return reply, fault

    def _request_id(self) -> str:
        """Return a request id of gateways: the time and eight digits."""
        moment = self.epoch + timedelta(seconds=self.now)
        return f"{moment:%Y%m%d%H%M%S%f}{next(self._numbers):08d}"

    def _answer(self, asked: Asked, *, stranger: bool) -> Reply:
        kind = asked.target.kind
        if kind == "media":
            return self._medium(asked, stranger=stranger)
        if kind == "unknown" or (kind == "batch" and not self.batch):
            return Reply.json(_answers.invalid_url(asked.method, asked.path), 404)
        authorization = asked.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(authorization, f"Bearer {self.api_key}".encode()):
            return Reply.json(_answers.bad_key(self._request_id()), 401)
        if kind in ("submit", "extend"):
            return self._submit(asked)
        return self._batch(asked, stranger=stranger) if kind == "batch" else self._one(asked, stranger=stranger)

    def _submit(self, asked: Asked) -> Reply:
        prompt = asked.document.get("user_prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            return Reply.json(_answers.refusal("invalid_request", "user_prompt is required"), 400)
        extended = self._tasks.get(asked.target.task_id or "")
        if asked.target.kind == "extend" and extended is None:
            return Reply.json(_answers.refusal("task_not_exist"), 400)
        ratio = asked.document.get("aspect_ratio")
        ratio = ratio if isinstance(ratio, str) else (extended.script if extended else self.script).aspect_ratio
        task_id = self.add(script=evolve(self.script, prompt=prompt, aspect_ratio=ratio))
        return Reply.json(_answers.submitted(self._tasks[task_id]), self.submit_status)

    def _one(self, asked: Asked, *, stranger: bool) -> Reply:
        task = self._find(asked.target.task_id or "", stranger=stranger)
        if task is None:
            return Reply.json(_answers.refusal("task_not_exist"), 400)
        link = self._link_to(task)
        if asked.target.kind == "link":
            if not task.script.at(asked.now - task.registered_at).has_links:
                return Reply.json(_answers.refusal("task_not_completed"), 400)
            return Reply.json({"url": link(VIDEO)})
        if self.envelope:
            return Reply.json(_answers.enveloped(_answers.row(task, asked.now, link)))
        return Reply.json(_answers.generation(task, asked.now, link))

    def _batch(self, asked: Asked, *, stranger: bool) -> Reply:
        if asked.ids is None:
            return Reply.json(_answers.refusal("invalid_request", "ids must be a list of task ids"), 400)
        found = [self._find(task_id, stranger=stranger) for task_id in reversed(asked.ids)]
        shape = _answers.row if self.envelope else _answers.generation
        answers = [shape(task, asked.now, self._link_to(task)) for task in found if task]
        return Reply.json(_answers.enveloped(answers) if self.envelope else answers)

    def _find(self, task_id: str, *, stranger: bool) -> Task | None:
        """Return the task; with *stranger*, under an id that is not in the request."""
        task = self._tasks.get(task_id)
        return evolve(task, task_id=f"stranger-to-{task_id}") if task and stranger else task

    def _link_to(self, task: Task) -> LinkTo:
        return partial(self._links.to, task.task_id, now=self.now)

    @property
    def _links(self) -> Links:
        return Links(base_url=self.base_url, secret=self._secret, lifetime=self.link_ttl)

    def _medium(self, asked: Asked, *, stranger: bool) -> Reply:
        if not self._links.holds(asked.path, asked.query, asked.now):
            return EXPIRED
        task_id = f"{asked.target.task_id}{'-stranger' if stranger else ''}"
        medium = Medium.of(task_id, asked.target.file or "")
        return medium.reply(asked.headers) if medium else EXPIRED
