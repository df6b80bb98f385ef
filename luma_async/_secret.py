"""Values that no repr, slice, format, copy or pickle shows: keys, and addresses with passwords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NoReturn, Self, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Secret(Generic[T_co]):
    """Holds one value that only ``reveal`` returns.

    It is not a str: tracebacks with local variables cut long strings before they call repr. The value is in a closure,
    because crash reporters also show the attributes of objects. Reveal it inside an expression, never into a variable:
    they show those too.
    """

    __slots__ = ("reveal",)

    def __init__(self, value: T_co) -> None:
        self.reveal: Callable[[], T_co] = lambda: value
        """Return the value."""

    def __repr__(self) -> str:
        return "[secret]"

    def __eq__(self, other: object) -> bool:
        return self.reveal() == other.reveal() if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")
