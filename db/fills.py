"""The fills: append-only, each execution once, whatever brought it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from domain.events import Side
from domain.ids import AccountName, FillId, OrderId, PositionId
from domain.positions import Fill


def insert(
    tx: Connection,
    *,
    fill: Fill,
    account: AccountName,
    order_id: OrderId,
    position_id: PositionId,
    symbol: str,
    execution_id: str | None,
    source: str,
    read_at: datetime,
) -> bool:
    """Record one execution; False when it is there already. The socket's execution id completes a REST row."""
    values = {
        "fill_id": fill.fill_id,
        "account": account,
        "broker_order_id": fill.broker_order_id,
        "cum_qty": fill.cum_qty,
        "execution_id": execution_id,
        "order_id": order_id,
        "position_id": position_id,
        "symbol": symbol,
        "side": fill.side,
        "qty": fill.qty,
        "price": fill.price,
        "at": fill.at,
        "source": source,
        "read_at": read_at,
        "held_after": fill.held_after,
    }
    inserted = tx.execute(
        text(
            "INSERT INTO fills (fill_id, account, broker_order_id, cum_qty, execution_id, order_id, position_id,"
            " symbol, side, qty, price, at, source, read_at, held_after)"
            " VALUES (:fill_id, :account, :broker_order_id, :cum_qty, :execution_id, :order_id, :position_id, :symbol,"
            " :side, :qty, :price, :at, :source, :read_at, :held_after)"
            " ON CONFLICT (account, broker_order_id, cum_qty) DO NOTHING"
        ),
        values,
    ).rowcount
    if not inserted and execution_id is not None:
        tx.execute(
            text("UPDATE fills SET execution_id = :execution_id WHERE fill_id = :fill_id AND execution_id IS NULL"),
            values,
        )
    return inserted == 1


def of_position(tx: Connection, position_id: PositionId | UUID) -> Sequence[Fill]:
    """Return every fill of the position, in any order: the fold sorts them."""
    rows = tx.execute(
        text(
            "SELECT fill_id, f.broker_order_id, cum_qty, f.side, opening, f.qty, price, at, held_after, reason"
            " FROM fills f JOIN orders USING (order_id) WHERE f.position_id = :position_id"
        ),
        {"position_id": position_id},
    )
    return [
        Fill(
            fill_id=FillId(r.fill_id),
            broker_order_id=r.broker_order_id,
            cum_qty=r.cum_qty,
            side=Side(r.side),
            opens=r.opening,
            qty=r.qty,
            price=None if r.price is None else Decimal(r.price),
            at=r.at,
            held_after=r.held_after,
            reason=r.reason,
        )
        for r in rows
    ]


def filled_of_order(tx: Connection, order_id: OrderId) -> int:
    """Return how many units of the order we have read as filled."""
    total: int = tx.execute(
        text("SELECT coalesce(sum(qty), 0)::integer FROM fills WHERE order_id = :order_id"), {"order_id": order_id}
    ).scalar_one()
    return total


def stored(tx: Connection, account: AccountName, overlap: timedelta) -> tuple[datetime, frozenset[tuple[str, int]]]:
    """Return the time of the newest trade of *account*, and the keys of those up to *overlap* before it.

    Without any execution the time is when the account became ours: what was traded before is not.
    """
    newest: datetime = tx.execute(
        text(
            "SELECT coalesce((SELECT max(at) FROM fills WHERE account = :account AND source IN ('stream', 'activity')),"
            " (SELECT ours_since FROM accounts WHERE account = :account))"
        ),
        {"account": account},
    ).scalar_one()
    rows = tx.execute(
        text("SELECT broker_order_id, cum_qty FROM fills WHERE account = :account AND at >= :since"),
        {"account": account, "since": newest - overlap},
    )
    return newest, frozenset((r.broker_order_id, r.cum_qty) for r in rows)
