"""A row of fills that no trade brought, with a row of orders that nobody placed: every fill has an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from db import fills, orders
from db.orders import OrderRow
from db.positions import PositionRow
from domain.events import Intent, OrderType, Side
from domain.ids import AccountName, external_order_id, fill_id, position_id
from domain.orders import Order
from domain.positions import Fill

#: The strategy of a position that somebody else opened: the configuration gives it an exit policy of its own.
ADOPTED: Final = "adopted"
#: How the name of what was booked without an order begins.
BOOKED: Final = "activity-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """*qty* units (signed) of *symbol* came or went at *at*. *name* is unique in its account.

    *source* is that of the fill: ``adjustment`` (then *held_after* says what the brokerage holds) or ``settlement``.
    *reason* is the name of what ended it, *detail* what people read.
    """

    account: AccountName
    name: str
    symbol: str
    qty: int
    price: Decimal | None
    at: datetime
    closes: bool
    reason: str
    detail: str
    source: str
    held_after: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of fills that was written: its order, and the position before it (None where it opens one)."""

    row: OrderRow
    held: PositionRow | None


def write(tx: Connection, move: Move, held: PositionRow | None, read_at: datetime) -> Entry:
    """Write *move* into *held*; what we do not hold yet may be what an opening of ours bought, its fills on the way."""
    order_id = external_order_id(move.account, move.name)
    ours = None if held else orders.awaited_opening(tx, move.account, move.symbol)
    if held is not None:
        position, strategy = held.position_id, held.strategy
    elif ours is not None:
        position, strategy = ours.order.position_id, ours.strategy
    else:
        position, strategy = position_id(order_id), ADOPTED
    side = Side.BUY if move.qty > 0 else Side.SELL
    order = Order(
        order_id=order_id,
        client_order_id=f"{move.source}-{order_id.hex}",
        account=move.account,
        position_id=position,
        recommendation=None,
        symbol=move.symbol,
        side=side,
        intent=intent(side, closes=move.closes),
        qty=abs(move.qty),
        type=OrderType.MARKET,
        limit_price=None,
        awaited_until=None,
        reason=move.reason,
        approved_at=move.at,
    )
    orders.insert(tx, order, strategy, external=True, detail=move.detail)
    orders.mark_accepted(tx, order_id, move.name, move.at)
    _fill(tx, move, order, read_at)
    orders.record_filled(tx, order_id, order.qty, move.at)
    return Entry(orders.get(tx, order_id), held)


def intent(side: Side, *, closes: bool) -> Intent:
    if side is Side.BUY:
        return Intent.BUY_TO_CLOSE if closes else Intent.BUY_TO_OPEN
    return Intent.SELL_TO_CLOSE if closes else Intent.SELL_TO_OPEN


def _fill(tx: Connection, move: Move, order: Order, read_at: datetime) -> None:
    fill = Fill(
        fill_id=fill_id(move.account, move.name, order.qty),
        broker_order_id=move.name,
        cum_qty=order.qty,
        side=order.side,
        opens=order.intent.opens,
        qty=order.qty,
        price=move.price,
        at=move.at,
        held_after=move.held_after,
        reason=order.reason,
    )
    fills.insert(
        tx,
        fill=fill,
        account=move.account,
        order_id=order.order_id,
        position_id=order.position_id,
        symbol=move.symbol,
        execution_id=None,
        source=move.source,
        read_at=read_at,
    )
