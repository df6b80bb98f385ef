"""The commands with a simulated relay: ``demo`` shows a wait, ``simulate`` runs the relay alone."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from random import Random

from attrs import evolve

from luma_async.cli.exit import Status
from luma_async.cli.ids import Ids
from luma_async.cli.options import Files, Output, Simulation, Trouble, Waiting
from luma_async.cli.output import say, write
from luma_async.cli.summary import Summary
from luma_async.cli.work import open_job, run_job, wait
from luma_async.client import LumaClient
from luma_async.errors import ConfigurationError
from luma_async.settings import Limits
from luma_async.testing import Fault, JobLimit, RequestLimit, RowCap, Rule, Script, SessionLoss, SimulatedRelay

_SCRIPTS = {
    "demo-1": Script.completes(pending=0.4, processing=0.8, prompt="a paper boat in the rain"),
    "demo-2": Script.completes(pending=0.6, processing=1.6, prompt="海上日出，延时摄影"),
    "demo-3": Script.completes(pending=0.8, processing=2.6, prompt="a fox crossing fresh snow"),
    "demo-4": Script.of(("pending", 0.8), ("stitching", 1.6), ("processing", 2.2), prompt="city lights from above"),
    "demo-5": Script.completes(pending=1.2, processing=4.8, prompt="slow waves on a black beach"),
    "demo-6": Script.fails(after=3.6, reason="the prompt was refused", prompt="a scene that a filter refuses"),
}
"""Relay seconds, which equal real ones here."""
_PASSES_A_502 = "demo-3"
_PACE = Waiting(timeout=60.0, initial_interval=0.3, max_interval=0.6, min_interval=0.2)
"""Much denser than useful at a real relay."""

EXAMPLES = {
    "luma_gen_abc123": Script.of("completed"),
    "luma_gen_def456": Script.of("completed"),
    "luma_gen_ghi789": Script.of("failed", failure_reason="the prompt was refused"),
    "luma_gen_slow": Script.of("processing"),
}
"""The tasks that the pages of the documentation ask for, so that their blocks run; ``simulate`` knows them, too."""

_EVERY_FIFTH = 5
_RULES: dict[Trouble, Rule] = {
    "503-limit": RequestLimit(per_second=1.0),
    "401-blip": SessionLoss(starts_at=10.0, seconds=5.0),
    "job-limit": JobLimit(most=5),
    "row-cap": RowCap(most=3),
}


async def play(directory: Path, *, as_json: bool) -> Status:
    """Wait for six simulated generations, and store the videos of five in *directory*; the sixth is to fail."""
    async with SimulatedRelay() as relay:
        say(f"{len(_SCRIPTS)} generations at a simulated relay in this process: no key, no network, no credits")
        for task_id, script in _SCRIPTS.items():
            relay.add(task_id, script=script)
        relay.trouble(Fault.bad_gateway(), task_id=_PASSES_A_502)
        limits = Limits(allow_private_media=True)
        summary = Summary()
        client = LumaClient(
            relay.base_url,
            relay.api_key,
            polling=_PACE.polling,
            limits=limits,
            dialect="relay",
            on_event=summary.note,
        )
        work = partial(wait, waiting=_PACE, files=Files(directory=directory, overwrite=True))
        output = Output(as_json=as_json)
        opening = open_job(client, Ids.of(_SCRIPTS, None), output, stores=True, summary=summary)
        status = await run_job(opening, work)
    say(f"the videos are in {directory}; next, with LUMA_BASE_URL and LUMA_API_KEY of your relay: luma-async check")
    return Status.DONE if status is Status.FAILED else status


async def serve(simulation: Simulation) -> Status:
    """Run a simulated relay until a signal; a port that is taken or not allowed is a ConfigurationError."""
    port = simulation.port
    relay = SimulatedRelay(
        port=port,
        speed=simulation.speed,
        flavour=simulation.flavour,
        envelope=simulation.envelope,
        rules=[_RULES[name] for name in dict.fromkeys(simulation.trouble)],
    )
    try:
        await relay.start()
    except OSError as error:
        raise ConfigurationError(f"port {port} cannot be used: {error.strerror}", advice="choose another") from None
    try:
        for task_id, script in EXAMPLES.items():
            relay.add(task_id, script=script)
        varied = partial(_varied, randomness=Random(0), spread=simulation.spread)  # noqa: S311 - the same in each run
        scripts = [varied(_script(number)) for number in range(1, simulation.count + 1)]
        write(_announcement(relay, [relay.add(script=script) for script in scripts]))
        forever: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
        return await forever
    finally:
        await relay.aclose()


def _script(number: int) -> Script:
    if number % _EVERY_FIFTH == 0:
        return Script.fails(after=20.0)
    return Script.completes(pending=5.0, processing=15.0 + 10.0 * (number % _EVERY_FIFTH))


def _varied(script: Script, *, randomness: Random, spread: float) -> Script:
    """Return *script* with another duration of each step, by up to *spread* of it."""
    steps = [evolve(step, seconds=step.seconds * randomness.uniform(1 - spread, 1 + spread)) for step in script.steps]
    return evolve(script, steps=tuple(steps))


def _announcement(relay: SimulatedRelay, task_ids: list[str]) -> str:
    """Return what ``wait --from`` reads: address and key as comments, then one id a line."""
    lines = [f"# export LUMA_BASE_URL={relay.base_url}", f"# export LUMA_API_KEY={relay.api_key}", *task_ids]
    return "\n".join([*lines, ""])
