"""Is it what it says it is: the contract against its symbol and against the brokerage's listing."""

from __future__ import annotations

from domain.checks import Check
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, unknown
from domain.instrument import Stock
from domain.known import Unknown


def symbol_is_named(p: Proposal) -> Check:
    """The recommendation names its contract: there is no contract selection yet."""
    return check(symbol_is_named, p.rec.symbol is not None, p.rec.symbol or "none", "a symbol")


def type_matches_symbol(p: Proposal) -> Check:
    """Instrument and underlying agree with what the symbol itself says: the ticker never stands in for a contract."""
    said = f"{p.rec.instrument} on {p.rec.underlying}"
    if isinstance(p.instrument, Unknown):
        return unknown(type_matches_symbol, p.instrument, said)
    found = f"{p.instrument.kind} on {p.instrument.underlying}"
    return check(type_matches_symbol, found == said, found, said)


def contract_is_tradable(p: Proposal) -> Check:
    """The brokerage lists the symbol, lets it trade, and counts its units as we do (an adjusted contract differs)."""
    if isinstance(p.instrument, Unknown):
        return unknown(contract_is_tradable, p.instrument, "tradable")
    allowed = f"{p.rec.symbol} tradable, x {p.instrument.multiplier}"
    if isinstance(p.contract, Unknown):
        return unknown(contract_is_tradable, p.contract, allowed)
    contract = p.contract.value
    observed = f"{contract.symbol} {'tradable' if contract.tradable else 'not tradable'}, x {contract.multiplier}"
    return judged(contract_is_tradable, p, p.contract, observed == allowed, observed, allowed)


def contract_is_unexpired(p: Proposal) -> Check:
    """An option's expiration is today or later; a stock has none."""
    if isinstance(p.instrument, Unknown):
        return unknown(contract_is_unexpired, p.instrument, "an expiration to come")
    if isinstance(p.instrument, Stock):
        return check(contract_is_unexpired, True, "no expiration", "an expiration to come")
    if isinstance(p.session, Unknown):
        return unknown(contract_is_unexpired, p.session, "an expiration to come")
    today = p.session.value.day
    return check(
        contract_is_unexpired, p.instrument.expiration >= today, p.instrument.expiration, f">= {today}", "symbol"
    )
