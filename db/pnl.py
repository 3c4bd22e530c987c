"""Profit and loss of an account since its session's open, from fills and marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from db import fills
from domain.ids import AccountName
from domain.known import Known, Unknown
from domain.positions import Fill, fold
from domain.session import Session


def since_open(
    tx: Connection,
    account: AccountName,
    marks: Mapping[str, Known[Decimal] | Unknown],
    session: Known[Session] | Unknown,
    now: datetime,
) -> Known[Decimal] | Unknown:
    """Return realised dollars since the session's open plus unrealised dollars of what is held.

    Unrealised is measured from the entry price: an overnight gain or loss counts on every day that it is held.
    """
    if isinstance(session, Unknown):
        return session
    total, oldest = Decimal(0), now
    for row in _touched(tx, account, session.value.open):
        realized = _realized(fills.of_position(tx, row.position_id), row.multiplier, session.value.open)
        if realized is None:
            return Unknown(f"{row.symbol} left without a known price", "fills")
        total += realized
        if row.qty == 0:
            continue
        mark = marks.get(row.symbol, Unknown(f"no mark for {row.symbol}", "quotes"))
        if isinstance(mark, Unknown):
            return Unknown(f"{row.symbol}: {mark.reason}", mark.source)
        total += (mark.value - row.entry_price) * row.qty * row.multiplier
        oldest = min(oldest, mark.at)
    return Known(total, oldest, "fills and marks")


def _touched(tx: Connection, account: AccountName, opened: datetime) -> Sequence[Row[Any]]:
    rows: Sequence[Row[Any]] = tx.execute(
        text(
            "SELECT position_id, symbol, qty, entry_price, multiplier FROM positions"
            " WHERE account = :account AND (closed_at IS NULL OR closed_at >= :opened) ORDER BY position_id"
        ),
        {"account": account, "opened": opened},
    ).all()
    return rows


def _realized(of_position: Sequence[Fill], multiplier: int, opened: datetime) -> Decimal | None:
    """Return the dollars realised at or after *opened*, None when a quantity left without a known price."""
    before = [f for f in of_position if f.at < opened]
    whole = fold(of_position, multiplier).realized_pnl_usd
    earlier = fold(before, multiplier).realized_pnl_usd if before else Decimal(0)
    return None if whole is None or earlier is None else whole - earlier
