"""Prices that were wrong, frozen or of something else: R33, R34, R35, R38, L13, L14, L33."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from actors.exit import ExitActor
from actors.outlook import NOTHING_CONFIGURED, gather
from actors.pulse import of_rows
from actors.second_look import EVERY, SecondLook
from actors.tracker import Tracker
from cli.feeding import Feeding
from db import positions
from domain.events import Quote
from domain.exits import ExitPolicy, Regime
from domain.exits.at_the_close import failed_overnight_criteria
from domain.interlock import unwell
from domain.known import Known, Unknown
from streams.codec import decode
from tests.domain.exit_kit import a_position, only, seen
from tests.factories import LARGE, SESSION, a_quote, a_recommendation, some_bounds, some_limits, ticked
from tests.incidents.at_paper import AtPaper
from tests.incidents.stage import SESSIONS, Stage
from tests.paper.days import CALL

PUT = "MSFT260313P00400000"
MINUTE = timedelta(minutes=1)
ROOMY = some_limits(max_positions=10, max_exposure_usd=Decimal(100_000), max_daily_loss_usd=Decimal(100_000))
CLOSES = "SELECT reason FROM orders WHERE NOT opening ORDER BY approved_at, order_id"

Staged = Callable[..., Stage]


def d(text: str) -> Decimal:
    return Decimal(text)


def holding(a_stage: Staged, entry: str, symbol: str = PUT, **rules: Any) -> Stage:
    """A stage on which one contract of *symbol* was bought at *entry*, to be left by the named rules alone."""
    stage = a_stage(limits={LARGE: ROOMY})
    policy = only(**{"min_hold": 30 * MINUTE, **rules})
    stage.tracker = Tracker(stage.desk, lambda account, strategy, kind: policy)
    stage.prices[symbol] = (d(entry) - d("0.05"), d(entry))
    stage.publish("recommendations", a_recommendation(id="held", at=stage.now, symbol=symbol, qty=1))
    stage.deliver()
    [order] = stage.brokerages[LARGE].open_orders()
    stage.brokerages[LARGE].fill(order.broker_order_id)
    stage.deliver()
    return stage


def tick(
    stage: Stage, bid: str | None, *, at: datetime | None = None, symbol: str = PUT, feed: str = "option"
) -> list[str]:
    """A source quotes *symbol*, five cents wide, of now or of *at*; return the rules whose closes were written."""
    ask = "9.99" if bid is None else str(d(bid) + d("0.05"))
    quote: Quote = a_quote(symbol, bid, ask, at=at or stage.now)
    stage.publish("ticks.{0}", ticked(quote, at=quote.at, feed=feed))
    stage.deliver()
    rules: list[str] = stage.rows(CLOSES)
    return rules


def later(stage: Stage, after: timedelta) -> None:
    stage.now += after
    stage.sweep()


# ---------------------------------------------------------------- R33


@pytest.mark.parametrize("feed", ["option", "stock", "rest"])
def test_R33_a_price_of_the_underlying_is_no_price_of_its_option(a_stage: Staged, feed: str):
    """The put was asked for by its underlying's ticker. No quote of MSFT changes price, peak or stop of the put."""
    stage = holding(a_stage, "9.00", stop_pct=d("40"), target_pct=d("80"))
    later(stage, 31 * MINUTE)
    tick(stage, "12.35")

    for price in ("5.00", "400.00", "1000.00"):
        assert [] == tick(stage, price, symbol="MSFT", feed=feed)
    assert [(d("12.35"), d("12.35"))] == stage.rows("SELECT peak, trough FROM exit_plans")


def test_R33_a_position_that_nobody_can_price_is_blind_and_said_so(a_stage: Staged):
    """
    Quotes of the underlying come, quotes of the put with one side come: after fifteen minutes without a bid the
    account's entries wait for the price of exactly this put, and no rule of price fires. A bid ends it.
    """
    stage = holding(a_stage, "9.00", stop_pct=d("40"))
    later(stage, 31 * MINUTE)
    tick(stage, "9.00")
    for _ in range(16):
        later(stage, MINUTE)
        assert [] == tick(stage, "400.00", symbol="MSFT", feed="stock")
        assert [] == tick(stage, None)
    assert f"price of {PUT}" in _unwell(stage)

    assert [] == tick(stage, "8.00")
    later(stage, timedelta(seconds=1))
    assert f"price of {PUT}" not in _unwell(stage)


def _unwell(stage: Stage) -> list[str]:
    with stage.engine.connect() as tx:
        pulse = of_rows(stage.desk, some_bounds())(tx, LARGE)
    assert isinstance(pulse, Known)
    return [sign.part for sign in unwell(pulse.value)]


# ---------------------------------------------------------------- R34


def test_R34_who_stands_still_for_days_denies_nobody_his_target(a_stage: Staged):
    """
    Bought at 4.85; one source shows 5.90 with the time of the first morning, for three days. The other goes to 11.15:
    the put leaves at the first tick at or beyond its target, 8.73, and no alarm rings: old is not contradicted.
    """
    stage = holding(a_stage, "4.85", target_pct=d("80"))
    stands = stage.now
    path = ("5.90", "6.60", "7.40", "8.10", "8.72", "8.73", "11.15")
    seen_at = []
    for session, day in zip(SESSIONS, (path[:2], path[2:4], path[4:]), strict=True):
        stage.now = max(stage.now, session.open) + 31 * MINUTE
        for bid in day:
            later(stage, 20 * MINUTE)
            tick(stage, "5.90", at=stands, feed="rest")
            seen_at += [bid] * len(tick(stage, bid))

    assert "8.73" == seen_at[0]
    assert ["target"] == stage.rows(CLOSES)
    assert [] == stage.rows("SELECT live_price FROM price_disputes")


def test_R34_two_sources_that_contradict_each_other_are_flagged(a_stage: Staged):
    """
    Both speak of the same moment, 11.15 and 5.90: the position is flagged, its account lets nothing open, and the
    target that one of them denies does not close. When both say 8.73 or more, it leaves.
    """
    stage = holding(a_stage, "4.85", target_pct=d("80"))
    later(stage, 31 * MINUTE)
    tick(stage, "8.00")
    later(stage, MINUTE)
    tick(stage, "8.00")
    stage.now += timedelta(seconds=1)
    assert [] == tick(stage, "5.90", feed="rest")
    assert [(d("8.00"), d("5.90"), True)] == _disputes(stage)

    stage.now += timedelta(seconds=1)
    assert [] == tick(stage, "11.15")
    assert f"undisputed price of {PUT}" in _unwell(stage)

    stage.now += timedelta(seconds=1)
    assert ["target"] == tick(stage, "11.20", feed="rest")
    assert [False] == [is_on for *_, is_on in _disputes(stage)]
    assert f"undisputed price of {PUT}" not in _unwell(stage)


def _disputes(stage: Stage) -> list[Any]:
    return stage.rows("SELECT live_price, second_price, ended_at IS NULL FROM price_disputes")


# ---------------------------------------------------------------- R35, L13


def test_R35_a_winner_is_not_given_back(a_stage: Staged):
    """9.00 to 13.95 (+55 %), then it falls: a quarter of the gain may go, so it leaves at 12.71 at the latest."""
    stage = holding(a_stage, "9.00", trail_arm_pct=d("30"), trail_giveback_pct=d("25"))
    later(stage, 31 * MINUTE)
    for bid in ("10.50", "12.20", "13.95", "13.20", "12.72"):
        later(stage, MINUTE)
        assert [] == tick(stage, bid)
    later(stage, MINUTE)
    assert ["trailing"] == tick(stage, "12.71")


def test_R35_the_peak_survives_a_restart(a_stage: Staged):
    """The exit falls at the top and begins anew with an empty memory far below it."""
    stage = holding(a_stage, "9.00", trail_arm_pct=d("30"), trail_giveback_pct=d("25"))
    later(stage, 31 * MINUTE)
    tick(stage, "13.95")

    stage.exit = ExitActor(stage.desk)
    later(stage, MINUTE)
    assert ["trailing"] == tick(stage, "12.71")


def test_L13_a_peak_is_state_and_a_cent_of_gain_is_none(a_stage: Staged):
    """
    The old query forgot the peak in every cycle, so +55 % became +3.3 %. Here every tick meets an exit that has just
    been started. A gain of a cent, given back, arms nothing.
    """
    stage = holding(a_stage, "9.00", trail_arm_pct=d("30"), trail_giveback_pct=d("25"))
    later(stage, 31 * MINUTE)
    closed_at = []
    for bid in ("9.01", "9.00", "11.69", "9.00", "13.95", "12.80", "11.00", "9.30"):
        stage.exit = ExitActor(stage.desk)
        later(stage, MINUTE)
        closed_at += [bid] * len(tick(stage, bid))

    assert "11.00" == closed_at[0]
    assert ["trailing"] == stage.rows(CLOSES)


# ---------------------------------------------------------------- R38


def test_R38_a_policy_holds_no_price(a_stage: Staged):
    """
    META stood at 720.93, its stop at 720.60 beside a premium of a few dollars. A rule holds per cent, times, days and
    dollars that a position costs: there is no field for a price, so none of another unit can stand in it.
    """
    numbers = [f.name for f in fields(ExitPolicy) if "Decimal" in str(f.type)]
    assert [] == [name for name in numbers if not name.endswith(("_pct", "_usd", "_confidence"))]
    assert ["overnight_max_usd"] == [name for name in numbers if name.endswith("_usd")]

    stage = holding(a_stage, "5.00", symbol="META260313C00720000", stop_pct=d("40"), target_pct=d("80"))
    later(stage, 31 * MINUTE)
    for price in ("720.93", "720.60", "726.37"):
        assert [] == tick(stage, price, symbol="META", feed="stock")
    assert ["stop"] == tick(stage, "3.00", symbol="META260313C00720000")


# ---------------------------------------------------------------- L14


def test_L14_a_swing_with_unknown_theta_survives_the_afternoon(a_stage: Staged):
    """+30 %, weeks to go, at 14:30: nobody told theta or regime, so no rule that asks for them closes."""
    theta_rules = {
        "theta_days": 60,
        "theta_pct": d("1"),
        "regime_at_least": Regime.CALM,
        "earnings_within_sessions": 60,
    }
    stage = holding(a_stage, "5.00", **theta_rules, overnight_min_days=3)
    for hour in ("19:30", "20:59"):
        stage.now = datetime.fromisoformat(f"{SESSION.day}T{hour}:00+00:00")
        assert [] == tick(stage, "6.50")
        stage.sweep()
    assert [] == stage.rows(CLOSES)

    with stage.engine.connect() as tx:
        [outlook] = gather(tx, positions.all_open(tx), stage.now, NOTHING_CONFIGURED, SESSIONS).values()
    assert [
        f"the feed told no theta of {PUT}",
        "no [volatility] is configured",
        "[earnings] says nothing about MSFT",
    ] == [
        known.reason
        for known in (outlook.theta, outlook.regime, outlook.sessions_to_earnings)
        if isinstance(known, Unknown)
    ]


def test_L14_theta_that_the_feed_tells_closes(at_paper: AtPaper, engine: Engine, redis_client: redis.Redis):
    """
    From the snapshot over HTTP to the close at the brokerage: without Greeks the position is held, with a theta that
    takes more than five per cent a day it leaves, and the row names the rule.
    """
    policy = only(theta_days=3, theta_pct=d("5"))
    at_paper.tracker = Tracker(at_paper.desk, lambda account, strategy, kind: policy)
    at_paper.hold(qty=3)
    feeding = Feeding(engine, redis_client, at_paper.desk, (), lambda: None)
    look = SecondLook(at_paper.brokerages[LARGE], feeding.second_doors(), EVERY)

    def a_round(to: str) -> None:
        at_paper.paper.to(to)
        at_paper.paper.quote(CALL, "1.20", "1.25")
        at_paper.paper.to(f"{to[:-1]}5")
        look.on_timer(at_paper.now())
        for _, entry in redis_client.xrange("ticks.{0}"):  # type: ignore[union-attr]
            at_paper.exit.handle_ticks([decode(entry)])
        at_paper.exit.handle_timer(at_paper.now())
        at_paper.publish()

    a_round("14:32:00")
    assert 1 == len(at_paper.approved)

    at_paper.paper.control("POST", "/greeks", symbol=CALL, theta="-0.15")
    a_round("14:33:00")
    at_paper.exits.handle(at_paper.approved[-1])
    at_paper.catch_up()

    with engine.connect() as tx:
        assert [] == list(positions.all_open(tx))
        row = positions.get(tx, at_paper.approved[0].position_id)
    assert row is not None
    assert ("theta_decay", 0) == (row.exit_rule, row.qty)


# ---------------------------------------------------------------- L33


@given(
    gain=st.decimals("-40", "80", places=0),
    asked=st.decimals("-40", "80", places=0),
    days=st.integers(0, 40),
    least_days=st.integers(0, 40),
    most_usd=st.integers(1, 5000),
)
def test_L33_more_risk_never_lowers_what_a_night_asks_for(
    gain: Decimal, asked: Decimal, days: int, least_days: int, most_usd: int
):
    """High theta once lowered the gain that a night asked for. From calm to extreme, what fails goes on failing."""
    policy = only(overnight_min_gain_pct=asked, overnight_min_days=least_days, overnight_max_usd=Decimal(most_usd))
    pos = a_position(entry="10.00", policy=policy, expiration=SESSION.day + timedelta(days=days))
    price = Decimal(10) * (100 + gain) / 100
    failed = [len(failed_overnight_criteria(pos, seen(price, regime=regime))) for regime in Regime]

    assert all(calmer <= wilder for calmer, wilder in pairwise(failed))
