"""Exactly-once effects from at-least-once delivery: the inbox."""

from __future__ import annotations

from collections.abc import Iterable

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


def first_times(tx: Connection, actor: str, fact_ids: Iterable[str]) -> frozenset[str]:
    """Claim many facts at once; return those that no committed transaction has already."""
    claimed = tx.execute(
        text(
            "INSERT INTO inbox (actor, fact_id)"
            " SELECT :actor, fact_id FROM unnest(CAST(:fact_ids AS text[])) AS fact_id"
            " ORDER BY fact_id ON CONFLICT DO NOTHING RETURNING fact_id"
        ),
        {"actor": actor, "fact_ids": list(fact_ids)},
    )
    return frozenset(claimed.scalars())
