"""What ``luma-async submit`` does: prompts in, task ids out, each told as soon as the relay has given it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from attrs import define, field, frozen

from luma_async.cli.exit import Status, worst
from luma_async.cli.ids import Ids, texts_in
from luma_async.cli.naming import LineToGoOn, name_all
from luma_async.cli.options import Files, Waiting
from luma_async.cli.output import OutputLostError, is_lost, say
from luma_async.cli.running import is_stopping, patience
from luma_async.cli.show import Show
from luma_async.cli.summary import Summary
from luma_async.cli.work import Job, Kept, fetch, open_job, wait
from luma_async.client import LumaClient
from luma_async.errors import LumaError, UncertainSubmitError
from luma_async.options import GenerationOptions

_UNKNOWN = "it is unknown whether the relay took these: look at its log"
_LAST_ANSWERS = 10.0
"""Seconds that a signal leaves to submits under way: what they ask for is paid for, and their answers have its ids."""


class Prompts(Ids):
    """Prompts as an async iterator; one that comes twice is meant twice."""

    texts_in = staticmethod(texts_in)
    what = "prompts"

    def _is_new(self, task_id: str) -> bool:
        self._seen.add(task_id)
        return True


@frozen
class _Answered:
    """A prompt, and what became of it."""

    prompt: str
    task_id: str | None
    error: LumaError | None

    @property
    def unsure(self) -> str | None:
        """The prompt, with what may be its id, if it is unknown whether the relay took it."""
        if not isinstance(self.error, UncertainSubmitError):
            return None
        ids = ", ".join(self.error.candidates)
        return f"{self.prompt} ({ids})" if ids else self.prompt


@define(eq=False, kw_only=True)
class Submissions(Ids):
    """The ids of what is submitted, as an async iterator: what takes ids can take them as they come."""

    luma: LumaClient
    prompts: Prompts
    options: GenerationOptions
    at_once: int
    again: LineToGoOn
    """Goes on with what was submitted."""
    show: Show | None = field(default=None, init=False)
    failures: int = field(default=0, init=False)
    _at_hand: Iterator[str] = field(factory=lambda: iter(()), init=False)
    _taken: asyncio.Queue[str | Exception | None] = field(factory=asyncio.Queue, init=False)
    """Ids, then what ended everything, or None."""
    _under_way: dict[asyncio.Task[None], str] = field(factory=dict, init=False)
    _answered: list[_Answered] = field(factory=list, init=False)

    async def __anext__(self) -> str:
        match await self._taken.get():
            case str(task_id):
                return task_id
            case None:
                raise StopAsyncIteration
            case error:
                raise error

    def rest(self) -> list[str]:
        """Return the ids that nobody has taken up."""
        left = [self._taken.get_nowait() for _ in range(self._taken.qsize())]
        return [task_id for task_id in left if isinstance(task_id, str)]

    @asynccontextmanager
    async def under_way(self, show: Show) -> AsyncGenerator[None]:
        """Submit the prompts, and tell *show* of each; whatever ends the block, no id that was paid for is lost."""
        self.show = show
        dispatcher = asyncio.create_task(self._dispatch())
        try:
            with patience(_LAST_ANSWERS + 1.0):
                try:
                    yield
                finally:
                    dispatcher.cancel()
                    await self._last_answers()
        finally:
            await _gone([dispatcher, *self._under_way])

    async def _dispatch(self) -> None:
        slots = asyncio.Semaphore(self.at_once)
        try:
            while True:
                await slots.acquire()
                prompt = await anext(self.prompts, None)
                if prompt is None:
                    break
                task = asyncio.create_task(self._submit(prompt, slots))
                self._under_way[task] = prompt
                task.add_done_callback(self._under_way.pop)
            if self._under_way:
                await asyncio.wait(list(self._under_way))
        except LumaError as error:
            self._taken.put_nowait(error)
        self._taken.put_nowait(None)

    async def _submit(self, prompt: str, slots: asyncio.Semaphore) -> None:
        task_id, error = None, None
        try:
            task_id = await self.luma.submit(prompt, self.options)
        except LumaError as trouble:
            self.failures += 1
            error = trouble
        finally:
            slots.release()
        await self._tell(_Answered(prompt, task_id, error))

    async def _tell(self, answered: _Answered) -> None:
        """Tell of a submit; where standard output takes nothing more, standard error has to."""
        self._answered.append(answered)
        try:
            await self.show.submitted(answered.prompt, answered.task_id, answered.error)  # type: ignore[union-attr] # the block has set it
        except OutputLostError as lost:
            self._name([answered])
            self._taken.put_nowait(lost)
        else:
            if answered.task_id is not None:
                self._taken.put_nowait(answered.task_id)

    def _name(self, answered: list[_Answered]) -> None:
        """Name what may be paid for."""
        paid = [each.task_id for each in answered if each.task_id is not None]
        name_all("submitted, and not told on standard output", paid, self.again)
        name_all(_UNKNOWN, [each.unsure for each in answered if each.unsure])

    async def _last_answers(self) -> None:
        if not self._under_way:
            return
        say(f"{len(self._under_way)} submitted: waiting {_LAST_ANSWERS:g} s for their ids; Ctrl-C gives them up")
        try:
            await asyncio.wait(self._under_way, timeout=_LAST_ANSWERS)
        finally:
            name_all(_UNKNOWN, self._under_way.values())

    @contextmanager
    def accounted_for(self) -> Generator[None]:
        """Name what a premature end would lose: prompts that were not submitted, and what a closed terminal showed."""
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        try:
            yield
        finally:
            if on_terminal and is_lost(sys.stdout):
                self._name(self._answered)
            if is_stopping():
                name_all("not submitted", self.prompts.rest())


async def _gone(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def submit(  # noqa: PLR0913 - what the command line gives
    submissions: Submissions,
    *,
    waiting: Waiting,
    files: Files | None,
    kept: Kept | None,
    waits: bool,
    as_json: bool,
    summary: Summary,
) -> Status:
    """Submit, and wait for what was submitted if that is wanted; return the exit status."""
    work = _work_of(waiting, files, waits=waits)
    opening = open_job(
        submissions,
        None,
        submissions.luma,
        as_json=as_json or not waits,
        kept=kept,
        summary=summary if waits else None,
        again=submissions.again,
    )
    with submissions.accounted_for():
        async with opening as job:
            async with submissions.under_way(job.show):
                await work(job)
            return worst([job.show.board.status, Status.ERROR if submissions.failures else Status.DONE])


def _work_of(waiting: Waiting, files: Files | None, *, waits: bool) -> Callable[[Job], Awaitable[None]]:
    if files is not None:
        return partial(fetch, waiting=waiting, files=files)
    return partial(wait, waiting=waiting) if waits else _only_submit


async def _only_submit(job: Job) -> None:
    async for _ in job.ids:
        pass
