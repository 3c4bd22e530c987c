"""The storm with exits that leave in parts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from domain.exits import Rung, Tier
from tests.factories import a_policy
from tests.simulation.seeds import seeds
from tests.simulation.storm import Storm

PARTS = a_policy(
    min_hold=timedelta(minutes=1),
    target_pct=None,
    break_even_arm_pct=Decimal(10),
    ladder=(Rung(at_pct=Decimal(10), close_pct=Decimal(40)), Rung(at_pct=Decimal(40), close_pct=Decimal(30))),
    trail_tiers=(Tier(arm_pct=Decimal(50), lock_pct=Decimal(70)),),
)
#: What was bought of each position, and what the ladder sold of it.
LADDERED = text(
    "SELECT sum(filled_qty) FILTER (WHERE opening) AS bought,"
    " coalesce(sum(filled_qty) FILTER (WHERE reason = 'ladder'), 0) AS laddered FROM orders GROUP BY position_id"
)


@pytest.mark.parametrize("seed", seeds(5))
def test_storm_of_parts(engine: Engine, seed: int):
    """
    The same with a ladder, tiers and break-even: parts hang, fail, come twice and are canceled for the
    whole. What the ladder sold of a position is never more than its share of what was bought, and a
    close of a part never stands in the way of the close of all.
    """
    storm = Storm(engine, seed, PARTS)
    storm.run()

    with engine.connect() as tx:
        sold = tx.execute(LADDERED).all()
        waiting = tx.execute(
            text(
                "SELECT count(*) FROM positions JOIN exit_plans USING (position_id)"
                " WHERE closed_at IS NULL AND triggered_rule IS NOT NULL"
            )
        ).scalar_one()
    assert [] == [(row.laddered, row.bought) for row in sold if row.laddered > row.bought * 70 // 100]
    assert 0 == waiting
