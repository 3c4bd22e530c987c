"""The gates about liquidity, volatility and Greeks, with their limits set and unset, and the symbol they look at."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from domain.gates import GATES, EntryRules, Proposal, review
from domain.known import Known
from domain.selection import nothing
from tests.domain.gate_cases_market import MARKET_TABLE, NOBODY, strict, strict_rules
from tests.factories import NOON, PUT, a_contract, a_proposal, a_recommendation, some_rules

#: The rules that are limits of this table, and the gates that compare with them.
LIMITS = {
    "regime": "volatility_is_bearable",
    "require_class_ticks": "order_price_is_on_the_class_tick",
    "min_open_interest": "open_interest_is_enough",
    "min_volume": "volume_is_enough",
    "min_premium": "premium_is_enough",
    "min_delta": "delta_is_within_range",
    "max_delta": "delta_is_within_range",
    "max_portfolio_delta": "portfolio_delta_is_within_limit",
    "max_portfolio_vega_usd": "portfolio_vega_is_within_limit",
    "max_portfolio_theta_usd": "portfolio_theta_is_within_limit",
}


def refused(p: Proposal) -> dict[str, str]:
    return {check.gate: check.observed for check in review(p) if not check.passed}


def test_under_every_limit_the_proposal_passes():
    """Nothing stands against it: the refusals below are each about one thing."""
    assert {} == refused(strict())


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_that_is_not_set_looks_at_nothing(limit: str):
    """Its gate passes whatever cannot be seen; the others go on refusing."""
    blind = {"snapshots": NOBODY, "volatility": NOBODY, "contract": Known(a_contract(), NOON, "contracts")}
    said = refused(strict(rules=strict_rules(**{limit: None}), **blind))

    assert (LIMITS[limit] in said) == (limit in {"min_delta", "max_delta"})
    assert set(said) <= set(MARKET_TABLE)


def test_every_limit_of_the_table_is_off_until_it_is_set():
    """The rules of the other tests set none of them."""
    off = some_rules()

    assert {None, False} == {getattr(off, limit) for limit in LIMITS}
    assert set(LIMITS.values()) == set(MARKET_TABLE) <= {gate.__name__ for gate in GATES}
    assert set(LIMITS) <= {f.name for f in fields(EntryRules)}


def test_what_is_asked_of_the_brokerage_follows_from_the_limits():
    """Snapshots of the contract for volume and delta, of everything held for the portfolio, and none otherwise."""

    def reads(**set_limits: Any) -> tuple[bool, bool]:
        rules = some_rules(**{name: getattr(strict_rules(), name) for name in set_limits})
        return rules.reads_snapshots, rules.reads_greeks

    asked = {limit: reads(**{limit: True}) for limit in LIMITS}

    assert {"min_volume", "min_delta", "max_delta"} == {name for name, r in asked.items() if r == (True, False)}
    assert {name for name in LIMITS if "portfolio" in name} == {name for name, r in asked.items() if r == (True, True)}
    assert (False, False) == reads()


def test_a_chosen_contract_is_named_and_a_selection_without_one_is_not():
    """The symbol that counts is the one that is named, else the one that was chosen; a selection tells its reason."""
    chosen = replace(nothing("best of 3"), symbol=PUT)
    silent = a_recommendation(symbol=None)
    by_name = a_proposal(selection=replace(chosen, symbol="MSFT260220P00390000"))

    assert PUT == a_proposal(rec=silent, selection=chosen).symbol == by_name.symbol
    assert {} == refused(a_proposal(rec=silent, selection=chosen))
    assert "none of 3" == refused(a_proposal(rec=silent, selection=nothing("none of 3")))["symbol_is_named"]
    assert "none" == refused(a_proposal(rec=silent, selection=None))["symbol_is_named"]
