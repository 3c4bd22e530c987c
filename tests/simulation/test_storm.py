"""The seeded storm over gate, executor, tracker, exit and reconciler. ``GAPLESS_STORM_SEEDS`` asks for more."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import Engine

from tests.simulation.storm import Storm

SEEDS = range(int(os.environ.get("GAPLESS_STORM_SEEDS", "25")))


@pytest.mark.parametrize("seed", SEEDS)
def test_storm(engine: Engine, seed: int):
    """
    Duplicates, reordering, lost replies, manual trades and a crash at every seam, two accounts with
    the same symbols: limits hold, positions equal the fold of their fills, one live close each, and
    when it is calm again the rows equal the brokerage's book.
    """
    Storm(engine, seed).run()
