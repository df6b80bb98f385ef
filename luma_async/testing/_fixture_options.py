"""The options that a test gives to its fixtures."""

from __future__ import annotations

from typing import Any

import pytest


def relay_options(request: pytest.FixtureRequest, **usual: Any) -> dict[str, Any]:
    """Return the options of the test's marker, and the *usual* values for options that it does not have."""
    marker = request.node.get_closest_marker("luma_relay")
    return {**usual, **marker.kwargs} if marker else usual


def is_fast(request: pytest.FixtureRequest) -> bool:
    """Whether time jumps in this test."""
    return "luma_time" in request.fixturenames
