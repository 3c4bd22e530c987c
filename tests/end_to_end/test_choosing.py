"""A whole day on which the recommendation names no contract: chosen, bought, tracked and closed by the real stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from cli.choice_settings import SelectionSettings
from tests.end_to_end.conftest import a_line
from tests.end_to_end.stack import Running
from tests.paper.days import CALL, STOCK

SELECTION = SelectionSettings(
    min_days=1,
    max_days=7,
    otm_pct=Decimal(0),
    strike_range_pct=Decimal(10),
    max_spread_pct=Decimal(20),
    max_quote_age_s=900,
    min_premium=Decimal("0.05"),
    min_score=Decimal(20),
)
CHOSEN = "SELECT recommendation, outcome, selection ->> 'symbol' FROM decisions ORDER BY recommendation"


def silent(name: str, clock: str) -> str:
    """A call on the stock, whichever."""
    return json.dumps(json.loads(a_line(name, clock, CALL)) | {"symbol": None})


def test_a_contract_is_chosen_and_lives_its_day(small_day: Callable[..., Path], a_running: Callable[..., Running]):
    """
    The call is the only contract in reach: bought at its ask, sold at its target, under its own symbol everywhere. The
    second recommendation would choose it again, and is refused because it is held.
    """
    running = a_running(
        small_day(silent("first", "14:32:00"), silent("second", "14:45:00")), strategies={"selection": SELECTION}
    )
    running.play()

    assert [("first", "approved", CALL), ("second", "refused", CALL)] == running.rows(CHOSEN)
    assert [(CALL, STOCK, 0, "target")] == running.rows("SELECT symbol, underlying, qty, exit_reason FROM positions")
    running.assert_rows_equal_the_broker()


def test_the_same_day_chooses_alike(small_day: Callable[..., Path], digest_of: Callable[..., str]):
    """Twice the same day on an empty ledger: the same digest."""
    played = {digest_of(small_day(silent("first", "14:32:00")), strategies={"selection": SELECTION}) for _ in range(2)}

    assert 1 == len(played)


def test_as_shipped_a_recommendation_without_a_symbol_is_refused(
    small_day: Callable[..., Path], a_running: Callable[..., Running]
):
    """Which contract one's money buys is no default."""
    running = a_running(small_day(silent("first", "14:32:00")))
    running.play()

    assert [("first", "refused", None)] == running.rows(CHOSEN)
    assert [] == running.posted()
