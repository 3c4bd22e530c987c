"""``explain`` of a chosen contract and of a size: the whole in JSON, and what a person looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from domain.events import Action
from domain.instrument import Kind
from tests.cli.conftest import Answer
from tests.cli.house import AAA, House
from tests.factories import a_rule_book, some_rules, some_selection_rules

Gapless = Callable[..., Answer]


@pytest.fixture
def chosen(house: House) -> House:
    """A call on AAA at 100, chosen from a chain of two: one has no bid, and twenty were asked for."""
    rules = some_rules(selection=some_selection_rules(max_days=30))
    house.gate = replace(house.gate, rules=a_rule_book(rules))
    house.prices |= {"AAA": (Decimal("99.90"), Decimal("100.10")), "AAA260220C00101000": (None, Decimal("9.00"))}
    house.recommend(symbol=None, underlying="AAA", instrument=Kind.CALL, qty=20)
    return house


def test_explain_tells_the_choice_and_the_steps_of_the_size(chosen: House, gapless: Gapless):
    """Every candidate near the top with its points as text, where the others fell, and what each step left."""
    [decision] = gapless("explain", "rec-1", "--json").document["items"]
    [best] = decision["selection"]["best"]

    assert (AAA, "approved") == (decision["selection"]["symbol"], decision["outcome"])
    assert Decimal(best["score"]) == sum(Decimal(points) for points in best["points"].values())
    assert [{"filter": "quote", "count": 1, "nearest": "AAA260220C00101000"}] == decision["selection"]["fallen"]
    assert [("asked", 20), ("cap", 10)] == [(step["name"], step["qty"]) for step in decision["sizing_steps"]]
    assert decision["sizing"] == ", ".join(step["why"] for step in decision["sizing_steps"])


def test_a_person_reads_the_choice_beneath_the_checks(chosen: House, gapless: Gapless, monkeypatch: pytest.MonkeyPatch):
    """The winner with its score and points, one line for the fallen, and the size step by step."""
    monkeypatch.setenv("COLUMNS", "100")
    shown = gapless("explain", "rec-1").out

    assert f"Contract: {AAA} scores" in shown
    assert "Fallen, each with the nearest to 100.00: 1 for quote (AAA260220C00101000...)" in shown
    assert "cut to the cap of 10 contracts an order" in shown
    assert [] == [line for line in shown.splitlines() if len(line.rstrip()) > 100]


def test_what_was_named_and_refused_has_no_choice_to_tell(house: House, gapless: Gapless):
    """A SELL of nothing: no contract was chosen and nothing was sized."""
    house.recommend(action=Action.SELL)
    [decision] = gapless("explain", "rec-1", "--json").document["items"]
    shown = gapless("explain", "rec-1").out

    assert (None, None, "not approved") == (decision["selection"], decision["sizing_steps"], decision["sizing"])
    assert "Size: not approved" in shown
    assert "Contract:" not in shown
