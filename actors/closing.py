"""Writing a closing order: the one way in which the exit, a SELL and a flatten leave a position.

Symbol, side and quantity come from the position's own row, never from whoever asks.
"""

from __future__ import annotations

from sqlalchemy import Connection

from actors.desk import Desk
from db import orders, positions
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
    reason: str,
    cause: str,
    recommendation: RecommendationId | None = None,
) -> Order | None:
    """Write and announce a close of *qty* units; None while another close of ours is live.

    The position must be locked by the caller. What is unfilled of its opening order is asked to be canceled first.
    A close of the whole position is pursued until nothing is left; a SELL of a part leaves the rest to its rules.
    """
    live = orders.live_of_position(tx, position.position_id)
    if any(not row.order.intent.opens and not row.external for row in live):
        return None
    now = desk.clock()
    for opening in (row for row in live if row.order.intent.opens):
        orders.ask_cancel(tx, opening.order.order_id, now)
    order = closing_order(
        position.account,
        position.position_id,
        position.symbol,
        position.qty,
        qty,
        orders.count_closing(tx, position.position_id) + 1,
        reason,
        recommendation,
        now,
    )
    orders.insert(tx, order, position.strategy)
    if qty == abs(position.qty):
        positions.mark_triggered(tx, position.position_id, reason, now)
    desk.announce(tx, Stream.EXITS, approved(order, cause, desk.origin), order.account)
    return order


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
