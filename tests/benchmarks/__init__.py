"""Benchmarks against the official SDK, bare aiohttp and a naive loop: ``python -m tests.benchmarks``."""
