"""Trouble that depends on time or load: a limit of requests, a lost session, a limit of jobs, a cap of rows."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol

from attrs import field, frozen, validators

from luma_async.testing.exchange import Asked
from luma_async.testing.faults import Fault

Judge = Callable[[Asked, int], Fault | None]
"""Takes a request and the number of tasks under way; returns what goes wrong, or None."""


class Rule(Protocol):
    """A rule of a simulated relay: ``SimulatedRelay(rules=[...])``. Times are relay seconds."""

    def judge(self) -> Judge:
        """Return what judges the requests to one relay, one by one."""
        ...


@frozen
class RequestLimit:
    """A limit of requests per second, by nginx's ``limit_req`` unless *fault* says otherwise; media are free.

    Raises:
        ValueError: The limit is not above zero.
    """

    per_second: float = field(validator=validators.gt(0))
    burst: int = 0
    """Requests above the limit that are served all the same."""
    fault: Fault = field(factory=Fault.unavailable)

    def judge(self) -> Judge:
        """Return a judge that counts as nginx does: a request that is refused does not count."""
        last, excess = -inf, 0.0

        def judge(asked: Asked, _: int) -> Fault | None:
            nonlocal last, excess
            if asked.target.kind == "media":
                return None
            left = max(0.0, excess - (asked.now - last) * self.per_second + 1.0)
            if left > self.burst:
                return self.fault
            last, excess = asked.now, left
            return None

        return judge


@frozen
class SessionLoss:
    """Some seconds in which the gateway's own session at its upstream has expired: 401 for everybody."""

    starts_at: float
    """Relay seconds since the relay was created."""
    seconds: float = 5.0
    fault: Fault = field(factory=Fault.session_expired)

    def judge(self) -> Judge:
        """Return a judge that looks at the time only."""

        def judge(asked: Asked, _: int) -> Fault | None:
            is_lost = self.starts_at <= asked.now < self.starts_at + self.seconds
            return self.fault if is_lost and asked.target.kind not in ("media", "unknown") else None

        return judge


@frozen
class JobLimit:
    """A limit of generations that may be under way: submits and extensions beyond it are refused, and not taken."""

    most: int
    fault: Fault = field(factory=Fault.too_many_jobs)

    def judge(self) -> Judge:
        """Return a judge that looks at the number of tasks under way."""

        def judge(asked: Asked, running: int) -> Fault | None:
            return self.fault if asked.target.kind in ("submit", "extend") and running >= self.most else None

        return judge


@frozen
class RowCap:
    """A relay that answers a batch query with its first rows only, and does not say so."""

    most: int

    def judge(self) -> Judge:
        """Return a judge that cuts each batch."""
        cut = Fault.first_rows(self.most)

        def judge(asked: Asked, _: int) -> Fault | None:
            return cut if asked.target.kind == "batch" else None

        return judge
