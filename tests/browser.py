"""A headless Chromium, spoken to by the DevTools protocol: what a page does where people look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse
from attrs import define, field

NEEDED = "LUMA_ASYNC_NEEDS_BROWSER"
"""The variable that says, with ``1``, that a machine without a browser is a failure."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 30.0
"""Seconds for a browser to start, and for a page to load: an idle machine needs one."""
_QUIET = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--remote-debugging-port=0",
)
_TROUBLE = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded")
"""Events that a page without fault never causes; a refused load is one of the first."""


def installed() -> str | None:
    """Return the path of a browser, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def needed_program() -> str:
    """Return the path of a browser; without one, skip the test, or fail it where a browser is needed."""
    program = installed()
    if program is None:
        why = f"no Chromium on PATH ({' or '.join(_NAMES)})"
        if os.environ.get(NEEDED) == "1":
            pytest.fail(why)
        pytest.skip(why)
    return program


@contextmanager
def chromium(program: str, profile: Path) -> Generator[str]:
    """Run a browser, and yield the address of its debugger."""
    rights = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    command = [program, *_QUIET, *rights, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - found by its name
        try:
            yield f"http://127.0.0.1:{_port(process, profile / 'DevToolsActivePort')}"
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _port(process: subprocess.Popen[bytes], announced: Path) -> int:
    patience = time.monotonic() + _PATIENCE
    while not (announced.exists() and announced.read_text(encoding="ascii").count("\n")):
        if process.poll() is not None or time.monotonic() > patience:
            raise AssertionError("the browser did not start")
        time.sleep(0.02)
    return int(announced.read_text(encoding="ascii").split()[0])


@define(eq=False)
class Tab:
    """A page in the browser."""

    _socket: ClientWebSocketResponse
    troubles: list[Any] = field(factory=list, init=False)
    """What stands in the console, and what the page was refused."""
    _numbers: count[int] = field(factory=lambda: count(1), init=False)

    async def ask(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await self._until(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    async def evaluate(self, expression: str) -> Any:
        """Return what *expression* is worth in the page, as JSON; the page's policy does not bind it."""
        result = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def open(self, address: str, *, width: int, scheme: str) -> None:
        """Load *address* at a *width* in pixels, in a ``light`` or ``dark`` *scheme*."""
        self.troubles.clear()
        await self.look(width=width, scheme=scheme)
        await self.ask("Page.navigate", url=address)
        await self._until(lambda message: message.get("method") == "Page.loadEventFired")

    async def look(self, *, width: int, scheme: str) -> None:
        """Change the window and the scheme."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await self.ask("Emulation.setDeviceMetricsOverride", **size)
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def press(self, key: str) -> None:
        """Press and release *key*."""
        for kind in ("keyDown", "keyUp"):
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_CODES[key])

    async def screenshot(self, *, whole: bool = False) -> bytes:
        """Return a PNG of the window, or of the *whole* page."""
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return b64decode(shot["data"])

    async def accessible(self) -> list[tuple[str, str]]:
        """Return the role and the name of each node that a screen reader meets."""
        tree = await self.ask("Accessibility.getFullAXTree")
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree["nodes"]
            if not node["ignored"]
        ]

    async def _until(self, is_it: Any) -> Any:
        while True:
            message = await self._socket.receive_json(timeout=_PATIENCE)
            if message.get("method") in _TROUBLE:
                self.troubles.append(message["params"])
            if is_it(message):
                return message


_CODES = {"Tab": 9, "Enter": 13}


@asynccontextmanager
async def new_tab(debugger: str) -> AsyncGenerator[Tab]:
    """Open a tab in the browser at *debugger*, and close it in the end."""
    async with ClientSession(timeout=ClientTimeout(total=_PATIENCE)) as session:
        async with session.put(f"{debugger}/json/new?about:blank") as response:
            target = await response.json()
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Runtime", "Log", "Audits", "Accessibility"):
                await tab.ask(f"{domain}.enable")
            yield tab
        async with session.get(f"{debugger}/json/close/{target['id']}"):
            pass
