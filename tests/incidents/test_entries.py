"""What opened and should not have, and what was refused and should not have been.

R10, R11, R14, R41, R47, R49, R50, R51, R52, R57, L02, L03, L04, L23, L28, L29. R37 and L15 are tested with the
consistency of the configuration, L27 with the table of the gates, R03 and L01 with the limits.
"""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from domain.events import Action, RecommendationIssued
from domain.gates import SWITCHABLE, EntryRules, review
from domain.instrument import Kind, NotASymbol, Option, Stock, parse_symbol
from domain.known import Known, Unknown
from domain.session import Session
from streams.codec import Undecodable, decode, encode
from streams.names import Stream
from tests.db.wall_kit import hold
from tests.factories import (
    LARGE,
    NOON,
    TINY,
    a_proposal,
    a_quote,
    a_recommendation,
    some_limits,
    some_rules,
)
from tests.incidents.stage import SESSIONS, Stage

QCOM_PUT, QCOM_CALL = "QCOM260220P00150000", "QCOM260220C00150000"
MINUTE = timedelta(minutes=1)


def recommend(stage: Stage, name: str, symbol: str = QCOM_PUT, **over: Any) -> list[str]:
    """Let *symbol* be recommended now, at 7.20 asked; return what refused it in the first of its accounts."""
    stage.prices.setdefault(symbol, (Decimal("7.10"), Decimal("7.20")))
    rec = a_recommendation(**{"id": name, "at": stage.now, "symbol": symbol} | over)
    stage.publish(Stream.RECOMMENDATIONS, rec)
    stage.deliver()
    return refusals(stage, name, rec.accounts[0])


def refusals(stage: Stage, name: str, account: str = "large") -> list[str]:
    [checks] = stage.rows(
        "SELECT checks FROM decisions WHERE recommendation = :name AND account = :account", name=name, account=account
    )
    return [check["gate"] for check in checks if not check["passed"]]


def observed(stage: Stage, name: str, gate: str) -> tuple[str, str]:
    """What *gate* saw at the decision, and its code."""
    [checks] = stage.rows("SELECT checks FROM decisions WHERE recommendation = :name AND account = 'large'", name=name)
    [check] = [check for check in checks if check["gate"] == gate]
    return check["observed"], check["code"]


def fill_all(stage: Stage) -> None:
    """Whatever lives at the brokerages fills now."""
    for brokerage in stage.brokerages.values():
        for order in brokerage.open_orders():
            brokerage.fill(order.broker_order_id)
    stage.deliver()


def rules(**over: Any) -> dict[str, EntryRules]:
    return {"rules": some_rules(**over)}


# ---------------------------------------------------------------- conflicts


@pytest.mark.parametrize("filled", [True, False], ids=["held", "pending"])
def test_R10_a_call_is_not_bought_beside_a_put(a_stage: Callable[..., Stage], filled: bool):
    """QCOM put at 11:17, call at 11:34: refused while the put is held, or only ordered; its position is named."""
    stage = a_stage(**rules(refuse_opposite_direction=True))
    stage.now = datetime(2026, 2, 3, 16, 17, tzinfo=UTC)
    assert [] == recommend(stage, "put")
    if filled:
        fill_all(stage)
    stage.now += 17 * MINUTE

    assert ["direction_is_not_opposed"] == recommend(stage, "call", QCOM_CALL)
    [position] = stage.rows("SELECT position_id FROM orders")
    assert f"PUT {QCOM_PUT}, position {position}" == observed(stage, "call", "direction_is_not_opposed")[0]
    assert [] == recommend(stage, "another", "AMD260220C00150000")


def test_L03_what_is_held_or_ordered_is_not_bought_again(stage: Stage):
    """The duplicate is refused while the first is pending, and while it is held; the other account may have its own."""
    assert [] == recommend(stage, "first", accounts=(LARGE,))
    assert ["symbol_is_not_held"] == recommend(stage, "pending")
    fill_all(stage)
    assert ["symbol_is_not_held"] == recommend(stage, "held")

    recommend(stage, "tiny", accounts=(LARGE, TINY))
    assert (["symbol_is_not_held"], []) == (refusals(stage, "tiny"), refusals(stage, "tiny", "tiny"))


def test_L02_a_limit_counts_the_candidate_and_what_is_only_reserved(stage: Stage):
    """$9,360 of $10,000 are reserved and nothing is held: $720 more would pass a gate that looks at what was before."""
    assert [] == recommend(stage, "most", "AMD260220P00150000", qty=10)
    assert [] == recommend(stage, "more", "MU260220P00150000", qty=3)

    assert ["exposure_is_within_limit"] == recommend(stage, "too much")
    assert "10080.00" == observed(stage, "too much", "exposure_is_within_limit")[0]
    stage.prices["AMZN260220P00150000"] = (Decimal("6.30"), Decimal("6.40"))
    assert [] == recommend(stage, "to the dollar", "AMZN260220P00150000")


# ---------------------------------------------------------------- permission


@pytest.mark.parametrize(("action", "kind"), list(product(Action, Kind)))
def test_R57_every_pair_of_action_and_instrument_is_held_against_the_list(action: Action, kind: Kind):
    """A permission names pairs: CALL is not BUY CALL. Exactly the listed pair passes, of every two."""
    symbol = "MSFT" if kind is Kind.STOCK else f"MSFT260220{kind[0]}00400000"
    for listed in product(Action, Kind):
        p = a_proposal(
            rec=a_recommendation(symbol=symbol, action=action), rules=some_rules(permitted=frozenset({listed}))
        )
        [check] = [check for check in review(p) if check.gate == "action_is_permitted"]

        assert check.passed == (listed == (action, kind))


def test_R11_an_account_for_options_buys_no_stock(a_stage: Callable[..., Stage]):
    """DE, 40 shares, in an account whose list holds options alone: refused, and nothing leaves."""
    options = frozenset({(Action.BUY, Kind.CALL), (Action.BUY, Kind.PUT)})
    stage = a_stage(**rules(permitted=options))
    stage.prices["DE"] = (Decimal("621.90"), Decimal("622.00"))

    assert "action_is_permitted" in recommend(stage, "stock", "DE", qty=40)
    assert [] == stage.brokerages[LARGE].sent
    assert [] == recommend(stage, "option")


def test_L23_an_unknown_strategy_is_refused_and_nobody_dies(stage: Stage):
    """gap_fade, each morning: one recorded refusal that names it, and the next recommendation is decided."""
    assert ["strategy_is_known", "confidence_is_enough"] == recommend(stage, "gap", strategy="gap_fade")
    assert ("gap_fade", "failed") == observed(stage, "gap", "strategy_is_known")
    assert [] == recommend(stage, "next", "AMD260220P00150000")
    assert [] == stage.rows("SELECT 1 FROM dead_letters")


# ---------------------------------------------------------------- what is it


@pytest.mark.parametrize(
    ("symbol", "kind", "strike"),
    [
        ("TSLA260220P00400000", Kind.PUT, Decimal(400)),
        ("TSLA260220C00402500", Kind.CALL, Decimal("402.5")),
        ("TSLA", Kind.STOCK, None),
    ],
)
def test_R41_a_symbol_says_what_it_is(stage: Stage, symbol: str, kind: Kind, strike: Decimal | None):
    """One parser for every symbol; a recommendation, and a row, that call it something else are refused."""
    found = parse_symbol(symbol)
    assert (kind, strike) == (found.kind, found.strike if isinstance(found, Option) else None)

    wrong = Kind.STOCK if kind is not Kind.STOCK else Kind.PUT
    assert "type_matches_symbol" in recommend(stage, "wrong", symbol, instrument=wrong)

    with stage.engine.connect() as tx:
        hold(tx, 1, symbol)
        with pytest.raises(IntegrityError, match="positions_check"):
            tx.execute(text("UPDATE positions SET strike = coalesce(strike, 0) + 1"))


@pytest.mark.parametrize("symbol", ["TSLA 260220P00400000", "TSLA260220X00400000", "TSLA260231P00400000", "tsla", ""])
def test_R41_what_is_no_symbol_is_no_stock_either(symbol: str):
    """Nothing falls back to being a share."""
    with pytest.raises(NotASymbol):
        parse_symbol(symbol)
    assert isinstance(parse_symbol("TSLA"), Stock)


@pytest.mark.parametrize(
    ("bid", "ask", "refused"), [("699.74", "699.7462", True), ("699.74", "699.75", False), ("699.7399", "699.75", True)]
)
def test_R47_a_price_between_the_ticks_is_refused(a_stage: Callable[..., Stage], bid: str, ask: str, refused: bool):
    """699.7462: an order at it would be rejected as sub-penny, so the gate refuses, and names both sides."""
    stage = a_stage(limits={LARGE: some_limits(max_exposure_usd=Decimal(100_000))}, **rules(require_tick_grid=True))
    stage.prices["META"] = (Decimal(bid), Decimal(ask))

    assert ["prices_are_on_the_tick_grid"] * refused == recommend(stage, "meta", "META")
    if refused:
        assert f"bid {bid}, ask {ask}" == observed(stage, "meta", "prices_are_on_the_tick_grid")[0]


def test_R14_an_order_beyond_the_buying_power_is_refused(stage: Stage):
    """$122 of buying power and an order of $720: a refusal with both numbers, and nothing is simulated."""
    stage.brokerages[LARGE].cash = Decimal(122)

    assert ["buying_power_is_enough"] == recommend(stage, "dear")
    assert "720.00" == observed(stage, "dear", "buying_power_is_enough")[0]
    assert (0, 0) == (stage.one("SELECT count(*) FROM orders"), stage.one("SELECT count(*) FROM fills"))


# ---------------------------------------------------------------- how old is it


def test_R49_an_age_is_that_of_the_event_and_a_time_has_its_zone(stage: Stage):
    """300 s after it happened it passes however late it is read; a time without zone is no recommendation."""
    at = stage.now
    stage.now += 300 * timedelta(seconds=1)
    assert [] == recommend(stage, "in time", at=at)
    stage.now += timedelta(seconds=1)
    assert ["recommendation_is_fresh"] == recommend(stage, "late", "AMD260220P00150000", at=at)
    assert ("301 s", "stale") == observed(stage, "late", "recommendation_is_fresh")

    fields = encode(a_recommendation())
    body = json.loads(fields["body"]) | {"at": "2026-02-03T17:00:00"}
    with pytest.raises(Undecodable, match="at"):
        decode({b"type": fields["type"], b"body": json.dumps(body).encode()})


@pytest.mark.parametrize(
    ("features_at", "code"),
    [("2026-02-03T16:59:00Z", None), ("2026-01-31T02:54:00Z", "stale"), (None, "unknown"), ("yesterday", "unknown")],
)
def test_R50_a_fresh_signal_on_old_prices_is_refused(
    a_stage: Callable[..., Stage], features_at: str | None, code: str | None
):
    """Computed a minute ago from bars of three days ago: the age of its oldest input is what counts."""
    stage = a_stage(**rules(max_feature_age=timedelta(seconds=300)))
    stage.now = NOON
    reason = {} if features_at is None else {"features_at": features_at}

    assert ["features_are_fresh"] * (code is not None) == recommend(stage, "signal", reason=reason)
    assert code == observed(stage, "signal", "features_are_fresh")[1]


@pytest.mark.parametrize(
    ("name", "gates"),
    [
        ("quote", {"quote_is_fresh", "quote_is_two_sided", "quote_is_uncrossed"}),
        ("feed_at", {"feed_is_alive"}),
        ("session", {"market_is_open_for_entries"}),
        ("pulse", {"stack_is_alive"}),
    ],
)
def test_R51_no_configuration_lets_a_safety_gate_pass_on_nothing(name: str, gates: set[str]):
    """ "No bar: allow" cannot be said: whatever is switched off, these refuse what is missing."""
    everything = frozenset(check.gate for check in review(a_proposal()))
    rules = some_rules(off=everything)
    missing = replace(a_proposal(rules=rules), **{name: Unknown("no data", "the feed")})
    refused = {check.gate for check in review(missing) if not check.passed}

    assert gates <= refused
    assert set() == gates & SWITCHABLE


@pytest.mark.parametrize("silent_s", [120, 121])
def test_R52_a_dead_feed_refuses(silent_s: int):
    """Neither the contract nor its underlying was quoted for longer than the limit, in an open market."""
    at = NOON - timedelta(seconds=silent_s)
    p = a_proposal(feed_at=Known(at, at, "quotes"), quote=Known(a_quote(at=at), at, "quotes"))

    assert ["feed_is_alive"] * (silent_s > 120) == [check.gate for check in review(p) if not check.passed]


# ---------------------------------------------------------------- the calendar


def _session(day: date, open_utc: int, close_utc: time) -> Session:
    return Session(
        day=day,
        open=datetime.combine(day, time(open_utc, 30), UTC),
        close=datetime.combine(day, close_utc, UTC),
    )


#: Thanksgiving 2026 is no session, the day after ends at 13:00; in July New York is four hours behind UTC, not five.
CALENDAR = (
    _session(date(2026, 7, 6), 13, time(20)),
    _session(date(2026, 11, 25), 14, time(21)),
    _session(date(2026, 11, 27), 14, time(18)),
)
SPY = "SPY261218C00600000"


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        ("2026-11-25T20:44:59Z", False),
        ("2026-11-25T20:45:00Z", True),
        ("2026-11-26T17:00:00Z", True),  # a holiday
        ("2026-11-27T17:44:59Z", False),  # a half day
        ("2026-11-27T17:45:00Z", True),
        ("2026-11-28T17:00:00Z", True),  # a Saturday
        ("2026-07-06T13:29:59Z", True),
        ("2026-07-06T13:30:00Z", False),  # summer: 09:30 in New York
        ("2026-07-06T19:45:00Z", True),
    ],
)
def test_L28_entries_follow_the_exchange_s_calendar(a_stage: Callable[..., Stage], at: str, refused: bool):
    """Holidays, half days, weekends and summer time come from the calendar, not from a clock of ours."""
    stage = a_stage(calendar=CALENDAR)
    stage.now = datetime.fromisoformat(at)
    found = recommend(stage, "spy", SPY)

    assert refused == ("market_is_open_for_entries" in found)
    assert refused or not found


@pytest.mark.parametrize(("days", "refused"), [(7, []), (8, ["expiration_is_far_enough"])])
def test_L28_days_to_expiry_are_counted_in_new_york(a_stage: Callable[..., Stage], days: int, refused: list[str]):
    """Seven days before 2026-02-10 is the session of 2026-02-03, whatever day it is in UTC."""
    stage = a_stage(**rules(min_days_to_expiry=days))
    stage.now = datetime(2026, 2, 3, 20, 40, tzinfo=UTC)

    assert refused == recommend(stage, "weekly", "QCOM260210P00150000")


# ---------------------------------------------------------------- what was traded before


def test_L29_only_what_was_really_traded_in_this_account_counts(a_stage: Callable[..., Stage]):
    """
    One trade in an underlying a day, and half an hour of rest: a refusal, an order that expired without a fill
    and the other account's trade use up nothing; a trade does, until the next day.
    """
    stage = a_stage(
        **rules(max_trades_per_underlying=1, underlying_cooldown=30 * MINUTE, permitted=frozenset(), sectors={})
    )
    assert "action_is_permitted" in recommend(stage, "refused")
    stage.gate = replace(stage.gate, rules=replace(stage.rules, of_account=dict.fromkeys((LARGE, TINY), _one_a_day())))

    assert [] == recommend(stage, "unfilled")
    assert ["symbol_is_not_held", "trades_in_underlying_are_within_limit", "underlying_has_cooled_down"] == recommend(
        stage, "while pending"
    )
    stage.sweep(after=2 * MINUTE)
    stage.deliver()
    assert [0] == stage.rows("SELECT filled_qty FROM orders WHERE ended_at IS NOT NULL")

    assert [] == recommend(stage, "of tiny", accounts=(TINY,))
    fill_all(stage)
    assert [] == recommend(stage, "filled", QCOM_CALL)
    fill_all(stage)
    stage.now += 40 * MINUTE
    assert ["trades_in_underlying_are_within_limit"] == recommend(stage, "second", "QCOM260220C00155000")
    stage.now = SESSIONS[1].open
    assert [] == recommend(stage, "next day", "QCOM260220C00155000")


def _one_a_day() -> EntryRules:
    return some_rules(max_trades_per_underlying=1, underlying_cooldown=30 * MINUTE)


def test_L04_a_decision_is_one_row_that_stays(stage: Stage):
    """A refusal read again and again is not decided again: its row and its reasons are those of the first time."""
    rec = a_recommendation(id="stale", at=stage.now - timedelta(hours=1), symbol=QCOM_PUT)
    stage.prices[QCOM_PUT] = (Decimal("7.10"), Decimal("7.20"))
    for _ in range(5):
        stage.publish(Stream.RECOMMENDATIONS, rec)
        stage.deliver()
        stage.now += MINUTE

    assert [("stale", "large", "refused", SESSIONS[0].open)] == stage.rows(
        "SELECT recommendation, account, outcome, at FROM decisions"
    )
    assert ("3600 s", "stale") == observed(stage, "stale", "recommendation_is_fresh")
    assert isinstance(rec, RecommendationIssued)
