"""Waits in many processes, which survive deploys and crashes, on PgQueuer and PostgreSQL (extra: fleet).

``Waits`` alone needs no extra: it is the body of a job on any other engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luma_async.fleet._handover import enqueue, enqueue_sync, install, notify, notify_sync
    from luma_async.fleet._status import FleetStatus, Holder, status
    from luma_async.fleet._worker import Fleet
    from luma_async.fleet.waits import Waits

__all__ = ["Fleet", "FleetStatus", "Holder", "Waits"]
__all__ += ["enqueue", "enqueue_sync", "install", "notify", "notify_sync", "status"]
_MODULES = {"Fleet": "_worker", "Waits": "waits"} | dict.fromkeys(("FleetStatus", "Holder", "status"), "_status")


def __getattr__(name: str) -> Any:
    """Import a name at its first use: ``Waits`` needs no extra."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES.get(name, '_handover')}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("pgqueuer", "asyncpg"):
            raise
        raise ModuleNotFoundError("a fleet needs pip install 'luma-async[fleet]'", name=error.name) from None
