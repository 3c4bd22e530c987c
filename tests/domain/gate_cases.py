"""The table of the gates: for each, proposals at its limit and on either side of it, and the verdict to follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from domain.account import Commitment, LossKind, TradingState
from domain.events import Action, Quote
from domain.gates import Proposal
from domain.ids import PositionId
from domain.instrument import Contract, Kind, parse_symbol
from domain.known import Known
from domain.session import Session
from tests.domain.gate_cases_market import MARKET_TABLE
from tests.factories import (
    CALL,
    NOON,
    PUT,
    SESSION,
    a_book,
    a_contract,
    a_proposal,
    a_quote,
    a_recommendation,
    a_sizing,
    alive,
    some_limits,
    some_rules,
)

SECOND: Final = timedelta(seconds=1)
INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """With *proposal*, *gate* passes or not. *said* stands in its check: what was observed."""

    gate: str
    title: str
    passes: bool
    proposal: Proposal
    said: str

    def __str__(self) -> str:
        return f"{self.gate}: {self.title}"


def known(value: Any) -> Known[Any]:
    return Known(value, NOON, "test")


def a_commitment(**over: Any) -> Commitment:
    values: dict[str, Any] = {
        "position_id": PositionId(UUID(int=1)),
        "symbol": CALL,
        "underlying": "MSFT",
        "kind": Kind.CALL,
        "held_qty": 1,
        "pending_qty": 0,
        "usd": Decimal("1000.00"),
        "closing": False,
    }
    return Commitment(**values | over)


def _rec(**over: Any) -> Proposal:
    return a_proposal(rec=a_recommendation(**over))


def _book(**over: Any) -> Proposal:
    return a_proposal(book=a_book(**over))


def _quoted(bid: str | None, ask: str | None, **over: Any) -> Proposal:
    return a_proposal(quote=known(a_quote(bid=bid, ask=ask, **over)))


def _sized(qty: int, **over: Any) -> Proposal:
    return a_proposal(sizing=a_sizing(qty), **over)


def _stock(**over: Any) -> Proposal:
    rec = a_recommendation(symbol="MSFT", qty=1)
    return a_proposal(rec=rec, instrument=parse_symbol("MSFT"), contract=known(a_contract("MSFT")), **over)


def _at(now: Any, last: Session | None = None) -> Proposal:
    return a_proposal(now=now, last_session=known(last))


def _expiring(day: date) -> Proposal:
    symbol = f"MSFT{day:%y%m%d}P00400000"
    return a_proposal(instrument=parse_symbol(symbol))


def _quote_of(age: timedelta) -> Proposal:
    return a_proposal(quote=known(a_quote(at=NOON - age)))


def _tradable(value: bool) -> Proposal:
    contract: Contract = a_contract(tradable=value)
    return a_proposal(contract=known(contract))


def _opposed(instrument: str, kind: Kind, underlying: str = "MSFT") -> Proposal:
    held = a_commitment(symbol="X", kind=kind, underlying=underlying)
    rec = a_recommendation(symbol=instrument)
    return a_proposal(rec=rec, book=a_book(commitments=(held,)), rules=some_rules(refuse_opposite_direction=True))


def _bought_with(power: str) -> Proposal:
    return a_proposal(buying_power_usd=known(Decimal(power)))


def _down(pnl: str, *latched: LossKind) -> Proposal:
    return _book(daily_pnl_usd=known(Decimal(pnl)), latched=frozenset(latched))


def _worth(equity: str, *latched: LossKind, peak: str | None = "100000.00", **limits: Decimal | None) -> Proposal:
    """An account that was worth *peak*; it may lose $2,000 of it, unless *limits* say otherwise."""
    off: dict[str, Decimal | None] = {"max_drawdown_usd": Decimal("2000.00"), "max_drawdown_pct": None}
    book = a_book(
        limits=some_limits(**off | limits),
        equity_peak_usd=None if peak is None else Decimal(peak),
        latched=frozenset(latched),
    )
    return a_proposal(book=book, equity_usd=known(Decimal(equity)))


def _committed(count: int, limit: int) -> Proposal:
    bound = tuple(a_commitment(symbol=f"X{number}", usd=Decimal(1)) for number in range(count))
    return _book(commitments=bound, limits=some_limits(max_positions=limit))


def _exposed(usd: str) -> Proposal:
    """Beside what the happy proposal costs (720.00), of a ceiling of 10,000.00."""
    return _book(commitments=(a_commitment(usd=Decimal(usd)),))


def _odd_quote(quote: Quote) -> Proposal:
    return a_proposal(quote=known(quote))


_CLOSE, _OPEN = SESSION.close, SESSION.open
_LAST = timedelta(minutes=90)
_MARGIN = timedelta(minutes=15)
_HALF_DAY = replace(SESSION, close=_OPEN + timedelta(hours=3, minutes=30))

#: gate -> (title, proposal, what its check says); a title that begins with "+" passes, with "-" is refused.
_TABLE: Final[dict[str, tuple[tuple[str, Proposal, str], ...]]] = {
    "account_is_active": (
        ("+active", _book(state=TradingState.ACTIVE), "active"),
        ("-reducing", _book(state=TradingState.REDUCING, state_reason="stale prices"), "reducing (stale prices)"),
        ("-halted", _book(state=TradingState.HALTED, state_reason="a person"), "halted (a person)"),
        ("-a state that nobody knows", _book(state="paused"), "paused"),
    ),
    "stack_is_alive": (
        ("+just within", a_proposal(pulse=known(alive(exit=15))), "well: executor, exit, feeds, tracker"),
        ("-a second beyond", a_proposal(pulse=known(alive(exit=16))), "exit 16 s"),
        ("-two of them", a_proposal(pulse=known(alive(exit=20, feeds=99))), "exit 20 s, feeds 99 s"),
        ("-one was never seen", a_proposal(pulse=known(alive(tracker=None))), "tracker never seen"),
        ("-nothing is looked at", a_proposal(pulse=known(())), "well: "),
    ),
    "action_is_permitted": (
        ("+the pair is listed", a_proposal(rules=some_rules(permitted=frozenset({(Action.BUY, Kind.PUT)}))), "BUY PUT"),
        ("-an empty list permits nothing", a_proposal(rules=some_rules(permitted=frozenset())), "BUY PUT"),
        ("-another kind", a_proposal(rules=some_rules(permitted=frozenset({(Action.BUY, Kind.CALL)}))), "BUY PUT"),
        ("-another action", _rec(action=Action.SELL), "SELL PUT"),
    ),
    "strategy_is_known": (
        ("+configured", _rec(strategy="swing_trade"), "swing_trade"),
        ("-never heard of", _rec(strategy="moon_trade"), "moon_trade"),
        ("-another case", _rec(strategy="Day_Trade"), "Day_Trade"),
        ("-nothing is configured", a_proposal(rules=some_rules(min_confidence={})), "day_trade"),
    ),
    "confidence_is_enough": (
        ("-just under the floor", _rec(confidence=Decimal("0.5499999")), "0.5499999"),
        ("+the floor", _rec(confidence=Decimal("0.55")), "0.55"),
        ("+just above", _rec(confidence=Decimal("0.5500001")), "0.5500001"),
        ("-each strategy has its own floor", _rec(confidence=Decimal("0.44"), strategy="swing_trade"), "0.44"),
        ("+each strategy has its own floor", _rec(confidence=Decimal("0.45"), strategy="swing_trade"), "0.45"),
        ("-no floor", _rec(strategy="moon_trade"), "unknown: no floor for strategy moon_trade"),
        (
            "-a floor that is no number",
            a_proposal(rules=some_rules(min_confidence={"day_trade": Decimal("NaN")})),
            "raised",
        ),
    ),
    "recommendation_is_fresh": (
        ("+299 s", _rec(at=NOON - 299 * SECOND), "299 s"),
        ("+300 s", _rec(at=NOON - 300 * SECOND), "300 s"),
        ("-one microsecond more", _rec(at=NOON - 300 * SECOND - INSTANT), "300 s"),
        ("-301 s", _rec(at=NOON - 301 * SECOND), "301 s"),
        ("+5 s ahead of our clock", _rec(at=NOON + 5 * SECOND), "-5 s"),
        ("-one microsecond more ahead", _rec(at=NOON + 5 * SECOND + INSTANT), "-5"),
    ),
    "market_is_open_for_entries": (
        ("-before the open", _at(_OPEN - INSTANT), "2026-02-03T14:29:59Z"),
        ("+the open", _at(_OPEN), "2026-02-03T14:30:00Z"),
        ("+15 min and an instant before the close", _at(_CLOSE - _MARGIN - INSTANT), "2026-02-03T20:44:59Z"),
        ("-15 min before the close", _at(_CLOSE - _MARGIN), "2026-02-03T20:45:00Z"),
        ("-the close", _at(_CLOSE), "2026-02-03T21:00:00Z"),
        ("-the evening", _at(_CLOSE + 5 * timedelta(hours=1)), "2026-02-04T02:00:00Z"),
        ("+90 min and an instant, last trading day", _at(_CLOSE - _LAST - INSTANT, SESSION), "2026-02-03T19:29:59Z"),
        ("-90 min before the close, last trading day", _at(_CLOSE - _LAST, SESSION), "2026-02-03T19:30:00Z"),
        ("-half day", a_proposal(session=known(_HALF_DAY), now=_HALF_DAY.close - _MARGIN), "2026-02-03T17:45:00Z"),
    ),
    "symbol_is_named": (
        ("+named", _rec(), PUT),
        ("-null", _rec(symbol=None), "none"),
    ),
    "type_matches_symbol": (
        ("+a put", _rec(), "PUT on MSFT"),
        ("+a stock", _stock(), "STOCK on MSFT"),
        ("-the ticker for the option (R21)", a_proposal(instrument=parse_symbol("MSFT")), "STOCK on MSFT"),
        ("-a call that says it is a put", a_proposal(instrument=parse_symbol(CALL)), "CALL on MSFT"),
        ("-another underlying", _rec(underlying="AAPL"), "PUT on MSFT"),
    ),
    "contract_is_tradable": (
        ("+listed", _tradable(True), "tradable"),
        ("-not to be traded", _tradable(False), "not tradable"),
    ),
    "contract_is_unexpired": (
        ("-yesterday", _expiring(SESSION.day - timedelta(days=1)), "2026-02-02"),
        ("+today", _expiring(SESSION.day), "2026-02-03"),
        ("+tomorrow", _expiring(SESSION.day + timedelta(days=1)), "2026-02-04"),
        ("+a stock never expires", _stock(), "no expiration"),
    ),
    "feed_is_alive": (
        ("+119 s", a_proposal(feed_at=known(NOON - 119 * SECOND)), "119 s"),
        ("+120 s", a_proposal(feed_at=known(NOON - 120 * SECOND)), "120 s"),
        ("-one microsecond more", a_proposal(feed_at=known(NOON - 120 * SECOND - INSTANT)), "120 s"),
        ("-a time without zone", a_proposal(feed_at=known(NOON.replace(tzinfo=None))), "raised"),
    ),
    "quote_is_fresh": (
        ("+899 s", _quote_of(899 * SECOND), "899 s"),
        ("+900 s", _quote_of(900 * SECOND), "900 s"),
        ("-one microsecond more", _quote_of(900 * SECOND + INSTANT), "900 s"),
        ("-a time without zone", _odd_quote(a_quote(at=NOON.replace(tzinfo=None))), "raised"),
    ),
    "quote_is_two_sided": (
        ("+both", _quoted("7.10", "7.20"), "bid 7.10, ask 7.20"),
        ("+cents", _quoted("0.01", "0.02"), "bid 0.01, ask 0.02"),
        ("-no bid", _quoted(None, "7.20"), "bid none, ask 7.20"),
        ("-no ask", _quoted("7.10", None), "bid 7.10, ask none"),
        ("-nobody at all", _quoted(None, None), "bid none, ask none"),
        ("-a bid of nothing", _quoted("0", "7.20"), "ask 7.20"),
        ("-an ask of nothing", _quoted("0", "0"), "ask"),
        ("-a negative bid", _quoted("-1.00", "0.05"), "bid -1.00"),
        ("-no number", _quoted("NaN", "7.20"), "raised"),
    ),
    "quote_is_uncrossed": (
        ("+the bid below", _quoted("7.19", "7.20"), "bid 7.19, ask 7.20"),
        ("+locked", _quoted("7.20", "7.20"), "bid 7.20, ask 7.20"),
        ("-crossed by a cent", _quoted("7.21", "7.20"), "bid 7.21, ask 7.20"),
        ("-no bid", _quoted(None, "7.20"), "bid none"),
        ("-no ask", _quoted("7.10", None), "ask none"),
        ("-no number", _quoted("NaN", "7.20"), "raised"),
    ),
    "spread_is_within_limit": (
        ("+just under", _quoted("0.8501", "1.15"), "29.99 %"),
        ("+30 %", _quoted("0.85", "1.15"), "30.00 %"),
        ("-just over", _quoted("0.8499", "1.15"), "30.01 %"),
        ("-no bid", _quoted(None, "7.20"), "unknown: bid none"),
        ("-no ask", _quoted("7.10", None), "unknown: bid 7.10, ask none"),
        ("-no number", _quoted("7.10", "NaN"), "raised"),
        ("-nothing for nothing", _quoted("0", "0"), "raised"),
    ),
    "quantity_is_at_least_one": (
        ("-none", _sized(0), "0 asked"),
        ("+one", _sized(1), "1 asked"),
        ("+two", _sized(2), "2 asked"),
        ("-less than none", _sized(-1), "-1 asked"),
    ),
    "contracts_are_within_cap": (
        ("+9 of 10", _sized(9), "9"),
        ("+10 of 10", _sized(10), "10"),
        ("-11 of 10", _sized(11), "11"),
        ("+11 shares", _stock(sizing=a_sizing(11)), "11"),
    ),
    "symbol_is_not_held": (
        ("+another contract", _book(commitments=(a_commitment(symbol=CALL),)), "not held"),
        ("-the same, held", _book(commitments=(a_commitment(symbol=PUT),)), f"position {UUID(int=1)}"),
        ("-the same, pending", _book(commitments=(a_commitment(symbol=PUT, held_qty=0),)), f"position {UUID(int=1)}"),
        ("-the same, closing", _book(commitments=(a_commitment(symbol=PUT, closing=True),)), f"position {UUID(int=1)}"),
    ),
    "direction_is_not_opposed": (
        ("+switched off", _book(commitments=(a_commitment(kind=Kind.CALL),)), "not looked at"),
        ("-a put beside a call", _opposed(PUT, Kind.CALL), "CALL X"),
        ("-a put beside the stock", _opposed(PUT, Kind.STOCK), "STOCK X"),
        ("-a call beside a put", _opposed(CALL, Kind.PUT), "PUT X"),
        ("-the stock beside a put", _opposed("MSFT", Kind.PUT), "PUT X"),
        ("+a put beside a put", _opposed(PUT, Kind.PUT), "none"),
        ("+a call beside the stock", _opposed(CALL, Kind.STOCK), "none"),
        ("+another underlying", _opposed(PUT, Kind.CALL, "AAPL"), "none"),
    ),
    "position_count_is_within_limit": (
        ("+the 4th of 5", _committed(3, 5), "4"),
        ("+the 5th of 5", _committed(4, 5), "5"),
        ("-the 6th of 5", _committed(5, 5), "6"),
        ("-the first of none", _committed(0, 0), "1"),
    ),
    "exposure_is_within_limit": (
        ("+a cent less", _exposed("9279.99"), "9999.99"),
        ("+the ceiling", _exposed("9280.00"), "10000.00"),
        ("-a cent more", _exposed("9280.01"), "10000.01"),
        ("-no ask", _quoted("7.10", None), "unknown: nobody offers it"),
        ("-no number", _exposed("NaN"), "raised"),
        ("-without end", _exposed("Infinity"), "raised"),
    ),
    "buying_power_is_enough": (
        ("+a cent more than it takes", _bought_with("720.01"), "720.00"),
        ("+what it takes", _bought_with("720.00"), "720.00"),
        ("-a cent less", _bought_with("719.99"), "720.00"),
        ("-none", _bought_with("0"), "720.00"),
        ("-debt", _bought_with("-5000"), "720.00"),
        ("-no ask", _quoted("7.10", None), "unknown: nobody offers it"),
        ("-no number", _bought_with("NaN"), "raised"),
        ("-without end", _bought_with("Infinity"), "raised"),
    ),
    "daily_loss_is_within_limit": (
        ("+a gain", _down("1.00"), "1.00"),
        ("+a cent above the limit", _down("-499.99"), "-499.99"),
        ("-the limit", _down("-500.00"), "-500.00"),
        ("-a cent beyond it", _down("-500.01"), "-500.01"),
        ("-latched, whatever the marks say now", _down("100.00", LossKind.DAILY_LOSS), "latched"),
        ("+another latch is another gate's", _down("100.00"), "100.00"),
        ("-no number", _down("NaN"), "raised"),
        ("-without end", _down("Infinity"), "raised"),
    ),
    "drawdown_is_within_limit": (
        ("+at the peak", _worth("100000.00"), "100000.00 of a peak of 100000.00"),
        ("+a cent above the limit", _worth("98000.01"), "98000.01"),
        ("-the limit", _worth("98000.00"), "98000.00"),
        ("-a cent beyond it", _worth("97999.99"), "97999.99"),
        (
            "+a cent above, in per cent",
            _worth("95000.01", max_drawdown_usd=None, max_drawdown_pct=Decimal(5)),
            "95000.01",
        ),
        ("-the limit in per cent", _worth("95000.00", max_drawdown_usd=None, max_drawdown_pct=Decimal(5)), "95000.00"),
        ("-the nearer of two", _worth("98900.00", max_drawdown_pct=Decimal(1)), "98900.00"),
        ("-latched, whatever it is worth now", _worth("100000.00", LossKind.DRAWDOWN), "latched"),
        ("-no peak", _worth("100000.00", peak=None), "unknown: no peak yet"),
        ("+switched off", _worth("1.00", max_drawdown_usd=None), "not looked at"),
        ("-no number", _worth("NaN"), "raised"),
        ("-without end", _worth("Infinity"), "raised"),
    ),
}

CASES: Final = tuple(
    Case(gate, title[1:], title.startswith("+"), proposal, said)
    for gate, rows in (_TABLE | MARKET_TABLE).items()
    for title, proposal, said in rows
)

#: Which inputs that may be Unknown each gate reads: without any of them it refuses.
READS: Final[dict[str, frozenset[str]]] = {
    "stack_is_alive": frozenset({"pulse"}),
    "brokerage_lets_trade": frozenset({"trading_blocked"}),
    "market_is_open_for_entries": frozenset({"session", "last_session"}),
    "type_matches_symbol": frozenset({"instrument"}),
    "contract_is_tradable": frozenset({"contract", "instrument"}),
    "contract_is_unexpired": frozenset({"instrument", "session"}),
    "feed_is_alive": frozenset({"feed_at"}),
    "quote_is_fresh": frozenset({"quote"}),
    "quote_is_two_sided": frozenset({"quote"}),
    "quote_is_uncrossed": frozenset({"quote"}),
    "spread_is_within_limit": frozenset({"quote"}),
    "quantity_is_at_least_one": frozenset({"sizing"}),
    "contracts_are_within_cap": frozenset({"sizing"}),
    "exposure_is_within_limit": frozenset({"quote", "sizing", "instrument"}),
    "buying_power_is_enough": frozenset({"buying_power_usd", "quote", "sizing", "instrument"}),
    "daily_loss_is_within_limit": frozenset({"daily_pnl_usd"}),
    "drawdown_is_within_limit": frozenset({"equity_usd"}),
}
