"""What was said of a position and stands in no row of its own, oldest first; the database keeps it (migration 0011)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

#: The broker order id of an adjustment's fill ends with the id of the fact that made it.
_OF_POSITION: Final = text(
    "SELECT type, at, body FROM said WHERE position_id = :id"
    " UNION ALL SELECT s.type, s.at, s.body || jsonb_build_object('order_id', f.order_id) FROM fills f"
    " JOIN said s ON f.broker_order_id = 'adjustment-' || s.fact_id"
    " WHERE f.position_id = :id AND f.source = 'adjustment'"
    " ORDER BY at"
)


def of_position(tx: Connection, position_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    """Return the type and the body of each fact; an adjustment's body also names its ``order_id``."""
    return [(row.type, row.body) for row in tx.execute(_OF_POSITION, {"id": position_id})]
