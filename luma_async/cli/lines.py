"""Results for a person at a terminal: one line for each id, and the reason where there is no video."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from attrs import field, frozen
from rich.console import Console
from rich.style import Style
from rich.text import Text

from luma_async._records import NO_FILES, StoredFiles
from luma_async._text import shown
from luma_async.cli.durations import spelled
from luma_async.cli.ends import word_of
from luma_async.cli.exit import Status, status_of
from luma_async.cli.fitting import fitted_id, fitted_words
from luma_async.cli.output import in_option_names
from luma_async.errors import LumaError
from luma_async.models import Generation
from luma_async.outcomes import Outcome

_COLOURS = {Status.DONE: "green", Status.FAILED: "red", Status.UNFINISHED: "yellow", Status.ERROR: "red"}
_CONSOLE = "linux"
"""The name of a terminal that prints a link's codes as text."""
_TIME = 12
"""Columns of the longest usual time, such as ``10 min 20 s``, with a blank."""
_WORD = 10
"""Columns of how an id ended, with a blank."""
_USUAL_ID = 36
"""Columns: a longer id than a UUID leaves half of the line to others."""
_CLICKABLE = 20
"""Columns. A narrower terminal has no room for a word to click on."""
_LEAST_NAME = 8
"""Columns of a file or prompt, of which less says nothing."""
_LONGEST_TEXT = 5000
"""Characters of an error: that of a submit may hold the id."""
_LONGEST_DATA = 60
"""Characters of a link that holds the video itself."""
_LONGEST_LINK = 8192
"""Characters: a presigned link has a few hundred, and a shortened link is useless."""


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _prompt_of(generation: Generation | None) -> str:
    if generation is None:
        return ""
    return generation.prompt or (generation.request and generation.request.prompt) or ""


@frozen
class HumanForm:
    """Lines on a terminal. Text of a relay or a user is never read as markup."""

    console: Console = field(factory=_console)
    shows_age: bool = False
    """Whether the time of a line is since the task was created, as far as the relay says when."""

    def outcome(self, outcome: Outcome, stored: StoredFiles = NO_FILES) -> str:
        """Return one line: how it ended, time, id, and the file or the prompt; an error or more files take more."""
        status = status_of(outcome)
        start = Text.assemble(
            (f"{word_of(status, outcome):<{_WORD}}", _COLOURS[status]), f"{self._time(outcome):>{_TIME - 2}}  "
        )
        room = self.console.width - start.cell_len
        name = fitted_id(shown(outcome.task_id, _LONGEST_LINK), max(_LEAST_NAME, min(room, max(_USUAL_ID, room // 2))))
        line = Text.assemble(start, name)
        files = [file.path for file in stored.values() if file]
        if outcome.error is not None:
            return self._with_reason(line, outcome.error) + self._below(files)
        return self._with_medium(line, outcome, next(iter(files), None)) + self._below(files[1:])

    @property
    def _has_links(self) -> bool:
        return self.console.color_system is not None and os.environ.get("TERM") != _CONSOLE

    def _style(self, target: str) -> Style:
        """Return a style with a link to *target*, where the terminal knows links."""
        return Style(link=(self._has_links and target) or None)

    def _below(self, files: Iterable[Path]) -> str:
        """Return a line for each of *files*."""
        return "".join(
            self._text(Text(" " * _WORD).append(shown(file, _LONGEST_LINK), self._style(file.absolute().as_uri())))
            for file in files
        )

    def _time(self, outcome: Outcome) -> str:
        if not self.shows_age:
            return spelled(outcome.elapsed)
        created = outcome.generation and outcome.generation.created_at
        return spelled(max((datetime.now(UTC) - created).total_seconds(), 0.0)) if created else ""

    def submission(self, prompt: str, task_id: str | None, error: LumaError | None, name: str | None = None) -> str:
        """Return one line with the id, which is never cut, and the name, else the prompt; or the error."""
        if task_id is not None:
            line = Text(f"submitted {shown(task_id, _LONGEST_LINK)}")
            self._add(line, shown(name or prompt), Style())
            return self._text(line)
        line = Text.assemble(("error     ", "red"), shown(name or prompt))
        return self._text(line) if error is None else self._with_reason(line, error)

    def _with_reason(self, line: Text, error: LumaError) -> str:
        """Add the whole text of *error*: on the same line if that has room, else wrapped between words below."""
        advice = f" ({error.advice})" if error.advice else ""
        reason = Text(shown(in_option_names(f"{error.summary}{advice}"), _LONGEST_TEXT))
        if line.cell_len + 2 + reason.cell_len < self.console.width:
            return self._text(Text.assemble(line, "  ", reason))
        wrapped = reason.wrap(self.console, max(_LEAST_NAME, self.console.width - _WORD - 1))
        return self._text(Text("\n").join([line, *(Text.assemble(" " * _WORD, part) for part in wrapped)]))

    def _with_medium(self, line: Text, outcome: Outcome, stored: Path | None) -> str:
        """Add the file, else the prompt, with a link to click on; a terminal without such links gets it as text."""
        generation = outcome.generation
        link = (generation and generation.video_url) or ""
        is_inside = link.startswith("data:")
        is_safe = not is_inside and link.isascii() and link.isprintable() and len(link) <= _LONGEST_LINK
        target = stored.absolute().as_uri() if stored is not None else link if is_safe else ""
        prompt = _prompt_of(generation) or ("video" if link else "")
        if stored is not None:
            return self._text(self._add(line, shown(stored, _LONGEST_LINK), self._style(target), is_name=True))
        self._add(line, shown(prompt), self._style(target))
        if link and (not self._has_links or not is_safe or self.console.width < _CLICKABLE):
            line.append(f"\n{' ' * _WORD}{shown(link, _LONGEST_DATA if is_inside else _LONGEST_LINK)}")
        return self._text(line)

    def _add(self, line: Text, text: str, style: Style, *, is_name: bool = False) -> Text:
        """Add as much of *text* to *line* as there is room for."""
        room = self.console.width - line.cell_len - 2
        fitted = fitted_id(text, room) if is_name else fitted_words(text, room)
        if room >= _LEAST_NAME and fitted:
            line.append("  ").append(fitted, style)
        return line

    def _text(self, line: Text) -> str:
        """Return *line* with the terminal's own codes for colours and links."""
        with self.console.capture() as captured:
            self.console.print(line, soft_wrap=True)
        return captured.get()
