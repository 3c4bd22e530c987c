"""The storm can fail: take away one of the things that the promises rest on, and it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from tests.simulation.exchange import Crash
from tests.simulation.storm import Storm

#: Within so many seeds a storm finds what is missing.
SEEDS = range(12)


def storms_fail(make: Callable[[int], Storm]) -> bool:
    """Does at least one seed break an invariant, or run into an error that is no crash of its own?"""
    for seed in SEEDS:
        try:
            make(seed).run()
        except Crash:
            raise
        except Exception:  # noqa: BLE001 - whatever breaks is what is looked for
            return True
    return False


def test_without_the_inbox_the_storm_fails(fresh: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch):
    """A fact that comes again is handled again: the storm notices."""
    monkeypatch.setattr("actors.gate.first_time", lambda *_: True)
    monkeypatch.setattr("actors.tracker.first_time", lambda *_: True)

    assert storms_fail(lambda seed: Storm(fresh(), seed))


def test_without_the_reservation_the_storm_fails(fresh: Callable[[], Engine]):
    """Count only what is held, as the old system did: the limits break."""

    def blind(seed: int) -> Storm:
        engine = fresh()
        with engine.begin() as tx:
            tx.execute(text(WITHOUT_RESERVATIONS))
        return Storm(engine, seed)

    assert storms_fail(blind)


WITHOUT_RESERVATIONS = """
CREATE OR REPLACE VIEW commitments AS
    SELECT account, position_id, symbol, underlying, kind, sum(entry_price * abs(qty) * multiplier) AS usd,
           sum(qty)::integer AS held_qty
      FROM positions WHERE closed_at IS NULL GROUP BY account, position_id, symbol, underlying, kind
"""
