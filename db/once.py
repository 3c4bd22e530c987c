"""Exactly-once effects from at-least-once delivery: the inbox."""

from __future__ import annotations

from sqlalchemy import Connection, text


def first_time(tx: Connection, actor: str, fact_id: str) -> bool:
    """Claim *fact_id* for *actor* in this transaction; False when a committed transaction has it already.

    Everything that *actor* writes in *tx* commits together with the claim, or not at all.
    """
    claimed = tx.execute(
        text("INSERT INTO inbox (actor, fact_id) VALUES (:actor, :fact_id) ON CONFLICT DO NOTHING"),
        {"actor": actor, "fact_id": fact_id},
    )
    return claimed.rowcount == 1
