"""What all tests share: a clean environment, repeatable examples, and aioresponses made to fit aiohttp."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from unittest.mock import Mock

import aioresponses.core
import hypothesis
import pytest
from aiohttp import ClientResponse
from hypothesis.database import DirectoryBasedExampleDatabase

# aioresponses 0.7.9 does not know of the argument that ClientResponse got in aiohttp 3.14.
aioresponses.core.ClientResponse = partial(  # type: ignore[assignment,attr-defined]
    ClientResponse, stream_writer=Mock(output_size=0)
)

hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
# Said in full: where the variable CI is set, hypothesis's own defaults are those of the profile above.
hypothesis.settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=400,
    print_blob=True,
    derandomize=False,
    database=DirectoryBasedExampleDatabase(Path(__file__).parent.parent / ".hypothesis" / "examples"),
)
hypothesis.settings.load_profile("ci")

_OURS = ("LUMA_BASE_URL", "LUMA_API_KEY", "LUMA_API_KEY_FILE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the address, key or proxy of whoever runs it."""
    for name in (*_OURS, *_PROXIES, *map(str.lower, _PROXIES)):
        monkeypatch.delenv(name, raising=False)
