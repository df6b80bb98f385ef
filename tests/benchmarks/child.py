"""One measurement in a process of its own, so that its CPU time and memory are nobody else's: JSON in, JSON out."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.clients import CLIENTS


def control(base_url: str, what: str, **said: Any) -> dict[str, Any]:
    """Tell the fast relay something and return what it says."""
    connection = HTTPConnection(urlsplit(base_url).netloc)
    connection.request("POST", f"/control/{what}", json.dumps(said).encode())
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


async def looks(
    base_url: str, client: str, options: dict[str, Any], *, concurrency: int = 50, looks_each: int = 60
) -> dict[str, Any]:
    """CPU and time per look when *concurrency* ids are looked at without a pause."""
    async with CLIENTS[client](base_url, options) as subject:
        await subject.drain(control(base_url, "register", count=concurrency, looks=10)["ids"])
        ids = control(base_url, "register", count=concurrency, looks=looks_each)["ids"]
        cpu, clock = time.process_time(), time.perf_counter()
        await subject.drain(ids)
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    report = control(base_url, "report")
    count = report["looks"]
    return {
        "cpu_us_per_look": cpu / count * 1e6,
        "looks_per_second": count / clock,
        "looks": count,
        "server_us_per_look": report["cpu"] / count * 1e6,
    }


MEASUREMENTS = {"looks": looks}


def main() -> None:
    """Do what the first argument says."""
    order = json.loads(sys.argv[1])
    measurement = MEASUREMENTS[order.pop("measure")]
    print(json.dumps(asyncio.run(measurement(**order))))  # noqa: T201 - whoever started us reads it


if __name__ == "__main__":
    main()
