"""``python -m tests.benchmarks``: run the comparison and print medians and ratios."""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

from tests.benchmarks.running import fast_relay, interleaved


def main() -> None:
    """Compare what looking once costs each client."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", default="bare,ours,ours-get,ours-gets,sdk-aiohttp,sdk-httpx")
    arguments = parser.parse_args()
    with fast_relay() as url:
        orders: dict[str, dict[str, Any]] = {
            name: {"measure": "looks", "base_url": url, "client": name, "options": {}}
            for name in arguments.clients.split(",")
        }
        found = interleaved(orders, arguments.rounds)
    first = next(iter(found.values()))
    for name, results in found.items():
        cpu, speed = (median(r[key] for r in results) for key in ("cpu_us_per_look", "looks_per_second"))
        cpu_ratio = cpu / median(r["cpu_us_per_look"] for r in first)
        speed_ratio = speed / median(r["looks_per_second"] for r in first)
        print(f"{name:12} {cpu:8.1f} µs CPU {cpu_ratio:6.2f}x {speed:8.0f} looks/s {speed_ratio:6.2f}x")  # noqa: T201


if __name__ == "__main__":
    main()
