"""The volatility regime: which band a level stands in, and that nothing unknown is calm."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.known import Known, Unknown
from domain.regime import band_of
from tests.factories import NOON, some_regime_rules


def name_at(level: str, age_s: int = 0) -> str:
    found = band_of(some_regime_rules(), Known(Decimal(level), NOON - timedelta(seconds=age_s), "quotes"), NOON)
    return f"unknown: {found.reason}" if isinstance(found, Unknown) else found.value.name


@pytest.mark.parametrize(
    ("level", "name"),
    [
        *(("0.01", "normal"), ("19.99", "normal"), ("20", "elevated"), ("29.99", "elevated")),
        *(("30", "high"), ("39.99", "high"), ("40", "extreme"), ("400", "extreme")),
    ],
)
def test_a_band_ends_below_its_bound(level: str, name: str):
    """At the bound the next band begins; the last one has no end."""
    assert name == name_at(level)


@pytest.mark.parametrize(("age_s", "name"), [(900, "normal"), (901, "unknown: the price of VIXY is 901 s old")])
def test_an_old_level_is_unknown(age_s: int, name: str):
    """What the market was a while ago says nothing about now."""
    assert name == name_at("15", age_s)


def test_a_level_from_the_future_is_unknown():
    """It is no fact."""
    assert name_at("15", -6).startswith("unknown")


def test_an_unknown_level_stays_unknown():
    """No price: the regime is not normal, it is unknown (L22)."""
    nobody = Unknown("no quote for VIXY", "quotes")

    assert nobody == band_of(some_regime_rules(), nobody, NOON)


def test_bands_with_a_gap_know_nothing_of_it():
    """A level that no band holds is unknown."""
    rules = some_regime_rules(bands=some_regime_rules().bands[:1])

    assert Unknown("no band for a level of 20", "config") == band_of(rules, Known(Decimal(20), NOON, "quotes"), NOON)


@given(levels=st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)).map(sorted))
def test_a_size_never_grows_with_the_level(levels: list[int]):
    """The more agitated the market, the smaller the share that is left (L34)."""
    low, high = (band_of(some_regime_rules(), Known(Decimal(n) / 100, NOON, "quotes"), NOON) for n in levels)

    assert isinstance(low, Known)
    assert isinstance(high, Known)
    assert low.value.size_ratio >= high.value.size_ratio
