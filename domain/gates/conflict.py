"""Does it stand against what is held or pending."""

from __future__ import annotations

from domain.account import Commitment
from domain.checks import Check
from domain.gates.proposal import Proposal
from domain.gates.verdict import check
from domain.instrument import Kind


def symbol_is_not_held(p: Proposal) -> Check:
    """One position a symbol, held or pending, so that a close can never be ambiguous."""
    same = next((c for c in p.book.commitments if c.symbol == p.symbol), None)
    observed = "not held" if same is None else f"position {same.position_id}"
    return check(symbol_is_not_held, same is None, observed, "not held", "book")


def direction_is_not_opposed(p: Proposal) -> Check:
    """Where the configuration asks for it: no call beside a put in one underlying, pending orders included.

    Set by ``refuse_opposite_direction``.
    """
    if not p.rules.refuse_opposite_direction:
        return check(direction_is_not_opposed, True, "not looked at", "switched off", "config")
    bearish = p.rec.instrument is Kind.PUT
    mine = [c for c in p.book.commitments if c.underlying == p.rec.underlying]
    against = next((c for c in mine if _is_bearish(c) != bearish), None)
    observed = "none" if against is None else f"{against.kind} {against.symbol}, position {against.position_id}"
    return check(direction_is_not_opposed, against is None, observed, "no opposite position", "book")


def _is_bearish(held: Commitment) -> bool:
    """A put gains when its underlying falls; what is held short (adopted: we never sell to open) turns around."""
    return (held.kind is Kind.PUT) != (held.held_qty < 0)
