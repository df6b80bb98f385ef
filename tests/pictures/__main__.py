"""Draws ``docs/images``: the gallery as a PNG, the terminal as an SVG."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from luma_async.cli import main as luma_async
from tests.browser import chromium, installed, new_tab
from tests.pictures.scenes import lay_out
from tests.pictures.terminal import terminal

IMAGES = Path(__file__).parents[2] / "docs" / "images"

_SETTLED = 2.0
"""Seconds until a video's controls show that nothing is loading."""


async def _photograph(page: Path, program: str, profile: Path, settled: float) -> bytes:
    with chromium(program, profile) as debugger:
        async with new_tab(debugger) as tab:
            await tab.open(page.as_uri(), width=1080, scheme="light")
            await asyncio.sleep(settled)
            return await tab.screenshot(whole=True)


def main(images: Path = IMAGES, hurry: float = 1.0) -> int:
    """Draw the pictures into *images*, *hurry* times as fast as they look best, and return the exit status."""
    program = installed()
    if program is None:
        sys.stderr.write("the gallery's picture needs a Chromium on PATH\n")
        return 1
    images.mkdir(exist_ok=True)
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        place = Path(name)
        page = place / "gallery.html"
        luma_async(["gallery", str(lay_out(place)), "--media", str(place), "-o", str(page)])
        picture = asyncio.run(_photograph(page, program, place / "profile", _SETTLED / hurry))
    (images / "gallery.png").write_bytes(picture)
    (images / "terminal.svg").write_text(asyncio.run(terminal(hurry)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
