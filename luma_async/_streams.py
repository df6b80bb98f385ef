"""Async iterators over the outcomes of many ids, the snapshots of one id, and the events of a client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Hashable, Sized
from contextlib import aclosing
from functools import partial
from hashlib import blake2b
from itertools import count
from typing import Any, Generic, Self, TypeVar, cast

from attrs import define, evolve, field

from luma_async._ids import Ids, check_task_id, checked_ids, identity_of
from luma_async._listeners import Listeners, presentable
from luma_async._waiting.polls import PollLoops
from luma_async._waiting.waiters import Waiter
from luma_async.errors import ClientClosedError, ConfigurationError, GenerationFailedError
from luma_async.events import Event
from luma_async.models import Generation
from luma_async.outcomes import Outcome

T = TypeVar("T")
_UNSIZED_IN_FLIGHT = 1000
"""Default number of ids in flight from an iterator, which may be endless."""
_IDS_IN_A_TURN = 100
"""Ids that are read in one turn of the event loop: a full request, as with ids that wake."""
_ITEMS_BETWEEN_YIELDS = 100
"""Items that are handed out before other asyncio tasks get a turn, even if thousands are ready."""
_MOST_EVENTS = 10_000
"""Events that wait to be read; a consumer that is too slow misses the oldest."""
_THE_END = object()
_SOURCE = "the source of task ids"


@define(eq=False, repr=False)
class _Stream(Generic[T]):
    """An async iterator with a queue of items. Close it with ``async with`` or ``aclose``."""

    _ready: deque[T] = field(factory=deque, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)
    """Set when there is a new item, or the stream may be over."""
    _closed: bool = field(default=False, init=False)
    _handed_out: int = field(default=0, init=False)

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def __anext__(self) -> T:
        self._start()
        self._handed_out += 1
        if self._handed_out % _ITEMS_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)
        while not self._ready:
            if self._closed or self._is_over():
                await self.aclose()
                self._conclude()
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._hand_out(self._ready.popleft())

    def _put(self, item: T) -> None:
        self._ready.append(item)
        self._changed.set()

    def _hand_out(self, item: T) -> T:
        return item

    def _start(self) -> None:
        """Start the stream, unless it has started."""

    def _is_over(self) -> bool:
        """Whether no more items can come."""
        return True

    def _conclude(self) -> None:
        """Raise the error that ended the stream, if there is one."""

    async def aclose(self) -> None:
        """Stop waiting; the generations go on at the relay. A second call does nothing."""
        self._closed = True
        self._changed.set()


@define(eq=False, repr=False)
class Outcomes(_Stream[Outcome]):
    """Outcomes in the order in which the waits end; each id once."""

    _loops: PollLoops
    _ids: Ids
    _timeout: float | None
    _room: asyncio.Semaphore | None
    _feeder: asyncio.Task[None] | None = field(default=None, init=False)
    _waiters: dict[Hashable, Waiter] = field(factory=dict, init=False)
    _seen: set[bytes] = field(factory=set, init=False)
    """Digests of all ids so far, which take less memory than the ids."""
    _recalled: bool = field(default=False, init=False)
    """Whether this stream has cancelled the feeder."""
    _defect: Exception | None = field(default=None, init=False)

    @classmethod
    def of(cls, loops_of: PollLoops, task_ids: Ids, timeout: float | None, max_in_flight: int | None) -> Outcomes:
        """Check the arguments; the waits start with the iteration.

        Raises:
            ConfigurationError: *task_ids* is a single string or not iterable, or a number is out of range.
        """
        ids = checked_ids(task_ids)
        if max_in_flight is None and not isinstance(ids, Sized):
            max_in_flight = _UNSIZED_IN_FLIGHT
        room = None if max_in_flight is None else asyncio.Semaphore(max_in_flight)
        return cls(loops_of, ids, timeout, room)

    def _start(self) -> None:
        if self._feeder is None and not self._closed:
            self._feeder = self._loops.start(self._feed(), "ids")
            self._feeder.add_done_callback(self._fed)
            self._loops.at_close.add(self._client_closes)

    def _is_over(self) -> bool:
        return self._feeder is not None and self._feeder.done() and not self._waiters

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        """Record the end of the source; its error is raised after the outcomes before it."""
        if feeder.cancelled():
            if not self._recalled:
                self._defect = presentable(asyncio.CancelledError(), _SOURCE)
        elif isinstance(defect := feeder.exception(), Exception):
            self._defect = defect
        self._loops.at_close.discard(self._client_closes)
        self._changed.set()

    def _client_closes(self) -> None:
        """Let each further id of a collection be refused; leave an iterator or async iterable, which may be endless."""
        if isinstance(self._ids, Sized) and not isinstance(self._ids, AsyncIterable):
            room, self._room = self._room, None
            if room is not None:
                room.release()
            return
        self._recall()
        self._defect = ClientClosedError(
            "the client was closed before all ids were read", advice="make a new LumaClient"
        )

    def _conclude(self) -> None:
        """Raise the error of the source or of a strategy, after all outcomes have been handed out."""
        defect, self._defect = self._defect, None
        if defect is not None:
            raise defect

    def _hand_out(self, item: Outcome) -> Outcome:
        """Make room for another id only now, so that a slow consumer slows the source."""
        if self._room is not None:
            self._room.release()
        return item

    def _recall(self) -> None:
        """Stop reading ids."""
        if self._feeder is not None:
            self._recalled = self._feeder.cancel() or self._recalled

    async def _feed(self) -> None:
        """Read all ids; an exception of the source is an error, and never looks like our own cancellation."""
        feeder = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            await self._take_up_all()
        except BaseException as raised:
            if feeder.cancelling() or (error := presentable(raised, _SOURCE)) is raised:
                raise
            raise error from raised

    async def _take_up_all(self) -> None:
        async with aclosing(_each(self._ids)) as source:
            for taken in count(1):
                if self._room is not None:
                    await self._room.acquire()
                task_id = await anext(source, _THE_END)
                if task_id is _THE_END:
                    return
                if not self._take_up(task_id) and self._room is not None:
                    self._room.release()
                if taken % _IDS_IN_A_TURN == 0:
                    await self._loops.scheduler.share.wait()

    def _take_up(self, task_id: Any) -> bool:
        """Start to wait for *task_id*, or give it an error outcome if it is invalid; return whether it is new."""
        key = identity_of(task_id)
        digest = _digest(key)
        if digest in self._seen:
            return False
        self._seen.add(digest)
        try:
            checked = check_task_id(task_id)
        except ConfigurationError as error:
            self._put(Outcome(task_id=task_id, error=error))
        else:
            waiter = self._loops.join(checked, self._timeout, partial(self._settle, task_id))
            if waiter.loop is not None:  # with eager tasks it can have ended already
                self._waiters[key] = waiter
        return True

    def _settle(self, task_id: str, end: Outcome | Exception) -> None:
        self._waiters.pop(identity_of(task_id), None)
        if isinstance(end, Outcome):
            self._put(end if type(task_id) is str else evolve(end, task_id=task_id))
        else:
            self._defect = end
            self._changed.set()
            if self._room is not None:
                self._room.release()

    async def aclose(self) -> None:
        """Stop waiting for all ids; the generations go on at the relay. A second call does nothing."""
        await super().aclose()
        self._recall()
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters.values():
            waiter.leave()
        if self._feeder is not None:
            await asyncio.wait([self._feeder])


@define(eq=False, repr=False)
class Snapshots(_Stream[Generation]):
    """One generation for each change of its state, the terminal one last."""

    _join: Callable[[Callable[[Outcome | Exception], None], Callable[[Generation], None]], Waiter]
    _waiter: Waiter | None = field(default=None, init=False)
    _end: Outcome | Exception | None = field(default=None, init=False)

    def _start(self) -> None:
        if self._waiter is None and not self._closed:
            self._waiter = self._join(self._settle, self._put)

    def _is_over(self) -> bool:
        return self._end is not None

    def _conclude(self) -> None:
        """Raise the error that ended the wait; for ``failed``, the last snapshot is enough."""
        end, self._end = self._end, None
        error = end.error if isinstance(end, Outcome) else end
        if error is not None and not isinstance(error, GenerationFailedError):
            raise error

    def _settle(self, end: Outcome | Exception) -> None:
        self._end = end
        self._changed.set()

    async def aclose(self) -> None:
        """Stop watching; the generation goes on at the relay. A second call does nothing."""
        await super().aclose()
        if self._waiter is not None:
            self._waiter.leave()


@define(eq=False, repr=False)
class EventStream(_Stream[Event]):
    """The events of a client, from the start of the ``async with`` block to its end, or until the client closes."""

    _listeners: Listeners
    _ready: deque[Event] = field(factory=lambda: deque[Event](maxlen=_MOST_EVENTS), init=False)
    _is_listening: bool = field(default=False, init=False)

    def _start(self) -> None:
        if not self._is_listening and not self._closed:
            self._is_listening = True
            self._listeners.active.append(self._put)

    def _is_over(self) -> bool:
        return False

    async def aclose(self) -> None:
        """Stop listening. Events from before can still be read. A second call does nothing."""
        await super().aclose()
        if self._is_listening:
            self._is_listening = False
            self._listeners.active.remove(self._put)


def listed(task_ids: Any) -> list[str]:
    """Return all *task_ids* of an iterable that is not async.

    Raises:
        ConfigurationError: *task_ids* is not such an iterable.
        LumaError: It raised something that is not an Exception.
    """
    ids = checked_ids(task_ids)
    if isinstance(ids, AsyncIterable):
        raise ConfigurationError(
            "task_ids is an async iterable", advice="use as_completed, which reads the ids one by one"
        )
    try:
        return list(ids)
    except BaseException as raised:
        if (error := presentable(raised, _SOURCE)) is raised:
            raise
        raise error from raised


def _digest(key: Hashable) -> bytes:
    text = str.__repr__(key) if isinstance(key, str) else repr(key)
    return blake2b(text.encode(), digest_size=16).digest()


async def _each(ids: Ids) -> AsyncGenerator[Any]:
    if isinstance(ids, AsyncIterable):
        async for task_id in ids:
            yield task_id
    else:
        for task_id in ids:
            yield task_id
