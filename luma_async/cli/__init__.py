"""The command line. ``main`` is the only entry; it imports the rest, so that an early Ctrl-C shows no traceback."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``luma-async`` and return its exit status.

    Args:
        arguments: The command line without the program's name; None: the process's own.

    Raises:
        SystemExit: The arguments cannot be understood (status 2).
    """
    try:
        from luma_async.cli.entry import run_arguments  # noqa: PLC0415 - see above

        return run_arguments(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
