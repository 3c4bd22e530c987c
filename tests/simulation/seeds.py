"""Which seeds a storm runs with: a few with the fast tests, many with the slow ones, or as many as one asks for."""

from __future__ import annotations

import os
from typing import Any, Final

import pytest

#: How many seeds the slow tests run of each storm.
MANY: Final = 60


def seeds(few: int) -> list[Any]:
    """Return the seeds; those beyond the first *few* are slow. ``GAPLESS_STORM_SEEDS`` asks for so many, none slow."""
    if asked := os.environ.get("GAPLESS_STORM_SEEDS"):
        return list(range(int(asked)))
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(few, MANY))]
