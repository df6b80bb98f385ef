"""Scripted trouble: what can go wrong between a client and a relay, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen, validators

from luma_async.testing.exchange import Kind, Reply

_PAGE = (
    b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Relay Console</title></head>'
    b'<body><div id="app"></div></body></html>\n'
)


@frozen(kw_only=True)
class Fault:
    """One thing that goes wrong with one request. What is not said stays as it would have been.

    A fault may combine: ``attrs.evolve(Fault.http(502), delay=1.0)`` is a bad gateway that takes its time.
    """

    reply: Reply | None = None
    """What is answered instead."""
    delay: float = field(default=0.0, validator=validators.ge(0))
    """Real seconds before anything happens: a client's timeouts are real, whatever the relay's ``speed``."""
    reset: bool = False
    """Whether the connection is reset instead of an answer."""
    cut_after: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    """Bytes of the body before the connection breaks; the headers promise all of it."""
    stranger: bool = False
    """Whether the answer is right but for being another task's."""
    takes: bool = False
    """Whether the relay does what it was asked, a submit above all, before it answers with *reply* instead."""

    @classmethod
    def http(cls, status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Fault:
        """Build an answer with *status*; *body* is bytes as they are, or a value to be sent as JSON."""
        reply = Reply(body=body) if isinstance(body, bytes) else Reply.json(body)
        return cls(reply=Reply(status=status, body=reply.body, headers={**reply.headers, **(headers or {})}))

    @classmethod
    def bad_gateway(cls) -> Fault:
        """Build a 502 as gateways mask their upstream's."""
        return cls.http(502, {"code": "fail_to_fetch_task", "message": "请求上游地址失败", "data": None})

    @classmethod
    def rate_limited(cls, retry_after: str | float | None = None) -> Fault:
        """Build a 429 with an empty body; *retry_after* is real seconds or an HTTP date, mostly absent."""
        return cls.http(429, headers={} if retry_after is None else {"Retry-After": str(retry_after)})

    @classmethod
    def saturated(cls) -> Fault:
        """Build the 403 that is no prohibition: the upstream has too much to do."""
        message = '{"code":"upstream_load_saturated","message":"当前分组上游负载已饱和，请稍后再试"}'
        return cls.http(403, {"error": {"message": message, "type": "upstream_error", "code": "fail_to_fetch_task"}})

    @classmethod
    def error_inside_200(cls, code: str | int = 400, message: str = "fail_to_fetch_task") -> Fault:
        """Build an error that travels as a success."""
        return cls.http(200, {"code": code, "message": message})

    @classmethod
    def html_page(cls, status: int = 200) -> Fault:
        """Build the web page that some gateways and CDNs send where JSON belongs."""
        return cls.http(status, _PAGE, {"Content-Type": "text/html; charset=utf-8"})

    @classmethod
    def connection_reset(cls) -> Fault:
        """Build a reset. aiohttp repeats a GET once by itself when a kept connection breaks, so one may go unseen."""
        return cls(reset=True)

    @classmethod
    def lost_answer(cls) -> Fault:
        """Build the trap of every submit: the relay does what it was asked, and the connection is reset."""
        return cls(reset=True, takes=True)

    @classmethod
    def another_task(cls) -> Fault:
        """Build an answer about a task that nobody asked for."""
        return cls(stranger=True)

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """Build the right answer, *seconds* (real ones) late."""
        return cls(delay=seconds)

    @classmethod
    def cut_body(cls, after: int = 20) -> Fault:
        """Build the right answer, broken off *after* that many bytes of its body."""
        return cls(cut_after=after)


@define
class _Entry:
    fault: Fault
    times: int | None
    task_id: str | None
    on: Kind | None

    def fits(self, kind: Kind, task_ids: Iterable[str]) -> bool:
        wanted = kind == self.on if self.on else kind != "media"
        return wanted and (self.task_id is None or self.task_id in task_ids)


@define(eq=False)
class Troubles:
    """The faults to come, used up one by one in the order given."""

    _entries: list[_Entry] = field(factory=list, init=False)

    def add(self, fault: Fault, *, times: int | None, task_id: str | None, on: Kind | None) -> None:
        """Put *fault* behind those there are.

        Raises:
            ValueError: *times* is less than one.
        """
        if times is not None and times < 1:
            raise ValueError(f"a fault that comes {times} times is none")
        self._entries.append(_Entry(fault, times, task_id, on))

    def take(self, kind: Kind, task_ids: Iterable[str]) -> Fault | None:
        """Use up the first fault that fits a request."""
        entry = next((entry for entry in self._entries if entry.fits(kind, task_ids)), None)
        if entry is None:
            return None
        if entry.times is not None:
            entry.times -= 1
            if not entry.times:
                self._entries.remove(entry)
        return entry.fault

    def clear(self, task_id: str | None = None) -> None:
        """Drop all of them, or those of one task."""
        self._entries = [entry for entry in self._entries if task_id is not None and entry.task_id != task_id]
