"""The table goes on: gates whose limits the shipped configuration leaves unset, each at its limit and beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from domain.gates import EntryRules, Proposal
from domain.instrument import Kind, parse_symbol
from domain.known import Unknown
from tests.domain.gate_cases import INSTANT, SECOND, Case, a_commitment, known
from tests.domain.gate_cases_market import MARKET_LIMITS, MARKET_READS, counted
from tests.factories import (
    CALL,
    NOON,
    PUT,
    SESSION,
    a_book,
    a_contract,
    a_history,
    a_proposal,
    a_quote,
    a_recommendation,
    some_rules,
)

MINUTE: Final = timedelta(minutes=1)
#: Every limit set, each wide enough for the happy proposal.
STRICT: Final[dict[str, Any]] = {
    "allow_symbols": frozenset({"MSFT"}),
    "deny_symbols": frozenset({"GME"}),
    "max_feature_age": 300 * SECOND,
    "require_tick_grid": True,
    "no_entry_after_open": 5 * MINUTE,
    "entry_from": time(10),
    "entry_until": time(14),
    "refuse_half_days": True,
    "min_days_to_expiry": 7,
    "max_days_to_expiry": 30,
    "refuse_opposite_direction": True,
    "max_positions_per_underlying": 2,
    "max_position_usd": Decimal(1000),
    "max_underlying_exposure_usd": Decimal(2000),
    "max_sector_exposure_usd": Decimal(3000),
    "sectors": {"MSFT": "software", "ORCL": "software", "XOM": "energy"},
    "max_trades_per_day": 10,
    "max_trades_per_symbol": 2,
    "max_trades_per_underlying": 3,
    "symbol_cooldown": 30 * MINUTE,
    "underlying_cooldown": 15 * MINUTE,
    "max_losses_in_a_row": 3,
    **MARKET_LIMITS,
}


def strict_rules(**over: Any) -> EntryRules:
    return some_rules(**STRICT | over)


def a_strict_proposal(**over: Any) -> Proposal:
    """The happy proposal before rules that look at everything: it passes every gate."""
    return a_proposal(**{"rules": strict_rules(), "rec": _signal(NOON), "contract": counted()} | over)


def _signal(features_at: object, **over: Any) -> Any:
    said = features_at.isoformat() if isinstance(features_at, datetime) else features_at
    return a_recommendation(**{"reason": {} if said is None else {"features_at": said}} | over)


def _rules(**over: Any) -> Proposal:
    return a_strict_proposal(rules=strict_rules(**over))


def _from(features_at: object) -> Proposal:
    return a_strict_proposal(rec=_signal(features_at))


def _stock(**over: Any) -> Proposal:
    rec = _signal(NOON, symbol="MSFT", qty=1)
    happy = {"rec": rec, "instrument": parse_symbol("MSFT"), "contract": known(a_contract("MSFT"))}
    return a_strict_proposal(**happy | over)


def _quoted(bid: str | None, ask: str | None) -> Proposal:
    return a_strict_proposal(quote=known(a_quote(bid=bid, ask=ask)))


def _penny_stock(bid: str, ask: str) -> Proposal:
    return _stock(quote=known(a_quote("MSFT", bid=bid, ask=ask)))


def _at(now: datetime) -> Proposal:
    return a_strict_proposal(now=now)


def _bound(*bound: tuple[str, str, str], **over: Any) -> Proposal:
    """Commitments as (symbol, underlying, dollars)."""
    commitments = tuple(a_commitment(symbol=s, underlying=u, usd=Decimal(usd), kind=Kind.PUT) for s, u, usd in bound)
    return a_strict_proposal(book=a_book(commitments=commitments), **over)


def _past(**over: Any) -> Proposal:
    return a_strict_proposal(history=known(a_history(**over)))


def _listed(**over: Any) -> Proposal:
    return a_proposal(contract=known(replace(a_contract(), **over)))


def _expiring_in(days: int) -> Proposal:
    symbol = f"MSFT{SESSION.day + timedelta(days=days):%y%m%d}P00400000"
    return a_strict_proposal(instrument=parse_symbol(symbol))


_HALF = replace(SESSION, close=SESSION.open + timedelta(hours=3, minutes=30))
_JULY = replace(
    SESSION,
    day=date(2026, 7, 6),
    open=datetime(2026, 7, 6, 13, 30, tzinfo=UTC),
    close=datetime(2026, 7, 6, 20, tzinfo=UTC),
)
_NEW_YORK_14 = NOON + timedelta(hours=2)

#: gate -> (title, proposal, what its check says); a title that begins with "+" passes, with "-" is refused.
_TABLE: Final[dict[str, tuple[tuple[str, Proposal, str], ...]]] = {
    "brokerage_lets_trade": (
        ("+open", a_strict_proposal(trading_blocked=known(False)), "not blocked"),
        ("-blocked", a_strict_proposal(trading_blocked=known(True)), "blocked"),
        ("-no yes and no no", a_strict_proposal(trading_blocked=known(None)), "not blocked"),
    ),
    "symbol_is_allowed": (
        ("+no list", _rules(allow_symbols=None), "not looked at"),
        ("+its underlying", _rules(allow_symbols=frozenset({"MSFT"})), f"MSFT, {PUT}"),
        ("+its symbol", _rules(allow_symbols=frozenset({PUT})), f"MSFT, {PUT}"),
        ("-another symbol of the underlying", _rules(allow_symbols=frozenset({CALL})), f"MSFT, {PUT}"),
        ("-an empty list allows nothing", _rules(allow_symbols=frozenset()), "MSFT"),
        ("-a beginning is no symbol", _rules(allow_symbols=frozenset({"MSF"})), "MSFT"),
    ),
    "symbol_is_not_denied": (
        ("+no list", _rules(deny_symbols=frozenset()), "not looked at"),
        ("+another", _rules(deny_symbols=frozenset({"GME", CALL})), "MSFT"),
        ("-its underlying", _rules(deny_symbols=frozenset({"GME", "MSFT"})), "MSFT"),
        ("-its symbol", _rules(deny_symbols=frozenset({PUT})), PUT),
        (
            "-the underlying that its symbol names, whatever the recommendation says",
            a_strict_proposal(
                rec=_signal(NOON, underlying="AAPL"), rules=strict_rules(deny_symbols=frozenset({"MSFT"}))
            ),
            "MSFT",
        ),
    ),
    "features_are_fresh": (
        ("+no limit", _rules(max_feature_age=None), "not looked at"),
        ("+299 s", _from(NOON - 299 * SECOND), "299 s"),
        ("+300 s", _from(NOON - 300 * SECOND), "300 s"),
        ("-one microsecond more", _from(NOON - 300 * SECOND - INSTANT), "300 s"),
        ("-three days (R50)", _from(NOON - timedelta(days=3)), "259200 s"),
        ("+5 s ahead of our clock", _from(NOON + 5 * SECOND), "-5 s"),
        ("-one microsecond more ahead", _from(NOON + 5 * SECOND + INSTANT), "-5"),
        ("-not said", _from(None), "unknown: reason.features_at is not given"),
        ("-no time", _from("lately"), "unknown: reason.features_at is no time: 'lately'"),
        ("-a number", _from(1770138000), "unknown: reason.features_at is no time: 1770138000"),
        ("-a time without zone", _from("2026-02-03T17:00:00"), "unknown: reason.features_at has no zone"),
    ),
    "opening_minutes_are_over": (
        ("+no limit", _rules(no_entry_after_open=None), "not looked at"),
        ("-an instant before", _at(SESSION.open + 5 * MINUTE - INSTANT), "2026-02-03T14:34:59Z"),
        ("+5 min after the open", _at(SESSION.open + 5 * MINUTE), "2026-02-03T14:35:00Z"),
        ("+an instant later", _at(SESSION.open + 5 * MINUTE + INSTANT), "2026-02-03T14:35:00Z"),
    ),
    "time_is_within_entry_hours": (
        ("+no limit", _rules(entry_from=None, entry_until=None), "not looked at"),
        ("-an instant before 10:00", _at(NOON - timedelta(hours=2) - INSTANT), "09:59:59 in New York"),
        ("+10:00", _at(NOON - timedelta(hours=2)), "10:00:00 in New York"),
        ("+an instant before 14:00", _at(_NEW_YORK_14 - INSTANT), "13:59:59 in New York"),
        ("-14:00", _at(_NEW_YORK_14), "14:00:00 in New York"),
        ("-an instant after 14:00", _at(_NEW_YORK_14 + INSTANT), "14:00:00 in New York"),
        ("+13:59 in summer (L28)", _at(datetime(2026, 7, 6, 17, 59, tzinfo=UTC)), "13:59:00 in New York"),
        ("-14:00 in summer (L28)", _at(datetime(2026, 7, 6, 18, 0, tzinfo=UTC)), "14:00:00 in New York"),
        ("+without a first hour", a_strict_proposal(rules=strict_rules(entry_from=None)), "12:00:00"),
        ("+without a last hour", a_strict_proposal(rules=strict_rules(entry_until=None)), "12:00:00"),
    ),
    "session_is_long_enough": (
        ("+half days are welcome", a_proposal(session=known(_HALF)), "not looked at"),
        ("+a whole day", _rules(), "6:30:00"),
        ("+a whole day in summer", a_strict_proposal(session=known(_JULY)), "6:30:00"),
        ("-a half day", a_strict_proposal(session=known(_HALF)), "3:30:00"),
        (
            "-a second short",
            a_strict_proposal(session=known(replace(SESSION, close=SESSION.close - SECOND))),
            "6:29:59",
        ),
    ),
    "contract_is_tradable": (
        ("+its strike written otherwise", _listed(strike=Decimal("400.000")), "PUT 400 2026-02-20"),
        ("-another strike", _listed(strike=Decimal("401")), "PUT 401 2026-02-20"),
        ("-another expiration", _listed(expiration=date(2026, 2, 27)), "PUT 400 2026-02-27"),
        ("-another type", _listed(kind=Kind.CALL), "CALL 400 2026-02-20"),
        ("-no strike", _listed(strike=None), "PUT 2026-02-20"),
        ("-other units", _listed(multiplier=150), "x 150"),
        ("-another symbol", _listed(symbol=CALL), CALL),
        ("+a stock", _stock(), "MSFT tradable, STOCK, x 1"),
    ),
    "expiration_is_far_enough": (
        ("+no limit", a_proposal(), "not looked at"),
        ("-6 days", _expiring_in(6), "6 days"),
        ("+7 days", _expiring_in(7), "7 days"),
        ("+8 days", _expiring_in(8), "8 days"),
        ("-today", _expiring_in(0), "0 days"),
        ("-yesterday", _expiring_in(-1), "-1 days"),
        ("+a stock never expires", _stock(), "no expiration"),
    ),
    "expiration_is_near_enough": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+29 days", _expiring_in(29), "29 days"),
        ("+30 days", _expiring_in(30), "30 days"),
        ("-31 days", _expiring_in(31), "31 days"),
        ("+a stock never expires", _stock(), "no expiration"),
    ),
    "prices_are_on_the_tick_grid": (
        ("+not asked for", _rules(require_tick_grid=False), "not looked at"),
        ("+whole cents", _quoted("7.10", "7.20"), "bid 7.10, ask 7.20"),
        ("-a tenth of a cent asked (R47)", _quoted("7.10", "7.201"), "ask 7.201"),
        ("-a tenth of a cent bid", _quoted("7.101", "7.20"), "bid 7.101"),
        ("-an option below a dollar has cents too", _quoted("0.50", "0.5001"), "ask 0.5001"),
        ("-a share of a dollar has cents", _penny_stock("0.99", "1.0001"), "ask 1.0001"),
        ("+a share below a dollar has more", _penny_stock("0.9900", "0.9901"), "ask 0.9901"),
        ("-but not finer", _penny_stock("0.9900", "0.99005"), "ask 0.99005"),
        ("-no bid", _quoted(None, "7.20"), "unknown: bid none"),
        ("-no ask", _quoted("7.10", None), "unknown: bid 7.10, ask none"),
        ("-no number", _quoted("7.10", "NaN"), "ask NaN"),
    ),
    "direction_is_not_opposed": (
        (
            "-a put beside a put held short",
            a_strict_proposal(book=a_book(commitments=(a_commitment(symbol="X", kind=Kind.PUT, held_qty=-1),))),
            "PUT X",
        ),
        (
            "+a put beside a call held short",
            a_strict_proposal(book=a_book(commitments=(a_commitment(symbol="X", held_qty=-1),))),
            "none",
        ),
        (
            "-a put beside a call that is still pending",
            a_strict_proposal(book=a_book(commitments=(a_commitment(symbol="X", held_qty=0),))),
            "CALL X",
        ),
    ),
    "positions_in_underlying_are_within_limit": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+the first", _rules(), "1"),
        ("+the second of two", _bound(("X", "MSFT", "1")), "2"),
        ("-the third of two", _bound(("X", "MSFT", "1"), ("Y", "MSFT", "1")), "3"),
        ("+others do not count", _bound(("X", "ORCL", "1"), ("Y", "XOM", "1")), "1"),
    ),
    "position_cost_is_within_limit": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+a cent less", _rules(max_position_usd=Decimal("720.01")), "720.00"),
        ("+the limit", _rules(max_position_usd=Decimal("720.00")), "720.00"),
        ("-a cent more", _rules(max_position_usd=Decimal("719.99")), "720.00"),
        ("-no ask", _quoted("7.10", None), "unknown: nobody offers it"),
    ),
    "underlying_exposure_is_within_limit": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+a cent less", _bound(("X", "MSFT", "1279.99")), "1999.99"),
        ("+the limit", _bound(("X", "MSFT", "1280.00")), "2000.00"),
        ("-a cent more", _bound(("X", "MSFT", "1280.01")), "2000.01"),
        ("+others do not count", _bound(("X", "ORCL", "2000.00")), "720.00"),
        ("-no ask", _quoted("7.10", None), "unknown: nobody offers it"),
        ("-no number", _bound(("X", "MSFT", "NaN")), "raised"),
    ),
    "sector_exposure_is_within_limit": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+a cent less", _bound(("X", "ORCL", "1000.00"), ("Y", "MSFT", "1279.99")), "2999.99"),
        ("+the limit", _bound(("X", "ORCL", "1000.00"), ("Y", "MSFT", "1280.00")), "3000.00"),
        ("-a cent more", _bound(("X", "ORCL", "1000.00"), ("Y", "MSFT", "1280.01")), "3000.01"),
        ("+other sectors do not count", _bound(("X", "XOM", "3000.00")), "720.00"),
        ("-it has no sector", _rules(sectors={"ORCL": "software"}), "no sector for MSFT"),
        ("-what is held has no sector", _bound(("X", "GME", "1.00")), "no sector for GME"),
        ("-no ask", _quoted("7.10", None), "unknown: nobody offers it"),
    ),
    "trades_of_the_day_are_within_limit": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+the 9th of 10", _past(trades=8), "9"),
        ("+the 10th of 10", _past(trades=9), "10"),
        ("-the 11th of 10", _past(trades=10), "11"),
        ("-a count that is none", _past(trades=None), "raised"),
    ),
    "trades_in_symbol_are_within_limit": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+the first of two", _past(in_symbol=0), "1"),
        ("+the second of two", _past(in_symbol=1), "2"),
        ("-the third of two", _past(in_symbol=2), "3"),
        ("-a count that is none", _past(in_symbol=None), "raised"),
    ),
    "trades_in_underlying_are_within_limit": (
        ("+no limit", a_proposal(), "not looked at"),
        ("+the second of three", _past(in_underlying=1), "2"),
        ("+the third of three", _past(in_underlying=2), "3"),
        ("-the fourth of three", _past(in_underlying=3), "4"),
        ("-a count that is none", _past(in_underlying=None), "raised"),
    ),
    "symbol_has_cooled_down": (
        ("+no limit", a_proposal(history=known(a_history(symbol_at=NOON))), "not looked at"),
        ("+never traded", _past(symbol_at=None), "never traded"),
        ("-an instant short of 30 min", _past(symbol_at=NOON - 30 * MINUTE + INSTANT), "1799.999 s"),
        ("+30 min", _past(symbol_at=NOON - 30 * MINUTE), "1800 s"),
        ("+an instant more", _past(symbol_at=NOON - 30 * MINUTE - INSTANT), "1800 s"),
        ("-a trade that is yet to come", _past(symbol_at=NOON + MINUTE), "-60 s"),
        ("-a time without zone", _past(symbol_at=NOON.replace(tzinfo=None)), "raised"),
    ),
    "underlying_has_cooled_down": (
        ("+no limit", a_proposal(history=known(a_history(underlying_at=NOON))), "not looked at"),
        ("+never traded", _past(underlying_at=None), "never traded"),
        ("-an instant short of 15 min", _past(underlying_at=NOON - 15 * MINUTE + INSTANT), "899.999 s"),
        ("+15 min", _past(underlying_at=NOON - 15 * MINUTE), "900 s"),
        ("+an instant more", _past(underlying_at=NOON - 15 * MINUTE - INSTANT), "900 s"),
        ("-a time without zone", _past(underlying_at=NOON.replace(tzinfo=None)), "raised"),
    ),
    "losses_in_a_row_are_within_limit": (
        ("+no limit", a_proposal(history=known(a_history(losses_in_a_row=9))), "not looked at"),
        ("+one under the limit", _past(losses_in_a_row=2), "2"),
        ("-the limit", _past(losses_in_a_row=3), "3"),
        ("-beyond it", _past(losses_in_a_row=4), "4"),
        ("-one that nobody knows", _past(losses_in_a_row=Unknown("X left", "positions")), "unknown: X left"),
    ),
}

CASES: Final = tuple(
    Case(gate, title[1:], title.startswith("+"), proposal, said)
    for gate, rows in _TABLE.items()
    for title, proposal, said in rows
)

_COST: Final = frozenset({"quote", "sizing", "instrument"})
#: Which inputs that may be Unknown each gate reads as soon as its limit is set.
READS: Final[dict[str, frozenset[str]]] = MARKET_READS | {
    "symbol_is_allowed": frozenset({"instrument"}),
    "symbol_is_not_denied": frozenset({"instrument"}),
    "opening_minutes_are_over": frozenset({"session"}),
    "session_is_long_enough": frozenset({"session"}),
    "expiration_is_far_enough": frozenset({"instrument", "session"}),
    "expiration_is_near_enough": frozenset({"instrument", "session"}),
    "prices_are_on_the_tick_grid": frozenset({"quote"}),
    "position_cost_is_within_limit": _COST,
    "underlying_exposure_is_within_limit": _COST,
    "sector_exposure_is_within_limit": _COST,
    "trades_of_the_day_are_within_limit": frozenset({"history"}),
    "trades_in_symbol_are_within_limit": frozenset({"history"}),
    "trades_in_underlying_are_within_limit": frozenset({"history"}),
    "symbol_has_cooled_down": frozenset({"history"}),
    "underlying_has_cooled_down": frozenset({"history"}),
    "losses_in_a_row_are_within_limit": frozenset({"history"}),
}
