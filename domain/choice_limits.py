"""Rules for the choice of a contract that other rules undo, and sizes that no limit lets through.

Each finding is a sentence that names the settings and their values. Source: R37, R43.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from domain.account import Limits
from domain.candidates import SelectionRules
from domain.gates import EntryRules
from domain.instrument import OPTION_MULTIPLIER, Kind
from domain.sizing import RiskRules

_ONE: Final = Decimal(1)


def of_choice(rules: EntryRules, limits: Limits) -> Iterator[str]:
    """Yield what is wrong with how contracts are chosen and sized, for one strategy in one account."""
    yield from _of_delta(rules)
    yield from _of_premium("min_premium", rules.min_premium, limits)
    if rules.selection is not None:
        yield from _of_selection(rules.selection, rules, limits)
    if rules.risk is not None:
        yield from _of_tiers(rules.risk, limits)


def _of_delta(rules: EntryRules) -> Iterator[str]:
    low, high = rules.min_delta, rules.max_delta
    if low is not None and high is not None and low > high:
        yield f"min_delta {low} is above max_delta {high}: no contract can meet both"
    if low == 0:
        yield "min_delta 0 can never trip: every delta reaches it"
    if high is not None and high >= _ONE:
        yield f"max_delta {high} can never trip: no delta is above 1"


def _of_premium(name: str, premium: Decimal | None, limits: Limits) -> Iterator[str]:
    if premium is not None and premium * OPTION_MULTIPLIER > limits.max_exposure_usd:
        cost, ceiling = premium * OPTION_MULTIPLIER, limits.max_exposure_usd
        yield f"{name} {premium} is a contract of {cost}, over max_exposure_usd {ceiling}"


def _of_selection(chosen: SelectionRules, rules: EntryRules, limits: Limits) -> Iterator[str]:
    if not {kind for _, kind in rules.permitted} - {Kind.STOCK}:
        yield "selection chooses options, and none is permitted"
    yield from _of_premium("selection.min_premium", chosen.min_premium, limits)
    ceilings = (
        ("max_spread_pct", chosen.max_spread_pct, rules.max_spread_pct),
        ("max_quote_age", chosen.max_quote_age, rules.max_quote_age),
        ("max_delta", chosen.max_delta or _ONE, rules.max_delta),
        ("max_days_to_expiry", chosen.max_days, rules.max_days_to_expiry),
    )
    for name, most, allowed in ceilings:
        if allowed is not None and most > allowed:  # type: ignore[operator]  # one row holds one kind of value
            yield f"selection may choose {name} {most}, which is refused above {allowed}"
    floors = (
        ("min_volume", chosen.min_volume or 0, rules.min_volume),
        ("min_open_interest", chosen.min_open_interest or 0, rules.min_open_interest),
        ("min_premium", chosen.min_premium, rules.min_premium),
        ("min_delta", chosen.min_delta or Decimal(0), rules.min_delta),
        ("min_days_to_expiry", chosen.min_days, rules.min_days_to_expiry),
    )
    for name, least, needed in floors:
        if needed is not None and least < needed:
            yield f"selection may choose {name} {least}, which is refused under {needed}"


def _of_tiers(risk: RiskRules, limits: Limits) -> Iterator[str]:
    """A cap that the account's own cap undercuts is none; a tier that no account is pinned to is there for all."""
    own = limits.max_contracts_per_order
    for tier in risk.tiers:
        governs = risk.pinned == tier.name
        if governs and tier.max_contracts is not None and tier.max_contracts >= own:
            yield (
                f"max_contracts {tier.max_contracts} of tier {tier.name} can never trip:"
                f" max_contracts_per_order {own} cuts first"
            )
