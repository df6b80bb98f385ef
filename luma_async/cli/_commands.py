"""The commands: their arguments and help. What they do is done elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from luma_async.cli._exit import Status
from luma_async.cli._options import AsJson, Directory, Files, FromFile, Relay, TaskIds, Waiting


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - slow to import, and rarely asked for

    return f"luma-async {version('luma-async')}"


app = App(
    name="luma-async",
    help="Wait for Luma video generations behind relays: give it task ids, get finished videos.",
    help_epilogue="The relay's address and key come from LUMA_BASE_URL and LUMA_API_KEY (or LUMA_API_KEY_FILE). "
    "Try it without either: luma-async demo",
    help_format="plaintext",
    version=_version,
)


_RELAY, _WAITING, _FILES = Relay(), Waiting(), Files()


@app.command
async def get(*ids: TaskIds, from_: FromFile = None, as_json: AsJson = False, relay: Relay = _RELAY) -> Status:
    """Look once at each generation, in whatever state it is.

    Example: luma-async get 6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f
    """
    from luma_async.cli import _work  # noqa: PLC0415 - aiohttp is no part of --help

    async with _work.job(ids, from_, relay.client(), as_json=as_json) as job:
        return await _work.look(job)


@app.command
async def wait(
    *ids: TaskIds,
    from_: FromFile = None,
    as_json: AsJson = False,
    relay: Relay = _RELAY,
    waiting: Waiting = _WAITING,
) -> Status:
    """Wait for generations, and show each as it ends.

    Example: luma-async wait --from ids.txt --timeout 600 > outcomes.jsonl
    """
    from luma_async.cli import _work  # noqa: PLC0415 - aiohttp is no part of --help

    async with _work.job(ids, from_, relay.client(waiting.polling), as_json=as_json) as job:
        return await _work.wait(job, waiting)


@app.command
async def download(
    *ids: TaskIds,
    from_: FromFile = None,
    as_json: AsJson = False,
    relay: Relay = _RELAY,
    waiting: Waiting = _WAITING,
    files: Files = _FILES,
) -> Status:
    """Wait for generations, and store the video of each as it completes.

    A file that cannot be stored is an error of its id alone; its line still holds the generation.

    Example: luma-async download --directory videos 6c1f7a52-0d0b-4b0e-9a5f-0f4b4c5d6e7f
    """
    from luma_async.cli import _work  # noqa: PLC0415 - aiohttp is no part of --help

    client = relay.client(waiting.polling, private_media=files.private_media)
    async with _work.job(ids, from_, client, as_json=as_json) as job:
        return await _work.fetch(job, waiting, files)


@app.command
async def demo(*, directory: Directory = Path("luma-demo"), as_json: AsJson = False) -> Status:
    """Wait for five generations of a simulated relay and store their videos: no key, no network, under 15 seconds.

    Example: luma-async demo
    """
    from luma_async.cli import _demo  # noqa: PLC0415 - aiohttp is no part of --help

    return await _demo.play(directory, as_json=as_json)


@app.command
async def simulate(
    *,
    port: Annotated[
        int,
        Parameter(help="TCP port on this machine; 0 takes a free one.", validator=Number(gte=0, lte=65535)),
    ] = 0,
    speed: Annotated[
        float, Parameter(help="Relay seconds per real second: 10 is ten times as fast.", validator=Number(gt=0))
    ] = 1.0,
    count: Annotated[
        int, Parameter(help="Ready-made tasks; they begin at once, and every fifth fails.", validator=Number(gte=0))
    ] = 5,
) -> Status:
    """Run a simulated relay until Ctrl-C, and print its address, its key and ready-made task ids.

    Example: luma-async simulate --port 8080 --speed 10
    """
    from luma_async.cli import _demo  # noqa: PLC0415 - aiohttp is no part of --help

    return await _demo.serve(port=port, speed=speed, count=count)
