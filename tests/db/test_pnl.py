"""The profit and loss of a session from rows: marks with an age, a mark of the open, and what is done without them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection

from db import exit_plans, marks, pnl, positions
from db.marks import OpenMark
from domain.events import Intent, Side
from domain.known import Known, Unknown
from domain.orders import Order
from domain.positions import Excursion
from tests.db.wall_kit import a_holding, fill, hold, open_order
from tests.factories import LARGE, NOON, PUT, SESSION, TINY, a_policy

MAX_AGE = timedelta(minutes=15)
FLOOR = Decimal(-500)
YESTERDAY = NOON - timedelta(days=1)


def since_open(tx: Connection, mark: str | Unknown = "7.00", at: datetime = NOON, now: datetime = NOON) -> Any:
    given = mark if isinstance(mark, Unknown) else Known(Decimal(mark), at, "quotes")
    return pnl.since_open(tx, LARGE, {PUT: given}, Known(SESSION, NOON, "calendar"), now, MAX_AGE, FLOOR)


def held(tx: Connection, opened_at: datetime, peak: str | None = None) -> Any:
    """Two contracts at 7.00, bought at *opened_at*."""
    order = open_order(tx, symbol=PUT, qty=2, limit_price=Decimal("7.20"))
    position = hold_of(tx, order, opened_at)
    fill(tx, order, 2, 2, price=Decimal("7.00"), at=opened_at, position_id=position)
    if peak:
        exit_plans.widen_excursion(tx, position, Excursion(peak=Decimal(peak), trough=None), True)
    return position


def hold_of(tx: Connection, order: Order, opened_at: datetime) -> Any:
    exit_plans.plan(tx, order.position_id, a_policy())
    positions.create(
        tx,
        position_id=order.position_id,
        account=LARGE,
        symbol=PUT,
        strategy="day_trade",
        recommendation=None,
        adopted=False,
        holding=a_holding(2, opened_at=opened_at),
        exit_rule="external",
    )
    return order.position_id


def mark_open(tx: Connection, position: Any, price: str, late: timedelta = timedelta(0)) -> None:
    marks.keep_open(tx, [OpenMark(position, SESSION.day, Decimal(price), SESSION.open + late)])


def test_nothing_held_is_nothing_lost(tx: Connection):
    """Zero, and known: there is nothing to be unknown about."""
    assert Known(Decimal(0), NOON, "fills and marks") == since_open(tx)


def test_what_was_bought_today_is_measured_from_its_price(tx: Connection):
    """Two contracts a dollar under water: $200."""
    held(tx, NOON)

    assert Known(Decimal(-200), NOON, "fills and marks") == since_open(tx, "6.00")


def test_a_stale_mark_is_no_mark(tx: Connection):
    """At the limit it counts; a moment older the P&L is unknown, and the symbol and both ages are named."""
    held(tx, NOON)
    stale = NOON - MAX_AGE - timedelta(seconds=1)

    assert isinstance(since_open(tx, at=NOON - MAX_AGE), Known)
    assert Unknown(f"{PUT}: its mark is 901 s old, at most 900 s count", "quotes") == since_open(tx, at=stale)


def test_an_unknown_mark_makes_the_day_unknown(tx: Connection):
    """Unknown is not zero: the position that nobody bids for is named."""
    held(tx, NOON)

    assert Unknown(f"{PUT}: nobody bids", "quotes") == since_open(tx, Unknown("nobody bids", "quotes"))


def test_what_was_held_over_night_is_measured_from_its_mark_of_the_open(tx: Connection):
    """Bought at 7.00, 9.00 at the open, 8.00 now: $200 are lost today, whatever it made before."""
    mark_open(tx, held(tx, YESTERDAY), "9.00")

    assert Known(Decimal(-200), NOON, "fills and marks") == since_open(tx, "8.00")


@pytest.mark.parametrize("late", [None, MAX_AGE + timedelta(seconds=1)], ids=["never", "too late"])
def test_without_a_mark_of_the_open_the_worst_is_counted_and_said(tx: Connection, late: timedelta | None):
    """Nobody looked at the open: it may have been worth its best price ever, 8.50. At worst $100 are lost."""
    position = held(tx, YESTERDAY, peak="8.50")
    if late is not None:
        mark_open(tx, position, "8.00", late)
    said = f"fills and marks; price at the open unknown, counted at worst: {PUT}"

    assert Known(Decimal(-100), NOON, said) == since_open(tx, "8.00")


def test_a_guess_refuses_and_never_counts_as_a_loss(tx: Connection):
    """At worst $500 are lost, which is the limit: that is unknown, not a loss that latches."""
    held(tx, YESTERDAY, peak="9.50")
    found = since_open(tx, "7.00")

    assert isinstance(found, Unknown)
    assert "at worst -500.00" in found.reason
    assert PUT in found.reason


def test_the_first_mark_of_a_session_stays(tx: Connection):
    """Exit and gate both look: who comes second changes nothing."""
    position = held(tx, YESTERDAY)
    mark_open(tx, position, "9.00")
    mark_open(tx, position, "1.00", timedelta(minutes=5))

    assert Decimal("9.00") == marks.at_open(tx, LARGE, SESSION.day)[position].price


def test_what_left_without_a_price_today_is_unknown(tx: Connection):
    """Taken away by an adjustment since the open: no price is invented for it."""
    position = held(tx, YESTERDAY)
    taken: dict[str, Any] = {"side": Side.SELL, "intent": Intent.SELL_TO_CLOSE, "position_id": position}
    other = open_order(tx, 2, external=True, symbol=PUT, **taken)
    fill(tx, other, 1, 1, price=None, source="adjustment", at=NOON, held_after=1)

    assert Unknown(f"{PUT} left without a known price", "fills") == since_open(tx)


def test_positions_of_others_are_not_counted(tx: Connection):
    """The other account's loss is its own."""
    hold(tx, 5, PUT, account=TINY)

    assert Known(Decimal(0), NOON, "fills and marks") == since_open(tx)
