"""May this be traded at all: permissions, strategies and their confidence."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from domain.checks import Check
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, not_looked_at, unknown
from domain.known import Unknown


def action_is_permitted(p: Proposal) -> Check:
    """The pair of action and instrument stands in the permission list; an empty list permits nothing.

    Set by ``permitted``.
    """
    allowed = ", ".join(sorted(f"{action} {kind}" for action, kind in p.rules.permitted))
    passed = (p.rec.action, p.rec.instrument) in p.rules.permitted
    return check(action_is_permitted, passed, f"{p.rec.action} {p.rec.instrument}", allowed or "nothing")


def symbol_is_allowed(p: Proposal) -> Check:
    """Where a list of allowed symbols is configured, the symbol or its underlying stands in it.

    Set by ``allow_symbols``.
    """
    listed = p.rules.allow_symbols
    if listed is None:
        return not_looked_at(symbol_is_allowed)
    if isinstance(p.instrument, Unknown):
        return unknown(symbol_is_allowed, p.instrument, _shown(listed))
    names = {p.instrument.symbol, p.instrument.underlying}
    return check(symbol_is_allowed, bool(names & listed), _shown(names), _shown(listed))


def symbol_is_not_denied(p: Proposal) -> Check:
    """Neither the symbol nor its underlying stands in the list of denied symbols.

    Set by ``deny_symbols``.
    """
    listed = p.rules.deny_symbols
    if listed == frozenset():
        return not_looked_at(symbol_is_not_denied)
    if isinstance(p.instrument, Unknown):
        return unknown(symbol_is_not_denied, p.instrument, f"not {_shown(listed)}")
    names = {p.instrument.symbol, p.instrument.underlying}
    return check(symbol_is_not_denied, not names & listed, _shown(names), f"not {_shown(listed)}")


def strategy_is_known(p: Proposal) -> Check:
    """The strategy is configured: it has a confidence floor and an exit policy."""
    allowed = ", ".join(sorted(p.rules.min_confidence)) or "nothing"
    return check(strategy_is_known, p.rec.strategy in p.rules.min_confidence, p.rec.strategy, allowed)


def confidence_is_enough(p: Proposal) -> Check:
    """The engine's confidence reaches the floor of its strategy.

    Set by ``min_confidence``.
    """
    floor = p.rules.min_confidence.get(p.rec.strategy)
    if floor is None:
        return unknown(confidence_is_enough, Unknown(f"no floor for strategy {p.rec.strategy}", "config"), "a floor")
    return check(confidence_is_enough, p.rec.confidence >= floor, p.rec.confidence, f">= {floor}")


def _shown(names: AbstractSet[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
