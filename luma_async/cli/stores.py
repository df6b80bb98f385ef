"""``wait --store``: the outcomes of a run in a store of the user's, such as a table."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Self, cast

from attrs import frozen

from luma_async._text import shown
from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids
from luma_async.cli.show import Board
from luma_async.errors import ConfigurationError, JournalError
from luma_async.journal import OutcomeStore, has_ended
from luma_async.outcomes import Outcome


@frozen
class Store:
    """A store of the user's; what it raises becomes an error of ours."""

    store: OutcomeStore
    name: str

    @classmethod
    def of(cls, store: object, name: str) -> Self:
        """Check that *store* has the two methods."""
        if isinstance(store, type) or not all(callable(getattr(store, each, None)) for each in ("missing", "record")):
            raise ConfigurationError(
                f"{shown(name)} is not an OutcomeStore", advice="name an object with the methods missing and record"
            )
        return cls(cast("OutcomeStore", store), name)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Enter the store, if it is an async context manager."""
        async with AsyncExitStack() as stack:
            if isinstance(self.store, AbstractAsyncContextManager):
                with self._told():
                    await stack.enter_async_context(self.store)
            yield

    async def missing(self, ids: Ids, board: Board) -> AsyncIterator[str]:
        """Yield the *ids* that the store does not have, and put them on the *board*; the others count as done."""

        async def read() -> AsyncIterator[str]:
            async for task_id in ids:
                board.start(task_id)
                known.add(task_id)
                yield task_id

        known = set[str]()
        with self._told():
            missing = aiter(self.store.missing(read()))
        while True:
            with self._told():
                task_id = await anext(missing, None)
            if task_id is None:
                break
            known.discard(task_id)
            yield task_id
        for task_id in known:
            board.skip(task_id, Status.DONE)
            ids.ended(task_id, None)

    async def record(self, outcome: Outcome) -> None:
        """Keep *outcome*, if its id has ended: a timeout may go on in the next run."""
        if has_ended(outcome):
            with self._told():
                await self.store.record(outcome)

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except Exception as error:
            raise JournalError(
                f"the store {shown(self.name)} raised {type(error).__name__}: {shown(error)}",
                path=self.name,
                advice="mend it, and start again: it waits for the missing ids only",
            ) from error
