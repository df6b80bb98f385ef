"""Cases of which the quick run takes the first ones; ``pytest -m ''`` and ``.ci/run`` take all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def quick(cases: Iterable[Any], most: int = 1, ids: Iterable[str] = ()) -> list[ParameterSet]:
    """Return *cases* for ``parametrize``; those after the first *most* are slow. A tuple has several arguments."""
    names = iter(ids)
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=next(names, None),
            marks=[pytest.mark.slow] if number >= most else [],
        )
        for number, case in enumerate(cases)
    ]
