"""A gate that lets everything through is stopped by the database, and the refusal says so."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, text

from actors.desk import Desk
from actors.gate import Gate
from actors.market import Market
from actors.pulse import of_recorded_day
from db import accounts
from domain.account import TradingState
from domain.checks import Check
from domain.gates import Proposal
from tests.factories import LARGE, NOON, a_recommendation, a_rule_book, some_limits
from tests.simulation.exchange import Exchange

SYMBOLS = [f"{root}260220P00100000" for root in ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG")]


def everything_passes(_: Proposal) -> tuple[Check, ...]:
    return (Check(gate="broken", passed=True, code=None, observed="", allowed="", source="test", age_s=None),)


@pytest.fixture
def gate(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setattr("actors.gate.review", everything_passes)
    with engine.begin() as tx:
        accounts.configure(tx, LARGE, some_limits(), NOON)
        accounts.set_state(tx, LARGE, TradingState.ACTIVE, "test", "test", NOON)
    prices = {symbol: (Decimal("9.90"), Decimal("10.00")) for symbol in SYMBOLS}
    exchange: Any = Exchange(LARGE, Random(1), lambda: NOON, lambda _: None, lambda _: None, prices)
    desk = Desk(engine=engine, clock=lambda: NOON, wall=lambda: NOON, origin="test", partitions=1)
    return Gate(desk, {LARGE: Market(exchange, lambda: NOON)}, a_rule_book(), of_recorded_day(desk))


def decide(gate: Gate, engine: Engine, quantities: list[int]) -> list[tuple[str, str]]:
    """Send one recommendation for each quantity; return each outcome with its failed check."""
    for number, qty in enumerate(quantities):
        symbol = SYMBOLS[number]
        gate.handle(a_recommendation(id=f"rec-{number}", symbol=symbol, qty=qty), NOON + timedelta(seconds=number))
    with engine.connect() as tx:
        rows = tx.execute(text("SELECT outcome, checks FROM decisions ORDER BY recommendation")).all()
    return [(r.outcome, "".join(c["gate"] for c in r.checks if not c["passed"])) for r in rows]


def test_the_sixth_position_is_stopped_by_the_wall(gate: Gate, engine: Engine):
    """Five positions of $1,000 are allowed; a blind gate approves a sixth, the database does not."""
    assert [("approved", "")] * 5 + [("refused", "database_wall")] == decide(gate, engine, [1] * 6)


def test_dollars_beyond_the_limit_are_stopped_by_the_wall(gate: Gate, engine: Engine):
    """$9,000 of $10,000 are reserved; two more contracts at $1,000 do not fit, one does."""
    outcomes = decide(gate, engine, [9, 2, 1])

    assert [("approved", ""), ("refused", "database_wall"), ("approved", "")] == outcomes


def test_the_refused_order_leaves_nothing_behind(gate: Gate, engine: Engine):
    """No order row, no reservation, nothing on its way to the executor."""
    decide(gate, engine, [9, 2])

    with engine.connect() as tx:
        orders = tx.execute(text("SELECT count(*) FROM orders")).scalar_one()
        on_their_way = tx.execute(text("SELECT count(*) FROM outbox WHERE type = 'OrderApproved'")).scalar_one()
        breaches = tx.execute(text("SELECT count(*) FROM commitment_log WHERE exposure_usd > max_exposure_usd"))
    assert (1, 1, 0) == (orders, on_their_way, breaches.scalar_one())
