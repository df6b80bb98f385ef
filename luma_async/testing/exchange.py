"""One exchange of the simulated relay, without I/O: the request, its meaning, and the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote

from attrs import evolve, field, frozen

Kind = Literal["look", "batch", "submit", "extend", "link", "media", "unknown"]
"""The kind of a request: one poll, a batch, a submit, an extension, a clean link, a file, or an unknown path."""

Flavour = Literal["contract", "luma-api", "new-api", "new-api-2026", "express", "litellm", "web-proxy"]
"""A kind of gateway that was seen at work; ``contract`` answers as the contract's sections 1 to 4 say."""

_PARTS: dict[tuple[str, str], Kind] = {("POST", "extend"): "extend", ("GET", "download_video_url"): "link"}
"""Requests with a path below the path of a task."""


@frozen
class Target:
    """The meaning of a method and a path."""

    kind: Kind
    task_id: str | None = None
    file: str | None = None
    slash: bool = False
    """Whether the path ends with a slash that does not belong there; gateways understand it (contract section 6)."""

    @classmethod
    def of(cls, method: str, path: str) -> Target:
        """Read *path*, which is percent-encoded and without its query; HEAD means what GET means."""
        method = "GET" if method == "HEAD" else method
        plain = cls._read(method, path.removesuffix("/"))
        is_file = plain.kind in ("media", "unknown")
        return plain if is_file or not path.endswith("/") else evolve(plain, slash=True)

    @classmethod
    def _read(cls, method: str, path: str) -> Target:
        """Read a path of contract sections 1 to 3."""
        match method, [unquote(part) for part in path.split("/")]:
            case "GET", ["", "luma", "generations", task_id] if task_id:
                return cls("look", task_id)
            case "POST", ["", "luma", "tasks"]:
                return cls("batch")
            case "POST", ["", "luma", "generations"]:
                return cls("submit")
            case _, ["", "luma", "generations", task_id, part] if (method, part) in _PARTS:
                return cls(_PARTS[method, part], task_id)
            case "GET", ["", "media", task_id, file]:
                return cls("media", task_id, file)
            case _:
                return cls("unknown")


@frozen(kw_only=True)
class Asked:
    """A complete request."""

    method: str
    path: str
    """Percent-encoded, without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    """In any case; they contain the key."""
    body: bytes = b""
    target: Target
    now: float
    """Relay seconds."""

    @property
    def is_object(self) -> bool:
        """Whether the body is a JSON object."""
        return isinstance(self._value, dict)

    @property
    def document(self) -> Mapping[str, Any]:
        """The JSON object in the body; empty if there is none."""
        found = self._value
        return found if isinstance(found, dict) else {}

    @property
    def _value(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def ids(self) -> tuple[str, ...] | None:
        """The task ids in the request, each once; None for a batch query with something else than a list of ids."""
        if self.target.kind != "batch":
            return (self.target.task_id,) if self.target.task_id is not None else ()
        ids = self.document.get("ids")
        if ids is None and self.is_object:
            return ()
        if not isinstance(ids, list) or not all(isinstance(task_id, str) for task_id in ids):
            return None
        return tuple(dict.fromkeys(ids))


@frozen(kw_only=True)
class Reply:
    """A complete answer."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(factory=dict[str, str])

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Reply:
        """Build an answer with *value*, as relays do: Chinese is not escaped, only a lone surrogate is."""
        body = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
        return cls.of(body, "application/json; charset=utf-8", status)

    @classmethod
    def of(cls, body: bytes, content_type: str, status: int = 200) -> Reply:
        """Build an answer with *body* as it is."""
        return cls(status=status, body=body, headers={"Content-Type": content_type})


@frozen(kw_only=True)
class SeenRequest:
    """A request to the simulated relay, for assertions. It never contains the key."""

    kind: Kind
    method: str
    path: str
    """Percent-encoded, without the query."""
    task_ids: tuple[str, ...]
    """The tasks in the request; several in a batch query."""
    status: int | None
    """The HTTP status of the answer; None if the connection was reset instead."""
    at: float
    """When the request came, in relay seconds since the relay was created."""
    had_key: bool
    """Whether there was an ``Authorization`` header, right or wrong; a request for media must not have one."""
    headers: Mapping[str, str] = field(repr=False)
    """The request's headers, names in lower case, without ``authorization``."""

    @classmethod
    def of(cls, asked: Asked, status: int | None, *, key: str) -> SeenRequest:
        """Build the record of *asked*, without the key."""
        headers = {name.lower(): value.replace(key, "[key]") for name, value in asked.headers.items()}
        had_key = headers.pop("authorization", None) is not None
        return cls(
            kind=asked.target.kind,
            method=asked.method,
            path=asked.path.replace(key, "[key]"),
            task_ids=asked.ids or (),
            status=status,
            at=asked.now,
            had_key=had_key,
            headers=headers,
        )
