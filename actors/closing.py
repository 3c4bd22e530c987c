"""Writing a closing order: the one way in which the exit, a SELL and a flatten leave a position.

Symbol, side and quantity come from the position's own row, never from whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from actors.desk import Desk
from db import exit_plans, orders, sessions
from db.orders import OrderRow
from db.positions import PositionRow
from domain.closing import AT_MARKET, MARKET, STRAIGHT, Leave, Terms, terms_of
from domain.events import OrderApproved, Side
from domain.ids import RecommendationId, fact_id
from domain.orders import Order, closing_order
from domain.session import session_of
from streams.names import Stream


def write_close(
    tx: Connection,
    desk: Desk,
    position: PositionRow,
    *,
    qty: int,
    rule: str,
    cause: str,
    price: Decimal | None = None,
    recommendation: RecommendationId | None = None,
    terms: Terms | None = None,
) -> Order | None:
    """Write and announce a close of *qty* units because of *rule*; None while another close of ours is live.

    The position must be locked by the caller. What is unfilled of its opening order is asked to be canceled first.
    A close of the whole position is pursued until nothing is left, and asks for the end of a live close that would
    keep it waiting; a close of a part leaves the rest to its rules.

    *price*: at which it could be left now, None: unknown. *terms*: those of an order that this one stands in for.
    """
    live = orders.live_of_position(tx, position.position_id)
    now = desk.clock()
    whole = qty == abs(position.qty)
    if (other := live_close(live)) is not None:
        if whole and _keeps_waiting(other, position, rule):
            orders.ask_cancel(tx, other.order.order_id, now)
            exit_plans.mark_triggered(tx, position.position_id, rule, now)
            _hurry(tx, position, rule)
        return None
    for opening in (row for row in live if row.order.intent.opens):
        orders.ask_cancel(tx, opening.order.order_id, now)
    if whole:
        exit_plans.mark_triggered(tx, position.position_id, rule, now)
    terms = terms or _terms(tx, position, rule, price, now, pursued=whole)
    if position.policy.close_steps:
        exit_plans.step_on(tx, position.position_id, terms.next_step)
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
        terms,
    )
    orders.insert(tx, order, position.strategy)
    desk.announce(tx, Stream.EXITS, approved(order, cause, desk.origin), order.account)
    return order


def _terms(
    tx: Connection, position: PositionRow, rule: str, price: Decimal | None, now: datetime, *, pursued: bool
) -> Terms:
    """Return the next step of the close. What nobody pursues has none: nobody would follow a limit up."""
    pursued = pursued or position.triggered_rule is not None or rule == "ladder"
    if not pursued or not position.policy.close_steps:
        return MARKET
    leave = Leave(
        side=Side.SELL if position.qty > 0 else Side.BUY,
        kind=position.kind,
        rule=rule,
        price=price,
        now=now,
        session=session_of(sessions.around(tx, now), now),
    )
    return terms_of(position.policy.close_steps, exit_plans.close_step(tx, position.position_id), leave)


def _keeps_waiting(other: OrderRow, position: PositionRow, rule: str) -> bool:
    """Would what *rule* asks for wait for the live close *other*: one of a part, or a limit where none is wanted?"""
    return is_of_a_part(other, position.qty) or (rule in STRAIGHT and other.order.limit_price is not None)


def _hurry(tx: Connection, position: PositionRow, rule: str) -> None:
    if rule in STRAIGHT:
        exit_plans.step_on(tx, position.position_id, AT_MARKET)


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
