"""A gate that lets everything through is stopped by the database, and the refusal says so."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from actors.desk import Desk
from actors.gate import Gate
from actors.market import Market
from actors.pulse import of_recorded_day
from db import accounts, orders
from domain.account import TradingState
from domain.checks import Check
from domain.events import Action, RecommendationIssued
from tests.db.wall_kit import fill, hold, open_order
from tests.factories import LARGE, NOON, a_recommendation, a_rule_book, some_limits
from tests.simulation.exchange import Exchange

SYMBOLS = [f"{root}260220P00100000" for root in ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG")]


REFUSED = ("refused", "database_wall")


def everything_passes(_: object) -> tuple[Check, ...]:
    return (Check(gate="broken", passed=True, code=None, observed="", allowed="", source="test", age_s=None),)


@pytest.fixture
def gate(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setattr("actors.gate.review", everything_passes)
    monkeypatch.setattr("actors.gate.review_sell", everything_passes)
    with engine.begin() as tx:
        accounts.configure(tx, LARGE, some_limits(), NOON)
        accounts.set_state(tx, LARGE, TradingState.ACTIVE, "test", "test", NOON)
    prices = {symbol: (Decimal("9.90"), Decimal("10.00")) for symbol in SYMBOLS}
    exchange: Any = Exchange(LARGE, Random(1), lambda: NOON, lambda _: None, lambda _: None, prices)
    desk = Desk(engine=engine, clock=lambda: NOON, wall=lambda: NOON, origin="test", partitions=1)
    return Gate(desk, {LARGE: Market(exchange, lambda: NOON)}, a_rule_book(), of_recorded_day(desk))


def outcomes(engine: Engine) -> list[tuple[str, str]]:
    """Each outcome with its failed check."""
    with engine.connect() as tx:
        rows = tx.execute(text("SELECT outcome, checks FROM decisions ORDER BY recommendation")).all()
    return [(r.outcome, "".join(c["gate"] for c in r.checks if not c["passed"])) for r in rows]


def bought(tx: Connection, held: int) -> None:
    """Five of the first symbol were bought by a recommendation of before; *held* of them are left."""
    order = open_order(tx, symbol=SYMBOLS[0], qty=5)
    hold(tx, held, SYMBOLS[0], number=order.position_id.int)
    fill(tx, order, 5, 5)
    orders.record_filled(tx, order.order_id, 5, NOON)


def ordered(engine: Engine) -> list[tuple[str, int]]:
    """Side and quantity of what the gate has ordered, without what was bought before."""
    with engine.connect() as tx:
        rows = tx.execute(text("SELECT side, qty FROM orders WHERE recommendation LIKE 'new-%' ORDER BY approved_at"))
        return [(row.side, row.qty) for row in rows]


def decide(gate: Gate, engine: Engine, quantities: list[int]) -> list[tuple[str, str]]:
    """Send one recommendation for each quantity; return each outcome with its failed check."""
    for number, qty in enumerate(quantities):
        symbol = SYMBOLS[number]
        gate.handle(a_recommendation(id=f"rec-{number}", symbol=symbol, qty=qty), NOON + timedelta(seconds=number))
    return outcomes(engine)


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


# ---------------------------------------------------------------- the same symbol


def test_a_second_order_for_a_symbol_is_stopped_by_the_wall(gate: Gate, engine: Engine):
    """One pending or held position a symbol: two would fill into positions that no close can tell apart."""
    for number in (0, 1):
        gate.handle(a_recommendation(id=f"new-{number}", symbol=SYMBOLS[0]), NOON)

    assert [("approved", ""), REFUSED] == outcomes(engine)


def test_an_order_for_a_held_symbol_is_stopped_by_the_wall(gate: Gate, engine: Engine):
    """Also when its own opening is long over."""
    with engine.begin() as tx:
        bought(tx, 5)

    gate.handle(a_recommendation(id="new-1", symbol=SYMBOLS[0]), NOON)

    assert [REFUSED] == outcomes(engine)


def test_a_symbol_that_was_left_may_be_bought_again(gate: Gate, engine: Engine):
    with engine.begin() as tx:
        bought(tx, 0)

    gate.handle(a_recommendation(id="new-1", symbol=SYMBOLS[0]), NOON)

    assert [("approved", "")] == outcomes(engine)


def test_the_same_recommendation_opens_once(gate: Gate, engine: Engine):
    """Even when the inbox has forgotten it: the rows of the first answer refuse a second one."""
    rec = a_recommendation(id="new-1", symbol=SYMBOLS[0])
    gate.handle(rec, NOON)
    with engine.begin() as tx:
        tx.execute(text("DELETE FROM inbox"))

    with pytest.raises(IntegrityError):
        gate.handle(rec, NOON)

    assert [("approved", "")] == outcomes(engine)
    assert [("buy", 1)] == ordered(engine)


# ---------------------------------------------------------------- sells


def a_sell(number: int, qty: int = 5) -> RecommendationIssued:
    return a_recommendation(id=f"new-{number}", symbol=SYMBOLS[0], action=Action.SELL, qty=qty)


def test_a_sell_of_what_is_not_held_sells_nothing(gate: Gate, engine: Engine):
    """No row to take symbol, side and quantity from: never a short."""
    gate.handle(a_sell(1), NOON)

    assert [] == ordered(engine)
    assert ["refused"] == [outcome for outcome, _ in outcomes(engine)]


def test_a_second_sell_is_stopped_while_the_first_lives(gate: Gate, engine: Engine):
    """One live closing order a position: two could sell twice."""
    with engine.begin() as tx:
        bought(tx, 5)

    for number in (1, 2):
        gate.handle(a_sell(number), NOON)

    assert [("sell", 5)] == ordered(engine)
    assert ["approved", "refused"] == [outcome for outcome, _ in outcomes(engine)]


def test_a_sell_of_more_than_is_held_sells_what_is_held(gate: Gate, engine: Engine):
    with engine.begin() as tx:
        bought(tx, 5)

    gate.handle(a_sell(1, qty=50), NOON)

    assert [("sell", 5)] == ordered(engine)


# ---------------------------------------------------------------- the account


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_nothing_opens_in_an_account_that_is_not_active(gate: Gate, engine: Engine, state: TradingState):
    with engine.begin() as tx:
        accounts.set_state(tx, LARGE, state, "test", "test", NOON)

    assert [REFUSED] == decide(gate, engine, [1])


def test_a_lowered_limit_binds_a_blind_gate(gate: Gate, engine: Engine):
    """What was let through stays; the next one meets the limit that is in force now."""
    decide(gate, engine, [1, 1])
    with engine.begin() as tx:
        accounts.configure(tx, LARGE, some_limits(max_positions=2), NOON)

    gate.handle(a_recommendation(id="rec-2", symbol=SYMBOLS[2]), NOON)

    assert REFUSED == outcomes(engine)[2]
