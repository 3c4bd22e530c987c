"""What the market and the portfolio allow: the volatility regime, and the Greeks of all that is held and pending.

Each limit is off until it is configured; then whatever the feed does not say refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from domain.checks import Check
from domain.gates.liquidity import shown_of
from domain.gates.proposal import Gate, Proposal
from domain.gates.verdict import judged, not_looked_at, unknown
from domain.instrument import OPTION_MULTIPLIER, Kind
from domain.known import Known, Unknown
from domain.money import plain


def volatility_is_bearable(p: Proposal) -> Check:
    """Where a regime is set: the market's volatility stands in a band that leaves something of a size.

    Set by ``volatility``.
    """
    if p.rules.regime is None:
        return not_looked_at(volatility_is_bearable)
    allowed = "a band that leaves a size"
    if isinstance(p.volatility, Unknown):
        return unknown(volatility_is_bearable, p.volatility, allowed)
    band = p.volatility.value
    observed = f"{band.name}, x {band.size_ratio}"
    return judged(volatility_is_bearable, p, p.volatility, band.size_ratio > 0, observed, allowed)


def portfolio_delta_is_within_limit(p: Proposal) -> Check:
    """Where a limit is set: the delta of what is held and pending, with this order, in shares, in either direction.

    Set by ``max_portfolio_delta``.
    """
    return _greek_is_within(portfolio_delta_is_within_limit, p, "delta", p.rules.max_portfolio_delta, "shares")


def portfolio_vega_is_within_limit(p: Proposal) -> Check:
    """Where a limit is set: what a point of implied volatility makes of all, with this order, in dollars.

    Set by ``max_portfolio_vega_usd``.
    """
    return _greek_is_within(portfolio_vega_is_within_limit, p, "vega", p.rules.max_portfolio_vega_usd, "USD")


def portfolio_theta_is_within_limit(p: Proposal) -> Check:
    """Where a limit is set: what a day takes from all, with this order, in dollars.

    Set by ``max_portfolio_theta_usd``.
    """
    return _greek_is_within(portfolio_theta_is_within_limit, p, "theta", p.rules.max_portfolio_theta_usd, "USD")


def _greek_is_within(gate: Gate, p: Proposal, greek: str, limit: Decimal | None, unit: str) -> Check:
    """Compare the sum of one Greek with *limit*. A share has a delta of 1, and neither vega nor theta."""
    if limit is None:
        return not_looked_at(gate)
    allowed = f"<= {limit} {unit}"
    if isinstance(p.sizing, Unknown):
        return unknown(gate, p.sizing, allowed)
    total, oldest = Decimal(0), p.now
    for symbol, kind, qty in (*_bound(p), (p.symbol, p.rec.instrument, p.sizing.qty)):
        if kind is Kind.STOCK:
            total += qty if greek == "delta" else 0
            continue
        one = _greek(p, symbol, greek)
        if isinstance(one, Unknown):
            return unknown(gate, one, allowed)
        total += qty * OPTION_MULTIPLIER * one.value
        oldest = min(oldest, one.at)
    seen = Known(total, oldest, "book and snapshots")
    return judged(gate, p, seen, abs(total) <= limit, f"{plain(total)} {unit}", allowed)


def _bound(p: Proposal) -> Iterator[tuple[str | None, Kind, int]]:
    """Yield what is held and what may still fill, with its units: negative where it is short."""
    return ((c.symbol, c.kind, c.held_qty + c.pending_qty) for c in p.book.commitments)


def _greek(p: Proposal, symbol: str | None, greek: str) -> Known[Decimal] | Unknown:
    """Return a Greek of one share of *symbol*."""
    shown = shown_of(p, symbol)
    if isinstance(shown, Unknown):
        return shown
    value: Decimal | None = getattr(shown.value.greeks, greek)
    if value is None:
        return Unknown(f"no {greek} of {symbol}", shown.source)
    return Known(value, shown.at, shown.source)
