"""What a day takes of each contract that is held: dollars a share, as the feed of prices last said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from domain.known import Known


def keep(tx: Connection, thetas: Mapping[str, Decimal], at: datetime) -> None:
    """Write *thetas* by symbol, learned at *at*: a snapshot's Greeks have no time of their own."""
    rows = [{"symbol": symbol, "theta": theta, "at": at} for symbol, theta in sorted(thetas.items())]
    if rows:
        tx.execute(
            text(
                "INSERT INTO thetas (symbol, theta, at) VALUES (:symbol, :theta, :at)"
                " ON CONFLICT (symbol) DO UPDATE SET theta = :theta, at = :at WHERE thetas.at < :at"
            ),
            rows,
        )


def of(tx: Connection, symbols: Sequence[str]) -> Mapping[str, Known[Decimal]]:
    """Return the last theta of each of *symbols* that has one."""
    rows = tx.execute(text("SELECT symbol, theta, at FROM thetas WHERE symbol = ANY(:symbols)"), {"symbols": symbols})
    return {row.symbol: Known(row.theta, row.at, "snapshots") for row in rows}
