"""Where broker and rows disagree, with the number of readings that said so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import AccountName


def observe(
    tx: Connection, account: AccountName, symbol: str, kind: str, rows_qty: int, broker_qty: int, now: datetime
) -> tuple[int, datetime]:
    """Record one reading; return how many in a row said the same, and when the first did."""
    row = tx.execute(
        text(
            "INSERT INTO drift (account, symbol, kind, rows_qty, broker_qty, readings, first_at, last_at)"
            " VALUES (:account, :symbol, :kind, :rows_qty, :broker_qty, 1, :now, :now)"
            " ON CONFLICT (account, symbol) DO UPDATE SET"
            " readings = CASE WHEN (drift.kind, drift.rows_qty, drift.broker_qty) = (:kind, :rows_qty, :broker_qty)"
            "                 THEN drift.readings + 1 ELSE 1 END,"
            " first_at = CASE WHEN (drift.kind, drift.rows_qty, drift.broker_qty) = (:kind, :rows_qty, :broker_qty)"
            "                 THEN drift.first_at ELSE :now END,"
            " kind = :kind, rows_qty = :rows_qty, broker_qty = :broker_qty, last_at = :now"
            " RETURNING readings, first_at"
        ),
        {
            "account": account,
            "symbol": symbol,
            "kind": kind,
            "rows_qty": rows_qty,
            "broker_qty": broker_qty,
            "now": now,
        },
    ).one()
    return row.readings, row.first_at


def keep_only(tx: Connection, account: AccountName, symbols: Sequence[str]) -> None:
    """Forget the disagreements of *account* that are not among *symbols* any more."""
    tx.execute(
        text("DELETE FROM drift WHERE account = :account AND NOT symbol = ANY(:symbols)"),
        {"account": account, "symbols": list(symbols)},
    )


def all_of(tx: Connection) -> Sequence[dict[str, Any]]:
    rows = tx.execute(text("SELECT * FROM drift ORDER BY account, symbol"))
    return [dict(r._mapping) for r in rows]
