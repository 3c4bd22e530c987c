"""Executions that are read after the reconciler had to act without them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from actors.desk import Desk
from actors.tracker import Tracker
from db import accounts, integrity, orders, positions
from db.positions import PositionRow
from domain.account import TradingState
from domain.events import PositionAdjusted, PositionSettled, Settlement, Side
from domain.ids import RecommendationId, fact_id
from domain.orders import Order, opening_order
from tests.factories import LARGE, NOON, PUT, a_fill, a_policy, some_limits

LATER = NOON + timedelta(minutes=10)


@pytest.fixture
def tracker(engine: Engine) -> Tracker:
    with engine.begin() as tx:
        accounts.configure(tx, LARGE, some_limits(), NOON)
        accounts.set_state(tx, LARGE, TradingState.ACTIVE, "test", "test", NOON)
    desk = Desk(engine=engine, clock=lambda: LATER, wall=lambda: LATER, origin="test", partitions=1)
    return Tracker(desk, lambda account, strategy, kind: a_policy())


@pytest.fixture
def bought(tracker: Tracker, engine: Engine) -> Order:
    """Ten contracts at 7.20."""
    order = opening_order(LARGE, RecommendationId("rec-1"), PUT, 10, Decimal("7.20"), NOON)
    with engine.begin() as tx:
        orders.insert(tx, order, "day_trade")
    tracker.handle([a_fill("broker-1", client_order_id=order.client_order_id, qty=10, cum_qty=10)])
    return order


def adjusted_to(qty: int, price: str | None = None, symbol: str = PUT, at: datetime = LATER) -> PositionAdjusted:
    return PositionAdjusted(
        id=fact_id("adjusted", symbol, qty, at),
        at=at,
        schema=1,
        cause="reconciler",
        origin="test",
        account=LARGE,
        symbol=symbol,
        qty=qty,
        price=None if price is None else Decimal(price),
        reason="rows_only: rows had 10, the brokerage 0",
    )


def position(engine: Engine, order: Order) -> PositionRow:
    with engine.connect() as tx:
        found = positions.get(tx, order.position_id)
    assert found is not None
    return found


def test_a_phantom_leaves_without_an_invented_price(tracker: Tracker, engine: Engine, bought: Order):
    """The brokerage holds nothing: the row is closed, says external, and knows no price."""
    tracker.handle([adjusted_to(0)])

    found = position(engine, bought)
    assert (0, "external") == (found.qty, found.exit_rule)


def test_the_sale_by_hand_that_is_read_later_brings_the_true_price(tracker: Tracker, engine: Engine, bought: Order):
    """It belongs to the position that was adjusted away, and opens no short one."""
    tracker.handle([adjusted_to(0)])

    sold_at = NOON + timedelta(minutes=1)
    tracker.handle(
        [a_fill("broker-2", client_order_id=None, qty=10, cum_qty=10, price="8.00", side=Side.SELL, at=sold_at)]
    )

    found = position(engine, bought)
    with engine.connect() as tx:
        assert [] == list(positions.all_open(tx))
    assert (0, sold_at) == (found.qty, found.closed_at)


def test_a_part_sold_by_hand_that_is_read_late_is_not_taken_twice(tracker: Tracker, engine: Engine, bought: Order):
    """Four of ten were gone, then their sale is read: six stay, and nothing about them is unknown."""
    tracker.handle([adjusted_to(6)])
    tracker.handle([a_fill("broker-2", client_order_id=None, qty=4, cum_qty=4, price="8.00", side=Side.SELL)])

    assert 6 == position(engine, bought).qty
    assert [(Decimal("8.00"), Decimal(320))] == money(engine, bought)


def test_our_own_fill_that_was_missed_finds_what_was_adopted_meanwhile(tracker: Tracker, engine: Engine):
    """
    The stream and the catch-up are away, the comparison sees ten and adopts them: they are those of our opening, so
    that its fills, once they are read, explain them instead of asking for a second position.
    """
    order = opening_order(LARGE, RecommendationId("rec-1"), PUT, 10, Decimal("7.30"), NOON)
    with engine.begin() as tx:
        orders.insert(tx, order, "day_trade")
    tracker.handle([adjusted_to(10, "7.25")])
    assert ("day_trade", Decimal("7.25")) == ((p := position(engine, order)).strategy, p.entry_price)

    tracker.handle([a_fill("broker-1", client_order_id=order.client_order_id, qty=10, cum_qty=10)])

    found = position(engine, order)
    assert (10, Decimal("7.20"), NOON) == (found.qty, found.entry_price, found.opened_at)
    with engine.connect() as tx:
        assert ["decision"] == [m.field for m in integrity.mismatches(tx)]  # nobody was asked for this opening


def test_what_is_added_costs_what_makes_our_average_the_brokerages(tracker: Tracker, engine: Engine, bought: Order):
    """Ten at 7.20, and the brokerage holds fifteen at 7.50 on average: the five that we missed cost 8.10."""
    tracker.handle([adjusted_to(15, "7.50")])

    assert (15, Decimal("7.50")) == ((p := position(engine, bought)).qty, p.entry_price)


def test_an_adjustment_of_what_was_held_before_says_nothing_of_what_came_after(
    tracker: Tracker, engine: Engine, bought: Order
):
    """It is applied late: the position that it knew of is gone, and the one that is there now was opened after it."""
    tracker.handle([adjusted_to(0, at=NOON - timedelta(minutes=1))])

    assert 10 == position(engine, bought).qty


def test_an_adjustment_that_comes_late_speaks_of_its_own_time(tracker: Tracker, engine: Engine, bought: Order):
    """It saw ten, all were sold since, and then it is delivered: there were ten at its time, so it says nothing new."""
    sold_at = LATER + timedelta(minutes=5)
    tracker.handle([a_fill("broker-2", client_order_id=None, qty=10, cum_qty=10, side=Side.SELL, at=sold_at)])

    tracker.handle([adjusted_to(10, "7.20")])

    with engine.connect() as tx:
        assert [(0,)] == [tuple(r) for r in tx.execute(text("SELECT qty FROM positions"))]


def test_a_booking_that_was_applied_first_is_what_the_comparison_saw(tracker: Tracker, engine: Engine, bought: Order):
    """Four of ten expired: the booking is applied, then a comparison of before it is delivered. Six stay, once."""
    tracker.handle([a_booking(-4)])
    tracker.handle([adjusted_to(6, at=LATER - timedelta(minutes=5))])

    assert 6 == position(engine, bought).qty
    assert [(Decimal(0), Decimal(-2880))] == money(engine, bought)


def test_a_delivery_beyond_zero_closes_one_position_and_opens_another(tracker: Tracker, engine: Engine):
    """Fifty shares are held and a hundred leave at 105: fifty of them are a short of its own from there on."""
    with engine.begin() as tx:
        tx.execute(text("UPDATE accounts SET ours_since = ours_since - interval '1 day'"))
    tracker.handle([a_fill("broker-1", client_order_id=None, qty=50, cum_qty=50, price="100", symbol="MSFT")])

    for _ in range(2):
        tracker.handle([a_booking(-100, kind=Settlement.DELIVERED, symbol="MSFT", price=Decimal(105))])

    with engine.connect() as tx:
        rows = tx.execute(
            text("SELECT qty, entry_price, realized_pnl_usd, exit_rule FROM positions ORDER BY opened_at")
        )
        assert [(0, 100, 250, "delivered"), (-50, 105, 0, None)] == [tuple(r) for r in rows]
        assert [] == integrity.mismatches(tx)


def test_a_booking_waits_for_the_purchase_that_is_read_later(tracker: Tracker, engine: Engine):
    """Nothing is held, so nothing is opened; with the purchase it finds its place, and both are told once."""
    tracker.handle([a_booking(-10)])
    with engine.connect() as tx:
        assert [] == tx.execute(text("SELECT 1 FROM positions")).all()

    tracker.handle([a_fill("broker-1", client_order_id=None, qty=10, cum_qty=10)])

    with engine.connect() as tx:
        rows = tx.execute(text("SELECT qty, exit_rule, realized_pnl_usd FROM positions"))
        assert [(0, "expired", -7200)] == [tuple(r) for r in rows]


def a_booking(qty: int, **over: object) -> PositionSettled:
    values: dict[str, Any] = {
        "id": fact_id("booked", qty),
        "at": NOON + timedelta(hours=4),
        "schema": 1,
        "cause": "a-1",
        "origin": "test",
        "account": LARGE,
        "activity_id": f"a-{qty}",
        "kind": Settlement.EXPIRED,
        "symbol": PUT,
        "qty": qty,
        "price": Decimal(0),
        "net_amount_usd": None,
        "description": "",
    }
    return PositionSettled(**values | over)


def money(engine: Engine, order: Order) -> list[tuple[Decimal | None, Decimal | None]]:
    with engine.connect() as tx:
        rows = tx.execute(
            text("SELECT exit_price, realized_pnl_usd FROM positions WHERE position_id = :p"), {"p": order.position_id}
        )
        return [(r.exit_price, r.realized_pnl_usd) for r in rows]
