"""What can be traded: a share, or an option contract on one.

``parse_symbol`` is the only parser of symbols, so an order can never name "the option's
ticker" by accident: a symbol is either a stock or exactly one contract.

Source: OCC option symbology without padding, as Alpaca writes it: root, yymmdd, C or P, strike x 1000 in
eight digits; ``GOOGL260220C00340000`` is the GOOGL call expiring 2026-02-20 with strike 340.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

OPTION_MULTIPLIER: Final = 100
_OCC: Final = re.compile(r"(?P<root>[A-Z]{1,6})(?P<ymd>\d{6})(?P<right>[CP])(?P<strike>\d{8})", re.ASCII)
_TICKER: Final = re.compile(r"[A-Z]{1,5}([./][A-Z]{1,2})?")


class NotASymbol(ValueError):
    """The text is neither a stock ticker nor an OCC option symbol."""


class Kind(StrEnum):
    CALL = "CALL"
    PUT = "PUT"
    STOCK = "STOCK"


@dataclass(frozen=True, slots=True)
class Stock:
    symbol: str

    kind = Kind.STOCK
    multiplier = 1

    @property
    def underlying(self) -> str:
        return self.symbol


@dataclass(frozen=True, slots=True)
class Option:
    symbol: str
    underlying: str
    expiration: date
    kind: Kind
    strike: Decimal

    multiplier = OPTION_MULTIPLIER


Instrument = Stock | Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """An option contract or a stock as the brokerage lists it; a stock has neither strike nor expiration.

    *open_interest* counts the contracts open at the end of *open_interest_on*; None where nobody says (often). *penny*
    tells whether the contract's class is in the exchanges' penny programme; None for a stock, or where nobody says.
    """

    symbol: str
    underlying: str
    kind: Kind
    multiplier: int
    strike: Decimal | None
    expiration: date | None
    tradable: bool
    open_interest: int | None
    open_interest_on: date | None
    penny: bool | None


def parse_symbol(text: str) -> Instrument:
    """Return the instrument that *text* names, or raise :exc:`NotASymbol`."""
    if m := _OCC.fullmatch(text):
        try:
            expiration = datetime.strptime(m["ymd"], "%y%m%d").date()  # noqa: DTZ007 - a date, no time in it
        except ValueError as e:
            raise NotASymbol(f"{text!r}: no such date {m['ymd']}") from e
        kind = Kind.CALL if m["right"] == "C" else Kind.PUT
        return Option(text, m["root"], expiration, kind, Decimal(m["strike"]) / 1000)
    if _TICKER.fullmatch(text):
        return Stock(text)
    raise NotASymbol(f"{text!r} is neither a stock ticker nor an OCC option symbol")


def is_option(text: str) -> bool:
    """Does *text* name an option? What is no symbol names none."""
    try:
        return isinstance(parse_symbol(text), Option)
    except NotASymbol:
        return False
