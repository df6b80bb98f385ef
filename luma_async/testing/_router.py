"""One request to the simulated relay to its right answer, in the words of the relay's flavour."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import partial
from html import escape

from attrs import evolve, field, frozen

from luma_async.testing import _answers
from luma_async.testing._answers import LinkTo, Task
from luma_async.testing._flavours import Contract
from luma_async.testing._media import EXPIRED, VIDEO, WRONG_METHOD, Links, Medium
from luma_async.testing.exchange import Asked, Reply
from luma_async.testing.faults import Fault
from luma_async.testing.scripts import Script


@frozen(kw_only=True)
class Router:
    """Answers one request from what the relay has."""

    flavour: Contract
    api_key: str = field(repr=False)
    wrapped: bool
    """Whether answers are wrapped in an envelope."""
    batch: bool
    """Whether the batch query exists, if the flavour has it."""
    submit_status: int | None
    """The status of a submit; None for the flavour's own."""
    script: Script
    """The script of a task that is submitted."""
    tasks: Mapping[str, Task]
    links: Links
    request_id: str
    add: Callable[..., str]
    """Registers a task with a script, and returns its id."""

    def answer(self, asked: Asked, fault: Fault) -> Reply:
        """Return the right answer, changed by a *fault* that changes right answers."""
        reply = self._answer(asked, fault)
        origin = self.flavour.allowed_origin if "Origin" in asked.headers else {}
        own = {} if asked.target.kind == "media" else self.flavour.own_headers
        return evolve(reply, headers={**own, **origin, **reply.headers})

    def _answer(self, asked: Asked, fault: Fault) -> Reply:
        kind = asked.target.kind
        early = self._before_the_key(asked)
        if early is not None:
            return early
        if kind == "media":
            return self._medium(asked, stranger=fault.stranger)
        if (refused := self._check_key(asked.headers.get("Authorization", ""))) is not None:
            return refused
        if kind in ("submit", "extend"):
            return self._submit(asked)
        return self._batch(asked, fault) if kind == "batch" else self._one(asked, stranger=fault.stranger)

    def _before_the_key(self, asked: Asked) -> Reply | None:
        """Return the answer that depends on method and path only; None if there is none."""
        kind, method = asked.target.kind, asked.method
        if method == "OPTIONS" and "Origin" in asked.headers and (allowed := self.flavour.preflight()) is not None:
            return allowed
        if kind == "media":
            return None
        if method == "HEAD" and (headers := self.flavour.head()) is not None:
            return headers
        if asked.target.slash and (method != "POST" or self.flavour.redirects_posts):
            return _without_slash(method, asked.path.removesuffix("/"))
        if kind not in self.flavour.routes or (kind == "batch" and not self.batch):
            return self.flavour.unknown_path(method, asked.path)
        return None

    def _check_key(self, authorization: str) -> Reply | None:
        scheme, _, key = authorization.strip().rpartition(" ")
        if not key or authorization.strip() == "Bearer":
            return self.flavour.no_key(self.request_id)
        is_sent_well = scheme == "Bearer" or (not scheme and self.flavour.takes_bare_key)
        is_same = hmac.compare_digest(key.encode(errors="replace"), self.api_key.encode())
        return None if is_sent_well and is_same else self.flavour.wrong_key(self.request_id)

    def _submit(self, asked: Asked) -> Reply:
        if not asked.is_object:
            return self.flavour.bad_json(_why_not_json(asked.body))
        document = asked.document
        prompt = document.get("user_prompt")
        prompt = prompt if isinstance(prompt, str) and prompt.strip() else ""
        if not prompt and not document.get("image_url"):
            return self.flavour.bad_request("user_prompt is required")
        if (refused := self.flavour.refused_picture(document.get("image_url"))) is not None:
            return refused
        extended = self.tasks.get(asked.target.task_id or "")
        if asked.target.kind == "extend" and extended is None:
            return self.flavour.no_task()
        ratio = document.get("aspect_ratio")
        ratio = ratio if isinstance(ratio, str) else (extended.script if extended else self.script).aspect_ratio
        task = self.tasks[self.add(script=evolve(self.script, prompt=prompt, aspect_ratio=ratio))]
        reply = self.flavour.submitted(task, self._link_to(task, asked.now), wrapped=self.wrapped)
        return reply if self.submit_status is None else evolve(reply, status=self.submit_status)

    def _one(self, asked: Asked, *, stranger: bool) -> Reply:
        task = self._find(asked.target.task_id or "", stranger=stranger)
        if task is None:
            return self.flavour.no_task()
        link = self._link_to(task, asked.now)
        if asked.target.kind == "link":
            if not task.script.at(asked.now - task.registered_at).has_links:
                return Reply.json(_answers.refusal("task_not_completed"), 400)
            return Reply.json({"url": link(VIDEO)})
        return self.flavour.one(task, self._age(task, asked.now), link, wrapped=self.wrapped)

    def _batch(self, asked: Asked, fault: Fault) -> Reply:
        if not asked.is_object:
            return self.flavour.bad_json(_why_not_json(asked.body))
        if asked.ids is None:
            return self.flavour.bad_request("ids must be a list of task ids")
        tasks = [self._find(task_id, stranger=fault.stranger) for task_id in asked.ids]
        found = [(task, self._age(task, asked.now), self._link_to(task, asked.now)) for task in tasks if task]
        return self.flavour.many(found[: fault.most_rows][::-1], asked=bool(asked.ids), wrapped=self.wrapped)

    def _age(self, task: Task, now: float) -> float | None:
        """Return the age of a task that the gateway knows of; None before its first round after the submit."""
        seconds = self.flavour.round_seconds
        if not seconds:
            return now - task.registered_at
        last_round = now // seconds * seconds
        return last_round - task.registered_at if last_round > task.registered_at else None

    def _find(self, task_id: str, *, stranger: bool) -> Task | None:
        """Return the task; with *stranger*, under an id that is not in the request."""
        task = self.tasks.get(task_id)
        return evolve(task, task_id=f"stranger-to-{task_id}") if task and stranger else task

    def _link_to(self, task: Task, now: float) -> LinkTo:
        return partial(self.links.to, task.task_id, now=now)

    def _medium(self, asked: Asked, *, stranger: bool) -> Reply:
        if not self.links.holds(asked.path, asked.query, asked.now):
            return EXPIRED
        if asked.method != "GET" and self.flavour.signs_methods:
            return WRONG_METHOD
        task_id = f"{asked.target.task_id}{'-stranger' if stranger else ''}"
        medium = Medium.of(task_id, asked.target.file or "")
        return medium.reply(asked.headers) if medium else EXPIRED


def _without_slash(method: str, path: str) -> Reply:
    """Redirect to *path* as a web framework of Go does."""
    if method == "POST":
        return Reply(status=307, headers={"Location": path})
    page = f'<a href="{escape(path)}">Moved Permanently</a>.\n\n'.encode()
    return Reply(status=301, body=page, headers={"Content-Type": "text/html; charset=utf-8", "Location": path})


def _why_not_json(body: bytes) -> str:
    return "invalid JSON" if body.strip() else "EOF"
