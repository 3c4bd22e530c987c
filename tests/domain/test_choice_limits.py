"""Rules for choice and size that other rules undo are found when the configuration is read (R37, R43)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.choice_limits import of_choice
from domain.events import Action
from domain.instrument import Kind
from domain.sizing import RiskRules, Tier
from tests.factories import some_limits, some_rules, some_selection_rules


def chosen(**over: Any) -> Any:
    return some_selection_rules(**over)


def tiers(cap: int | None, pinned: str | None) -> RiskRules:
    tier = Tier(name="only", up_to_usd=None, risk_pct={"day_trade": Decimal(1)}, max_contracts=cap)
    return RiskRules(tiers=(tier,), pinned=pinned)


FLOORS: dict[str, Any] = {
    "min_volume": 500,
    "min_open_interest": 100,
    "min_premium": Decimal("0.05"),
    "min_delta": Decimal("0.30"),
    "max_delta": Decimal("0.60"),
}
FINE: dict[str, dict[str, Any]] = {
    "nothing set": {},
    "a selection within every gate": {"selection": chosen(max_spread_pct=Decimal(30))},
    "floors that the selection meets": {"selection": chosen(**FLOORS), **FLOORS, "max_days_to_expiry": 14},
    "a tier's cap under the account's": {"risk": tiers(9, "only")},
    "a tier's cap over the account's, for other accounts": {"risk": tiers(10, None)},
    "a premium that fills the exposure": {"min_premium": Decimal("100.00")},
}
WRONG: dict[str, dict[str, Any]] = {
    "min_delta 0.61 is above max_delta 0.60": {"min_delta": Decimal("0.61"), "max_delta": Decimal("0.60")},
    "min_delta 0 can never trip": {"min_delta": Decimal(0)},
    "max_delta 1 can never trip": {"max_delta": Decimal(1)},
    "min_premium 100.01 is a contract of 10001.00": {"min_premium": Decimal("100.01")},
    "selection.min_premium 100.01 is a contract of 10001.00": {"selection": chosen(min_premium=Decimal("100.01"))},
    "selection chooses options, and none is permitted": {
        "selection": chosen(),
        "permitted": frozenset({(Action.BUY, Kind.STOCK)}),
    },
    "may choose max_spread_pct 31, which is refused above 30": {"selection": chosen(max_spread_pct=Decimal(31))},
    "may choose max_quote_age 0:15:01, which is refused above 0:15:00": {
        "selection": chosen(max_quote_age=timedelta(seconds=901))
    },
    "may choose max_delta 1, which is refused above 0.60": {"selection": chosen(), "max_delta": Decimal("0.60")},
    "may choose max_days_to_expiry 14, which is refused above 13": {"selection": chosen(), "max_days_to_expiry": 13},
    "may choose min_volume 499, which is refused under 500": {"selection": chosen(min_volume=499), "min_volume": 500},
    "may choose min_volume 0, which is refused under 1": {"selection": chosen(), "min_volume": 1},
    "may choose min_open_interest 0, which is refused under 1": {"selection": chosen(), "min_open_interest": 1},
    "may choose min_premium 0.05, which is refused under 0.06": {"selection": chosen(), "min_premium": Decimal("0.06")},
    "may choose min_delta 0, which is refused under 0.10": {"selection": chosen(), "min_delta": Decimal("0.10")},
    "may choose min_days_to_expiry 0, which is refused under 1": {"selection": chosen(), "min_days_to_expiry": 1},
    "max_contracts 10 of tier only can never trip: max_contracts_per_order 10": {"risk": tiers(10, "only")},
}


@pytest.mark.parametrize("rules", FINE.values(), ids=FINE.keys())
def test_rules_that_agree_are_left_alone(rules: dict[str, Any]):
    """At the very limit of each other they still make sense."""
    assert [] == list(of_choice(some_rules(**rules), some_limits()))


@pytest.mark.parametrize(("says", "rules"), WRONG.items(), ids=WRONG.keys())
def test_a_choice_that_a_gate_would_refuse_is_found(says: str, rules: dict[str, Any]):
    """One step beyond it: the finding names both settings and their values, and nothing else is found."""
    [found] = of_choice(some_rules(**rules), some_limits())

    assert says in found
