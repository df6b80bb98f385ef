"""Real answers of relays, and short ways to make others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import define, frozen
from multidict import CIMultiDict

from luma_async import RateLimitError
from luma_async._relay.answer import Answer, request_id_in
from luma_async.errors import Verdict

KEY = "sk-test-0123456789"
TASK_ID = "4665a07c-7641-4809-a133-10786201bb56"

_SAMPLES = Path(__file__).parent / "samples"


@frozen
class Sample:
    """One real answer, and the request that it answered."""

    request: str
    status: int
    headers: dict[str, str]
    body: Any
    """Text is those very characters; anything else is JSON."""

    @property
    def content(self) -> bytes:
        """The body as it came."""
        return as_bytes(self.body)

    @property
    def answer(self) -> Answer:
        """What the pure rooms see of it."""
        return Answer(
            status=self.status,
            body=self.content,
            content_type=self.headers.get("Content-Type", ""),
            retry_after=self.headers.get("Retry-After"),
            request_id=request_id_in(CIMultiDict(self.headers)),
        )


@define
class Clock:
    """A clock that a test sets, in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def sample_names() -> list[str]:
    """Return the names of all samples."""
    return sorted(path.stem for path in _SAMPLES.glob("*.json"))


def sample(name: str) -> Sample:
    """Return the sample *name*, such as ``get__completed__minimal``."""
    return Sample(**json.loads((_SAMPLES / f"{name}.json").read_text(encoding="utf-8")))


def answer(body: Any = "", status: int = 200, content_type: str = "application/json", **rest: Any) -> Answer:
    """Return an answer with *body*: text and bytes as they are, anything else as JSON."""
    return Answer(status=status, body=as_bytes(body), content_type=content_type, **rest)


def as_bytes(body: Any) -> bytes:
    """Return *body* as it goes over the wire."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode("utf-8", "surrogatepass")


def limited() -> RateLimitError:
    """Return a 429."""
    return RateLimitError("no", status=429, verdict=Verdict.SLOW_DOWN)
