"""The words of the live view: what a trader reads, and what its colours mean."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.live_words import GAIN, LIMIT, LOSS, SUBJECTS, bar, contract, gain, refusal, span
from domain.gates import GATES
from domain.known import Unknown
from domain.sells import SellProposal, review_sell
from tests.factories import NOON, a_recommendation, some_rules


def test_every_check_has_words():
    """No refusal is told by the name of a function: whoever adds a gate adds its words."""
    sell = SellProposal(
        rec=a_recommendation(),
        now=NOON,
        rules=some_rules(),
        session=Unknown("no calendar", "calendar"),
        held_qty=0,
        closing=False,
    )
    gates = {gate.__name__ for gate in GATES} | {check.gate for check in review_sell(sell)} | {"database_wall"}

    assert gates == set(SUBJECTS)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("MSFT260220P00400000", "MSFT 20Feb26 400P"),
        ("GOOGL260220C00337500", "GOOGL 20Feb26 337.5C"),
        ("SPY", "SPY"),
        ("what is this", "what is this"),
    ],
)
def test_a_contract_reads_as_traders_write_it(symbol: str, expected: str):
    """Underlying, day, strike, right; what is no symbol stands as it is."""
    assert expected == contract(symbol)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "unknown"),
        (0.4, "0 s"),
        (119.9, "119 s"),
        (260, "4 min"),
        (12600, "3:30 h"),
        (187200, "2 d 4 h"),
        (-3, "0 s"),
    ],
)
def test_spans(seconds: float | None, expected: str):
    """A span has one or two units; an unknown one says so, and a clock that runs ahead makes none negative."""
    assert expected == span(seconds)


@pytest.mark.parametrize(
    ("gate", "observed", "allowed", "expected"),
    [
        ("position_count_is_within_limit", "6", "<= 5", "positions would be 6, limit 5"),
        (
            "exposure_is_within_limit",
            "13900.00",
            "<= 10000.00",
            "exposure would be 13,900.00, limit 10,000.00",
        ),
        ("recommendation_is_fresh", "1908 s", "<= 300 s", "signal is old: 31 min, limit 5 min"),
        ("confidence_is_enough", "0.46", ">= 0.55", "confidence 0.46, needs 0.55"),
        ("position_is_held", "0", "> 0", "held 0, needs more than 0"),
        (
            "market_is_open_for_entries",
            "2026-02-03T14:29:10Z",
            "2026-02-03T14:30:00Z to 2026-02-03T20:45:00Z",
            "time 09:29:10, allowed 09:30:00 to 15:45:00",
        ),
        (
            "symbol_is_not_held",
            "position 0d5c1ad1-6a4b-5b0c-9a3c-3a1f4a4b5c6d",
            "not held",
            "symbol position 0d5c1ad1, allowed not held",
        ),
        ("a_new_gate", "1", "2", "a new gate 1, allowed 2"),
    ],
)
def test_a_refusal_says_what_was_seen_and_what_is_allowed(gate: str, observed: str, allowed: str, expected: str):
    """Bounds in words, dollars with thousands apart, moments in New York, long ids by their beginning."""
    assert expected == refusal({"gate": gate, "observed": observed, "allowed": allowed})


@pytest.mark.parametrize(
    ("amount", "text", "style"),
    [
        (Decimal("-0.01"), "-0.01", LOSS),
        (Decimal("1234.5"), "+1,234.50", GAIN),
        (Decimal("0.00"), "0.00", ""),
        (Decimal("-0.001"), "0.00", ""),
        (None, "unknown", "dim"),
    ],
)
def test_red_is_a_loss_and_green_a_gain(amount: Decimal | None, text: str, style: str):
    """What rounds to nothing has no colour, and what is unknown is never 0."""
    found = gain(amount)

    assert (text, style) == (found.plain, str(found.style))


@given(
    used=st.decimals(min_value=0, max_value=20_000, places=2),
    limit=st.decimals(min_value=0, max_value=10_000, places=2),
    width=st.integers(min_value=2, max_value=40),
)
def test_a_bar_is_full_exactly_at_its_limit(used: Decimal, limit: Decimal, width: int):
    """Full and yellow at the limit or beyond, never before; whatever is used shows at least one cell."""
    found: Any = bar(used, limit, width, ascii_only=True)
    cells = found.plain.count("#")

    assert width == len(found.plain)
    assert (used >= limit) == (cells == width) == (found.style == LIMIT)
    assert (cells > 0) == (used > 0 or used >= limit)
