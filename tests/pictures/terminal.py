"""The live table in the middle of a batch, at a simulated relay."""

from __future__ import annotations

import asyncio
import re
from io import StringIO

from rich.console import Console
from rich.text import Text

from luma_async import Limits, LumaClient
from luma_async.cli.ids import Ids
from luma_async.cli.lines import HumanForm
from luma_async.cli.options import Waiting
from luma_async.cli.progress import Progress
from luma_async.cli.show import Board, Show
from luma_async.cli.table import Table
from luma_async.cli.work import Job, wait
from luma_async.testing import Script, SimulatedRelay

_SCRIPTS = {
    "luma_gen_7f3a": Script.completes(pending=1, processing=3),
    "luma_gen_b510": Script.fails(after=5, reason="the prompt was refused by moderation"),
    "luma_gen_81c0": Script.completes(pending=2, processing=5),
    "luma_gen_9b2e": Script.completes(pending=4, processing=30),
    "luma_gen_a4d7": Script.of(("pending", 6), ("dreaming", 40)),
    "luma_gen_c3f9": Script.of(("queued", 90)),
}
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Those from the network: a picture asks nobody."""
_ENDED = 3
"""How many have ended when the picture is taken."""


async def terminal(speed: float = 1.0) -> str:
    """Return a picture of the terminal as SVG; *speed* is that of the relay."""
    console = Console(
        record=True,
        width=96,
        height=24,
        file=StringIO(),
        force_terminal=True,
        highlight=False,
        markup=False,
        emoji=False,
    )
    board = Board()
    show = Show(board, HumanForm(console), above=[])
    pace = 0.25 / speed
    waiting = Waiting(timeout=60.0, initial_interval=pace, max_interval=2 * pace, min_interval=pace)
    async with SimulatedRelay(speed=speed) as relay:
        for task_id, script in _SCRIPTS.items():
            relay.add(task_id, script=script)
        limits = Limits(allow_private_media=True)
        async with LumaClient(
            relay.base_url, relay.api_key, polling=waiting.polling, limits=limits, on_event=board.note
        ) as luma:
            table = Table(Progress(board, lambda: luma.statistics), console)
            job = Job(luma, Ids.of(_SCRIPTS, None), show)
            work = asyncio.create_task(wait(job, waiting))
            while board.done < _ENDED:  # noqa: ASYNC110 - a board is looked at
                await asyncio.sleep(pace)
            _show(show, table)
            work.cancel()
            await asyncio.wait([work])
    return _FONTS.sub("", console.export_svg(title="luma-async", unique_id="terminal"))


def _show(show: Show, table: Table) -> None:
    """Print what the terminal shows at this moment."""
    console = table.console
    console.print(Text("$ luma-async wait --from ids.txt", style="bold"))
    console.print(Text.from_ansi("".join(show.above or ())), soft_wrap=True)
    console.print(table.picture())
