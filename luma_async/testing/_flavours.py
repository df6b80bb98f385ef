"""What sets real gateways apart, one class for each flavour of the simulated relay (contract section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar, get_args

from luma_async.testing import _answers
from luma_async.testing._answers import LinkTo, Task
from luma_async.testing.exchange import Flavour, Kind, Reply

_PLAIN = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"


class Contract:
    """The contract's own gateway; each other flavour says what is different there."""

    routes: ClassVar[frozenset[Kind]] = frozenset({"look", "submit", "extend", "link", "batch"})
    """What it can be asked; anything else is an unknown path."""
    request_id_header: ClassVar[str | None] = "X-Oneapi-Request-Id"
    takes_bare_key: ClassVar[bool] = False
    """Whether a key without ``Bearer`` is good too."""
    redirects_posts: ClassVar[bool] = False
    """Whether a POST with a trailing slash is a 307; otherwise it is taken."""
    signs_methods: ClassVar[bool] = False
    """Whether links to media are good for GET only."""
    wraps: ClassVar[bool] = False
    """Whether answers are always wrapped; in other flavours the relay's ``envelope`` decides."""
    round_seconds: ClassVar[float] = 0.0
    """Relay seconds between two looks of the gateway at its upstream; 0 for one that looks at each poll."""
    allowed_origin: ClassVar[Mapping[str, str]] = {"Access-Control-Allow-Origin": "*"}
    """Headers of each answer to a request with an ``Origin``."""
    own_headers: ClassVar[Mapping[str, str]] = {}
    """Headers of each answer but a medium."""

    def preflight(self) -> Reply | None:
        """Answer OPTIONS with an ``Origin``; None where that is an unknown path."""
        allowed = {
            "Access-Control-Allow-Headers": "*, Authorization, Content-Type",
            "Access-Control-Allow-Methods": "GET,POST,PUT,DELETE,OPTIONS",
            "Access-Control-Max-Age": "43200",
        }
        return Reply(status=204, headers={**self.allowed_origin, **allowed})

    def head(self) -> Reply | None:
        """Answer HEAD; None for the headers that GET has (RFC 9110 section 9.3.2)."""
        return None

    def unknown_path(self, method: str, path: str) -> Reply:
        """Answer a request for something that it does not have."""
        return Reply.json(_answers.invalid_url(method, path), 404)

    def no_key(self, request_id: str) -> Reply:
        """Refuse a request without a key."""
        return _new_apis_refusal("未提供令牌", request_id)

    def wrong_key(self, request_id: str) -> Reply:
        """Refuse a key."""
        return _new_apis_refusal("无效的令牌", request_id)

    def no_task(self) -> Reply:
        """Answer that there is no such task."""
        return Reply.json(_answers.refusal("task_not_exist"), 400)

    def bad_request(self, reason: str) -> Reply:
        """Answer a body that is JSON, and not what the request needs."""
        return Reply.json(_answers.refusal("invalid_request", reason), 400)

    def bad_json(self, reason: str) -> Reply:
        """Answer a body that is not JSON."""
        return _as_text(_answers.refusal("invalid_request", reason))

    def refused_picture(self, link: Any) -> Reply | None:
        """Refuse a submit for the link to its picture; None where nobody looks at it."""
        return None

    def submitted(self, task: Task, link: LinkTo, *, wrapped: bool) -> Reply:
        """Answer a submit that was taken."""
        if wrapped:
            return Reply.json(_answers.enveloped(task.task_id))
        return Reply.json(_answers.submitted(task), 201)

    def row(self, task: Task, age: float | None, link: LinkTo) -> Any:
        """Return a task as a row of the gateway's database; an *age* of None is before its first round."""
        return _answers.row(task, age or 0.0, link)

    def one(self, task: Task, age: float | None, link: LinkTo, *, wrapped: bool) -> Reply:
        """Answer a poll of one task."""
        if wrapped:
            return Reply.json(_answers.enveloped(self.row(task, age, link)))
        return Reply.json(_answers.generation(task, age or 0.0, link))

    def many(self, found: Sequence[tuple[Task, float | None, LinkTo]], *, asked: bool, wrapped: bool) -> Reply:
        """Answer a batch query; *asked* is whether it named any id: without a match, data is null then."""
        if not wrapped:
            return Reply.json([_answers.generation(task, age or 0.0, link) for task, age, link in found])
        rows = [self.row(*each) for each in found]
        return Reply.json(_answers.enveloped(rows or (None if asked else [])))


class LumaAPI(Contract):
    """Luma-API, in Go."""

    routes: ClassVar[frozenset[Kind]] = frozenset({"look", "submit", "extend", "link"})
    request_id_header = "X-Any2api-Request-Id"
    takes_bare_key = True
    allowed_origin: ClassVar[Mapping[str, str]] = {}

    def preflight(self) -> Reply | None:
        return None

    def head(self) -> Reply | None:
        return self.unknown_path("HEAD", "")

    def unknown_path(self, method: str, path: str) -> Reply:
        return Reply.of(b"404 page not found", "text/plain", 404)

    def no_key(self, request_id: str) -> Reply:
        return self.wrong_key(request_id)

    def wrong_key(self, request_id: str) -> Reply:
        return Reply.json({"detail": {"code": 1, "reason": "unauthorized secret token"}}, 401)

    def no_task(self) -> Reply:
        return Reply.json({"detail": "Generation not found"}, 404)

    def bad_json(self, reason: str) -> Reply:
        return _as_text({"detail": {"code": 1, "reason": reason}})

    def refused_picture(self, link: Any) -> Reply | None:
        if not isinstance(link, str) or not link or link.startswith(("http://", "https://", "data:image/")):
            return None
        scheme = link.partition(":")[0] if ":" in link else ""
        return Reply.json({"detail": f'Get "{link[:_LONGEST_LINK]}": unsupported protocol scheme "{scheme}"'}, 500)


_LONGEST_LINK = 1000
_CONSOLE = (
    '<!doctype html>\n<html lang="zh"><head><meta charset="utf-8"><title>New API</title></head>'
    '<body><div id="root"></div></body></html>\n'
)


class NewAPI(Contract):
    """new-api of 2025: rows of nine keys, which it brings up to date every 15 seconds."""

    routes: ClassVar[frozenset[Kind]] = frozenset({"look", "submit", "batch"})
    takes_bare_key = True
    redirects_posts = True
    signs_methods = True
    wraps = True
    round_seconds = 15.0

    def preflight(self) -> Reply | None:
        allowed = {
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Headers": "*",
            "Access-Control-Allow-Methods": "GET,POST,PUT,DELETE,OPTIONS",
            "Access-Control-Max-Age": "43200",
        }
        return Reply(status=204, headers={**self.allowed_origin, **allowed})

    def head(self) -> Reply | None:
        return Reply.of(_CONSOLE.encode(), _HTML)

    def unknown_path(self, method: str, path: str) -> Reply:
        if path.startswith(("/v1", "/api", "/assets")):
            return super().unknown_path(method, path)
        return Reply.of(_CONSOLE.encode(), _HTML)

    def row(self, task: Task, age: float | None, link: LinkTo) -> Any:
        return _answers.row_of_2025(task, age, link)


class NewAPI2026(NewAPI):
    """new-api of 2026: its rows have more fields."""

    def row(self, task: Task, age: float | None, link: LinkTo) -> Any:
        return _answers.row_of_2026(task, age, link)


class _OnExpress(Contract):
    """What servers written with Express have in common."""

    request_id_header = None

    def unknown_path(self, method: str, path: str) -> Reply:
        return _express_page(404, f"Cannot {method} {path}")

    def no_key(self, request_id: str) -> Reply:
        return self.wrong_key(request_id)


class Express(_OnExpress):
    """A relay for Luma's own API, written with Express."""

    own_headers: ClassVar[Mapping[str, str]] = {"X-Powered-By": "Express"}
    routes: ClassVar[frozenset[Kind]] = frozenset({"look", "submit"})

    def wrong_key(self, request_id: str) -> Reply:
        return _failure("Unauthorized", 401)

    def no_task(self) -> Reply:
        return _failure("Generation not found", 404)

    def bad_request(self, reason: str) -> Reply:
        return _failure(reason, 400)

    def bad_json(self, reason: str) -> Reply:
        return _express_page(400, "Bad Request")

    def submitted(self, task: Task, link: LinkTo, *, wrapped: bool) -> Reply:
        return Reply.json({"success": True, "data": _answers.official(task, 0.0, link)})

    def one(self, task: Task, age: float | None, link: LinkTo, *, wrapped: bool) -> Reply:
        found = _answers.official(task, age or 0.0, link)
        video = found["assets"] and found["assets"]["video"]
        normal = {"normalizedAssetUrl": video, "normalizedAssetType": "video" if video else "image"}
        return Reply.json({"success": True, "data": {**found, **normal}})


class LiteLLM(Contract):
    """LiteLLM, which passes requests on to another relay."""

    request_id_header = "x-litellm-call-id"

    def preflight(self) -> Reply | None:
        allowed = {
            "Access-Control-Allow-Headers": "*, Authorization, Content-Type",
            "Access-Control-Allow-Methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
            "Access-Control-Max-Age": "600",
            "Content-Type": _PLAIN,
        }
        return Reply(body=b"OK", headers={**self.allowed_origin, **allowed})

    def unknown_path(self, method: str, path: str) -> Reply:
        return Reply.json({"detail": "Not Found"}, 404)

    def no_key(self, request_id: str) -> Reply:
        return _litellms_refusal("No api key passed in.")

    def wrong_key(self, request_id: str) -> Reply:
        return _litellms_refusal("Invalid proxy server token passed.")

    def one(self, task: Task, age: float | None, link: LinkTo, *, wrapped: bool) -> Reply:
        if wrapped:
            return super().one(task, age, link, wrapped=wrapped)
        return Reply.json({"thumbnail": None, "last_frame": None, **_answers.generation(task, age or 0.0, link)})


class WebProxy(_OnExpress):
    """A web app's own proxy in front of a relay, written with Express."""

    def wrong_key(self, request_id: str) -> Reply:
        return Reply.json(_answers.refusal("token_check", "Error: 无访问权限 | No access rights"), 423)

    def bad_json(self, reason: str) -> Reply:
        return _express_page(400, "Bad Request")


_CLASSES: tuple[type[Contract], ...] = (Contract, LumaAPI, NewAPI, NewAPI2026, Express, LiteLLM, WebProxy)
FLAVOURS: Mapping[str, Contract] = {name: flavour() for name, flavour in zip(get_args(Flavour), _CLASSES, strict=True)}


def _new_apis_refusal(message: str, request_id: str) -> Reply:
    return Reply.json({"error": {"message": f"{message} (request id: {request_id})", "type": "new_api_error"}}, 401)


def _failure(error: str, status: int) -> Reply:
    """Refuse a request as the relay on Express does."""
    return Reply.json({"success": False, "error": error}, status)


def _litellms_refusal(message: str) -> Reply:
    error = {"message": f"Authentication Error, {message}", "type": "auth_error", "param": "None", "code": "401"}
    return Reply.json({"error": error}, 401)


def _as_text(value: Any) -> Reply:
    """Refuse a body in JSON that says it is plain text: so does a web framework of Go."""
    return Reply.of(Reply.json(value).body, _PLAIN, 400)


def _express_page(status: int, message: str) -> Reply:
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n'
        f"<body>\n<pre>{escape(message)}</pre>\n</body>\n</html>\n"
    )
    return Reply.of(page.encode(), _HTML, status)
