"""Contradictions between rules for entries and exits are found before they cost money (R37, L15, L37)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.account import Limits
from domain.consistency import contradictions
from domain.exits import ExitPolicy
from domain.gates import EntryRules
from domain.instrument import Kind
from tests.factories import a_policy, some_limits, some_rules


def found(
    rules: EntryRules | None = None, limits: Limits | None = None, policy: ExitPolicy | None = None
) -> tuple[str, ...]:
    return contradictions(
        rules or some_rules(), {"large": limits or some_limits()}, {("day_trade", Kind.CALL): policy or a_policy()}
    )


def test_the_shipped_rules_do_not_contradict_each_other():
    """The factories hold the defaults of design and configuration."""
    assert () == found()


HOUR = timedelta(hours=1)
WRONG: dict[str, dict[str, Any]] = {
    "flattened 0:15:00 before": {"policy": a_policy(flatten_before_close=timedelta(minutes=15))},
    "is closed 1:30:00 before": {"policy": a_policy(close_before_expiry=timedelta(minutes=90))},
    "held at most 0:30:00": {"policy": a_policy(max_hold=timedelta(minutes=30))},
    "catastrophe closes at 26 %": {"policy": a_policy(stop_pct=None, catastrophe_pct=Decimal(26))},
    "stop closes at 20 %": {"policy": a_policy(stop_pct=Decimal(20), min_hold=timedelta(0))},
    "comes before the stop": {"policy": a_policy(stop_pct=Decimal(60))},
    "no rule ever closes at a loss": {"policy": a_policy(stop_pct=None, catastrophe_pct=None)},
    "the target at 80 % has closed already": {"policy": a_policy(trail_arm_pct=Decimal(80))},
    "needs both": {"policy": a_policy(trail_giveback_pct=None)},
    "max_positions is 0": {"limits": some_limits(max_positions=0)},
    "less than the cheapest contract": {
        "limits": some_limits(max_exposure_usd=Decimal("0.99"), max_daily_loss_usd=Decimal("0.50"))
    },
    "cannot trip": {"limits": some_limits(max_daily_loss_usd=Decimal("10000.01"))},
    "permitted is empty": {"rules": some_rules(permitted=frozenset())},
    "no strategy has a min_confidence": {"rules": some_rules(min_confidence={})},
    "no recommendation can reach it": {"rules": some_rules(min_confidence={"day_trade": Decimal("1.01")})},
    "the session is not longer": {"rules": some_rules(no_entry_before_close=6.5 * HOUR)},
    "can never trip": {"rules": some_rules(max_quote_age=timedelta(seconds=119))},
}


@pytest.mark.parametrize(("said", "given"), WRONG.items(), ids=WRONG.keys())
def test_a_contradiction_is_named(said: str, given: dict[str, Any]):
    """One sentence that shows both settings."""
    assert [True] == [said in text for text in found(**given)]
