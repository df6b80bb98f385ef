"""What is measured, in what sizes, and how each table shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import evolve, frozen

from tests.benchmarks.clients import Batch, Options
from tests.benchmarks.running import Subject, import_cost


@frozen(kw_only=True)
class Sizes:
    """How much is measured."""

    rounds: int
    """Of what takes a second or two."""
    long_rounds: int
    """Of what takes longer."""
    polls_each: int
    """Polls at each of 50 ids; a tenth for the official SDK."""
    waiting: int
    """Tasks whose memory is measured."""
    small_run: int
    large_run: int
    stream: int
    loads: tuple[int, ...]
    window: float
    """Seconds for which the load is measured, and in which each task is polled once."""
    crowd: int


FULL = Sizes(
    rounds=7,
    long_rounds=3,
    polls_each=200,
    waiting=10_000,
    small_run=1_000,
    large_run=10_000,
    stream=500,
    loads=(100, 300, 1_000, 3_000, 10_000),
    window=5.0,
    crowd=100_000,
)
QUICK = Sizes(
    rounds=3,
    long_rounds=1,
    polls_each=60,
    waiting=2_000,
    small_run=300,
    large_run=1_000,
    stream=100,
    loads=(100, 1_000),
    window=2.0,
    crowd=5_000,
)


class Taken(Protocol):
    """What stands in one row of a table."""

    @property
    def label(self) -> str:
        """Its name in the table."""
        ...

    def take(self, port: int) -> dict[str, float]:
        """Measure it once."""
        ...


@frozen
class Imported:
    """What an import costs."""

    label: str
    statement: str

    def take(self, _port: int) -> dict[str, float]:
        """Run it in a fresh interpreter."""
        return import_cost(self.statement)


@frozen
class Column:
    """One figure of a table."""

    title: str
    key: str
    form: str
    compared: bool = False
    """Whether its ratio to the base stands beside it."""


@frozen(kw_only=True)
class Suite:
    """One table."""

    name: str
    title: str
    note: str
    subjects: Sequence[Taken]
    columns: Sequence[Column]
    base: str
    """The label that ratios refer to."""
    rounds: int


NAIVE = "naive aiohttp loop"
JITTERED = "naive loop with jitter"
OURS = "luma_async"
OURS_ALONE = "luma_async, one by one"
OURS_UVLOOP = "luma_async, one by one, uvloop"
OURS_CALLED = "luma_async, called back"
SDK = "official SDK as installed"
SDK_AIOHTTP = "official SDK on aiohttp"

_MEDIANS = [40.0, 30.0]
"""Seconds pending (widely spread) and processing (narrowly), as at a relay's peak."""
_WARM = 100
"""Tasks before those that are measured, where clients learn."""
_SMALL_SPEED, _LARGE_SPEED, _CROWD_SPEED = 15.0, 3.0, 2.0
"""How much faster than life tasks and pauses are, so that runs take seconds and the client is not the limit."""


def naive(speed: float) -> Options:
    """Return what most scripts do: one second, then twice as long each time, ten at most."""
    return Options(first=1 / speed, factor=2.0, most=10 / speed)


def ours(speed: float, *, batch: Batch = "auto", adaptive: bool = True, most: float = 15.0) -> Options:
    """Return the defaults of luma_async, only faster."""
    return Options(first=2 / speed, factor=1.5, most=most / speed, batch=batch, adaptive=adaptive)


def polls(sizes: Sizes) -> Suite:
    """Single polls."""
    few = max(2, sizes.polls_each // 10)
    rows = [
        ("bytes on a socket, by hand", "by hand", sizes.polls_each),
        ("aiohttp alone", "aiohttp", sizes.polls_each),
        ("luma_async, waiting", "luma_async", sizes.polls_each),
        ("luma_async, get_generation", "luma_async get", sizes.polls_each),
        ("luma_async, get_generations", "luma_async gets", sizes.polls_each),
        (SDK_AIOHTTP, "sdk aiohttp", few),
        (SDK, "sdk", few),
    ]
    return Suite(
        name="polls",
        title="One poll",
        note="Fifty ids, each polled again and again without a pause, alone (no batch query).",
        subjects=[_poll(*row) for row in rows],
        columns=[
            Column("CPU µs per poll", "cpu_us", ",.0f", compared=True),
            Column("polls per second", "per_second", ",.0f", compared=True),
            Column("relay's CPU µs", "relay_cpu_us", ",.0f"),
        ],
        base="aiohttp alone",
        rounds=sizes.rounds,
    )


def steps(sizes: Sizes) -> Suite:
    """Where the microseconds go."""
    rows = [
        ("aiohttp alone, body read", "step bare"),
        ("aiohttp alone, body read, JSON", "aiohttp"),
        ("our session, body read", "step session"),
        ("+ time-out, slots, limits, key", "step exchange"),
        ("+ JSON, checks, same answer or not", "step checks"),
        ("+ tenacity", "step tenacity"),
        ("luma_async, waiting", "luma_async"),
    ]
    return Suite(
        name="steps",
        title="Where the microseconds go",
        note="The same polls, with one layer of luma_async more in each row.",
        subjects=[_poll(label, client, sizes.polls_each) for label, client in rows],
        columns=[Column("CPU µs per poll", "cpu_us", ",.0f", compared=True)],
        base="aiohttp alone, body read, JSON",
        rounds=sizes.rounds,
    )


def _poll(label: str, client: str, polls_each: int) -> Subject:
    facts = {"concurrency": 50, "polls_each": polls_each}
    return Subject(label=label, client=client, measure="polls", facts=facts)


def waiting(sizes: Sizes) -> Suite:
    """Memory of those who wait."""
    patient = Options(first=60, most=60)
    rows = [
        (NAIVE, "aiohttp", patient),
        (OURS_ALONE, "luma_async", patient),
        (OURS, "luma_async", evolve(patient, batch="auto")),
        (SDK_AIOHTTP, "sdk aiohttp", patient),
    ]
    return Suite(
        name="waiting",
        title="Waiting",
        note=f"{sizes.waiting:,} tasks, each polled once and then at rest; beyond the idle client.",
        subjects=[
            Subject(label=label, client=client, options=options, measure="waiting", facts={"count": sizes.waiting})
            for label, client, options in rows
        ],
        columns=[
            Column("KiB resident per task", "resident_kib_each", ".1f", compared=True),
            Column("KiB in use per task", "used_kib_each", ".1f"),
            Column("seconds until all were seen once", "all_seen_s", ".1f"),
            Column("CPU seconds until then", "cpu_s", ".2f"),
        ],
        base=NAIVE,
        rounds=sizes.long_rounds,
    )


def small_run(sizes: Sizes) -> Suite:
    """A whole run, the official SDK included."""
    speed = _SMALL_SPEED
    rows = [
        (NAIVE, "aiohttp", naive(speed)),
        (JITTERED, "aiohttp jitter", naive(speed)),
        (OURS_ALONE, "luma_async", ours(speed, batch="never")),
        (OURS_UVLOOP, "luma_async", evolve(ours(speed, batch="never"), loop="uvloop")),
        (OURS, "luma_async", ours(speed)),
        (SDK_AIOHTTP, "sdk aiohttp", naive(speed)),
        (SDK, "sdk", naive(speed)),
    ]
    return _run("small run", sizes.small_run, speed, rows, sizes.long_rounds)


def large_run(sizes: Sizes) -> Suite:
    """A whole run that the official SDK cannot keep up with."""
    speed = _LARGE_SPEED
    rows = [
        (NAIVE, "aiohttp", naive(speed)),
        (JITTERED, "aiohttp jitter", naive(speed)),
        (OURS_ALONE, "luma_async", ours(speed, batch="never")),
        (OURS, "luma_async", ours(speed)),
    ]
    return _run("large run", sizes.large_run, speed, rows, sizes.long_rounds)


def crowd(sizes: Sizes) -> Suite:
    """As many as one process can bear."""
    rows = [(OURS, "luma_async", ours(_CROWD_SPEED))]
    return _run("crowd", sizes.crowd, _CROWD_SPEED, rows, 1)


def policies(sizes: Sizes) -> Suite:
    """Requests against latency."""
    speed = _SMALL_SPEED
    fixed = [(f"every {s} s", "aiohttp", Options(first=s / speed, most=s / speed)) for s in (3, 5, 10)]
    rows = [
        *fixed,
        ("1 s, doubled, 10 s at most", "aiohttp", naive(speed)),
        ("luma_async, not learning", "luma_async", ours(speed, batch="never", adaptive=False)),
        ("luma_async", "luma_async", ours(speed, batch="never")),
        (OURS_CALLED, "luma_async called back", ours(speed, batch="never", most=300.0)),
    ]
    suite = _run("policies", sizes.stream, speed, rows, sizes.long_rounds, over=200.0, warm=_WARM)
    note = (
        f"{sizes.stream:,} tasks that are submitted one after the other over 200 s, polled one by one, after {_WARM} "
        "that were submitted at once. Called back: the relay posts each change, and max_interval is 300 s."
    )
    return evolve(suite, title="Policies", note=note, base="1 s, doubled, 10 s at most")


def _run(  # noqa: PLR0913 - a table's facts
    name: str,
    count: int,
    speed: float,
    rows: list[tuple[str, str, Options]],
    rounds: int,
    *,
    over: float = 0.0,
    warm: int = 0,
) -> Suite:
    facts = {"count": count, "medians": _MEDIANS, "speed": speed, "over": over, "warm": warm}
    return Suite(
        name=name,
        title=f"{count:,} tasks from beginning to end",
        note=f"{count:,} tasks submitted at once; {speed:g} times faster than life, lateness in life's seconds.",
        subjects=[
            Subject(label=label, client=client, options=options, measure="run", facts=facts)
            for label, client, options in rows
        ],
        columns=[
            Column("requests per task", "requests_each", ".2f", compared=True),
            Column("late, p50 (s)", "late_p50_s", ".1f"),
            Column("late, p95 (s)", "late_p95_s", ".1f", compared=True),
            Column("late, mean (s)", "late_mean_s", ".1f"),
            Column("CPU seconds", "cpu_s", ",.2f", compared=True),
            Column("loop lag, p99 (ms)", "lag_p99_ms", ",.0f"),
            Column("at most", "lag_max_ms", ",.0f"),
            Column("peak MiB", "peak_mib", ",.0f"),
        ],
        base=rows[0][0],
        rounds=rounds,
    )


SEPARATOR = " · "
"""Between who and how many in the labels of ``load``."""
_SLOWEST_AT_MOST = 300
"""Tasks for the official SDK as installed: with many more it takes all of the core, and its queue never ends."""


def load(sizes: Sizes) -> Suite:
    """CPU against tasks in flight."""
    regular = Options(first=sizes.window, most=sizes.window)
    rows = [
        (NAIVE, "aiohttp", regular),
        (OURS_ALONE, "luma_async", regular),
        (OURS, "luma_async", evolve(regular, batch="auto")),
        (SDK_AIOHTTP, "sdk aiohttp", regular),
        (SDK, "sdk", regular),
    ]
    subjects = [
        Subject(
            label=f"{label}{SEPARATOR}{count:,}",
            client=client,
            options=options,
            measure="load",
            facts={"count": count, "window": sizes.window},
        )
        for label, client, options in rows
        for count in sizes.loads
        if label != SDK or count <= _SLOWEST_AT_MOST
    ]
    return Suite(
        name="load",
        title="CPU against tasks in flight",
        note=f"Tasks that never end, each polled every {sizes.window:g} s.",
        subjects=subjects,
        columns=[
            Column("share of a core, %", "percent", ".1f"),
            Column("polls per second", "polls_per_s", ",.0f"),
            Column("requests per second", "requests_per_s", ",.0f"),
        ],
        base=subjects[0].label,
        rounds=sizes.long_rounds,
    )


def imports(sizes: Sizes) -> Suite:
    """What importing costs."""
    rows = [
        Imported("bare interpreter", "pass"),
        Imported("import luma_async", "import luma_async"),
        Imported("from luma_async import LumaClient", "from luma_async import LumaClient"),
        Imported("import aiohttp", "import aiohttp"),
        Imported("from lumaai import AsyncLumaAI", "from lumaai import AsyncLumaAI"),
    ]
    return Suite(
        name="imports",
        title="Importing",
        note="A fresh interpreter each time, with its bytecode compiled.",
        subjects=rows,
        columns=[Column("CPU ms", "cpu_ms", ",.0f")],
        base="bare interpreter",
        rounds=sizes.rounds,
    )


SUITES: dict[str, Callable[[Sizes], Suite]] = {
    "polls": polls,
    "steps": steps,
    "waiting": waiting,
    "small": small_run,
    "large": large_run,
    "policies": policies,
    "load": load,
    "crowd": crowd,
    "imports": imports,
}
