"""Shows a generation at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from attrs import frozen

from luma_async._text import shown

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
class Display:
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
