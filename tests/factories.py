"""Facts and settings with sensible values; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.account import Book, Limits, TradingState
from domain.candidates import SelectionRules
from domain.contracts import Greeks, Snapshot
from domain.events import Action, FillSource, OrderFilled, Quote, QuotesTicked, RecommendationIssued, Side
from domain.exits import ExitPolicy
from domain.gates import EntryRules, Proposal, RuleBook
from domain.history import History
from domain.ids import AccountName, FactId, fact_id
from domain.instrument import Contract, Kind, Option, parse_symbol
from domain.interlock import NEEDED, Bounds, Sign
from domain.known import Known
from domain.regime import Band, RegimeRules
from domain.session import Session
from domain.sizing import Means, Sizing, Step

#: 12:00 in New York on the day of the over-trading incident.
NOON = datetime(2026, 2, 3, 17, 0, tzinfo=UTC)
LARGE, TINY = AccountName("large"), AccountName("tiny")
CALL = "MSFT260220C00400000"
PUT = "MSFT260220P00400000"
SESSION = Session(
    day=date(2026, 2, 3),
    open=datetime(2026, 2, 3, 14, 30, tzinfo=UTC),
    close=datetime(2026, 2, 3, 21, 0, tzinfo=UTC),
)


def a_recommendation(**over: Any) -> RecommendationIssued:
    symbol = over.get("symbol", PUT)
    instrument = parse_symbol(symbol) if symbol else parse_symbol(PUT)
    values: dict[str, Any] = {
        "id": FactId("rec-1"),
        "at": NOON,
        "schema": 1,
        "source": "test",
        "accounts": (LARGE,),
        "underlying": instrument.underlying,
        "instrument": instrument.kind,
        "action": Action.BUY,
        "symbol": symbol,
        "qty": 1,
        "notional_usd": None,
        "confidence": Decimal("0.70"),
        "strategy": "day_trade",
        "reason": {},
    }
    return RecommendationIssued(**values | over)


def some_limits(**over: Any) -> Limits:
    values: dict[str, Any] = {
        "max_positions": 5,
        "max_exposure_usd": Decimal("10000.00"),
        "max_daily_loss_usd": Decimal("500.00"),
        "max_contracts_per_order": 10,
        "max_drawdown_usd": Decimal("50000.00"),
        "max_drawdown_pct": Decimal("50.00"),
    }
    return Limits(**values | over)


def some_rules(**over: Any) -> EntryRules:
    values: dict[str, Any] = {
        "permitted": frozenset((Action.BUY, kind) for kind in Kind),
        "allow_symbols": None,
        "deny_symbols": frozenset(),
        "min_confidence": {"day_trade": Decimal("0.55"), "swing_trade": Decimal("0.45")},
        "max_recommendation_age": timedelta(seconds=300),
        "max_feature_age": None,
        "max_feed_age": timedelta(seconds=120),
        "max_quote_age": timedelta(seconds=900),
        "max_spread_pct": Decimal(30),
        "require_tick_grid": False,
        "no_entry_after_open": None,
        "entry_from": None,
        "entry_until": None,
        "no_entry_before_close": timedelta(minutes=15),
        "no_entry_before_last_close": timedelta(minutes=90),
        "refuse_half_days": False,
        "min_days_to_expiry": None,
        "max_days_to_expiry": None,
        "refuse_opposite_direction": False,
        "max_positions_per_underlying": None,
        "max_position_usd": None,
        "max_underlying_exposure_usd": None,
        "max_sector_exposure_usd": None,
        "sectors": {},
        "max_trades_per_day": None,
        "max_trades_per_symbol": None,
        "max_trades_per_underlying": None,
        "symbol_cooldown": None,
        "underlying_cooldown": None,
        "max_losses_in_a_row": None,
        "selection": None,
        "risk": None,
        "regime": None,
        "require_class_ticks": False,
        "min_open_interest": None,
        "min_volume": None,
        "min_premium": None,
        "min_delta": None,
        "max_delta": None,
        "max_portfolio_delta": None,
        "max_portfolio_vega_usd": None,
        "max_portfolio_theta_usd": None,
        "off": frozenset(),
    }
    return EntryRules(**values | over)


def a_rule_book(rules: EntryRules | None = None, accounts: Sequence[AccountName] = (LARGE, TINY)) -> RuleBook:
    """The same rules for every strategy of the accounts."""
    return RuleBook(of_account=dict.fromkeys(accounts, rules or some_rules()), of_strategy={})


def a_policy(**over: Any) -> ExitPolicy:
    values: dict[str, Any] = {
        "version": "test",
        "stop_pct": Decimal(40),
        "catastrophe_pct": Decimal(50),
        "target_pct": Decimal(80),
        "trail_arm_pct": Decimal(30),
        "trail_giveback_pct": Decimal(25),
        "min_hold": timedelta(minutes=30),
        "max_hold": timedelta(minutes=240),
        "flatten_before_close": timedelta(minutes=5),
        "close_before_expiry": timedelta(minutes=60),
    }
    return ExitPolicy(**OTHER_RULES_OFF | values | over)


#: The rules that the defaults do not name, each switched off.
OTHER_RULES_OFF: dict[str, Any] = {
    **dict.fromkeys(("trail_tiers", "ladder", "near_expiry", "windows", "close_steps"), ()),
    **dict.fromkeys(("trail_price_arm_pct", "trail_price_pct", "break_even_arm_pct", "progress_after", "progress_pct")),
    **dict.fromkeys(("theta_days", "theta_pct", "flatten_before_half_day_close", "regime_at_least")),
    **dict.fromkeys(("overnight_min_days", "overnight_min_gain_pct", "overnight_max_usd")),
    **dict.fromkeys(("reversal_min_confidence", "earnings_within_sessions")),
}


def a_quote(symbol: str = PUT, bid: str | None = "7.10", ask: str | None = "7.20", **over: Any) -> Quote:
    values: dict[str, Any] = {
        "symbol": symbol,
        "bid": None if bid is None else Decimal(bid),
        "ask": None if ask is None else Decimal(ask),
        "bid_size": 10 if bid else 0,
        "ask_size": 10 if ask else 0,
        "at": NOON,
    }
    return Quote(**values | over)


def ticked(*quotes: Quote, at: datetime = NOON, feed: str = "option") -> QuotesTicked:
    name = fact_id("ticked", at, *quotes)
    return QuotesTicked(id=name, at=at, schema=1, feed=feed, quotes=quotes)


def a_contract(symbol: str = PUT, **over: Any) -> Contract:
    instrument = parse_symbol(symbol)
    option = instrument if isinstance(instrument, Option) else None
    values: dict[str, Any] = {
        "symbol": symbol,
        "underlying": instrument.underlying,
        "kind": instrument.kind,
        "multiplier": instrument.multiplier,
        "strike": option.strike if option else None,
        "expiration": option.expiration if option else None,
        "tradable": True,
        "open_interest": None,
        "open_interest_on": None,
        "penny": None,
    }
    return Contract(**values | over)


def a_snapshot(symbol: str = PUT, delta: str | None = "-0.40", **over: Any) -> Snapshot:
    values: dict[str, Any] = {
        "symbol": symbol,
        "quote": a_quote(symbol),
        "volume": 1000,
        "volume_on": SESSION.day,
        "greeks": some_greeks(delta=None if delta is None else Decimal(delta)),
    }
    return Snapshot(**values | over)


def some_greeks(**over: Any) -> Greeks:
    """Of a put at the money: dollars a share."""
    values: dict[str, Any] = {
        "delta": Decimal("-0.40"),
        "gamma": Decimal("0.02"),
        "theta": Decimal("-0.15"),
        "vega": Decimal("0.30"),
    }
    return Greeks(**values | over)


def some_selection_rules(**over: Any) -> SelectionRules:
    """Up to two weeks, at the money, with no floor that needs more than a quote."""
    values: dict[str, Any] = {
        "min_days": 0,
        "max_days": 14,
        "otm_pct": Decimal(0),
        "strike_range_pct": Decimal(10),
        "max_spread_pct": Decimal(10),
        "max_quote_age": timedelta(seconds=900),
        "min_premium": Decimal("0.05"),
        "min_volume": None,
        "min_open_interest": None,
        "min_delta": None,
        "max_delta": None,
        "min_score": Decimal(0),
    }
    return SelectionRules(**values | over)


def some_regime_rules(**over: Any) -> RegimeRules:
    """Normal below 20, half below 30, a quarter below 40, nothing beyond."""
    shares = (("normal", 20, "1"), ("elevated", 30, "0.5"), ("high", 40, "0.25"), ("extreme", None, "0"))
    bands = tuple(
        Band(name=name, below=None if below is None else Decimal(below), size_ratio=Decimal(ratio))
        for name, below, ratio in shares
    )
    values: dict[str, Any] = {"symbol": "VIXY", "max_age": timedelta(seconds=900), "bands": bands}
    return RegimeRules(**values | over)


def a_book(**over: Any) -> Book:
    values: dict[str, Any] = {
        "account": LARGE,
        "state": TradingState.ACTIVE,
        "state_reason": "reconciled",
        "limits": some_limits(),
        "commitments": (),
        "daily_pnl_usd": Known(Decimal("0.00"), NOON, "fills and marks"),
        "equity_peak_usd": Decimal("100000.00"),
        "latched": frozenset(),
        "read_at": NOON,
    }
    return Book(**values | over)


def a_history(**over: Any) -> History:
    """Nothing was traded yet."""
    values: dict[str, Any] = {
        "trades": 0,
        "in_symbol": 0,
        "in_underlying": 0,
        "symbol_at": None,
        "underlying_at": None,
        "losses_in_a_row": 0,
    }
    return History(**values | over)


def a_sizing(qty: int) -> Sizing:
    """As asked, nothing cut."""
    return Sizing(qty, qty, (Step("asked", qty, f"qty {qty} asked"),))


def some_means(**over: Any) -> Means:
    """A cap of ten contracts, and nothing else that cuts."""
    values: dict[str, Any] = {
        "max_contracts": 10,
        "risk": None,
        "buying_power_usd": Known(Decimal("100000.00"), NOON, "account"),
        "volatility": None,
    }
    return Means(**values | over)


def some_bounds(**over: Any) -> Bounds:
    values = {
        "silence": timedelta(seconds=15),
        "tracker_lag": timedelta(seconds=10),
        "price_age": timedelta(seconds=900),
        "reconciliation_age": timedelta(seconds=120),
        "broker_stream": timedelta(seconds=60),
        "streams": timedelta(seconds=5),
        "evaluation": timedelta(seconds=5),
    }
    return Bounds(**values | over)


def alive(**silent_s: int | None) -> tuple[Sign, ...]:
    """How long each actor has been silent, in seconds where the test says it; None is never seen."""
    ages = {actor: silent_s.get(actor, 0) for actor in NEEDED}
    bound = timedelta(seconds=15)
    return tuple(
        Sign(part=actor, age=None if age is None else timedelta(seconds=age), bound=bound)
        for actor, age in ages.items()
    )


def a_proposal(**over: Any) -> Proposal:
    """A proposal that every gate passes: 1 contract at 7.20."""
    values: dict[str, Any] = {
        "rec": a_recommendation(),
        "selection": None,
        "now": NOON,
        "rules": some_rules(),
        "book": a_book(),
        "pulse": Known(alive(), NOON, "vital signs"),
        "instrument": parse_symbol(PUT),
        "contract": Known(a_contract(), NOON, "contracts"),
        "session": Known(SESSION, NOON, "calendar"),
        "last_session": Known(None, NOON, "calendar"),
        "quote": Known(a_quote(), NOON, "quotes"),
        "feed_at": Known(NOON, NOON, "quotes"),
        "buying_power_usd": Known(Decimal("100000.00"), NOON, "account"),
        "equity_usd": Known(Decimal("100000.00"), NOON, "account"),
        "trading_blocked": Known(False, NOON, "account"),
        "history": Known(a_history(), NOON, "orders and positions"),
        "sizing": a_sizing(1),
        "snapshots": Known({PUT: a_snapshot()}, NOON, "snapshots"),
        "volatility": Known(some_regime_rules().bands[0], NOON, "quotes"),
    }
    return Proposal(**values | over)


def a_fill(
    broker_order_id: str,
    *,
    client_order_id: str | None,
    qty: int,
    cum_qty: int,
    price: str = "7.20",
    side: Side = Side.BUY,
    **over: Any,
) -> OrderFilled:
    account = over.get("account", LARGE)
    values: dict[str, Any] = {
        "id": fact_id("fill", account, broker_order_id, cum_qty),
        "at": NOON,
        "schema": 1,
        "cause": broker_order_id,
        "origin": "test",
        "account": account,
        "broker_order_id": broker_order_id,
        "client_order_id": client_order_id,
        "execution_id": f"exec-{broker_order_id}-{cum_qty}",
        "symbol": PUT,
        "side": side,
        "qty": qty,
        "price": Decimal(price),
        "cum_qty": cum_qty,
        "source": FillSource.STREAM,
        "read_at": NOON,
    }
    return OrderFilled(**values | over)
