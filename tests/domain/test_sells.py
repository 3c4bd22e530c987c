"""A SELL: it closes what is held, and is asked little."""

from __future__ import annotations

import inspect
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_type_hints

import pytest

from domain import sells
from domain.known import Unknown
from domain.sells import SellProposal, review_sell
from tests.domain.gate_cases import known
from tests.factories import NOON, SESSION, a_recommendation, some_rules

NOBODY = Unknown("nobody answered", "the test")


def a_sell(**over: Any) -> SellProposal:
    values: dict[str, Any] = {
        "rec": a_recommendation(),
        "now": NOON,
        "rules": some_rules(),
        "session": known(SESSION),
        "held_qty": 1,
        "closing": False,
    }
    return SellProposal(**values | over)


IN_DOLLARS: dict[str, Any] = {"qty": None, "notional_usd": Decimal(100)}
SELLS = {
    "held": (a_sell(), None),
    "at the open": (a_sell(now=SESSION.open, rec=a_recommendation(at=SESSION.open)), None),
    "before the open": (
        a_sell(now=SESSION.open - timedelta(seconds=1), rec=a_recommendation(at=SESSION.open)),
        "market_is_open",
    ),
    "in the last second": (
        a_sell(now=SESSION.close - timedelta(seconds=1), rec=a_recommendation(at=SESSION.close - timedelta(seconds=1))),
        None,
    ),
    "at the close": (a_sell(now=SESSION.close, rec=a_recommendation(at=SESSION.close)), "market_is_open"),
    "session unknown": (a_sell(session=NOBODY), "market_is_open"),
    "300 s old": (a_sell(rec=a_recommendation(at=NOON - timedelta(seconds=300))), None),
    "301 s old": (a_sell(rec=a_recommendation(at=NOON - timedelta(seconds=301))), "recommendation_is_fresh"),
    "5 s ahead": (a_sell(rec=a_recommendation(at=NOON + timedelta(seconds=5))), None),
    "6 s ahead": (a_sell(rec=a_recommendation(at=NOON + timedelta(seconds=6))), "recommendation_is_fresh"),
    "in dollars": (a_sell(rec=a_recommendation(**IN_DOLLARS)), "quantity_is_in_units"),
    "not held": (a_sell(held_qty=0), "position_is_held"),
    "held short": (a_sell(held_qty=-1), "position_is_held"),
    "closing already": (a_sell(closing=True), "position_is_not_closing"),
}


@pytest.mark.parametrize(("sell", "refused_by"), SELLS.values(), ids=SELLS.keys())
def test_a_sell_is_asked_little(sell: SellProposal, refused_by: str | None):
    """Session, freshness, units, held and not closing: nothing else can refuse a SELL, whatever its account's state."""
    assert [refused_by] * (refused_by is not None) == [check.gate for check in review_sell(sell) if not check.passed]


def test_a_sell_in_dollars_says_so():
    """What was asked is shown: units, or that it was dollars."""
    said = [str(review_sell(a_sell(rec=a_recommendation(**over)))[2]) for over in ({"qty": 3}, IN_DOLLARS)]

    assert [
        "quantity_is_in_units: observed=3 allowed=a qty",
        "quantity_is_in_units: observed=dollars allowed=a qty",
    ] == said


def test_every_check_of_a_sell_is_in_its_review():
    """The SELL's own functions are all called."""
    written = {
        function
        for name, function in inspect.getmembers(sells, inspect.isfunction)
        if name != "review_sell" and list(get_type_hints(function).values())[:1] == [SellProposal]
    }

    assert written == set(sells.SELL_GATES)
    assert len(written) == len(review_sell(a_sell()))
