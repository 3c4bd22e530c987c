"""The seeded storm over gate, executor, tracker, exit and reconciler."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.simulation.seeds import seeds
from tests.simulation.storm import Storm


@pytest.mark.parametrize("seed", seeds(10))
def test_storm(engine: Engine, seed: int):
    """
    Duplicates, reordering, lost replies, manual trades and a crash at every seam, two accounts with
    the same symbols: limits hold, positions equal the fold of their fills, one live close each, and
    when it is calm again the rows equal the brokerage's book.
    """
    Storm(engine, seed).run()
