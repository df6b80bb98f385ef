"""The callbacks of the simulated relay: what it posts to a submit's ``notify_hook``, and how badly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from itertools import accumulate
from typing import Any

import aiohttp
from attrs import field, frozen, validators
from yarl import URL

from luma_async.testing._answers import LinkTo, Task, generation

_TRIES = 3
"""For each callback, as gateways have it; nothing is signed."""
_PATIENCE = 10.0
"""Seconds for one try."""


@frozen(kw_only=True)
class Callbacks:
    """How the relay calls back: at each change of state, a hook on this machine gets the generation as JSON.

    Raises:
        ValueError: A field is negative.
    """

    times: int = field(default=1, validator=validators.ge(0))
    """How often it calls for each change; 0 for never."""
    delay: float = field(default=0.0, validator=validators.ge(0))
    """Relay seconds from a change to its call."""
    lies: bool = False
    """Whether each call says that the task has completed, with a link to another server."""

    def due(self, task: Task) -> Iterator[float]:
        """Yield the ages at which *task* changes, in relay seconds, as often as it is called for."""
        for age in accumulate(step.seconds for step in task.script.steps):
            for _ in range(self.times):
                yield age

    def body(self, task: Task, age: float, link: LinkTo) -> dict[str, Any]:
        """Return what a call says of *task* at *age*."""
        told = generation(task, age, link)
        if self.lies:
            told |= {"state": "completed", "video": {"url": "https://elsewhere.example/another.mp4"}}
        return told


def is_near(url: str) -> bool:
    """Whether *url* leads to this machine: a test must not call anybody else."""
    try:
        host = URL(url).host or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def post(session: aiohttp.ClientSession, url: str, body: object, sleep: Callable[[float], Any]) -> None:
    """Post *body* to *url*, at most three times, until it is taken."""
    for attempt in range(_TRIES):
        try:
            async with session.post(url, json=body, timeout=aiohttp.ClientTimeout(_PATIENCE)) as answer:
                if answer.ok:
                    return
        except (aiohttp.ClientError, TimeoutError):
            """The hook is away; real gateways do not say so either."""
        await sleep(0.1 * 2**attempt)
