"""What an account has traded lately is read from rows: of its own orders, by the day of New York (L28, L29)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, product
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import accounts, history, orders
from domain.account import TradingState
from domain.history import History
from domain.known import Unknown
from domain.orders import Order, OrderStatus
from domain.session import day_began, trading_day
from tests.db.wall_kit import hold, open_order
from tests.factories import CALL, LARGE, NOON, PUT, TINY, a_history, some_limits

MINUTE = timedelta(minutes=1)
MIDNIGHT = datetime(2026, 2, 3, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _room(tx: Connection) -> None:
    """Limits are not what these tests are about."""
    for account in (LARGE, TINY):
        accounts.configure(tx, account, some_limits(max_positions=50, max_exposure_usd=Decimal(10**6)), NOON)
        accounts.set_state(tx, account, TradingState.ACTIVE, "the test", "the test", NOON)


def read(tx: Connection, now: datetime = NOON, **over: Any) -> History:
    values: dict[str, Any] = {"account": LARGE, "symbol": PUT, "underlying": "MSFT"}
    return history.read(tx, **values | over, now=now)


def opened(tx: Connection, number: int, symbol: str = PUT, at: datetime = NOON, **over: Any) -> Order:
    return open_order(tx, number, symbol=symbol, approved_at=at, **over)


def closed(tx: Connection, number: int, pnl: str | None, at: datetime = NOON, **over: Any) -> None:
    usd = None if pnl is None else Decimal(pnl)
    hold(tx, 0, number=number, realized_pnl_usd=usd, opened_at=at - MINUTE, closed_at=at, **over)


def test_an_account_that_never_traded(tx: Connection):
    """Nothing counted, and nothing invented for when."""
    assert a_history() == read(tx)


def test_trades_are_counted_by_symbol_underlying_and_account(tx: Connection):
    """What the other account trades is its own (L29); one of the two in the contract is over already."""
    orders.record_filled(tx, opened(tx, 1, qty=1).order_id, 1, NOON)
    closed(tx, 1, "0")
    for number, symbol in enumerate((PUT, CALL, "AAPL"), start=2):
        opened(tx, number, symbol)
    opened(tx, 5, account=TINY)

    assert (4, 2, 3) == _counts(read(tx))
    assert (1, 1, 1) == _counts(read(tx, account=TINY))
    assert (4, 1, 1) == _counts(read(tx, symbol="AAPL", underlying="AAPL"))


def _counts(found: History) -> tuple[int, int, int]:
    return found.trades, found.in_symbol, found.in_underlying


@pytest.mark.parametrize(
    ("status", "read_as_filled", "filled", "counts"),
    [
        (None, 0, 0, True),  # it lives: it may fill
        (OrderStatus.CANCELED, 0, 0, False),
        (OrderStatus.CANCELED, 1, 1, True),
        (OrderStatus.CANCELED, 0, 1, True),  # its fill is not read yet
        (OrderStatus.EXPIRED_UNSENT, 0, 0, False),
        (OrderStatus.REJECTED, 0, 0, False),
        (OrderStatus.EXPIRED, 0, 0, False),
        (OrderStatus.FILLED, 2, 2, True),
    ],
)
def test_what_ended_without_a_fill_was_no_trade(
    tx: Connection, status: OrderStatus | None, read_as_filled: int, filled: int, counts: bool
):
    """A pending order counts as it does for the limits; a refused or canceled one never happened (L29)."""
    order = opened(tx, 1, qty=2)
    if status is not None:
        if read_as_filled:
            orders.record_filled(tx, order.order_id, read_as_filled, NOON)
        orders.end(tx, order.order_id, status, filled_qty=filled, now=NOON)
    found = read(tx)

    assert ((1, 1, 1) if counts else (0, 0, 0)) == _counts(found)
    assert ((NOON, NOON) if counts else (None, None)) == (found.symbol_at, found.underlying_at)


def test_what_somebody_else_opened_is_no_trade_of_ours(tx: Connection):
    """It binds dollars; it is not a decision."""
    opened(tx, 1, external=True)

    assert a_history() == read(tx)


@pytest.mark.parametrize(
    ("at", "counts"),
    [(MIDNIGHT - timedelta(microseconds=1), False), (MIDNIGHT, True), (MIDNIGHT + MINUTE, True)],
)
def test_the_day_begins_at_midnight_in_new_york(tx: Connection, at: datetime, counts: bool):
    """Not in UTC: an order of the evening before is yesterday's (L28)."""
    opened(tx, 1, at=at)

    assert (int(counts), at) == (read(tx).trades, read(tx).symbol_at)


def test_days_of_a_year_follow_each_other_without_gap():
    """Midnight in New York, also where the clocks change: every hour belongs to the day that began last (L28)."""
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(366 * 24)]

    assert all(day_began(hour) <= hour < day_began(hour) + timedelta(hours=25) for hour in hours)
    assert all((trading_day(a) == trading_day(b)) == (day_began(a) == day_began(b)) for a, b in pairwise(hours))
    assert {4, 5} == {day_began(hour).hour for hour in hours}


def test_the_latest_move_is_an_opening_or_a_close_of_any_day(tx: Connection):
    """Of the symbol, and of anything in its underlying."""
    last_week = NOON - timedelta(days=7)
    opened(tx, 1, PUT, at=last_week)
    assert (last_week, last_week) == _latest(read(tx))

    closed(tx, 1, "1.00", NOON - 20 * MINUTE, symbol=CALL)
    assert (last_week, NOON - 20 * MINUTE) == _latest(read(tx))

    closed(tx, 2, "1.00", NOON - 10 * MINUTE)
    opened(tx, 2, CALL, at=NOON - 5 * MINUTE)
    assert (NOON - 10 * MINUTE, NOON - 5 * MINUTE) == _latest(read(tx))
    assert (None, None) == _latest(read(tx, symbol="AAPL", underlying="AAPL"))
    assert (None, None) == _latest(read(tx, account=TINY))


def _latest(found: History) -> tuple[datetime | None, datetime | None]:
    return found.symbol_at, found.underlying_at


@pytest.mark.parametrize("pattern", list(product("+-0", repeat=4)), ids="".join)
def test_losses_in_a_row_are_those_after_the_last_that_was_none(tx: Connection, pattern: tuple[str, ...]):
    """Every pattern of four closes, oldest first: the losses at its end are counted; break-even is no loss."""
    for number, sign in enumerate(pattern, start=1):
        pnl = {"+": "5.00", "-": "-5.00", "0": "0"}[sign]
        closed(tx, number, pnl, NOON - (10 - number) * MINUTE, symbol=PUT if number % 2 else CALL)
    text_of = "".join(pattern)

    assert len(text_of) - len(text_of.rstrip("-")) == read(tx).losses_in_a_row
    assert 0 == read(tx, account=TINY).losses_in_a_row
    assert 0 == read(tx, now=NOON + timedelta(days=1)).losses_in_a_row


def test_a_close_without_a_price_may_have_been_a_loss(tx: Connection):
    """Unknown is not zero; behind a gain it no longer matters."""
    closed(tx, 1, None, NOON - 9 * MINUTE)
    assert Unknown(f"{PUT} left without a known price", "positions") == read(tx).losses_in_a_row

    closed(tx, 2, "-1.00", NOON - 8 * MINUTE)
    assert isinstance(read(tx).losses_in_a_row, Unknown)

    closed(tx, 3, "1.00", NOON - 7 * MINUTE)
    assert 0 == read(tx).losses_in_a_row


def test_the_questions_have_their_indexes(tx: Connection):
    """What is asked under the account's lock does not read a ledger of years."""
    found = set(tx.execute(text("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")).scalars())

    assert {
        *("openings_of_an_account", "openings_in_an_underlying"),
        *("closes_of_an_account", "closes_in_an_underlying"),
    } <= found
