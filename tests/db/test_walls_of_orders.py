"""The walls around orders: a close never opens, what was approved stays, and every field says the same."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg2 import errors
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from db import orders
from domain.events import Intent, OrderType, Side
from domain.ids import AccountName, PositionId
from domain.orders import Order, OrderStatus
from tests.db.wall_kit import (
    STOCK,
    a_close,
    an_opening,
    close,
    hold,
    open_order,
    refused,
    run,
)
from tests.factories import CALL, NOON, PUT, TINY

# ---------------------------------------------------------------- a close never opens

CLOSES: dict[str, tuple[int, dict[str, Any]]] = {
    "more than is held": (5, {"qty": 6}),
    "a buy that would widen a long": (5, {"side": Side.BUY, "intent": Intent.BUY_TO_CLOSE}),
    "a sell that would widen a short": (-5, {"side": Side.SELL, "intent": Intent.SELL_TO_CLOSE}),
    "more than is short": (-5, {"qty": 6}),
    "another symbol": (5, {"symbol": CALL}),
    "the underlying for the option (R21)": (5, {"symbol": STOCK}),
    "another account": (5, {"account": TINY}),
    "a position that nobody has": (5, {"position_id": PositionId(UUID(int=99))}),
}


@pytest.mark.parametrize(("held", "over"), CLOSES.values(), ids=CLOSES.keys())
def test_a_close_that_would_open_is_refused(tx: Connection, held: int, over: dict[str, Any]):
    """Symbol, side and quantity are those of the position, or there is no order."""
    order = a_close(hold(tx, held), held=held, **over)

    refused(tx, errors.CheckViolation, "a_close_never_opens", lambda: close(tx, order))


@pytest.mark.parametrize("held", [5, -5])
@pytest.mark.parametrize("qty", [1, 5])
def test_a_close_of_what_is_held_passes(tx: Connection, held: int, qty: int):
    """From one unit to all of them, long and short."""
    close(tx, a_close(hold(tx, held), held=held, qty=qty))


def test_a_close_of_a_closed_position_is_refused(tx: Connection):
    """Nothing is held any more."""
    order = a_close(hold(tx, 0), held=5)

    refused(tx, errors.CheckViolation, "a_close_never_opens", lambda: close(tx, order))


@pytest.mark.parametrize("status", [status for status in OrderStatus if status.is_live])
def test_a_second_live_close_is_refused(tx: Connection, status: OrderStatus):
    """Two closes could sell twice: in every live state the first one blocks the second."""
    position = hold(tx)
    close(tx, a_close(position))
    run(tx, "UPDATE orders SET status = :status", status=status)

    refused(
        tx,
        errors.UniqueViolation,
        "one_live_closing_order_per_position",
        lambda: close(tx, a_close(position, attempt=2)),
    )


@pytest.mark.parametrize("status", [status for status in OrderStatus if not status.is_live])
def test_after_a_close_has_ended_another_may_follow(tx: Connection, status: OrderStatus):
    """A close is retried while quantity is left."""
    position = hold(tx)
    close(tx, a_close(position))
    run(tx, "UPDATE orders SET status = :status, ended_at = :now, final_filled_qty = 0", status=status, now=NOON)

    close(tx, a_close(position, attempt=2))


def a_limit(position: PositionId, **over: Any) -> Order:
    """A close at a limit that is awaited for three seconds."""
    until = NOON + timedelta(seconds=3)
    return a_close(position, **{"type": OrderType.LIMIT, "limit_price": Decimal("7.10"), "awaited_until": until} | over)


@pytest.mark.parametrize(
    "over",
    [{"awaited_until": None}, {"type": OrderType.MARKET, "limit_price": None}],
    ids=["a limit without an end", "a market order with one"],
)
def test_a_closing_limit_is_awaited_until_a_known_time(tx: Connection, over: dict[str, Any]):
    """A limit that nobody ends would keep a close from the market for a day; a market order is not waited for."""
    position = hold(tx)

    refused(tx, errors.CheckViolation, "a_closing_limit_has_an_end", lambda: close(tx, a_limit(position, **over)))
    close(tx, a_limit(position))


def test_the_end_of_a_closing_limit_does_not_move(tx: Connection):
    """It was said when it was approved."""
    close(tx, a_limit(hold(tx)))

    refused(
        tx,
        errors.CheckViolation,
        "what was approved does not change",
        lambda: run(tx, "UPDATE orders SET awaited_until = awaited_until + interval '1 hour'"),
    )


def test_what_others_sell_does_not_block_our_close(tx: Connection):
    """An external close may live beside ours: it is not ours to count on."""
    position = hold(tx)
    theirs = a_close(position, order_id=uuid4(), client_order_id="theirs")
    close(tx, theirs, external=True)

    close(tx, a_close(position))


def test_what_has_ended_stays_ended(tx: Connection):
    """An opening that is live again would have passed no wall."""
    open_order(tx, symbol=PUT, qty=5)
    run(tx, "UPDATE orders SET status = 'canceled', ended_at = :now, final_filled_qty = 0", now=NOON)

    refused(
        tx,
        errors.CheckViolation,
        "what was approved does not change",
        lambda: run(tx, "UPDATE orders SET status = 'accepted', ended_at = NULL, final_filled_qty = NULL"),
    )


# ---------------------------------------------------------------- orders

CHANGES = {
    "qty": "qty = qty + 1",
    "limit_price": "limit_price = 8",
    "symbol": f"symbol = '{CALL}'",
    "side": "side = 'sell', intent = 'sell_to_close'",
    "account": "account = 'tiny'",
    "position_id": "position_id = gen_random_uuid()",
    "multiplier": "multiplier = 1",
    "whose it is": "external = true",
    "the recommendation": "recommendation = 'another'",
    "the key sent to the brokerage": "client_order_id = 'another'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_was_approved_does_not_change(tx: Connection, change: str):
    """A row cannot grow past the wall after it was let through."""
    open_order(tx)

    refused(
        tx, errors.CheckViolation, "what was approved does not change", lambda: run(tx, f"UPDATE orders SET {change}")
    )


def test_what_becomes_of_an_order_may_change(tx: Connection):
    """Its states, its fills and the brokerage's id are news, not a new order."""
    order = open_order(tx, qty=3)
    orders.mark_submitting(tx, order.order_id, NOON)
    orders.mark_accepted(tx, order.order_id, "broker-1", NOON)
    orders.ask_cancel(tx, order.order_id, NOON)
    orders.record_filled(tx, order.order_id, 1, NOON)
    orders.end(tx, order.order_id, OrderStatus.CANCELED, filled_qty=1, now=NOON)

    assert (OrderStatus.CANCELED, 1) == ((row := orders.get(tx, order.order_id)).status, row.filled_qty)


def test_an_order_of_somebody_else_may_widen(tx: Connection):
    """It shows its quantity only by its fills."""
    order = open_order(tx, external=True, type=OrderType.MARKET, limit_price=None)
    orders.widen_external(tx, order.order_id, 4)

    assert 4 == orders.get(tx, order.order_id).order.qty


ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "an opening without a ceiling": ({"type": OrderType.MARKET, "limit_price": None}, "check"),
    "selling to open": ({"side": Side.SELL, "intent": Intent.SELL_TO_OPEN}, "check"),
    "a side against its intent": ({"side": Side.SELL}, "check"),
    "a limit without price": ({"limit_price": None}, "check"),
    "a market order with a price": ({"type": OrderType.MARKET}, "check"),
    "no quantity": ({"qty": 0}, "orders_qty_check"),
    "less than none": ({"qty": -1}, "check"),
    "for nothing": ({"limit_price": Decimal(0)}, "orders_limit_price_check"),
    "no key": ({"client_order_id": ""}, "orders_client_order_id_check"),
    "a key longer than Alpaca takes": ({"client_order_id": "x" * 129}, "orders_client_order_id_check"),
}


@pytest.mark.parametrize(("over", "name"), ORDERS.values(), ids=ORDERS.keys())
def test_an_order_that_cannot_be_is_refused(tx: Connection, over: dict[str, Any], name: str):
    """Each field alone and all of them together say one thing."""
    refused(tx, errors.CheckViolation, name, lambda: open_order(tx, **over))


def test_an_order_for_an_account_that_nobody_configured_is_refused(tx: Connection):
    """There are no limits to keep."""
    order = an_opening(account=AccountName("nobody"))

    with pytest.raises(IntegrityError), tx.begin_nested():
        orders.insert(tx, order, "day_trade")


ORDER_STATES = {
    "more filled than ordered": "filled_qty = qty + 1",
    "filled below nothing": "filled_qty = -1",
    "ended without a time": "status = 'canceled'",
    "a time without an end": "ended_at = now()",
    "a state that nobody knows": "status = 'lost'",
}


@pytest.mark.parametrize("change", ORDER_STATES.values(), ids=ORDER_STATES.keys())
def test_a_state_that_cannot_be_is_refused(tx: Connection, change: str):
    """An order has ended exactly when it says when; it never fills beyond its quantity."""
    open_order(tx)

    refused(tx, errors.CheckViolation, "orders", lambda: run(tx, f"UPDATE orders SET {change}"))


KINDS = {
    "an option's symbol as a stock": {"kind": "STOCK", "underlying": "MSFT"},
    "a ticker as an option": {"symbol": "MSFT"},
    "another name for the stock": {"kind": "STOCK", "symbol": "MSFT", "underlying": "AAPL"},
    "a kind that nobody knows": {"kind": "FUTURE"},
    "no shares a contract": {"multiplier": 0},
}
RAW_ORDER = """
INSERT INTO orders (order_id, client_order_id, account, position_id, external, symbol, underlying, kind, multiplier,
                    strategy, side, intent, qty, type, limit_price, status, reason, approved_at)
VALUES (:id, 'key', 'large', :id, false, :symbol, :underlying, :kind, :multiplier, 'day_trade', 'buy', 'buy_to_open', 1,
        'limit', 7.20, 'approved', 'entry', :now)
"""
AN_OPTION = {"symbol": PUT, "underlying": "MSFT", "kind": "PUT", "multiplier": 100}


@pytest.mark.parametrize("over", KINDS.values(), ids=KINDS.keys())
def test_an_order_names_what_it_is(tx: Connection, over: dict[str, Any]):
    """The underlying's ticker never stands where the option's symbol belongs (R21)."""
    values = AN_OPTION | over | {"id": UUID(int=1), "now": NOON}

    refused(tx, errors.CheckViolation, "orders", lambda: run(tx, RAW_ORDER, **values))


def test_the_raw_order_itself_passes(tx: Connection):
    """So that the refusals above are about what was changed."""
    run(tx, RAW_ORDER, **AN_OPTION, id=UUID(int=1), now=NOON)


def test_a_key_is_used_once(tx: Connection):
    """The same client order id twice would be one order at Alpaca and two here."""
    order = open_order(tx, 1)

    refused(
        tx,
        errors.UniqueViolation,
        "orders_client_order_id_key",
        lambda: open_order(tx, 2, client_order_id=order.client_order_id),
    )


def test_one_recommendation_opens_once(tx: Connection):
    """One decision, one order: another id does not help."""
    open_order(tx, 1)

    refused(
        tx,
        errors.UniqueViolation,
        "one_opening_order_per_recommendation",
        lambda: open_order(tx, 1, order_id=uuid4(), client_order_id="another", position_id=uuid4()),
    )


def test_the_brokerage_s_id_belongs_to_one_order(tx: Connection):
    """A fill finds one order by it."""
    first, second = open_order(tx, 1), open_order(tx, 2)
    orders.mark_accepted(tx, first.order_id, "broker-1", NOON)

    refused(
        tx,
        errors.UniqueViolation,
        "orders_account_broker_order_id_key",
        lambda: orders.mark_accepted(tx, second.order_id, "broker-1", NOON),
    )
