"""The values of a relay's answer about a generation: one class for each object of the contract (sections 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from html import escape
from typing import Any, Literal, NewType, TypeVar

from attrs import field, frozen

from luma_async._text import shown, without_media

Link = NewType("Link", str)
"""An absolute ``http`` or ``https`` URL, or a ``data:`` URL that holds the medium itself in base64.

Any other value of a link field becomes None and is listed in ``problems``.
"""

Role = Literal["video", "thumbnail", "last_frame"]
"""One of a generation's media."""


def _brief(value: object) -> str:
    """Return the repr of *value* with each ``data:`` link in it cut to 60 characters."""
    return without_media(repr(value))


class State(StrEnum):
    """The four states of the specification, and ``UNKNOWN`` for any other word."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether the state is final; an unknown word means *still running*."""
        return self in (State.COMPLETED, State.FAILED)


@frozen(kw_only=True)
class Palette:
    """The colours of a picture."""

    grid: str | None = None
    """Base64 text, unchanged."""


@frozen(kw_only=True)
class Image:
    """A still picture: the thumbnail or the last frame."""

    url: Link | None = field(default=None, repr=_brief)
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    palette: Palette | None = None
    media_type: str | None = None


@frozen(kw_only=True)
class Video:
    """The video; on some relays ``url`` has a watermark, and ``download_url`` has none."""

    url: Link | None = field(default=None, repr=_brief)
    download_url: Link | None = field(default=None, repr=_brief)
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    thumbnail: Image | None = None


@frozen(kw_only=True)
class RawVideo:
    """The video without a watermark."""

    url: Link | None = field(default=None, repr=_brief)
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    duration: float | None = None
    """Seconds."""
    media_type: str | None = None


_Medium = TypeVar("_Medium", Video, RawVideo, Image)


@frozen(kw_only=True)
class GenerationRequest:
    """The submitted prompt and options, as the relay repeats them."""

    prompt: str | None = None
    aspect_ratio: str | None = None
    """Such as ``16:9``."""


@frozen(kw_only=True)
class Assets:
    """The result in the form of the official API, which some relays copy."""

    video: Link | None = field(default=None, repr=_brief)


@frozen(kw_only=True)
class Artifact:
    """The same media, in one object."""

    video: Video | None = None
    thumbnail: Image | None = None
    video_raw: RawVideo | None = None
    last_frame: Image | None = None
    created_at: datetime | None = None
    """UTC; None if the relay sent Go's zero time."""


@frozen(kw_only=True, repr=False)
class Generation:
    """One answer about one task. Two generations are equal if all fields except ``raw`` are."""

    id: str
    """The task id of the poll."""
    state: State
    state_text: str
    """The relay's own word for the state."""
    video: Video | None = None
    request: GenerationRequest | None = None
    artifact: Artifact | None = None
    thumbnail: Image | None = None
    video_raw: RawVideo | None = None
    created_at: datetime | None = None
    """UTC; None if it is missing, unusable or not set."""
    last_frame: Image | None = None
    failure_reason: str | None = None
    """The relay's text, in full and not escaped: escape it before you show it."""
    prompt: str | None = None
    assets: Assets | None = None
    result_url: Link | None = None
    """The link in the row around the generation, or at another place of the answer."""
    failure_code: str | None = None
    """The relay's code for the failure, such as ``content_moderated``."""
    progress: float | None = None
    """The share that is done, 0 to 1, as the relay says."""
    queue_position: int | None = None
    submitted_at: datetime | None = None
    """When the relay took the task: UTC. The same for the other times; None for each that the relay does not give."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    problems: tuple[str, ...] = ()
    """Dotted places such as ``video.width``: fields that were present but unusable, and links that were guessed.

    If there is no link, they are the places of links that may or may not be the video.
    """
    raw: Mapping[str, Any] = field(factory=dict[str, Any], eq=False)
    """The relay's complete answer."""

    def __repr__(self) -> str:
        """Return one line of at most 120 characters, without any link (design, *What users write*)."""
        return _display_of(self).line()

    def _repr_html_(self) -> str:
        """Return the same for a notebook, with a link to the video; showing it loads nothing."""
        return _display_of(self).html(self.video_url)

    @property
    def is_terminal(self) -> bool:
        """Whether the generation has completed or failed."""
        return self.state.is_terminal

    @property
    def video_url(self) -> str | None:
        """The best link to the video, in the order of contract section 1, or None."""
        return self.link("video")

    def link(self, role: Role) -> str | None:
        """Return the best link to the medium *role*, or None.

        If the top-level object is missing or has no link, the object of the same name in ``artifact`` is used
        (contract section 1).
        """
        artifact = self.artifact or Artifact()
        video = _serving(self.video, artifact.video) or Video()
        if role == "video":
            raw = _serving(self.video_raw, artifact.video_raw) or RawVideo()
            assets = self.assets or Assets()
            return video.download_url or raw.url or video.url or assets.video or self.result_url
        image = _serving(getattr(self, role), getattr(artifact, role)) or Image()
        if role == "thumbnail":
            image = _serving(image, video.thumbnail) or Image()
        return image.url


def size_of(generation: Generation) -> tuple[int, int] | None:
    """Return width and height of the video in pixels, or None if the relay does not give both."""
    sizes = ((video.width or 0, video.height or 0) for video in _videos(generation))
    return next(((width, height) for width, height in sizes if min(width, height) > 0), None)


def duration_of(generation: Generation) -> float | None:
    """Return the length of the video in seconds, or None."""
    lengths = (video.duration or 0.0 for video in _videos(generation) if isinstance(video, RawVideo))
    return next((length for length in lengths if length > 0), None)


def _display_of(its: Generation) -> _Display:
    return _Display(its.id, its.state, size_of(its), duration_of(its), its.prompt)


def _videos(generation: Generation) -> list[RawVideo | Video]:
    artifact = generation.artifact or Artifact()
    videos = (generation.video_raw, artifact.video_raw, generation.video, artifact.video)
    return [video for video in videos if video]


def _serving(first: _Medium | None, second: _Medium | None) -> _Medium | None:
    """Return the first of the two that has a link."""
    return next((m for m in (first, second) if m and (m.url or getattr(m, "download_url", None))), None)


# --- at a prompt and in a notebook ---
_LONGEST = 120
"""Characters of a line."""
_LONGEST_ID = 40
_LONGEST_PROMPT = 300
"""Characters in a notebook."""
_MOST_WORDS = 100
"""Of a prompt, which may have megabytes: more than a line can hold."""
_SENSIBLE = 1_000_000
"""Pixels and seconds: more is not shown."""


@frozen
class _Display:
    """What a person sees of a generation."""

    task_id: str
    state: str
    size: tuple[int, int] | None
    """Width and height of the video in pixels."""
    seconds: float | None
    """The length of the video."""
    prompt: str | None

    def line(self) -> str:
        """Return a line of at most 120 characters: the id, the state, the video's size and seconds, and the prompt.

        Control characters are made visible. A word with ``://`` is left out, since a link opens the video to any
        reader of a log.
        """
        start = f"<Generation {' '.join((_middle_cut(self.task_id), *self._facts()))}"
        text = _without_links(self.prompt or "")
        room = _LONGEST - len(start) - len(" ''>")
        return f"{start} '{_end_cut(text, room)}'>" if text else f"{start}>"

    def html(self, link: str | None) -> str:
        """Return the same as HTML that loads nothing: escaped text, and *link* only if it is an ``https`` link."""
        parts = [f"<code>{escape(_middle_cut(self.task_id))}</code>", *map(escape, self._facts())]
        if link is not None and link.lower().startswith("https://"):
            parts.append(f'<a href="{escape(link)}" target="_blank" rel="noreferrer">video</a>')
        text = f"<br>{escape(shown(self.prompt, _LONGEST_PROMPT))}" if self.prompt else ""
        return f"<div>{' '.join(parts)}{text}</div>"

    def _facts(self) -> Iterator[str]:
        yield str(self.state)
        if self.size is not None and max(self.size) < _SENSIBLE:
            yield "{}x{}".format(*self.size)
        if self.seconds is not None and self.seconds < _SENSIBLE:
            yield f"{self.seconds:.1f}".removesuffix(".0") + " s"


def _middle_cut(task_id: object) -> str:
    text = _without_links(task_id)
    half = _LONGEST_ID // 2
    return text if len(text) <= _LONGEST_ID else f"{text[: half - 1]}…{text[-half:]}"


def _without_links(text: object) -> str:
    """Return the *text* of a generation, which a user's own code may have made of anything: a repr must not raise."""
    words = str(text).split(maxsplit=_MOST_WORDS)[:_MOST_WORDS]
    kept = (word for word in words if "://" not in word)
    return " ".join(shown(word, _LONGEST_PROMPT) for word in kept)


def _end_cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"
