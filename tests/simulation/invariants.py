"""What must hold in every storm, computed from the tables themselves and not from our own views."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from db import fills
from domain.positions import fold
from tests.simulation.exchange import Exchange


def assert_always(tx: Connection) -> None:
    """After every step: limits, the fold, one live close, no short."""
    _limits_hold(tx)
    _positions_equal_their_fills(tx)
    _one_live_close_each(tx)
    _nothing_is_short(tx)


def _limits_hold(tx: Connection) -> None:
    """Held at entry price plus the unfilled rest of every live opening stays within count and dollars.

    A position that is below zero for the moment was sold by hand before we read the fills that it was sold from:
    those are counted as its opening's unfilled rest.
    """
    bound: dict[str, dict[Any, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for p in tx.execute(text("SELECT * FROM positions WHERE closed_at IS NULL AND qty > 0")):
        bound[p.account][p.position_id] += p.entry_price * abs(p.qty) * p.multiplier
    for o in tx.execute(text("SELECT * FROM orders WHERE opening AND NOT external AND ended_at IS NULL")):
        bound[o.account][o.position_id] += o.limit_price * (o.qty - o.filled_qty) * o.multiplier
    for account in tx.execute(text("SELECT * FROM accounts")):
        of_account = bound[account.account]
        assert len(of_account) <= account.max_positions, f"{account.account}: {len(of_account)} positions"
        exposure = sum(of_account.values(), start=Decimal(0))
        assert exposure <= account.max_exposure_usd, f"{account.account}: {exposure} USD"


def _nothing_is_short(tx: Connection) -> None:
    """Below zero is a position only as long as fills of its own opening are awaited."""
    short = tx.execute(
        text(
            "SELECT p.position_id FROM positions p WHERE p.qty < 0 AND NOT EXISTS (SELECT 1 FROM orders o"
            " WHERE o.position_id = p.position_id AND o.opening AND o.filled_qty < coalesce(o.final_filled_qty, o.qty))"
        )
    ).all()
    assert [] == short


def _positions_equal_their_fills(tx: Connection) -> None:
    for row in tx.execute(text("SELECT position_id, qty, entry_price, multiplier FROM positions")).all():
        holding = fold(fills.of_position(tx, row.position_id), row.multiplier)
        assert (holding.qty, holding.entry_price) == (row.qty, row.entry_price)
    strays = tx.execute(
        text(
            "SELECT o.order_id FROM orders o LEFT JOIN fills f USING (order_id) GROUP BY o.order_id"
            " HAVING o.filled_qty <> coalesce(sum(f.qty), 0)"
        )
    ).all()
    assert [] == strays


def _one_live_close_each(tx: Connection) -> None:
    live = tx.execute(
        text("SELECT position_id FROM orders WHERE NOT opening AND NOT external AND ended_at IS NULL")
    ).scalars()
    assert [] == [position for position, count in Counter(live).items() if count > 1]


def assert_settled(tx: Connection, exchanges: Mapping[Any, Exchange], asked: Sequence[str]) -> None:
    """When it is calm again: rows equal the brokerage's truth, every question has one answer, nothing waits."""
    for name, exchange in exchanges.items():
        rows = tx.execute(
            text("SELECT symbol, qty FROM positions WHERE account = :name AND closed_at IS NULL"), {"name": name}
        ).all()
        assert {s: q for s, q in exchange.held.items() if q} == {r.symbol: r.qty for r in rows}
        _every_execution_is_a_fill(tx, exchange)
        _no_order_twice(exchange)
    decided = tx.execute(text("SELECT recommendation || '@' || account FROM decisions")).scalars()
    assert sorted(asked) == sorted(decided)
    assert 0 == tx.execute(text("SELECT count(*) FROM outbox WHERE published_at IS NULL")).scalar_one()
    unsent = tx.execute(text("SELECT status FROM orders WHERE status IN ('approved', 'submitting')")).all()
    assert [] == unsent


def _every_execution_is_a_fill(tx: Connection, exchange: Exchange) -> None:
    rows = tx.execute(
        text(
            "SELECT broker_order_id, cum_qty, qty, price FROM fills"
            " WHERE account = :name AND source IN ('stream', 'activity')"
        ),
        {"name": exchange.name},
    ).all()
    truth = sorted((e.broker_order_id, e.cum_qty, e.qty, e.price) for e in exchange.filled)
    assert truth == sorted(tuple(r) for r in rows)


def _no_order_twice(exchange: Exchange) -> None:
    ids = [o.client_order_id for o in exchange.orders.values()]
    assert len(set(ids)) == len(ids)
