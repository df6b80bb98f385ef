"""Waits for Luma video generations behind relay gateways: give it task ids, get finished videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luma_async.errors import (
    APIError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    LumaError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    WaitTimeoutError,
)
from luma_async.models import (
    Artifact,
    Assets,
    Generation,
    GenerationRequest,
    Image,
    Palette,
    RawVideo,
    Role,
    State,
    Video,
)
from luma_async.outcomes import Outcome
from luma_async.pacing import PollPolicy
from luma_async.settings import Limits

if TYPE_CHECKING:
    from luma_async.client import LumaClient

__all__ = [
    "APIError",
    "Artifact",
    "Assets",
    "AuthenticationError",
    "ClientClosedError",
    "ConfigurationError",
    "DownloadError",
    "Generation",
    "GenerationFailedError",
    "GenerationRequest",
    "Image",
    "Limits",
    "LumaClient",
    "LumaError",
    "NotFoundError",
    "Outcome",
    "Palette",
    "PermissionDeniedError",
    "PollPolicy",
    "ProtocolError",
    "QuotaExceededError",
    "RateLimitError",
    "RawVideo",
    "RequestTimeoutError",
    "Role",
    "ServerError",
    "State",
    "TransportError",
    "Video",
    "WaitTimeoutError",
]


def __getattr__(name: str) -> Any:
    """Import the client when it is first asked for: aiohttp is most of an import's time."""
    if name == "LumaClient":
        from luma_async.client import LumaClient  # noqa: PLC0415 - see above

        return LumaClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
