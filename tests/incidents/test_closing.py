"""A close closes what is held, as what it is: R21, R22, R23, and what leaves for the brokerage: R24.

And at which price: a stop of an option is no price of its underlying (R38, L26).
"""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.events import DriftFound, Intent, OrderType, PositionAdjusted, Side
from domain.instrument import Option, parse_symbol
from tests.factories import LARGE, a_quote, a_recommendation, some_limits, ticked
from tests.incidents.make_fixtures import MSFT_PUT, SHORTED
from tests.incidents.stage import Stage
from tests.simulation.exchange import Exchange

ROOMY = some_limits(max_positions=10, max_exposure_usd=Decimal(100_000), max_daily_loss_usd=Decimal(100_000))
CLOSES = "SELECT qty, status, reject_code FROM orders WHERE NOT opening ORDER BY approved_at, order_id"


def test_R21_a_close_sells_the_contract_and_never_its_underlying(a_stage: Callable[..., Stage]):
    """
    The eight positions of the incident, closed at half their price: eight closing orders that name
    the contract itself, sell what is held and say sell_to_close; nothing is short, nothing is left.
    """
    stage = a_stage(limits={LARGE: ROOMY})

    stage.play("R21")

    closes = [order for order in stage.brokerages[LARGE].sent if order.side is Side.SELL]
    assert sorted((symbol, 10, Intent.SELL_TO_CLOSE) for symbol in SHORTED) == sorted(
        (order.symbol, order.qty, order.intent) for order in closes
    )
    assert all(isinstance(parse_symbol(order.symbol), Option) for order in stage.brokerages[LARGE].sent)
    assert dict.fromkeys(SHORTED, 0) == stage.brokerages[LARGE].held
    assert 8 == stage.one("SELECT count(*) FROM positions WHERE closed_at IS NOT NULL")
    stage.assert_no_gap()


def test_R21_shares_of_the_underlying_are_left_alone(stage: Stage):
    """ORCL shares beside an ORCL put: closing the put leaves all five shares."""
    stage.play("R21_stock")

    assert {"ORCL": 5, "ORCL260213C00155000": 0} == stage.brokerages[LARGE].held
    assert [("ORCL", 5), ("ORCL260213C00155000", 0)] == stage.rows("SELECT symbol, qty FROM positions ORDER BY symbol")


# ---------------------------------------------------------------- R22


def test_R22_a_mismatch_on_a_close_means_reconcile(stage: Stage):
    """
    The brokerage's position goes, unheard, between our look and our close: the close is refused for
    its intent and recorded with its code. It is not sent again without one; the reconciler finds the
    drift, and after a second reading the position leaves with an unknown price, not an invented one.
    """
    stage.play("R22")
    brokerage = stage.brokerages[LARGE]
    brokerage.seam = _once(lambda: _sell_unheard(brokerage))
    _crash_the_price(stage)

    assert [(10, "rejected", "42210000")] == stage.rows(CLOSES)
    assert [Intent.SELL_TO_CLOSE] == [order.intent for order in brokerage.sent if order.side is Side.SELL]

    stage.reconcile(after=timedelta(seconds=1))
    stage.reconcile(after=timedelta(seconds=20))
    stage.sweep(after=timedelta(minutes=10))

    assert ["rows_only"] == [fact.kind for fact in stage.facts(DriftFound)]
    assert [(0, None)] == [(fact.qty, fact.price) for fact in stage.facts(PositionAdjusted)]
    assert [(0, None, None, "external")] == stage.rows(
        "SELECT qty, exit_price, realized_pnl_usd, exit_reason FROM positions"
    )
    sells = [order for order in brokerage.sent if order.side is Side.SELL]
    assert 1 == len(sells)
    assert () == stage.reconcile()


def _once(act: Callable[[], None]) -> Callable[[str], None]:
    """Do *act* at the first "before submit", then never again."""
    waiting = [act]

    def seam(name: str) -> None:
        if name == "before submit" and waiting:
            waiting.pop()()

    return seam


def _sell_unheard(brokerage: Exchange) -> None:
    """A person sells everything, and nobody tells us."""
    brokerage.emit = lambda _: None
    while brokerage.position(MSFT_PUT):
        brokerage.rng.randint = lambda low, high: high  # type: ignore[method-assign]
        brokerage.sell_behind_our_back()


def _crash_the_price(stage: Stage) -> None:
    stage.now += timedelta(minutes=5)
    stage.prices[MSFT_PUT] = (Decimal("3.50"), Decimal("3.60"))
    quote = a_quote(MSFT_PUT, "3.50", "3.60", at=stage.now)
    stage.publish("ticks.{0}", ticked(quote, at=stage.now))
    stage.deliver()


# ---------------------------------------------------------------- R23


@pytest.mark.parametrize(
    ("held", "reserved", "code"),
    [
        pytest.param(0, 0, "not_held", id="flat"),
        pytest.param(-5, 0, "not_held", id="short"),
        pytest.param(10, 10, "held_by_other_orders", id="held for orders"),
    ],
)
def test_R23_what_cannot_be_closed_is_not_sent(stage: Stage, held: int, reserved: int, code: str):
    """Nothing to close at the brokerage: the close ends with its code, and no sell leaves that could open a short."""
    stage.play("R22")
    brokerage = stage.brokerages[LARGE]
    brokerage.held[MSFT_PUT] = held
    brokerage._reserved = lambda _: reserved  # type: ignore[method-assign]

    _crash_the_price(stage)

    assert [(10, "rejected", code)] == stage.rows(CLOSES)
    assert [] == [order for order in brokerage.sent if order.side is Side.SELL]


def test_R23_a_close_is_cut_to_what_the_brokerage_holds(stage: Stage):
    """Four of our ten are left there: four are sold, never ten."""
    stage.play("R22")
    brokerage = stage.brokerages[LARGE]
    brokerage.held[MSFT_PUT] = 4

    _crash_the_price(stage)

    assert [(MSFT_PUT, 4, Intent.SELL_TO_CLOSE)] == [
        (order.symbol, order.qty, order.intent) for order in brokerage.sent if order.side is Side.SELL
    ]
    assert [(10, "expired_unsent", "clamped"), (4, "accepted", None)] == sorted(stage.rows(CLOSES), reverse=True)


def test_R23_a_refused_close_is_tried_again_without_hurry(stage: Stage):
    """Somebody else's order holds all of it for an hour: tries come ever slower, the one position stays open."""
    stage.play("R22")
    stage.brokerages[LARGE]._reserved = lambda _: 10  # type: ignore[method-assign]
    _crash_the_price(stage)

    for _ in range(180):
        stage.sweep(after=timedelta(seconds=20))

    tries = stage.one("SELECT count(*)::integer FROM orders WHERE NOT opening")
    assert 12 <= tries <= 30
    assert [(10, True)] == stage.rows("SELECT qty, closed_at IS NULL FROM positions")
    assert 1 == stage.one("SELECT count(*)::integer FROM positions")


# ---------------------------------------------------------------- R24


@pytest.mark.parametrize("fixture", ["R01", "R03", "R18", "R21", "R21_stock", "L08", "L10"])
def test_R24_every_order_says_what_it_does(a_stage: Callable[..., Stage], fixture: str):
    """Entries are limits that say buy_to_open, closes are market orders that say sell_to_close; all in whole units."""
    stage = a_stage(limits={LARGE: ROOMY} if fixture == "R21" else {})
    stage.play(fixture)

    sent = [order for brokerage in stage.brokerages.values() for order in brokerage.sent]
    shapes: set[tuple[Any, ...]] = {(o.side, o.intent, o.type, o.limit_price is None) for o in sent}
    assert sent
    assert shapes <= {
        (Side.BUY, Intent.BUY_TO_OPEN, OrderType.LIMIT, False),
        (Side.SELL, Intent.SELL_TO_CLOSE, OrderType.MARKET, True),
    }
    assert all(isinstance(order.qty, int) and order.qty >= 1 for order in sent)


@pytest.mark.parametrize("underlying", ["100.00", "172.80", "194.40", "300.00"])
def test_L26_a_stop_of_an_option_knows_no_price_of_its_underlying(stage: Stage, underlying: str):
    """
    172.80 and 194.40 stood beside a premium of 5.00. A plan holds per cent of the entry and no price at all: wherever
    the underlying goes nothing happens, and the stop is at 40 % below 5.00 of the contract, to the cent.
    """
    symbol, stock = "META260220P00190000", "META"
    stage.prices[symbol] = (Decimal("4.90"), Decimal("5.00"))
    stage.publish("recommendations", a_recommendation(id="meta", at=stage.now, symbol=symbol, qty=1))
    stage.deliver()
    [order] = stage.brokerages[LARGE].open_orders()
    stage.brokerages[LARGE].fill(order.broker_order_id)
    stage.deliver()
    policy = stage.one("SELECT policy FROM exit_plans")
    assert [] == [name for name in policy if "price" in name and not name.endswith("_pct")]

    def tick(name: str, bid: str) -> list[Any]:
        stage.now += timedelta(minutes=31)
        ask = str(Decimal(bid) + Decimal("0.10"))
        stage.publish("ticks.{0}", ticked(a_quote(name, bid, ask, at=stage.now), at=stage.now))
        stage.deliver()
        return stage.rows("SELECT reason FROM orders WHERE NOT opening")

    assert [] == tick(stock, underlying)
    assert [] == tick(symbol, "3.01")
    assert ["stop"] == tick(symbol, "3.00")
