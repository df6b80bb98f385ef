"""Events to those who listen; nothing is made to be told where nobody does."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable

from attrs import define, field

from luma_async._text import shown, spelled
from luma_async.errors import ConfigurationError
from luma_async.events import Event

Listener = Callable[[Event], object]

logger = logging.getLogger("luma_async")


@define(eq=False, repr=False)
class Herald:
    """Who tells makes an event only if there are ``listeners``."""

    listeners: list[Listener] = field(factory=list[Listener])

    @classmethod
    def to(cls, on_event: object) -> Herald:
        """Tell the user's function, if there is one, and the log, if it wants to know.

        Raises:
            ConfigurationError: *on_event* cannot be called, or would have to be awaited.
        """
        herald = cls([_log] if log_is_curious() else [])
        if on_event is None:
            return herald
        if not callable(on_event) or inspect.iscoroutinefunction(on_event):
            raise ConfigurationError(
                f"on_event={shown(spelled(on_event), 40)} cannot be called without awaiting it",
                advice="give a plain function of one event; to await something, iterate over client.events()",
            )
        herald.listeners.append(on_event)
        return herald

    def tell(self, event: Event) -> None:
        """Tell all, in the order in which they came; one that raises is logged, and harms nobody."""
        for listener in tuple(self.listeners):
            try:
                listener(event)
            except Exception:
                logger.exception("a listener raised at %s", type(event).__name__)


def log_is_curious() -> bool:
    """Whether the log wants to know of each event and answer."""
    return logger.isEnabledFor(logging.DEBUG)


def _log(event: Event) -> None:
    logger.debug("%s", event)
