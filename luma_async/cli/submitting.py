"""``luma-async submit``: prompts in, task ids out, each as soon as the relay has submitted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

from attrs import define, evolve, field, frozen

from luma_async._text import shown
from luma_async.cli.exit import Status, worst
from luma_async.cli.ids import Ids, texts_in
from luma_async.cli.naming import ResumeCommand, name_all
from luma_async.cli.options import Files, Output, Waiting
from luma_async.cli.output import OutputLostError, is_lost, say
from luma_async.cli.pauses import Pauses
from luma_async.cli.running import grace_period, is_stopping
from luma_async.cli.show import Show
from luma_async.cli.summary import Summary
from luma_async.cli.work import EarlierRuns, open_job, wait
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError, LumaError, RateLimitError, UncertainSubmitError
from luma_async.options import GenerationOptions

_UNKNOWN = "it is unknown whether the relay took these: look at its log"
_REFUSED = 400
"""Only a refusal in the HTTP status is certain enough to submit again (contract section 3)."""
_LAST_ANSWERS = 10.0
"""Seconds from a signal for submits without an answer: they are paid for, and only their answers have the ids."""


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
        """Yield the text of each line; blank lines and comments are skipped."""
        return texts_in(lines)

    def _is_new(self, task_id: str) -> bool:
        self._seen.add(task_id)
        return True


@frozen
class _Submit:
    """A prompt, with its task id or its error."""

    prompt: str
    task_id: str | None
    error: LumaError | None

    @property
    def uncertain(self) -> str | None:
        """The prompt, with what may be its id, if it is unknown whether the relay took it."""
        if not isinstance(self.error, UncertainSubmitError):
            return None
        ids = ", ".join(self.error.candidates)
        return f"{self.prompt} ({ids})" if ids else self.prompt


@define(eq=False, kw_only=True)
class Submissions(Ids):
    """The ids of submitted prompts as an async iterator, so that a wait can start with each as it arrives."""

    luma: LumaClient
    prompts: Prompts
    options: GenerationOptions
    at_once: int
    again: ResumeCommand
    """Goes on with the submitted ids."""
    _available: Iterator[str] = field(factory=lambda: iter(()), init=False)
    _taken: asyncio.Queue[str | Exception | None] = field(factory=asyncio.Queue, init=False)
    """Ids, then the error that ended the submits, or None."""
    _under_way: dict[asyncio.Task[None], str] = field(factory=dict, init=False)
    _held: dict[asyncio.Task[None], str] = field(factory=dict, init=False)
    """Prompts that the relay has refused for now."""
    _pauses: Pauses = field(factory=Pauses, init=False)
    _submitted: list[_Submit] = field(factory=list, init=False)

    async def __anext__(self) -> str:
        match await self._taken.get():
            case str(task_id):
                return task_id
            case None:
                raise StopAsyncIteration
            case error:
                raise error

    def remaining(self) -> list[str]:
        """Return the ids that no wait has started for."""
        left = [self._taken.get_nowait() for _ in range(self._taken.qsize())]
        return [task_id for task_id in left if isinstance(task_id, str)]

    @property
    def has_failed(self) -> bool:
        """Whether any submit has."""
        return any(each.error for each in self._submitted)

    @asynccontextmanager
    async def under_way(self, show: Show) -> AsyncGenerator[None]:
        """Submit the prompts and pass each result to *show*; however the block ends, no paid id is lost."""
        dispatcher = asyncio.create_task(self._dispatch(show))
        try:
            with grace_period(_LAST_ANSWERS + 1.0):
                try:
                    yield
                finally:
                    for task in (dispatcher, *self._held):
                        task.cancel()
                    await self._last_answers()
        finally:
            tasks = [dispatcher, *self._under_way, *self._held]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _dispatch(self, show: Show) -> None:
        slots = asyncio.Semaphore(self.at_once)
        try:
            while True:
                await slots.acquire()
                prompt = await anext(self.prompts, None)
                if prompt is None:
                    break
                task = asyncio.create_task(self._submit(prompt, slots, show))
                self._under_way[task] = prompt
                task.add_done_callback(lambda ended: self._under_way.pop(ended, None))
            if tasks := [*self._under_way, *self._held]:
                await asyncio.wait(tasks)
        except LumaError as error:
            self._taken.put_nowait(error)
        self._taken.put_nowait(None)

    async def _submit(self, prompt: str, slots: asyncio.Semaphore, show: Show) -> None:
        task_id, error = None, None
        try:
            task_id = await self._submit_in_turn(prompt)
        except LumaError as trouble:
            error = trouble
        finally:
            slots.release()
        submitted = _Submit(prompt, task_id, error)
        self._submitted.append(submitted)
        try:
            await show.submitted(prompt, task_id, error)
        except OutputLostError as lost:
            self._name([submitted])
            self._taken.put_nowait(lost)
        else:
            if task_id is not None:
                self._taken.put_nowait(task_id)

    async def _submit_in_turn(self, prompt: str) -> str:
        """Submit *prompt*, after pauses where the relay says that there are too many requests or jobs for now."""
        while True:
            try:
                task_id = await self.luma.submit(prompt, self.options)
            except RateLimitError as refusal:
                if refusal.status < _REFUSED or is_stopping():
                    raise
                trouble = refusal
            else:
                self._pauses.submitted()
                return task_id
            task = cast("asyncio.Task[None]", asyncio.current_task())
            self._held[task] = self._under_way.pop(task)
            await self._pauses.after(trouble)
            self._under_way[task] = self._held.pop(task)

    def _name(self, submitted: list[_Submit]) -> None:
        """Name submits that may be paid for."""
        paid = [each.task_id for each in submitted if each.task_id is not None]
        name_all("submitted, and not written to standard output", paid, self.again)
        name_all(_UNKNOWN, [each.uncertain for each in submitted if each.uncertain])

    async def _last_answers(self) -> None:
        if not self._under_way:
            return
        say(f"{len(self._under_way)} submitted: waiting {_LAST_ANSWERS:g} s for their ids; Ctrl-C gives them up")
        try:
            await asyncio.wait(self._under_way, timeout=_LAST_ANSWERS)
        finally:
            name_all(_UNKNOWN, self._under_way.values())

    @contextmanager
    def losses_named(self) -> Generator[None]:
        """Name what an early end would lose: prompts that were not submitted, and submits on a closed terminal."""
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        try:
            yield
        finally:
            if on_terminal and is_lost(sys.stdout):
                self._name(self._submitted)
            if is_stopping():
                name_all("not submitted", [*self._held.values(), *self.prompts.remaining()])


async def submit(  # noqa: PLR0913 - what the command line gives
    submissions: Submissions,
    waiting: Waiting | None,
    files: Files | None,
    *,
    earlier: EarlierRuns | None,
    output: Output,
    summary: Summary,
) -> Status:
    """Submit, wait for the generations unless *waiting* is None, and return the exit status."""
    opening = open_job(
        submissions.luma,
        submissions,
        output if waiting is not None else evolve(output, as_json=True),
        stores=files is not None,
        waits=waiting is not None,
        earlier=earlier,
        summary=None if waiting is None else summary,
        again=submissions.again,
    )
    with submissions.losses_named():
        async with opening as job:
            async with submissions.under_way(job.show):
                if waiting is not None:
                    await wait(job, waiting, files)
                else:
                    async for _ in job.ids:
                        """Each has been shown."""
            return worst([job.show.board.status, Status.ERROR if submissions.has_failed else Status.DONE])
