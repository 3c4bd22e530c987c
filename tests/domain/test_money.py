"""Money: whole cents, six places for averages, no float."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import average_price, change_pct, plain, usd


@pytest.mark.parametrize(
    ("amount", "cents"),
    [("1.005", "1.00"), ("1.015", "1.02"), ("1.0051", "1.01"), ("-1.005", "-1.00"), ("0", "0.00"), ("12", "12.00")],
)
def test_dollars_are_rounded_half_to_even(amount: str, cents: str):
    """Half a cent goes to the even cent: over many roundings nothing is gained."""
    assert cents == str(usd(amount))
    assert cents == str(usd(Decimal(amount)))


def test_whole_dollars_may_be_integers():
    """An integer is exact."""
    assert "12.00" == str(usd(12))


@pytest.mark.parametrize("amount", [1.1, 0.0, float("nan")])
def test_a_float_is_no_money(amount: float):
    """1.1 is not 1.10."""
    with pytest.raises(TypeError, match="money must not be a float, was"):
        usd(amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cost", "qty", "price"),
    [("112.00", 15, "7.466667"), ("1", 3, "0.333333"), ("0.000003", 2, "0.000002"), ("7", 1, "7")],
)
def test_an_average_keeps_what_its_column_keeps(cost: str, qty: int, price: str):
    """Six places, half to even."""
    assert Decimal(price) == average_price(Decimal(cost), qty)
    assert -6 == average_price(Decimal(cost), qty).as_tuple().exponent


@pytest.mark.parametrize(
    ("before", "after", "pct"),
    [
        ("10", "6", "-40"),
        ("10", "18", "80"),
        ("10", "10", "0"),
        ("8", "10", "25"),
        ("0.02", "0.03", "50"),
        ("10", "0", "-100"),
    ],
)
def test_a_change_is_in_per_cent_of_what_was(before: str, after: str, pct: str):
    """25 means up 25 %."""
    assert Decimal(pct) == change_pct(Decimal(before), Decimal(after))


@pytest.mark.parametrize("before", ["0", "-1"])
def test_from_nothing_there_is_no_change(before: str):
    """A price that is not positive cannot be compared with."""
    with pytest.raises(ValueError, match=f"price must be positive, was {before}"):
        change_pct(Decimal(before), Decimal(10))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("7.200000", "7.20"),
        ("7.466667", "7.466667"),
        ("7", "7"),
        ("7.00", "7"),
        ("0.10", "0.10"),
        ("-0.5", "-0.50"),
        ("1E+3", "1000"),
        ("1E-7", "0.0000001"),
        ("100", "100"),
    ],
)
def test_plain_text_is_short_and_without_exponent(amount: str, text: str):
    """As a person writes it."""
    assert text == plain(Decimal(amount))


@given(amount=st.decimals(-(10**12), 10**12, places=6))
def test_plain_text_loses_nothing(amount: Decimal):
    """It is the same number."""
    assert amount == Decimal(plain(amount))
