"""Runs a command line: parse, call the client, show."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

from luma_async.cli.exit import Status
from luma_async.cli.output import OutputLostError, guarded, prepare, report_error, say
from luma_async.errors import LumaError

_EXTRA = ("cyclopts", "rich")


def run_arguments(arguments: Sequence[str] | None) -> int:
    """Do what ``main`` says."""
    prepare()
    try:
        return int(_run(list(sys.argv[1:] if arguments is None else arguments)))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        say("the command line is not installed: pip install 'luma-async[cli]'")
        return int(Status.USAGE)
    except LumaError as error:
        return int(report_error(error))
    except OutputLostError as lost:
        return int(lost.status())


def _run(arguments: list[str]) -> Status:
    from luma_async.cli.commands import app  # noqa: PLC0415 - what it imports may not be installed

    command, bound, _ = app.parse_args(arguments)
    with guarded():
        result = command(*bound.args, **bound.kwargs)
        if not inspect.iscoroutine(result):
            sys.stdout.flush()
            return Status.DONE
    from luma_async.cli.running import run  # noqa: PLC0415 - --help needs no asyncio

    return run(result)
