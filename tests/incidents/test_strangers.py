"""What others did, and what we did not see: R26, R28, R39, R40, L11, L12, L16, L17, L21.

Most of it against the local Alpaca over HTTP, read as feeds reads it, or not read at all.
"""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from domain.events import DriftFound, PositionOpened, Side
from domain.exits import ExitReason, reason_of
from streams.names import Stream, partitioned
from tests.factories import LARGE, a_fill, a_recommendation
from tests.incidents.at_life import CASH, FIRST, RICH_CALL, WIDGET, AtLife, three_days
from tests.incidents.at_paper import MARGIN
from tests.incidents.stage import Stage
from tests.paper.days import CALL, PUT, STOCK
from tests.paper.kit import serving

PUT_OF_AMD = "AMD260220P00150000"
END = ("symbol", "qty", "exit_reason", "exit_price", "realized_pnl_usd")


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> Iterator[AtLife]:
    with serving(three_days(tmp_path)) as paper:
        paper.to("14:31:00", FIRST)
        made = AtLife(engine, paper, tuple(CASH))
        made.compare(times=1)
        yield made
        made.close()


# ---------------------------------------------------------------- closes of others


def test_R26_what_a_person_closes_has_its_true_price_once_it_is_read(house: AtLife):
    """
    Sold at the brokerage while nobody listens. The comparison comes first: closed, and nobody knows at what price. The
    catch-up brings it: the price is the true one, and nothing is retried meanwhile.
    """
    house.hold("call", CALL, 3, accounts=(LARGE,))
    house.close_behind(LARGE, CALL, 3)
    house.compare()
    assert [(CALL, 0, "external", None, None)] == house.positions(LARGE, *END)
    asked = len(house.posted())
    house.exit.handle_timer(house.now())
    house.publish()

    house.look()

    assert [(CALL, 0, "external", Decimal("1.00"), Decimal(-30))] == house.positions(LARGE, *END)
    assert asked == len(house.posted())
    house.assert_that_rows_agree()


def test_R28_a_stock_sold_by_hand_closes_and_a_person_may_have_it_compared_at_once(house: AtLife):
    """Without SQL: one comparison that a person asks for mends the row, and the execution completes it."""
    house.hold("share", WIDGET, 10, accounts=(LARGE,))
    house.wait(60)
    house.close_behind(LARGE, WIDGET, 10)
    house.wait(1)

    house.reconciler.reconcile(LARGE, house.now(), fix=True)
    house.publish()
    assert [(WIDGET, 0, "external", None, None)] == house.positions(LARGE, *END)
    house.look()

    assert [(WIDGET, 0, "external", Decimal("19.99"), Decimal("-0.20"))] == house.positions(LARGE, *END)
    house.assert_that_rows_agree()


def test_R39_what_the_brokerage_holds_and_we_do_not_is_watched_within_one_comparison(house: AtLife):
    """Adopted with an exit plan, announced, and left by our rules from then on, at half its price for example."""
    house.book("open", LARGE, CALL, qty=3, price="1.00")
    house.compare()

    assert [(CALL, 3, Decimal(1), "adopted", True)] == house.positions(
        LARGE, "symbol", "qty", "entry_price", "strategy", "adopted"
    )
    announced = _announced(house.engine)
    assert {DriftFound.__name__, PositionOpened.__name__} <= announced
    close = house.trigger(CALL, "0.50")
    house.exits.handle(close)
    house.look()
    assert [(CALL, 0, "catastrophe", Decimal("0.50"), Decimal(-150))] == house.positions(LARGE, *END)


def _announced(engine: Engine) -> set[str]:
    with engine.connect() as tx:
        return set(tx.execute(text("SELECT type FROM outbox")).scalars())


def test_L12_what_happened_while_the_stream_was_away_is_read_in_order_and_once(house: AtLife):
    """Ten minutes without a word, five executions in two accounts: complete after one look, and the same after two."""
    for name, account in (("one", LARGE), ("two", MARGIN)):
        house.entries.handle(house.recommend(name, CALL, 3, accounts=(account,)))
    for account in (LARGE, MARGIN):
        house.wait(200)
        house.close_behind(account, CALL, 2)
    house.wait(200)
    house.by_hand(LARGE, WIDGET, "buy", 5)

    house.look()
    once = _fills(house.engine)
    house.look()

    assert once == _fills(house.engine)
    assert [(LARGE, CALL, 3), (MARGIN, CALL, 3), (LARGE, CALL, -2), (MARGIN, CALL, -2), (LARGE, WIDGET, 5)] == once
    house.assert_that_rows_agree()


def _fills(engine: Engine) -> list[Any]:
    signed = "CASE side WHEN 'buy' THEN qty ELSE -qty END"
    with engine.connect() as tx:
        return [tuple(r) for r in tx.execute(text(f"SELECT account, symbol, {signed} FROM fills ORDER BY at, account"))]


def test_L16_a_phantom_is_detected_and_leaves(house: AtLife):
    """From the brokerage's empty book to a closed row, through every part that is real: nothing is only logged."""
    house.hold("call", CALL, 3, accounts=(LARGE,))
    house.book("change", LARGE, CALL, qty=0)
    house.compare(times=1)
    assert [(CALL, 3, None, None, 0)] == house.positions(LARGE, *END)

    house.compare(times=1)

    assert [(CALL, 0, "external", None, None)] == house.positions(LARGE, *END)
    house.assert_that_rows_agree()


FIVE = (CALL, PUT, RICH_CALL, STOCK, WIDGET)


@pytest.mark.parametrize("fault", [{"do": "status", "status": 500}, {"do": "status", "status": 503}, {"do": "reset"}])
def test_L17_a_failed_read_closes_nothing(house: AtLife, fault: dict[str, Any]):
    """Every look at the positions fails: not one row changes, however often it is tried."""
    _hold_five(house)
    house.paper.control("POST", "/faults", method="GET", path="/v2/positions", count=100, **fault)

    house.compare(times=4)

    assert dict.fromkeys(FIVE, 2) == dict(house.positions(LARGE, "symbol", "qty"))


def test_L17_a_sudden_void_needs_a_person(house: AtLife):
    """The brokerage shows nothing of five: no machine closes them. A person who asked for it does."""
    _hold_five(house)
    for symbol in FIVE:
        house.book("change", LARGE, symbol, qty=0)
    house.compare(times=4)
    assert dict.fromkeys(FIVE, 2) == dict(house.positions(LARGE, "symbol", "qty"))

    house.reconciler.reconcile(LARGE, house.now(), fix=True)
    house.publish()

    assert dict.fromkeys(FIVE, 0) == dict(house.positions(LARGE, "symbol", "qty"))


def _hold_five(house: AtLife) -> None:
    for symbol in FIVE:
        house.book("open", LARGE, symbol, qty=2, price="1.00")
    house.compare()


# ---------------------------------------------------------------- statements that fail


def _bought(stage: Stage) -> Any:
    """Hold one contract; return the fact of its sale, which is not delivered yet."""
    stage.prices[PUT_OF_AMD] = (Decimal("1.90"), Decimal("2.00"))
    stage.publish("recommendations", a_recommendation(id="rec", at=stage.now, symbol=PUT_OF_AMD, qty=1))
    stage.deliver()
    brokerage = stage.brokerages[LARGE]
    for order in brokerage.open_orders():
        brokerage.fill(order.broker_order_id)
    stage.deliver()
    assert [1] == stage.rows("SELECT qty FROM positions")
    sale = a_fill("by-hand", client_order_id=None, qty=1, cum_qty=1, side=Side.SELL, price="2.50", at=stage.now)
    return replace(sale, symbol=PUT_OF_AMD)


def _rename(stage: Stage, old: str, new: str) -> None:
    with stage.engine.begin() as tx:
        tx.execute(text(f"ALTER TABLE positions RENAME COLUMN {old} TO {new}"))


def test_R40_a_close_and_its_history_are_one(stage: Stage):
    """A column of the result is gone: the sale is not half written, and once the column is back it is whole."""
    sale = _bought(stage)
    _rename(stage, "realized_pnl_usd", "away")
    with pytest.raises(ProgrammingError):
        stage.tracker.handle([sale])
    assert ([1], ["buy"]) == (stage.rows("SELECT qty FROM positions"), stage.rows("SELECT side FROM fills"))

    _rename(stage, "away", "realized_pnl_usd")
    stage.tracker.handle([sale])

    assert [(0, Decimal(50), "external")] == stage.rows("SELECT qty, realized_pnl_usd, exit_reason FROM positions")
    assert ["buy", "sell"] == stage.rows("SELECT side FROM fills ORDER BY at, side")


def test_L11_a_fill_that_could_not_be_written_stays_unacknowledged(stage: Stage):
    """The statement is refused: the entry waits, is not swallowed, and is applied once when it comes again."""
    sale = _bought(stage)
    _rename(stage, "exit_rule", "away")
    stage.publish(partitioned(Stream.FILLS, 0), sale)
    for consumer, delivery in stage._readers:
        if consumer.group == "tracker":
            delivery.deliver(consumer.read(block_ms=1))
    assert 1 == stage.unacknowledged()

    _rename(stage, "away", "exit_rule")
    stage.deliver()

    assert 0 == stage.unacknowledged()
    assert ([0], 2) == (stage.rows("SELECT qty FROM positions"), len(stage.rows("SELECT 1 FROM fills")))


def test_L21_a_reason_that_nobody_knows_is_an_error(stage: Stage):
    """Neither code nor database turn it into "manual": the list of reasons is closed, and so is that of rules."""
    stage.tracker.handle([_bought(stage)])

    with pytest.raises(KeyError, match="boredom"):
        reason_of("boredom")
    for change in ("exit_reason = 'boredom'", "exit_rule = 'boredom'", "exit_rule = 'stop'"):
        with pytest.raises(IntegrityError), stage.engine.begin() as tx:
            tx.execute(text(f"UPDATE positions SET {change}"))
    assert {"stop", "catastrophe", "target", "trailing", "max_hold", "end_of_day", "expiry", "signal"} | {
        "manual",
        "external",
    } == set(ExitReason)
