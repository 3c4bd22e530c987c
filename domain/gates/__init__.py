"""The gates: pure functions, each a sentence that must hold before an order may open a position.

Every gate takes the same Proposal and returns a Check, passed or not, with what it observed and what it allows.
``review`` runs all of them, so a refusal reports every reason at once. To add a gate, write it and add it
to GATES; the order of GATES is the order of the report. What a gate cannot see, it cannot pass.
"""

from __future__ import annotations

from typing import Final

from domain.checks import Check
from domain.gates.account import buying_power_is_enough, exposure_is_within_limit, position_count_is_within_limit
from domain.gates.conflict import direction_is_not_opposed, symbol_is_not_held
from domain.gates.contract import contract_is_tradable, contract_is_unexpired, symbol_is_named, type_matches_symbol
from domain.gates.data import (
    feed_is_alive,
    quote_is_fresh,
    quote_is_two_sided,
    quote_is_uncrossed,
    recommendation_is_fresh,
    spread_is_within_limit,
)
from domain.gates.permission import action_is_permitted, confidence_is_enough, strategy_is_known
from domain.gates.proposal import EntryRules, Gate, Proposal, ask_of
from domain.gates.quantity import contracts_are_within_cap, quantity_is_at_least_one
from domain.gates.session import market_is_open_for_entries
from domain.gates.state import account_is_active, daily_loss_is_within_limit, stack_is_alive
from domain.gates.verdict import check

__all__ = ["GATES", "EntryRules", "Gate", "Proposal", "ask_of", "review"]

GATES: Final[tuple[Gate, ...]] = (
    account_is_active,
    stack_is_alive,
    action_is_permitted,
    strategy_is_known,
    confidence_is_enough,
    recommendation_is_fresh,
    market_is_open_for_entries,
    symbol_is_named,
    type_matches_symbol,
    contract_is_tradable,
    contract_is_unexpired,
    feed_is_alive,
    quote_is_fresh,
    quote_is_two_sided,
    quote_is_uncrossed,
    spread_is_within_limit,
    quantity_is_at_least_one,
    contracts_are_within_cap,
    symbol_is_not_held,
    direction_is_not_opposed,
    position_count_is_within_limit,
    exposure_is_within_limit,
    buying_power_is_enough,
    daily_loss_is_within_limit,
)


def review(p: Proposal) -> tuple[Check, ...]:
    """Return the verdict of every gate; the proposal is approved when all passed. A gate that raises refuses."""
    return tuple(_run(gate, p) for gate in GATES)


def _run(gate: Gate, p: Proposal) -> Check:
    try:
        return gate(p)
    except Exception as e:  # noqa: BLE001 - whatever is wrong in a gate must refuse, and say what it was
        return check(gate, False, f"unknown: the gate raised {type(e).__name__}: {e}", "an answer", "gate")
