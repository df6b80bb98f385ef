"""A simulated relay on loopback that follows the contract: tests need no credits and no network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luma_async.testing._mocking import aioresponses as aioresponses
    from luma_async.testing.callbacks import Callbacks
    from luma_async.testing.clock import FastTime
    from luma_async.testing.exchange import SeenRequest
    from luma_async.testing.faults import Fault
    from luma_async.testing.relay import RelayThread, SimulatedRelay
    from luma_async.testing.rules import JobLimit, RequestLimit, RowCap, Rule, SessionLoss
    from luma_async.testing.scripts import Script, Step

__all__ = [
    "Callbacks",
    "FastTime",
    "Fault",
    "JobLimit",
    "RelayThread",
    "RequestLimit",
    "RowCap",
    "Rule",
    "Script",
    "SeenRequest",
    "SessionLoss",
    "SimulatedRelay",
    "Step",
]

_MODULES = ("clock", "exchange", "faults", "scripts", "rules", "callbacks", "relay", "_mocking")
"""Only the last three import aiohttp, and only the last one aioresponses."""
_OPTIONAL = ("aioresponses",)
"""Names that need another package, so that ``import *`` leaves them out."""


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: the pytest plug-in is in this package, and must cost nothing if unused."""
    for module in _MODULES if name in (*__all__, *_OPTIONAL) else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
