"""Scripted faults: what can go wrong between a client and a relay, and the queue of faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen, validators

from luma_async.testing.exchange import Kind, Reply

_PAGE = (
    b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Relay Console</title></head>'
    b'<body><div id="app"></div></body></html>\n'
)
_NGINX_PAGE = (
    b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
    b"<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n"
    b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)


@frozen(kw_only=True)
class Fault:
    """A fault of one request. Fields that are not set change nothing.

    Faults can be combined: ``attrs.evolve(Fault.http(502), delay=1.0)`` is a slow bad gateway.
    """

    reply: Reply | None = None
    """The answer instead of the right one."""
    delay: float = field(default=0.0, validator=validators.ge(0))
    """Real seconds before the answer: the timeouts of a client are real for any ``speed`` of the relay."""
    reset: bool = False
    """Whether the connection is reset instead of an answer."""
    cut_after: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    """Bytes of the body before the connection breaks; the headers give the full length."""
    stranger: bool = False
    """Whether the answer is valid, but about another task."""
    most_rows: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    """Most rows in the answer to a batch query; the relay does not say that it leaves the others out."""
    takes: bool = False
    """Whether the relay executes the request, such as a submit, before it answers with *reply*."""

    @classmethod
    def http(cls, status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Fault:
        """Build an answer with *status*; *body* is bytes to send unchanged, or a value to send as JSON."""
        reply = Reply(body=body) if isinstance(body, bytes) else Reply.json(body)
        return cls(reply=Reply(status=status, body=reply.body, headers={**reply.headers, **(headers or {})}))

    @classmethod
    def bad_gateway(cls) -> Fault:
        """Build the 502 with which gateways hide an error of their upstream."""
        return cls.http(502, {"code": "fail_to_fetch_task", "message": "请求上游地址失败", "data": None})

    @classmethod
    def rate_limited(cls, retry_after: str | float | None = None) -> Fault:
        """Build a 429 with an empty body; *retry_after* is real seconds or an HTTP date, usually None."""
        return cls.http(429, headers={} if retry_after is None else {"Retry-After": str(retry_after)})

    @classmethod
    def unavailable(cls) -> Fault:
        """Build nginx's 503 page for too many requests: ``limit_req`` gives no hint (contract section 6)."""
        return cls.http(503, _NGINX_PAGE, {"Server": "nginx/1.22.1", "Content-Type": "text/html"})

    @classmethod
    def session_expired(cls) -> Fault:
        """Build the 401 of a gateway whose own session has expired; the user's key is good (contract section 6)."""
        return cls.http(401, {"detail": "Not authenticated"})

    @classmethod
    def too_many_jobs(cls) -> Fault:
        """Build the 429 to a submit while too many generations are under way (contract section 6)."""
        return cls.http(429, {"detail": "Too many concurrent generations"})

    @classmethod
    def first_rows(cls, most: int) -> Fault:
        """Build the right answer to a batch query, with the rows of the first *most* ids that the relay knows."""
        return cls(most_rows=most)

    @classmethod
    def saturated(cls) -> Fault:
        """Build the 403 that means load: the upstream is saturated."""
        message = '{"code":"upstream_load_saturated","message":"当前分组上游负载已饱和，请稍后再试"}'
        return cls.http(403, {"error": {"message": message, "type": "upstream_error", "code": "fail_to_fetch_task"}})

    @classmethod
    def error_inside_200(cls, code: str | int = 400, message: str = "fail_to_fetch_task") -> Fault:
        """Build an error inside a successful answer."""
        return cls.http(200, {"code": code, "message": message})

    @classmethod
    def html_page(cls, status: int = 200) -> Fault:
        """Build the web page that some gateways and CDNs send instead of JSON."""
        return cls.http(status, _PAGE, {"Content-Type": "text/html; charset=utf-8"})

    @classmethod
    def connection_reset(cls) -> Fault:
        """Build a reset. After the reset of a reused connection aiohttp retries a GET once, and may hide it."""
        return cls(reset=True)

    @classmethod
    def lost_answer(cls) -> Fault:
        """Build the worst case of a submit: the relay executes it, and resets the connection."""
        return cls(reset=True, takes=True)

    @classmethod
    def another_task(cls) -> Fault:
        """Build an answer about a task that is not in the request."""
        return cls(stranger=True)

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """Build the right answer, late by *seconds* real seconds."""
        return cls(delay=seconds)

    @classmethod
    def cut_body(cls, after: int = 20) -> Fault:
        """Build the right answer, cut *after* this number of bytes of its body."""
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
    """The queue of faults, used up one by one in the order of ``add``."""

    _entries: list[_Entry] = field(factory=list, init=False)

    def add(self, fault: Fault, *, times: int | None, task_id: str | None, on: Kind | None) -> None:
        """Append *fault* to the queue."""
        if times is not None and times < 1:
            raise ValueError(f"times={times}: a fault has to come at least once")
        self._entries.append(_Entry(fault, times, task_id, on))

    def take(self, kind: Kind, task_ids: Iterable[str]) -> Fault | None:
        """Use up and return the first fault that fits a request."""
        entry = next((entry for entry in self._entries if entry.fits(kind, task_ids)), None)
        if entry is None:
            return None
        if entry.times is not None:
            entry.times -= 1
            if not entry.times:
                self._entries.remove(entry)
        return entry.fault

    def clear(self, task_id: str | None = None) -> None:
        """Drop all faults, or the faults of one task."""
        self._entries = [entry for entry in self._entries if task_id is not None and entry.task_id != task_id]
