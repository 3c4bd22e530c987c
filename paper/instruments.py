"""What can be traded: stocks and option contracts, as the day folders name them."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from paper import ids
from paper.sessions import Hours

_OCC = re.compile(r"([A-Z]{1,6})(\d{6})([CP])(\d{8})")


@dataclass(frozen=True, slots=True)
class Stock:
    """A share; one unit of quantity is one share."""

    symbol: str
    has_options: bool
    shortable: bool = True
    fractionable: bool = True

    asset_class = "us_equity"
    multiplier = 1

    @property
    def asset_id(self) -> str:
        return ids.asset_id(self.symbol)


@dataclass(frozen=True, slots=True)
class Contract:
    """An option contract; prices are per share, one contract is *multiplier* shares.

    *expiration* is the date in the symbol (a Saturday for monthly options of 2014 and before), *last_trading_day* the
    last day on which it trades.
    """

    symbol: str
    root: str
    underlying: str
    kind: str
    strike: Decimal
    expiration: date
    last_trading_day: date
    style: str
    multiplier: int
    open_interest: str | None

    asset_class = "us_option"

    @property
    def asset_id(self) -> str:
        return ids.asset_id(self.symbol)

    def worth_at(self, price: Decimal) -> Decimal:
        """Dollars per share that it is worth when exercised with the underlying at *price*."""
        worth = price - self.strike if self.kind == "call" else self.strike - price
        return max(Decimal(0), worth)


@dataclass(frozen=True, slots=True)
class Combination:
    """What a multi-leg order trades: it has no symbol of its own, and its price is the net price of its legs."""

    contracts: tuple[Contract, ...]

    symbol = ""
    asset_class = ""
    asset_id = ""
    multiplier = 100


Instrument = Stock | Contract | Combination


def is_occ(symbol: str) -> bool:
    """Whether a symbol has the form of an option contract's."""
    return _OCC.fullmatch(symbol) is not None


def split_occ(symbol: str) -> tuple[str, date, str, Decimal] | None:
    """Return root, expiration, ``call`` or ``put`` and strike of an OCC symbol; None when it is none."""
    match = _OCC.fullmatch(symbol)
    if match is None:
        return None
    root, day, kind, strike = match.groups()
    try:
        expiration = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError:
        return None
    return root, expiration, "call" if kind == "C" else "put", Decimal(strike) / 1000


class Registry:
    """Every instrument of all days, by symbol and by asset id.

    *hard_to_borrow* stocks cannot be sold short, *whole_shares* only be traded in whole ones; options on *late_close*
    stocks trade a quarter of an hour longer, and options on *cash_settled* ones end in cash instead of shares.
    """

    def __init__(
        self,
        instruments: list[Instrument],
        *,
        hard_to_borrow: Collection[str] = (),
        whole_shares: Collection[str] = (),
        late_close: Collection[str] = (),
        cash_settled: Collection[str] = (),
    ) -> None:
        self._by_symbol = {i.symbol: _marked(i, hard_to_borrow, whole_shares) for i in instruments}
        self.late_close = frozenset(late_close)
        self.cash_settled = frozenset(cash_settled)
        #: Symbols that take no orders, by order of the control port.
        self.untradable: set[str] = set()
        self._by_id = {instrument.asset_id: instrument for instrument in self._by_symbol.values()}
        self.stocks = sorted((i for i in self._by_symbol.values() if isinstance(i, Stock)), key=lambda i: i.symbol)
        self.contracts = sorted((i for i in self._by_symbol.values() if isinstance(i, Contract)), key=_chain_order)

    def find(self, symbol_or_id: str) -> Instrument | None:
        """The instrument with this symbol or asset id."""
        return self._by_symbol.get(symbol_or_id) or self._by_id.get(symbol_or_id)

    def learn(self, instrument: Instrument) -> Instrument:
        """Take in an instrument that no day names, and its underlying: a book of an earlier run holds it."""
        self._by_symbol[instrument.symbol] = self._by_id[instrument.asset_id] = instrument
        if isinstance(instrument, Stock):
            self.stocks = sorted([*self.stocks, instrument], key=lambda i: i.symbol)
        elif isinstance(instrument, Contract):
            self.contracts = sorted([*self.contracts, instrument], key=_chain_order)
            if instrument.underlying not in self._by_symbol:
                self.learn(Stock(instrument.underlying, has_options=True))
        return instrument

    def known(self, symbol: str) -> Instrument:
        """The instrument of an order or position that exists; a KeyError would be a bug here."""
        return self._by_symbol[symbol]

    def hours(self, instrument: Instrument, *, extended: bool = False) -> Hours:
        """The hours in which orders for an instrument may fill; the legs of a combination share an underlying."""
        if isinstance(instrument, Combination):
            return self.hours(instrument.contracts[0])
        if isinstance(instrument, Stock):
            return Hours.EXTENDED if extended else Hours.CORE
        return Hours.LATE if instrument.underlying in self.late_close else Hours.CORE

    def is_stock(self, symbol: str) -> bool:
        """Whether *symbol* is a stock of this world."""
        return isinstance(self._by_symbol.get(symbol), Stock)


def _marked(instrument: Instrument, hard_to_borrow: Collection[str], whole_shares: Collection[str]) -> Instrument:
    if not isinstance(instrument, Stock):
        return instrument
    symbol = instrument.symbol
    return replace(instrument, shortable=symbol not in hard_to_borrow, fractionable=symbol not in whole_shares)


def _chain_order(contract: Contract) -> tuple[date, str]:
    return contract.expiration, contract.symbol
