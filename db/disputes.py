"""When two sources of prices contradicted each other about an open position, and what each of them said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from domain.ids import PositionId


@dataclass(frozen=True, slots=True)
class Dispute:
    """*since* on the stack's clock; dollars a share at the side that the position leaves at, and their market times."""

    since: datetime
    live_price: Decimal
    second_price: Decimal
    live_at: datetime
    second_at: datetime


def begin(tx: Connection, position_id: PositionId, dispute: Dispute) -> None:
    """Write that *dispute* is on, unless one is."""
    tx.execute(
        text(
            "INSERT INTO price_disputes (position_id, since, live_price, live_at, second_price, second_at)"
            " VALUES (:id, :since, :live_price, :live_at, :second_price, :second_at)"
            " ON CONFLICT (position_id) WHERE ended_at IS NULL DO NOTHING"
        ),
        {
            "id": position_id,
            "since": dispute.since,
            "live_price": dispute.live_price,
            "live_at": dispute.live_at,
            "second_price": dispute.second_price,
            "second_at": dispute.second_at,
        },
    )


def end(tx: Connection, position_id: PositionId, now: datetime) -> None:
    """Write that the sources agree again about a position, or that one of them fell silent."""
    tx.execute(
        text("UPDATE price_disputes SET ended_at = greatest(:now, since) WHERE position_id = :id AND ended_at IS NULL"),
        {"id": position_id, "now": now},
    )


def of_position(tx: Connection, position_id: UUID) -> Sequence[tuple[Dispute, datetime | None]]:
    """Return the disputes about a position, first ones first, each with its end (None: it goes on)."""
    rows = tx.execute(
        text(
            "SELECT since, live_price, second_price, live_at, second_at, ended_at FROM price_disputes"
            " WHERE position_id = :id ORDER BY dispute_id"
        ),
        {"id": position_id},
    )
    return [(Dispute(*row[:5]), row[5]) for row in rows]


def going_on(tx: Connection) -> Mapping[PositionId, Dispute]:
    """Return the disputes that have not ended."""
    rows = tx.execute(
        text(
            "SELECT position_id, since, live_price, second_price, live_at, second_at FROM price_disputes"
            " WHERE ended_at IS NULL"
        )
    )
    return {PositionId(r[0]): Dispute(*r[1:]) for r in rows}
