"""Is it what it says it is: the contract against its symbol and against the brokerage's listing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from domain.checks import Check, Code
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, not_looked_at, unknown
from domain.instrument import Contract, Instrument, Kind, Stock
from domain.known import Unknown
from domain.money import plain


def symbol_is_named(p: Proposal) -> Check:
    """The recommendation names its contract, or its strategy's contract selection found one.

    Set by ``selection``.
    """
    if p.selection is None or p.rec.symbol is not None:
        return check(symbol_is_named, p.rec.symbol is not None, p.rec.symbol or "none", "a symbol")
    return check(symbol_is_named, p.symbol is not None, p.selection.why, "a symbol", "selection")


def type_matches_symbol(p: Proposal) -> Check:
    """Instrument and underlying agree with what the symbol itself says: the ticker never stands in for a contract."""
    said = f"{p.rec.instrument} on {p.rec.underlying}"
    if isinstance(p.instrument, Unknown):
        return unknown(type_matches_symbol, p.instrument, said)
    found = f"{p.instrument.kind} on {p.instrument.underlying}"
    return check(type_matches_symbol, found == said, found, said)


def contract_is_tradable(p: Proposal) -> Check:
    """The brokerage lists the symbol as what it says (type, strike, expiration), lets it trade, and counts as we do."""
    if isinstance(p.instrument, Unknown):
        return unknown(contract_is_tradable, p.instrument, "tradable")
    allowed = f"{p.symbol} tradable, {_words(p.instrument)}"
    if isinstance(p.contract, Unknown):
        return unknown(contract_is_tradable, p.contract, allowed)
    listed = p.contract.value
    observed = f"{listed.symbol} {'tradable' if listed.tradable else 'not tradable'}, {_words(listed)}"
    same = (listed.symbol, *_terms(listed)) == (p.symbol, *_terms(p.instrument))
    code = Code.UNTRADABLE if same else Code.MISMATCH
    return judged(contract_is_tradable, p, p.contract, same and listed.tradable, observed, allowed, code)


def _terms(of: Contract | Instrument) -> tuple[Kind, int, Decimal | None, date | None]:
    """What an order on it would mean: an adjusted contract, for one, counts other units."""
    if isinstance(of, Stock):
        return of.kind, of.multiplier, None, None
    return of.kind, of.multiplier, of.strike, of.expiration


def _words(of: Contract | Instrument) -> str:
    kind, multiplier, strike, expiration = _terms(of)
    terms = "" if strike is None else f" {plain(strike)}"
    return f"{kind}{terms}{'' if expiration is None else f' {expiration}'}, x {multiplier}"


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


def expiration_is_far_enough(p: Proposal) -> Check:
    """An option has at least so many days to its expiration; today's own has none, a stock needs none.

    Set by ``min_days_to_expiry``.
    """
    floor = p.rules.min_days_to_expiry
    if floor is None:
        return not_looked_at(expiration_is_far_enough)
    days = _days_to_expiry(p)
    if isinstance(days, Unknown):
        return unknown(expiration_is_far_enough, days, f">= {floor} days")
    if days is None:
        return check(expiration_is_far_enough, True, "no expiration", f">= {floor} days", "symbol")
    return check(expiration_is_far_enough, days >= floor, f"{days} days", f">= {floor} days", "symbol", Code.EARLY)


def expiration_is_near_enough(p: Proposal) -> Check:
    """An option has at most so many days to its expiration; a stock has none.

    Set by ``max_days_to_expiry``.
    """
    ceiling = p.rules.max_days_to_expiry
    if ceiling is None:
        return not_looked_at(expiration_is_near_enough)
    days = _days_to_expiry(p)
    if isinstance(days, Unknown):
        return unknown(expiration_is_near_enough, days, f"<= {ceiling} days")
    if days is None:
        return check(expiration_is_near_enough, True, "no expiration", f"<= {ceiling} days", "symbol")
    return check(expiration_is_near_enough, days <= ceiling, f"{days} days", f"<= {ceiling} days", "symbol", Code.LATE)


def _days_to_expiry(p: Proposal) -> int | Unknown | None:
    """Return the calendar days from today's session to the expiration, None for what does not expire."""
    if isinstance(p.instrument, Unknown):
        return p.instrument
    if isinstance(p.instrument, Stock):
        return None
    if isinstance(p.session, Unknown):
        return p.session
    return (p.instrument.expiration - p.session.value.day).days
