"""Is the contract one that others trade: floors of open interest, volume, premium and delta, and its grid.

A floor that is not configured looks at nothing; one that is refuses what the feed does not say (R44).
"""

from __future__ import annotations

from decimal import Decimal

from domain.checks import Check
from domain.contracts import Snapshot
from domain.gates.proposal import Gate, Proposal
from domain.gates.verdict import judged, not_looked_at, unknown
from domain.instrument import Kind
from domain.known import Known, Unknown
from domain.ticks import is_on, option_tick, stock_tick


def open_interest_is_enough(p: Proposal) -> Check:
    """Where a floor is set: enough contracts were open at the last count of the brokerage.

    Set by ``min_open_interest``.
    """
    floor = p.rules.min_open_interest
    if floor is None or p.rec.instrument is Kind.STOCK:
        return _has_none(open_interest_is_enough, p)
    allowed = f">= {floor}"
    if isinstance(p.contract, Unknown):
        return unknown(open_interest_is_enough, p.contract, allowed)
    contract = p.contract.value
    if contract.open_interest is None:
        return unknown(open_interest_is_enough, Unknown("nobody counts it", p.contract.source), allowed)
    observed = f"{contract.open_interest} on {contract.open_interest_on or 'an unknown day'}"
    return judged(open_interest_is_enough, p, p.contract, contract.open_interest >= floor, observed, allowed)


def volume_is_enough(p: Proposal) -> Check:
    """Where a floor is set: enough contracts were traded today, by the day's bar and not by the last trade (R42).

    Set by ``min_volume``.
    """
    floor = p.rules.min_volume
    if floor is None or p.rec.instrument is Kind.STOCK:
        return _has_none(volume_is_enough, p)
    allowed = f">= {floor}"
    shown = shown_of(p, p.symbol)
    if isinstance(shown, Unknown):
        return unknown(volume_is_enough, shown, allowed)
    if isinstance(p.session, Unknown):
        return unknown(volume_is_enough, p.session, allowed)
    volume, day = shown.value.volume, shown.value.volume_on
    if volume is None or day != p.session.value.day:
        told = "no volume" if volume is None else f"the volume is of {day or 'an unknown day'}"
        return unknown(volume_is_enough, Unknown(told, shown.source), allowed)
    return judged(volume_is_enough, p, shown, volume >= floor, volume, allowed)


def premium_is_enough(p: Proposal) -> Check:
    """Where a floor is set: the mid of the contract's quote is worth its spread and its ticks (dollars a share).

    Set by ``min_premium``.
    """
    floor = p.rules.min_premium
    if floor is None or p.rec.instrument is Kind.STOCK:
        return _has_none(premium_is_enough, p)
    allowed = f">= {floor}"
    if isinstance(p.quote, Unknown):
        return unknown(premium_is_enough, p.quote, allowed)
    bid, ask = p.quote.value.bid, p.quote.value.ask
    if bid is None or ask is None:
        return unknown(premium_is_enough, Unknown("the quote has one side only", p.quote.source), allowed)
    mid = (bid + ask) / 2
    return judged(premium_is_enough, p, p.quote, mid >= floor, mid, allowed)


def delta_is_within_range(p: Proposal) -> Check:
    """Where a range is set: the contract's delta, without its sign, is no lottery ticket's and not the share's own.

    Set by ``min_delta`` and ``max_delta``.
    """
    low, high = p.rules.min_delta, p.rules.max_delta
    if (low is None and high is None) or p.rec.instrument is Kind.STOCK:
        return _has_none(delta_is_within_range, p)
    allowed = f"{Decimal(0) if low is None else low} to {Decimal(1) if high is None else high}"
    shown = shown_of(p, p.symbol)
    if isinstance(shown, Unknown):
        return unknown(delta_is_within_range, shown, allowed)
    delta = shown.value.greeks.delta
    if delta is None:
        return unknown(delta_is_within_range, Unknown("no delta", shown.source), allowed)
    passed = (low is None or abs(delta) >= low) and (high is None or abs(delta) <= high)
    return judged(delta_is_within_range, p, shown, passed, delta, allowed)


def order_price_is_on_the_class_tick(p: Proposal) -> Check:
    """Where it is required: the ask, our limit price, stands on the grid of the contract's class (R47).

    Set by ``require_class_ticks``.
    """
    if not p.rules.require_class_ticks:
        return not_looked_at(order_price_is_on_the_class_tick)
    if isinstance(p.ask, Unknown):
        return unknown(order_price_is_on_the_class_tick, p.ask, "a price on the grid")
    price = p.ask.value
    tick = _tick(p, price)
    if isinstance(tick, Unknown):
        return unknown(order_price_is_on_the_class_tick, tick, "a price on the grid")
    allowed = f"a multiple of {tick}"
    return judged(order_price_is_on_the_class_tick, p, p.ask, is_on(price, tick), price, allowed)


def _tick(p: Proposal, price: Decimal) -> Decimal | Unknown:
    if p.rec.instrument is Kind.STOCK:
        return stock_tick(price)
    if isinstance(p.contract, Unknown):
        return p.contract
    if p.contract.value.penny is None:
        return Unknown("nobody says whether its class is in the penny programme", p.contract.source)
    return option_tick(price, p.rec.underlying, p.contract.value.penny)


def shown_of(p: Proposal, symbol: str | None) -> Known[Snapshot] | Unknown:
    """Return what the feed shows of *symbol*, as old as its quote; one older than a quote may be is unknown."""
    if isinstance(p.snapshots, Unknown):
        return p.snapshots
    shown = p.snapshots.value.get(symbol or "")
    if shown is None or shown.quote is None:
        return Unknown(f"no snapshot of {symbol or 'no symbol'}", p.snapshots.source)
    if p.now - shown.quote.at > p.rules.max_quote_age:
        return Unknown(f"the snapshot of {symbol} is too old", p.snapshots.source)
    return Known(shown, shown.quote.at, p.snapshots.source)


def _has_none(gate: Gate, p: Proposal) -> Check:
    return not_looked_at(gate, "a stock has none" if p.rec.instrument is Kind.STOCK else "no limit")
