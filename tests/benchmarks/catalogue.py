"""The clients by name."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks import steps
from tests.benchmarks.clients import (
    Bare,
    CalledBack,
    Client,
    Jittered,
    Official,
    OfficialOnAiohttp,
    Options,
    OurPolls,
    OurRounds,
    Ours,
)
from tests.benchmarks.floor import ByHand

CLIENTS: dict[str, Callable[[str, Options], Client]] = {
    "by hand": ByHand,
    "aiohttp": Bare,
    "aiohttp jitter": Jittered,
    "luma_async": Ours,
    "luma_async called back": CalledBack,
    "luma_async get": OurPolls,
    "luma_async gets": OurRounds,
    "sdk": Official,
    "sdk aiohttp": OfficialOnAiohttp,
    "step bare": steps.BareRead,
    "step session": steps.TunedSession,
    "step exchange": steps.Exchanged,
    "step checks": steps.Checked,
    "step tenacity": steps.Turned,
}
