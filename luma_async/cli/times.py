"""How long a generation was queued and processed, by the relay's own times."""

from __future__ import annotations

from datetime import datetime

from luma_async.models import Generation


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from *start* to *end*; None if one is missing, or a clock ran backwards."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def queued(generation: Generation) -> float | None:
    """Return the seconds from the submit to the start, where the relay gives both."""
    return seconds_between(generation.submitted_at, generation.started_at)


def processed(generation: Generation) -> float | None:
    """Return the seconds from the start to the end, where the relay gives both."""
    return seconds_between(generation.started_at, generation.finished_at)
