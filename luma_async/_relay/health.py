"""Judges a refusal by the relay's recent answers: whether the key works, and whether a 503 means load or an outage."""

from __future__ import annotations

import math

from attrs import define

from luma_async.errors import APIError, LumaError, Verdict

_UNAVAILABLE = 503
_LOAD_WINDOW = 10.0
"""Seconds. If two ids get a 503 and another poll succeeds within them, the relay is under load and not down.

nginx's ``limit_req`` answers 503 by default (contract section 6).
"""
_ALONE_AFTER = 3
"""*Slow down* answers in a row to one id alone, after which only that id pauses."""


@define(eq=False, repr=False)
class Health:
    """One relay and one key, as seen by all requests of a client (architecture, rules 3 and 4).

    It has no clock: the caller passes all times, in seconds. *path* is the path of a request.
    """

    key_works: bool = False
    """Whether this relay has answered a request with this key well."""
    good_at: float = -math.inf
    """When the last good answer came."""
    _unavailable: tuple[str, float] = ("", -math.inf)
    """The path that got the last 503, and when."""
    _unavailable_before: tuple[str, float] = ("", -math.inf)
    """The same for the last 503 of another path."""
    _slowed: str = ""
    """The path of the last *slow down*; no other path got one since ``_slowed_since``."""
    _slowed_since: float = -math.inf
    _times: int = 0

    def answered(self, path: str, now: float) -> None:
        """Record a good answer to a request for *path*."""
        self.key_works = True
        self.good_at = now
        if path == self._slowed:
            self._slowed = ""

    def weigh(self, error: LumaError, path: str, now: float, *, together: bool) -> bool:
        """Record *error*; an error that means load gets the verdict *slow down*.

        Args:
            error: The error of a request. This method may change its verdict.
            path: The path of the request.
            now: When the error came.
            together: Whether the request asked for several ids.

        Returns:
            Whether all ids have to slow down.
        """
        if isinstance(error, APIError) and error.status == _UNAVAILABLE and self._is_load(path, now, together=together):
            error.verdict = Verdict.SLOW_DOWN
        return error.verdict is Verdict.SLOW_DOWN and not self._is_alone(path, now, together=together)

    def _is_load(self, path: str, now: float, *, together: bool) -> bool:
        if path != self._unavailable[0]:
            self._unavailable_before = self._unavailable
        self._unavailable = path, now
        window_start = now - _LOAD_WINDOW
        return self.good_at >= window_start and (together or self._unavailable_before[1] >= window_start)

    def _is_alone(self, path: str, now: float, *, together: bool) -> bool:
        """Whether the relay slows down *path* alone, several times in a row, while other ids get good answers."""
        if path != self._slowed:
            self._slowed, self._slowed_since, self._times = path, now, 0
        self._times += 1
        return not together and self._times >= _ALONE_AFTER and self.good_at >= self._slowed_since
