"""Where in a captured answer a value was read from: another value at that place changes what is read; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from attrs import evolve, frozen

from luma_async._relay.answer import Answer
from luma_async._relay.documents import Reading, encoded
from luma_async._relay.refusals import lenient_documents
from luma_async._relay.tasks import read_task
from luma_async._text import shown
from luma_async.dialect import Dialect
from luma_async.errors import LumaError

Path = tuple[str | int, ...]
_MOST_PLACES = 2000
"""Values of an answer that are looked at; the largest real one has about a hundred."""
_MOST_TRIES = 20
"""Places that may have a value: each is tried, and each try reads the answer again."""
_DEEPEST = 16
_NOTHING = object()
"""What an error says about the value of a field."""


def dotted(path: Path | None) -> str | None:
    """Return *path* as it is shown, from the top of the answer."""
    return None if path is None else shown(".".join(map(str, path)), 200)


@frozen
class Captured:
    """A captured answer about a task, and how to read it."""

    answer: Answer
    task_id: str
    dialect: Dialect
    documents: list[Any]
    """With JSON inside of texts opened."""
    reader: Callable[[Answer, str, Dialect], Any] = read_task
    """Reads the answer; its errors are LumaErrors."""

    @classmethod
    def of(cls, answer: Answer, task_id: str, dialect: Dialect) -> Captured:
        """Build it from an *answer*, which may be a refusal."""
        reading = Reading()
        return cls(answer, task_id, dialect, [_opened(each, reading, _DEEPEST) for each in lenient_documents(answer)])

    def values(self) -> Iterator[tuple[Path, Any]]:
        """Yield each text, number, flag and null with its place."""
        whole = self.documents[0] if len(self.documents) == 1 else self.documents
        return islice(_values(whole, ()), _MOST_PLACES)

    def place_of(
        self,
        read: Callable[[Any], Any],
        fits: Callable[[Any], bool],
        other: Callable[[Any], Any] = lambda _: None,
        *,
        is_needed: bool = False,
    ) -> Path | None:
        """Return the place that a field is read from.

        Args:
            read: Returns the field of what the reader returns, such as a generation.
            fits: Whether a value may be the one of the field.
            other: Another value instead, of the same kind.
            is_needed: Whether the answer cannot be read with another value.
        """
        now = self._read(read, self.documents)
        places = [(path, value) for path, value in self.values() if fits(value)][:_MOST_TRIES]
        for path, value in places:
            then = self._read(read, self._with(path, other(value)))
            if is_needed if then is _NOTHING else then != now:
                return path
        return places[0][0] if places else None  # the same value stands in several places

    def _read(self, read: Callable[[Any], Any], documents: list[Any]) -> Any:
        answer = evolve(self.answer, body=b"\n".join(map(encoded, documents)))
        try:
            return read(self.reader(answer, self.task_id, self.dialect))
        except LumaError:
            return _NOTHING

    def _with(self, path: Path, value: Any) -> list[Any]:
        if len(self.documents) == 1:
            return [_replaced(self.documents[0], path, value)]
        changed: list[Any] = _replaced(self.documents, path, value)
        return changed


def _opened(value: Any, reading: Reading, depth: int) -> Any:
    """Return *value* with JSON inside of its texts opened, as a reader does."""
    value = reading.opened(value)
    if depth and isinstance(value, Mapping):
        return {key: _opened(part, reading, depth - 1) for key, part in value.items()}
    return [_opened(item, reading, depth - 1) for item in value] if depth and isinstance(value, list) else value


def _values(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping | list):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _values(part, (*path, key))
    else:
        yield path, value


def _replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    copied: Any = dict(value) if isinstance(value, Mapping) else list(value)
    copied[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copied
