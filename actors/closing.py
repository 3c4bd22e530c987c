"""Writing a closing order: the one way in which the exit, a SELL and a flatten leave a position.

Symbol, side and quantity come from the position's own row, never from whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from actors.desk import Desk
from db import exit_plans, orders
from db.orders import OrderRow
from db.positions import PositionRow
from domain.events import OrderApproved
from domain.ids import RecommendationId, fact_id
from domain.orders import Order, closing_order
from streams.names import Stream


def write_close(
    tx: Connection,
    desk: Desk,
    position: PositionRow,
    *,
    qty: int,
    rule: str,
    cause: str,
    recommendation: RecommendationId | None = None,
) -> Order | None:
    """Write and announce a close of *qty* units because of *rule*; None while another close of ours is live.

    The position must be locked by the caller. What is unfilled of its opening order is asked to be canceled first.
    A close of the whole position is pursued until nothing is left, and asks for the end of a live close of a part; a
    close of a part leaves the rest to its rules.
    """
    live = orders.live_of_position(tx, position.position_id)
    now = desk.clock()
    if (other := live_close(live)) is not None:
        if qty == abs(position.qty) and is_of_a_part(other, position.qty):
            orders.ask_cancel(tx, other.order.order_id, now)
            exit_plans.mark_triggered(tx, position.position_id, rule, now)
        return None
    for opening in (row for row in live if row.order.intent.opens):
        orders.ask_cancel(tx, opening.order.order_id, now)
    order = closing_order(
        position.account,
        position.position_id,
        position.symbol,
        position.qty,
        qty,
        orders.count_closing(tx, position.position_id) + 1,
        rule,
        recommendation,
        now,
    )
    orders.insert(tx, order, position.strategy)
    if qty == abs(position.qty):
        exit_plans.mark_triggered(tx, position.position_id, rule, now)
    desk.announce(tx, Stream.EXITS, approved(order, cause, desk.origin), order.account)
    return order


def live_close(live: Sequence[OrderRow]) -> OrderRow | None:
    """Return the close of ours among the *live* orders of a position; the database lets there be one."""
    return next((row for row in live if not row.order.intent.opens and not row.external), None)


def is_of_a_part(close: OrderRow, held_qty: int) -> bool:
    """Would *close*, wholly filled, leave something of what is held?"""
    return close.order.qty - close.filled_qty < abs(held_qty)


def approved(order: Order, cause: str, origin: str) -> OrderApproved:
    """Return the fact that lets *order* leave for the executor."""
    return OrderApproved(
        id=fact_id("approved", order.order_id),
        at=order.approved_at,
        schema=1,
        cause=cause,
        origin=origin,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        position_id=order.position_id,
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        intent=order.intent,
        qty=order.qty,
        type=order.type,
        limit_price=order.limit_price,
    )
