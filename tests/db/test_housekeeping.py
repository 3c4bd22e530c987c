"""Rows that only served delivery go by age; what was decided stays."""

from __future__ import annotations

from sqlalchemy import Engine, text

from db import housekeeping


def test_old_delivery_rows_go_and_young_or_unpublished_ones_stay(engine: Engine):
    """An unpublished fact is kept however old it is: it is still owed."""
    with engine.begin() as tx:
        for fact_id, published in (("old", "now() - interval '8 days'"), ("young", "now()"), ("owed", "NULL")):
            tx.execute(
                text(
                    "INSERT INTO outbox (stream, fact_id, type, body, published_at)"
                    f" VALUES ('fills', '{fact_id}', 'OrderFilled', '{{}}', {published})"
                )
            )
        tx.execute(text("INSERT INTO inbox VALUES ('tracker', 'old', now() - interval '91 days')"))
        tx.execute(text("INSERT INTO inbox VALUES ('tracker', 'young', now())"))

        removed = housekeeping.prune(tx)

        left = tx.execute(text("SELECT fact_id FROM outbox UNION ALL SELECT 'inbox ' || fact_id FROM inbox ORDER BY 1"))
        assert (2, ["inbox young", "owed", "young"]) == (removed, list(left.scalars()))
