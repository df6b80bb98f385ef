"""Waits for Luma video generations behind relay gateways: task ids in, finished videos out."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""As ``typing.TYPE_CHECKING``, whose import takes ten times as long as all else here."""

if TYPE_CHECKING:
    from typing import Any

    from luma_async._records import outcome_from_json, outcome_to_json
    from luma_async._streams import EventStream, Outcomes, Snapshots
    from luma_async._waiting.pacing import PollWait
    from luma_async.client import LumaClient
    from luma_async.dialect import Dialect
    from luma_async.errors import (
        APIError,
        AuthenticationError,
        ClientClosedError,
        ConfigurationError,
        DownloadError,
        DownloadReason,
        GenerationFailedError,
        JournalError,
        LumaError,
        NotFoundError,
        PermissionDeniedError,
        ProtocolError,
        QuotaExceededError,
        RateLimitError,
        RequestTimeoutError,
        ServerError,
        TransportError,
        UncertainSubmitError,
        Verdict,
        WaitTimeoutError,
    )
    from luma_async.events import (
        CooldownEnded,
        CooldownStarted,
        DownloadEnded,
        DownloadProgress,
        Event,
        PollFailed,
        StateChanged,
        TryFailed,
        WaitEnded,
        WaitStarted,
    )
    from luma_async.journal import Journal, OutcomeStore
    from luma_async.models import (
        Artifact,
        Assets,
        Generation,
        GenerationRequest,
        Image,
        Link,
        Palette,
        RawVideo,
        Role,
        State,
        Video,
    )
    from luma_async.options import GenerationOptions, SubmitRecord
    from luma_async.outcomes import GenerateResult, Outcome
    from luma_async.settings import Batch, Limits, PollPolicy
    from luma_async.statistics import StateStatistics, Statistics

    __version__: str

__all__ = [
    "APIError",
    "Artifact",
    "Assets",
    "AuthenticationError",
    "Batch",
    "ClientClosedError",
    "ConfigurationError",
    "CooldownEnded",
    "CooldownStarted",
    "Dialect",
    "DownloadEnded",
    "DownloadError",
    "DownloadProgress",
    "DownloadReason",
    "Event",
    "EventStream",
    "GenerateResult",
    "Generation",
    "GenerationFailedError",
    "GenerationOptions",
    "GenerationRequest",
    "Image",
    "Journal",
    "JournalError",
    "Limits",
    "Link",
    "LumaClient",
    "LumaError",
    "NotFoundError",
    "Outcome",
    "OutcomeStore",
    "Outcomes",
    "Palette",
    "PermissionDeniedError",
    "PollFailed",
    "PollPolicy",
    "PollWait",
    "ProtocolError",
    "QuotaExceededError",
    "RateLimitError",
    "RawVideo",
    "RequestTimeoutError",
    "Role",
    "ServerError",
    "Snapshots",
    "State",
    "StateChanged",
    "StateStatistics",
    "Statistics",
    "SubmitRecord",
    "TransportError",
    "TryFailed",
    "UncertainSubmitError",
    "Verdict",
    "Video",
    "WaitEnded",
    "WaitStarted",
    "WaitTimeoutError",
    "outcome_from_json",
    "outcome_to_json",
]
_PUBLIC_MODULES = (
    "errors",
    "models",
    "outcomes",
    "events",
    "settings",
    "options",
    "dialect",
    "statistics",
    "_records",
    "_waiting.pacing",
    "journal",
    "_streams",
    "client",
)
"""The modules of the public names, the cheapest import first; only the last one imports aiohttp."""


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that the pytest plug-in costs nothing in projects without it."""
    if name == "__version__":
        return import_module("luma_async.settings").VERSION
    if name in __all__:
        for module in _PUBLIC_MODULES:
            value = getattr(import_module(f"luma_async.{module}"), name, None)
            if value is not None:
                globals()[name] = value
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
