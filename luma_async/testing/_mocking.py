"""aioresponses, made fit for each aiohttp that this package allows."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any
from unittest.mock import Mock

from aiohttp import ClientResponse
from aioresponses import core
from yarl import URL

_NEEDED = [
    name
    for name, parameter in signature(ClientResponse.__init__).parameters.items()
    if parameter.kind is Parameter.KEYWORD_ONLY and parameter.default is Parameter.empty
]
"""The arguments that this aiohttp requires. aioresponses 0.7.9 does not know of ``stream_writer``, new in 3.14."""


class _Response(ClientResponse):
    """A response whose unknown arguments are mocks."""

    def __init__(self, method: str, url: URL, **given: Any) -> None:
        unknown: dict[str, Any] = {name: Mock(output_size=0) for name in _NEEDED if name not in given}
        super().__init__(method, url, **unknown, **given)


setattr(core, "ClientResponse", _Response)  # noqa: B010 - type checkers take the name for a constant


class aioresponses(core.aioresponses):  # noqa: N801 - the name that users know
    """The mock of aioresponses, whose answers a ``LumaClient`` can read with each aiohttp that we allow.

    Importing this name, or using the fixture ``luma_responses``, makes ``aioresponses.aioresponses`` fit too.

    Raises:
        ModuleNotFoundError: At the import: aioresponses is not installed.
    """
