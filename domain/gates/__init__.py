"""The gates: pure functions, each a sentence that must hold before an order may open a position.

Every gate takes the same Proposal and returns a Check, passed or not, with what it observed and what it allows.
``review`` runs all of them, so a refusal reports every reason at once. To add a gate, write it and add it
to GATES; the order of GATES is the order of the report. What a gate cannot see, it cannot pass.
"""

from __future__ import annotations

from typing import Final

from domain.checks import Check
from domain.gates.account import (
    brokerage_lets_trade,
    buying_power_is_enough,
    exposure_is_within_limit,
    position_cost_is_within_limit,
    position_count_is_within_limit,
    positions_in_underlying_are_within_limit,
    sector_exposure_is_within_limit,
    underlying_exposure_is_within_limit,
)
from domain.gates.conflict import direction_is_not_opposed, symbol_is_not_held
from domain.gates.contract import (
    contract_is_tradable,
    contract_is_unexpired,
    expiration_is_far_enough,
    expiration_is_near_enough,
    symbol_is_named,
    type_matches_symbol,
)
from domain.gates.data import (
    features_are_fresh,
    feed_is_alive,
    prices_are_on_the_tick_grid,
    quote_is_fresh,
    quote_is_two_sided,
    quote_is_uncrossed,
    recommendation_is_fresh,
    spread_is_within_limit,
)
from domain.gates.history import (
    losses_in_a_row_are_within_limit,
    symbol_has_cooled_down,
    trades_in_symbol_are_within_limit,
    trades_in_underlying_are_within_limit,
    trades_of_the_day_are_within_limit,
    underlying_has_cooled_down,
)
from domain.gates.liquidity import (
    delta_is_within_range,
    open_interest_is_enough,
    order_price_is_on_the_class_tick,
    premium_is_enough,
    volume_is_enough,
)
from domain.gates.market import (
    portfolio_delta_is_within_limit,
    portfolio_theta_is_within_limit,
    portfolio_vega_is_within_limit,
    volatility_is_bearable,
)
from domain.gates.permission import (
    action_is_permitted,
    confidence_is_enough,
    strategy_is_known,
    symbol_is_allowed,
    symbol_is_not_denied,
)
from domain.gates.proposal import Gate, Proposal, ask_of
from domain.gates.quantity import contracts_are_within_cap, quantity_is_at_least_one
from domain.gates.rules import SWITCHABLE, EntryRules, RuleBook
from domain.gates.session import (
    market_is_open_for_entries,
    opening_minutes_are_over,
    session_is_long_enough,
    time_is_within_entry_hours,
)
from domain.gates.state import (
    account_is_active,
    daily_loss_is_within_limit,
    drawdown_is_within_limit,
    stack_is_alive,
)
from domain.gates.verdict import broken, not_looked_at

__all__ = ["GATES", "SWITCHABLE", "EntryRules", "Gate", "Proposal", "RuleBook", "ask_of", "review"]

GATES: Final[tuple[Gate, ...]] = (
    account_is_active,
    stack_is_alive,
    brokerage_lets_trade,
    action_is_permitted,
    symbol_is_allowed,
    symbol_is_not_denied,
    strategy_is_known,
    confidence_is_enough,
    recommendation_is_fresh,
    features_are_fresh,
    market_is_open_for_entries,
    opening_minutes_are_over,
    time_is_within_entry_hours,
    session_is_long_enough,
    symbol_is_named,
    type_matches_symbol,
    contract_is_tradable,
    contract_is_unexpired,
    expiration_is_far_enough,
    expiration_is_near_enough,
    feed_is_alive,
    quote_is_fresh,
    quote_is_two_sided,
    quote_is_uncrossed,
    prices_are_on_the_tick_grid,
    spread_is_within_limit,
    order_price_is_on_the_class_tick,
    open_interest_is_enough,
    volume_is_enough,
    premium_is_enough,
    delta_is_within_range,
    volatility_is_bearable,
    quantity_is_at_least_one,
    contracts_are_within_cap,
    symbol_is_not_held,
    direction_is_not_opposed,
    position_count_is_within_limit,
    positions_in_underlying_are_within_limit,
    position_cost_is_within_limit,
    exposure_is_within_limit,
    underlying_exposure_is_within_limit,
    sector_exposure_is_within_limit,
    buying_power_is_enough,
    trades_of_the_day_are_within_limit,
    trades_in_symbol_are_within_limit,
    trades_in_underlying_are_within_limit,
    symbol_has_cooled_down,
    underlying_has_cooled_down,
    losses_in_a_row_are_within_limit,
    portfolio_delta_is_within_limit,
    portfolio_vega_is_within_limit,
    portfolio_theta_is_within_limit,
    daily_loss_is_within_limit,
    drawdown_is_within_limit,
)


def review(p: Proposal) -> tuple[Check, ...]:
    """Return the verdict of every gate; the proposal is approved when all passed. A gate that raises refuses."""
    return tuple(_run(gate, p) for gate in GATES)


def _run(gate: Gate, p: Proposal) -> Check:
    try:
        if gate.__name__ in p.rules.off and gate.__name__ in SWITCHABLE:
            return not_looked_at(gate, "switched off")
        return gate(p)
    except Exception as e:  # noqa: BLE001 - whatever is wrong in a gate must refuse, and say what it was
        return broken(gate, e)
