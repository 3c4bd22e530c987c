"""Rows to run into walls with: openings, closes, positions and fills as the actors write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from db import accounts, exit_plans, fills, orders, positions
from domain.account import TradingState
from domain.ids import AccountName, PositionId, RecommendationId, fill_id
from domain.orders import Order, closing_order, opening_order
from domain.positions import Fill, Holding
from tests.factories import LARGE, NOON, PUT, TINY, a_policy, some_limits

STOCK = "MSFT"
#: What the wall of limits calls itself.
WALL = "account_stays_within_limits"


def configure(tx: Connection) -> None:
    for account in (LARGE, TINY):
        accounts.configure(tx, account, some_limits(), NOON)
        accounts.set_state(tx, account, TradingState.ACTIVE, "the test", "the test", NOON)


def refused(tx: Connection, error: type[Exception], name: str, act: Callable[[], Any]) -> str:
    """Run *act*, which the constraint or trigger *name* must refuse; the transaction can go on."""
    with pytest.raises(IntegrityError) as raised, tx.begin_nested():
        act()
    assert isinstance(raised.value.orig, error)
    said = str(raised.value.orig)
    assert name in said or name == raised.value.orig.diag.constraint_name
    return said


def run(tx: Connection, sql: str, **values: Any) -> Any:
    return tx.execute(text(sql), values)


# ---------------------------------------------------------------- rows to start from


def an_opening(number: int = 1, **over: Any) -> Order:
    """One contract at 7.20: 720 USD."""
    symbol = over.pop("symbol", f"X{'ABCDEFGHIJ'[number]}260220P00400000")
    rec = RecommendationId(f"rec-{number}")
    return replace(opening_order(over.pop("account", LARGE), rec, symbol, 1, Decimal("7.20"), NOON), **over)


def open_order(tx: Connection, number: int = 1, *, external: bool = False, **over: Any) -> Order:
    order = an_opening(number, **over)
    orders.insert(tx, order, "day_trade", external=external)
    return order


def a_holding(qty: int, **over: Any) -> Holding:
    values: dict[str, Any] = {
        "qty": qty,
        "max_qty": max(1, abs(qty)),
        "entry_price": Decimal("7.00"),
        "exit_price": None if qty else Decimal("8.00"),
        "realized_pnl_usd": Decimal(0),
        "opened_at": NOON,
        "closed_at": None if qty else NOON,
        "left_by": None if qty else "external",
    }
    return Holding(**values | over)


def hold(
    tx: Connection,
    qty: int = 5,
    symbol: str = PUT,
    *,
    account: AccountName = LARGE,
    adopted: bool = False,
    number: int = 1,
    **over: Any,
) -> PositionId:
    """Write an open (or, with qty 0, a closed) position and its exit plan."""
    position = PositionId(UUID(int=number))
    exit_plans.plan(tx, position, a_policy())
    positions.create(
        tx,
        position_id=position,
        account=account,
        symbol=symbol,
        strategy="day_trade",
        recommendation=None,
        adopted=adopted,
        holding=a_holding(qty, **over),
        exit_rule="external",
    )
    return position


def a_close(position: PositionId, held: int = 5, qty: int = 1, attempt: int = 1, **over: Any) -> Order:
    order = closing_order(LARGE, position, PUT, held, min(qty, abs(held)), attempt, "stop", None, NOON)
    return replace(order, **{"qty": qty, **over})


def close(tx: Connection, order: Order, *, external: bool = False) -> None:
    orders.insert(tx, order, "day_trade", external=external)


def fill(tx: Connection, order: Order, qty: int, cum: int, **over: Any) -> bool:
    broker_order_id = over.pop("broker_order_id", f"broker-{order.order_id.hex[:8]}")
    values: dict[str, Any] = {
        "fill_id": fill_id(order.account, broker_order_id, cum),
        "broker_order_id": broker_order_id,
        "cum_qty": cum,
        "side": order.side,
        "opens": order.intent.opens,
        "qty": qty,
        "price": Decimal("7.10"),
        "at": NOON,
        "held_after": None,
        "reason": order.reason,
    }
    row: dict[str, Any] = {"execution_id": None, "source": "stream", "position_id": order.position_id}
    row |= {name: over.pop(name) for name in list(over) if name in row}
    return fills.insert(
        tx,
        fill=Fill(**values | over),
        account=order.account,
        order_id=order.order_id,
        symbol=order.symbol,
        read_at=NOON,
        **row,
    )


def committed(tx: Connection, account: AccountName = LARGE) -> tuple[int, Decimal]:
    """Positions and dollars that the account has bound, as the wall counts them."""
    row = run(tx, "SELECT count(*), coalesce(sum(usd), 0) FROM commitments WHERE account = :a", a=account).one()
    return row[0], row[1]
