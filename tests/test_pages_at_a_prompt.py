"""The pages as a reader pastes them: block after block into ``python -m asyncio``, on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import define, field

from luma_async.cli.demo import EXAMPLES
from luma_async.testing import RelayThread, SimulatedRelay
from tests.test_docs import CERTIFICATE, KEY, PAGES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 13), reason="the prompt of 3.13 takes a pasted block as a whole"),
]

PATIENCE = 60.0
"""Seconds for a block."""
_FILE = re.compile(r"^(async )?def test_|^asyncio\.run\(", re.MULTILINE)


def blocks_of(page: Path) -> list[str]:
    """Return the Python blocks of *page* that are not files: tests, or whole programs."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if not _FILE.search(block)]


@define(eq=False)
class Prompt:
    """A prompt of ``python -m asyncio``."""

    terminal: int
    _blocks: int = field(default=0, init=False)

    def paste(self, block: str) -> str:
        """Type *block* and an empty line, and return what the terminal shows until the prompt has done it."""
        self._blocks += 1
        mark = f"done-{self._blocks}-"
        left, shown, ends = f"{block}\nprint('{mark}' + 'x')\n".encode(), "", time.monotonic() + PATIENCE
        os.set_blocking(self.terminal, False)
        while f"{mark}x" not in shown:
            assert time.monotonic() < ends, shown
            time.sleep(0.01)
            with suppress(BlockingIOError):  # the terminal's line is full until the prompt has read it
                left = left[os.write(self.terminal, left[:512]) :] if left else left
            with suppress(BlockingIOError):
                shown += os.read(self.terminal, 65536).decode(errors="replace")
        return shown


@pytest.fixture
def prompt(tmp_path: Path) -> Iterator[Prompt]:
    """A prompt in an empty directory, beside a relay that knows the ids of ``simulate``."""
    (tmp_path / "company-ca.pem").write_text(CERTIFICATE, encoding="ascii")
    with RelayThread(SimulatedRelay(api_key=KEY)) as relay:
        for task_id, script in EXAMPLES.items():
            relay.add(task_id, script=script)
        ours, theirs = pty.openpty()
        env = {**os.environ, "LUMA_BASE_URL": relay.base_url, "LUMA_API_KEY": KEY, "TERM": "dumb"}
        process = subprocess.Popen(
            [sys.executable, "-m", "asyncio"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=env
        )
        os.close(theirs)
        try:
            yield Prompt(ours)
        finally:
            process.kill()
            process.wait()
            os.close(ours)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_can_be_pasted(page: Path, prompt: Prompt) -> None:
    """None of them is a syntax error at the prompt, or raises what the page does not catch."""
    for block in blocks_of(page):
        shown = prompt.paste(block)

        assert re.search(r'^Traceback|^ +File "<console>"', shown, re.MULTILINE) is None, shown
