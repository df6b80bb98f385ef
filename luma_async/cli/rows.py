"""Where the rows of a submit come from: prompts as arguments, then the rows of a manifest, or more prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Self

from attrs import define, evolve, field

from luma_async._text import shown
from luma_async.cli.ids import Ids, no_ids, texts_in
from luma_async.cli.manifests import Row, is_manifest, looks_like_rows, read_manifest
from luma_async.cli.naming import LONGEST_NAME, ResumeCommand, name_all
from luma_async.cli.output import say
from luma_async.errors import ConfigurationError
from luma_async.options import GenerationOptions, submit_fields


class Prompts(Ids):
    """Prompts as an async iterator; a prompt that appears twice is submitted twice."""

    what = "prompts"

    @staticmethod
    def warn_of_file(name: str) -> None:
        """Refuse the name of a file as a prompt: a video of it costs money."""
        raise ConfigurationError(
            f"{shown(name)} is a file", advice=f"to read prompts from it, give --from {shown(name)}"
        )

    def texts_in(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the text of each line; blank lines, also of Unicode's blanks, and comments are skipped.

        Raises:
            ConfigurationError: A line is a row of a manifest, or its header: a video of it would cost money.
        """
        for text in filter(str.strip, texts_in(lines)):
            if looks_like_rows(text):
                raise ConfigurationError(
                    f"{shown(text, 60)} is a row of a manifest, and no prompt",
                    advice="give --from a file whose name ends in .csv or .jsonl",
                )
            yield text

    def _is_new(self, task_id: str) -> bool:
        self._seen.add(task_id)
        return True


def _reads_back(prompt: str) -> bool:
    """Whether *prompt*, as it is named, is this prompt for another run, as an argument and as a line."""
    with suppress(ConfigurationError):
        lines = [shown(prompt, LONGEST_NAME)]
        return [*Prompts(iter(())).texts_in(lines)] == [prompt]
    return False


def _check_argument(number: int, prompt: str, options: GenerationOptions) -> None:
    try:
        submit_fields(prompt, options)
    except ConfigurationError as error:
        raise ConfigurationError(f"PROMPT {number}: {error.summary}", advice=error.advice) from None


@define(eq=False)
class Rows:
    """Rows as an async iterator, each with its number among equal ones."""

    _options: GenerationOptions
    """Of all rows, unless a row has others."""
    _prompts: Prompts | None
    _manifest: Iterator[Row] = field(factory=lambda: iter(()))
    _equal: Counter[str] = field(factory=Counter, init=False)

    @classmethod
    def of(cls, given: Iterable[str], path: str | None, options: GenerationOptions) -> Self:
        """Return a row for each prompt *given*, then those of the file at *path*; without any, of standard input.

        Raises:
            ConfigurationError: The file cannot be read, a prompt or a row of a manifest cannot work, or there is none.
        """
        given = tuple(given)
        for number, prompt in enumerate(given, 1):
            _check_argument(number, prompt, options)
        if path is None or not is_manifest(path):
            return cls(options, Prompts.of(given, path))
        rows = read_manifest(path, options)
        if not (given or rows):
            raise no_ids(Prompts.what)
        return cls(options, Prompts.of(given, None) if given else None, iter(rows))

    def known(self) -> list[Row] | None:
        """Return all rows, before any is taken up; None of a pipe, whose end may be hours away.

        Raises:
            ConfigurationError: The file with prompts cannot be read, or has rows of a manifest.
        """
        prompts: list[str] | None = [] if self._prompts is None else self._prompts.known()
        rows = list(self._manifest)
        self._manifest = iter(rows)
        if prompts is None:
            return None
        return [*self._numbered([*(Row(prompt, self._options) for prompt in prompts), *rows], Counter())]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        prompt = None if self._prompts is None else await anext(self._prompts, None)
        row = next(self._manifest, None) if prompt is None else Row(prompt, self._options)
        if row is None:
            raise StopAsyncIteration
        return next(self._numbered([row], self._equal))

    def remaining(self) -> list[Row]:
        """Return the rows that were not taken up, without waiting for more of a pipe."""
        prompts = [] if self._prompts is None else self._prompts.remaining()
        return [*(Row(prompt, self._options) for prompt in prompts), *self._manifest]

    def name_rest(self, rows: list[Row], command: ResumeCommand) -> None:
        """Name the prompts of *rows*, with the *command* that submits exactly these rows, or why there is none."""
        reason = self._obstacle(rows)
        is_cut = self._prompts is not None and self._prompts.is_pipe
        name_all(
            f"not submitted{', of what was read of standard input' if is_cut else ''}",
            [row.prompt for row in rows],
            None if reason else command,
        )
        if reason:
            say(f"no command goes on with these: {reason}")

    def _obstacle(self, rows: list[Row]) -> str | None:
        """Return why no command line can submit exactly *rows*."""
        if any(row.options != self._options or row.name is not None for row in rows):
            return "leave only these rows in the manifest, and start the same command"
        if not all(_reads_back(row.prompt) for row in rows):
            return f"one has line breaks, is longer than {LONGEST_NAME} characters, or would not be read as a prompt"
        return None

    @staticmethod
    def _numbered(rows: Iterable[Row], equal: Counter[str]) -> Iterator[Row]:
        for row in rows:
            nth = 1
            with suppress(ConfigurationError):  # it will be an error of its own
                equal[row.sha256] += 1
                nth = equal[row.sha256]
            yield evolve(row, nth=nth)
