"""What a relay's answers of late say about its next refusal: does the key work, is this load or an outage."""

from __future__ import annotations

import math

from attrs import define

from luma_async.errors import APIError, LumaError, Verdict

_UNAVAILABLE = 503
_LOAD_WINDOW = 10.0
"""Seconds in which two ids get a 503 and another poll succeeds, where a relay is under load and not down.

nginx's ``limit_req`` answers 503 by default (contract section 6).
"""
_ALONE_AFTER = 3
"""Times in a row that one id alone is told to slow down before it is the only one that pauses."""


@define(eq=False, repr=False)
class Health:
    """One relay and one key, as all requests of a client have found them (architecture, rules 3 and 4).

    It knows no clock: all times are the caller's, in seconds. *What* is asked is the path of a request.
    """

    key_works: bool = False
    """Whether this key has had a good answer from this relay."""
    good_at: float = -math.inf
    """When a good answer came last."""
    _unavailable: tuple[str, float] = ("", -math.inf)
    """What got a 503 last, and when."""
    _unavailable_before: tuple[str, float] = ("", -math.inf)
    """The same for what differs from it."""
    _slowed: str = ""
    """What was told to slow down last, and nothing else since ``_slowed_since``."""
    _slowed_since: float = -math.inf
    _times: int = 0

    def answered(self, what: str, now: float) -> None:
        """Take note of a good answer about *what*."""
        self.key_works = True
        self.good_at = now
        if what == self._slowed:
            self._slowed = ""

    def weigh(self, error: LumaError, what: str, now: float, *, together: bool) -> bool:
        """Take note of *error*; one that is load gets the verdict *slow down*.

        Args:
            error: What a request came to. Nobody else has it yet.
            what: What was asked for.
            now: When that was known.
            together: Whether the request asked for several ids.

        Returns:
            Whether everybody has to slow down.
        """
        if isinstance(error, APIError) and error.status == _UNAVAILABLE and self._is_load(what, now, together=together):
            error.verdict = Verdict.SLOW_DOWN
        return error.verdict is Verdict.SLOW_DOWN and not self._is_alone(what, now, together=together)

    def _is_load(self, what: str, now: float, *, together: bool) -> bool:
        if what != self._unavailable[0]:
            self._unavailable_before = self._unavailable
        self._unavailable = what, now
        lately = now - _LOAD_WINDOW
        return self.good_at >= lately and (together or self._unavailable_before[1] >= lately)

    def _is_alone(self, what: str, now: float, *, together: bool) -> bool:
        """Whether *what* alone is told to slow down, again and again, while others get good answers."""
        if what != self._slowed:
            self._slowed, self._slowed_since, self._times = what, now, 0
        self._times += 1
        return not together and self._times >= _ALONE_AFTER and self.good_at >= self._slowed_since
