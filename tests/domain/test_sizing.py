"""Sizing: whole units, cut to the cap, never enlarged, never below zero."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.gates import ask_of
from domain.known import Known, Unknown
from domain.sizing import Sizing, size
from tests.factories import NOON, PUT, a_quote, a_recommendation

ASK = Known(Decimal("7.20"), NOON, "quotes")


def units(usd: str, ask: str = "7.20", symbol: str = PUT, cap: int = 10) -> Sizing | Unknown:
    rec = a_recommendation(symbol=symbol, qty=None, notional_usd=Decimal(usd))
    return size(rec, 1 if symbol == "MSFT" else 100, Known(Decimal(ask), NOON, "quotes"), cap)


@pytest.mark.parametrize(
    ("asked", "cap", "qty"), [(1, 10, 1), (9, 10, 9), (10, 10, 10), (11, 10, 10), (2**31 - 1, 1, 1)]
)
def test_a_quantity_is_cut_to_the_cap_and_never_enlarged(asked: int, cap: int, qty: int):
    """The cut is recorded: what was asked, and why it became less."""
    sizing = size(a_recommendation(qty=asked), 100, ASK, cap)

    assert isinstance(sizing, Sizing)
    assert (qty, asked) == (sizing.qty, sizing.asked)
    assert (f"cut to the cap of {cap} contracts" in sizing.why) == (asked > cap)


def test_shares_have_no_cap():
    """The cap counts contracts."""
    assert Sizing(500, 500, "qty 500 asked") == size(a_recommendation(symbol="MSFT", qty=500), 1, ASK, 10)


@pytest.mark.parametrize(
    ("usd", "qty"), [("719.99", 0), ("720.00", 1), ("720.01", 1), ("1439.99", 1), ("1440.00", 2), ("0.01", 0)]
)
def test_dollars_buy_whole_contracts_only(usd: str, qty: int):
    """floor(dollars / (ask x 100)): an option costs a hundred times its price (L01)."""
    assert Sizing(qty, qty, f"floor({usd} / (7.20 x 100)) = {qty}") == units(usd)


def test_dollars_are_cut_to_the_cap_too():
    """A cap is a cap, whichever way the size was asked for."""
    sizing = units("100000")

    assert isinstance(sizing, Sizing)
    assert (10, 138) == (sizing.qty, sizing.asked)


def test_dollars_buy_whole_shares():
    """A share costs its price."""
    assert Sizing(138, 138, "floor(1000 / (7.20 x 1)) = 138") == units("1000", symbol="MSFT")


def test_dollars_at_an_unknown_price_are_unknown():
    """Nobody knows how many units 1,000 dollars are without a price; a quantity needs none."""
    nobody = Unknown("nobody offers it", "quotes")
    in_dollars = a_recommendation(qty=None, notional_usd=Decimal(1000))

    assert nobody == size(in_dollars, 100, nobody, 10)
    assert Sizing(1, 1, "qty 1 asked") == size(a_recommendation(), 100, nobody, 10)


@pytest.mark.parametrize("ask", [None, "0", "-0.01", "NaN", "Infinity"])
def test_an_offer_that_is_no_positive_number_is_none(ask: str | None):
    """It cannot be divided by, and a limit order cannot be written at it."""
    assert Unknown("nobody offers it", "quotes") == ask_of(Known(a_quote(ask=ask), NOON, "quotes"))


def test_an_offer_of_a_cent_is_an_offer():
    """Cheap is not missing."""
    assert Known(Decimal("0.01"), NOON, "quotes") == ask_of(Known(a_quote(ask="0.01"), NOON, "quotes"))


@given(
    asked=st.integers(1, 2**31 - 1) | st.none(),
    cents=st.integers(1, 10**16 - 1),
    ask=st.integers(1, 10**6),
    cap=st.integers(1, 100),
    symbol=st.sampled_from([PUT, "MSFT"]),
)
def test_a_size_is_affordable_and_never_negative(asked: int | None, cents: int, ask: int, cap: int, symbol: str):
    """Between nothing and what was asked, at most the cap for options, and within the dollars given."""
    usd = None if asked else Decimal(cents) / 100
    price = Decimal(ask) / 100
    multiplier = 1 if symbol == "MSFT" else 100
    rec = a_recommendation(symbol=symbol, qty=asked, notional_usd=usd)
    sizing = size(rec, multiplier, Known(price, NOON, "quotes"), cap)

    assert isinstance(sizing, Sizing)
    assert 0 <= sizing.qty <= sizing.asked
    assert symbol == "MSFT" or sizing.qty <= cap
    assert usd is None or sizing.qty * price * multiplier <= usd
