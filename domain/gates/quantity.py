"""Is the quantity one that an order may have."""

from __future__ import annotations

from domain.checks import Check
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, unknown
from domain.instrument import Kind
from domain.known import Unknown


def quantity_is_at_least_one(p: Proposal) -> Check:
    """Sizing leaves at least one whole unit; a cap wins over "at least one"."""
    if isinstance(p.sizing, Unknown):
        return unknown(quantity_is_at_least_one, p.sizing, ">= 1")
    return check(quantity_is_at_least_one, p.sizing.qty >= 1, p.sizing.why, ">= 1", "sizing")


def contracts_are_within_cap(p: Proposal) -> Check:
    """One order holds at most the account's number of contracts (a stock order has no such cap).

    Set by ``max_contracts_per_order``.
    """
    cap = p.book.limits.max_contracts_per_order
    if isinstance(p.sizing, Unknown):
        return unknown(contracts_are_within_cap, p.sizing, f"<= {cap}")
    is_stock = p.rec.instrument is Kind.STOCK
    return check(
        contracts_are_within_cap,
        is_stock or p.sizing.qty <= cap,
        p.sizing.qty,
        "no cap for stocks" if is_stock else f"<= {cap}",
        "sizing",
    )
