"""The table of the gates about liquidity, volatility and Greeks: a limit that is set refuses what is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from domain.account import Commitment
from domain.gates import EntryRules, Proposal
from domain.ids import PositionId
from domain.instrument import Contract, parse_symbol
from domain.known import Known, Unknown
from domain.regime import Band
from tests.factories import (
    CALL,
    NOON,
    PUT,
    a_book,
    a_contract,
    a_proposal,
    a_quote,
    a_recommendation,
    a_sizing,
    a_snapshot,
    some_greeks,
    some_regime_rules,
    some_rules,
)

YESTERDAY: Final = date(2026, 2, 2)
NOBODY: Final = Unknown("nobody answered", "the test")


#: Every limit of this table, each wide enough for the happy proposal.
MARKET_LIMITS: Final[dict[str, Any]] = {
    "regime": some_regime_rules(),
    "require_class_ticks": True,
    "min_open_interest": 100,
    "min_volume": 500,
    "min_premium": Decimal("1.00"),
    "min_delta": Decimal("0.30"),
    "max_delta": Decimal("0.60"),
    "max_portfolio_delta": Decimal(100),
    "max_portfolio_vega_usd": Decimal(100),
    "max_portfolio_theta_usd": Decimal(100),
}


def strict_rules(**over: Any) -> EntryRules:
    return some_rules(**MARKET_LIMITS | over)


def counted(symbol: str = PUT) -> Known[Contract]:
    """A listed contract with a thousand open."""
    listed = a_contract(symbol, open_interest=1000, open_interest_on=YESTERDAY, penny=True)
    return Known(listed, NOON, "contracts")


def strict(**over: Any) -> Proposal:
    """A proposal that passes under every limit of this table: one put, 1,000 traded, 1,000 open, delta -0.40."""
    return a_proposal(**{"rules": strict_rules(), "contract": counted()} | over)


def _open(number: int | None) -> Proposal:
    listed = a_contract(open_interest=number, open_interest_on=YESTERDAY if number is not None else None)
    return strict(contract=Known(listed, NOON, "contracts"))


def _shown(**over: Any) -> Proposal:
    return strict(snapshots=Known({PUT: a_snapshot(**over)}, NOON, "snapshots"))


def _asked(ask: str | None, penny: bool | None = True, **over: Any) -> Proposal:
    listed = a_contract(open_interest=1000, open_interest_on=YESTERDAY, penny=penny)
    quote = a_quote(bid="0.01", ask=ask)
    contract = Known(listed, NOON, "contracts")
    return strict(**{"contract": contract, "quote": Known(quote, NOON, "quotes")} | over)


def _quoted(bid: str | None, ask: str | None) -> Proposal:
    return strict(quote=Known(a_quote(bid=bid, ask=ask), NOON, "quotes"))


def _stock(qty: int = 1, held: tuple[Commitment, ...] = (), **over: Any) -> Proposal:
    return strict(
        rec=a_recommendation(symbol="MSFT", qty=qty),
        instrument=parse_symbol("MSFT"),
        sizing=a_sizing(qty),
        contract=Known(a_contract("MSFT"), NOON, "contracts"),
        snapshots=Unknown("nothing was asked for", "config"),
        book=a_book(commitments=held),
        **over,
    )


def _off(**over: Any) -> Proposal:
    """Nothing is set, and nothing can be seen."""
    return a_proposal(rules=some_rules(), snapshots=NOBODY, volatility=NOBODY, **over)


def _band(name: str) -> Proposal:
    [band] = [band for band in some_regime_rules().bands if band.name == name]
    return strict(volatility=Known(band, NOON, "quotes"))


def bound(symbol: str, held: int, pending: int = 0) -> Commitment:
    return Commitment(
        position_id=PositionId(UUID(int=7)),
        symbol=symbol,
        underlying="MSFT",
        kind=parse_symbol(symbol).kind,
        held_qty=held,
        pending_qty=pending,
        usd=Decimal(1),
        closing=False,
    )


def _with_greek(greek: str, of_one: str, *commitments: Commitment, of_call: str | None = "0.50") -> Proposal:
    """One put with this Greek of a share (one contract is a hundred), beside what is held."""
    call = some_greeks(**{greek: None if of_call is None else Decimal(of_call)})
    shown = {
        PUT: a_snapshot(greeks=some_greeks(**{greek: Decimal(of_one)})),
        CALL: a_snapshot(CALL, greeks=call),
    }
    return strict(snapshots=Known(shown, NOON, "snapshots"), book=a_book(commitments=commitments))


def _greek_cases(greek: str, unit: str) -> tuple[tuple[str, Proposal, str], ...]:
    return (
        ("+a hundredth less", _with_greek(greek, "0.9999"), f"99.99 {unit}"),
        ("+the limit", _with_greek(greek, "1.00"), f"100 {unit}"),
        ("-a hundredth more", _with_greek(greek, "1.0001"), f"100.01 {unit}"),
        ("+the limit on the other side", _with_greek(greek, "-1.00"), f"-100 {unit}"),
        ("-beyond it on the other side", _with_greek(greek, "-1.0001"), f"-100.01 {unit}"),
        ("+with what is held", _with_greek(greek, "0.50", bound(CALL, 1)), f"100 {unit}"),
        ("-what is pending counts", _with_greek(greek, "0.50", bound(CALL, 1, 1)), f"150 {unit}"),
        ("+a short takes away", _with_greek(greek, "1.50", bound(CALL, -1)), f"100 {unit}"),
        ("-a held one is unknown", _with_greek(greek, "0.50", bound(CALL, 1), of_call=None), f"unknown: no {greek}"),
        ("-a held one is not shown", _with_greek(greek, "0.50", bound("MSFT260220C00410000", 1)), "unknown: no snap"),
        ("-none of this one", _shown(greeks=some_greeks(**{greek: None})), f"unknown: no {greek}"),
        ("-an old one", _shown(quote=a_quote(at=NOON - timedelta(seconds=901))), "unknown: the snapshot"),
        ("-no size", strict(sizing=NOBODY), "unknown: nobody answered"),
        ("+no limit", _off(), "not looked at"),
    )  # fmt: skip


MARKET_TABLE: Final[dict[str, tuple[tuple[str, Proposal, str], ...]]] = {
    "order_price_is_on_the_class_tick": (
        ("+a cent under $3", _asked("2.99"), "2.99"),
        ("-half a cent under $3", _asked("2.995"), "2.995"),
        ("+five cents from $3", _asked("3.05"), "3.05"),
        ("-a cent from $3", _asked("3.01"), "3.01"),
        ("+five cents under $3, no penny class", _asked("2.95", penny=False), "2.95"),
        ("-a cent under $3, no penny class", _asked("2.99", penny=False), "2.99"),
        ("+ten cents from $3, no penny class", _asked("3.10", penny=False), "3.10"),
        ("-five cents from $3, no penny class", _asked("3.05", penny=False), "3.05"),
        ("+a cent whatever it costs", _asked("3.01", rec=a_recommendation(underlying="SPY")), "3.01"),
        ("-a class that nobody knows", _asked("2.95", penny=None), "unknown: nobody says whether"),
        ("-nobody offers it", _asked(None), "unknown: nobody offers it"),
        ("+a stock in cents", _stock(quote=Known(a_quote("MSFT", "1.00", "1.01"), NOON, "quotes")), "1.01"),
        ("-a stock in less", _stock(quote=Known(a_quote("MSFT", "1.00", "1.001"), NOON, "quotes")), "1.001"),
        ("+under a dollar", _stock(quote=Known(a_quote("MSFT", "0.99", "0.9999"), NOON, "quotes")), "0.9999"),
        ("+not required", _off(quote=NOBODY, contract=NOBODY), "not looked at"),
    ),
    "open_interest_is_enough": (
        ("-one less", _open(99), "99 on 2026-02-02"),
        ("+the floor", _open(100), "100 on 2026-02-02"),
        ("+one more", _open(101), "101 on 2026-02-02"),
        ("-nobody counts it (R44)", _open(None), "unknown: nobody counts it"),
        ("+a stock has none", _stock(), "not looked at"),
        ("+no limit", _off(contract=NOBODY), "not looked at"),
    ),
    "volume_is_enough": (
        ("-one less", _shown(volume=499), "499"),
        ("+the floor", _shown(volume=500), "500"),
        ("+one more", _shown(volume=501), "501"),
        ("-no volume", _shown(volume=None), "unknown: no volume"),
        ("-of yesterday", _shown(volume_on=YESTERDAY), "unknown: the volume is of 2026-02-02"),
        ("-of no day", _shown(volume_on=None), "unknown: the volume is of an unknown day"),
        ("-not shown", strict(snapshots=Known({}, NOON, "snapshots")), f"unknown: no snapshot of {PUT}"),
        ("-an old one", _shown(quote=a_quote(at=NOON - timedelta(seconds=901))), "unknown: the snapshot"),
        ("+not older than a quote", _shown(quote=a_quote(at=NOON - timedelta(seconds=900))), "1000"),
        ("-never quoted", _shown(quote=None), f"unknown: no snapshot of {PUT}"),
        ("+a stock has none", _stock(), "not looked at"),
        ("+no limit", _off(), "not looked at"),
    ),
    "premium_is_enough": (
        ("-half a cent less", _quoted("0.99", "1.00"), "0.995"),
        ("+the floor", _quoted("0.99", "1.01"), "1.00"),
        ("+half a cent more", _quoted("1.00", "1.01"), "1.005"),
        ("-one side", _quoted(None, "1.01"), "unknown: the quote has one side only"),
        ("-the other side", _quoted("1.01", None), "unknown: the quote has one side only"),
        ("+a stock has none", _stock(), "not looked at"),
        ("+no limit", _off(quote=NOBODY), "not looked at"),
    ),
    "delta_is_within_range": (
        ("-a hundredth under the floor", _shown(delta="-0.29"), "-0.29"),
        ("+the floor", _shown(delta="-0.30"), "-0.30"),
        ("+the ceiling", _shown(delta="0.60"), "0.60"),
        ("-a hundredth over the ceiling", _shown(delta="0.61"), "0.61"),
        ("+only a floor", replace(_shown(delta="0.99"), rules=strict_rules(max_delta=None)), "0.99"),
        ("-only a floor", replace(_shown(delta="0.29"), rules=strict_rules(max_delta=None)), "0.29"),
        ("+only a ceiling", replace(_shown(delta="0.01"), rules=strict_rules(min_delta=None)), "0.01"),
        ("-only a ceiling", replace(_shown(delta="0.61"), rules=strict_rules(min_delta=None)), "0.61"),
        ("-no delta", _shown(delta=None), "unknown: no delta"),
        ("+a stock has none", _stock(), "not looked at"),
        ("+no limit", _off(), "not looked at"),
    ),
    "volatility_is_bearable": (
        ("+normal", _band("normal"), "normal, x 1"),
        ("+what leaves a quarter", _band("high"), "high, x 0.25"),
        ("-what leaves nothing", _band("extreme"), "extreme, x 0"),
        (
            "+the least that is something",
            strict(volatility=Known(Band(name="wild", below=None, size_ratio=Decimal("0.01")), NOON, "quotes")),
            "wild, x 0.01",
        ),
        ("-unknown (L22)", strict(volatility=NOBODY), "unknown: nobody answered"),
        ("+no regime", _off(), "not looked at"),
    ),
    "portfolio_delta_is_within_limit": (
        *_greek_cases("delta", "shares"),
        ("+a hundred shares", _stock(100), "100 shares"),
        ("-a share more", _stock(101), "101 shares"),
        ("-held shares count", _stock(100, (bound("MSFT", 1),)), "101 shares"),
    ),
    "portfolio_vega_is_within_limit": (
        *_greek_cases("vega", "USD"),
        ("+shares have none", _stock(1000, (bound("MSFT", 1000),)), "0 USD"),
    ),
    "portfolio_theta_is_within_limit": (
        *_greek_cases("theta", "USD"),
        ("+shares have none", _stock(1000, (bound("MSFT", 1000),)), "0 USD"),
    ),
}

#: Which inputs that may be Unknown each gate reads when its limit is set.
MARKET_READS: Final[dict[str, frozenset[str]]] = {
    "order_price_is_on_the_class_tick": frozenset({"quote", "contract"}),
    "open_interest_is_enough": frozenset({"contract"}),
    "volume_is_enough": frozenset({"snapshots", "session"}),
    "premium_is_enough": frozenset({"quote"}),
    "delta_is_within_range": frozenset({"snapshots"}),
    "volatility_is_bearable": frozenset({"volatility"}),
    "portfolio_delta_is_within_limit": frozenset({"snapshots", "sizing"}),
    "portfolio_vega_is_within_limit": frozenset({"snapshots", "sizing"}),
    "portfolio_theta_is_within_limit": frozenset({"snapshots", "sizing"}),
}
