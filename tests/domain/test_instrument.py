"""Symbols: a text is a stock, exactly one contract, or nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instrument import Kind, NotASymbol, Option, Stock, parse_symbol


def test_an_option_symbol_says_all_about_its_contract():
    """Root, expiration, right and strike in thousandths; a contract is a hundred shares."""
    expected = Option("GOOGL260220C00340000", "GOOGL", date(2026, 2, 20), Kind.CALL, Decimal(340))
    parsed = parse_symbol("GOOGL260220C00340000")

    assert expected == parsed
    assert 100 == parsed.multiplier


@pytest.mark.parametrize(
    ("symbol", "strike"),
    [("X260220P00000001", "0.001"), ("X260220P00007500", "7.5"), ("X260220P99999999", "99999.999")],
)
def test_a_strike_is_exact(symbol: str, strike: str):
    """Thousandths of a dollar, without a float between."""
    option = parse_symbol(symbol)

    assert isinstance(option, Option)
    assert (Kind.PUT, Decimal(strike)) == (option.kind, option.strike)


def test_a_saturday_of_2014_is_a_date():
    """Contracts of that time expire on Saturdays."""
    option = parse_symbol("TWX140621P00070000")

    assert isinstance(option, Option)
    assert date(2014, 6, 21) == option.expiration


@pytest.mark.parametrize("ticker", ["A", "MSFT", "GOOGL", "BRK.B", "BRK/B", "RDS.A"])
def test_a_ticker_is_a_stock(ticker: str):
    """One to five capitals, perhaps with a class; a share is one share and its own underlying."""
    stock = parse_symbol(ticker)

    assert Stock(ticker) == stock
    assert (Kind.STOCK, 1, ticker) == (stock.kind, stock.multiplier, stock.underlying)


NEITHER = [
    "",
    " ",
    "msft",
    "MSFT ",
    " MSFT",
    "MSFT\n",
    "TOOLONG",
    "BRK.",
    "BRK.ABC",
    "M1",
    "260220C00340000",
    "GOOGL260220C0034000",
    "GOOGL260220C003400000",
    "GOOGL260220X00340000",
    "GOOGL260220c00340000",
    "GOOGL 260220C00340000",
    "GOOGL  260220C00340000",
    "TOOLONG260220C00340000",
    "TSLA1260220C00340000",
    "MSFT260220P00400000\n",
    "MSFT\x00",
    "ＭＳＦＴ",
    "MSFT٢٦٠٢٢٠P00400000",
    "MSFT260220P0040000٠",
]


@pytest.mark.parametrize("text", NEITHER, ids=ascii)
def test_anything_else_is_no_symbol(text: str):
    """An order can never name something that was only almost a contract."""
    with pytest.raises(NotASymbol, match="is neither a stock ticker nor an OCC option symbol"):
        parse_symbol(text)


@pytest.mark.parametrize("ymd", ["260230", "261301", "260000", "260100"])
def test_a_date_that_no_calendar_has_is_no_contract(ymd: str):
    """The 30th of February does not expire."""
    with pytest.raises(NotASymbol, match=f"no such date {ymd}"):
        parse_symbol(f"MSFT{ymd}P00400000")


contracts = st.builds(
    lambda root, day, right, strike: (root, day, right, strike),
    st.text("ABCXYZ", min_size=1, max_size=6),
    st.dates(date(2000, 1, 1), date(2068, 12, 31)),
    st.sampled_from("CP"),
    st.integers(0, 99_999_999),
)


@given(contract=contracts)
def test_every_contract_can_be_read_back(contract: tuple[str, date, str, int]):
    """Whatever is written into a symbol is what is read from it."""
    root, day, right, strike = contract
    symbol = f"{root}{day:%y%m%d}{right}{strike:08}"
    kind = Kind.CALL if right == "C" else Kind.PUT

    assert Option(symbol, root, day, kind, Decimal(strike) / 1000) == parse_symbol(symbol)


@given(text=st.text(max_size=25))
def test_any_text_is_a_symbol_or_is_none(text: str):
    """Nothing else is raised, and what is accepted carries the text unchanged."""
    try:
        parsed = parse_symbol(text)
    except NotASymbol:
        return
    assert text == parsed.symbol
