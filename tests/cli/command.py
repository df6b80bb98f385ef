"""Runs ``luma-async`` as users do: in a process of its own, in a pipe or on a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from attrs import frozen

from luma_async.testing import Script, SimulatedRelay

FAST = ("--initial-interval", "0.05", "--max-interval", "0.2", "--min-interval", "0.05")
"""The pace for a relay that is fifty times faster than life."""
ENDLESS = Script.of(("pending", 1.0), "processing")

PATIENCE = 20.0
"""Seconds until a test gives up on a command."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that end a command."""
_PROGRAM = (sys.executable, "-W", "error", "-m", "luma_async")
"""Where a socket, a task or a file that is left over would be told of on standard error."""


@frozen
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The outcomes on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def by_id(self) -> dict[str, dict[str, Any]]:
        """The outcomes by their task ids."""
        return {line["task_id"]: line for line in self.lines}


def told(relay: SimulatedRelay | None) -> dict[str, str]:
    """Return what the environment says of *relay*."""
    return {"LUMA_BASE_URL": relay.base_url, "LUMA_API_KEY": relay.api_key} if relay else {}


def environment(relay: SimulatedRelay | None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with the address and key of *relay*, in which outputs are buffered as usual."""
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**usual, **told(relay), **(extra or {})}


@contextmanager
def starting(ignoring: int | None = None) -> Generator[None]:
    """Let what is started here heed every signal but one; what a shell starts in the background ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN if number == ignoring else signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    *arguments: str, relay: SimulatedRelay | None = None, stdin: str = "", env: Mapping[str, str] | None = None
) -> Ended:
    """Run a command to its end, with *stdin* as its standard input and pipes as its outputs."""
    ended = subprocess.run(  # noqa: S603 - our own program
        [*_PROGRAM, *arguments],
        input=stdin.encode("utf-8", "surrogateescape"),
        capture_output=True,
        env=environment(relay, env),
        timeout=PATIENCE,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode("ascii"), ended.stderr.decode())


@contextmanager
def running(
    *arguments: str,
    relay: SimulatedRelay | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    cwd: Path | None = None,
    ignoring: int | None = None,
    program: tuple[str, ...] = _PROGRAM,
) -> Generator[subprocess.Popen[bytes]]:
    """Start a command with pipes, and see to it that it is gone in the end."""
    with starting(ignoring):
        started = subprocess.Popen(  # noqa: S603 - our own program
            [*program, *arguments],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=environment(relay),
            cwd=cwd,
        )
    with started as process:
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            process.kill()


def send(process: subprocess.Popen[bytes], *ids: str) -> None:
    """Write lines to its standard input, which stays open."""
    assert process.stdin is not None
    process.stdin.write("".join(f"{task_id}\n" for task_id in ids).encode())
    process.stdin.flush()


def close(process: subprocess.Popen[bytes], stream: Literal["stdin", "stdout", "stderr"]) -> None:
    """Close our end of one of its streams."""
    getattr(process, stream).close()
    setattr(process, stream, None)


def next_ids(process: subprocess.Popen[bytes], count: int) -> list[str]:
    """Return the ids of the next *count* outcomes as soon as they are out."""
    assert process.stdout is not None
    return [json.loads(process.stdout.readline())["task_id"] for _ in range(count)]


def finish(process: subprocess.Popen[bytes]) -> Ended:
    """Wait for the end of *process*."""
    out, err = process.communicate(timeout=PATIENCE)
    return Ended(process.returncode, (out or b"").decode("ascii"), (err or b"").decode())


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_polled(relay: SimulatedRelay, task_id: str) -> None:
    """Wait until *relay* is asked for a task again, so that its first answer has arrived."""
    wait_until(lambda: sum(task_id in seen.task_ids for seen in relay.requests) > 1)


def add(relay: SimulatedRelay, scripts: Iterable[Script]) -> list[str]:
    """Register a task for each of *scripts*."""
    return [relay.add(script=script) for script in scripts]
