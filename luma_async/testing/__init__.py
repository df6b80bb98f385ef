"""A simulated relay on loopback that follows the contract: tests need no credits and no network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luma_async.testing.clock import FastTime
    from luma_async.testing.exchange import SeenRequest
    from luma_async.testing.faults import Fault
    from luma_async.testing.relay import SimulatedRelay
    from luma_async.testing.scripts import Script, Step
    from luma_async.testing.threads import RelayThread

__all__ = ["FastTime", "Fault", "RelayThread", "Script", "SeenRequest", "SimulatedRelay", "Step"]

_MODULES = {
    "FastTime": "clock",
    "Fault": "faults",
    "RelayThread": "threads",
    "Script": "scripts",
    "SeenRequest": "exchange",
    "SimulatedRelay": "relay",
    "Step": "scripts",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: the pytest plug-in is in this package, and must cost nothing if unused."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
