"""Executions that are read after the reconciler had to act without them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from actors.desk import Desk
from actors.tracker import Tracker
from db import accounts, orders, positions
from db.positions import PositionRow
from domain.account import TradingState
from domain.events import PositionAdjusted, Side
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


def adjusted_to(qty: int) -> PositionAdjusted:
    return PositionAdjusted(
        id=fact_id("adjusted", qty),
        at=LATER,
        schema=1,
        cause="reconciler",
        origin="test",
        account=LARGE,
        symbol=PUT,
        qty=qty,
        price=None,
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
