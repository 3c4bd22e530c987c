"""The orders. A row is written before the order leaves; an opening order is also its reservation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from domain.events import Intent, OrderType, Side
from domain.ids import AccountName, OrderId, PositionId, RecommendationId
from domain.instrument import Kind, parse_symbol
from domain.orders import Order, OrderStatus


class UnknownOrder(LookupError):
    """No such order row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order with what has become of it."""

    order: Order
    strategy: str
    external: bool
    kind: Kind
    underlying: str
    multiplier: int
    status: OrderStatus
    filled_qty: int
    broker_order_id: str | None
    submitted_at: datetime | None
    cancel_asked_at: datetime | None
    ended_at: datetime | None

    @property
    def live(self) -> bool:
        return self.ended_at is None


_COLUMNS = (
    "order_id, client_order_id, account, position_id, recommendation, external, symbol, underlying, kind, multiplier,"
    " strategy, side, intent, qty, type, limit_price, awaited_until, status, filled_qty, broker_order_id, reason,"
    " approved_at, submitted_at, cancel_asked_at, ended_at"
)


def _row(r: Row[Any]) -> OrderRow:
    return OrderRow(
        order=Order(
            order_id=OrderId(r.order_id),
            client_order_id=r.client_order_id,
            account=AccountName(r.account),
            position_id=PositionId(r.position_id),
            recommendation=None if r.recommendation is None else RecommendationId(r.recommendation),
            symbol=r.symbol,
            side=Side(r.side),
            intent=Intent(r.intent),
            qty=r.qty,
            type=OrderType(r.type),
            limit_price=None if r.limit_price is None else Decimal(r.limit_price),
            awaited_until=r.awaited_until,
            reason=r.reason,
            approved_at=r.approved_at,
        ),
        strategy=r.strategy,
        external=r.external,
        kind=Kind(r.kind),
        underlying=r.underlying,
        multiplier=r.multiplier,
        status=OrderStatus(r.status),
        filled_qty=r.filled_qty,
        broker_order_id=r.broker_order_id,
        submitted_at=r.submitted_at,
        cancel_asked_at=r.cancel_asked_at,
        ended_at=r.ended_at,
    )


def insert(tx: Connection, order: Order, strategy: str, *, external: bool = False, detail: str | None = None) -> None:
    """Write *order* as approved; an opening one thereby reserves its dollars.

    An order placed by somebody else (*external*) is written as accepted: it lives at the brokerage already; *detail*
    says what can be known of it.
    """
    instrument = parse_symbol(order.symbol)
    tx.execute(
        text(
            "INSERT INTO orders (order_id, client_order_id, account, position_id, recommendation, external, symbol,"
            " underlying, kind, multiplier, strategy, side, intent, qty, type, limit_price,"
            " awaited_until, status, reason, approved_at, detail)"
            " VALUES (:order_id, :client_order_id, :account, :position_id, :recommendation, :external, :symbol,"
            " :underlying, :kind, :multiplier, :strategy, :side, :intent, :qty, :type, :limit_price, :awaited_until,"
            " :status, :reason, :approved_at, :detail)"
        ),
        {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "account": order.account,
            "position_id": order.position_id,
            "recommendation": order.recommendation,
            "external": external,
            "symbol": order.symbol,
            "underlying": instrument.underlying,
            "kind": instrument.kind,
            "multiplier": instrument.multiplier,
            "strategy": strategy,
            "side": order.side,
            "intent": order.intent,
            "qty": order.qty,
            "type": order.type,
            "limit_price": order.limit_price,
            "awaited_until": order.awaited_until,
            "status": OrderStatus.ACCEPTED if external else OrderStatus.APPROVED,
            "reason": order.reason,
            "approved_at": order.approved_at,
            "detail": detail,
        },
    )


def get(tx: Connection, order_id: OrderId) -> OrderRow:
    """Return the order, or raise :exc:`UnknownOrder`."""
    return _one(tx, "order_id = :order_id", {"order_id": order_id})


def lock(tx: Connection, order_id: OrderId) -> OrderRow:
    """Return the order and hold it until the transaction ends."""
    return _one(tx, "order_id = :order_id FOR UPDATE", {"order_id": order_id})


def _one(tx: Connection, where: str, values: dict[str, object]) -> OrderRow:
    row = tx.execute(text(f"SELECT {_COLUMNS} FROM orders WHERE {where}"), values).one_or_none()
    if row is None:
        raise UnknownOrder(f"order: none with {values}")
    return _row(row)


def find(
    tx: Connection, account: AccountName, broker_order_id: str | None, client_order_id: str | None
) -> OrderRow | None:
    """Return the order that the brokerage calls so, by its id or else by ours."""
    row = tx.execute(
        text(
            f"SELECT {_COLUMNS} FROM orders WHERE account = :account"
            " AND (broker_order_id = :broker_order_id OR client_order_id = :client_order_id)"
            " ORDER BY (client_order_id = :client_order_id) DESC LIMIT 1"
        ),
        {"account": account, "broker_order_id": broker_order_id, "client_order_id": client_order_id or ""},
    ).one_or_none()
    return None if row is None else _row(row)


def live(tx: Connection, account: AccountName | None = None) -> Sequence[OrderRow]:
    """Return every order that has not ended, oldest first."""
    where = "" if account is None else " AND account = :account"
    rows = tx.execute(
        text(f"SELECT {_COLUMNS} FROM orders WHERE ended_at IS NULL{where} ORDER BY approved_at, order_id"),
        {} if account is None else {"account": account},
    )
    return [_row(r) for r in rows]


def live_of_position(tx: Connection, position_id: PositionId) -> Sequence[OrderRow]:
    rows = tx.execute(
        text(f"SELECT {_COLUMNS} FROM orders WHERE position_id = :position_id AND ended_at IS NULL ORDER BY order_id"),
        {"position_id": position_id},
    )
    return [_row(r) for r in rows]


def openings_older_than(tx: Connection, age: timedelta, now: datetime) -> Sequence[OrderRow]:
    """Return the live openings of ours that were approved *age* ago or earlier."""
    rows = tx.execute(
        text(
            f"SELECT {_COLUMNS} FROM orders WHERE ended_at IS NULL AND opening AND NOT external"
            " AND approved_at <= :before ORDER BY approved_at, order_id"
        ),
        {"before": now - age},
    )
    return [_row(r) for r in rows]


def awaited_opening(tx: Connection, account: AccountName, symbol: str) -> OrderRow | None:
    """Return the latest opening order of *symbol* that may still bring fills: live, or ended with fills unread."""
    row = tx.execute(
        text(
            f"SELECT {_COLUMNS} FROM orders WHERE account = :account AND symbol = :symbol AND opening"
            " AND coalesce(final_filled_qty, qty) > filled_qty ORDER BY approved_at DESC LIMIT 1"
        ),
        {"account": account, "symbol": symbol},
    ).one_or_none()
    return None if row is None else _row(row)


def own_opening(tx: Connection, position_id: PositionId) -> OrderRow | None:
    """Return the order of ours that opens the position; None for one that somebody else opened."""
    row = tx.execute(
        text(
            f"SELECT {_COLUMNS} FROM orders WHERE position_id = :position_id AND opening AND NOT external"
            " ORDER BY approved_at LIMIT 1"
        ),
        {"position_id": position_id},
    ).one_or_none()
    return None if row is None else _row(row)


def count_closing(tx: Connection, position_id: PositionId) -> int:
    """Return how many closing orders of ours the position has had, in any state."""
    count: int = tx.execute(
        text("SELECT count(*) FROM orders WHERE position_id = :position_id AND NOT opening AND NOT external"),
        {"position_id": position_id},
    ).scalar_one()
    return count


def mark_submitting(tx: Connection, order_id: OrderId, now: datetime) -> None:
    """Record, before the call, that the order leaves for the brokerage."""
    tx.execute(
        text(
            "UPDATE orders SET status = 'submitting', submitted_at = coalesce(submitted_at, :now)"
            " WHERE order_id = :order_id AND status = 'approved'"
        ),
        {"order_id": order_id, "now": now},
    )


def mark_accepted(tx: Connection, order_id: OrderId, broker_order_id: str, now: datetime) -> None:
    """Record the brokerage's id; what has ended stays ended, whatever arrives late."""
    tx.execute(
        text(
            "UPDATE orders SET broker_order_id = :broker_order_id, accepted_at = coalesce(accepted_at, :now),"
            " submitted_at = coalesce(submitted_at, :now),"
            " status = CASE WHEN ended_at IS NULL THEN 'accepted' ELSE status END WHERE order_id = :order_id"
        ),
        {"order_id": order_id, "broker_order_id": broker_order_id, "now": now},
    )


def ask_cancel(tx: Connection, order_id: OrderId, now: datetime) -> None:
    tx.execute(
        text(
            "UPDATE orders SET cancel_asked_at = coalesce(cancel_asked_at, :now)"
            " WHERE order_id = :order_id AND ended_at IS NULL"
        ),
        {"order_id": order_id, "now": now},
    )


def end(
    tx: Connection,
    order_id: OrderId,
    status: OrderStatus,
    *,
    filled_qty: int,
    now: datetime,
    code: str | None = None,
    message: str | None = None,
) -> bool:
    """Record the order's end and what the brokerage says it filled in all; False when it had ended before.

    What it filled beyond what we have read as fills stays reserved until those fills arrive.
    """
    ended = tx.execute(
        text(
            "UPDATE orders SET status = :status, ended_at = :now, final_filled_qty = :filled_qty,"
            " reject_code = :code, reject_message = :message WHERE order_id = :order_id AND ended_at IS NULL"
        ),
        {
            "order_id": order_id,
            "status": status,
            "filled_qty": filled_qty,
            "now": now,
            "code": code,
            "message": message,
        },
    ).rowcount
    return bool(ended)


def record_filled(tx: Connection, order_id: OrderId, filled_qty: int, now: datetime) -> None:
    """Set what we have read as filled; an order whose whole quantity is filled has ended."""
    tx.execute(
        text(
            "UPDATE orders SET filled_qty = :filled_qty, accepted_at = coalesce(accepted_at, :now),"
            " status = CASE WHEN ended_at IS NOT NULL THEN status"
            "               WHEN :filled_qty >= qty THEN 'filled' ELSE 'accepted' END,"
            " ended_at = CASE WHEN ended_at IS NULL AND :filled_qty >= qty THEN :now ELSE ended_at END,"
            " final_filled_qty = CASE WHEN :filled_qty >= qty THEN :filled_qty ELSE final_filled_qty END"
            " WHERE order_id = :order_id"
        ),
        {"order_id": order_id, "filled_qty": filled_qty, "now": now},
    )


def widen_external(tx: Connection, order_id: OrderId, qty: int) -> None:
    """An order that somebody else placed shows its quantity only by its fills."""
    tx.execute(
        text("UPDATE orders SET qty = greatest(qty, :qty) WHERE order_id = :order_id AND external"),
        {"order_id": order_id, "qty": qty},
    )
