"""Lines as a batch leaves them, each made of an answer as relays give it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from luma_async import GenerationFailedError, LumaError, Outcome, State, WaitTimeoutError, outcome_to_json
from luma_async._relay.tasks import read_task
from luma_async.models import Generation
from tests.kit import answer

_SUBMITTED = 1719819313
_CDN = "https://cdn.example/media"


@frozen(kw_only=True)
class Told:
    """What a relay and a wait tell of one task."""

    task_id: str = "luma_gen_1"
    prompt: str | None = "a sunrise, timelapse"
    status: str = "SUCCESS"
    queue: int | None = 12
    """Seconds; None for a relay whose rows hold no times."""
    processing: int | None = 41
    """Seconds; None while it lasts."""
    waited: float = 55.2
    polls: int = 9
    reason: str = ""
    size: tuple[int, int] = (1360, 752)
    links: dict[str, Any] | None = None
    """The media; None for the usual ones."""

    @property
    def row(self) -> dict[str, Any]:
        """The relay's answer."""
        started = 0 if self.queue is None else _SUBMITTED + self.queue
        finished = 0 if self.processing is None else started + self.processing
        return {
            "id": 13917,
            "task_id": self.task_id,
            "status": self.status,
            "fail_reason": self.reason,
            "submit_time": 0 if self.queue is None else _SUBMITTED,
            "start_time": started,
            "finish_time": finished,
            "data": {
                "id": self.task_id,
                "request": {"prompt": self.prompt, "aspect_ratio": "16:9"},
                "created_at": "2024-07-01T07:35:13.498000Z",
                **((self._media if self.links is None else self.links) if self.status == "SUCCESS" else {}),
            },
        }

    @property
    def _media(self) -> dict[str, Any]:
        width, height = self.size
        here = {"width": width, "height": height}
        return {
            "video_raw": {"url": f"{_CDN}/{self.task_id}.mp4", **here, "duration": 5.041667},
            "thumbnail": {"url": f"{_CDN}/{self.task_id}.jpg", **here},
        }

    @property
    def generation(self) -> Generation:
        """The generation in the answer."""
        return read_task(answer(self.row), self.task_id)

    @property
    def line(self) -> bytes:
        """The line that tells of it."""
        generation = self.generation
        if generation.state is State.COMPLETED:
            return _line(self, generation=generation)
        if generation.state is State.FAILED:
            return _line(self, error=GenerationFailedError(generation))
        late = WaitTimeoutError(self.task_id, waited=self.waited, last=generation, last_error=None)
        return _line(self, error=late)

    def lost(self, error: LumaError) -> bytes:
        """Return the line of a wait that saw no answer."""
        return _line(self, error=error)


def _line(told: Told, **came: Any) -> bytes:
    outcome = Outcome(task_id=told.task_id, elapsed=told.waited, polls=told.polls, **came)
    return f"{outcome_to_json(outcome)}\n".encode("ascii")
